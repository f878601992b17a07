//! The disks of other VMs that a VM stands on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::disk::{Chain, Link};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::Vmsd;
use crate::store::{Held, LockMode};
use crate::vm::{
    Env, OwnFolders, PowerState, Standing, VmFolder, clone_standing, files, kin, state,
};

/// A disk of another VM, with the links of this one that hang on it.
pub(super) struct Foreign {
    /// It, with all that it stands on.
    pub(super) chain: Chain,
    /// The own links: descriptors.
    pub(super) children: Vec<PathBuf>,
}

/// Returns the foreign disks that the states of `vm` stand on, by their descriptors.
///
/// # Errors
/// What is wrong with a disk.
pub(super) fn disks(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Result<BTreeMap<PathBuf, Foreign>> {
    let ends = Ends::of(env, vm, vmsd);
    let mut found: BTreeMap<PathBuf, Foreign> = BTreeMap::new();
    for name in vm.disk_names(vmsd) {
        let chain = env.disk(vm, &name)?;
        let Some(last) = ends.last_own(env, chain.links()) else {
            continue;
        };
        let child = chain.links()[last].path().to_path_buf();
        let chain = chain.below(last + 1);
        let path = chain.top().path().to_path_buf();
        let foreign = found.entry(path).or_insert(Foreign {
            chain,
            children: Vec::new(),
        });
        if !foreign.children.contains(&child) {
            foreign.children.push(child);
        }
    }
    Ok(found)
}

/// Where a VM's own disks end.
pub(super) struct Ends {
    own: OwnFolders,
    /// The links below which all is another VM's, also in the same folder.
    sentinels: Vec<PathBuf>,
}

impl Ends {
    pub(super) fn of(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Self {
        let paths = vmsd.sentinels().into_iter().filter_map(|name| {
            let found = vm.find(&*env.store, &name)?;
            env.store.canonical(&found.path).ok()
        });
        Self {
            own: env.own_folders(vm),
            sentinels: paths.collect(),
        }
    }

    /// Returns the number of the last own link of a disk that hangs on another VM's; `None` where the
    /// whole disk is this VM's, or none of it.
    pub(super) fn last_own(&self, env: &Env, links: &[Link]) -> Option<usize> {
        let is_own = |link: &Link| self.own.hold_link(&*env.store, link);
        links.windows(2).position(|pair| {
            let ends = self.sentinels.iter().any(|path| *path == pair[0].path());
            is_own(&pair[0]) && (ends || !is_own(&pair[1]))
        })
    }
}

/// Holds the linked clones of a VM, which must not run: what they stand on is about to be another file.
///
/// They are not waited for, since locks are taken from a clone to its parents.
///
/// # Errors
/// `Busy` naming one that runs, that another process works on, or that is out of sight.
pub(super) fn hold_clones(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Result<Vec<Box<dyn Held>>> {
    // Of thousands that are gone, each is looked for in the same folders.
    let env = &env.glancing();
    let mut held = Vec::new();
    let mut folders = vec![vm.dir().to_path_buf()];
    let mut open = vec![(vm.clone(), vmsd.clone())];
    let mut seen = vec![vm.vmx().to_path_buf()];
    while let Some((vm, vmsd)) = open.pop() {
        for name in vmsd.snapshots().iter().flat_map(|entry| &entry.clones) {
            match clone_standing(env, &vm, name) {
                Standing::Gone => continue,
                Standing::Unknown => return Err(in_the_way(&vm, name, "is out of sight")),
                Standing::Living => {}
            }
            let Some(path) = kin::locate(env, &vm, name).filter(|path| !seen.contains(path)) else {
                continue;
            };
            seen.push(path.clone());
            let clone = env.open(&path)?;
            if !folders.iter().any(|folder| folder == clone.dir()) {
                let lock = env.store.try_lock_dir(clone.dir(), LockMode::Shared)?;
                held.push(lock.ok_or_else(|| in_the_way(&vm, name, "is in use"))?);
                folders.push(clone.dir().to_path_buf());
            }
            let state = state::read(env, &clone).state;
            if !matches!(state, PowerState::Off | PowerState::Suspended) {
                return Err(in_the_way(&vm, name, "runs"));
            }
            let vmsd = env.vmsd(&clone)?;
            open.push((clone, vmsd));
        }
    }
    Ok(held)
}

fn in_the_way(vm: &VmFolder, clone: &str, why: &str) -> Error {
    let (vmx, name) = (quoted(vm.vmx()), quoted(files::last_part(clone)));
    let text = format!("the linked clone {name}, which stands on {vmx}, {why}");
    let hint = "it must be here and off: what it stands on is about to be another file";
    Error::new(Kind::Busy, text).at(Path::new(clone)).hint(hint)
}
