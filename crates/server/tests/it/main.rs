//! The service as its clients and its enemies meet it: a process of its own, real requests over
//! loopback, real VMs. A module for each part of its promises.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod client;
mod machine;

mod crash;
mod ending;
mod jobs;
mod load;
mod questions;
mod strangers;
