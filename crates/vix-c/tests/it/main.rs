//! The library as its clients see it: built, laid out as installed, loaded by programs that are not
//! ours and by some that are.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod abi;
mod agreement;
mod fuzz_corpus;
mod installed;
mod python_clients;
mod sample_client;
mod signature;
mod user;
mod variadic;
