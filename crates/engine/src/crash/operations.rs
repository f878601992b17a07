//! The operations, each with the world that it is done in.

use std::path::Path;

use super::library;
use super::world::{self, ALONE, BASE, CLONE, COPY};
use crate::clone::{self, CloneKind, CloneSpec, DeleteSpec, PromoteSpec, RelinkSpec, Unfinished};
use crate::disk::{DiskCall, DiskFormat};
use crate::error::Result;
use crate::job::Job;
use crate::library::Library;
use crate::snapshot::{self, SnapshotRef};
use crate::store::{Mem, create_dirs, files_with_ending, write_new};
use crate::vm::{Connection, Env, adapters, disk_call, hardware};

/// An operation that the power fails in.
pub struct Operation {
    /// What it is called in the table.
    pub name: &'static str,
    /// Makes the world.
    pub world: fn(&Mem),
    /// Does it.
    pub work: fn(&Env) -> Result<()>,
    /// Does what whoever asked for it does when it finds it unfinished.
    pub clear: fn(&Env) -> Result<()>,
    /// The folder whose disks' bytes stay as they are.
    pub untouched: Option<&'static str>,
    /// Whether it may leave files behind when it fails, or have taken some away already: it goes on from there
    /// when it is done again.
    pub takes_up: bool,
    /// What takes away what it left, though it seems to be done: then nothing more is left than when it was
    /// done at once.
    pub tidy: Option<fn(&Env) -> Result<()>>,
}

const fn operation(name: &'static str, world: fn(&Mem), work: fn(&Env) -> Result<()>) -> Operation {
    Operation {
        name,
        world,
        work,
        clear: |_| Ok(()),
        untouched: None,
        takes_up: false,
        tidy: None,
    }
}

impl Operation {
    const fn leaving(mut self, folder: &'static str) -> Self {
        self.untouched = Some(folder);
        self
    }

    const fn taking_up(mut self) -> Self {
        self.takes_up = true;
        self
    }

    const fn tidied_by(mut self, tidy: fn(&Env) -> Result<()>) -> Self {
        self.tidy = Some(tidy);
        self
    }

    const fn cleared_by(mut self, clear: fn(&Env) -> Result<()>) -> Self {
        self.clear = clear;
        self
    }
}

