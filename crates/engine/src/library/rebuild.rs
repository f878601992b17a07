//! The bookkeeping of snapshots, written anew where the file is lost: the state files say which disks each
//! froze, the disks say which was taken after which. Names and descriptions stood nowhere else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result, quoted};
use crate::format::{FrozenDisk, SnapshotEntry, Vmsd};
use crate::job::Job;
use crate::store::{LockMode, files_with_ending, replace};
use crate::vm::{Claim, Env, VmConfig, VmFolder, files};

/// Tells whether a VM has snapshots and no file that names them.
pub(super) fn is_lost(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> bool {
    let path = vm.vmsd_path(&*env.store);
    let is_there = env.store.meta(&path).is_ok_and(|meta| meta.len > 0);
    !is_there && vmsd.snapshots().is_empty() && !state_files(env, vm).is_empty()
}

/// Writes it.
///
/// # Errors
/// As [`plan`]; `FileExists` where there is one by now; those of holding the VM.
pub(super) fn write(env: &Env, vmx: &Path, job: &Job) -> Result<usize> {
    let claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    let path = claim.vm.vmsd_path(&*env.store);
    if !is_lost(env, &claim.vm, &env.vmsd(&claim.vm)?) {
        let text = format!("{} is there again", quoted(&path));
        return Err(Error::new(Kind::FileExists, text).at(&path));
    }
    let vmsd = plan(env, &claim.vm)?;
    replace(&*env.store, &path, &vmsd.to_bytes())?;
    Ok(vmsd.snapshots().len())
}

/// Returns the bookkeeping that the state files and the disks of a VM prove.
///
/// # Errors
/// `SnapshotBroken` where a state file says nothing of disks, or two say the same; what is wrong with a disk.
pub(super) fn plan(env: &Env, vm: &VmFolder) -> Result<Vmsd> {
    let mut entries: BTreeMap<u32, SnapshotEntry> = BTreeMap::new();
    // By the first disk that a snapshot froze, which tells the others.
    let mut chains: BTreeMap<u32, Vec<PathBuf>> = BTreeMap::new();
    for (uid, path) in state_files(env, vm) {
        let (entry, chain) = read(env, vm, uid, &path)?;
        chains.insert(uid, chain);
        entries.insert(uid, entry);
    }
    let below = |chain: &[PathBuf]| {
        chain.iter().find_map(|link| {
            let mut frozen = chains
                .iter()
                .filter(|(_, chain)| chain.first() == Some(link));
            frozen.next().map(|(uid, _)| *uid)
        })
    };
    let mut vmsd = Vmsd::parse(&[], vm.config.line_end())
        .map_err(|fault| fault.in_file(Kind::SnapshotBroken, vm.vmx()))?;
    let mut parents = BTreeMap::new();
    for (uid, chain) in &chains {
        let twin = chains
            .iter()
            .find(|(other, theirs)| *other != uid && theirs.first() == chain.first());
        if let Some((other, _)) = twin {
            let text = format!(
                "snapshots #{uid} and #{other} froze the same disks: which came first is not told"
            );
            return Err(Error::new(Kind::SnapshotBroken, text).at(vm.vmx()));
        }
        parents.insert(*uid, below(&chain[1..]));
    }
    add_in_order(&mut vmsd, entries, &parents, vm)?;
    let slot = first_disk(&vm.config).ok_or_else(|| no_disks(vm.vmx()))?;
    let current = below(&chain_of(env, vm, &slot.file_name)?);
    vmsd.set_current(current);
    Ok(vmsd)
}

/// Adds each after the one that it was taken after.
fn add_in_order(
    vmsd: &mut Vmsd,
    mut entries: BTreeMap<u32, SnapshotEntry>,
    parents: &BTreeMap<u32, Option<u32>>,
    vm: &VmFolder,
) -> Result<()> {
    while !entries.is_empty() {
        let is_next = |uid: &&u32| {
            let parent = parents.get(uid).copied().flatten();
            parent.is_none_or(|parent| !entries.contains_key(&parent))
        };
        let Some(uid) = entries.keys().find(is_next).copied() else {
            let text = "the snapshots stand on each other in a ring";
            return Err(Error::new(Kind::SnapshotBroken, text).at(vm.vmx()));
        };
        if let Some(mut entry) = entries.remove(&uid) {
            entry.parent = parents.get(&uid).copied().flatten();
            vmsd.add_snapshot(entry)
                .map_err(|fault| fault.in_file(Kind::SnapshotBroken, vm.vmx()))?;
        }
    }
    Ok(())
}

fn read(env: &Env, vm: &VmFolder, uid: u32, path: &Path) -> Result<(SnapshotEntry, Vec<PathBuf>)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (state, inside) = env.read_state(vm, &name)?;
    let config = VmConfig::parse(&inside.config)
        .map_err(|fault| fault.in_file(Kind::SnapshotBroken, path))?;
    let slots = config.disks().into_iter();
    let covered = slots.filter(|slot| !slot.raw && !slot.mode.is_independent());
    let disks: Vec<FrozenDisk> = covered
        .map(|slot| FrozenDisk {
            node: slot.node.to_string(),
            file_name: slot.file_name,
        })
        .collect();
    let first = disks.first().ok_or_else(|| no_disks(path))?;
    let chain = chain_of(env, vm, &first.file_name)?;
    for disk in &disks[1..] {
        env.disk(vm, &disk.file_name)?;
    }
    let entry = SnapshotEntry {
        uid,
        file_name: name.into_owned(),
        display_name: format!("Snapshot {uid}"),
        with_memory: state.is_live(),
        created_us: env.store.meta(path)?.modified_us,
        disks,
        ..SnapshotEntry::default()
    };
    Ok((entry, chain))
}

fn first_disk(config: &VmConfig) -> Option<crate::vm::DiskSlot> {
    let mut slots = config.disks().into_iter();
    slots.find(|slot| !slot.raw && !slot.mode.is_independent())
}

fn no_disks(path: &Path) -> Error {
    let text = format!(
        "{} says nothing of disks that a snapshot covers",
        quoted(path)
    );
    Error::new(Kind::SnapshotBroken, text).at(path)
}

fn chain_of(env: &Env, vm: &VmFolder, name: &str) -> Result<Vec<PathBuf>> {
    let chain = env.disk(vm, name)?;
    Ok(chain
        .links()
        .iter()
        .map(|link| link.path().to_path_buf())
        .collect())
}

/// The state files in the VM's folder that are called as those of its snapshots, by their numbers.
fn state_files(env: &Env, vm: &VmFolder) -> BTreeMap<u32, PathBuf> {
    let prefix = format!("{}-Snapshot", vm.stem()).to_lowercase();
    let numbered = |path: PathBuf| {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let number = files::stem(&name).strip_prefix(&prefix)?;
        Some((number.parse().ok().filter(|uid| *uid > 0)?, path))
    };
    files_with_ending(&*env.store, vm.dir(), "vmsn")
        .filter_map(numbered)
        .collect()
}
