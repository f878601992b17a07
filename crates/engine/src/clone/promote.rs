//! A linked clone becomes a full one (docs/adr/0018).
//!
//! What other VMs' disks hold for it is copied: they are frozen, so that the VM may run meanwhile. Then
//! its own links are hung on the copies, which have the content ids of what they are copies of. Its
//! snapshots stay what they are, and so does a memory that it was suspended with.
//!
//! Order of what becomes durable: the copies in a hidden folder, and moved out of it; the own links, one
//! by one; that the parent does not list the clone any more; that the clone names no parent; the end of
//! the hidden folder. Between any two the VM is whole. At last, where it does not run, each copy takes in what stands on it alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::delete::{Listed, find_listed, take_out};
use super::foreign::{self, Foreign};
use super::hang::Hung;
use super::plan::is_base;
use super::promotion::{self, Promotion};
use super::{PromoteSpec, Promoted};
use crate::disk::{self, ContentId, Copy};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::Vmsd;
use crate::job::Job;
use crate::power::{self, Halted};
use crate::snapshot::{self, SnapshotRef, names::without_number};
use crate::store::{LockMode, Undo, replace};
use crate::vm::identity::Uuid;
use crate::vm::{Claim, Env, PowerState, VmFolder, files, state as vm_state};

/// Makes the linked clone at `vmx` independent of all other VMs; of one that is, nothing changes.
///
/// # Errors
/// `VmRunning` where another program runs it; `Busy` where linked clones of it run; `NoSpace`,
/// `Cancelled`; what is wrong with a disk. It is a linked clone as before then. After an error of
/// merging it is independent, on a longer chain.
pub(crate) fn promote(env: &Env, vmx: &Path, spec: PromoteSpec, job: &Job) -> Result<Promoted> {
    let mut undo = Undo::new(env.store.clone());
    let (made, copies) = look(env, vmx, &mut undo, job)?;
    let mut done = Promoted::default();
    for copy in copies.values() {
        job.phase(format!(
            "copying {}",
            quoted(copy.foreign.chain.top().path())
        ));
        let wanted = Copy {
            path: &made.path(&copy.name),
            create_type: None,
            preallocated: false,
            uuid: Some(Uuid::new_disk()),
            content_id: ContentId::Keep,
        };
        let copied = disk::copy(&*env.store, &copy.foreign.chain, &wanted, job)?;
        // Who may read the clone's own disks, QEMU of another user above all, may read these.
        if let Some(child) = copy.foreign.children.first() {
            let files = copied.files.iter();
            files.for_each(|file| env.store.copy_ownership(child, file));
        }
        done.bytes += copied.moved.bytes();
        done.disks += 1;
    }
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    switch(env, &claim, &made, &copies, undo, job)?;
    let parent = leave_parent(env, &mut claim, job)?;
    made.end(&*env.store)?;
    done.parent = parent
        .as_ref()
        .map(|listed| listed.parent.vmx().to_path_buf());
    merge(env, &mut claim, done.disks > 0, job)?;
    drop(claim);
    if let Some(listed) = parent.filter(|_| spec.remove_base) {
        remove_base(env, &listed, job);
    }
    Ok(done)
}

/// A disk to be copied.
struct ToCopy {
    foreign: Foreign,
    /// File name of the copy.
    name: String,
}

/// Sees what is to be copied, by the descriptors of what is, and makes the folder for it.
fn look(
    env: &Env,
    vmx: &Path,
    undo: &mut Undo,
    job: &Job,
) -> Result<(Promotion, BTreeMap<PathBuf, ToCopy>)> {
    let store = &*env.store;
    let claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    let vm = &claim.vm;
    require_ours(env, &claim)?;
    promotion::clear(env, vm)?;
    let vmsd = env.vmsd(vm)?;
    drop(foreign::hold_clones(env, vm, &vmsd)?);
    let mut copies = BTreeMap::new();
    let mut bytes = 0;
    for (path, foreign) in foreign::disks(env, vm, &vmsd)? {
        foreign.chain.require_clean()?;
        foreign.chain.top().require_unused(store)?;
        bytes += foreign.chain.data_bytes()?;
        let child = foreign.children.first().unwrap_or(&path);
        let name = name_of(env, vm, child, &copies);
        copies.insert(path, ToCopy { foreign, name });
    }
    let free = store.free_bytes(vm.dir())?;
    if bytes > free {
        let text = format!(
            "{} needs {bytes} bytes more of its own, and {free} are free at {}",
            quoted(vmx),
            quoted(vm.dir())
        );
        return Err(Error::new(Kind::NoSpace, text).at(vm.dir()));
    }
    job.expect_bytes(bytes);
    Ok((Promotion::prepare(env, vm, undo)?, copies))
}

