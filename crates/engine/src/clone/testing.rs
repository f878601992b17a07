//! A VM in memory, for tests of what is done with clones of it.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{NewDisk, create};
use crate::error::Result;
use crate::format::vmdk::CreateType;
use crate::job::Job;
use crate::snapshot::{self, NewSnapshot};
use crate::store::{Mem, Store, create_dirs, write_new};
use crate::vm::{Env, Settings};

/// The VM.
pub(crate) const BASE: &str = "/vms/base/base.vmx";

/// Makes the VM, with one disk that nobody wrote to.
pub(crate) fn base(store: impl Store + 'static) -> Env {
    base_on(store, CreateType::MonolithicSparse)
}

/// The same on a disk of some type, in two extents where it is split.
pub(crate) fn base_on(store: impl Store + 'static, create_type: CreateType) -> Env {
    create_dirs(&store, Path::new("/vms/base")).unwrap();
    make_disk(&store, "/vms/base/base.vmdk", create_type);
    let vmx = b"config.version = \"8\"\nvirtualHW.version = \"19\"\n\
                scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"base.vmdk\"\n";
    write_new(&store, Path::new(BASE), vmx).unwrap();
    Env {
        store: Arc::new(store),
        settings: Settings::default(),
    }
}

/// The same in a memory of its own.
pub(crate) fn base_in_memory() -> (Mem, Env) {
    let mem = Mem::new();
    (mem.clone(), base(mem))
}

/// Makes a disk of 1 MiB.
pub(crate) fn empty_disk(store: &dyn Store, path: &str) {
    make_disk(store, path, CreateType::MonolithicSparse);
}

fn make_disk(store: &dyn Store, path: &str, create_type: CreateType) {
    let disk = NewDisk {
        path: path.into(),
        create_type,
        preallocated: false,
        sectors: 2048,
        cut: Some(1024),
        adapter: "lsilogic".into(),
        hardware_version: 19,
        uuid: None,
    };
    create(store, &disk).unwrap();
}

/// Takes a snapshot of the VM.
pub(crate) fn take(env: &Env, name: &str) -> Result<()> {
    let new = NewSnapshot {
        name: name.into(),
        ..NewSnapshot::default()
    };
    snapshot::create(env, Path::new(BASE), &new, &Job::new()).map(drop)
}
