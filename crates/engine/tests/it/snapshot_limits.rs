//! What the configuration says of snapshots, and a bookkeeping that counts fewer than there are.

use std::fs;

use replix::clone::{CloneKind, CloneSpec};
use replix::library::Library;
use replix::snapshot::{NewSnapshot, SnapshotRef};
use replix::vm::Settings;
use replix::{Job, Kind};
use replix_testkit::{Content, DiskType, TestVm, VmBuilder, folder, tree_of};

use crate::vms::*;

fn with_line(library: &std::path::Path, key: &str, value: &str) -> TestVm {
    VmBuilder::new(library, "base")
        .disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL)
        .line(key, value)
        .build()
}

/// Asserts that no snapshot is taken, also not for a clone, and that nothing is left of the attempt.
fn assert_refused(vm: &TestVm, kind: Kind) {
    let before = tree_of(&vm.dir);
    let opened = open(vm);
    let error = opened.create_snapshot(NewSnapshot::default()).wait();
    assert_eq!(error.unwrap_err().kind(), kind);
    let library = folder();
    let spec = CloneSpec::new(CloneKind::Linked, vmx(library.path(), "web"));
    assert_eq!(try_clone(&opened, spec).err(), Some(kind));
    assert_eq!(tree_of(&vm.dir), before);
    assert!(tree_of(library.path()).is_empty());
}

#[test]
fn forbidden_snapshot_is_not_taken() {
    let library = folder();
    let vm = with_line(library.path(), "snapshot.disabled", "TRUE");
    assert_refused(&vm, Kind::SnapshotDisabled);
    assert_same_disks(
        &open(&vm),
        &clone(&open(&vm), CloneKind::Full, library.path(), "full"),
    );
}

#[test]
fn no_more_snapshots_than_allowed_are_taken() {
    let library = folder();
    let vm = with_line(library.path(), "snapshot.maxSnapshots", "1");
    let opened = open(&vm);
    let uid = snapshot(&opened, "one");
    assert_refused(&vm, Kind::SnapshotLimit);
    // That one may be stood on, gone back to and removed.
    clone_of(&opened, uid, CloneKind::Linked, library.path(), "web");
    opened.revert(SnapshotRef::Uid(uid)).wait().unwrap();

    let library = folder();
    assert_refused(
        &with_line(library.path(), "snapshot.maxSnapshots", "0"),
        Kind::SnapshotLimit,
    );
    // ESXi writes this where there is no limit.
    let library = folder();
    let vm = with_line(library.path(), "snapshot.maxSnapshots", "-1");
    snapshot(&open(&vm), "one");
}

#[test]
fn uncounted_snapshot_is_not_written_over() {
    let library = folder();
    let vm = simple(library.path(), "base");
    let opened = open(&vm);
    for name in ["one", "two"] {
        snapshot(&opened, name);
    }
    let vmsd = vm.vmx.with_extension("vmsd");
    let text = fs::read_to_string(&vmsd).unwrap();
    let fewer = text.replace("numSnapshots = \"2\"", "numSnapshots = \"1\"");
    assert_ne!(text, fewer);
    fs::write(&vmsd, fewer).unwrap();
    assert_refused(&vm, Kind::SnapshotBroken);
    let before = tree_of(&vm.dir);
    let one = || SnapshotRef::Name("one".into());
    for error in [
        opened.remove_snapshot(one(), false).wait().unwrap_err(),
        opened.revert(one()).wait().unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(said.contains("base.vmsd"), "{said}");
        assert!(said.contains("\"snapshot1.uid\""), "{said}");
    }
    assert_eq!(tree_of(&vm.dir), before);
    let roots = vec![library.path().to_path_buf()];
    let checked = Library::open(Settings::default(), &roots).unwrap();
    let said = format!("{:?}", checked.check(&Job::new()).unwrap());
    assert!(said.contains("snapshot1.uid"), "{said}");
    // As the error says.
    fs::write(&vmsd, text).unwrap();
    snapshot(&opened, "three");
    assert_eq!(opened.snapshots().unwrap().snapshots.len(), 3);
}
