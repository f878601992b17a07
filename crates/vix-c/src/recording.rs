//! Recording and replaying, which VIX 1.11 gave up.

use std::ffi::c_int;

use crate::guard::job;
use crate::process::library;
use crate::types::{ClientData, ClientText, EventProc, VixHandle};

/// Starts a job that is refused.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_BeginRecording(
    vmHandle: VixHandle,
    _displayName: ClientText,
    _description: ClientText,
    _options: c_int,
    _propertyList: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().refuse_removed(vmHandle, callback)
    })
}

/// Starts a job that is refused.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_EndRecording(
    vmHandle: VixHandle,
    _options: c_int,
    _propertyList: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().refuse_removed(vmHandle, callback)
    })
}

/// Starts a job that is refused.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_BeginReplay(
    vmHandle: VixHandle,
    _snapshotHandle: VixHandle,
    _options: c_int,
    _propertyList: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().refuse_removed(vmHandle, callback)
    })
}

/// Starts a job that is refused.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_EndReplay(
    vmHandle: VixHandle,
    _options: c_int,
    _propertyList: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().refuse_removed(vmHandle, callback)
    })
}
