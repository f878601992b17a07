//! What every function of the library goes through: a panic ends here, an error becomes its code.

use std::panic::{AssertUnwindSafe, catch_unwind};

use vix::Callback;
use vix::constants::*;

use crate::types::{ClientData, EventProc, Out, VixError, VixHandle};

/// Returns what `call` does, `otherwise` when it panics.
///
/// The object model's locks are released by a panic and taken again all the same.
pub(crate) fn guarded<T>(otherwise: T, call: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(otherwise)
}

/// Returns the error that `call` ends with, `VIX_E_FAIL` when it panics.
pub(crate) fn error_of(call: impl FnOnce() -> vix::Result<()>) -> VixError {
    guarded(VIX_E_FAIL, || match call() {
        Ok(()) => VIX_OK,
        Err(fault) => fault.code,
    })
}

/// Stores what `call` returns in a client's variable. With a null pointer, nothing is called.
pub(crate) fn store<T: Copy>(out: Out<T>, call: impl FnOnce() -> vix::Result<T>) -> VixError {
    error_of(|| {
        let variable = out.variable()?;
        variable.set(call()?);
        Ok(())
    })
}

/// Starts a job with a client's procedure. Only a panic is told by `VIX_INVALID_HANDLE`.
pub(crate) fn job(
    procedure: EventProc,
    data: ClientData,
    start: impl FnOnce(Option<Callback>) -> VixHandle,
) -> VixHandle {
    guarded(VIX_INVALID_HANDLE, || start(procedure.with(data)))
}

#[cfg(test)]
mod tests {
    use std::ffi::c_int;
    use std::ptr::{from_mut, null_mut};

    use super::*;

    fn out(variable: *mut c_int) -> Out<c_int> {
        // SAFETY: the tests pass null or one of their own variables.
        unsafe { Out::new(variable.cast()) }
    }

    #[test]
    fn a_panic_becomes_a_failure() {
        assert_eq!(error_of(|| panic!("on purpose")), VIX_E_FAIL);
        let mut value = 5;
        assert_eq!(
            store(out(from_mut(&mut value)), || panic!("on purpose")),
            VIX_E_FAIL
        );
        assert_eq!(value, 5);
    }

    #[test]
    fn nothing_is_called_for_a_null_pointer() {
        let error = store(out(null_mut()), || {
            unreachable!("nobody would get the value")
        });
        assert_eq!(error, VIX_E_INVALID_ARG);
    }

    #[test]
    fn a_result_is_stored_on_success_only() {
        let mut value = 5;
        assert_eq!(
            store(out(from_mut(&mut value)), || Err(VIX_E_LICENSE.into())),
            VIX_E_LICENSE
        );
        assert_eq!(value, 5);
        assert_eq!(store(out(from_mut(&mut value)), || Ok(7)), VIX_OK);
        assert_eq!(value, 7);
    }
}
