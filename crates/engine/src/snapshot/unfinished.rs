//! What is left of a snapshot whose process was killed while it took it.
//!
//! Taken back is only what holds nothing: a state file that says what the configuration says, disks
//! without data that nothing names, files that were to take the place of others. Once the guest has
//! written to the new disks, the VM runs on a longer chain, which is a whole one.
//!
//! The next snapshot looks for it, and so does whoever knows that one was being taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::local::is_fresh_child;
use super::{leavings, names};
use crate::disk::{Chain, Opener};
use crate::error::{Kind, Result};
use crate::format::Vmsd;
use crate::store::{FileKind, Store, files_with_ending, hidden_siblings, replace};
use crate::vm::{Claim, DiskSlot, Env, VmConfig, VmFolder, files, firmware, state as vm_state};

/// What a disk that was never whole takes at most: its tables.
const MOST_TORN: u64 = 1 << 20;

/// Takes back what is left of a snapshot of the VM that `claim` holds alone, and whose disks are still,
/// made since `since_us`, in microseconds since 1970 UTC, where that is known. Returns whether there
/// was something.
///
/// # Errors
/// What is wrong with a disk; what the system says.
pub(crate) fn clear(env: &Env, claim: &mut Claim, since_us: Option<i64>) -> Result<bool> {
    let store = &*env.store;
    let vmsd = env.vmsd(&claim.vm)?;
    let mut left = Vec::new();
    let mut highest = vmsd.last_uid();
    if let Some(state) = state_file(env, &claim.vm, &vmsd, since_us)
        && let Some(back) = way_back(env, &claim.vm, &state)?
    {
        highest = highest.saturating_add(1);
        if back != claim.vm.config {
            replace(store, claim.vm.vmx(), &back.to_bytes())?;
            claim.vm.config = back;
        }
        left.extend(files_of(store, state));
    }
    left.extend(vm_state::stray_memories(store, &claim.vm));
    left.extend(unnamed_disks(env, &claim.vm, &vmsd, highest, since_us)?);
    left.extend(unused_texts(env, &claim.vm, &vmsd));
    left.sort_unstable();
    left.dedup();
    for path in &left {
        store.remove_file(path)?;
    }
    if !left.is_empty() {
        store.sync_dir(claim.vm.dir())?;
    }
    Ok(!left.is_empty())
}

/// Returns the files that [`clear`] would remove of a VM whose disks are still, but for memory that has
/// nothing to do with snapshots.
///
/// # Errors
/// As [`clear`].
pub(super) fn left(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    let mut vm = vm.clone();
    let mut highest = vmsd.last_uid();
    if let Some(state) = state_file(env, &vm, vmsd, None)
        && let Some(back) = way_back(env, &vm, &state)?
    {
        highest = highest.saturating_add(1);
        vm.config = back;
        left.extend(files_of(&*env.store, state));
    }
    left.extend(unnamed_disks(env, &vm, vmsd, highest, None)?);
    Ok(left)
}

/// What there is of a snapshot besides its disks. What is unfinished of the memory goes with it; that of a
/// suspended VM is older than this.
fn files_of(store: &dyn Store, state: PathBuf) -> Vec<PathBuf> {
    let memory = vm_state::memory_beside(&state);
    let ram = vm_state::ram_beside(&memory);
    let mut files: Vec<PathBuf> = [&memory, &ram]
        .into_iter()
        .flat_map(|path| hidden_siblings(store, path))
        .collect();
    let variables = firmware::variables_beside(&state);
    let whole = [memory, ram, variables, state].into_iter();
    files.extend(whole.filter(|path| store.exists(path)));
    files
}

/// The file with the state of a snapshot that the bookkeeping does not know.
fn state_file(env: &Env, vm: &VmFolder, vmsd: &Vmsd, since_us: Option<i64>) -> Option<PathBuf> {
    let name = names::state_file(&vm.stem(), vmsd.next_uid().ok()?);
    let path = env.working_dir(vm).ok()?.join(name);
    is_new(env, &path, since_us).then_some(path)
}

fn is_new(env: &Env, path: &Path, since_us: Option<i64>) -> bool {
    let meta = env.store.meta(path);
    meta.is_ok_and(|meta| {
        meta.kind == FileKind::File && since_us.is_none_or(|since_us| meta.modified_us >= since_us)
    })
}

/// Returns the configuration with which the VM runs on the disks again that it ran on in `state`; `None`
/// where it is not as it was then.
fn way_back(env: &Env, vm: &VmFolder, state: &Path) -> Result<Option<VmConfig>> {
    let files = match env.read_state(vm, &state.to_string_lossy()) {
        Ok((_, files)) => files,
        // It was not whole when the process ended: the VM has not gone on to new disks.
        Err(error) if error.kind() == Kind::SnapshotBroken => return Ok(Some(vm.config.clone())),
        Err(error) => return Err(error),
    };
    let Ok(then) = VmConfig::parse(&files.config) else {
        return Ok(None);
    };
    let mut back = vm.config.clone();
    for slot in then.disks() {
        back.set_disk_file(slot.node, &slot.file_name);
    }
    if back.dict().to_lf_bytes() != files.config {
        return Ok(None);
    }
    // Both have the same disks, but for the names of their files.
    let pairs = vm.config.disks().into_iter().zip(then.disks());
    let mut covered = pairs.filter(|(slot, _)| !slot.mode.is_independent());
    let is_as_then =
        back == vm.config || covered.all(|(now, before)| is_unused(env, vm, &now, &before));
    Ok(is_as_then.then_some(back))
}

