//! Clones.

use std::ffi::c_int;

use vix::CloneRequest;

use crate::guard::job;
use crate::process::library;
use crate::types::{ClientData, ClientText, EventProc, VixCloneType, VixHandle};

/// Starts cloning a VM.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_Clone(
    vmHandle: VixHandle,
    snapshotHandle: VixHandle,
    cloneType: VixCloneType,
    destConfigPathName: ClientText,
    options: c_int,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let request = CloneRequest {
            snapshot: snapshotHandle,
            kind: cloneType,
            destination: destConfigPathName.read(),
            options,
            list: propertyListHandle,
        };
        library().clone_vm(vmHandle, request, callback)
    })
}
