//! What runs: a small folder for each running VM, by which every process of the user finds it.
//!
//! It holds a record, the links to the disks, and the sockets in a folder of their own: that one alone is
//! QEMU's, where it runs as another user. It goes when the machine ends.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::qmp::Control;
use crate::error::{Error, Kind, Result, quoted};
use crate::store::{
    Store, create_private_dir, let_pass, link_to, machine, read_small, remove_folder, short_name,
    write_new,
};
use crate::vm::{Env, PowerState, StateReport, VmFolder, lock};

/// No record is larger.
const RECORD_LIMIT: u64 = 64 << 10;

/// What is left to do with a machine whose VM is gone.
pub(super) const END_ORPHAN: &str = "its machine still runs, and a hard stop ends it";

/// A running VM, as remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its configuration.
    pub(super) vmx: PathBuf,
    /// QEMU's process.
    pub(super) pid: u32,
    /// When that started, in ticks: with the number, it is unique.
    pub(super) start: u64,
    /// `kvm` or `tcg`.
    pub(super) accelerator: String,
}

impl Record {
    /// Whether it still runs.
    pub(super) fn is_alive(&self) -> bool {
        machine::is_alive(self.pid, Some(self.start))
    }

    /// Returns what the error of something that the machine was needed for means: where the machine
    /// has ended meanwhile, that.
    pub(super) fn explain(&self, error: Error) -> Error {
        if self.is_alive() {
            return error;
        }
        let text = format!("{} was powered off meanwhile", quoted(&self.vmx));
        Error::new(Kind::VmNotRunning, text).at(&self.vmx)
    }
}

/// The folder of one VM.
pub(super) struct Runtime {
    /// The folder.
    pub(super) dir: PathBuf,
}

impl Runtime {
    /// Returns the folder of the VM at `vmx`, which need not exist.
    pub(super) fn of(vmx: &Path) -> Self {
        Self {
            dir: root().join(short_name(vmx)),
        }
    }

    /// Makes the folder new and empty, for the user alone. With `passing`, another user reaches what it
    /// knows the name of.
    ///
    /// # Errors
    /// `Denied` where somebody else put a folder in its place; what the system says.
    pub(super) fn create(&self, passing: bool) -> Result<()> {
        create_private_dir(&root())?;
        if self.dir.exists() {
            remove_folder(&self.dir)?;
        }
        create_private_dir(&self.dir)?;
        if passing {
            let_pass(&root())?;
            let_pass(&self.dir)?;
        }
        create_private_dir(&self.turn())?;
        create_private_dir(&self.sockets())
    }

    /// Makes a folder in this one, which whoever may pass through this one may pass through, too.
    pub(super) fn make_folder(&self, dir: &Path) -> Result<()> {
        create_private_dir(dir)?;
        let failed = |error| Error::io("find", &self.dir, error);
        let is_passing = std::fs::metadata(&self.dir).map_err(failed)?.mode() & 0o011 != 0;
        if is_passing { let_pass(dir) } else { Ok(()) }
    }

    /// The folder of the sockets, and of whatever else QEMU makes.
    pub(super) fn sockets(&self) -> PathBuf {
        self.dir.join("sockets")
    }

    /// The socket through which the machine is spoken to.
    pub(super) fn socket(&self) -> PathBuf {
        self.sockets().join("control")
    }

    /// The socket over which memory and devices of the machine go.
    pub(super) fn stream(&self) -> PathBuf {
        self.sockets().join("stream")
    }

    /// The socket to which the console of a port connects.
    pub(super) fn port_socket(&self, device: &str) -> PathBuf {
        self.sockets().join(device)
    }

    /// The file that says that the guest's agent has answered; the keeper looks for it.
    fn answered(&self) -> PathBuf {
        self.dir.join("answered")
    }

    /// Remembers that the guest's agent has answered.
    pub(super) fn note_agent(&self, store: &dyn Store) {
        if !store.exists(&self.answered()) {
            // What is not noted is seen again.
            let _ = store.create(&self.answered());
        }
    }

    /// Tells whether the guest's agent has answered since the machine was started.
    pub(super) fn knows_agent(&self, store: &dyn Store) -> bool {
        store.exists(&self.answered())
    }

    /// The folder whose lock says whose turn it is to speak to the agent in the guest.
    pub(super) fn turn(&self) -> PathBuf {
        self.dir.join("turn")
    }

    /// The socket whose other end is the agent's port.
    pub(super) fn agent_socket(&self) -> PathBuf {
        self.sockets().join("agent")
    }

    /// Where QEMU finds the folder that is shared in a slot, to be read or written through.
    pub(super) fn share_link(&self, slot: u8, writable: bool) -> PathBuf {
        let mode = if writable { 'w' } else { 'r' };
        self.shares().join(format!("{slot}{mode}"))
    }

