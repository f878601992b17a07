//! What is done to a VM that runs without ending it: pause, unpause, reset.

use std::path::Path;

use super::StopMode;
use super::halted::Held;
use super::qmp::Control;
use super::runtime::require_running;
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::vm::Env;

/// Stops the execution of the VM at `vmx`.
///
/// # Errors
/// `VmNotRunning`.
pub(crate) fn pause(env: &Env, vmx: &Path, job: &Job) -> Result<()> {
    Held::take(env, &env.open(vmx)?, job)?.ask(Control::pause)
}

/// Lets the VM at `vmx` execute again.
///
/// # Errors
/// `VmNotRunning`.
pub(crate) fn unpause(env: &Env, vmx: &Path, job: &Job) -> Result<()> {
    Held::take(env, &env.open(vmx)?, job)?.go_on()
}

/// Resets the VM at `vmx`. One that is paused runs again: whoever resets a VM waits for its guest.
///
/// # Errors
/// `VmNotRunning`; `NotSupported` for a soft reset.
pub(crate) fn reset(env: &Env, vmx: &Path, mode: StopMode, job: &Job) -> Result<()> {
    job.check()?;
    let vm = env.open(vmx)?;
    if mode == StopMode::Soft {
        require_running(&*env.store, &vm)?;
        let text = format!(
            "{} cannot be reset by its guest: nothing there could be asked",
            quoted(vm.vmx())
        );
        let hint = "reset it hard, as its reset button does";
        return Err(Error::new(Kind::NotSupported, text).at(vm.vmx()).hint(hint));
    }
    let held = Held::take(env, &vm, job)?;
    held.ask(Control::reset)?;
    held.go_on()
}
