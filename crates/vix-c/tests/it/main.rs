//! The library as its clients see it: built, laid out as installed, loaded by programs that are not
//! ours and by some that are.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod abi;
mod agreement;
mod clone_arguments;
mod clone_linked;
mod clone_states;
mod clone_time;
mod contract;
mod delete;
mod fixtures;
mod fuzz_corpus;
mod guest;
mod handles;
mod installed;
mod jobs;
mod power_edges;
mod program;
mod properties;
mod python_clients;
mod reference_page;
mod sample_client;
mod shared_folders;
mod signature;
mod snapshots;
mod stress;
mod user;
mod variadic;