    /// Has QEMU find `folder` there.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn present_share(&self, slot: u8, writable: bool, folder: &Path) -> Result<()> {
        if !self.shares().exists() {
            self.make_folder(&self.shares())?;
        }
        let link = self.share_link(slot, writable);
        // What was shared in this slot before.
        let _ = std::fs::remove_file(&link);
        link_to(folder, &link)
    }

    /// An empty folder, for a device of a shared folder that is not shared any more.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn nothing(&self) -> Result<PathBuf> {
        let dir = self.dir.join("nothing");
        create_private_dir(&dir)?;
        let readable = std::fs::Permissions::from_mode(0o755);
        let set = std::fs::set_permissions(&dir, readable);
        set.map_err(|error| Error::io("open to others", &dir, error))?;
        Ok(dir)
    }

    fn shares(&self) -> PathBuf {
        self.dir.join("shares")
    }

    /// The file that says which shared folders are plugged in.
    pub(super) fn shares_record(&self) -> PathBuf {
        self.dir.join("shares.json")
    }

    fn record_path(&self) -> PathBuf {
        self.dir.join("record")
    }

    /// Remembers a machine that is about to run.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn remember(&self, store: &dyn Store, record: &Record) -> Result<()> {
        let text = serde_json::to_vec(record)
            .map_err(|error| Error::new(Kind::Internal, format!("a record of a VM: {error}")))?;
        write_new(store, &self.record_path(), &text)
    }

    /// Returns what is remembered, if it still runs.
    pub(super) fn record(&self, store: &dyn Store) -> Option<Record> {
        let bytes = read_small(store, &self.record_path(), RECORD_LIMIT).ok()?;
        let record: Record = serde_json::from_slice(&bytes).ok()?;
        record.is_alive().then_some(record)
    }
}

/// Returns the configurations of the VMs that run here, in order.
///
/// # Errors
/// What the system says.
pub(crate) fn running(env: &Env) -> Result<Vec<PathBuf>> {
    let store = &*env.store;
    let entries = store.list(&root()).unwrap_or_default();
    let runtimes = entries.iter().map(|entry| Runtime {
        dir: root().join(&entry.name),
    });
    let mut paths: Vec<PathBuf> = runtimes
        .filter_map(|runtime| Some(runtime.record(store)?.vmx))
        .collect();
    paths.sort();
    Ok(paths)
}

/// Returns the machine that still runs of a VM whose configuration is gone, with or without its folder.
pub(super) fn orphan(env: &Env, path: &Path) -> Option<Record> {
    let store = &*env.store;
    if store.exists(path) {
        return None;
    }
    let path = std::path::absolute(path).ok()?;
    // What is gone was no link when it ran, and what is not gone may be one.
    let standing = path.ancestors().find(|above| store.exists(above))?;
    let gone = path.strip_prefix(standing).ok()?;
    let vmx = store.canonical(standing).ok()?.join(gone);
    let record = Runtime::of(&vmx).record(store)?;
    (record.vmx == vmx).then_some(record)
}

/// Returns where the configuration was of a VM that still runs though it is gone.
pub(crate) fn orphaned(env: &Env, path: &Path) -> Option<PathBuf> {
    orphan(env, path).map(|record| record.vmx)
}

/// Says that a VM's machine runs on without its files.
pub(crate) fn runs_on(vmx: &Path) -> Error {
    let text = format!("the VM at {} lost its files while it ran", quoted(vmx));
    Error::new(Kind::VmRunning, text).at(vmx).hint(END_ORPHAN)
}

/// Returns the machine of a VM that runs here.
///
/// # Errors
/// `VmNotRunning`; `NotSupported` where another program runs or holds it.
pub(super) fn require_running(env: &Env, vm: &VmFolder) -> Result<Record> {
    if let Some(record) = Runtime::of(vm.vmx()).record(&*env.store) {
        return Ok(record);
    }
    crate::vm::state::read(env, vm).require_on(vm.vmx())?;
    let text = format!("{} cannot be reached", quoted(vm.vmx()));
    let hint = "it is being started or ended, or another user runs it";
    Err(Error::new(Kind::VmNotRunning, text).at(vm.vmx()).hint(hint))
}

/// Tells whether the guest of a VM is known to have its agent: it answered in this run, or an earlier one
/// that ended in order.
pub(crate) fn knows_agent(env: &Env, vm: &VmFolder) -> bool {
    vm.config.knows_agent() || Runtime::of(vm.vmx()).knows_agent(&*env.store)
}

/// Returns the power state of a VM: what its files say, and whether a running one is paused.
pub(crate) fn state(env: &Env, vm: &VmFolder) -> StateReport {
    let mut report = crate::vm::state::read(env, vm);
    if report.state == PowerState::On {
        let control = Control::connect(&Runtime::of(vm.vmx()).socket());
        if matches!(
            control.and_then(|mut control| control.is_running()),
            Ok(false)
        ) {
            report.state = PowerState::Paused;
        }
    }
    report
}

/// Removes what a machine left behind that could not clean up after itself.
pub(super) fn forget(store: &dyn Store, vmx: &Path, pid: u32) {
    lock::release(store, vmx, pid);
    let _ = remove_folder(&Runtime::of(vmx).dir);
}

/// Sockets have short names: their paths end at 107 bytes.
fn root() -> PathBuf {
    let user = nix::unistd::geteuid();
    if user.is_root() {
        return PathBuf::from("/run/replix");
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| dir.len() < 60) {
        Some(dir) => Path::new(&dir).join("replix"),
        None => PathBuf::from(format!("/tmp/replix-{user}")),
    }
}
