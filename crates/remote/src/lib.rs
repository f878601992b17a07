//! A host elsewhere: the engine's [`Provider`](replix::host::Provider) over the HTTP interface of a
//! host service (docs/service.md), for Linux and, within Wine, for Windows.
//!
//! - `provider`: the engine's calls, one request or one job each
//! - `job`: a job at the service, followed to its end
//! - `link`: requests that survive a lost connection
//! - `place`, `start`: where the service is, and how it is started
//! - `wire`: what travels

mod job;
mod link;
pub mod place;
mod provider;
mod start;
pub mod wire;

use std::path::PathBuf;

use replix::{Host, Result};

/// Returns the host behind this user's service on this machine, which is started where none runs.
///
/// # Errors
/// `HostUnreachable` where it neither runs nor can be started.
pub fn connect() -> Result<Host> {
    connect_by(place::service_file()?)
}

/// Returns the host behind the service that tells of itself in `file`; one that is started where none
/// runs tells of itself in the usual place.
///
/// # Errors
/// `HostUnreachable`; `Denied` where the file may be somebody else's.
pub fn connect_by(file: PathBuf) -> Result<Host> {
    Ok(Host::new(provider::Service::connect(file)?))
}
