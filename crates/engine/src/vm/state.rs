//! The power state of a VM, read from its files and locks.
//!
//! Whether a VM that runs here is paused, files do not tell: that is for whoever speaks to it.

use std::path::{Path, PathBuf};

use super::PowerState;
use super::env::Env;
use super::files::join;
use super::lock::{self, Holder, Life};
use super::open::VmFolder;
use crate::error::{Error, Kind, Result, quoted};
use crate::store::{FileKind, LockMode, Store, UNFINISHED, folder_of, remove_if_there};

/// The ending of the files in which we save a guest's memory; VMware's are `.vmss` and `.vmsn`.
pub const MEMORY_ENDING: &str = "replixstate";

/// The ending of the files beside them with the guest's main memory; VMware's has the same.
const RAM_ENDING: &str = "vmem";

/// Tells whether a file that a VM is suspended to is one of ours, by its name.
pub fn is_our_memory(name: &str) -> bool {
    let ending = Path::new(name).extension().unwrap_or_default();
    ending.eq_ignore_ascii_case(MEMORY_ENDING)
}

/// Returns a new name for the memory of a VM that is being suspended.
pub fn new_memory(vm_stem: &str) -> String {
    format!("{vm_stem}-{:08x}.{MEMORY_ENDING}", rand::random::<u32>())
}

/// Returns the name of the memory that belongs to a snapshot, by that of its `.vmsn`.
pub fn memory_beside(file_name: impl AsRef<Path>) -> PathBuf {
    file_name.as_ref().with_extension(MEMORY_ENDING)
}

/// Returns the files with memory of a VM that was suspended, or was being, and that it is not suspended to:
/// whoever saved or resumed it was killed. Nobody may be doing either.
///
/// They are of no use, since the VM has gone on or is about to. Only those in its own folder are
/// known by their names.
pub fn stray_memories(store: &dyn Store, vm: &VmFolder) -> Vec<PathBuf> {
    let stem = vm.stem();
    let named = vm.config.suspended_to();
    let entries = store.list(vm.dir()).unwrap_or_default().into_iter();
    let is_stray = |name: &str| match name.strip_prefix('.') {
        Some(hidden) => hidden
            .split_once(UNFINISHED)
            .is_some_and(|(name, _)| is_memory_of(&stem, name)),
        // VMware has files of the other ending too.
        None => {
            name.ends_with(MEMORY_ENDING)
                && is_own_memory_of(&stem, name)
                && named.as_deref() != Some(name)
        }
    };
    let stray = entries
        .filter(|entry| entry.kind == FileKind::File && is_stray(&entry.name.to_string_lossy()))
        .map(|entry| vm.dir().join(entry.name));
    stray
        .flat_map(|path| [ram_beside(&path), path])
        .filter(|path| store.exists(path))
        .collect()
}

/// Whether [`new_memory`] makes such names. Another VM's longer name is not ours.
fn is_own_memory_of(vm_stem: &str, name: &str) -> bool {
    middle(vm_stem, name)
        .is_some_and(|part| part.len() == 8 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether the memory of a VM, or of a snapshot of it, has such a name.
fn is_memory_of(vm_stem: &str, name: &str) -> bool {
    let number = middle(vm_stem, name).and_then(|part| part.strip_prefix("Snapshot"));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
        || is_own_memory_of(vm_stem, name)
}

/// What stands in the name of a memory between the VM's and the ending.
fn middle<'a>(vm_stem: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_prefix(vm_stem)?.strip_prefix('-')?;
    let known = [MEMORY_ENDING, RAM_ENDING].into_iter();
    let mut parts = known.filter_map(|ending| rest.strip_suffix(ending)?.strip_suffix('.'));
    parts.next()
}

/// Returns where the guest's main memory lies that belongs to a file of ours.
pub fn ram_beside(memory: impl AsRef<Path>) -> PathBuf {
    memory.as_ref().with_extension(RAM_ENDING)
}

/// Removes a file of ours with what belongs to it, as far as they are there.
pub fn remove_memory(store: &dyn Store, memory: &Path) {
    // That one first: it is known as ours by the other, which stays where it does.
    let removed = remove_if_there(store, &ram_beside(memory));
    // What is left is the VM's own, and goes with it.
    let _ = removed.and_then(|()| remove_if_there(store, memory));
}

/// The state of a VM, and who is the cause of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateReport {
    /// The state.
    pub state: PowerState,
    /// The file that is held, and by whom.
    pub held: Option<(PathBuf, Holder)>,
    /// The disk that a QEMU which is none of ours has open for writing.
    pub written: Option<PathBuf>,
}

