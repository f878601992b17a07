//! Deleting a VM: its own files, and nothing that others stand on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{DeleteSpec, naming, promotion};
use crate::disk::Link;
use crate::error::{Error, Kind, Result, quoted};
use crate::format::{SnapshotEntry, Vmsd};
use crate::job::Job;
use crate::snapshot::names::without_number;
use crate::snapshot::{Remains, clear_unfinished, remains};
use crate::store::{FileKind, LockMode, Store, files_with_ending, remove_if_there, replace};
use crate::vm::belongings::{self, Role};
use crate::vm::{Claim, Env, Standing, VmFolder, VmLock, clone_standing, consent, files, kin};

/// Deletes the VM at `vmx`.
///
/// # Errors
/// `VmRunning`; `Busy` where living linked clones stand on it; what the system says.
pub(crate) fn delete(env: &Env, vmx: &Path, spec: DeleteSpec, job: &Job) -> Result<()> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    claim
        .state
        .refusal(claim.vm.vmx(), true)
        .map_or(Ok(()), Err)?;
    promotion::clear(env, &claim.vm)?;
    let vmsd = env.vmsd(&claim.vm)?;
    if !spec.force && !env.settings.delete_parents {
        refuse_parents(env, &claim, &vmsd)?;
    }
    if spec.disks {
        // A disk whose maker was killed early has nothing in it that says whose it is. What cannot be
        // looked at is left; of the disks, `own_links` says so.
        let _ = clear_unfinished(env, &mut claim, None);
    }
    let (disks, listed) = match spec.disks {
        true => (
            own_disks(env, &claim, &vmsd, job),
            find_listed(env, &claim.vm, &vmsd),
        ),
        false => (Vec::new(), None),
    };
    let others = belongings::list(env, &claim.vm, &vmsd)?;
    job.check()?;
    // From here on it goes through to the end: half a VM is of no use to anybody.
    for disk in &disks {
        disk.remove(&*env.store)?;
    }
    for belonging in others {
        if !matches!(belonging.role, Role::Config | Role::Disk | Role::Lock) {
            remove_if_there(&*env.store, &belonging.path)?;
        }
    }
    // Without the configuration nobody would look for its lock any more.
    claim.hand_over();
    env.store.remove_file(claim.vm.vmx())?;
    consent::forget(&*env.store, claim.vm.vmx());
    let dir = claim.vm.dir().to_path_buf();
    env.store.sync_dir(&dir)?;
    let left = listed.map(|listed| take_out(env, &claim, &listed?, job));
    if let Some(Err(error)) = left {
        job.warn(format!("the parent still lists the deleted clone: {error}"));
    }
    drop(claim);
    // Only an empty folder goes.
    let _ = env.store.remove_dir(&dir);
    Ok(())
}

fn refuse_parents(env: &Env, claim: &Claim, vmsd: &Vmsd) -> Result<()> {
    // Of thousands that are gone, each is looked for in the same folders.
    let env = &env.glancing();
    let clones = vmsd.snapshots().iter().flat_map(|entry| &entry.clones);
    let named: Vec<String> = clones
        .filter_map(|clone| match clone_standing(env, &claim.vm, clone) {
            Standing::Living => Some(quoted(clone)),
            Standing::Unknown => Some(format!("{} (out of sight)", quoted(clone))),
            Standing::Gone => None,
        })
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let vmx = claim.vm.vmx();
    let text = format!(
        "linked clones stand on {}: {}",
        quoted(vmx),
        kin::enumerate(&named)
    );
    let hint = "delete those first; without its disks they are lost";
    Err(Error::new(Kind::Busy, text).at(vmx).hint(hint))
}

/// A disk of the VM, without its parents.
enum Own {
    Whole(Link),
    /// It lacks a part; the files that are there.
    Torn(Vec<PathBuf>),
}

impl Own {
    /// Removes it.
    fn remove(&self, store: &dyn Store) -> Result<()> {
        match self {
            Self::Whole(link) => link.remove(store),
            Self::Torn(files) => files
                .iter()
                .try_for_each(|file| remove_if_there(store, file)),
        }
    }
}

