//! The VIX object model in safe Rust: handles, jobs, properties, events and codes, shared by the C
//! library and by COM. Rust programs use the engine (package `replix`) instead.

pub mod constants;
