//! A VM held for an operation: opened, locked against others, its state known.

use std::path::Path;

use super::PowerState;
use super::env::Env;
use super::files;
use super::firmware::VARIABLES_ENDING;
use super::lock::{VmLock, VmwareLock};
use super::open::VmFolder;
use super::state::{self, StateReport};
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::store::{LockMode, Store, hidden_siblings};

/// A VM held for an operation; let go when dropped.
pub struct Claim<'a> {
    /// The VM as it was once it was held.
    pub vm: VmFolder,
    /// Its state then.
    pub state: StateReport,
    _vmware: Option<VmwareLock<'a>>,
    _folder: VmLock,
}

impl<'a> Claim<'a> {
    /// Holds the VM at `vmx`: alone to change its bookkeeping, else together with other readers.
    ///
    /// # Errors
    /// Those of opening; `FileLocked` where another process holds it for too long.
    pub fn take(env: &'a Env, vmx: &Path, mode: LockMode, job: &Job) -> Result<Self> {
        let store = &*env.store;
        let found = env.open(vmx)?;
        let folder = VmLock::acquire(store, found.dir(), mode, job, env.settings.patience)?;
        // It may have changed, or gone, while we waited.
        let vm = env.open(vmx)?;
        if mode == LockMode::Exclusive {
            sweep(store, &vm);
        }
        let state = state::read(env, &vm);
        // Who runs it holds VMware's lock already; what we do then does not touch the `.vmx`.
        let free = matches!(state.state, PowerState::Off | PowerState::Suspended);
        let vmware = free
            .then(|| VmwareLock::take(store, vm.vmx(), mode))
            .transpose()?;
        Ok(Self {
            vm,
            state,
            _vmware: vmware,
            _folder: folder,
        })
    }

    /// Lets go of VMware's lock on the VM, for a machine that takes it over. Our own lock stays.
    pub fn hand_over(&mut self) {
        self._vmware = None;
    }

    /// Demands that the VM is powered off and that nothing forbids to change it.
    ///
    /// # Errors
    /// `VmRunning`; `FileLocked` where another program holds a VM that does not run; those of
    /// [`Claim::require_plain`].
    pub fn require_off(&self) -> Result<()> {
        self.state
            .refusal(self.vm.vmx(), false)
            .map_or(Ok(()), Err)?;
        self.require_plain()
    }

    /// Refuses what a VM's configuration does not allow: encryption, sessions that were not ended,
    /// disks of the host.
    ///
    /// # Errors
    /// `Encrypted`, `NotSupported`, `DiskUnsupported`.
    pub fn require_plain(&self) -> Result<()> {
        let vmx = quoted(self.vm.vmx());
        if let Some(reason) = self.vm.config.encryption() {
            let text = format!("{vmx}: {}", escaped(&reason));
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

/// Removes what processes left that ended while they replaced one of the VM's texts: who holds the VM
/// alone is the only one that does.
fn sweep(store: &dyn Store, vm: &VmFolder) {
    let beside = |ending| files::beside(store, vm.vmx(), ending);
    let firmware = ["nvram", VARIABLES_ENDING].map(beside);
    let texts = [vm.vmx().to_path_buf(), vm.vmsd_path(store)];
    for path in texts.iter().chain(&firmware) {
        for left in hidden_siblings(store, path) {
            // It is in nobody's way, and a folder of that name is none of ours.
            let _ = store.remove_file(&left);
        }
    }
}