/// Refuses a VM that another program runs or suspended, and one whose configuration forbids changes.
fn require_ours(env: &Env, claim: &Claim) -> Result<()> {
    match claim.state.state {
        PowerState::On | PowerState::Paused => {
            let running = power::running(env)?;
            if !running.iter().any(|vmx| vmx == claim.vm.vmx()) {
                claim.require_off()?;
            }
        }
        PowerState::Suspended => drop(power::suspended_memory(env, &claim.vm)?),
        _ => claim.require_off()?,
    }
    claim.require_plain()
}

/// Returns a name for the copy that is to stand below the own link `child`: one that no file in the VM's
/// folder begins with, nor any of the other copies.
fn name_of(env: &Env, vm: &VmFolder, child: &Path, others: &BTreeMap<PathBuf, ToCopy>) -> String {
    let name = child.file_name().unwrap_or_default().to_string_lossy();
    let stem = without_number(files::stem(&name)).to_owned();
    let entries = env.store.list(vm.dir()).unwrap_or_default().into_iter();
    let there = entries.map(|entry| entry.name.to_string_lossy().into_owned());
    let taken = there.chain(others.values().map(|copy| copy.name.clone()));
    let taken: Vec<String> = taken.map(|name| name.to_lowercase()).collect();
    let mut number = 2_u32;
    loop {
        let name = format!("{stem}-{number}");
        // Its extents begin alike.
        let lower = name.to_lowercase();
        if !taken.iter().any(|taken| taken.starts_with(&lower)) {
            return format!("{name}.vmdk");
        }
        number += 1;
    }
}

/// Hangs the VM's own links on the copies.
fn switch(
    env: &Env,
    claim: &Claim,
    made: &Promotion,
    copies: &BTreeMap<PathBuf, ToCopy>,
    mut undo: Undo,
    job: &Job,
) -> Result<()> {
    let store = &*env.store;
    let vm = &claim.vm;
    let vmsd = env.vmsd(vm)?;
    if copies.is_empty() && foreign::disks(env, vm, &vmsd)?.is_empty() {
        undo.keep();
        return Ok(());
    }
    let _clones = foreign::hold_clones(env, vm, &vmsd)?;
    require_ours(env, claim)?;
    let halted = snapshot::hold_still(env, claim, false, job)?;
    // The VM was not held while the copies were made.
    let now = foreign::disks(env, vm, &vmsd)?;
    if let Some(path) = now.keys().find(|path| !copies.contains_key(*path)) {
        let text = format!("{} has come to stand on {}", quoted(vm.vmx()), quoted(path));
        let error = Error::new(Kind::Busy, text).at(vm.vmx());
        return Err(error.hint("it was changed meanwhile: try again"));
    }
    job.check()?;
    made.move_out(store, &mut undo)?;
    let mut hung = Hung::new(env, vm);
    for (path, foreign) in &now {
        let copy = vm.dir().join(&copies[path].name);
        for child in &foreign.children {
            if let Err(error) = hung.hang(child, &copy, foreign.chain.top().cid()) {
                // Where a link cannot be hung back, the VM is whole on both.
                if hung.take_back().is_err() {
                    undo.keep();
                }
                return Err(error);
            }
        }
    }
    undo.keep();
    match halted.map_or(Ok(()), Halted::go_on) {
        // It ended meanwhile: the next one starts from the copies.
        Err(error) if error.kind() == Kind::VmNotRunning => Ok(()),
        went_on => went_on,
    }
}