/// The disks that belong to this VM alone: in its folder, not beyond its sentinels, and not used by
/// another VM in the same folder; and what is there of those that lack a part. What else cannot be
/// opened is left, and said.
///
/// They are in an order in which they may be removed: when that is cut off, the rest is found again. What
/// nobody names is known by what it stands on, and a parent by its child.
fn own_disks(env: &Env, claim: &Claim, vmsd: &Vmsd, job: &Job) -> Vec<Own> {
    let vm = &claim.vm;
    let current = vm.config.disks().into_iter().map(|slot| slot.file_name);
    let frozen = vmsd.frozen_disks().map(String::from);
    let own_folders = env.own_folders(vm);
    let sentinels: Vec<PathBuf> = vmsd
        .sentinels()
        .iter()
        .filter_map(|name| env.store.canonical(&vm.find(&*env.store, name)?.path).ok())
        .collect();
    let foreign = used_by_neighbours(env, claim);
    let mut seen = BTreeSet::new();
    let mut own = Vec::new();
    let mut torn = Vec::new();
    for name in current.chain(frozen) {
        let links = match survey(env, claim, &name) {
            Ok(links) => links,
            Err(error) if error.kind() == Kind::FileNotFound && foreign.is_empty() => {
                torn.extend(remains(env, &claim.vm, &name));
                continue;
            }
            Err(error) => {
                job.warn(format!("a disk was left: {error}"));
                continue;
            }
        };
        torn.extend(links.last().and_then(|last| torn_parent(env, claim, last)));
        for link in links {
            let path = link.path().to_path_buf();
            if !own_folders.hold_link(&*env.store, &link) || foreign.contains(&path) {
                break;
            }
            let last = sentinels.contains(&path);
            if seen.insert(path) {
                own.push(link);
            }
            if last {
                break;
            }
        }
    }
    let mut disks = unnamed_disks(env, claim, &own, &foreign);
    disks.reverse();
    disks.extend(torn.into_iter().map(|remains| Own::Torn(remains.files)));
    disks.extend(own.into_iter().rev().map(Own::Whole));
    disks
}

/// What is left of the parent of `link`, the last that could be opened, where a deletion was cut off at
/// that: it is beside it, and lacks a part.
fn torn_parent(env: &Env, claim: &Claim, link: &Link) -> Option<Remains> {
    let hint = link.descriptor().parent_hint()?;
    let is_alone = files_with_ending(&*env.store, claim.vm.dir(), "vmx").count() == 1;
    let missing = survey(env, claim, &hint).err()?.kind() == Kind::FileNotFound;
    (is_beside(&hint) && is_alone && missing).then(|| remains(env, &claim.vm, &hint))?
}

/// Whether a parent is in the folder of the disk that calls it so.
fn is_beside(hint: &str) -> bool {
    !hint.contains(['/', '\\'])
}

/// The disks that an operation made in the VM's folder and nobody names, since it was killed. They stand
/// on disks that go, or say so: those may have another content id by now, or be gone from the folder, and are
/// called as the VM's own then. What else lacks its parent may be all that is left of another VM.
fn unnamed_disks(env: &Env, claim: &Claim, own: &[Link], foreign: &BTreeSet<PathBuf>) -> Vec<Own> {
    let dir = claim.vm.dir();
    let mut going: BTreeSet<PathBuf> = own.iter().map(|link| link.path().to_path_buf()).collect();
    let base = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        without_number(files::stem(&name)).to_owned()
    };
    let bases: BTreeSet<String> = own.iter().map(|link| base(link.path())).collect();
    let mut open = Vec::new();
    for path in files_with_ending(&*env.store, dir, "vmdk") {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = files::stem(&name);
        if !naming::is_of_ours(stem) || going.contains(&path) || foreign.contains(&path) {
            continue;
        }
        let (below, hint, disk) = match survey(env, claim, &name) {
            Ok(links) => {
                let mut links = links.into_iter();
                let Some(top) = links.next() else { continue };
                let below = links.map(|link| link.path().to_path_buf()).collect();
                (below, top.descriptor().parent_hint(), Own::Whole(top))
            }
            Err(_) => match remains(env, &claim.vm, &name) {
                Some(remains) => (Vec::new(), remains.parent_hint, Own::Torn(remains.files)),
                None => continue,
            },
        };
        let named = hint.as_ref().map(|hint| files::join(dir, hint));
        let is_missing = |path: &PathBuf| !env.store.exists(path) && bases.contains(&base(path));
        let missing = named.clone().filter(is_missing);
        going.extend(missing.filter(|_| hint.as_ref().is_some_and(|hint| is_beside(hint))));
        let below: Vec<PathBuf> = Vec::into_iter(below).chain(named).collect();
        open.push((path, below, disk));
    }
    let mut unnamed = Vec::new();
    while let Some(next) = open.iter().position(|(_, below, _)| {
        let mut below = below.iter();
        below.any(|path| going.contains(path))
    }) {
        let (path, _, disk) = open.swap_remove(next);
        going.insert(path);
        unnamed.push(disk);
    }
    unnamed
}

/// The links of a disk as far as they can be opened; a missing parent does not matter here.
fn survey(env: &Env, claim: &Claim, name: &str) -> Result<Vec<Link>> {
    let path = claim.vm.require(&*env.store, "disk", name)?;
    Ok(env.opener(&claim.vm)?.survey(&path)?.links)
}

