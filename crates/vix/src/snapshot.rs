//! Snapshots: the tree as it is now, and what is done with it.

use std::sync::Arc;

use replix::power::StartSpec;
use replix::snapshot::{self, NewSnapshot, RevertSpec, SnapshotRef, SnapshotTree};

use crate::argument::{Text, no_list, options, refuse};
use crate::constants::*;
use crate::error::Result;
use crate::job::Callback;
use crate::library::Library;
use crate::property::Value;
use crate::table::{Handle, Object};
use crate::vm::Vm;

/// A snapshot that a client has found or taken. Its number is never used again.
pub(crate) struct Snapshot {
    vm: Arc<Vm>,
    uid: u32,
}

impl Snapshot {
    /// Returns how the engine is told of this snapshot of `vm`.
    ///
    /// # Errors
    /// `VIX_E_INVALID_ARG` where it is another VM's.
    pub(crate) fn of(&self, vm: &Vm) -> Result<SnapshotRef> {
        match self.vm.path == vm.path {
            true => Ok(SnapshotRef::Uid(self.uid)),
            false => refuse("the snapshot is another VM's"),
        }
    }

    /// Returns properties as they are now.
    pub(crate) fn read(&self, ids: &[i32]) -> Result<Vec<Value>> {
        let tree = tree(&self.vm)?;
        let snapshot = tree.find(&SnapshotRef::Uid(self.uid))?;
        ids.iter().map(|id| property(snapshot, *id)).collect()
    }
}

fn property(snapshot: &snapshot::Snapshot, id: i32) -> Result<Value> {
    Ok(match id {
        VIX_PROPERTY_SNAPSHOT_DISPLAYNAME => Value::Text(snapshot.name.clone()),
        VIX_PROPERTY_SNAPSHOT_DESCRIPTION => Value::Text(snapshot.description.clone()),
        VIX_PROPERTY_SNAPSHOT_POWERSTATE if snapshot.with_memory => {
            Value::Integer(VIX_POWERSTATE_POWERED_ON)
        }
        VIX_PROPERTY_SNAPSHOT_POWERSTATE => Value::Integer(VIX_POWERSTATE_POWERED_OFF),
        VIX_PROPERTY_SNAPSHOT_IS_REPLAYABLE => Value::Bool(false),
        _ => return Err(VIX_E_UNRECOGNIZED_PROPERTY.into()),
    })
}

/// The VM's snapshots, where its host has such a thing.
fn tree(vm: &Vm) -> Result<SnapshotTree> {
    vm.host.require_connection(VIX_E_VM_HOST_DISCONNECTED)?;
    vm.host.require_workstation()?;
    Ok(vm.provider().snapshots(&vm.path)?)
}

/// Returns the numbers of the snapshots right below one, or of the roots, in the order of the
/// bookkeeping.
fn below(tree: &SnapshotTree, parent: Option<u32>) -> Vec<u32> {
    let below = tree
        .snapshots
        .iter()
        .filter(|snapshot| snapshot.parent == parent);
    below.map(|snapshot| snapshot.uid).collect()
}

fn nth(uids: &[u32], index: i32) -> Result<u32> {
    let uid = usize::try_from(index)
        .ok()
        .and_then(|index| uids.get(index));
    match uid {
        Some(uid) => Ok(*uid),
        None => refuse(format!(
            "there are {} snapshots, counted from 0",
            uids.len()
        )),
    }
}

fn number(uids: &[u32]) -> i32 {
    i32::try_from(uids.len()).unwrap_or(i32::MAX)
}

impl Library {
    /// Returns how many snapshots of a VM have no parent.
    ///
    /// # Errors
    /// What is wrong with handle, VM or bookkeeping.
    pub fn num_root_snapshots(&self, vm: Handle) -> Result<i32> {
        Ok(number(&below(&tree(&*self.vm(vm)?)?, None)))
    }

    /// Returns a snapshot without parent.
    ///
    /// # Errors
    /// `VIX_E_INVALID_ARG` for an index that is not there; what is wrong with handle, VM or bookkeeping.
    pub fn root_snapshot(&self, vm: Handle, index: i32) -> Result<Handle> {
        let vm = self.vm(vm)?;
        let uid = nth(&below(&tree(&vm)?, None), index)?;
        self.enter_snapshot(vm, uid)
    }

    /// Returns the snapshot that the present state descends from.
    ///
    /// # Errors
    /// `VIX_E_SNAPSHOT_NOTFOUND` where there is none; what is wrong with handle, VM or bookkeeping.
    pub fn current_snapshot(&self, vm: Handle) -> Result<Handle> {
        let vm = self.vm(vm)?;
        let uid = tree(&vm)?.current.ok_or(VIX_E_SNAPSHOT_NOTFOUND)?;
        self.enter_snapshot(vm, uid)
    }

