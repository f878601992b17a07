//! A VM that runs here, held still while something is done to its files.
//!
//! Whoever holds it is alone: others wait who would let its guest execute. However the holding ends,
//! the machine is first brought to the disks that the VM's configuration then names, and only then
//! does its guest go on. So a command that was killed half-way leaves a paused VM, and the next one
//! that lets it execute finishes the exchange.

use std::path::Path;
use std::time::Duration;

use super::agent::Channel;
use super::qmp::Control;
use super::runtime::{Record, Runtime, require_running};
use super::saved::{self, Memory};
use super::seam;
use super::shares::{self, Unmounted};
use super::stop::{cut, explain};
use super::transfer;
use crate::disk::Chain;
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::store::{LockMode, Store, replace};
use crate::vm::{Bus, Env, VmFolder, VmLock};

/// A VM that runs here, in the hands of one operation.
pub(crate) struct Held<'a> {
    env: &'a Env,
    run: Runtime,
    record: Record,
    _lock: VmLock,
}

impl<'a> Held<'a> {
    /// Takes the VM in hand, waiting for others that have it.
    ///
    /// # Errors
    /// `VmNotRunning`; `FileLocked` where another operation holds it for too long.
    pub(super) fn take(env: &'a Env, vm: &VmFolder, job: &Job) -> Result<Self> {
        Self::lock(env, vm, job, env.settings.patience)
    }

    /// Takes the VM in hand, unless another operation has it.
    ///
    /// # Errors
    /// `VmNotRunning`; what the system says.
    pub(super) fn at_once(env: &'a Env, vm: &VmFolder) -> Result<Option<Self>> {
        match Self::lock(env, vm, &Job::new(), Duration::ZERO) {
            Ok(held) => Ok(Some(held)),
            Err(error) if error.kind() == Kind::FileLocked => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lock(env: &'a Env, vm: &VmFolder, job: &Job, patience: Duration) -> Result<Self> {
        let store = &*env.store;
        let record = require_running(env, vm)?;
        let run = Runtime::of(vm.vmx());
        let lock = VmLock::acquire(store, &run.dir, LockMode::Exclusive, job, patience);
        let lock = lock.map_err(|error| record.explain(error))?;
        Ok(Self {
            env,
            run,
            record,
            _lock: lock,
        })
    }

    /// The configuration of the VM.
    pub(super) fn vmx(&self) -> &Path {
        &self.record.vmx
    }

    /// The folder of the running VM.
    pub(super) fn run(&self) -> &Runtime {
        &self.run
    }

    /// Files of this machine.
    pub(super) fn store(&self) -> &'a dyn Store {
        &*self.env.store
    }

    /// Returns the way to the agent in the guest.
    pub(super) fn agent<'b>(&'b self, job: &'b Job) -> Channel<'b> {
        Channel::of(self.env, self.record.clone(), job)
    }

    /// Speaks to the machine.
    ///
    /// # Errors
    /// What `what` says; `VmNotRunning` where the machine has ended meanwhile.
    pub(super) fn ask<T>(&self, what: impl FnOnce(&mut Control) -> Result<T>) -> Result<T> {
        let control = Control::connect(&self.run.socket());
        let told = control.and_then(|mut control| what(&mut control));
        told.map_err(|error| explain(&self.record, error))
    }

    /// Lets the guest execute, on the disks that the VM's configuration names.
    ///
    /// # Errors
    /// `VmNotRunning`; what is wrong with a disk; what QEMU says.
    pub(super) fn go_on(&self) -> Result<()> {
        if self.ask(Control::is_running)? {
            return Ok(());
        }
        self.settle()?;
        self.ask(Control::resume)
    }

    /// Brings a machine whose guest does not execute to the disks that the VM's configuration names.
    pub(super) fn settle(&self) -> Result<()> {
        let store = &*self.env.store;
        if self.ask(Control::awaits_memory)? {
            let vmx = &self.record.vmx;
            let text = format!("{} was being resumed, and has no memory yet", quoted(vmx));
            let hint = "stop it hard: it is suspended as before, and can be resumed";
            return Err(Error::new(Kind::VmNotRunning, text).at(vmx).hint(hint));
        }
        let mut vm = self.env.open(&self.record.vmx)?;
        let mut chains: Vec<Chain> = Vec::new();
        for slot in vm.config.disks() {
            chains.push(self.env.disk(&vm, &slot.file_name)?);
        }
        self.ask(
            |control| match seam::stands_on(control, &self.run, &chains)? {
                true => Ok(()),
                false => seam::take_up(control, &self.run, &chains),
            },
        )?;
        if vm.config.suspended_to().is_none() {
            return Ok(());
        }
        // Somebody saved it and was killed before it ended: what is saved is about to be outdated.
        let saved = saved::suspended_memory(self.env, &vm).ok().flatten();
        vm.config.forget_suspended();
        vm.config.begin_run();
        replace(store, vm.vmx(), &vm.config.to_bytes())?;
        if let Some(saved) = saved {
            saved.consume(self.env);
        }
        Ok(())
    }
}

/// A VM that runs here, its guest halted; it goes on when this is dropped.
pub(crate) struct Halted<'a> {
    held: Held<'a>,
    was_running: bool,
    ended: bool,
    /// The shared folders that are to be mounted again.
    unmounted: Option<Unmounted>,
}

