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
use super::{names, take};
use crate::disk::{Chain, Opener};
use crate::error::{Kind, Result};
use crate::format::Vmsd;
use crate::store::{FileKind, files_with_ending, hidden_siblings, replace};
use crate::vm::{Claim, DiskSlot, Env, VmConfig, files, state as vm_state};

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
    if let Some(state) = state_file(env, claim, &vmsd, since_us)
        && go_back(env, claim, &state)?
    {
        // What is unfinished of the memory goes with it; that of a suspended VM is older than this.
        let memory = vm_state::memory_beside(&state);
        let ram = vm_state::ram_beside(&memory);
        for path in [&memory, &ram] {
            left.extend(hidden_siblings(store, path));
        }
        let whole = [memory, ram, state].into_iter();
        left.extend(whole.filter(|path| store.exists(path)));
    }
    left.extend(vm_state::stray_memories(store, &claim.vm));
    left.extend(unnamed_disks(env, claim, &vmsd, since_us)?);
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

/// The file with the state of a snapshot that the bookkeeping does not know.
fn state_file(env: &Env, claim: &Claim, vmsd: &Vmsd, since_us: Option<i64>) -> Option<PathBuf> {
    let name = names::state_file(&claim.vm.stem(), vmsd.next_uid().ok()?);
    let path = env.working_dir(&claim.vm).ok()?.join(name);
    is_new(env, &path, since_us).then_some(path)
}

fn is_new(env: &Env, path: &Path, since_us: Option<i64>) -> bool {
    let meta = env.store.meta(path);
    meta.is_ok_and(|meta| {
        meta.kind == FileKind::File && since_us.is_none_or(|since_us| meta.modified_us >= since_us)
    })
}

/// Lets the VM run on the disks again that it ran on in `state`; tells whether it is as it was then.
fn go_back(env: &Env, claim: &mut Claim, state: &Path) -> Result<bool> {
    let files = match env.read_state(&claim.vm, &state.to_string_lossy()) {
        Ok((_, files)) => files,
        // It was not whole when the process ended: the VM has not gone on to new disks.
        Err(error) if error.kind() == Kind::SnapshotBroken => return Ok(true),
        Err(error) => return Err(error),
    };
    let Ok(then) = VmConfig::parse(&files.config) else {
        return Ok(false);
    };
    let mut back = claim.vm.config.clone();
    for slot in then.disks() {
        back.set_disk_file(slot.node, &slot.file_name);
    }
    if back.dict().to_lf_bytes() != files.config {
        return Ok(false);
    }
    if back == claim.vm.config {
        return Ok(true);
    }
    // Both have the same disks, but for the names of their files.
    let pairs = claim.vm.config.disks().into_iter().zip(then.disks());
    let mut covered = pairs.filter(|(slot, _)| !slot.mode.is_independent());
    if !covered.all(|(now, before)| is_unused(env, claim, &now, &before)) {
        return Ok(false);
    }
    replace(&*env.store, claim.vm.vmx(), &back.to_bytes())?;
    claim.vm.config = back;
    Ok(true)
}

/// Whether the disk in `now` is a child of the one in `before`, and nothing was written to it.
fn is_unused(env: &Env, claim: &Claim, now: &DiskSlot, before: &DiskSlot) -> bool {
    let parent = claim.vm.find(&*env.store, &before.file_name);
    let chain = env.disk(&claim.vm, &now.file_name);
    parent
        .zip(chain.ok())
        .is_some_and(|(parent, chain)| is_empty_child(&chain, &parent.path))
}

fn is_empty_child(chain: &Chain, parent: &Path) -> bool {
    is_fresh_child(chain, parent) && chain.own_bytes().is_ok_and(|bytes| bytes == 0)
}

/// The files of children of the VM's present disks that hold nothing and that nothing names.
fn unnamed_disks(
    env: &Env,
    claim: &Claim,
    vmsd: &Vmsd,
    since_us: Option<i64>,
) -> Result<Vec<PathBuf>> {
    let dir = env.working_dir(&claim.vm)?;
    // Of any age, they may be another VM's that shares the folder.
    if since_us.is_none() && may_be_shared(env, claim, &dir) {
        return Ok(Vec::new());
    }
    let opener = env.opener(&claim.vm)?;
    let named = named_disks(env, claim, vmsd);
    let mut left = Vec::new();
    for slot in take::covered_disks(claim) {
        let chain = env.disk(&claim.vm, &slot.file_name)?;
        let top = chain.top().path();
        for (descriptor, files) in next_disks(env, &dir, top) {
            if !named.contains(&descriptor)
                && files.iter().all(|file| is_new(env, file, since_us))
                && holds_nothing(env, &opener, &descriptor, &files, top)
            {
                left.extend(files);
            }
        }
    }
    Ok(left)
}

fn may_be_shared(env: &Env, claim: &Claim, dir: &Path) -> bool {
    dir != claim.vm.dir() || files_with_ending(&*env.store, dir, "vmx").count() > 1
}

/// Whether a disk is a child of `parent` without data of its own, or was never whole.
fn holds_nothing(
    env: &Env,
    opener: &Opener,
    descriptor: &Path,
    files: &[PathBuf],
    parent: &Path,
) -> bool {
    match opener.open(descriptor) {
        Ok(chain) => is_empty_child(&chain, parent),
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

/// The disks that the configuration or the bookkeeping names.
fn named_disks(env: &Env, claim: &Claim, vmsd: &Vmsd) -> BTreeSet<PathBuf> {
    let now = claim
        .vm
        .config
        .disks()
        .into_iter()
        .map(|slot| slot.file_name);
    let frozen = vmsd.snapshots().iter().flat_map(|entry| &entry.disks);
    let names = now.chain(frozen.map(|disk| disk.file_name.clone()));
    let found = names.filter_map(|name| claim.vm.find(&*env.store, &name));
    let canonical = |path: PathBuf| env.store.canonical(&path).unwrap_or(path);
    found.map(|found| canonical(found.path)).collect()
}
