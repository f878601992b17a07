//! Snapshots: taken, reverted to, removed; what they hold stays as it was.

use std::fs;
use std::path::Path;

use replix::clone::CloneKind;
use replix::snapshot::{RevertSpec, SnapshotRef};
use replix::vm::PowerState;
use replix::{Kind, Vm};
use replix_testkit::{
    Content, DiskType, TestVm, VmBuilder, folder, qemu_img, qemu_io, same_content, tree_of,
};

use crate::vms::*;

/// Writes a pattern to the VM's first disk, and keeps a copy of what it then holds.
fn write(vm: &Vm, pattern: u8, at: &str, copy: &Path) {
    let disk = &disks(vm)[0];
    qemu_io(disk, &format!("write -P {pattern} {at} 192k"));
    qemu_img([
        "convert",
        "-f",
        "vmdk",
        "-O",
        "vmdk",
        disk.to_str().unwrap(),
        copy.to_str().unwrap(),
    ]);
}

/// A VM with three snapshots a, b, c and a present state, each with its own content, and copies of
/// the four.
fn history(library: &Path, kind: DiskType) -> (TestVm, Vm, Vec<std::path::PathBuf>) {
    let test_vm = VmBuilder::new(library, "base")
        .disk(kind, Content::Mixed(3), SMALL)
        .build();
    let vm = open(&test_vm);
    let copies: Vec<_> = (0..4)
        .map(|n| library.join(format!("copy{n}.vmdk")))
        .collect();
    for (n, copy) in copies.iter().enumerate() {
        write(&vm, n as u8 + 1, &format!("{}k", 64 + n * 128), copy);
        if n < 3 {
            snapshot(&vm, ["a", "b", "c"][n]);
        }
    }
    (test_vm, vm, copies)
}

fn named(name: &str) -> SnapshotRef {
    SnapshotRef::Name(name.into())
}

fn assert_holds(vm: &Vm, copy: &Path) {
    assert!(same_content(&disks(vm)[0], copy));
    let check = qemu_img(["check", "-f", "vmdk", disks(vm)[0].to_str().unwrap()]);
    assert!(check.contains("No errors"), "{check}");
}

#[test]
fn revert_brings_back_each_moment() {
    let library = folder();
    let (_, vm, copies) = history(library.path(), DiskType::MonolithicSparse);
    for (name, copy) in [("a", 0), ("c", 2), ("b", 1), ("b", 1)] {
        vm.revert(named(name)).wait().unwrap();
        assert_holds(&vm, &copies[copy]);
        assert_eq!(vm.info().unwrap().current_snapshot.as_deref(), Some(name));
    }
}

#[test]
fn revert_leaves_no_old_disks() {
    let library = folder();
    let (test_vm, vm, _) = history(library.path(), DiskType::TwoGbMaxExtentSparse);
    let count = || tree_of(&test_vm.dir).len();
    vm.revert(named("b")).wait().unwrap();
    let before = count();
    vm.revert(named("a")).wait().unwrap();
    vm.revert(named("b")).wait().unwrap();
    assert_eq!(before, count());
}

#[test]
fn removing_each_snapshot_keeps_the_others_and_the_present() {
    for kind in DiskType::ALL {
        for (gone, left) in [("a", ["b", "c"]), ("b", ["a", "c"]), ("c", ["a", "b"])] {
            let library = folder();
            let (_, vm, copies) = history(library.path(), kind);
            vm.remove_snapshot(named(gone), false).wait().unwrap();
            assert_holds(&vm, &copies[3]);
            assert_eq!(
                vm.info().unwrap().disks[0].depth,
                3,
                "{kind:?} without {gone}"
            );
            for name in left {
                vm.revert(named(name)).wait().unwrap();
                let index = ["a", "b", "c"]
                    .iter()
                    .position(|other| *other == name)
                    .unwrap();
                assert_holds(&vm, &copies[index]);
            }
        }
    }
}

#[test]
fn removing_the_whole_line_leaves_one_disk() {
    let library = folder();
    let (test_vm, vm, copies) = history(library.path(), DiskType::MonolithicSparse);
    vm.remove_snapshot(named("a"), true).wait().unwrap();
    assert_holds(&vm, &copies[3]);
    assert!(vm.snapshots().unwrap().snapshots.is_empty());
    assert_eq!(vm.info().unwrap().disks[0].depth, 1);
    let names: Vec<_> = tree_of(&test_vm.dir).into_keys().collect();
    assert_eq!(
        names,
        [
            Path::new("base.vmdk"),
            Path::new("base.vmsd"),
            Path::new("base.vmx")
        ]
    );
}

