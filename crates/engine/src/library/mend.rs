//! Steps, carried out: each proven anew under the locks that it needs.

use std::path::{Path, PathBuf};

use super::member::Member;
use super::walk::is_unfinished;
use super::{Step, rebuild};
use crate::clone::{self, Lookout, RelinkSpec, Seeker};
use crate::disk::{DiskAnswer, DiskCall};
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::snapshot::{self, SnapshotRef};
use crate::store::{
    FileKind, LockMode, Store, UNFINISHED, files_with_ending, folder_of, remove_tree, replace,
};
use crate::vm::{
    Claim, Env, PowerState, Standing, VmLock, clear_hidden_disk, clone_standing, disk_call, kin,
    lock, state as vm_state,
};

/// Does one step, and says what was done.
///
/// # Errors
/// Why it was not; what is there is as before then.
pub(super) fn carry_out(env: &Env, step: &Step, job: &Job) -> Result<String> {
    match step {
        Step::Clear { path } => clear(env, path, job),
        Step::Unlock { file } => unlock(&*env.store, file),
        Step::EndChanges { vm } => {
            snapshot::end_changes(env, vm, job)?;
            Ok(format!(
                "what a change of the snapshots of {} left was put right",
                quoted(vm)
            ))
        }
        Step::Rebuild { vm } => {
            let count = rebuild::write(env, vm, job)?;
            Ok(format!(
                "the bookkeeping of {} is there again: {count} of its snapshots",
                quoted(vm)
            ))
        }
        Step::Relink { vm, parent } => relink(env, vm, parent.as_deref(), job),
        Step::Forget { vm, clone } => forget(env, vm, clone, job),
        Step::MendDisk { disk } => mend_disk(env, disk, job),
        Step::RemoveSnapshot { vm, uid } => remove_snapshot(env, vm, *uid, job),
        Step::Consolidate { vm } => {
            let done = snapshot::consolidate(env, vm, job)?;
            Ok(format!(
                "{} links of {} were merged",
                done.links,
                quoted(vm)
            ))
        }
        Step::RemoveMemory { vm, path } => remove_memory(env, vm, path, job),
    }
}

fn clear(env: &Env, path: &Path, job: &Job) -> Result<String> {
    let store = &*env.store;
    let done = || format!("{} was removed", quoted(path));
    match kind_of(store, path) {
        _ if !is_unfinished(path) => {
            let text = format!("{} is none of our unfinished files", quoted(path));
            Err(Error::new(Kind::Argument, text).at(path))
        }
        Some(FileKind::File) => {
            let (mode, patience) = (LockMode::Exclusive, env.settings.patience);
            let _lock = VmLock::acquire(store, folder_of(path), mode, job, patience)?;
            store.remove_file(path)?;
            store.sync_dir(folder_of(path))?;
            Ok(done())
        }
        Some(FileKind::Dir) => {
            clear_folder(env, path, job)?;
            Ok(done())
        }
        Some(FileKind::Other) => {
            let text = format!("{} is a link or a device: none of ours", quoted(path));
            Err(Error::new(Kind::Denied, text).at(path))
        }
        None => Ok(format!("{} is gone already", quoted(path))),
    }
}

/// What it is, links not followed.
fn kind_of(store: &dyn Store, path: &Path) -> Option<FileKind> {
    let entries = store.list(folder_of(path)).ok()?;
    let name = path.file_name()?;
    let entry = entries.into_iter().find(|entry| entry.name == name);
    entry.map(|entry| entry.kind)
}

