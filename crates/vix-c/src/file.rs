//! Files and folders of the guest.

use std::ffi::c_int;

use vix::GuestCall;
use vix::constants::VIX_INVALID_HANDLE;

use crate::guard::job;
use crate::process::library;
use crate::types::{ClientData, ClientText, EventProc, VixHandle};

/// Starts copying into the guest.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_CopyFileFromHostToGuest(
    vmHandle: VixHandle,
    hostPathName: ClientText,
    guestPathName: ClientText,
    options: c_int,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let paths = (hostPathName.read(), guestPathName.read());
        let make = |from: String, to| GuestCall::CopyToGuest {
            from: from.into(),
            to,
        };
        library().ask_of_two(vmHandle, paths, options, propertyListHandle, make, callback)
    })
}

/// Starts copying out of the guest.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_CopyFileFromGuestToHost(
    vmHandle: VixHandle,
    guestPathName: ClientText,
    hostPathName: ClientText,
    options: c_int,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let paths = (guestPathName.read(), hostPathName.read());
        let make = |from, to: String| GuestCall::CopyFromGuest {
            from,
            to: to.into(),
        };
        library().ask_of_two(vmHandle, paths, options, propertyListHandle, make, callback)
    })
}

/// Starts deleting a file.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_DeleteFileInGuest(
    vmHandle: VixHandle,
    guestPathName: ClientText,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let make = |path| GuestCall::DeleteFile { path };
        library().ask_of(
            vmHandle,
            guestPathName.read(),
            0,
            VIX_INVALID_HANDLE,
            make,
            callback,
        )
    })
}

/// Starts asking whether a file is there.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_FileExistsInGuest(
    vmHandle: VixHandle,
    guestPathName: ClientText,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let make = |path| GuestCall::FileExists { path };
        library().ask_of(
            vmHandle,
            guestPathName.read(),
            0,
            VIX_INVALID_HANDLE,
            make,
            callback,
        )
    })
}

/// Starts renaming a file or folder.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_RenameFileInGuest(
    vmHandle: VixHandle,
    oldName: ClientText,
    newName: ClientText,
    options: c_int,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let paths = (oldName.read(), newName.read());
        let make = |from, to| GuestCall::Rename { from, to };
        library().ask_of_two(vmHandle, paths, options, propertyListHandle, make, callback)
    })
}

/// Starts making an empty file.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_CreateTempFileInGuest(
    vmHandle: VixHandle,
    options: c_int,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let call = GuestCall::CreateTempFile;
        library().ask_plainly(vmHandle, options, propertyListHandle, call, callback)
    })
}

/// Starts asking about a file.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_GetFileInfoInGuest(
    vmHandle: VixHandle,
    pathName: ClientText,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let make = |path| GuestCall::FileInfo { path };
        library().ask_of(
            vmHandle,
            pathName.read(),
            0,
            VIX_INVALID_HANDLE,
            make,
            callback,
        )
    })
}

/// Starts listing a folder.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_ListDirectoryInGuest(
    vmHandle: VixHandle,
    pathName: ClientText,
    options: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let make = |path| GuestCall::ListDirectory { path };
        library().ask_of(
            vmHandle,
            pathName.read(),
            options,
            VIX_INVALID_HANDLE,
            make,
            callback,
        )
    })
}

/// Starts making a folder.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_CreateDirectoryInGuest(
    vmHandle: VixHandle,
    pathName: ClientText,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let make = |path| GuestCall::CreateDirectory { path };
        library().ask_of(
            vmHandle,
            pathName.read(),
            0,
            propertyListHandle,
            make,
            callback,
        )
    })
}

/// Starts deleting a folder.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_DeleteDirectoryInGuest(
    vmHandle: VixHandle,
    pathName: ClientText,
    options: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let make = |path| GuestCall::DeleteDirectory { path };
        library().ask_of(
            vmHandle,
            pathName.read(),
            options,
            VIX_INVALID_HANDLE,
            make,
            callback,
        )
    })
}

/// Starts asking whether a folder is there.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_DirectoryExistsInGuest(
    vmHandle: VixHandle,
    pathName: ClientText,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let make = |path| GuestCall::DirectoryExists { path };
        library().ask_of(
            vmHandle,
            pathName.read(),
            0,
            VIX_INVALID_HANDLE,
            make,
            callback,
        )
    })
}
