//! Programs in the guest.

use std::ffi::c_int;

use vix::GuestCall;
use vix::constants::VIX_INVALID_HANDLE;

use crate::guard::job;
use crate::process::library;
use crate::types::{ClientData, ClientText, EventProc, VixHandle, VixRunProgramOptions};

/// Starts running a program.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_RunProgramInGuest(
    vmHandle: VixHandle,
    guestProgramName: ClientText,
    commandLineArgs: ClientText,
    options: VixRunProgramOptions,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let program = (guestProgramName.read(), commandLineArgs.read());
        library().run_program(vmHandle, program, options, propertyListHandle, callback)
    })
}

/// Starts running a script.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_RunScriptInGuest(
    vmHandle: VixHandle,
    interpreter: ClientText,
    scriptText: ClientText,
    options: VixRunProgramOptions,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let script = (interpreter.read(), scriptText.read());
        library().run_script(vmHandle, script, options, propertyListHandle, callback)
    })
}

/// Starts listing the processes.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_ListProcessesInGuest(
    vmHandle: VixHandle,
    options: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let call = GuestCall::ListProcesses;
        library().ask_plainly(vmHandle, options, VIX_INVALID_HANDLE, call, callback)
    })
}

/// Starts ending a process.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_KillProcessInGuest(
    vmHandle: VixHandle,
    pid: u64,
    options: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let call = GuestCall::KillProcess { pid };
        library().ask_plainly(vmHandle, options, VIX_INVALID_HANDLE, call, callback)
    })
}

/// Starts a job that is refused: VIX 1.11 gave this up.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_OpenUrlInGuest(
    vmHandle: VixHandle,
    _url: ClientText,
    _windowState: c_int,
    _propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().refuse_removed(vmHandle, callback)
    })
}
