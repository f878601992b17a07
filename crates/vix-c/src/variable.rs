//! Variables of the VM and of its guest.

use std::ffi::c_int;

use crate::guard::job;
use crate::process::library;
use crate::types::{ClientData, ClientText, EventProc, VixHandle};

/// Starts reading a variable.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_ReadVariable(
    vmHandle: VixHandle,
    variableType: c_int,
    name: ClientText,
    options: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().read_variable(vmHandle, variableType, name.read(), options, callback)
    })
}

/// Starts writing a variable.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_WriteVariable(
    vmHandle: VixHandle,
    variableType: c_int,
    valueName: ClientText,
    value: ClientText,
    options: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let pair = (valueName.read(), value.read());
        library().write_variable(vmHandle, variableType, pair, options, callback)
    })
}