/// All of them.
pub const OPERATIONS: &[Operation] = &[
    operation("snapshot", world::with_base, |env| world::take(env, "s")).leaving("/vms/base"),
    operation(
        "snapshot of one with others",
        world::with_snapshots,
        |env| world::take(env, "s"),
    )
    .leaving("/vms/base"),
    operation("revert", world::with_snapshots, |env| {
        world::revert(env, "a")
    })
    .tidied_by(consolidate),
    operation("remove the first snapshot", world::with_snapshots, |env| {
        remove(env, "a", false)
    })
    .tidied_by(consolidate),
    operation(
        "remove a snapshot in the middle",
        world::with_snapshots,
        |env| remove(env, "b", false),
    )
    .tidied_by(consolidate),
    operation("remove the last snapshot", world::with_snapshots, |env| {
        remove(env, "c", false)
    })
    .tidied_by(consolidate),
    operation(
        "remove a snapshot with its children",
        world::with_snapshots,
        |env| remove(env, "b", true),
    )
    .tidied_by(consolidate),
    operation("remove a branch of snapshots", with_branch, |env| {
        remove(env, "b", true)
    })
    .tidied_by(consolidate),
    operation(
        "remove a snapshot of a split disk",
        world::with_split,
        |env| remove(env, "a", false),
    )
    .tidied_by(consolidate),
    operation("consolidate", world::with_long_chain, consolidate).tidied_by(consolidate),
    operation("full clone", world::with_snapshots, |env| {
        clone(env, CloneKind::Full, None)
    })
    .leaving("/vms/base")
    .cleared_by(|env| clear(env, CloneKind::Full, None)),
    operation("full clone of a snapshot", world::with_snapshots, |env| {
        clone(env, CloneKind::Full, Some("b"))
    })
    .leaving("/vms/base")
    .cleared_by(|env| clear(env, CloneKind::Full, Some("b"))),
    operation("linked clone", world::with_base, |env| {
        clone(env, CloneKind::Linked, None)
    })
    .leaving("/vms/base")
    .cleared_by(|env| clear(env, CloneKind::Linked, None)),
    operation("linked clone of a snapshot", world::with_snapshots, |env| {
        clone(env, CloneKind::Linked, Some("b"))
    })
    .leaving("/vms/base")
    .cleared_by(|env| clear(env, CloneKind::Linked, Some("b"))),
    operation("delete a VM", world::with_snapshots, |env| {
        delete(env, BASE)
    }),
    operation("delete a linked clone", with_clone, |env| {
        delete(env, CLONE)
    })
    .leaving("/vms/base"),
    operation("promote a linked clone", with_clone, |env| {
        let spec = PromoteSpec { remove_base: false };
        clone::promote(env, Path::new(CLONE), spec, &Job::new()).map(drop)
    })
    .leaving("/vms/base")
    .taking_up(),
    operation("raise the hardware version", world::with_base, |env| {
        hardware::upgrade(env, Path::new(BASE), &Job::new())
    }),
    operation("add a network adapter", world::with_base, |env| {
        adapters::add(env, Path::new(BASE), &Connection::Nat, &Job::new())
    }),
    operation("suspend, but for QEMU", world::with_base, world::suspend).leaving("/vms/base"),
    operation("snapshot of a suspended VM", with_suspended, |env| {
        world::take(env, "s")
    })
    .leaving("/vms/base"),
    operation(
        "revert to a snapshot with memory",
        world::with_memory,
        |env| world::revert(env, "d"),
    )
    .tidied_by(consolidate),
    operation(
        "revert of a suspended VM",
        world::with_snapshots_and_suspended,
        |env| world::revert(env, "a"),
    )
    .tidied_by(consolidate),
    operation("remove a snapshot with memory", world::with_memory, |env| {
        remove(env, "d", false)
    })
    .tidied_by(consolidate),
    operation("delete a suspended VM", with_suspended, |env| {
        delete(env, BASE)
    }),
    operation("create a disk that grows", with_folder, |env| {
        create(env, DiskFormat::MonolithicSparse)
    }),
    operation("create a split disk", with_folder, |env| {
        create(env, DiskFormat::SplitFlat)
    }),
    operation("copy a disk", world::with_disk, |env| {
        convert(env, DiskFormat::MonolithicSparse)
    })
    .leaving("/vms/disks"),
    operation("copy a disk to a flat one", world::with_disk, |env| {
        convert(env, DiskFormat::VmfsThin)
    })
    .leaving("/vms/disks"),
    operation("export a disk", world::with_disk, |env| {
        convert(env, DiskFormat::StreamOptimized { level: None })
    })
    .leaving("/vms/disks"),
    operation("grow a disk", world::with_disk, |env| grow(env, ALONE)),
    operation("compact a disk", world::with_disk, |env| {
        disk(env, &DiskCall::Compact)
    }),
    operation("rename a disk", world::with_disk, |env| {
        disk(env, &DiskCall::Rename { to: COPY.into() })
    }),
    operation("delete a disk", world::with_disk, |env| {
        disk(env, &DiskCall::Delete)
    }),
    operation("repair a disk", world::with_damaged_disk, |env| {
        disk(env, &DiskCall::Repair { dry_run: false })
    }),
    operation("relink a clone", with_lost_parent, |env| {
        let spec = RelinkSpec { parent: None };
        clone::relink(env, Path::new(CLONE), &spec, &Job::new()).map(drop)
    })
    .leaving("/vms/base"),
    operation("repair a library", with_disorder, |env| {
        library::carry_out(env, Library::repairs)
    })
    .leaving("/vms/base")
    .tidied_by(|env| library::carry_out(env, Library::repairs)),
    operation(
        "write lost bookkeeping anew",
        world::with_lost_bookkeeping,
        |env| library::carry_out(env, Library::repairs),
    )
    .leaving("/vms/base"),
    operation("gc of a library", with_spare, |env| {
        library::carry_out(env, Library::savings)
    })
    .tidied_by(|env| library::carry_out(env, Library::savings))
    .taking_up(),
];

