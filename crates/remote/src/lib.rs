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

use replix::{Host, Result};

/// Returns the host behind this user's service on this machine, which is started where none runs.
///
/// # Errors
/// `HostUnreachable` where it neither runs nor can be started.
pub fn connect() -> Result<Host> {
    Ok(Host::new(provider::Service::connect()?))
}
