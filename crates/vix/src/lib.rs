//! The VIX object model in safe Rust: handles, jobs, properties, events and codes, shared by the C
//! library and by COM. Rust programs use the engine (package `replix`) instead.
//!
//! A face makes one [`Library`] for its process and calls it with the clients' arguments; what stands
//! below, top to bottom:
//!
//! - `library`: handles, properties and jobs as clients see them; `host`, `power`, `clone`,
//!   `snapshot` and `guest` add what is done with each
//! - `vm`, `snapshot`, `host`: the objects
//! - `job`, `pool`: work, its events, and the threads it runs on
//! - `table`, `property`, `argument`, `error`, `constants`: numbers and what they stand for
//!
//! The rules that clients rely on are written down in docs/vix/conventions.md.

mod argument;
mod clone;
pub mod constants;
pub mod error;
mod guest;
mod host;
mod job;
mod library;
mod pool;
mod power;
mod property;
mod snapshot;
mod table;
mod vm;

pub use argument::Text;
pub use clone::CloneRequest;
pub use error::{Fault, Result};
pub use host::HostSpec;
pub use job::{Callback, in_callback};
pub use library::Library;
pub use property::{Record, Value, type_of};
pub use replix::guest::GuestCall;
pub use table::{Handle, Reference};
