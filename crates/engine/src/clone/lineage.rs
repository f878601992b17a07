//! Who stands on whom: a VM, its snapshots, its linked clones, and the space of each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Lineage, LineageNode};
use crate::disk::{Link, Opener};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::{SnapshotEntry, Vmsd};
use crate::snapshot::{self, Snapshot, SnapshotTree};
use crate::vm::{Env, OwnFolders, PowerState, VmFolder, files, kin, state};

/// Clones of clones are shown this deep.
const MAX_DEPTH: usize = 64;

/// A VM with more snapshots is not drawn: no chain of disks may be longer either.
const MAX_SNAPSHOTS: usize = 4096;

/// Returns the VM at `vmx` with everything that hangs on it.
///
/// # Errors
/// Those of opening; `SnapshotBroken`.
pub(crate) fn lineage(env: &Env, vmx: &Path) -> Result<Lineage> {
    let mut seen = BTreeSet::new();
    of_vm(env, &env.open(vmx)?, &mut seen, 0)
}

fn of_vm(env: &Env, vm: &VmFolder, seen: &mut BTreeSet<PathBuf>, depth: usize) -> Result<Lineage> {
    seen.insert(vm.vmx().to_path_buf());
    let tree = snapshot::list(env, vm.vmx())?;
    if tree.snapshots.len() > MAX_SNAPSHOTS {
        let (vmx, count) = (quoted(vm.vmx()), tree.snapshots.len());
        let text = format!("{vmx} has {count} snapshots, more than {MAX_SNAPSHOTS}");
        return Err(Error::new(Kind::NotSupported, text).at(vm.vmx()));
    }
    let space = Space::of(env, vm, &env.vmsd(vm)?)?;
    let mut builder = Builder {
        env,
        vm,
        tree: &tree,
        space: &space,
        seen,
        depth,
    };
    let mut children = builder.roots();
    if tree.current.is_none() {
        children.push(space.present());
    }
    let state = state::read(env, vm).state;
    Ok(Lineage {
        node: LineageNode::Vm {
            name: vm.display_name(),
            path: vm.vmx().to_path_buf(),
            found: true,
            running: matches!(state, PowerState::On | PowerState::Paused),
        },
        own_bytes: space.own.values().sum(),
        shared_bytes: space.foreign.values().sum(),
        children,
    })
}

struct Builder<'a> {
    env: &'a Env,
    vm: &'a VmFolder,
    tree: &'a SnapshotTree,
    space: &'a Space,
    seen: &'a mut BTreeSet<PathBuf>,
    depth: usize,
}

impl Builder<'_> {
    /// The snapshots without a parent, each with all that hangs on it. They are built from the leaves
    /// up: a line of snapshots may be longer than a stack of calls should be.
    fn roots(&mut self) -> Vec<Lineage> {
        let mut built: BTreeMap<Option<u32>, Vec<Lineage>> = BTreeMap::new();
        let parents: BTreeMap<u32, Option<u32>> = self
            .tree
            .by_parent()
            .into_iter()
            .flat_map(|(parent, children)| children.into_iter().map(move |s| (s.uid, parent)))
            .collect();
        for (_, snapshot) in self.tree.walk().into_iter().rev() {
            let mut below = built.remove(&Some(snapshot.uid)).unwrap_or_default();
            below.reverse();
            let parent = parents.get(&snapshot.uid).copied().flatten();
            let lineage = self.of_snapshot(snapshot, below);
            built.entry(parent).or_default().push(lineage);
        }
        let mut roots = built.remove(&None).unwrap_or_default();
        roots.reverse();
        roots
    }

    /// A snapshot: its clones, the snapshots below it, and the present state if it stands on it.
    fn of_snapshot(&mut self, snapshot: &Snapshot, below: Vec<Lineage>) -> Lineage {
        let mut children: Vec<Lineage> = snapshot
            .clones
            .iter()
            .map(|clone| self.of_clone(clone))
            .collect();
        children.extend(below);
        if self.tree.current == Some(snapshot.uid) {
            children.push(self.space.present());
        }
        let bytes = self.space.frozen.get(&snapshot.uid).copied().unwrap_or(0);
        let is_shared = !snapshot.clones.is_empty();
        Lineage {
            node: LineageNode::Snapshot {
                name: snapshot.name.clone(),
                uid: snapshot.uid,
                created_us: snapshot.created_us,
            },
            own_bytes: if is_shared { 0 } else { bytes },
            shared_bytes: if is_shared { bytes } else { 0 },
            children,
        }
    }

    fn of_clone(&mut self, name: &str) -> Lineage {
        let path = kin::locate(self.env, self.vm, name);
        let fresh = path.filter(|path| self.depth < MAX_DEPTH && !self.seen.contains(path));
        let opened = fresh.and_then(|path| {
            let vm = self.env.open(&path).ok()?;
            of_vm(self.env, &vm, self.seen, self.depth + 1).ok()
        });
        opened.unwrap_or_else(|| Lineage {
            node: LineageNode::Vm {
                name: files::stem(files::last_part(name)).to_owned(),
                path: name.into(),
                found: false,
                running: false,
            },
            own_bytes: 0,
            shared_bytes: 0,
            children: Vec::new(),
        })
    }
}

