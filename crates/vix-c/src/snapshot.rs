//! Snapshots of a VM: the tree, and what is done with it.

use std::ffi::c_int;

use crate::guard::{job, store};
use crate::process::library;
use crate::types::{
    ClientData, ClientText, EventProc, Out, VixCreateSnapshotOptions, VixError, VixHandle,
    VixRemoveSnapshotOptions, VixVMPowerOpOptions,
};

/// Stores how many snapshots stand on no other.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_GetNumRootSnapshots(vmHandle: VixHandle, result: Out<c_int>) -> VixError {
    store(result, || library().num_root_snapshots(vmHandle))
}

/// Stores one of them.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_GetRootSnapshot(
    vmHandle: VixHandle,
    index: c_int,
    snapshotHandle: Out<VixHandle>,
) -> VixError {
    store(snapshotHandle, || library().root_snapshot(vmHandle, index))
}

/// Stores the snapshot that the present state stands on.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_GetCurrentSnapshot(
    vmHandle: VixHandle,
    snapshotHandle: Out<VixHandle>,
) -> VixError {
    store(snapshotHandle, || library().current_snapshot(vmHandle))
}

/// Stores the snapshot of a name.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_GetNamedSnapshot(
    vmHandle: VixHandle,
    name: ClientText,
    snapshotHandle: Out<VixHandle>,
) -> VixError {
    store(snapshotHandle, || {
        library().named_snapshot(vmHandle, name.read())
    })
}

/// Starts taking a snapshot.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_CreateSnapshot(
    vmHandle: VixHandle,
    name: ClientText,
    description: ClientText,
    options: VixCreateSnapshotOptions,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let names = (name.read(), description.read());
        library().create_snapshot(vmHandle, names, options, propertyListHandle, callback)
    })
}

/// Starts setting a VM back to a snapshot.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_RevertToSnapshot(
    vmHandle: VixHandle,
    snapshotHandle: VixHandle,
    options: VixVMPowerOpOptions,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().revert(
            vmHandle,
            snapshotHandle,
            options,
            propertyListHandle,
            callback,
        )
    })
}

/// Starts removing a snapshot.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_RemoveSnapshot(
    vmHandle: VixHandle,
    snapshotHandle: VixHandle,
    options: VixRemoveSnapshotOptions,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().remove_snapshot(vmHandle, snapshotHandle, options, callback)
    })
}

/// Stores how many snapshots stand on one.
#[unsafe(no_mangle)]
pub extern "C" fn VixSnapshot_GetNumChildren(
    parentSnapshotHandle: VixHandle,
    numChildSnapshots: Out<c_int>,
) -> VixError {
    store(numChildSnapshots, || {
        library().num_child_snapshots(parentSnapshotHandle)
    })
}

/// Stores one of them.
#[unsafe(no_mangle)]
pub extern "C" fn VixSnapshot_GetChild(
    parentSnapshotHandle: VixHandle,
    index: c_int,
    childSnapshotHandle: Out<VixHandle>,
) -> VixError {
    store(childSnapshotHandle, || {
        library().child_snapshot(parentSnapshotHandle, index)
    })
}

/// Stores the snapshot that one stands on.
#[unsafe(no_mangle)]
pub extern "C" fn VixSnapshot_GetParent(
    snapshotHandle: VixHandle,
    parentSnapshotHandle: Out<VixHandle>,
) -> VixError {
    store(parentSnapshotHandle, || {
        library().parent_snapshot(snapshotHandle)
    })
}
