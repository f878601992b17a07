//! Putting a VM back to a snapshot.

use std::path::{Path, PathBuf};

use super::links::{Links, Step};
use super::{RevertSpec, frozen, leavings, remove, take};
use crate::error::{Error, Kind, Result, escaped};
use crate::format::{SnapshotEntry, Vmsd};
use crate::job::Job;
use crate::power::{self, StopMode};
use crate::store::{LockMode, Undo};
use crate::vm::{Claim, DiskSlot, Env, PowerState, VmFolder, firmware, state as vm_state};

/// Puts the VM at `vmx` back to a snapshot: what was written since it was taken and since the last
/// snapshot is lost. A VM that runs here is powered off first, once nothing speaks against it. Where
/// the snapshot has a memory of ours, the VM is then resumed from that, unless it was suspended when
/// the snapshot was taken.
///
/// # Errors
/// `VmRunning`, `SnapshotNotFound`, `SnapshotAmbiguous`; `NotSupported` where a memory of VMware's
/// would have to be restored; what is wrong with the snapshot's disks. Those of resuming leave the
/// VM at the snapshot, suspended.
pub(crate) fn revert(env: &Env, vmx: &Path, spec: &RevertSpec, job: &Job) -> Result<()> {
    let vm = env.open(vmx)?;
    wanted(env, &vm, spec)?;
    cut_power(env, &vm, job)?;
    if !go_back(env, vm.vmx(), spec, job)? || spec.suspended {
        return Ok(());
    }
    let resumed = power::start(env, vm.vmx(), &spec.start, job);
    resumed.map_err(|error| error.context("the VM is back at the snapshot, but suspended"))
}

/// Puts a VM that does not run back to a snapshot, and tells whether it ran when that was taken, and
/// is suspended to the memory of then.
fn go_back(env: &Env, vmx: &Path, spec: &RevertSpec, job: &Job) -> Result<bool> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    let given_up = require_reverted(env, &claim)?;
    leavings::clear(env, &mut claim, job);
    let (entry, memory) = wanted(env, &claim.vm, spec)?;
    let mut vmsd = env.vmsd(&claim.vm)?;
    let mut undo = Undo::new(env.store.clone());
    let old: Vec<DiskSlot> = take::covered_disks(&claim).collect();
    let state = frozen::read(env, &claim, &entry);
    state.warnings.iter().for_each(|warning| job.warn(warning));
    claim.vm.config = state.config;
    let was_suspended = claim.vm.config.suspended_to().is_some();
    match &memory {
        Some(name) => claim.vm.config.suspend_to(name),
        None => claim.vm.config.forget_suspended(),
    }
    // Whatever ran when it was taken, nothing runs now.
    claim.vm.config.end_run();
    let frozen: Vec<DiskSlot> = take::covered_disks(&claim).collect();
    for slot in &frozen {
        job.check()?;
        let chain = env.disk(&claim.vm, &slot.file_name)?;
        let child = take::grow_on(env, &claim, &chain, &mut undo)?;
        claim.vm.config.set_disk_file(slot.node, &child);
    }
    env.store.sync_dir(&env.working_dir(&claim.vm)?)?;
    if !state.nvram.is_empty() {
        undo.replace(&nvram_place(env, &mut claim)?, &state.nvram)?;
    }
    // A snapshot without any was taken before the first start here: what there is now stays.
    if let Some(variables) = firmware::read_beside(env, &claim.vm, &entry.file_name)? {
        let place = env.own_output(&claim.vm, &firmware::variables(&claim.vm))?;
        undo.replace(&place, &variables)?;
    }
    vmsd.set_current(Some(entry.uid));
    let steps = discarded(env, &claim, &vmsd, &old, job);
    leavings::note(&mut vmsd, &claim.vm, &[], &steps);
    // First, since it says what the other one gives up.
    undo.replace(&claim.vm.vmsd_path(&*env.store), &vmsd.to_bytes())?;
    undo.replace(claim.vm.vmx(), &claim.vm.config.to_bytes())?;
    undo.keep();
    if let Some(path) = given_up {
        vm_state::remove_memory(&*env.store, &path);
    }
    for link in steps.iter().flat_map(Step::links) {
        remove::delete_link(env, &claim, link)?;
    }
    leavings::forget(env, &claim, &mut vmsd, job);
    Ok(memory.is_some() && !was_suspended)
}

