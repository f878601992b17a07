//! The programs of Replix: `vmrun` and `vmware-vdiskmanager`, compatible with VMware's, and `replix`,
//! the native one; beside them `companion`, which answers to the names of VMware's other programs.
//!
//! All are thin: words come in, the engine is called, text goes out. Each has a folder with one
//! file a command; what they share stands beside. No logic about virtual machines lives here.

mod attach;
pub mod companion;
pub mod host;
mod interrupt;
mod progress;
pub mod replix;
mod text;
pub mod vdiskmanager;
pub mod vmrun;
mod watch;

#[cfg(test)]
mod fake;
