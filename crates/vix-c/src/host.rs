//! Hosts: connecting, the inventory, finding and opening VMs.

use std::ffi::c_int;

use vix::HostSpec;

use crate::guard::{guarded, job};
use crate::process::library;
use crate::types::{
    ClientData, ClientText, EventProc, VixFindItemType, VixHandle, VixHostOptions,
    VixPumpEventsOptions, VixServiceProvider, VixVMOpenOptions,
};

/// Starts connecting to a host.
#[unsafe(no_mangle)]
pub extern "C" fn VixHost_Connect(
    apiVersion: c_int,
    hostType: VixServiceProvider,
    hostName: ClientText,
    _hostPort: c_int,
    userName: ClientText,
    password: ClientText,
    options: VixHostOptions,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let spec = HostSpec {
            api_version: apiVersion,
            provider: hostType,
            name: hostName.read(),
            account: (userName.read(), password.read()),
            options,
            list: propertyListHandle,
        };
        library().connect(spec, callback)
    })
}

/// Ends a connection.
#[unsafe(no_mangle)]
pub extern "C" fn VixHost_Disconnect(hostHandle: VixHandle) {
    guarded((), || library().disconnect(hostHandle));
}

/// Starts entering a VM into the inventory.
#[unsafe(no_mangle)]
pub extern "C" fn VixHost_RegisterVM(
    hostHandle: VixHandle,
    vmxFilePath: ClientText,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().register_vm(hostHandle, vmxFilePath.read(), callback)
    })
}

/// Starts striking a VM from the inventory.
#[unsafe(no_mangle)]
pub extern "C" fn VixHost_UnregisterVM(
    hostHandle: VixHandle,
    vmxFilePath: ClientText,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().unregister_vm(hostHandle, vmxFilePath.read(), callback)
    })
}

/// Starts finding VMs.
#[unsafe(no_mangle)]
pub extern "C" fn VixHost_FindItems(
    hostHandle: VixHandle,
    searchType: VixFindItemType,
    searchCriteria: VixHandle,
    timeout: i32,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().find_items(hostHandle, searchType, searchCriteria, timeout, callback)
    })
}

/// Starts opening a VM.
#[unsafe(no_mangle)]
pub extern "C" fn VixHost_OpenVM(
    hostHandle: VixHandle,
    vmxFilePathName: ClientText,
    options: VixVMOpenOptions,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let path = vmxFilePathName.read();
        library().open_vm(hostHandle, path, options, propertyListHandle, callback)
    })
}

/// Runs what waits for a host's event pump.
#[unsafe(no_mangle)]
pub extern "C" fn Vix_PumpEvents(hostHandle: VixHandle, _options: VixPumpEventsOptions) {
    guarded((), || library().pump_events(hostHandle));
}
