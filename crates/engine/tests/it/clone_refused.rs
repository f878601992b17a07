//! What cannot be cloned: each its own error, and nothing changed anywhere.

use std::fs;
use std::path::Path;

use replix::clone::{CloneKind, CloneSpec, DeleteSpec};
use replix::power::StartSpec;
use replix::snapshot::{NewSnapshot, SnapshotRef};
use replix::vm::Verdict;
use replix::{Kind, Vm};
use replix_testkit::{Content, DiskType, TestVm, VmBuilder, folder, qemu_io, tree_of};

use crate::vms::*;

/// Asserts that both kinds of clone fail with `kind`, and that nothing in the library changes.
fn assert_refused(library: &Path, vm: &Vm, kinds: &[CloneKind], expected: Kind) -> String {
    let before = tree_of(library);
    let mut text = String::new();
    for kind in kinds {
        let cloned = vm
            .clone_to(CloneSpec::new(*kind, vmx(library, "new")))
            .wait();
        let Err(error) = cloned else {
            panic!("{kind:?} clone succeeded")
        };
        assert_eq!(error.kind(), expected, "{kind:?}: {error}");
        text = error.to_string();
    }
    assert_eq!(before, tree_of(library));
    text
}

const BOTH: &[CloneKind] = &[CloneKind::Full, CloneKind::Linked];

fn with_lines(library: &Path, lines: &[(&str, &str)]) -> Vm {
    let builder =
        VmBuilder::new(library, "base").disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL);
    let vm = lines
        .iter()
        .fold(builder, |builder, (key, value)| builder.line(key, value))
        .build();
    open(&vm)
}

#[test]
fn destination_is_checked_first() {
    let library = folder();
    let vm = open(&simple(library.path(), "base"));
    let before = tree_of(library.path());
    for (destination, expected) in [
        ("", Kind::Argument),
        ("new/new.vmx", Kind::Argument),
        ("/tmp/new", Kind::FileName),
        ("/tmp/new.vmdk", Kind::FileName),
        (vm.path().to_str().unwrap(), Kind::FileExists),
    ] {
        for kind in BOTH {
            let refused = try_clone(&vm, CloneSpec::new(*kind, destination));
            assert_eq!(refused.err(), Some(expected), "{destination}");
        }
    }
    assert_eq!(before, tree_of(library.path()));
}

#[test]
fn suspended_vm_is_cloned_in_full_only() {
    let library = folder();
    let vm = with_lines(
        library.path(),
        &[("checkpoint.vmState", "base-1a2b3c4d.vmss")],
    );
    fs::write(library.path().join("base/base-1a2b3c4d.vmss"), b"memory").unwrap();
    assert_refused(library.path(), &vm, &[CloneKind::Linked], Kind::VmRunning);
    let full = clone(&vm, CloneKind::Full, library.path(), "new");
    assert_eq!(full.info().unwrap().state, replix::vm::PowerState::Off);
    assert_eq!(vm.info().unwrap().state, replix::vm::PowerState::Suspended);
}

#[test]
fn encrypted_undoable_and_raw_vms_are_refused() {
    for (lines, expected) in [
        (
            &[("encryption.data", "x"), ("encryption.keySafe", "y")][..],
            Kind::Encrypted,
        ),
        (
            &[("scsi0:0.redo", "./base.vmdk.REDO_a1")][..],
            Kind::NotSupported,
        ),
        (
            &[("scsi0:0.deviceType", "rawDisk")][..],
            Kind::DiskUnsupported,
        ),
    ] {
        let library = folder();
        let vm = with_lines(library.path(), lines);
        assert_refused(library.path(), &vm, BOTH, expected);
    }
}

