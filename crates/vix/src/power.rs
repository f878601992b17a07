//! Power: on, off, reset, suspend, pause, and the virtual hardware's version.

use replix::power::{StartSpec, StopMode};

use crate::argument::{no_list, options};
use crate::constants::*;
use crate::job::Callback;
use crate::library::Library;
use crate::table::Handle;

/// Hard, or through the guest.
///
/// # Errors
/// `VIX_E_INVALID_ARG` for other options.
fn mode(bits: i32) -> crate::error::Result<StopMode> {
    options(bits, VIX_VMPOWEROP_FROM_GUEST)?;
    Ok(match bits {
        VIX_VMPOWEROP_FROM_GUEST => StopMode::Soft,
        _ => StopMode::Hard,
    })
}

impl Library {
    /// Starts powering a VM on, or resuming it; the job ends when the guest executes.
    pub fn power_on(
        &self,
        vm: Handle,
        bits: i32,
        list: Handle,
        callback: Option<Callback>,
    ) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            no_list(list)?;
            options(
                bits,
                VIX_VMPOWEROP_LAUNCH_GUI | VIX_VMPOWEROP_START_VM_PAUSED,
            )?;
            let spec = StartSpec {
                gui: bits & VIX_VMPOWEROP_LAUNCH_GUI != 0,
                paused: bits & VIX_VMPOWEROP_START_VM_PAUSED != 0,
            };
            vm.provider().power_on(&vm.path, &spec, &run.control)?;
            Ok(Vec::new())
        })
    }

    /// Starts powering a VM off.
    pub fn power_off(&self, vm: Handle, bits: i32, callback: Option<Callback>) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.provider()
                .power_off(&vm.path, mode(bits)?, &run.control)?;
            Ok(Vec::new())
        })
    }

    /// Starts resetting a VM.
    pub fn reset(&self, vm: Handle, bits: i32, callback: Option<Callback>) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.provider().reset(&vm.path, mode(bits)?, &run.control)?;
            Ok(Vec::new())
        })
    }

    /// Starts suspending a VM.
    pub fn suspend(&self, vm: Handle, bits: i32, callback: Option<Callback>) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.provider().suspend(&vm.path, mode(bits)?, &run.control)?;
            Ok(Vec::new())
        })
    }

    /// Starts pausing a VM.
    pub fn pause(&self, vm: Handle, bits: i32, list: Handle, callback: Option<Callback>) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.host.require_workstation()?;
            no_list(list)?;
            options(bits, 0)?;
            vm.provider().pause(&vm.path, &run.control)?;
            Ok(Vec::new())
        })
    }

    /// Starts letting a paused VM go on.
    pub fn unpause(
        &self,
        vm: Handle,
        bits: i32,
        list: Handle,
        callback: Option<Callback>,
    ) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.host.require_workstation()?;
            no_list(list)?;
            options(bits, 0)?;
            vm.provider().unpause(&vm.path, &run.control)?;
            Ok(Vec::new())
        })
    }

    /// Starts raising the version of a VM's virtual hardware to the newest.
    pub fn upgrade_virtual_hardware(
        &self,
        vm: Handle,
        bits: i32,
        callback: Option<Callback>,
    ) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.host.require_workstation()?;
            options(bits, 0)?;
            vm.provider().upgrade_hardware(&vm.path, &run.control)?;
            Ok(Vec::new())
        })
    }
}