impl StateReport {
    /// Says who runs or holds the VM.
    pub fn holder(&self) -> Option<String> {
        let holder = self.held.as_ref().map(|(_, holder)| holder.to_string());
        let writer = |disk| format!("a QEMU that writes to {}", quoted(disk));
        holder.or_else(|| self.written.as_ref().map(writer))
    }

    /// Says what to do about a lock that may have been copied with the VM.
    pub fn cure(&self) -> Option<String> {
        let (file, holder) = self.held.as_ref()?;
        (holder.life == Life::Elsewhere).then(|| lock::cure(file))
    }

    /// Demands that the VM runs here, paused or not.
    ///
    /// # Errors
    /// `VmNotRunning`; `NotSupported` where another program runs or holds it.
    pub fn require_on(&self, vmx: &Path) -> Result<()> {
        let refused = match self.state {
            PowerState::On | PowerState::Paused => return Ok(()),
            PowerState::Foreign | PowerState::Locked => {
                let by = self.holder().unwrap_or_else(|| "another program".into());
                let text = format!("{} is held by {by}, not by us", quoted(vmx));
                Error::new(Kind::NotSupported, text).hint("do it there")
            }
            PowerState::Off | PowerState::Suspended => {
                let text = format!("{} is not powered on", quoted(vmx));
                Error::new(Kind::VmNotRunning, text)
            }
        };
        Err(refused.at(vmx))
    }

    /// Returns why an operation that needs the VM off cannot be done; `None` where it is off.
    /// A suspended VM is off for those who `allow_suspended`.
    pub fn refusal(&self, vmx: &Path, allow_suspended: bool) -> Option<Error> {
        let by = self.holder().map_or(String::new(), |h| format!(" by {h}"));
        let (kind, what) = match self.state {
            PowerState::Off => return None,
            PowerState::Suspended if allow_suspended => return None,
            PowerState::Suspended => (Kind::VmRunning, "is suspended".into()),
            PowerState::On => (Kind::VmRunning, "is running".into()),
            PowerState::Paused => (Kind::VmRunning, "is paused".into()),
            PowerState::Foreign => (Kind::VmRunning, format!("is being run{by}")),
            PowerState::Locked => (Kind::FileLocked, format!("is held{by}")),
        };
        let error = Error::new(kind, format!("{} {what}", quoted(vmx))).at(vmx);
        Some(match self.cure() {
            Some(cure) => error.hint(cure),
            None => error,
        })
    }
}

/// Returns the power state of a VM.
pub fn read(env: &Env, vm: &VmFolder) -> StateReport {
    let store = &*env.store;
    let files = lockable(env, vm);
    let (state, held) = by_locks(store, &files);
    let written = match state {
        Some(_) => None,
        None => files
            .into_iter()
            .map(|(file, _)| file)
            .filter(|file| env.is_own_place(vm, file))
            .find(|file| store.is_written(file).unwrap_or(false)),
    };
    let state = match (state, &written, vm.config.suspended_to()) {
        (Some(state), _, _) => state,
        (None, Some(_), _) => PowerState::Foreign,
        (None, None, Some(_)) => PowerState::Suspended,
        (None, None, None) => PowerState::Off,
    };
    StateReport {
        state,
        held,
        written,
    }
}

/// What the locks of the files say; that somebody runs the VM counts more than that it is locked.
fn by_locks(
    store: &dyn Store,
    files: &[(PathBuf, bool)],
) -> (Option<PowerState>, Option<(PathBuf, Holder)>) {
    let mut locked = None;
    for (file, is_vmx) in files {
        for holder in lock::holders(store, file) {
            match meaning(&holder, *is_vmx) {
                Some(PowerState::Locked) => locked = locked.or(Some((file.clone(), holder))),
                Some(state) => return (Some(state), Some((file.clone(), holder))),
                None => {}
            }
        }
    }
    (locked.as_ref().map(|_| PowerState::Locked), locked)
}

