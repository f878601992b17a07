//! Folders that the host shares with the guest.

use std::ffi::c_int;

use vix::GuestCall;
use vix::constants::VIX_INVALID_HANDLE;

use crate::guard::job;
use crate::process::library;
use crate::types::{Bool, ClientData, ClientText, EventProc, VixHandle, VixMsgSharedFolderOptions};

/// Starts turning all shared folders on or off.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_EnableSharedFolders(
    vmHandle: VixHandle,
    enabled: Bool,
    options: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let enabled = enabled != 0;
        let call = GuestCall::EnableSharedFolders {
            enabled,
            runtime: false,
        };
        library().ask_plainly(vmHandle, options, VIX_INVALID_HANDLE, call, callback)
    })
}

/// Starts counting them.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_GetNumSharedFolders(
    vmHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let call = GuestCall::CountSharedFolders;
        library().ask_plainly(vmHandle, 0, VIX_INVALID_HANDLE, call, callback)
    })
}

/// Starts asking about one of them.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_GetSharedFolderState(
    vmHandle: VixHandle,
    index: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().shared_folder(vmHandle, index, callback)
    })
}

/// Starts changing one of them.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_SetSharedFolderState(
    vmHandle: VixHandle,
    shareName: ClientText,
    hostPathName: ClientText,
    flags: VixMsgSharedFolderOptions,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let share = (shareName.read(), hostPathName.read());
        library().share_folder(vmHandle, share, flags, false, callback)
    })
}

/// Starts sharing a folder.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_AddSharedFolder(
    vmHandle: VixHandle,
    shareName: ClientText,
    hostPathName: ClientText,
    flags: VixMsgSharedFolderOptions,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let share = (shareName.read(), hostPathName.read());
        library().share_folder(vmHandle, share, flags, true, callback)
    })
}

/// Starts sharing a folder no longer.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_RemoveSharedFolder(
    vmHandle: VixHandle,
    shareName: ClientText,
    flags: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let make = |name| GuestCall::RemoveSharedFolder { name };
        library().ask_of(
            vmHandle,
            shareName.read(),
            flags,
            VIX_INVALID_HANDLE,
            make,
            callback,
        )
    })
}
