//! The one place where the programs get their host from.

use std::path::PathBuf;

use replix::{Host, Result, vm::Settings};

/// How a program reaches its host, given the places outside a VM that its files may reach.
///
/// The programs take it as an argument, so that a test can put another host there.
pub type Connect = dyn Fn(&[PathBuf]) -> Result<Host>;

/// Returns this machine as a host; files of a VM may also reach into the folders `allow`.
///
/// # Errors
/// `BadConfig` where the user's settings make no sense.
pub fn local(allow: &[PathBuf]) -> Result<Host> {
    let mut settings = Settings::load()?;
    settings.allow.extend_from_slice(allow);
    Ok(Host::local_with(settings))
}
