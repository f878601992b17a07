//! The COM library as its clients see it: registered in a Wine prefix, used by scripts and by programs in
//! C++ that reach VMs through a host service.
//!
//! `cargo xtask test --only com` builds and registers it; without it the tests say that they skip.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod acts;
mod client;
mod clone_states;
#[path = "../../../vix-c/tests/it/fixtures.rs"]
#[expect(dead_code, reason = "the C library's tests need more of them")]
mod fixtures;
mod guest;
mod guest_operations;
mod power_edges;
mod reference_page;
mod rules;
mod scripts;
mod wine;