#[test]
fn branch_is_removed_without_the_other() {
    let library = folder();
    let (_, vm, copies) = history(library.path(), DiskType::MonolithicSparse);
    vm.revert(named("a")).wait().unwrap();
    let copy = library.path().join("copy-d.vmdk");
    write(&vm, 9, "2M", &copy);
    snapshot(&vm, "d");
    vm.remove_snapshot(named("b"), true).wait().unwrap();
    assert_holds(&vm, &copy);
    let tree = vm.snapshots().unwrap();
    let names: Vec<&str> = tree
        .snapshots
        .iter()
        .map(|snapshot| snapshot.name.as_str())
        .collect();
    assert_eq!(names, ["a", "d"]);
    vm.revert(named("a")).wait().unwrap();
    assert_holds(&vm, &copies[0]);
}

#[test]
fn snapshot_with_clones_is_locked() {
    let library = folder();
    let (test_vm, vm, copies) = history(library.path(), DiskType::MonolithicSparse);
    let uid = vm.snapshots().unwrap().find(&named("b")).unwrap().uid;
    let linked = clone_of(&vm, uid, CloneKind::Linked, library.path(), "web");
    let before = tree_of(&test_vm.dir);
    for (name, children) in [("b", false), ("b", true), ("a", true)] {
        let error = vm
            .remove_snapshot(named(name), children)
            .wait()
            .unwrap_err();
        assert_eq!(error.kind(), Kind::SnapshotLocked);
        assert!(error.to_string().contains("web.vmx"), "{error}");
    }
    assert_eq!(before, tree_of(&test_vm.dir));
    vm.remove_snapshot(named("a"), false).wait().unwrap();
    assert_holds(&linked, &copies[1]);
    assert_holds(&vm, &copies[3]);
}

#[test]
fn clone_of_any_snapshot_holds_its_moment() {
    let library = folder();
    let (_, vm, copies) = history(library.path(), DiskType::MonolithicFlat);
    for (index, name) in ["a", "b", "c"].iter().enumerate() {
        let uid = vm.snapshots().unwrap().find(&named(name)).unwrap().uid;
        for kind in [CloneKind::Full, CloneKind::Linked] {
            let clone = clone_of(&vm, uid, kind, library.path(), &format!("{name}-{kind:?}"));
            assert_holds(&clone, &copies[index]);
            assert_eq!(clone.info().unwrap().snapshots, 0);
        }
    }
}

#[test]
fn snapshot_brings_its_hardware_back() {
    let library = folder();
    let test_vm = simple(library.path(), "base");
    let vm = open(&test_vm);
    snapshot(&vm, "small");
    let config = test_vm
        .config()
        .replace("memsize = \"64\"", "memsize = \"128\"");
    std::fs::write(&test_vm.vmx, config).unwrap();
    assert_eq!(vm.info().unwrap().memory_mib, 128);
    let uid = vm.snapshots().unwrap().find(&named("small")).unwrap().uid;
    let clone = clone_of(&vm, uid, CloneKind::Full, library.path(), "web");
    assert_eq!(clone.info().unwrap().memory_mib, 64);
    vm.revert(named("small")).wait().unwrap();
    assert_eq!(vm.info().unwrap().memory_mib, 64);
}

#[test]
fn memory_snapshot_is_gone_back_to_without_its_memory() {
    let library = folder();
    let parent = simple(library.path(), "base");
    let vm = open(&parent);
    let uid = snapshot(&vm, "s");
    let vmsd = fs::read_to_string(parent.file("base.vmsd")).unwrap();
    let live = vmsd.replace(
        "snapshot0.createTimeHigh",
        "snapshot0.type = \"1\"\nsnapshot0.createTimeHigh",
    );
    fs::write(parent.file("base.vmsd"), live).unwrap();
    let before = disks(&vm);
    let refused = vm.revert(SnapshotRef::Uid(uid)).wait().unwrap_err();
    assert_eq!(refused.kind(), Kind::NotSupported);
    assert_eq!(disks(&vm), before);
    let spec = RevertSpec {
        without_memory: true,
        ..RevertSpec::from(SnapshotRef::Uid(uid))
    };
    vm.revert(spec).wait().unwrap();
    assert_ne!(disks(&vm), before);
    assert_eq!(vm.state().unwrap(), PowerState::Off);
}