/// What made the folder knows what was moved out of it, and takes that away too.
fn clear_folder(env: &Env, path: &Path, job: &Job) -> Result<()> {
    let store = &*env.store;
    let folder = folder_of(path);
    for vmx in files_with_ending(store, folder, "vmx").collect::<Vec<_>>() {
        // One that cannot be opened made none.
        let Ok(vm) = env.open(&vmx) else { continue };
        let _claim = Claim::take(env, vm.vmx(), LockMode::Exclusive, job)?;
        clone::clear_promotions(env, &vm)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of = name
        .strip_prefix('.')
        .and_then(|name| name.rsplit_once(UNFINISHED));
    let of = of.map_or("", |(of, _)| of);
    if store.exists(path) {
        clear_hidden_disk(store, &folder.join(of));
        clone::clear_hidden(store, &folder.join(format!("{of}.vmx")));
    }
    if !store.exists(path) {
        return Ok(());
    }
    let Some(_lock) = store.try_lock_dir(path, LockMode::Exclusive)? else {
        let text = format!("a process works on {}", quoted(path));
        return Err(Error::new(Kind::FileLocked, text).at(path));
    };
    remove_tree(store, path)
}

fn unlock(store: &dyn Store, file: &Path) -> Result<String> {
    lock::release(store, file, 0);
    lock::refuse_held(store, file, LockMode::Exclusive)?;
    Ok(format!("{} is locked no more", quoted(file)))
}

fn relink(env: &Env, vmx: &Path, parent: Option<&Path>, job: &Job) -> Result<String> {
    let vm = env.open(vmx)?;
    // A folder from a report is not the user's word: it is proven here, and then said.
    let (lookout, vmsd) = (Lookout::new(env), env.vmsd(&vm)?);
    Seeker::of(&lookout, &vm, &vmsd)?.prospect(parent)?;
    let spec = RelinkSpec {
        parent: parent.map(PathBuf::from),
    };
    let done = clone::relink(env, vmx, &spec, job)?;
    let on: Vec<String> = done.disks.iter().map(|disk| quoted(&disk.parent)).collect();
    Ok(format!("{} stands on {}", quoted(vmx), kin::enumerate(&on)))
}

fn forget(env: &Env, vmx: &Path, clone: &str, job: &Job) -> Result<String> {
    let claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    let is_none = match clone_standing(env, &claim.vm, clone) {
        Standing::Gone => true,
        Standing::Unknown => false,
        Standing::Living => stands_elsewhere(env, &claim, clone),
    };
    if !is_none {
        let text = format!("{} may be a linked clone of {}", quoted(clone), quoted(vmx));
        return Err(Error::new(Kind::Busy, text).at(vmx));
    }
    let mut vmsd = env.vmsd(&claim.vm)?;
    if vmsd.remove_clones(|path| path == clone) > 0 {
        let path = claim.vm.vmsd_path(&*env.store);
        replace(&*env.store, &path, &vmsd.to_bytes())?;
    }
    Ok(format!("{} lists {} no more", quoted(vmx), quoted(clone)))
}

/// Tells whether a VM is all there and none of its disks stands on one of the VM that is held.
fn stands_elsewhere(env: &Env, claim: &Claim, clone: &str) -> bool {
    let place = kin::locate(env, &claim.vm, clone);
    let Some(member) = place.and_then(|place| Member::read(env, &place).ok()) else {
        return false;
    };
    let own = env.own_folders(&claim.vm);
    let mut links = member.parts().flat_map(|part| part.links());
    member.is_whole() && !links.any(|link| own.hold(&*env.store, &link.path))
}

fn mend_disk(env: &Env, disk: &Path, job: &Job) -> Result<String> {
    let call = DiskCall::Repair { dry_run: false };
    let DiskAnswer::Repaired(report) = disk_call::run(env, disk, &call, job)? else {
        return Err(Error::new(
            Kind::Internal,
            "a repair of a disk came to something else",
        ));
    };
    let is_sound = report.after.is_some_and(|after| after.errors.is_empty());
    let steps = match report.steps.is_empty() {
        true => "nothing could be mended".to_string(),
        false => escaped(&report.steps.join("; ")),
    };
    if is_sound && report.left.is_empty() {
        return Ok(format!("{} is sound: {steps}", quoted(disk)));
    }
    let left = escaped(&report.left.join("; "));
    let text = format!(
        "{}: {steps}; a person must decide on the rest: {left}",
        quoted(disk)
    );
    Err(Error::new(Kind::DiskInvalid, text).at(disk))
}

fn remove_snapshot(env: &Env, vmx: &Path, uid: u32, job: &Job) -> Result<String> {
    let vm = env.open(vmx)?;
    let vmsd = env.vmsd(&vm)?;
    let is_spare = vmsd.snapshot(uid).is_some_and(|entry| {
        let mut clones = entry.clones.iter();
        clone::is_base(entry) && clones.all(|name| clone_standing(env, &vm, name) == Standing::Gone)
    });
    if !is_spare {
        let text = format!(
            "snapshot #{uid} of {} is in use, or another one by now",
            quoted(vmx)
        );
        return Err(Error::new(Kind::Busy, text).at(vmx));
    }
    snapshot::remove(env, vmx, &SnapshotRef::Uid(uid), false, job)?;
    Ok(format!("snapshot #{uid} of {} was removed", quoted(vmx)))
}

fn remove_memory(env: &Env, vmx: &Path, path: &Path, job: &Job) -> Result<String> {
    let claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    let store = &*env.store;
    let is_still = matches!(claim.state.state, PowerState::Off | PowerState::Suspended);
    if !store.exists(path) {
        // Whatever was done before took it along.
        return Ok(format!("{} is gone already", quoted(path)));
    }
    let strays = vm_state::stray_memories(store, &claim.vm);
    if !is_still || !strays.iter().any(|stray| stray == path) {
        let text = format!("{} may be in use by {}", quoted(path), quoted(vmx));
        return Err(Error::new(Kind::Busy, text).at(path));
    }
    // The name of this one tells of the other.
    match store.remove_file(&vm_state::ram_beside(path)) {
        Err(error) if error.kind() != Kind::FileNotFound => return Err(error),
        _ => store.remove_file(path)?,
    }
    store.sync_dir(folder_of(path))?;
    Ok(format!("{} was removed", quoted(path)))
}