/// The space that the links of a VM's disks take.
#[derive(Default)]
struct Space {
    /// Each link that belongs to the VM: in its folder, not beyond its sentinels.
    own: BTreeMap<PathBuf, u64>,
    /// Each link of other VMs that this one's stand on.
    foreign: BTreeMap<PathBuf, u64>,
    /// By number of snapshot, the links that are its own state.
    frozen: BTreeMap<u32, u64>,
    /// The links that the present state writes to.
    present: u64,
}

impl Space {
    /// Each link is opened once, however many states stand on it: the states are visited newest
    /// first, and a link that is known ends the way down.
    fn of(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Result<Self> {
        let mut survey = Survey {
            env,
            vm,
            opener: env.opener(vm)?,
            folders: env.own_folders(vm),
            sentinels: vmsd
                .sentinels()
                .iter()
                .filter_map(|name| find(env, vm, name))
                .collect(),
            space: Self::default(),
        };
        let slots = vm.config.disks();
        survey.space.present = slots.iter().map(|slot| survey.top(&slot.file_name)).sum();
        for entry in vmsd.snapshots().iter().rev() {
            let bytes = survey.frozen(entry);
            survey.space.frozen.insert(entry.uid, bytes);
        }
        Ok(survey.space)
    }

    fn present(&self) -> Lineage {
        Lineage {
            node: LineageNode::Current,
            own_bytes: self.present,
            shared_bytes: 0,
            children: Vec::new(),
        }
    }
}

fn find(env: &Env, vm: &VmFolder, name: &str) -> Option<PathBuf> {
    let found = vm.find(&*env.store, name)?;
    env.store.canonical(&found.path).ok()
}

/// A [`Space`] in the making.
struct Survey<'a> {
    env: &'a Env,
    vm: &'a VmFolder,
    opener: Opener,
    folders: OwnFolders,
    sentinels: Vec<PathBuf>,
    space: Space,
}

impl Survey<'_> {
    fn frozen(&mut self, entry: &SnapshotEntry) -> u64 {
        let disks = entry.disks.iter();
        disks.map(|disk| self.top(&disk.file_name)).sum()
    }

    /// The space of the link called `name`; it and all below it are noted.
    fn top(&mut self, name: &str) -> u64 {
        let Some(path) = find(self.env, self.vm, name) else {
            return 0;
        };
        if !self.space.own.contains_key(&path)
            && let Ok(survey) = self.opener.survey(&path)
        {
            self.note(&survey.links);
        }
        self.space.own.get(&path).copied().unwrap_or(0)
    }

    fn note(&mut self, links: &[Link]) {
        let mut is_own = true;
        for link in links {
            let path = link.path().to_path_buf();
            is_own = is_own && self.folders.hold(&*self.env.store, &path);
            let bytes = link.allocated_bytes(&*self.env.store).unwrap_or(0);
            let last = self.sentinels.contains(&path);
            match is_own {
                true => self.space.own.insert(path, bytes),
                false => self.space.foreign.insert(path, bytes),
            };
            is_own = is_own && !last;
        }
    }
}
