//! Snapshots of VMs on this machine: the operations, and what clones need of them.

use std::path::{Path, PathBuf};

use super::still::{self, Still};
use super::take::{self, Memory};
use super::{NewSnapshot, Snapshot, SnapshotRef, SnapshotTree, frozen, unfinished};
use crate::disk::Chain;
use crate::error::{Error, Kind, Result, quoted};
use crate::format::{SnapshotEntry, Vmsd};
use crate::job::Job;
use crate::power;
use crate::store::{LockMode, Undo};
use crate::vm::{Claim, Env, PowerState, VmConfig};

/// Returns the snapshots of the VM at `vmx`.
///
/// # Errors
/// Those of opening; `SnapshotBroken`.
pub(crate) fn list(env: &Env, vmx: &Path) -> Result<SnapshotTree> {
    Ok(take::tree_of(&env.vmsd(&env.open(vmx)?)?))
}

/// Takes a snapshot of the VM at `vmx`. The guest of one that runs is halted meanwhile. One that is
/// suspended stays so, to the memory that is the snapshot's now.
///
/// # Errors
/// `VmRunning` for a VM that VMware suspended or that runs elsewhere; `SnapshotUnchanged` for one that is
/// suspended to the memory of a snapshot; `FileLocked`; `NotSupported` where its memory cannot be
/// saved; what is wrong with a disk; `NoSpace`. Nothing is left then.
pub(crate) fn create(env: &Env, vmx: &Path, new: &NewSnapshot, job: &Job) -> Result<Snapshot> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    let is_on = matches!(claim.state.state, PowerState::On | PowerState::Paused);
    if is_on && new.with_memory {
        refuse_independent(&claim)?;
        power::require_savable(env, &claim.vm, job)?;
    }
    let still = still::hold(env, &claim, job)?;
    if let Err(error) = unfinished::clear(env, &mut claim, None) {
        job.warn(format!("what is left of another snapshot stays: {error}"));
    }
    let memory = match &still {
        Still::Halted(halted) if new.with_memory => Some(Memory::Halted(halted)),
        Still::Suspended(Some(path)) => {
            refuse_independent(&claim)?;
            Some(Memory::Saved(path))
        }
        Still::Suspended(None) => return Err(lost(&claim)),
        Still::AtSnapshot => return Err(unchanged(&claim)),
        Still::Halted(_) | Still::Off => None,
    };
    let mut undo = Undo::new(env.store.clone());
    let snapshot = take::take(env, &mut claim, new, memory, Vec::new(), &mut undo, job)?;
    undo.keep();
    if let Still::Suspended(Some(path)) = &still {
        // The snapshot has it now.
        env.store.remove_file(path)?;
    }
    still.go_on()?;
    Ok(snapshot)
}

fn lost(claim: &Claim) -> Error {
    let vmx = claim.vm.vmx();
    let text = format!("the memory that {} is suspended to is missing", quoted(vmx));
    let hint = "put it back, or go back to a snapshot";
    Error::new(Kind::SnapshotBroken, text).at(vmx).hint(hint)
}

/// Nothing can have changed in a VM that has not gone on since.
fn unchanged(claim: &Claim) -> Error {
    let vmx = claim.vm.vmx();
    let text = format!(
        "{} is suspended to the memory of a snapshot already",
        quoted(vmx)
    );
    let hint = "resume it first; until then, that snapshot is what it is";
    Error::new(Kind::SnapshotUnchanged, text).at(vmx).hint(hint)
}

/// A memory needs all of its disks as they were.
fn refuse_independent(claim: &Claim) -> Result<()> {
    let disks = claim.vm.config.disks();
    let independent = disks.iter().find(|slot| slot.mode.is_independent());
    let Some(slot) = independent else {
        return Ok(());
    };
    let vmx = claim.vm.vmx();
    let text = format!(
        "{}: {} is independent of snapshots, so that none with memory can be taken",
        quoted(vmx),
        slot.node
    );
    let hint = "take it without memory, or while the VM is off";
    Err(Error::new(Kind::NotSupported, text).at(vmx).hint(hint))
}

/// Returns the entry of the snapshot with number `uid`.
///
/// # Errors
/// `SnapshotNotFound`.
pub(crate) fn entry(vmsd: &Vmsd, uid: u32) -> Result<SnapshotEntry> {
    let missing = || {
        Error::new(
            Kind::SnapshotNotFound,
            format!("there is no snapshot number {uid}"),
        )
    };
    vmsd.snapshot(uid).cloned().ok_or_else(missing)
}

/// Returns the entry of the snapshot that a caller names.
///
/// # Errors
/// `SnapshotNotFound`, `SnapshotAmbiguous`.
pub(crate) fn find(vmsd: &Vmsd, wanted: &SnapshotRef) -> Result<SnapshotEntry> {
    entry(vmsd, take::tree_of(vmsd).find(wanted)?.uid)
}

/// Returns the current snapshot, if the VM is now as it was then: same hardware, nothing written.
pub(crate) fn unchanged_since(env: &Env, claim: &Claim, vmsd: &Vmsd) -> Option<SnapshotEntry> {
    let entry = entry(vmsd, vmsd.current()?)
        .ok()
        .filter(|entry| !entry.with_memory)?;
    let then = frozen::read(env, claim, &entry);
    let same_hardware = then.warnings.is_empty() && is_same(&then.config, &claim.vm.config);
    let unwritten = take::covered_disks(claim).all(|slot| {
        let frozen = entry
            .disks
            .iter()
            .find(|disk| disk.node == slot.node.to_string());
        let frozen = frozen.and_then(|disk| claim.vm.find(&*env.store, &disk.file_name));
        let chain = env.disk(&claim.vm, &slot.file_name).ok();
        frozen
            .zip(chain)
            .is_some_and(|(frozen, chain)| is_fresh_child(&chain, &frozen.path))
    });
    (same_hardware && unwritten).then_some(entry)
}

/// A child keeps its parent's content id until the first write.
pub(super) fn is_fresh_child(chain: &Chain, parent: &Path) -> bool {
    let paths: Vec<PathBuf> = chain
        .links()
        .iter()
        .map(|link| link.path().to_path_buf())
        .collect();
    let ids: Vec<u32> = chain.links().iter().map(|link| link.cid()).collect();
    paths.get(1).is_some_and(|second| second == parent) && ids[0] == ids[1]
}

/// Whether two configurations describe the same machine, but for the files of their disks.
fn is_same(then: &VmConfig, now: &VmConfig) -> bool {
    let entries = |config: &VmConfig| {
        let disks: Vec<String> = config
            .disks()
            .iter()
            .map(|disk| format!("{}.filename", disk.node))
            .collect();
        let mut entries: Vec<(String, String)> = config
            .dict()
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .filter(|(name, _)| !disks.contains(name))
            .collect();
        entries.sort();
        entries
    };
    entries(then) == entries(now)
}
