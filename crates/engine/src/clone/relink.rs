//! A linked clone finds the disks again that it stands on, after they were moved, renamed or copied.
//!
//! A disk is trusted by what it holds, not by its name: the content id that the clone's link wants, the
//! same capacity, and the long content id where the link still tells the one that it was made on. Where
//! that leaves no disk, or several, nothing is changed.
//!
//! Order of what becomes durable: that the parent lists the clone; that the clone names the parent; the
//! own links, one by one. Whoever was killed in between begins anew.

use std::path::{Path, PathBuf};

use super::delete::{Listed, find_listed, take_out};
use super::foreign::{self, Ends};
use super::hang::Hung;
use super::lookout::{Candidate, Lookout, Owner};
use super::{RelinkSpec, Relinked, RelinkedDisk};
use crate::disk::{Link, Opener};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::Vmsd;
use crate::job::Job;
use crate::store::{LockMode, Undo};
use crate::vm::{Claim, Env, PowerState, VmFolder, VmLock, files};

/// Hangs the linked clone at `vmx` on its parent, wherever that is now; of a VM that stands on no other,
/// nothing changes.
///
/// # Errors
/// `VmRunning`; `DiskParent` where no disk proves to be the parent, or several do; `DiskChanged` where the
/// one that is called so was written to; `Busy` where linked clones of it run; `Denied` where the
/// parent lies where the clone may not reach. Nothing changes then.
pub(crate) fn relink(env: &Env, vmx: &Path, spec: &RelinkSpec, job: &Job) -> Result<Relinked> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    if claim.state.state != PowerState::Suspended {
        claim.require_off()?;
    }
    claim.require_plain()?;
    let vmsd = env.vmsd(&claim.vm)?;
    let _clones = foreign::hold_clones(env, &claim.vm, &vmsd)?;
    let ends = ends(env, &claim.vm, &vmsd)?;
    let lookout = Lookout::new(env);
    let mut found = Vec::new();
    for end in &ends {
        job.check()?;
        found.push(lookout.find(&claim.vm, end, spec.parent.as_deref())?);
    }
    let Some(first) = found.first() else {
        return Ok(Relinked::default());
    };
    let owner = lookout.owner(first.path());
    let before = find_listed(env, &claim.vm, &vmsd);
    match &owner {
        Some(owner) if owner.base.is_none() => job.warn(format!(
            "{} is the present disk of {}: take a snapshot there before that one is started, or this \
             clone is lost",
            quoted(first.path()),
            quoted(owner.vm.vmx())
        )),
        Some(_) => {}
        None => job.warn(format!(
            "no VM is beside {}: nothing keeps it from being deleted",
            quoted(first.path())
        )),
    }
    change(
        env,
        &mut claim,
        vmsd,
        &ends,
        (&found, owner.as_deref()),
        job,
    )?;
    leave(env, &claim, before, owner.as_deref(), job);
    let disk = |(end, parent): (&End, &Candidate)| RelinkedDisk {
        disk: end.child.path().to_path_buf(),
        parent: parent.path().to_path_buf(),
        cid: format!("{:08x}", parent.cid()),
        by_long_id: parent.by_long_id,
    };
    Ok(Relinked {
        parent: owner.map(|owner| owner.vm.vmx().to_path_buf()),
        disks: ends.iter().zip(&found).map(disk).collect(),
    })
}

/// A linked clone that looks for its parent, and changes nothing.
pub(crate) struct Seeker<'a> {
    lookout: &'a Lookout<'a>,
    vm: &'a VmFolder,
    vmsd: &'a Vmsd,
    opener: Opener,
    ends: Vec<End>,
}

impl<'a> Seeker<'a> {
    /// Returns the clone `vm`.
    ///
    /// # Errors
    /// What is wrong with its own disks.
    pub(crate) fn of(lookout: &'a Lookout<'a>, vm: &'a VmFolder, vmsd: &'a Vmsd) -> Result<Self> {
        let env = lookout.env();
        Ok(Self {
            lookout,
            vm,
            vmsd,
            opener: env.opener(vm)?,
            ends: ends(env, vm, vmsd)?,
        })
    }

    /// Returns the disk that [`relink`] would hang the first of the clone's links on. `parent`
    /// is where somebody looked, not the user's word: what lies out of the clone's reach counts only where
    /// its long content id, which nobody guesses, proves it, or where its VM waits for the clone.
    ///
    /// # Errors
    /// As [`relink`]; `Denied` at the disk that is out of reach and proven by its short id alone.
    pub(crate) fn prospect(&self, parent: Option<&Path>) -> Result<PathBuf> {
        let store = &*self.lookout.env().store;
        let mut first = None;
        for end in &self.ends {
            let found = self.lookout.find(self.vm, end, parent)?;
            let path = found.path().to_path_buf();
            if !found.by_long_id && !self.is_awaited(&path) {
                let places = self.opener.places();
                let reached = places.parent(store, &path, end.child.path());
                reached.map_err(|error| error.at(&path))?;
            }
            first = first.or(Some(path));
        }
        first.ok_or_else(|| {
            let text = format!("{} stands on no other VM", quoted(self.vm.vmx()));
            Error::new(Kind::DiskParent, text).at(self.vm.vmx())
        })
    }

    /// Tells whether the VM that the disk at `path` belongs to lists a linked clone that is gone, and is called
    /// as this one, which calls its parent as that VM is called: the two knew each other before one was moved.
    fn is_awaited(&self, path: &Path) -> bool {
        let last = |path: &str| files::last_part(path).to_lowercase();
        let Some(owner) = self.lookout.owner(path) else {
            return false;
        };
        let named = self.vmsd.clone_of().map(|name| last(&name));
        let own = last(&self.vm.vmx().to_string_lossy());
        named == Some(last(&owner.vm.vmx().to_string_lossy()))
            && owner.awaits(self.lookout.env(), &own)
    }
}