    /// Returns a snapshot by its name or by a path of names.
    ///
    /// # Errors
    /// `VIX_E_SNAPSHOT_NOTFOUND`, `VIX_E_SNAPSHOT_NONUNIQUE_NAME`; what is wrong with handle, VM or
    /// bookkeeping.
    pub fn named_snapshot(&self, vm: Handle, name: Text) -> Result<Handle> {
        let vm = self.vm(vm)?;
        let uid = tree(&vm)?.find(&SnapshotRef::Name(name.required()?))?.uid;
        self.enter_snapshot(vm, uid)
    }

    /// Returns how many snapshots were taken right after one.
    ///
    /// # Errors
    /// `VIX_E_SNAPSHOT_NOTFOUND` once it is removed; what is wrong with handle, VM or bookkeeping.
    pub fn num_child_snapshots(&self, snapshot: Handle) -> Result<i32> {
        Ok(number(&self.snapshot(snapshot)?.children()?))
    }

    /// Returns a snapshot that was taken right after one.
    ///
    /// # Errors
    /// `VIX_E_INVALID_ARG` for an index that is not there; as [`Library::num_child_snapshots`].
    pub fn child_snapshot(&self, snapshot: Handle, index: i32) -> Result<Handle> {
        let snapshot = self.snapshot(snapshot)?;
        let uid = nth(&snapshot.children()?, index)?;
        self.enter_snapshot(Arc::clone(&snapshot.vm), uid)
    }

    /// Returns the snapshot that one was taken after.
    ///
    /// # Errors
    /// `VIX_E_SNAPSHOT_NOTFOUND` for a root; as [`Library::num_child_snapshots`].
    pub fn parent_snapshot(&self, snapshot: Handle) -> Result<Handle> {
        let snapshot = self.snapshot(snapshot)?;
        let tree = tree(&snapshot.vm)?;
        let parent = tree.find(&SnapshotRef::Uid(snapshot.uid))?.parent;
        let uid = parent.ok_or(VIX_E_SNAPSHOT_NOTFOUND)?;
        self.enter_snapshot(Arc::clone(&snapshot.vm), uid)
    }

    /// Starts taking a snapshot; the result is its handle.
    pub fn create_snapshot(
        &self,
        vm: Handle,
        names: (Text, Text),
        bits: i32,
        list: Handle,
        callback: Option<Callback>,
    ) -> Handle {
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.host.require_workstation()?;
            no_list(list)?;
            options(bits, VIX_SNAPSHOT_INCLUDE_MEMORY)?;
            let new = NewSnapshot {
                name: names.0.optional()?.unwrap_or_default(),
                description: names.1.optional()?.unwrap_or_default(),
                with_memory: bits & VIX_SNAPSHOT_INCLUDE_MEMORY != 0,
            };
            let uid = vm
                .provider()
                .create_snapshot(&vm.path, &new, &run.control)?
                .uid;
            let vm = Arc::clone(vm);
            run.made(Object::Snapshot(Arc::new(Snapshot { vm, uid })))
        })
    }

    /// Starts putting a VM back to a snapshot.
    pub fn revert(
        &self,
        vm: Handle,
        snapshot: Handle,
        bits: i32,
        list: Handle,
        callback: Option<Callback>,
    ) -> Handle {
        const STAY_OFF: i32 = VIX_VMPOWEROP_SUPPRESS_SNAPSHOT_POWERON;
        let snapshot = self.snapshot(snapshot);
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.host.require_workstation()?;
            no_list(list)?;
            if bits != STAY_OFF {
                options(
                    bits,
                    VIX_VMPOWEROP_LAUNCH_GUI | VIX_VMPOWEROP_START_VM_PAUSED,
                )?;
            }
            let spec = RevertSpec {
                snapshot: snapshot?.of(vm)?,
                without_memory: bits == STAY_OFF,
                suspended: false,
                start: StartSpec {
                    gui: bits & VIX_VMPOWEROP_LAUNCH_GUI != 0,
                    paused: bits & VIX_VMPOWEROP_START_VM_PAUSED != 0,
                    ..StartSpec::default()
                },
            };
            vm.provider().revert(&vm.path, &spec, &run.control)?;
            Ok(Vec::new())
        })
    }

    /// Starts removing a snapshot; the VM's present state stays.
    pub fn remove_snapshot(
        &self,
        vm: Handle,
        snapshot: Handle,
        bits: i32,
        callback: Option<Callback>,
    ) -> Handle {
        let snapshot = self.snapshot(snapshot);
        self.start_on_vm(vm, callback, move |vm, run| {
            vm.host.require_workstation()?;
            options(bits, VIX_SNAPSHOT_REMOVE_CHILDREN)?;
            let (snapshot, children) = (snapshot?.of(vm)?, bits != 0);
            vm.provider()
                .remove_snapshot(&vm.path, &snapshot, children, &run.control)?;
            Ok(Vec::new())
        })
    }

    fn enter_snapshot(&self, vm: Arc<Vm>, uid: u32) -> Result<Handle> {
        self.enter(Object::Snapshot(Arc::new(Snapshot { vm, uid })))
    }
}

impl Snapshot {
    fn children(&self) -> Result<Vec<u32>> {
        let tree = tree(&self.vm)?;
        tree.find(&SnapshotRef::Uid(self.uid))?;
        Ok(below(&tree, Some(self.uid)))
    }
}