/// The links that other VMs in the same folder run on, and their disks that cannot be opened.
fn used_by_neighbours(env: &Env, claim: &Claim) -> BTreeSet<PathBuf> {
    let mut used = BTreeSet::new();
    let entries = env.store.list(claim.vm.dir()).unwrap_or_default();
    for entry in entries {
        let path = claim.vm.dir().join(&entry.name);
        if entry.kind != FileKind::File || path == claim.vm.vmx() {
            continue;
        }
        let Ok(neighbour) = env.open(&path) else {
            continue;
        };
        let frozen: Vec<String> = env
            .vmsd(&neighbour)
            .map(|vmsd| vmsd.frozen_disks().map(String::from).collect())
            .unwrap_or_default();
        let current = neighbour
            .config
            .disks()
            .into_iter()
            .map(|slot| slot.file_name);
        for name in current.chain(frozen) {
            match survey(env, claim, &name) {
                Ok(links) => used.extend(links.iter().map(|link| link.path().to_path_buf())),
                Err(_) => {
                    let found = claim.vm.find(&*env.store, &name);
                    used.extend(found.and_then(|one| env.store.canonical(&one.path).ok()));
                }
            }
        }
    }
    used
}

/// Where a linked clone stands in its parent's bookkeeping.
pub(super) struct Listed {
    /// The parent.
    pub(super) parent: VmFolder,
    /// The number of the snapshot that it stands on.
    pub(super) base: Option<u32>,
    /// The clone's paths as written there.
    names: Vec<String>,
}

/// Finds a linked clone in its parent's bookkeeping; `None` for a VM that is none. To be asked while
/// the clone is there: a path of another machine can be told only by what it leads to.
pub(super) fn find_listed(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Option<Result<Listed>> {
    let name = vmsd.clone_of()?;
    let missing = || {
        let text = format!("{} is not to be found", quoted(&name));
        Error::new(Kind::VmNotFound, text)
    };
    let parent = kin::locate(env, vm, &name).ok_or_else(missing);
    Some(parent.and_then(|parent| {
        let parent = env.open(&parent)?;
        let vmsd = env.vmsd(&parent)?;
        let entries = vmsd.snapshots();
        let names = names_in(env, vm, &parent, entries);
        let is_it = |clone: &str| names.iter().any(|name| name == clone);
        let on = entries.iter().find(|entry| entry.clones.iter().any(is_it));
        Ok(Listed {
            base: on.map(|entry| entry.uid),
            parent,
            names,
        })
    }))
}

/// The paths in `entries` that lead to `vm`. Each look at where one leads asks the file system, and there may be
/// thousands: the likely ones come first.
fn names_in(env: &Env, vm: &VmFolder, parent: &VmFolder, entries: &[SnapshotEntry]) -> Vec<String> {
    let env = &env.glancing();
    let written = vm.vmx().to_string_lossy();
    let last = |path: &str| files::last_part(path).to_lowercase();
    let own = last(&written);
    let leads_here = |clone: &str| {
        let found = kin::locate(env, parent, clone);
        found.is_some_and(|found| found == vm.vmx())
    };
    let looks: [&dyn Fn(&str) -> bool; 3] = [
        &|clone| clone == written,
        &|clone| last(clone) == own && leads_here(clone),
        &leads_here,
    ];
    let names_by = |is_it: &dyn Fn(&str) -> bool| {
        let clones = entries.iter().flat_map(|entry| &entry.clones);
        let names: Vec<String> = clones
            .filter(|clone| is_it(clone))
            .map(String::from)
            .collect();
        (!names.is_empty()).then_some(names)
    };
    looks.into_iter().find_map(names_by).unwrap_or_default()
}

/// Takes a linked clone that stands on its parent no more out of that one's bookkeeping.
///
/// # Errors
/// `FileLocked`; what the system says.
pub(super) fn take_out(env: &Env, claim: &Claim, listed: &Listed, job: &Job) -> Result<()> {
    let parent = &listed.parent;
    let _lock = match parent.dir() == claim.vm.dir() {
        true => None,
        false => Some(VmLock::acquire(
            &*env.store,
            parent.dir(),
            LockMode::Exclusive,
            job,
            env.settings.patience,
        )?),
    };
    let mut vmsd = env.vmsd(parent)?;
    if vmsd.remove_clones(|clone| listed.names.iter().any(|name| name == clone)) > 0 {
        replace(
            &*env.store,
            &parent.vmsd_path(&*env.store),
            &vmsd.to_bytes(),
        )?;
    }
    Ok(())
}
