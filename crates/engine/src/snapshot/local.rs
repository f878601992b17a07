//! Snapshots of VMs on this machine: the operations, and what clones need of them.

use std::path::{Path, PathBuf};

use super::take::GuestMemory;
use super::{NewSnapshot, Snapshot, SnapshotRef, SnapshotTree, frozen, leavings, take};
use crate::disk::Chain;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::format::{SnapshotEntry, Vmsd};
use crate::job::Job;
use crate::power::{self, Halted, Saved};
use crate::store::{LockMode, Undo};
use crate::vm::{Claim, Env, PowerState, VmConfig, state as vm_state};

/// Returns the snapshots of the VM at `vmx`.
///
/// # Errors
/// Those of opening; `SnapshotBroken`.
pub(crate) fn list(env: &Env, vmx: &Path) -> Result<SnapshotTree> {
    Ok(take::tree_of(&env.vmsd(&env.open(vmx)?)?))
}

/// Takes a snapshot of the VM at `vmx`. The guest of one that runs is halted meanwhile. The memory of
/// one that is suspended goes with the snapshot, asked for or not, as it does with VMware's.
///
/// # Errors
/// `VmRunning` for a VM that runs elsewhere; `FileLocked`; `NotSupported` where its memory cannot be
/// saved, or VMware saved it; `SnapshotUnchanged` for a second snapshot of a suspended VM; what is
/// wrong with a disk; `NoSpace`. Nothing is left then.
pub(crate) fn create(env: &Env, vmx: &Path, new: &NewSnapshot, job: &Job) -> Result<Snapshot> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    take::require_allowed(&claim.vm, &env.vmsd(&claim.vm)?)?;
    let is_on = matches!(claim.state.state, PowerState::On | PowerState::Paused);
    if is_on && new.with_memory {
        refuse_independent(&claim)?;
        power::require_savable(env, &claim.vm, job)?;
    }
    let suspended = match claim.state.state {
        PowerState::Suspended => power::suspended_memory(env, &claim.vm)?,
        _ => None,
    };
    if let Some(saved) = &suspended {
        refuse_independent(&claim)?;
        refuse_unchanged(env, &claim, saved)?;
    }
    let halted = hold_still(env, &claim, new.with_memory, job)?;
    leavings::clear(env, &mut claim, job);
    let mut undo = Undo::new(env.store.clone());
    let memory = match (&suspended, &halted) {
        (Some(saved), _) => Some(GuestMemory::Suspended(saved)),
        (None, Some(halted)) if new.with_memory => Some(GuestMemory::Halted(halted)),
        _ => None,
    };
    let (clones, memory) = (Vec::new(), memory.as_ref());
    let snapshot = take::take(env, &mut claim, new, memory, clones, &mut undo, job)?;
    undo.keep();
    halted.map_or(Ok(()), Halted::go_on)?;
    Ok(snapshot)
}

/// Sees to it that the disks of a VM are still: those of one that runs here are let go of by its
/// machine until what is returned ends, and where it is `to_save` its memory, that is not hindered.
///
/// # Errors
/// Those of [`Claim::require_off`] where it neither runs here, nor is off or suspended;
/// `NotSupported` where VMware suspended it; those of halting.
pub(crate) fn hold_still<'a>(
    env: &'a Env,
    claim: &Claim,
    to_save: bool,
    job: &Job,
) -> Result<Option<Halted<'a>>> {
    match claim.state.state {
        PowerState::On | PowerState::Paused => claim.require_plain()?,
        PowerState::Suspended => {
            power::suspended_memory(env, &claim.vm)?;
            claim.require_plain()?;
            return Ok(None);
        }
        _ => {
            claim.require_off()?;
            return Ok(None);
        }
    }
    let halted = match to_save {
        true => Halted::take_to_save(env, &claim.vm, job)?,
        false => Halted::take(env, &claim.vm, job)?,
    };
    halted.let_go()?;
    Ok(Some(halted))
}

/// A VM that is suspended changes in nothing: VMware takes one snapshot of it, and no second one.
fn refuse_unchanged(env: &Env, claim: &Claim, saved: &Saved) -> Result<()> {
    let vmsd = env.vmsd(&claim.vm)?;
    let current = vmsd.current().and_then(|uid| entry(&vmsd, uid).ok());
    let Some(current) = current.filter(|entry| entry.with_memory) else {
        return Ok(());
    };
    let of_it = vm_state::memory_beside(&current.file_name) == Path::new(&saved.name);
    let then = frozen::read(env, claim, &current).config.suspended_to();
    if !of_it && then.as_deref() != Some(&saved.name) {
        return Ok(());
    }
    let (vmx, name) = (claim.vm.vmx(), escaped(&current.display_name));
    let text = format!(
        "{} has been suspended since snapshot \"{name}\", which has the same state",
        quoted(vmx)
    );
    Err(Error::new(Kind::SnapshotUnchanged, text).at(vmx))
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
    entry(vmsd, take::shape_of(vmsd).find(wanted)?.uid)
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
