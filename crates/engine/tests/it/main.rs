//! Integration tests of the engine: real files, real programs; a module for each promise.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod clone_linked;
mod clone_refused;
mod disk_create;
mod snapshots;
mod tools;
mod vms;