/// Removes a snapshot of the VM that is there from the beginning.
pub fn remove(env: &Env, name: &str, children: bool) -> Result<()> {
    let wanted = SnapshotRef::Name(name.into());
    snapshot::remove(env, Path::new(BASE), &wanted, children, &Job::new())
}

/// Merges the disks of the VM that is there from the beginning.
pub fn consolidate(env: &Env) -> Result<()> {
    snapshot::consolidate(env, Path::new(BASE), &Job::new()).map(drop)
}

fn spec(kind: CloneKind, snapshot: Option<&str>) -> CloneSpec {
    let snapshot = snapshot.map(|name| SnapshotRef::Name(name.into()));
    CloneSpec {
        snapshot,
        ..CloneSpec::new(kind, CLONE)
    }
}

fn clone(env: &Env, kind: CloneKind, snapshot: Option<&str>) -> Result<()> {
    clone::run(env, Path::new(BASE), &spec(kind, snapshot), &Job::new()).map(drop)
}

fn clear(env: &Env, kind: CloneKind, snapshot: Option<&str>) -> Result<()> {
    let unfinished = Unfinished {
        vm: BASE.into(),
        spec: spec(kind, snapshot),
        started_us: 0,
    };
    clone::clear(env, &unfinished).map(drop)
}

/// Deletes a VM with its disks.
pub fn delete(env: &Env, vmx: &str) -> Result<()> {
    let whole = DeleteSpec {
        disks: true,
        force: false,
    };
    clone::delete(env, Path::new(vmx), whole, &Job::new())
}

fn with_clone(mem: &Mem) {
    world::with_snapshots(mem);
    clone(&world::env(mem), CloneKind::Linked, Some("b")).unwrap();
}

/// The VM stands on its first snapshot, beside the others.
fn with_branch(mem: &Mem) {
    world::with_snapshots(mem);
    world::revert(&world::env(mem), "a").unwrap();
}

/// The clone's disks name a folder that there is not.
fn with_lost_parent(mem: &Mem) {
    with_clone(mem);
    let folder = Path::new("/vms/clone");
    for path in files_with_ending(mem, folder, "vmdk") {
        world::overwrite(mem, &path, b"base/", b"gone/");
    }
}

/// The same; and a clone is listed that is gone, and a text was left that was to replace another.
fn with_disorder(mem: &Mem) {
    with_lost_parent(mem);
    world::change_bookkeeping(mem, |vmsd| {
        let uid = vmsd.current().unwrap();
        vmsd.add_clone(uid, "/vms/other/other.vmx");
    });
    let hidden = "/vms/base/.base.vmx.replix-0123456789abcdef";
    write_new(mem, Path::new(hidden), b"half of a te").unwrap();
}

/// A VM with links that no state needs, with a snapshot that was made for a clone that is gone, and with
/// memory that it is not suspended to.
fn with_spare(mem: &Mem) {
    world::with_long_chain(mem);
    clone(&world::env(mem), CloneKind::Linked, None).unwrap();
    delete(&world::env(mem), CLONE).unwrap();
    let memory = "/vms/base/base-0badcafe.replixstate";
    write_new(mem, Path::new(memory), b"memory").unwrap();
}

fn with_suspended(mem: &Mem) {
    world::with_base(mem);
    world::suspend(&world::env(mem)).unwrap();
}

fn with_folder(mem: &Mem) {
    create_dirs(mem, Path::new("/vms/disks")).unwrap();
}

fn create(env: &Env, format: DiskFormat) -> Result<()> {
    let call = DiskCall::Create {
        format,
        capacity_bytes: 1 << 20,
        adapter: "ide".into(),
    };
    disk(env, &call)
}

/// Makes a disk larger.
pub fn grow(env: &Env, path: &str) -> Result<()> {
    let capacity_bytes = 33 << 20;
    let call = DiskCall::Grow { capacity_bytes };
    disk_call::run(env, Path::new(path), &call, &Job::new()).map(drop)
}

fn convert(env: &Env, format: DiskFormat) -> Result<()> {
    let to = COPY.into();
    disk(env, &DiskCall::Convert { to, format })
}

fn disk(env: &Env, call: &DiskCall) -> Result<()> {
    disk_call::run(env, Path::new(ALONE), call, &Job::new()).map(drop)
}