#[test]
fn disk_in_two_places_is_refused_by_all() {
    let library = folder();
    let dir = library.path().join("base");
    for (second, mode) in [
        ("base.vmdk", "persistent"),
        ("./other.vmdk", "persistent"),
        ("base.vmdk", "independent-persistent"),
    ] {
        let _ = fs::remove_dir_all(&dir);
        let lines = [
            ("scsi0:1.present", "TRUE"),
            ("scsi0:1.fileName", second),
            ("scsi0:1.mode", mode),
        ];
        let vm = with_lines(library.path(), &lines);
        std::os::unix::fs::symlink("base.vmdk", dir.join("other.vmdk")).unwrap();
        let before = tree_of(library.path());
        let text = assert_refused(library.path(), &vm, BOTH, Kind::DiskTwice);
        assert!(text.contains("scsi0:0 and scsi0:1"), "{text}");
        let new = NewSnapshot {
            name: "one".into(),
            ..NewSnapshot::default()
        };
        let snapshot = vm.create_snapshot(new).wait().unwrap_err();
        assert_eq!(snapshot.kind(), Kind::DiskTwice, "{snapshot}");
        let start = vm.power_on(StartSpec::default()).wait().unwrap_err();
        assert_eq!(start.kind(), Kind::DiskTwice, "{start}");
        assert_eq!(before, tree_of(library.path()));
        let boot = vm.info().unwrap().boot;
        assert_eq!(boot.verdict, Verdict::No);
        assert!(boot.reasons[0].contains("are the same disk"), "{boot:?}");
    }
}

#[test]
fn vm_that_vmware_runs_is_refused() {
    let library = folder();
    let vm = open(&simple(library.path(), "base"));
    for file in ["base.vmx", "base.vmdk"] {
        let lock = library.path().join("base").join(format!("{file}.lck"));
        fs::create_dir(&lock).unwrap();
        let text = "uuid=00-11-22-33-44-55-66-77-88-99-aa-bb-cc-dd-ee-ff \
                    12-34(vmware-vmx) 1 X 34 lc=1 ";
        fs::write(lock.join("M12345.lck"), text).unwrap();
    }
    let text = assert_refused(library.path(), &vm, BOTH, Kind::VmRunning);
    assert!(text.contains("vmware-vmx"), "{text}");
}

#[test]
fn missing_disk_is_named() {
    let library = folder();
    let parent = simple(library.path(), "base");
    let vm = open(&parent);
    fs::remove_file(parent.file("base.vmdk")).unwrap();
    let text = assert_refused(library.path(), &vm, BOTH, Kind::FileNotFound);
    assert!(text.contains("base.vmdk"), "{text}");
    let info = vm.info().unwrap();
    assert!(info.disks[0].problem.is_some());
}

/// A VM with one snapshot, and the paths of its child disk and of its base.
fn with_snapshot(library: &Path) -> (TestVm, Vm) {
    let test_vm = simple(library, "base");
    let vm = open(&test_vm);
    snapshot(&vm, "s");
    (test_vm, vm)
}

#[test]
fn missing_parent_is_named() {
    let library = folder();
    let (test_vm, vm) = with_snapshot(library.path());
    fs::remove_file(test_vm.file("base.vmdk")).unwrap();
    let text = assert_refused(library.path(), &vm, BOTH, Kind::DiskParent);
    assert!(
        text.contains("base-000001.vmdk") && text.contains("base.vmdk"),
        "{text}"
    );
}

#[test]
fn touched_parent_is_refused_with_both_ids() {
    let library = folder();
    let (test_vm, vm) = with_snapshot(library.path());
    qemu_io(&test_vm.file("base.vmdk"), "write -P 3 1M 64k");
    let text = assert_refused(library.path(), &vm, BOTH, Kind::DiskChanged);
    let ids: Vec<&str> = text
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter(|w| w.len() == 8)
        .collect();
    assert!(ids.len() >= 2 && ids[0] != ids[1], "{text}");
    assert!(
        text.contains("base-000001.vmdk") && text.contains("\""),
        "{text}"
    );
}

#[test]
fn unreadable_disk_is_refused() {
    let library = folder();
    let parent = simple(library.path(), "base");
    let vm = open(&parent);
    fs::write(parent.file("base.vmdk"), b"not a disk at all").unwrap();
    assert_refused(library.path(), &vm, BOTH, Kind::DiskInvalid);
}

