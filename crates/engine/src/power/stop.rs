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

/// How often a guest is asked that does not answer.
const AGAIN: Duration = Duration::from_secs(2);

/// A machine that is told to end is gone by then, and so is what it held.
const HARD: Duration = Duration::from_secs(10);

/// A machine that was started has its socket by then.
const SOCKET: Duration = Duration::from_secs(2);

/// How often we look whether a machine is there, or gone: most are within a few hundredths of a second.
pub(super) const POLL: Duration = Duration::from_millis(1);

/// A machine that hung up because it ends is gone by then; one that does not take its memory does.
pub(super) const HANGING_UP: Duration = Duration::from_secs(1);

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
    if mode == StopMode::Soft
        && let Some(why) = ask_guest(env, &record, job)?
    {
        let text = format!("the guest of {} {why}", quoted(vm.vmx()));
        let hint = "stop it hard, which cuts the power";
        return Err(Error::new(Kind::ToolsNotRunning, text)
            .at(vm.vmx())
            .hint(hint));
    }
    cut(store, &record)
}

/// Has the guest shut down, by its agent or else by its power button; returns why the machine did not go
/// off, if so. A guest that boots has no agent yet, and may miss its button: both are tried again. One that
/// is paused is not asked: it would go off when it is unpaused, long after we gave up.
fn ask_guest(env: &Env, record: &Record, job: &Job) -> Result<Option<&'static str>> {
    // The socket serves one client at a time: it is let go of after each question.
    let machine = || Control::connect(&Runtime::of(&record.vmx).socket());
    if machine()?.is_paused()? {
        return Ok(Some("is paused, and cannot shut down"));
    }
    let agent = Channel::of(env, record.clone(), job);
    let deadline = Instant::now() + SOFT;
    let mut heard = false;
    loop {
        heard = heard || agent.shut_down(GuestShutdownMode::Powerdown).is_ok();
        job.check()?;
        if !heard && let Err(error) = machine().and_then(|mut machine| machine.press_power()) {
            // It hangs up before it is gone.
            let ended = await_end(record, AGAIN, job)?;
            return if ended { Ok(None) } else { Err(error) };
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let pause = if heard { left } else { left.min(AGAIN) };
        if await_end(record, pause, job)? {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Ok(Some(match heard {
                true => "was told to shut down by its agent, and does not end",
                false => "has no agent, and does not react to its power button",
            }));
        }
    }
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

/// Says of an error in speaking to a machine whether it means that the machine has ended, which hangs up first.
pub(super) fn explain(record: &Record, error: Error) -> Error {
    // Whether it is gone then, the record says.
    let _ = await_end(record, HANGING_UP, &Job::new());
    record.explain(error)
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
