//! Many linked clones of one snapshot: the next one costs as many questions and changes as the first, and
//! when all are deleted nothing is left of them.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::testing::{BASE, base, take};
use super::{CloneKind, CloneSpec, DeleteSpec, delete, run};
use crate::job::Job;
use crate::snapshot::SnapshotRef;
use crate::store::counting::Counting;
use crate::store::{Mem, Store, create_dirs, folder_of, read_small, remove_tree};
use crate::vm::Env;

const MANY: usize = 100;

/// A VM with one disk and the snapshot `golden`.
pub(crate) fn library() -> (Counting, Env) {
    let store = Counting::default();
    let env = base(store.clone());
    take(&env, "golden").unwrap();
    (store, env)
}

/// Where a clone is made.
pub(crate) fn vmx(number: usize) -> String {
    format!("/vms/web{number:04}/web{number:04}.vmx")
}

/// Makes a linked clone of the snapshot.
pub(crate) fn clone(env: &Env, number: usize) {
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

#[test]
fn parent_of_many_lost_clones_looks_for_them_together() {
    let names = |count: usize| {
        let (store, env) = library();
        for number in 0..count {
            clone(&env, number);
            let vmx = PathBuf::from(vmx(number));
            remove_tree(&store, folder_of(&vmx)).unwrap();
        }
        // What else there is in the folder.
        for number in 0..count {
            create_dirs(&store, Path::new(&format!("/vms/other{number:04}"))).unwrap();
        }
        let whole = DeleteSpec {
            disks: true,
            force: false,
        };
        let names = store.names_of(|| delete(&env, Path::new(BASE), whole, &Job::new()).unwrap());
        assert!(!store.exists(Path::new("/vms/base")));
        names
    };
    let (few, many) = (names(20), names(100));
    assert!(
        many < 8 * few,
        "names read for 20 clones {few}, for 100 {many}"
    );
}
