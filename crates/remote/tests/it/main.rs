//! The remote provider against the service itself: the same answers as the engine's, and what lost
//! connections and a lost service mean.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod answers;
mod lost;
mod proxy;
mod service;
mod start;
