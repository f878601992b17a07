//! Taking a snapshot of a VM that is off or suspended, or whose guest is halted meanwhile.
//!
//! Order of what becomes durable: the new disks, a `.vmsd` where there is none, the state file and the
//! memory, which nobody names yet; the `.vmx`, which then runs on the new disks; the `.vmsd`. Power may
//! fail between any two: the VM runs on a longer chain at worst, and never writes to a disk that the
//! `.vmsd` says is frozen.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{NewSnapshot, Snapshot, names};
use crate::disk;
use crate::error::{Error, Kind, Result, quoted};
use crate::format::{FrozenDisk, Malformed, SnapshotEntry, SnapshotFiles, Vmsd};
use crate::job::Job;
use crate::power::{self, Halted, Saved};
use crate::store::{Undo, folder_of, write_new};
use crate::vm::{Claim, DiskSlot, Env, VmFolder, files, firmware, state as vm_state};

/// No `.nvram` or `.vmxf` is larger; those with secure boot have some hundred KiB.
const PART_LIMIT: u64 = 4 << 20;

/// The memory of a guest that a snapshot is taken with.
pub(crate) enum GuestMemory<'a> {
    /// Of one that is halted.
    Halted(&'a Halted<'a>),
    /// Of one that is suspended, and stays so.
    Suspended(&'a Saved),
}

impl GuestMemory<'_> {
    /// How large it is, where it gets a file of its own.
    fn ram_bytes(&self, vm: &VmFolder) -> Option<u64> {
        match self {
            Self::Suspended(saved) => saved.ram_bytes(),
            Self::Halted(_) if vm.config.has_memory_file() => {
                vm.config.memory_mib().checked_mul(1 << 20)
            }
            Self::Halted(_) => None,
        }
    }

    /// Puts it into the new file `path`, to fit the disks of `vm`.
    fn put(&self, env: &Env, vm: &VmFolder, path: &Path, job: &Job) -> Result<()> {
        match self {
            Self::Halted(halted) => halted.save(vm, path, !halted.was_running(), job),
            Self::Suspended(saved) => saved.share(env, path, job),
        }
    }
}

/// Checks that the configuration of `vm` lets it have one more snapshot than `vmsd` lists.
///
/// # Errors
/// `SnapshotDisabled`, `SnapshotLimit`.
pub(crate) fn require_allowed(vm: &VmFolder, vmsd: &Vmsd) -> Result<()> {
    let vmx = vm.vmx();
    if vm.config.forbids_snapshots() {
        let text = format!("{}: snapshot.disabled forbids snapshots", quoted(vmx));
        let hint = "take that line out of the configuration if they are wanted";
        return Err(Error::new(Kind::SnapshotDisabled, text).at(vmx).hint(hint));
    }
    let there = vmsd.snapshots().len();
    match vm.config.max_snapshots() {
        Some(most) if there >= most as usize => {
            let text = format!(
                "{} has {there} snapshots, and snapshot.maxSnapshots allows {most}",
                quoted(vmx)
            );
            let hint = "remove one, or allow more in the configuration";
            Err(Error::new(Kind::SnapshotLimit, text).at(vmx).hint(hint))
        }
        _ => Ok(()),
    }
}

/// Takes a snapshot of the VM that `claim` holds alone and that is off, suspended, or has let go
/// of its disks, with its guest's memory where that is given, and with the linked clones that are to stand on
/// it: nothing sees it without them.
///
/// # Errors
/// What is wrong with a disk; `DiskTwice`; `NoSpace`; what the system says. What was done is noted in `undo`.
pub(crate) fn take(
    env: &Env,
    claim: &mut Claim,
    new: &NewSnapshot,
    memory: Option<&GuestMemory>,
    clones: Vec<String>,
    undo: &mut Undo,
    job: &Job,
) -> Result<Snapshot> {
    env.require_each_once(&claim.vm, &claim.vm.config)?;
    let mut vmsd = env.vmsd(&claim.vm)?;
    let frozen: Vec<DiskSlot> = covered_disks(claim).collect();
    let old = claim.vm.clone();
    for slot in &frozen {
        job.check()?;
        let child = grow(env, claim, slot, undo)?;
        claim.vm.config.set_disk_file(slot.node, &child);
    }
    let vmsd_path = claim.vm.vmsd_path(&*env.store);
    let broken = |m: Malformed| m.in_file(Kind::SnapshotBroken, &vmsd_path);
    let uid = free_uid(env, claim, vmsd.next_uid().map_err(broken)?)?;
    let entry = SnapshotEntry {
        uid,
        file_name: names::state_file(&claim.vm.stem(), uid),
        parent: vmsd.current(),
        display_name: new.name.clone(),
        description: new.description.clone(),
        with_memory: memory.is_some(),
        created_us: now_us(),
        disks: frozen.iter().map(frozen_disk).collect(),
        clones: clones.into(),
    };
    let state = env.working_dir(&claim.vm)?.join(&entry.file_name);
    let part = |name: Option<String>| match name {
        Some(name) => env.read_own(&claim.vm, &name, PART_LIMIT),
        None => Ok(None),
    };
    let files = SnapshotFiles {
        config: old.config.dict().to_lf_bytes(),
        nvram: part(claim.vm.config.nvram())?,
        extended_config: part(claim.vm.config.extended_config())?,
    };
    let ram = memory.and_then(|memory| memory.ram_bytes(&old));
    let regions = ram.map_or(Vec::new(), power::memory_regions);
    begin_bookkeeping(env, claim, &vmsd_path, undo)?;
    write_new(&*env.store, &state, &files.to_bytes(&regions))?;
    undo.made_file(&state);
    if let Some(variables) = firmware::read(env, &claim.vm)? {
        let file = firmware::variables_beside(&state);
        write_new(&*env.store, &file, &variables)?;
        undo.made_file(&file);
    }
    env.store.sync_dir(folder_of(&state))?;
    if let Some(memory) = memory {
        let file = vm_state::memory_beside(&state);
        undo.made_file(&file);
        undo.made_file(&vm_state::ram_beside(&file));
        memory.put(env, &old, &file, job)?;
        env.store.sync_dir(folder_of(&file))?;
    }
    undo.replace(claim.vm.vmx(), &claim.vm.config.to_bytes())?;
    vmsd.add_snapshot(entry.clone()).map_err(broken)?;
    vmsd.set_current(Some(uid));
    vmsd.touch(uid);
    undo.replace(&vmsd_path, &vmsd.to_bytes())?;
    Ok(Snapshot::from(&entry))
}