/// The files by whose locks a running VM shows: its configuration, its disks, its memory. A disk that lies
/// where the VM may not reach is none of them, whatever the configuration calls it.
fn lockable(env: &Env, vm: &VmFolder) -> Vec<(PathBuf, bool)> {
    let store = &*env.store;
    let mut files = vec![(vm.vmx().to_path_buf(), true)];
    for disk in vm.config.disks() {
        let found = vm.find(store, &disk.file_name).map(|found| found.path);
        // Its lock may be there though the disk itself is not.
        let path = found.unwrap_or_else(|| join(vm.dir(), &disk.file_name));
        if env.own_folder(vm, folder_of(&path)).is_ok() {
            files.push((path, false));
        }
    }
    files.extend(memory_files(store, vm).map(|file| (file, false)));
    files
}

/// The memory of a running VM is in a file of many possible names; its lock tells it.
fn memory_files(store: &dyn Store, vm: &VmFolder) -> impl Iterator<Item = PathBuf> {
    let dir = vm.dir().to_path_buf();
    let entries = store.list(&dir).unwrap_or_default().into_iter();
    entries.filter_map(move |entry| {
        let name = entry.name.to_string_lossy().into_owned();
        let file = name.strip_suffix(".lck")?;
        file.ends_with(".vmem").then(|| dir.join(file))
    })
}