/// Whether the disk in `now` is a child of the one in `before`, and nothing was written to it.
fn is_unused(env: &Env, vm: &VmFolder, now: &DiskSlot, before: &DiskSlot) -> bool {
    let parent = vm.find(&*env.store, &before.file_name);
    let chain = env.disk(vm, &now.file_name);
    parent
        .zip(chain.ok())
        .is_some_and(|(parent, chain)| is_empty_child(&chain, &parent.path))
}

fn is_empty_child(chain: &Chain, parent: &Path) -> bool {
    is_fresh_child(chain, parent) && chain.own_bytes().is_ok_and(|bytes| bytes == 0)
}

/// The files of children of the VM's disks that hold nothing and that nothing names: a snapshot was to go
/// on with them, or a VM that was put back to one. `highest` is the number of the last known snapshot.
fn unnamed_disks(
    env: &Env,
    vm: &VmFolder,
    vmsd: &Vmsd,
    highest: u32,
    since_us: Option<i64>,
) -> Result<Vec<PathBuf>> {
    let dir = env.working_dir(vm)?;
    let mut next = BTreeMap::new();
    for slot in vm
        .config
        .disks()
        .iter()
        .filter(|slot| !slot.mode.is_independent())
    {
        // Its true path tells what it is called.
        if let Some(found) = vm.find(&*env.store, &slot.file_name) {
            let path = env.store.canonical(&found.path)?;
            next.extend(next_disks(env, &dir, &path));
        }
    }
    if next.is_empty() {
        return Ok(Vec::new());
    }
    let named = named_disks(env, vm, vmsd);
    next.retain(|descriptor, _| !named.contains(descriptor));
    // Of any age, they may be another VM's that shares the folder, or of a snapshot that the bookkeeping
    // has forgotten.
    let is_safe = || !may_be_shared(env, vm, &dir) && !leavings::has_newer(env, vm, highest);
    if next.is_empty() || (since_us.is_none() && !is_safe()) {
        return Ok(Vec::new());
    }
    let opener = env.opener(vm)?;
    let standing = leavings::children_in(&*env.store, &opener, &dir);
    let is_stood_on = |disk: &Path| {
        let name = leavings::name_of(disk);
        standing.iter().any(|(_, parent)| *parent == name)
    };
    let mut left = Vec::new();
    for (descriptor, files) in next {
        if !is_stood_on(&descriptor)
            && files.iter().all(|file| is_new(env, file, since_us))
            && holds_nothing(env, &opener, &descriptor, &files, &named)
        {
            left.extend(files);
        }
    }
    Ok(left)
}

pub(super) fn may_be_shared(env: &Env, vm: &VmFolder, dir: &Path) -> bool {
    dir != vm.dir() || files_with_ending(&*env.store, dir, "vmx").count() > 1
}

/// Whether a disk is a child of one of `parents` without data of its own, or was never whole.
fn holds_nothing(
    env: &Env,
    opener: &Opener,
    descriptor: &Path,
    files: &[PathBuf],
    parents: &BTreeSet<PathBuf>,
) -> bool {
    let is_empty = opener.open(descriptor).and_then(|chain| {
        let parent = chain.links().get(1).map(|link| link.path());
        let is_fresh = |parent| parents.contains(parent) && is_fresh_child(&chain, parent);
        // Its tables may be what was never whole.
        Ok(parent.is_some_and(is_fresh) && chain.own_bytes()? == 0)
    });
    match is_empty {
        Ok(is_empty) => is_empty,
        Err(error) if matches!(error.kind(), Kind::FileNotFound | Kind::DiskInvalid) => {
            let sizes = files.iter().map(|file| env.store.meta(file));
            let sizes: Result<u64> = sizes.map(|meta| Ok(meta?.allocated_bytes)).sum();
            sizes.is_ok_and(|bytes| bytes <= MOST_TORN)
        }
        Err(_) => false,
    }
}

/// The disks in `dir` that have the name of one that takes over from `disk`: the descriptors, which
/// may be missing, with all files that are called after them.
fn next_disks(env: &Env, dir: &Path, disk: &Path) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let name = disk.file_name().unwrap_or_default().to_string_lossy();
    let own = names::without_number(files::stem(&name));
    let mut found = BTreeMap::<PathBuf, Vec<PathBuf>>::new();
    for entry in env.store.list(dir).unwrap_or_default() {
        let name = entry.name.to_string_lossy();
        let Some(stem) = name.strip_suffix(".vmdk") else {
            continue;
        };
        // An extent of a split one is called "web-000001-s001.vmdk".
        let whole = stem.rsplit_once("-s").map_or(stem, |(whole, _)| whole);
        for stem in [stem, whole] {
            if stem != own && names::without_number(stem) == own {
                let descriptor = dir.join(format!("{stem}.vmdk"));
                let files = found.entry(descriptor).or_default();
                files.push(dir.join(&entry.name));
                break;
            }
        }
    }
    found
}

/// The files that were to take the place of descriptors of the VM's own disks.
fn unused_texts(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Vec<PathBuf> {
    let store = &*env.store;
    let own = env.own_folders(vm);
    let disks = named_disks(env, vm, vmsd).into_iter();
    let mut texts: Vec<PathBuf> = disks
        .flat_map(|disk| hidden_siblings(store, &disk))
        .collect();
    let is_file = |path: &Path| {
        let meta = store.meta(path);
        meta.is_ok_and(|meta| meta.kind == FileKind::File)
    };
    texts.retain(|text| is_file(text) && own.hold(store, text));
    texts
}

/// The disks that the configuration or the bookkeeping names.
pub(super) fn named_disks(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> BTreeSet<PathBuf> {
    let names = vm.disk_names(vmsd).into_iter();
    let found = names.filter_map(|name| vm.find(&*env.store, &name));
    let canonical = |path: PathBuf| env.store.canonical(&path).unwrap_or(path);
    found.map(|found| canonical(found.path)).collect()
}