/// Sees to it that there is a bookkeeping, be it one without snapshots, before the first state file is there:
/// who finds such files and no bookkeeping knows that it was lost.
fn begin_bookkeeping(env: &Env, claim: &Claim, path: &Path, undo: &mut Undo) -> Result<()> {
    let store = &*env.store;
    let blank = Vmsd::blank(claim.vm.config.line_end()).to_bytes();
    match store.meta(path) {
        Ok(meta) if meta.len > 0 => Ok(()),
        Ok(_) => undo.replace(path, &blank),
        Err(_) => {
            write_new(store, path, &blank)?;
            undo.made_file(path);
            Ok(())
        }
    }
}

/// Returns the first number from `next` on whose files are nobody's yet: those of a snapshot that is not
/// in the bookkeeping any more may be there, and are not ours to replace.
fn free_uid(env: &Env, claim: &Claim, next: u32) -> Result<u32> {
    let dir = env.working_dir(&claim.vm)?;
    let is_free = |uid: &u32| {
        let state = dir.join(names::state_file(&claim.vm.stem(), *uid));
        let memory = vm_state::memory_beside(&state);
        !env.store.exists(&state) && !env.store.exists(&memory)
    };
    (next..=u32::MAX).find(is_free).ok_or_else(|| {
        let text = format!("{} has no number for another snapshot", quoted(&dir));
        Error::new(Kind::SnapshotBroken, text).at(claim.vm.vmx())
    })
}

/// The disks that snapshots cover.
pub(super) fn covered_disks(claim: &Claim) -> impl Iterator<Item = DiskSlot> {
    claim
        .vm
        .config
        .disks()
        .into_iter()
        .filter(|slot| !slot.mode.is_independent())
}

/// Makes the disk that takes over from the one in `slot`; returns the name for the `.vmx`.
fn grow(env: &Env, claim: &Claim, slot: &DiskSlot, undo: &mut Undo) -> Result<String> {
    let chain = env.disk(&claim.vm, &slot.file_name)?;
    chain.top().require_unused(&*env.store)?;
    grow_on(env, claim, &chain, undo)
}

/// Makes a child of `chain` in the VM's working folder; returns its name for the `.vmx`.
pub(super) fn grow_on(
    env: &Env,
    claim: &Claim,
    chain: &disk::Chain,
    undo: &mut Undo,
) -> Result<String> {
    let dir = env.working_dir(&claim.vm)?;
    let parent = chain.top().path();
    let name = names::next_disk(&*env.store, &dir, parent);
    let path = dir.join(&name);
    let home = claim.vm.dir();
    let hint = files::name_from(home, &dir, parent);
    for file in disk::create_child(&*env.store, chain, &path, &hint)? {
        undo.made_file(&file);
    }
    Ok(files::name_from(home, home, &path))
}

fn frozen_disk(slot: &DiskSlot) -> FrozenDisk {
    FrozenDisk {
        file_name: slot.file_name.clone(),
        node: slot.node.to_string(),
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl From<&SnapshotEntry> for Snapshot {
    fn from(entry: &SnapshotEntry) -> Self {
        Self {
            clones: entry.clones.iter().map(String::from).collect(),
            ..without_clones(entry)
        }
    }
}

/// What callers see of a snapshot, but for its clones.
fn without_clones(entry: &SnapshotEntry) -> Snapshot {
    Snapshot {
        uid: entry.uid,
        parent: entry.parent,
        name: entry.display_name.clone(),
        description: entry.description.clone(),
        created_us: entry.created_us,
        with_memory: entry.with_memory,
        clones: Vec::new(),
    }
}

/// Reads the bookkeeping as a tree in which a snapshot is looked for: of clones, which may be thousands, it
/// knows nothing.
pub(super) fn shape_of(vmsd: &Vmsd) -> super::SnapshotTree {
    super::SnapshotTree {
        snapshots: vmsd.snapshots().iter().map(without_clones).collect(),
        current: vmsd.current(),
    }
}

/// Reads the bookkeeping as the tree that callers see.
pub(super) fn tree_of(vmsd: &Vmsd) -> super::SnapshotTree {
    super::SnapshotTree {
        snapshots: vmsd.snapshots().iter().map(Snapshot::from).collect(),
        current: vmsd.current(),
    }
}
