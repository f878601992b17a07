//! Jobs: how they end. Waiting and reading are in `variadic`.

use std::ffi::c_int;

use vix::constants::VIX_E_FAIL;

use crate::guard::{guarded, store};
use crate::process::library;
use crate::types::{Bool, Out, VixError, VixHandle};

/// Stores whether a job has ended.
#[unsafe(no_mangle)]
pub extern "C" fn VixJob_CheckCompletion(jobHandle: VixHandle, complete: Out<Bool>) -> VixError {
    store(complete, || library().is_done(jobHandle).map(Bool::from))
}

/// Returns the error of a job that has ended.
#[unsafe(no_mangle)]
pub extern "C" fn VixJob_GetError(jobHandle: VixHandle) -> VixError {
    guarded(VIX_E_FAIL, || match library().error_of(jobHandle) {
        Ok(error) => error,
        Err(fault) => fault.code,
    })
}

/// Returns how many results of a job have a property.
#[unsafe(no_mangle)]
pub extern "C" fn VixJob_GetNumProperties(jobHandle: VixHandle, resultPropertyID: c_int) -> c_int {
    guarded(0, || match library().count(jobHandle, resultPropertyID) {
        Ok(count) => c_int::try_from(count).unwrap_or(c_int::MAX),
        Err(_) => 0,
    })
}
