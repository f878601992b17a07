//! What is done to a VM that runs without ending it: pause, unpause, reset.

use std::path::Path;
use std::time::{Duration, Instant};

use qapi::qga::GuestShutdownMode;

use super::StopMode;
use super::agent::Channel;
use super::halted::Held;
use super::qmp::Control;
use super::runtime::require_running;
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::vm::{Env, VmFolder};

/// A guest that was told to reboot has left its agent by then.
const GOING_DOWN: Duration = Duration::from_secs(60);

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
/// `VmNotRunning`; `ToolsNotRunning` for a soft reset that no agent in the guest does.
pub(crate) fn reset(env: &Env, vmx: &Path, mode: StopMode, job: &Job) -> Result<()> {
    job.check()?;
    let vm = env.open(vmx)?;
    if mode == StopMode::Soft {
        return reboot(env, &vm, job);
    }
    let held = Held::take(env, &vm, job)?;
    held.ask(Control::reset)?;
    held.go_on()
}

/// Has the agent in the guest reboot it; returns once the guest has gone down. One that is paused runs again
/// for that, unless it cannot be asked.
fn reboot(env: &Env, vm: &VmFolder, job: &Job) -> Result<()> {
    let agent = Channel::of(env, require_running(env, vm)?, job);
    agent.require_open()?;
    let was_paused = resume(&Held::take(env, vm, job)?)?;
    agent
        .shut_down(GuestShutdownMode::Reboot)
        .inspect_err(|_| {
            if was_paused {
                // The error that brought us here is the one that matters.
                let _ = pause(env, vm.vmx(), &Job::new());
            }
        })?;
    let deadline = Instant::now() + GOING_DOWN;
    while agent.answers()? {
        if Instant::now() >= deadline {
            let text = format!("the guest of {} does not go down", quoted(vm.vmx()));
            let hint = "reset it hard, as its reset button does";
            return Err(Error::new(Kind::ToolsNotRunning, text)
                .at(vm.vmx())
                .hint(hint));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Lets a guest execute, and tells whether it did not.
fn resume(held: &Held) -> Result<bool> {
    let was_paused = !held.ask(Control::is_running)?;
    held.go_on()?;
    Ok(was_paused)
}
