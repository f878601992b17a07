//! The object model against a real engine; a module for each promise.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod com_agreement;
mod fresh;
mod stress;