/// What it means for the VM that `holder` holds one of its files.
fn meaning(holder: &Holder, is_vmx: bool) -> Option<PowerState> {
    let program = holder.program.to_ascii_lowercase();
    if holder.life == Life::Gone || holder.mode == LockMode::Shared || program == lock::WORKER {
        // A shared disk may be the parent of somebody else's VM.
        return None;
    }
    if program == lock::RUNNER || program.starts_with("qemu") {
        return match holder.life {
            Life::Lives => is_vmx.then_some(PowerState::On),
            _ => Some(PowerState::Foreign),
        };
    }
    if program.starts_with("vmware-vmx") {
        return Some(PowerState::Foreign);
    }
    Some(PowerState::Locked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Local, Mem, create_dirs, write_new};

    fn read(store: &(impl Store + Clone + 'static), vm: &VmFolder) -> StateReport {
        let env = Env {
            store: std::sync::Arc::new(store.clone()),
            settings: crate::vm::Settings::default(),
        };
        super::read(&env, vm)
    }

    fn vm(text: &str) -> (Mem, VmFolder) {
        let store = Mem::new();
        let vmx = Path::new("/v/a.vmx");
        create_dirs(&store, Path::new("/v")).unwrap();
        let text = format!(
            "displayName = \"a\"\nscsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"a.vmdk\"\n{text}"
        );
        write_new(&store, vmx, text.as_bytes()).unwrap();
        write_new(&store, Path::new("/v/a.vmdk"), b"x").unwrap();
        let vm = VmFolder::open(&store, vmx).unwrap();
        (store, vm)
    }

    #[test]
    fn stray_memories_are_this_vms_alone() {
        let (store, vm) = vm("checkpoint.vmState = \"a-00000001.replixstate\"\n");
        let stray = [
            ".a-00000003.replixstate.replix-0123456789abcdef",
            ".a-Snapshot2.replixstate.replix-0123456789abcdef",
            "a-00000002.vmem",
            "a-00000002.replixstate",
        ];
        let others = [
            ".a-b-00000003.replixstate.replix-0123456789abcdef",
            ".a.vmx.replix-0123456789abcdef",
            "a-00000001.replixstate",
            "a-00000001.vmem",
            "a-00000004.vmem",
            "a-1.replixstate",
            "a-Snapshot1.replixstate",
            "a-b-00000002.replixstate",
            "b-00000002.replixstate",
        ];
        for name in stray.iter().chain(&others) {
            write_new(&store, &Path::new("/v").join(name), b"x").unwrap();
        }
        let expected = stray.map(|name| Path::new("/v").join(name));
        assert_eq!(stray_memories(&store, &vm), expected);
    }

    fn hold(store: &Mem, file: &str, program: &str, mode: char) {
        let folder = Path::new("/v").join(format!("{file}.lck"));
        create_dirs(store, &folder).unwrap();
        let text = format!("uuid=00 5-6({program}) 1 {mode} 6");
        write_new(store, &folder.join("M00001.lck"), text.as_bytes()).unwrap();
    }

    #[test]
    fn unlocked_vm_is_off_or_suspended() {
        let (store, off) = vm("checkpoint.vmState = \"\"\n");
        assert_eq!(read(&store, &off).state, PowerState::Off);
        let (store, suspended) = vm("checkpoint.vmState = \"a-1.vmss\"\n");
        let report = read(&store, &suspended);
        assert_eq!(report.state, PowerState::Suspended);
        assert!(report.refusal(off.vmx(), true).is_none());
        let refusal = report.refusal(off.vmx(), false).unwrap();
        assert_eq!(refusal.to_string(), "\"/v/a.vmx\" is suspended");
    }

    #[test]
    fn vm_that_vmware_runs_is_foreign() {
        for file in ["a.vmdk", "a-564d.vmem", "a.vmx"] {
            let (store, vm) = vm("");
            hold(&store, file, "vmware-vmx.exe", 'X');
            let report = read(&store, &vm);
            assert_eq!(report.state, PowerState::Foreign, "{file}");
            assert!(report.cure().unwrap().contains(".lck"));
        }
    }

    #[test]
    fn locks_of_files_elsewhere_say_nothing() {
        for name in ["/other/b.vmdk", "../other/b.vmdk"] {
            let (store, vm) = vm(&format!(
                "scsi0:1.present = \"TRUE\"\nscsi0:1.fileName = \"{name}\"\n"
            ));
            create_dirs(&store, Path::new("/other/b.vmdk.lck")).unwrap();
            let member = b"uuid=00 5-6(vmware-vmx) 1 X 6";
            write_new(&store, Path::new("/other/b.vmdk.lck/M00001.lck"), member).unwrap();
            write_new(&store, Path::new("/other/b.vmdk"), b"x").unwrap();
            assert_eq!(read(&store, &vm).state, PowerState::Off, "{name}");
        }
    }

    #[test]
    fn vm_open_in_a_window_is_locked() {
        let (store, vm) = vm("");
        hold(&store, "a.vmx", "vmplayer.exe", 'X');
        let report = read(&store, &vm);
        assert_eq!(report.state, PowerState::Locked);
        let error = report.refusal(vm.vmx(), true).unwrap();
        assert_eq!(error.kind(), Kind::FileLocked);
        hold(&store, "a.vmdk", "vmware-vmx.exe", 'X');
        assert_eq!(read(&store, &vm).state, PowerState::Foreign);
    }

    #[test]
    fn disk_that_clones_read_does_not_matter() {
        let (store, vm) = vm("");
        hold(&store, "a.vmdk", "vmware-vmx.exe", 'S');
        assert_eq!(read(&store, &vm).state, PowerState::Off);
    }

    #[test]
    fn vm_that_we_run_is_on() {
        let (store, vm) = vm("");
        let pid = std::process::id();
        lock::lock_for_process(
            &store,
            vm.vmx(),
            LockMode::Exclusive,
            pid,
            "qemu-system-x86_64",
        )
        .unwrap();
        let report = read(&store, &vm);
        assert_eq!(report.state, PowerState::On);
        assert!(report.holder().unwrap().contains("qemu"));
        lock::release(&store, vm.vmx(), pid);
        assert_eq!(read(&store, &vm).state, PowerState::Off);
    }

    #[test]
    fn work_on_the_vm_does_not_make_it_run() {
        let (store, vm) = vm("");
        let _work = lock::VmwareLock::take(&store, vm.vmx(), LockMode::Exclusive).unwrap();
        assert_eq!(read(&store, &vm).state, PowerState::Off);
    }

    #[test]
    fn vm_that_another_qemu_runs_is_foreign() {
        use nix::fcntl::{FcntlArg, fcntl};
        use nix::libc;

        let dir = tempfile::tempdir().unwrap();
        let (vmx, disk) = (dir.path().join("a.vmx"), dir.path().join("a.vmdk"));
        let text = "ide0:0.present = \"TRUE\"\nide0:0.fileName = \"a.vmdk\"\n";
        std::fs::write(&vmx, text).unwrap();
        let file = std::fs::File::create(&disk).unwrap();
        let vm = VmFolder::open(&Local, &vmx).unwrap();
        assert_eq!(read(&Local, &vm).state, PowerState::Off);
        let lock = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 101,
            l_len: 1,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
        let report = read(&Local, &vm);
        assert_eq!(report.state, PowerState::Foreign);
        assert!(report.holder().unwrap().contains("a.vmdk"));
        assert_eq!(report.refusal(&vmx, true).unwrap().kind(), Kind::VmRunning);
    }
}
