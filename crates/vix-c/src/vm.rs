//! VMs: opening, power, deleting, the version of the hardware.

use std::ffi::c_int;

use vix::constants::{VIX_INVALID_HANDLE, VIX_VMOPEN_NORMAL};

use crate::guard::job;
use crate::process::library;
use crate::types::{
    ClientData, ClientText, EventProc, VixHandle, VixVMDeleteOptions, VixVMPowerOpOptions,
};

/// Starts opening a VM, without options.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_Open(
    hostHandle: VixHandle,
    vmxFilePathName: ClientText,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        let path = vmxFilePathName.read();
        library().open_vm(
            hostHandle,
            path,
            VIX_VMOPEN_NORMAL,
            VIX_INVALID_HANDLE,
            callback,
        )
    })
}

/// Starts powering a VM on.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_PowerOn(
    vmHandle: VixHandle,
    powerOnOptions: VixVMPowerOpOptions,
    propertyListHandle: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().power_on(vmHandle, powerOnOptions, propertyListHandle, callback)
    })
}

/// Starts powering a VM off.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_PowerOff(
    vmHandle: VixHandle,
    powerOffOptions: VixVMPowerOpOptions,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().power_off(vmHandle, powerOffOptions, callback)
    })
}

/// Starts restarting a VM.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_Reset(
    vmHandle: VixHandle,
    resetOptions: VixVMPowerOpOptions,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().reset(vmHandle, resetOptions, callback)
    })
}

/// Starts suspending a VM.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_Suspend(
    vmHandle: VixHandle,
    suspendOptions: VixVMPowerOpOptions,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().suspend(vmHandle, suspendOptions, callback)
    })
}

/// Starts halting a VM.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_Pause(
    vmHandle: VixHandle,
    options: c_int,
    propertyList: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().pause(vmHandle, options, propertyList, callback)
    })
}

/// Starts letting a halted VM go on.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_Unpause(
    vmHandle: VixHandle,
    options: c_int,
    propertyList: VixHandle,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().unpause(vmHandle, options, propertyList, callback)
    })
}

/// Starts deleting a VM.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_Delete(
    vmHandle: VixHandle,
    deleteOptions: VixVMDeleteOptions,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().delete(vmHandle, deleteOptions, callback)
    })
}

/// Starts raising the version of a VM's hardware.
#[unsafe(no_mangle)]
pub extern "C" fn VixVM_UpgradeVirtualHardware(
    vmHandle: VixHandle,
    options: c_int,
    callbackProc: EventProc,
    clientData: ClientData,
) -> VixHandle {
    job(callbackProc, clientData, |callback| {
        library().upgrade_virtual_hardware(vmHandle, options, callback)
    })
}
