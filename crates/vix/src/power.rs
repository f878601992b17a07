//! Power: on, off, reset, suspend, pause, and the virtual hardware's version.

use std::path::Path;

use replix::Job;
use replix::host::Provider;
use replix::power::{StartSpec, StopMode};

use crate::argument::{no_list, options};
use crate::constants::*;
use crate::job::Callback;
use crate::library::Library;
use crate::table::Handle;

/// An operation of a host's that is done hard, or through the guest.
type InMode = fn(&(dyn Provider + 'static), &Path, StopMode, &Job) -> replix::Result<()>;

/// An operation of a host's on a VM that takes nothing else.
type Plain = fn(&(dyn Provider + 'static), &Path, &Job) -> replix::Result<()>;

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
                ..StartSpec::default()
            };
            vm.provider().power_on(&vm.path, &spec, &run.control)?;
            Ok(Vec::new())
        })
    }

    /// Starts powering a VM off.
    pub fn power_off(&self, vm: Handle, bits: i32, callback: Option<Callback>) -> Handle {
        self.in_mode(vm, bits, <dyn Provider>::power_off, callback)
    }

    /// Starts resetting a VM.
    pub fn reset(&self, vm: Handle, bits: i32, callback: Option<Callback>) -> Handle {
        self.in_mode(vm, bits, <dyn Provider>::reset, callback)
    }

    /// Starts suspending a VM.
    pub fn suspend(&self, vm: Handle, bits: i32, callback: Option<Callback>) -> Handle {
        self.in_mode(vm, bits, <dyn Provider>::suspend, callback)
    }

    /// Starts pausing a VM.
    pub fn pause(&self, vm: Handle, bits: i32, list: Handle, callback: Option<Callback>) -> Handle {
        self.plainly(vm, bits, list, <dyn Provider>::pause, callback)
    }

    /// Starts letting a paused VM go on.
    pub fn unpause(
        &self,
        vm: Handle,
        bits: i32,
        list: Handle,
        callback: Option<Callback>,
    ) -> Handle {
        self.plainly(vm, bits, list, <dyn Provider>::unpause, callback)
    }

    /// Starts raising the version of a VM's virtual hardware to the newest.
    pub fn upgrade_virtual_hardware(
        &self,
        vm: Handle,
        bits: i32,
        callback: Option<Callback>,
    ) -> Handle {
        let upgrade = <dyn Provider>::upgrade_hardware;
        self.plainly(vm, bits, VIX_INVALID_HANDLE, upgrade, callback)
    }

    /// Starts what is done hard, or through the guest.
    fn in_mode(&self, vm: Handle, bits: i32, act: InMode, callback: Option<Callback>) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            options(bits, VIX_VMPOWEROP_FROM_GUEST)?;
            let mode = match bits {
                VIX_VMPOWEROP_FROM_GUEST => StopMode::Soft,
                _ => StopMode::Hard,
            };
            act(vm.provider(), &vm.path, mode, &run.control)?;
            Ok(Vec::new())
        })
    }

    /// Starts what takes neither options nor a list, and not every host can do.
    fn plainly(
        &self,
        vm: Handle,
        bits: i32,
        list: Handle,
        act: Plain,
        callback: Option<Callback>,
    ) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.host.require_workstation()?;
            no_list(list)?;
            options(bits, 0)?;
            act(vm.provider(), &vm.path, &run.control)?;
            Ok(Vec::new())
        })
    }
}