/// An own link that hangs, or is to hang, on another VM's disk.
pub(super) struct End {
    /// It.
    pub(super) child: Link,
    /// What it hangs on now, where all of that is found and right.
    pub(super) parent: Option<PathBuf>,
    /// The own links above it, and it.
    pub(super) own: Vec<PathBuf>,
    /// Why it cannot be used as it is, if it cannot.
    pub(super) problem: Option<Error>,
}

/// The own links of a VM that hang on others', each once.
fn ends(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Result<Vec<End>> {
    let (borders, opener) = (Ends::of(env, vm, vmsd), env.opener(vm)?);
    let mut ends: Vec<End> = Vec::new();
    for name in vm.disk_names(vmsd) {
        let path = vm.require(&*env.store, "disk", &name)?;
        let survey = opener.survey(&path)?;
        let mut links = survey.links;
        let last = borders.last_own(env, &links);
        let is_cut = survey.problem.is_some();
        let Some(last) = last.or_else(|| is_cut.then(|| links.len() - 1)) else {
            continue;
        };
        let parent = links.get(last + 1).map(|link| link.path().to_path_buf());
        let own: Vec<PathBuf> = links[..=last]
            .iter()
            .map(|link| link.path().to_path_buf())
            .collect();
        let child = links.swap_remove(last);
        match ends.iter_mut().find(|end| end.child.path() == child.path()) {
            Some(end) => end.own.extend(own),
            None => ends.push(End {
                child,
                parent: parent.filter(|_| !is_cut),
                own,
                problem: survey.problem,
            }),
        }
    }
    Ok(ends)
}

/// Writes it down: in the parent, in the clone, in its links. All of it is taken back where the disks
/// cannot be used then.
fn change(
    env: &Env,
    claim: &mut Claim,
    mut vmsd: Vmsd,
    ends: &[End],
    (found, owner): (&[Candidate], Option<&Owner>),
    job: &Job,
) -> Result<()> {
    let store = &*env.store;
    let mut undo = Undo::new(env.store.clone());
    let _lock = match owner {
        Some(owner) if owner.vm.dir() != claim.vm.dir() => {
            let (mode, patience) = (LockMode::Exclusive, env.settings.patience);
            Some(VmLock::acquire(store, owner.vm.dir(), mode, job, patience)?)
        }
        _ => None,
    };
    if let Some(owner) = owner {
        let mut parents = env.vmsd(&owner.vm)?;
        let clone = claim.vm.vmx().to_string_lossy();
        if let Some(uid) = owner.base
            && parents.base_of_clone(&clone) != Some(uid)
        {
            parents.remove_clones(|path| path == clone);
            parents.add_clone(uid, &clone);
            undo.replace(&owner.vm.vmsd_path(store), &parents.to_bytes())?;
        }
        let home = claim.vm.dir();
        let name = |end: &End| files::name_from(home, home, end.child.path());
        let sentinels: Vec<String> = ends.iter().map(name).collect();
        let old_parent = vmsd.clone_of();
        vmsd.set_clone_of(&owner.vm.vmx().to_string_lossy(), &sentinels);
        undo.replace(&claim.vm.vmsd_path(store), &vmsd.to_bytes())?;
        search_in(env, &mut claim.vm, owner.vm.dir(), old_parent.as_deref());
        undo.replace(claim.vm.vmx(), &claim.vm.config.to_bytes())?;
    }
    let mut hung = Hung::new(env, &claim.vm);
    let mut done = Ok(());
    for (end, parent) in ends.iter().zip(found) {
        done = done.and_then(|()| hung.hang(end.child.path(), parent.path(), parent.cid()));
    }
    for name in claim.vm.disk_names(&vmsd) {
        done = done.and_then(|()| env.disk(&claim.vm, &name).map(drop));
    }
    if let Err(error) = done {
        // What cannot be hung back is right where it is.
        if hung.take_back().is_err() {
            undo.keep();
        }
        return Err(error);
    }
    undo.keep();
    Ok(())
}

/// Has disks searched in the parent's folder, and no more in that of the one before.
fn search_in(env: &Env, vm: &mut VmFolder, parent: &Path, before: Option<&str>) {
    let store = &*env.store;
    let before = before.map(|name| files::place_of(vm.dir(), name));
    let before = before.as_deref().and_then(Path::parent);
    let mut folders = vec![".".to_string(), parent.to_string_lossy().into_owned()];
    for folder in vm.config.file_search_path() {
        let found = files::resolve_folder(store, vm.dir(), &folder);
        // One that is not there was the parent's on another machine, or before it was moved.
        let is_others = found.is_some_and(|found| {
            found != vm.dir() && found != parent && Some(found.as_path()) != before
        });
        if is_others && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    vm.config.set_file_search_path(&folders);
}

/// Has the VM list the clone no more that it stood on before.
fn leave(
    env: &Env,
    claim: &Claim,
    before: Option<Result<Listed>>,
    owner: Option<&Owner>,
    job: &Job,
) {
    let (Some(Ok(before)), Some(owner)) = (before, owner) else {
        return;
    };
    if before.parent.vmx() == owner.vm.vmx() {
        return;
    }
    if let Err(error) = take_out(env, claim, &before, job) {
        job.warn(format!("the parent before still lists this clone: {error}"));
    }
}
