//! The one place where the programs get their host from.

use std::path::PathBuf;

use replix::{Error, Host, Kind, Result};

/// How a program reaches its host, given the places outside a VM that its files may reach.
///
/// The programs take it as an argument, so that a test can put another host there.
pub type Connect = dyn Fn(&[PathBuf]) -> Result<Host>;

/// Returns this machine as a host; files of a VM may also reach into the folders `_allow`.
///
/// # Errors
/// What the engine says when it cannot work here.
pub fn local(_allow: &[PathBuf]) -> Result<Host> {
    Err(Error::new(
        Kind::NotSupported,
        "this build has no engine yet",
    ))
}
