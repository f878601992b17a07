//! Replix: opens VMware virtual machines as they lie on disk, clones and snapshots them, and runs
//! them on QEMU.
//!
//! [`Host`] is the way in: `Host::local()` is this machine. A [`Vm`] is opened from it by the path
//! of its `.vmx`; what takes long returns a [`Started`] job, which can be waited for, watched and
//! cancelled. An [`Error`] has a [`Kind`] to decide by, and often an advice to show.
//!
//! A linked clone of a VM as it is now, powered on:
//!
//! ```
//! # #[cfg(feature = "local")]
//! # fn main() -> replix::Result<()> {
//! # use std::path::Path;
//! # use replix::store::{Local, create_dirs, write_new};
//! # let folder = std::env::temp_dir().canonicalize().expect("tests have a folder");
//! # let folder = folder.join(format!("replix-doc-{}", std::process::id()));
//! # let (source, destination) = (folder.join("base/base.vmx"), folder.join("web/web.vmx"));
//! # create_dirs(&Local, &folder.join("base"))?;
//! # write_new(&Local, &source, b"virtualHW.version = \"19\"\nmemsize = \"32\"\n")?;
//! use replix::Host;
//! use replix::clone::{CloneKind, CloneSpec};
//! use replix::power::{StartSpec, StopMode};
//!
//! let vm = Host::local()?.open(&source)?;
//!
//! // No snapshot is given: one is made, for the clone to stand on.
//! let clone = vm.clone_to(CloneSpec::new(CloneKind::Linked, &destination)).wait()?;
//! assert_eq!(clone.report.snapshot.as_deref(), Some("Clone"));
//! assert_eq!(clone.vm.info()?.clone_of.as_deref(), source.to_str());
//!
//! # let has_qemu = clone.vm.info()?.accelerator.is_some();
//! # if has_qemu {
//! clone.vm.power_on(StartSpec::default()).wait()?;
//! assert!(Host::local()?.running()?.iter().any(|vm| vm.path() == clone.vm.path()));
//! clone.vm.power_off(StopMode::Hard).wait()?;
//! # }
//! # replix::store::remove_tree(&Local, &folder)
//! # }
//! # #[cfg(not(feature = "local"))]
//! # fn main() {}
//! ```
//!
//! `examples/clone_linked.rs` does the same as a program, and shows how far it is.
//!
//! Folders, top to bottom, each using only what stands below: `pool`, `host`, `library`, `clone`, `snapshot`,
//! `power` and `guest`, `network`, `vm`, `disk`, `job`, `format`, `store`, `error`. Without the feature `local`
//! only the types of these folders, errors, jobs and the trait [`host::Provider`] remain.

pub mod clone;
#[cfg(all(test, feature = "local"))]
mod crash;
pub mod disk;
pub mod error;
#[cfg(feature = "local")]
pub mod format;
#[cfg(any(all(test, feature = "local"), feature = "fuzz"))]
pub mod fuzz;
pub mod guest;
pub mod host;
pub mod job;
#[cfg(feature = "local")]
pub mod library;
pub mod network;
pub mod pool;
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
