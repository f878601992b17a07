//! Stopping a VM.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use qapi::qga::GuestShutdownMode;

use super::StopMode;
use super::agent::Channel;
use super::qmp::Control;
use super::runtime::{END_ORPHAN, Record, Runtime, forget, orphan, require_running};
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::store::Store;
use crate::vm::{Env, lock};

/// A guest that reacts to its power button is off by then.
const SOFT: Duration = Duration::from_secs(60);

/// A machine that is told to end is gone by then, and so is what it held.
const HARD: Duration = Duration::from_secs(10);

/// A machine that was started has its socket by then.
const SOCKET: Duration = Duration::from_secs(2);

/// How often we look whether a machine is there, or gone: most are within a few hundredths of a second.
pub(super) const POLL: Duration = Duration::from_millis(1);

/// Powers the VM at `vmx` off. Where its files were removed while it ran, a hard stop ends what is left of
/// it, its machine.
///
/// # Errors
/// `VmNotRunning`; `ToolsNotRunning` where the guest reacts neither to its agent nor to its power
/// button.
pub(crate) fn stop(env: &Env, vmx: &Path, mode: StopMode, job: &Job) -> Result<()> {
    let store = &*env.store;
    let vm = match (env.open(vmx), orphan(env, vmx)) {
        (Err(_), Some(record)) if mode == StopMode::Hard => return cut(store, &record),
        (Err(error), Some(_)) => return Err(error.hint(END_ORPHAN)),
        (opened, _) => opened?,
    };
    let record = require_running(env, &vm)?;
    if mode == StopMode::Soft && !ask_guest(env, &record, job)? {
        let text = format!(
            "the guest of {} has no agent, and does not react to its power button",
            quoted(vm.vmx())
        );
        let hint = "stop it hard, which cuts the power";
        return Err(Error::new(Kind::ToolsNotRunning, text)
            .at(vm.vmx())
            .hint(hint));
    }
    cut(store, &record)
}

/// Has the guest shut down, by its agent or else by its power button, and tells whether the machine
/// went off. A guest that is paused is not asked: it would go off when it is unpaused, long after we
/// gave up.
fn ask_guest(env: &Env, record: &Record, job: &Job) -> Result<bool> {
    let mut control = Control::connect(&Runtime::of(&record.vmx).socket())?;
    if control.is_paused()? {
        return Ok(false);
    }
    // The socket serves one client at a time.
    drop(control);
    let agent = Channel::of(env, record.clone(), job);
    if agent.shut_down(GuestShutdownMode::Powerdown).is_err() && record.is_alive() {
        job.check()?;
        Control::connect(&Runtime::of(&record.vmx).socket())?.press_power()?;
    }
    await_end(record, SOFT, job)
}

/// Ends a machine and waits until nothing of it is left.
pub(super) fn cut(store: &dyn Store, record: &Record) -> Result<()> {
    let runtime = Runtime::of(&record.vmx);
    let nobody = Job::new();
    quit(record, &runtime);
    if !await_end(record, HARD, &nobody)? {
        let _ = kill(Pid::from_raw(record.pid.cast_signed()), Signal::SIGKILL);
        if !await_end(record, HARD, &nobody)? {
            let text = format!("QEMU (process {}) does not end", record.pid);
            return Err(Error::new(Kind::Timeout, text));
        }
    }
    await_clean(store, record, &runtime);
    Ok(())
}

/// Tells a machine to end. It may end by itself meanwhile; what counts is that it is gone. One whose
/// start was killed in the middle has no socket yet.
fn quit(record: &Record, runtime: &Runtime) {
    let deadline = Instant::now() + SOCKET;
    let told = || Control::connect(&runtime.socket()).and_then(|mut control| control.quit());
    while told().is_err() && record.is_alive() && Instant::now() < deadline {
        std::thread::sleep(POLL);
    }
}

/// Waits at most `limit` for the end of a machine and tells whether it has come.
///
/// # Errors
/// `Cancelled`.
pub(super) fn await_end(record: &Record, limit: Duration, job: &Job) -> Result<bool> {
    let deadline = Instant::now() + limit;
    while record.is_alive() {
        job.check()?;
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(POLL);
    }
    Ok(true)
}

/// The keeper cleans up; where it was killed, we do.
fn await_clean(store: &dyn Store, record: &Record, runtime: &Runtime) {
    let folder = lock::lock_folder(&record.vmx);
    let deadline = Instant::now() + Duration::from_secs(2);
    while store.exists(&runtime.dir) || store.exists(&folder) {
        if Instant::now() >= deadline {
            return forget(store, &record.vmx, record.pid);
        }
        std::thread::sleep(POLL);
    }
}
