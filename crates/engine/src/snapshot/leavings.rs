//! Files that a change of snapshots leaves to nobody.
//!
//! Which files those are, only that change knows: afterwards a disk that no state names may as well be all
//! that is left of a snapshot whose bookkeeping was lost. So the change says it in the `.vmsd` that gives
//! them up, until they are gone. Names that are found there later are of a change that was killed or
//! failed: whoever changes snapshots next takes those files away.
//!
//! None goes that a state of the VM uses, or another VM in the folder, or that another disk stands on; nor
//! any where the bookkeeping is older than the VM's files: it was put back from a copy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::links::Step;
use super::remains::remains;
use super::{names, unfinished};
use crate::disk::{self, Opener};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::{SnapshotEntry, Vmsd};
use crate::job::Job;
use crate::store::{LockMode, Store, files_with_ending, folder_of, remove_if_there, replace};
use crate::vm::firmware::VARIABLES_ENDING;
use crate::vm::{Claim, Env, PowerState, VmFolder, files, state as vm_state};

/// Says in `vmsd` that the states of `entries` are given up, and links of `steps`; it is the caller's to write.
pub(super) fn note(vmsd: &mut Vmsd, vm: &VmFolder, entries: &[SnapshotEntry], steps: &[Step]) {
    let mut names: BTreeSet<String> = vmsd.leavings().into_iter().collect();
    names.extend(entries.iter().map(|entry| entry.file_name.clone()));
    let links = steps.iter().flat_map(Step::links);
    names.extend(links.map(|link| files::name_from(vm.dir(), vm.dir(), link)));
    vmsd.set_leavings(&names.into_iter().collect::<Vec<_>>());
}

/// Says in the bookkeeping that all of it is gone. Where that fails, the next change says so.
pub(super) fn forget(env: &Env, claim: &Claim, vmsd: &mut Vmsd, job: &Job) {
    if vmsd.leavings().is_empty() {
        return;
    }
    vmsd.set_leavings(&[]);
    let written = replace(
        &*env.store,
        &claim.vm.vmsd_path(&*env.store),
        &vmsd.to_bytes(),
    );
    if let Err(error) = written {
        job.warn(format!("the bookkeeping still names what is gone: {error}"));
    }
}

/// Takes away what changes left that were cut off: of the VM that `claim` holds alone, and whose disks
/// are still. What cannot be taken away is left, and said.
pub(super) fn clear(env: &Env, claim: &mut Claim, job: &Job) {
    if let Err(error) = try_clear(env, claim, job) {
        job.warn(format!(
            "what is left of another change of the snapshots stays: {error}"
        ));
    }
}

fn try_clear(env: &Env, claim: &mut Claim, job: &Job) -> Result<()> {
    let store = &*env.store;
    unfinished::clear(env, claim, None)?;
    let mut vmsd = env.vmsd(&claim.vm)?;
    if vmsd.leavings().is_empty() {
        return Ok(());
    }
    let given_up = given_up(env, &claim.vm, &vmsd)?;
    settle_merges(env, &claim.vm, &vmsd, job)?;
    for file in &given_up {
        remove_if_there(store, file)?;
    }
    let folders: BTreeSet<&Path> = given_up.iter().map(|file| folder_of(file)).collect();
    for folder in folders {
        store.sync_dir(folder)?;
    }
    vmsd.set_leavings(&[]);
    replace(store, &claim.vm.vmsd_path(store), &vmsd.to_bytes())
}

/// Puts the disks right that merges wrote to which were cut off: a merge is done again from its beginning.
fn settle_merges(env: &Env, vm: &VmFolder, vmsd: &Vmsd, job: &Job) -> Result<()> {
    let store = &*env.store;
    let (own, opener) = (env.own_folders(vm), env.opener(vm)?);
    let used = used(env, vm, vmsd)?;
    let names = vmsd.leavings().into_iter();
    let merged: BTreeSet<PathBuf> = names
        .filter_map(|name| env.own_file(vm, &name).ok()?)
        .filter(|path| used.contains(path) && own.hold(store, path))
        .collect();
    for path in &merged {
        disk::even_tables(&opener, &opener.open_link(path)?, job)?;
    }
    let named = unfinished::named_disks(env, vm, vmsd);
    for parent in merged.iter().filter(|path| !named.contains(*path)) {
        // All that stood on its child stands on it, but for the child itself, which a state still names.
        let children: Vec<PathBuf> = children_in(store, &opener, folder_of(parent))
            .into_iter()
            .filter(|(_, name)| *name == name_of(parent))
            .map(|(child, _)| child)
            .collect();
        let mut taken_in = children
            .iter()
            .filter(|child| merged.contains(*child) && named.contains(*child));
        let (Some(child), None) = (taken_in.next(), taken_in.next()) else {
            continue;
        };
        let (one, other) = (opener.open(child)?, opener.open(parent)?);
        if children.len() < 2 || !disk::compare(&one, &other, job)?.is_same() {
            continue;
        }
        for orphan in children.iter().filter(|orphan| *orphan != child) {
            let hint = files::name_from(opener.places().own(), folder_of(orphan), child);
            disk::relink(store, &opener.open_link(orphan)?, &hint, one.top().cid())?;
        }
    }
    Ok(())
}