/// The names of the disk files in a VM's folder.
fn disk_files(vm: &TestVm) -> Vec<String> {
    let names = tree_of(&vm.dir).into_keys();
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".vmdk")).collect()
}

#[test]
fn removal_moves_what_is_less() {
    for (first, second, stays) in [("64k", "3M", "base-000002"), ("3M", "64k", "base-000001")] {
        let library = folder();
        let test_vm = simple(library.path(), "base");
        let vm = open(&test_vm);
        snapshot(&vm, "a");
        qemu_io(&disks(&vm)[0], &format!("write -P 1 64k {first}"));
        snapshot(&vm, "b");
        qemu_io(&disks(&vm)[0], &format!("write -P 2 1M {second}"));
        let copy = library.path().join("copy.vmdk");
        write(&vm, 3, "4M", &copy);
        let removing = vm.remove_snapshot(named("b"), false);
        let job = removing.job().clone();
        removing.wait().unwrap();
        assert!(job.progress().total_bytes <= 512 << 10, "{first}");
        assert_eq!(
            disk_files(&test_vm),
            [&format!("{stays}.vmdk"), "base.vmdk"]
        );
        assert_holds(&vm, &copy);
    }
}

#[test]
fn clone_keeps_its_place_whichever_way_its_disks_are_merged() {
    for (first, second) in [("64k", "3M"), ("3M", "64k")] {
        let library = folder();
        let base = open(&simple(library.path(), "base"));
        let vm = clone(&base, CloneKind::Linked, library.path(), "web");
        qemu_io(&disks(&vm)[0], &format!("write -P 1 64k {first}"));
        snapshot(&vm, "a");
        qemu_io(&disks(&vm)[0], &format!("write -P 2 1M {second}"));
        let copy = library.path().join("copy.vmdk");
        write(&vm, 3, "4M", &copy);
        let before = tree_of(base.path().parent().unwrap());
        vm.remove_snapshot(named("a"), false).wait().unwrap();
        assert_holds(&vm, &copy);
        assert_eq!(vm.info().unwrap().disks[0].depth, 2);
        let own = &disks(&vm)[0];
        let vmsd = fs::read_to_string(vm.path().with_extension("vmsd")).unwrap();
        let sentinel = own.file_name().unwrap().to_str().unwrap();
        assert!(
            vmsd.contains(&format!("sentinel0 = \"{sentinel}\"")),
            "{vmsd}"
        );
        assert_eq!(before, tree_of(base.path().parent().unwrap()));
    }
}

#[test]
fn disks_that_nothing_needs_are_merged() {
    let library = folder();
    let (test_vm, vm, copies) = history(library.path(), DiskType::TwoGbMaxExtentFlat);
    // As VMware leaves them where merging was cut off.
    fs::write(
        test_vm.file("base.vmsd"),
        "snapshot.needConsolidate = \"TRUE\"\n",
    )
    .unwrap();
    assert!(
        vm.info()
            .unwrap()
            .warnings
            .iter()
            .any(|w| w.contains("consolidat"))
    );
    let done = vm.consolidate().wait().unwrap();
    assert_eq!(done.links, 3);
    assert!(done.bytes >= 3 * (192 << 10), "{done:?}");
    assert_holds(&vm, &copies[3]);
    assert_eq!(vm.info().unwrap().disks[0].depth, 1);
    assert_eq!(disk_files(&test_vm), ["base-f001.vmdk", "base.vmdk"]);
    assert!(
        !vm.info()
            .unwrap()
            .warnings
            .iter()
            .any(|w| w.contains("consolidat"))
    );
    assert_eq!(vm.consolidate().wait().unwrap(), Default::default());
}

#[test]
fn disk_that_a_linked_clone_stands_on_is_not_merged() {
    let library = folder();
    let (test_vm, vm, copies) = history(library.path(), DiskType::MonolithicSparse);
    let uid = vm.snapshots().unwrap().find(&named("b")).unwrap().uid;
    let linked = clone_of(&vm, uid, CloneKind::Linked, library.path(), "web");
    vm.remove_snapshot(named("a"), false).wait().unwrap();
    vm.remove_snapshot(named("c"), false).wait().unwrap();
    let before = tree_of(&test_vm.dir);
    assert_eq!(vm.consolidate().wait().unwrap().links, 0);
    assert_eq!(tree_of(&test_vm.dir), before);
    assert_holds(&linked, &copies[1]);
    assert_holds(&vm, &copies[3]);
}