/// Demands that a VM is off, or suspended to a memory of ours; returns the file of that one, unless
/// a snapshot needs it.
fn require_reverted(env: &Env, claim: &Claim) -> Result<Option<PathBuf>> {
    let vm = &claim.vm;
    let suspended = vm
        .config
        .suspended_to()
        .filter(|name| claim.state.state == PowerState::Suspended && vm_state::is_our_memory(name));
    let Some(name) = suspended else {
        claim.require_off()?;
        return Ok(None);
    };
    claim.require_plain()?;
    let vmsd = env.vmsd(vm)?;
    let mut snapshots = vmsd.snapshots().iter();
    let kept = snapshots.any(|entry| vm_state::memory_beside(&entry.file_name) == Path::new(&name));
    match kept {
        true => Ok(None),
        false => env.own_file(vm, &name),
    }
}

/// Returns the snapshot that is wanted, if it can be gone back to, and the memory to be restored.
fn wanted(env: &Env, vm: &VmFolder, spec: &RevertSpec) -> Result<(SnapshotEntry, Option<String>)> {
    let entry = super::find(&env.vmsd(vm)?, &spec.snapshot)?;
    if !entry.with_memory || spec.without_memory {
        return Ok((entry, None));
    }
    let memory = vm_state::memory_beside(&entry.file_name);
    let memory = memory.to_string_lossy().into_owned();
    if env.own_file(vm, &memory)?.is_some() {
        return Ok((entry, Some(memory)));
    }
    let name = escaped(&entry.display_name);
    let text = format!(
        "snapshot \"{name}\" was taken with memory, which VMware saved and cannot be restored here"
    );
    let hint = "replix snapshot revert --without-memory goes back to its disks";
    Err(Error::new(Kind::NotSupported, text).hint(hint))
}

/// Powers off a VM that runs here: its state is given up.
fn cut_power(env: &Env, vm: &VmFolder, job: &Job) -> Result<()> {
    let is_ours = |state| matches!(state, PowerState::On | PowerState::Paused);
    if !is_ours(power::state(env, vm).state) {
        return Ok(());
    }
    job.warn("the VM was running: its power was cut");
    match power::stop(env, vm.vmx(), StopMode::Hard, job) {
        // It went off by itself meanwhile.
        Err(error) if error.kind() == Kind::VmNotRunning => Ok(()),
        done => done,
    }
}

/// Returns where the firmware's memory goes: to the file that the configuration names, if that is
/// one of the VM's own folders; else to the usual one, which is then named.
fn nvram_place(env: &Env, claim: &mut Claim) -> Result<PathBuf> {
    let named = match claim.vm.config.nvram() {
        Some(name) => env.own_file(&claim.vm, &name)?,
        None => None,
    };
    let own = env.own_folders(&claim.vm);
    if let Some(path) = named.filter(|path| own.hold(&*env.store, path)) {
        return Ok(path);
    }
    let name = format!("{}.nvram", claim.vm.stem());
    claim.vm.config.set_nvram(&name);
    let there = env.own_file(&claim.vm, &name)?;
    Ok(there.unwrap_or_else(|| claim.vm.dir().join(name)))
}

/// Returns what rids the VM of the disks that it ran on before; they stay where a state of the VM cannot be
/// read, which may need them.
fn discarded(env: &Env, claim: &Claim, vmsd: &Vmsd, old: &[DiskSlot], job: &Job) -> Vec<Step> {
    let mut links = Links::default();
    if let Err(error) = remove::add_states(env, claim, vmsd, &mut links) {
        job.warn(format!("the disks of before are left behind: {error}"));
        return Vec::new();
    }
    let mut freed: Vec<PathBuf> = Vec::new();
    for slot in old {
        match env.disk(&claim.vm, &slot.file_name) {
            Ok(chain) => freed.push(remove::add(env, claim, &chain, &mut links)),
            Err(error) => job.warn(format!("an old disk is left behind: {error}")),
        }
    }
    let (mut steps, _) = links.plan(&freed);
    steps.retain(|step| matches!(step, Step::Delete(_)));
    steps
}