impl<'a> Halted<'a> {
    /// Halts the guest of a VM.
    ///
    /// # Errors
    /// As [`Held::take`].
    pub(crate) fn take(env: &'a Env, vm: &VmFolder, job: &Job) -> Result<Self> {
        Self::halt(Held::take(env, vm, job)?, None)
    }

    /// Halts the guest of a VM whose memory is to be saved: its shared folders are unmounted before, and
    /// mounted again when it goes on.
    ///
    /// # Errors
    /// As [`Held::take`]; `Busy` naming a shared folder that the guest does not let go of.
    pub(crate) fn take_to_save(env: &'a Env, vm: &VmFolder, job: &Job) -> Result<Self> {
        let held = Held::take(env, vm, job)?;
        let unmounted = shares::unmount(&held, job)?;
        Self::halt(held, Some(unmounted))
    }

    fn halt(held: Held<'a>, unmounted: Option<Unmounted>) -> Result<Self> {
        let was_running = held.ask(Control::is_running)?;
        if held.ask(Control::is_spent)? {
            // It was saved before while it was paused. No other way leads out of that than for the guest
            // to execute for a moment.
            held.go_on()?;
            held.ask(Control::pause)?;
        }
        if was_running {
            held.ask(Control::pause)?;
        }
        Ok(Self {
            held,
            was_running,
            ended: false,
            unmounted,
        })
    }

    /// Closes the disks of the machine: their files are free to be worked on.
    ///
    /// # Errors
    /// What QEMU says.
    pub(crate) fn let_go(&self) -> Result<()> {
        self.held.ask(seam::let_go)
    }

    /// Tells whether the guest executed.
    pub(crate) fn was_running(&self) -> bool {
        self.was_running
    }

    /// Saves the guest's memory and the state of its devices to a new file at `path` and, as the VM's
    /// configuration has it, a `.vmem` beside it, durable; who goes on with it is paused where `paused`.
    /// The disks must have been let go of; the file fits them as they are now.
    ///
    /// # Errors
    /// `Cancelled`, `NoSpace`; `Busy` naming a shared folder that is mounted; what QEMU says. No file is left then.
    pub(crate) fn save(&self, vm: &VmFolder, path: &Path, paused: bool, job: &Job) -> Result<()> {
        // Of one that was paused before, too.
        shares::require_unmounted(&self.held)?;
        let (release, machine) = self
            .held
            .ask(|control| Ok((control.release()?, control.machine()?)))?;
        let plugged = shares::plugged(&self.held)?;
        let memory = Memory {
            qemu: release,
            machine,
            accelerator: self.held.record.accelerator.clone(),
            paused,
            disks: saved::identify(self.held.env, vm)?,
            ram: None,
            shares: plugged.iter().map(|one| one.slot).collect(),
            hardware: vm.config.hardware(),
        };
        let memory = (memory, vm.config.has_memory_file());
        transfer::save(self.held.env, &self.held, &self.held.run, path, memory, job)
    }

    /// Lets the guest go on as before, on the disks that the VM's configuration names now.
    ///
    /// # Errors
    /// `VmNotRunning`; what is wrong with a disk; what QEMU says.
    pub(crate) fn go_on(mut self) -> Result<()> {
        self.ended = true;
        self.release()
    }

    /// Ends the machine.
    ///
    /// # Errors
    /// `Timeout`.
    pub(super) fn end(mut self) -> Result<()> {
        self.ended = true;
        cut(&*self.held.env.store, &self.held.record)
    }

    fn release(&self) -> Result<()> {
        if !self.was_running {
            return self.held.settle();
        }
        self.held.go_on()?;
        if let Some(unmounted) = &self.unmounted {
            shares::mount_again(&self.held, unmounted);
        }
        Ok(())
    }
}

impl Drop for Halted<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // The error that brought us here is the one that matters.
            let _ = self.release();
        }
    }
}

/// Refuses to save the memory of a VM with devices that cannot be saved.
///
/// # Errors
/// `NotSupported` naming them.
pub(crate) fn require_savable(env: &Env, vm: &VmFolder, job: &Job) -> Result<()> {
    let disks = vm.config.disks();
    let nvme = disks.iter().filter(|slot| slot.node.bus == Bus::Nvme);
    let mut reasons: Vec<String> = nvme
        .map(|slot| {
            format!(
                "{} is an NVMe disk, whose state QEMU cannot save",
                slot.node
            )
        })
        .collect();
    if reasons.is_empty() {
        let transfer = Held::take(env, vm, job)?.ask(Control::transfer)?;
        // The disks are let go of before, and shared folders unmounted.
        let others =
            |reason: &String| shares::mounted_tag(reason).is_none() && !reason.contains("vmdk");
        reasons = transfer.blocked_reasons.unwrap_or_default();
        reasons.retain(others);
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(saved::unsavable(vm, &reasons))
}
