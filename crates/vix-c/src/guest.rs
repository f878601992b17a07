//! Guests: waiting for the tools, logging in and out.

use std::ffi::c_int;

use crate::guard::job;
use crate::process::library;
use crate::types::{ClientData, ClientText, EventProc, VixHandle};

/// Starts waiting for the guest tools.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_WaitForToolsInGuest(
    vmHandle: VixHandle,
    timeoutInSeconds: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().wait_for_tools(vmHandle, timeoutInSeconds, callback)
    })
}

/// Starts logging in to the guest.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_LoginInGuest(
    vmHandle: VixHandle,
    userName: ClientText,
    password: ClientText,
    options: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let account = (userName.read(), password.read());
        library().login(vmHandle, account, options, callback)
    })
}

/// Starts logging out of the guest.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_LogoutFromGuest(
    vmHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().logout(vmHandle, callback)
    })
}
