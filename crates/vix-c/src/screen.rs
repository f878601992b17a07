//! The screen, and the installation of the tools.

use std::ffi::c_int;

use crate::guard::job;
use crate::process::library;
use crate::types::{ClientData, ClientText, EventProc, VixHandle};

/// Starts taking a picture of the screen.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_CaptureScreenImage(
    vmHandle: VixHandle,
    captureType: c_int,
    additionalProperties: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().capture_screen(vmHandle, captureType, additionalProperties, callback)
    })
}

/// Starts installing the guest tools.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_InstallTools(
    vmHandle: VixHandle,
    options: c_int,
    commandLineArgs: ClientText,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().install_tools(vmHandle, options, commandLineArgs.read(), callback)
    })
}
