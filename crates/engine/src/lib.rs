//! Replix: opens VMware virtual machines as they lie on disk, clones and snapshots them, and runs
//! them on QEMU.
//!
//! [`Host`] is the way in: `Host::local()` is this machine. A [`Vm`] is opened from it by the path
//! of its `.vmx`; what takes long returns a [`Started`] job.
//!
//! Folders, top to bottom, each using only what stands below: `host`, `clone`, `snapshot`,
//! `power` and `guest`, `vm`, `disk`, `job`, `format`, `store`, `error`. Without the feature `local` only the
//! types of these folders, errors, jobs and the trait [`host::Provider`] remain.

pub mod clone;
pub mod disk;
pub mod error;
#[cfg(feature = "local")]
pub mod format;
pub mod guest;
pub mod host;
pub mod job;
pub mod power;
pub mod snapshot;
#[cfg(feature = "local")]
pub mod store;
pub mod vm;

pub use error::{Error, Kind, Result};
pub use host::{Cloned, Host, Vm};
pub use job::{Job, Progress, Started};

/// The README's example is compiled with the documentation's.
#[cfg(all(doctest, feature = "local"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