#[test]
fn memory_snapshot_is_refused_unless_the_memory_is_left() {
    let library = folder();
    let (test_vm, vm) = with_snapshot(library.path());
    let vmsd = fs::read_to_string(test_vm.file("base.vmsd")).unwrap();
    let live = vmsd.replace(
        "snapshot0.createTimeHigh",
        "snapshot0.type = \"1\"\nsnapshot0.createTimeHigh",
    );
    fs::write(test_vm.file("base.vmsd"), live).unwrap();
    let mut spec = CloneSpec::new(CloneKind::Linked, vmx(library.path(), "new"));
    spec.snapshot = Some(SnapshotRef::Name("s".into()));
    assert_eq!(try_clone(&vm, spec.clone()).err(), Some(Kind::VmRunning));
    spec.without_memory = true;
    assert!(try_clone(&vm, spec).is_ok());
}

#[test]
fn snapshot_must_be_the_vms_own() {
    let library = folder();
    let (_, vm) = with_snapshot(library.path());
    for (name, expected) in [
        ("t", Kind::SnapshotNotFound),
        ("s/s", Kind::SnapshotNotFound),
    ] {
        let mut spec = CloneSpec::new(CloneKind::Linked, vmx(library.path(), "new"));
        spec.snapshot = Some(SnapshotRef::Name(name.into()));
        assert_eq!(try_clone(&vm, spec).err(), Some(expected));
    }
    snapshot(&vm, "s");
    let mut spec = CloneSpec::new(CloneKind::Full, vmx(library.path(), "new"));
    spec.snapshot = Some(SnapshotRef::Name("s".into()));
    assert_eq!(try_clone(&vm, spec).err(), Some(Kind::SnapshotAmbiguous));
}

#[test]
fn cancelled_clone_leaves_nothing() {
    let library = folder();
    let parent = VmBuilder::new(library.path(), "base")
        .disk(DiskType::MonolithicSparse, Content::Random(1), 64 << 20)
        .build();
    let vm = open(&parent);
    let before = tree_of(library.path());
    let started = vm.clone_to(CloneSpec::new(CloneKind::Full, vmx(library.path(), "new")));
    while !started.is_done() && started.job().progress().done_bytes == 0 {
        std::thread::yield_now();
    }
    started.job().cancel();
    assert_eq!(
        started.wait().err().map(|error| error.kind()),
        Some(Kind::Cancelled)
    );
    assert_eq!(before, tree_of(library.path()));
}

#[test]
fn snapshot_made_for_a_clone_that_fails_is_taken_back() {
    let library = folder();
    let vm = open(&simple(library.path(), "base"));
    fs::write(library.path().join("file"), b"in the way").unwrap();
    let before = tree_of(library.path());
    for kind in BOTH {
        let destination = library.path().join("file/new/new.vmx");
        assert!(
            vm.clone_to(CloneSpec::new(*kind, destination))
                .wait()
                .is_err()
        );
        assert_eq!(before, tree_of(library.path()));
    }
}

#[test]
fn parent_of_living_clones_is_not_deleted() {
    let library = folder();
    let test_vm = simple(library.path(), "base");
    let vm = open(&test_vm);
    let linked = clone(&vm, CloneKind::Linked, library.path(), "web");
    let before = tree_of(library.path());
    let delete = |vm: &Vm, force| vm.delete(DeleteSpec { disks: true, force }).wait();
    let error = delete(&vm, false).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.to_string().contains("web.vmx"), "{error}");
    assert_eq!(before, tree_of(library.path()));

    delete(&linked, false).unwrap();
    assert!(!library.path().join("web").exists());
    assert!(vm.info().unwrap().clones.is_empty());
    delete(&vm, false).unwrap();
    assert!(!test_vm.dir.exists());
}

#[test]
fn forced_delete_of_a_parent_leaves_its_clones_files() {
    let library = folder();
    let vm = open(&simple(library.path(), "base"));
    let linked = clone(&vm, CloneKind::Linked, library.path(), "web");
    let before = tree_of(&library.path().join("web"));
    vm.delete(DeleteSpec {
        disks: true,
        force: true,
    })
    .wait()
    .unwrap();
    assert_eq!(before, tree_of(&library.path().join("web")));
    let info = linked.info().unwrap();
    assert!(info.disks[0].problem.is_some());
    let refused = try_clone(
        &linked,
        CloneSpec::new(CloneKind::Full, vmx(library.path(), "new")),
    );
    assert_eq!(refused.err(), Some(Kind::DiskParent));
}