/// Has the parent list the clone no more, and the clone name no parent; returns where it was listed.
fn leave_parent(env: &Env, claim: &mut Claim, job: &Job) -> Result<Option<Listed>> {
    // A machine that went on may have changed it.
    claim.vm = env.open(claim.vm.vmx())?;
    let mut vmsd = env.vmsd(&claim.vm)?;
    let Some(name) = vmsd.clone_of() else {
        return Ok(None);
    };
    let listed = match find_listed(env, &claim.vm, &vmsd).unwrap_or_else(|| Err(gone(&name))) {
        Ok(listed) => match take_out(env, claim, &listed, job) {
            Ok(()) => Some(listed),
            Err(error) => {
                job.warn(format!("the parent still lists this clone: {error}"));
                None
            }
        },
        Err(error) => {
            job.warn(format!("the parent may still list this clone: {error}"));
            None
        }
    };
    vmsd.forget_clone_of();
    replace(
        &*env.store,
        &claim.vm.vmsd_path(&*env.store),
        &vmsd_bytes(&vmsd),
    )?;
    search_no_more(env, &mut claim.vm, listed.as_ref());
    replace(&*env.store, claim.vm.vmx(), &claim.vm.config.to_bytes())?;
    Ok(listed)
}

fn gone(name: &str) -> Error {
    Error::new(
        Kind::VmNotFound,
        format!("{} is not to be found", quoted(name)),
    )
}

/// A VM without snapshots has an empty bookkeeping, as a full clone has.
fn vmsd_bytes(vmsd: &Vmsd) -> Vec<u8> {
    match vmsd.dict().names().all(|name| name == ".encoding") {
        true => Vec::new(),
        false => vmsd.to_bytes(),
    }
}

/// Takes the parent's folder out of those in which disks are searched.
fn search_no_more(env: &Env, vm: &mut VmFolder, listed: Option<&Listed>) {
    let store = &*env.store;
    let is_parents = |folder: &String| {
        let found = files::resolve_folder(store, vm.dir(), folder);
        let found = found.and_then(|found| store.canonical(&found).ok());
        listed.is_some_and(|listed| found.as_deref() == Some(listed.parent.dir()))
    };
    let folders = vm.config.file_search_path();
    let (parents, mut kept): (Vec<String>, Vec<String>) = folders.into_iter().partition(is_parents);
    kept.retain(|folder| folder != ".");
    match kept.is_empty() {
        true => vm.config.dict_mut().remove("fileSearchPath"),
        false if parents.is_empty() => {}
        false => {
            kept.insert(0, ".".into());
            let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
            vm.config.set_file_search_path(&kept);
        }
    }
}

/// Has each copy take in what stands on it alone, where the guest need not stand still for it.
fn merge(env: &Env, claim: &mut Claim, is_news: bool, job: &Job) -> Result<()> {
    if claim.state.state.is_on() {
        if is_news {
            job.warn("the VM runs on disks of two links each: consolidate them once it is off");
        }
        return Ok(());
    }
    let merged = snapshot::consolidate_still(env, claim, job);
    let failed = |error: Error| {
        error.context("the VM is independent, but not all of its disks could be merged")
    };
    merged.map(drop).map_err(failed)
}

/// Removes the snapshot that was made in the parent for the clone alone.
fn remove_base(env: &Env, listed: &Listed, job: &Job) {
    let parent = &listed.parent;
    let result = env.vmsd(parent).and_then(|vmsd| {
        let entry = listed.base.and_then(|uid| vmsd.snapshot(uid));
        let is_unused = entry.is_some_and(|entry| is_base(entry) && entry.clones.is_empty());
        let state = vm_state::read(env, parent).state;
        match listed.base {
            Some(uid) if is_unused && state == PowerState::Off => {
                snapshot::remove(env, parent.vmx(), &SnapshotRef::Uid(uid), false, job)
            }
            _ => Ok(()),
        }
    });
    if let Err(error) = result {
        job.warn(format!(
            "the parent keeps the snapshot that was made for this clone: {error}"
        ));
    }
}