/// The disks in a folder that stand on others, each with the name of that one as [`name_of`] tells it.
pub(super) fn children_in(
    store: &dyn Store,
    opener: &Opener,
    folder: &Path,
) -> Vec<(PathBuf, String)> {
    let disks = files_with_ending(store, folder, "vmdk");
    let children = disks.filter_map(|child| {
        let link = opener.open_link(&child).ok()?;
        let hint = link.descriptor().parent_hint()?;
        let parent = files::last_part(&hint).to_lowercase();
        Some((link.path().to_path_buf(), parent))
    });
    children.collect()
}

/// The name of a file, in lower case.
pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().to_lowercase()
}

/// Takes away what changes of the snapshots of the VM at `vmx` left that were cut off.
///
/// # Errors
/// `Busy` for a VM that is neither off nor suspended; those of holding it; what the system says.
pub(crate) fn end_changes(env: &Env, vmx: &Path, job: &Job) -> Result<()> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    if !matches!(claim.state.state, PowerState::Off | PowerState::Suspended) {
        let text = format!("{} is in use", quoted(vmx));
        return Err(Error::new(Kind::Busy, text).at(vmx));
    }
    try_clear(env, &mut claim, job)
}

/// Returns the files that changes of the snapshots of `vm` left that were cut off, as far as they are known
/// to be of no use.
///
/// # Errors
/// What is wrong with a disk of the VM: any may be of use then.
pub(crate) fn left(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Result<Vec<PathBuf>> {
    let mut left = unfinished::left(env, vm, vmsd)?;
    left.extend(given_up(env, vm, vmsd)?);
    left.sort();
    left.dedup();
    Ok(left)
}

/// The files that the bookkeeping says are given up, and that are.
fn given_up(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Result<Vec<PathBuf>> {
    let names = vmsd.leavings();
    if names.is_empty() || has_newer(env, vm, vmsd.last_uid()) {
        return Ok(Vec::new());
    }
    let is_state = |name: &String| name.to_lowercase().ends_with(".vmsn");
    let (states, disks): (Vec<String>, Vec<String>) = names.into_iter().partition(is_state);
    let is_kept = |name: &String| vmsd.snapshots().iter().any(|one| one.file_name == *name);
    // Where other VMs are, a name that is not of this one's may be of one of theirs.
    let (stem, is_alone) = (vm.stem(), !unfinished::may_be_shared(env, vm, vm.dir()));
    let is_own = |name: &String| is_alone || names::number_of_state(&stem, name).is_some();
    let states = states.iter().filter(|name| is_own(name) && !is_kept(name));
    let mut found: Vec<PathBuf> = states.flat_map(|name| state_files(env, vm, name)).collect();
    found.extend(spare_disks(env, vm, vmsd, &disks)?);
    Ok(found)
}

/// Whether the VM has the state of a snapshot with a number above `highest`: the bookkeeping is older than
/// that, then.
pub(super) fn has_newer(env: &Env, vm: &VmFolder, highest: u32) -> bool {
    let Ok(dir) = env.working_dir(vm) else {
        return true;
    };
    let stem = vm.stem();
    let mut states = files_with_ending(&*env.store, &dir, "vmsn");
    states.any(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        names::number_of_state(&stem, &name).is_some_and(|uid| uid > highest)
    })
}

/// The files of the state of a snapshot that is gone. After going back to that snapshot, the VM may be
/// suspended to its memory.
pub(super) fn state_files(env: &Env, vm: &VmFolder, file_name: &str) -> Vec<PathBuf> {
    let own = env.own_folders(vm);
    let memory = vm_state::memory_beside(file_name);
    let suspended_to = vm.config.suspended_to();
    let keeps_memory = suspended_to.is_some_and(|name| memory == Path::new(&name));
    let memories: &[&str] = match keeps_memory {
        true => &[],
        false => &["vmem", vm_state::MEMORY_ENDING],
    };
    let endings = ["vmsn", VARIABLES_ENDING].iter().chain(memories);
    let found = endings.filter_map(|ending| {
        let name = Path::new(file_name).with_extension(ending);
        let found = vm.find(&*env.store, &name.to_string_lossy())?;
        own.hold(&*env.store, &found.path).then_some(found.path)
    });
    found.collect()
}

/// A disk that nothing needs.
struct Spare {
    /// Its files, the descriptor last: it names the others.
    files: Vec<PathBuf>,
    /// What it stands on.
    parent: PathBuf,
}

/// Of the VM's own disks called so, the files of those that nothing needs: what stands on others first.
///
/// Only what stands on a disk in use is known to be a part of that one's past: all else, a base above all,
/// may be what the VM has lost.
fn spare_disks(env: &Env, vm: &VmFolder, vmsd: &Vmsd, names: &[String]) -> Result<Vec<PathBuf>> {
    let (store, opener) = (&*env.store, env.opener(vm)?);
    let used = used(env, vm, vmsd)?;
    let mut spare: BTreeMap<PathBuf, Spare> = BTreeMap::new();
    for name in names {
        // A stranger's bookkeeping may name any file.
        let Some(path) = env.own_file(vm, name).ok().flatten() else {
            continue;
        };
        if !used.contains(&path) {
            spare.extend(spare_disk(env, vm, &opener, &path).map(|one| (path, one)));
        }
    }
    let folders: BTreeSet<&Path> = spare.keys().map(|path| folder_of(path)).collect();
    let children: Vec<(PathBuf, String)> = folders
        .into_iter()
        .flat_map(|folder| children_in(store, &opener, folder))
        .collect();
    // What another disk stands on stays, and then what that one stands on.
    loop {
        let stays = spare.iter().find(|(path, one)| {
            let name = name_of(path);
            let is_below =
                |(child, parent): &(PathBuf, String)| *parent == name && !spare.contains_key(child);
            let is_known = used.contains(&one.parent) || spare.contains_key(&one.parent);
            !is_known || children.iter().any(is_below)
        });
        let Some(stays) = stays.map(|(path, _)| path.clone()) else {
            break;
        };
        spare.remove(&stays);
    }
    let mut files = Vec::new();
    while let Some(next) = spare.keys().find(|path| {
        let mut others = spare.values();
        !others.any(|other| other.parent == **path)
    }) {
        let next = next.clone();
        files.extend(spare.remove(&next).into_iter().flat_map(|one| one.files));
    }
    Ok(files)
}

/// Returns the VM's own disk at `path`, or what is left of it, if it stands on another one.
fn spare_disk(env: &Env, vm: &VmFolder, opener: &Opener, path: &Path) -> Option<Spare> {
    let (store, own) = (&*env.store, env.own_folders(vm));
    let ending = path.extension().unwrap_or_default();
    if !own.hold(store, path) || !ending.eq_ignore_ascii_case("vmdk") {
        return None;
    }
    let (files, hint) = match opener.open_link(path) {
        Ok(link) if own.hold_link(store, &link) => {
            let files = link.files().into_iter().rev().collect();
            (files, link.descriptor().parent_hint()?)
        }
        Ok(_) => return None,
        Err(_) => {
            let remains = remains(env, vm, &path.to_string_lossy())?;
            (remains.files, remains.parent_hint?)
        }
    };
    let parent = files::resolve(store, folder_of(path), &hint)?.path;
    Some(Spare {
        files,
        parent: store.canonical(&parent).ok()?,
    })
}

/// The links that a state of the VM stands on, or of another VM in its folder.
fn used(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Result<BTreeSet<PathBuf>> {
    let mut used = BTreeSet::new();
    let opener = env.opener(vm)?;
    for name in vm.disk_names(vmsd) {
        let survey = opener.survey(&vm.require(&*env.store, "disk", &name)?)?;
        survey.problem.map_or(Ok(()), Err)?;
        used.extend(survey.links.iter().map(|link| link.path().to_path_buf()));
    }
    for vmx in files_with_ending(&*env.store, vm.dir(), "vmx") {
        // What cannot be opened is no VM.
        let Some(other) = env.open(&vmx).ok().filter(|other| other.vmx() != vm.vmx()) else {
            continue;
        };
        let opener = env.opener(&other)?;
        for name in other.disk_names(&env.vmsd(&other)?) {
            let found = other.find(&*env.store, &name);
            let survey = found.and_then(|found| opener.survey(&found.path).ok());
            let links = survey.into_iter().flat_map(|survey| survey.links);
            used.extend(links.map(|link| link.path().to_path_buf()));
        }
    }
    Ok(used)
}
