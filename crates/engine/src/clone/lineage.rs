//! Who stands on whom: a VM, its snapshots, its linked clones, and the space of each.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Lineage, LineageNode};
use crate::error::Result;
use crate::snapshot::{self, Snapshot, SnapshotTree};
use crate::store::folder_of;
use crate::vm::{Env, PowerState, VmFolder, kin, state};

/// Clones of clones are shown this deep.
const MAX_DEPTH: usize = 64;

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
    let mut builder = Builder {
        env,
        vm,
        tree: &tree,
        seen,
        depth,
    };
    let mut children = builder.below(None);
    let present = builder.present();
    if tree.current.is_none() {
        children.push(present.0.clone());
    }
    let own = children
        .iter()
        .filter(|child| !is_vm(child))
        .map(total_own)
        .sum();
    let state = state::read(&*env.store, vm).state;
    Ok(Lineage {
        node: LineageNode::Vm {
            name: vm.display_name(),
            path: vm.vmx().to_path_buf(),
            found: true,
            running: matches!(state, PowerState::On | PowerState::Paused),
        },
        own_bytes: own,
        shared_bytes: present.1,
        children,
    })
}

fn is_vm(lineage: &Lineage) -> bool {
    matches!(lineage.node, LineageNode::Vm { .. })
}

/// The space of a state and those below it, linked clones not counted.
fn total_own(lineage: &Lineage) -> u64 {
    let below = lineage
        .children
        .iter()
        .filter(|child| !is_vm(child))
        .map(total_own);
    lineage.own_bytes + lineage.shared_bytes + below.sum::<u64>()
}

struct Builder<'a> {
    env: &'a Env,
    vm: &'a VmFolder,
    tree: &'a SnapshotTree,
    seen: &'a mut BTreeSet<PathBuf>,
    depth: usize,
}

impl Builder<'_> {
    fn below(&mut self, parent: Option<u32>) -> Vec<Lineage> {
        let tree = self.tree;
        tree.children(parent)
            .map(|snapshot| self.of_snapshot(snapshot))
            .collect()
    }

    fn of_snapshot(&mut self, snapshot: &Snapshot) -> Lineage {
        let mut children: Vec<Lineage> = snapshot
            .clones
            .iter()
            .map(|clone| self.of_clone(clone))
            .collect();
        children.extend(self.below(Some(snapshot.uid)));
        if self.tree.current == Some(snapshot.uid) {
            children.push(self.present().0);
        }
        let bytes = self.frozen_bytes(snapshot.uid);
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
        let path = kin::locate(self.env, self.vm.dir(), name);
        let fresh = path.filter(|path| self.depth < MAX_DEPTH && !self.seen.contains(path));
        let opened = fresh.and_then(|path| {
            let vm = self.env.open(&path).ok()?;
            of_vm(self.env, &vm, self.seen, self.depth + 1).ok()
        });
        opened.unwrap_or_else(|| Lineage {
            node: LineageNode::Vm {
                name: crate::vm::files::stem(crate::vm::files::last_part(name)).to_owned(),
                path: name.into(),
                found: false,
                running: false,
            },
            own_bytes: 0,
            shared_bytes: 0,
            children: Vec::new(),
        })
    }

    /// The present state, and the space of other VMs' disks that it stands on.
    fn present(&self) -> (Lineage, u64) {
        let mut own = 0;
        let mut foreign = 0;
        for slot in self.vm.config.disks() {
            let (top, others) = self.link_bytes(&slot.file_name);
            own += top;
            foreign += others;
        }
        let node = LineageNode::Current;
        (
            Lineage {
                node,
                own_bytes: own,
                shared_bytes: 0,
                children: Vec::new(),
            },
            foreign,
        )
    }

    /// The space of a disk's own link, and of its links in other VMs' folders.
    fn link_bytes(&self, name: &str) -> (u64, u64) {
        let store = &*self.env.store;
        let survey = self
            .vm
            .find(store, name)
            .and_then(|found| self.env.opener(self.vm).ok()?.survey(&found.path).ok());
        let Some(survey) = survey else { return (0, 0) };
        let bytes = |link: &crate::disk::Link| link.allocated_bytes(store).unwrap_or(0);
        let top = survey.links.first().map_or(0, bytes);
        let elsewhere = survey
            .links
            .iter()
            .skip(1)
            .filter(|l| folder_of(l.path()) != self.vm.dir());
        (top, elsewhere.map(bytes).sum())
    }

    fn frozen_bytes(&self, uid: u32) -> u64 {
        let vmsd = self.env.vmsd(self.vm);
        let entry = vmsd.ok().and_then(|vmsd| snapshot::entry(&vmsd, uid).ok());
        entry.map_or(0, |entry| {
            entry
                .disks
                .iter()
                .map(|disk| self.link_bytes(&disk.file_name).0)
                .sum()
        })
    }
}
