//! What every method goes through: a panic ends here, a VIX error becomes a number or an `HRESULT`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use vix::constants::{VIX_INVALID_HANDLE, VIX_OK, VIXCOM_E_VIX_ERROR};
use vix::{Callback, Fault, Handle, Library};
use windows::Win32::Foundation::{E_OUTOFMEMORY, E_UNEXPECTED};
use windows_core::{Error, HRESULT, Result};

use crate::callback;
use crate::handle::{Held, Job};
use crate::interfaces::{ICallback, IJob};
use crate::process::library;
use crate::types::{In, Out, OutObject};

/// The `HRESULT` of a VIX error where the method has no other way to tell it.
const VIX_ERROR: HRESULT = HRESULT(VIXCOM_E_VIX_ERROR.cast_signed());

/// How long a host may take to take a job over, which is a request and its answer.
const HANDOVER: Duration = Duration::from_secs(1);

/// Returns what `call` does, `E_UNEXPECTED` when it panics.
///
/// The object model's locks are released by a panic and taken again all the same.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(E_UNEXPECTED.into()))
}

/// Returns the `HRESULT` of what `call` does.
pub(crate) fn done(call: impl FnOnce() -> Result<()>) -> HRESULT {
    guarded(call).into()
}

/// Stores what `call` returns.
pub(crate) fn answer<T: Default>(out: Out<T>, call: impl FnOnce() -> Result<T>) -> HRESULT {
    done(|| {
        let variable = out.variable()?;
        variable.set(call()?);
        Ok(())
    })
}

/// Stores the error that `call` ends with; the call itself has succeeded then.
pub(crate) fn error(out: Out<u64>, call: impl FnOnce() -> Result<vix::Result<()>>) -> HRESULT {
    answer(out, || {
        Ok(match call()? {
            Ok(()) => VIX_OK,
            Err(fault) => fault.code,
        })
    })
}

/// Stores what `call` returns, and its error.
pub(crate) fn store<T: Default>(
    out: Out<T>,
    error: Out<u64>,
    call: impl FnOnce() -> vix::Result<T>,
) -> HRESULT {
    self::error(error, || {
        let variable = out.variable()?;
        Ok(call().map(|value| variable.set(value)))
    })
}

/// Starts a job; whatever is wrong with it, it is there.
///
/// `start` fails only for arguments that COM should not have let through.
pub(crate) fn job(
    client: In<ICallback>,
    out: OutObject<IJob>,
    start: impl FnOnce(&Library, Option<Callback>) -> Result<Handle>,
) -> HRESULT {
    answer(out, || {
        let callback = callback::of(client)?;
        match start(library(), callback)? {
            VIX_INVALID_HANDLE => Err(E_OUTOFMEMORY.into()),
            job => Ok(Some(Job::new(Held::new(job)).into())),
        }
    })
}

/// Starts a job that changes something, and returns when the host has it in hand: the client's process may
/// end with the next instruction.
pub(crate) fn order(
    client: In<ICallback>,
    out: OutObject<IJob>,
    start: impl FnOnce(&Library, Option<Callback>) -> Result<Handle>,
) -> HRESULT {
    job(client, out, |library, callback| {
        let job = start(library, callback)?;
        library.await_begun(job, HANDOVER);
        Ok(job)
    })
}

/// Returns a VIX error as COM's.
pub(crate) fn refusal(_: Fault) -> Error {
    VIX_ERROR.into()
}
