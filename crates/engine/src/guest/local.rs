//! Guests of this machine: there is no agent that we could speak to yet.

use std::path::Path;

use super::{GuestAnswer, GuestCall};
use crate::error::{Error, Kind, Result, quoted};
use crate::vm::{Env, state};

/// Does something in the guest of the VM at `vmx`.
///
/// # Errors
/// `VmNotRunning`; else `NotSupported`.
pub(crate) fn call(env: &Env, vmx: &Path, call: &GuestCall) -> Result<GuestAnswer> {
    let vm = env.open(vmx)?;
    state::read(&*env.store, &vm).require_on(vm.vmx())?;
    let text = format!("{}: {} is not supported yet", quoted(vm.vmx()), call.what());
    Err(Error::new(Kind::NotSupported, text).at(vm.vmx()))
}
