//! Many linked clones of one snapshot: the next one costs as many questions and changes as the first, and
//! when all are deleted nothing is left of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::{CloneKind, CloneSpec, DeleteSpec, delete, run};
use crate::disk::{NewDisk, create as create_disk};
use crate::error::Result;
use crate::format::vmdk::CreateType;
use crate::job::Job;
use crate::snapshot::{self, NewSnapshot, SnapshotRef};
use crate::store::{
    Access, Bytes, Entry, Held, LockMode, Mem, Meta, Store, create_dirs, read_small, write_new,
};
use crate::vm::{Env, Settings};

const BASE: &str = "/vms/base/base.vmx";
const MANY: usize = 100;

/// A disk in memory that counts what it is asked and told.
#[derive(Clone, Debug, Default)]
struct Counting {
    mem: Mem,
    calls: Arc<AtomicU64>,
}

struct CountedFile {
    file: Box<dyn Bytes>,
    calls: Arc<AtomicU64>,
}

impl Counting {
    fn on(&self) -> &Mem {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.mem
    }

    fn wrapped(&self, file: Box<dyn Bytes>) -> Box<dyn Bytes> {
        let calls = Arc::clone(&self.calls);
        Box::new(CountedFile { file, calls })
    }

    /// Returns how many calls `work` makes.
    fn calls_of(&self, work: impl FnOnce()) -> u64 {
        let before = self.calls.load(Ordering::Relaxed);
        work();
        self.calls.load(Ordering::Relaxed) - before
    }
}

impl CountedFile {
    fn on(&self) -> &dyn Bytes {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &*self.file
    }
}

impl Bytes for CountedFile {
    fn len(&self) -> Result<u64> {
        self.on().len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.on().read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.on().write_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.on().set_len(len)
    }

    fn sync(&self) -> Result<()> {
        self.on().sync()
    }

    fn next_data(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        self.on().next_data(offset)
    }
}

impl Store for Counting {
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn Bytes>> {
        Ok(self.wrapped(self.on().open(path, access)?))
    }

    fn create(&self, path: &Path) -> Result<Box<dyn Bytes>> {
        Ok(self.wrapped(self.on().create(path)?))
    }

    fn meta(&self, path: &Path) -> Result<Meta> {
        self.on().meta(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        self.on().list(dir)
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.on().create_dir(dir)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.on().remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        self.on().remove_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.on().rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        self.on().rename_new(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.on().link(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.on().sync_dir(dir)
    }

    fn copy_ownership(&self, from: &Path, to: &Path) {
        self.on().copy_ownership(from, to);
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        self.on().canonical(path)
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        self.on().free_bytes(dir)
    }

    fn try_lock_dir(&self, dir: &Path, mode: LockMode) -> Result<Option<Box<dyn Held>>> {
        self.on().try_lock_dir(dir, mode)
    }

    fn lock_owner(&self, dir: &Path) -> Option<u32> {
        self.on().lock_owner(dir)
    }

    fn is_written(&self, path: &Path) -> Result<bool> {
        self.on().is_written(path)
    }

    fn is_writable(&self, path: &Path) -> bool {
        self.on().is_writable(path)
    }
}

/// A VM with one disk and the snapshot `golden`.
fn library() -> (Counting, Env) {
    let store = Counting::default();
    let mem = &store.mem;
    create_dirs(mem, Path::new("/vms/base")).unwrap();
    let disk = NewDisk {
        path: "/vms/base/base.vmdk".into(),
        create_type: CreateType::MonolithicSparse,
        preallocated: false,
        sectors: 2048,
        cut: None,
        adapter: "lsilogic".into(),
        hardware_version: 19,
        uuid: None,
    };
    create_disk(mem, &disk).unwrap();
    let vmx = b"config.version = \"8\"\nvirtualHW.version = \"19\"\n\
                scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"base.vmdk\"\n";
    write_new(mem, Path::new(BASE), vmx).unwrap();
    let env = Env {
        store: Arc::new(store.clone()),
        settings: Settings::default(),
    };
    let golden = NewSnapshot {
        name: "golden".into(),
        ..NewSnapshot::default()
    };
    snapshot::create(&env, Path::new(BASE), &golden, &Job::new()).unwrap();
    (store, env)
}

fn vmx(number: usize) -> String {
    format!("/vms/web{number:04}/web{number:04}.vmx")
}

fn clone(env: &Env, number: usize) {
    let spec = CloneSpec {
        snapshot: Some(SnapshotRef::Name("golden".into())),
        ..CloneSpec::new(CloneKind::Linked, vmx(number))
    };
    run(env, Path::new(BASE), &spec, &Job::new()).unwrap();
}

/// The files of the parent, and what is in them.
fn parent(mem: &Mem) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new("/vms/base");
    let entries = mem.list(dir).unwrap().into_iter();
    let paths = entries.map(|entry| dir.join(entry.name));
    paths
        .map(|path| (path.clone(), read_small(mem, &path, 1 << 24).unwrap()))
        .collect()
}

#[test]
fn next_of_many_clones_costs_as_much_as_the_first() {
    let (store, env) = library();
    let before = parent(&store.mem);
    let made: Vec<u64> = (0..MANY)
        .map(|number| store.calls_of(|| clone(&env, number)))
        .collect();
    let quickest = *made.iter().min().unwrap();
    // A number of VMware's lock may be taken by chance.
    assert!(
        made.iter().all(|calls| *calls <= quickest + 8),
        "calls for each clone: {made:?}"
    );
    let listed = env.vmsd(&env.open(Path::new(BASE)).unwrap()).unwrap();
    assert_eq!(listed.snapshots()[0].clones.len(), MANY);

    let mut order: Vec<usize> = (0..MANY).collect();
    order.shuffle(&mut StdRng::seed_from_u64(1));
    let whole = DeleteSpec {
        disks: true,
        force: false,
    };
    let gone = order.into_iter().map(|number| {
        let path = vmx(number);
        store.calls_of(|| delete(&env, Path::new(&path), whole, &Job::new()).unwrap())
    });
    let gone: Vec<u64> = gone.collect();
    let quickest = *gone.iter().min().unwrap();
    assert!(
        gone.iter().all(|calls| *calls <= quickest + 8),
        "calls for each deletion: {gone:?}"
    );
    let left = store.mem.list(Path::new("/vms")).unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    let names =
        |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    let after = parent(&store.mem);
    assert_eq!(names(&after), names(&before));
    assert!(after == before, "the parent is not as it was");
}
