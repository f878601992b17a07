//! A whole VM: any files under the names that a VM's have, and everything done with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::disks::look;
use super::input::{Input, put};
use crate::clone::{self, CloneKind, CloneSpec, DeleteSpec};
use crate::error::Result;
use crate::job::Job;
use crate::snapshot::{self, NewSnapshot, RevertSpec, SnapshotRef};
use crate::store::{Mem, Store};
use crate::vm::{Env, Settings};

const VMX: &str = "/vms/base/base.vmx";

/// The files that there may be.
const NAMES: [&str; 12] = [
    VMX,
    "/vms/base/base.vmsd",
    "/vms/base/base.vmdk",
    "/vms/base/base-000001.vmdk",
    "/vms/base/base-flat.vmdk",
    "/vms/base/base-s001.vmdk",
    "/vms/base/base-Snapshot1.vmsn",
    "/vms/base/base.nvram",
    "/vms/base/base.vmxf",
    "/vms/base/base-1.replixstate",
    "/vms/other/other.vmx",
    "/vms/other/other.vmdk",
];

/// What stands outside, and must stay as it is.
const OUTSIDE: &str = "/outside/secret.vmdk";

/// A disk that says it is larger is looked at, but nothing is done that writes it: a store in memory
/// has no holes.
const LARGEST: u64 = 256 << 20;

type Operation = fn(&Env) -> Result<()>;

const OPERATIONS: [Operation; 9] = [
    |env| snapshot::list(env, Path::new(VMX)).map(drop),
    |env| clone::lineage(env, Path::new(VMX)).map(drop),
    |env| clone_as(env, CloneKind::Full, None),
    |env| clone_as(env, CloneKind::Linked, Some(named())),
    |env| clone_as(env, CloneKind::Linked, None),
    |env| {
        let new = NewSnapshot {
            name: "t".into(),
            ..NewSnapshot::default()
        };
        snapshot::create(env, Path::new(VMX), &new, &Job::new()).map(drop)
    },
    |env| snapshot::revert(env, Path::new(VMX), &RevertSpec::from(named()), &Job::new()),
    |env| snapshot::remove(env, Path::new(VMX), &named(), true, &Job::new()),
    |env| {
        let all = DeleteSpec {
            disks: true,
            force: true,
        };
        clone::delete(env, Path::new(VMX), all, &Job::new())
    },
];

fn named() -> SnapshotRef {
    SnapshotRef::Name("s".into())
}

fn clone_as(env: &Env, kind: CloneKind, snapshot: Option<SnapshotRef>) -> Result<()> {
    let destination = PathBuf::from(format!("/vms/{kind:?}{}/c.vmx", snapshot.is_some()));
    let spec = CloneSpec {
        snapshot,
        ..CloneSpec::new(kind, destination)
    };
    clone::run(env, Path::new(VMX), &spec, &Job::new()).map(drop)
}

/// Makes the files of the input, then does everything, one after the other: the first byte says with
/// what to begin.
pub fn vm(bytes: &[u8]) {
    let mut input = Input(bytes);
    let first = usize::from(input.byte().unwrap_or(0));
    let mem = Mem::new();
    put(&mem, Path::new(OUTSIDE), b"secret");
    put(&mem, Path::new(VMX), b"memsize = \"4\"\n");
    while let Some(name) = input.byte() {
        let name = NAMES[usize::from(name) % NAMES.len()];
        put(&mem, Path::new(name), &input.file());
    }
    let settings = Settings {
        patience: Duration::ZERO,
        ..Settings::default()
    };
    let env = Env {
        store: Arc::new(mem.clone()),
        settings,
    };
    for name in NAMES.iter().filter(|name| name.ends_with(".vmdk")) {
        if mem.exists(Path::new(name)) {
            look(&mem, Path::new(name));
        }
    }
    for at in 0..OPERATIONS.len() {
        if is_huge(&env) {
            break;
        }
        if let Err(error) = OPERATIONS[(first + at) % OPERATIONS.len()](&env) {
            let text = error.to_string();
            assert!(!text.contains(char::is_control), "{text:?}");
        }
        assert_eq!(
            mem.meta(Path::new(OUTSIDE)).unwrap().len,
            6,
            "written outside"
        );
    }
}

/// Tells whether a disk of the VM's is larger than this target can hold.
fn is_huge(env: &Env) -> bool {
    let Ok(vm) = env.open(Path::new(VMX)) else {
        return false;
    };
    let disks = vm.config.disks();
    let chains = disks.iter().flat_map(|slot| env.disk(&vm, &slot.file_name));
    chains
        .map(|chain| chain.capacity_bytes())
        .any(|bytes| bytes > LARGEST)
}
