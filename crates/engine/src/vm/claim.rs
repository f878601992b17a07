//! A VM held for an operation: opened, locked against others, its state known.

use std::path::Path;

use super::PowerState;
use super::env::Env;
use super::lock::{VmLock, VmwareLock};
use super::open::VmFolder;
use super::state::{self, Observed};
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::store::LockMode;

/// A VM held for an operation; let go when dropped.
pub struct Claim {
    /// The VM as it was once it was held.
    pub vm: VmFolder,
    /// Its state then.
    pub observed: Observed,
    _vmware: Option<VmwareLock>,
    _folder: VmLock,
}

impl Claim {
    /// Holds the VM at `vmx` alone, to change its bookkeeping.
    ///
    /// # Errors
    /// Those of opening; `FileLocked` where another process holds it for too long.
    pub fn alone(env: &Env, vmx: &Path, job: &Job) -> Result<Self> {
        Self::take(env, vmx, LockMode::Exclusive, job)
    }

    /// Holds the VM at `vmx` together with other readers.
    ///
    /// # Errors
    /// As [`Claim::alone`].
    pub fn shared(env: &Env, vmx: &Path, job: &Job) -> Result<Self> {
        Self::take(env, vmx, LockMode::Shared, job)
    }

    fn take(env: &Env, vmx: &Path, mode: LockMode, job: &Job) -> Result<Self> {
        let found = env.open(vmx)?;
        let folder = VmLock::acquire(&env.store, found.dir(), mode, job, env.settings.patience)?;
        // It may have changed, or gone, while we waited.
        let vm = env.open(vmx)?;
        let observed = state::observe(&*env.store, &vm)?;
        // Who runs it holds VMware's lock already; what we do then does not touch the `.vmx`.
        let vmware = match observed.state {
            PowerState::Off | PowerState::Suspended => {
                let alone = mode == LockMode::Exclusive;
                Some(VmwareLock::take(&env.store, vm.vmx(), alone)?)
            }
            _ => None,
        };
        Ok(Self {
            vm,
            observed,
            _vmware: vmware,
            _folder: folder,
        })
    }

    /// Demands that the VM is powered off.
    ///
    /// # Errors
    /// `VmRunning`; `FileLocked` where another program holds a VM that does not run.
    pub fn require_off(&self) -> Result<()> {
        if self.observed.state == PowerState::Off {
            Ok(())
        } else {
            Err(self.not_off())
        }
    }

    /// Returns the error that says in what state the VM is, and that it must not be.
    pub fn not_off(&self) -> Error {
        let vmx = quoted(self.vm.vmx());
        let by = match &self.observed.holder {
            Some(holder) => format!(" by {}", escaped(holder)),
            None => String::new(),
        };
        let (kind, text, hint) = match self.observed.state {
            PowerState::Locked => (
                Kind::FileLocked,
                format!("{vmx} is held{by}"),
                "close it there",
            ),
            PowerState::Suspended => {
                let hint =
                    "resume it and power it off first: its saved memory fits its disks of now";
                (Kind::VmRunning, format!("{vmx} is suspended"), hint)
            }
            PowerState::Paused => (
                Kind::VmRunning,
                format!("{vmx} is paused"),
                "power it off first",
            ),
            PowerState::Foreign => {
                let hint =
                    "power it off there; if nothing runs it any more, remove its .lck folders";
                (Kind::VmRunning, format!("{vmx} is in use{by}"), hint)
            }
            PowerState::On | PowerState::Off => (
                Kind::VmRunning,
                format!("{vmx} is running"),
                "power it off first",
            ),
        };
        Error::new(kind, text).at(self.vm.vmx()).hint(hint)
    }

    /// Refuses what a VM's configuration does not allow: encryption, sessions that were not ended,
    /// disks of the host.
    ///
    /// # Errors
    /// `Encrypted`, `NotSupported`, `DiskUnsupported`.
    pub fn require_plain(&self) -> Result<()> {
        let vmx = quoted(self.vm.vmx());
        if let Some(reason) = self.vm.config.encryption() {
            let text = format!("{vmx} is encrypted ({})", escaped(&reason));
            let hint = "remove the encryption in VMware first; its key is not ours to have";
            return Err(Error::new(Kind::Encrypted, text)
                .at(self.vm.vmx())
                .hint(hint));
        }
        for slot in self.vm.config.disks() {
            let node = slot.node;
            if slot.raw {
                let text = format!("{vmx}: {node} is a disk of the host, not a file");
                return Err(Error::new(Kind::DiskUnsupported, text).at(self.vm.vmx()));
            }
            if let Some(redo) = &slot.redo {
                let redo = escaped(redo);
                let text = format!("{vmx}: {node} is in a session that was not ended (\"{redo}\")");
                let hint = "end the session in VMware: keep or discard its changes";
                return Err(Error::new(Kind::NotSupported, text)
                    .at(self.vm.vmx())
                    .hint(hint));
            }
        }
        Ok(())
    }
}
