//! Every shape of VM: four create types, three contents, one and three disks, chains of 1, 3 and 12
//! links. Full and linked clones read as the source did, QEMU and libvmdk open them, and the parent
//! stays as it was, also after the clone was written to.

use std::path::{Path, PathBuf};

use replix::Vm;
use replix::clone::CloneKind;
use replix_testkit::{
    Content, DiskType, VmBuilder, folder, peer, qemu_img, qemu_io, same_content, tree_of,
};

use crate::vms::*;

/// Not a whole number of grains.
const SIZE: u64 = (3 << 20) + 5 * 512;

const CONTENTS: [Content; 3] = [Content::Random(7), Content::Zero, Content::Mixed(8)];

/// A VM whose disks have chains of `depth` links, written to at every one.
fn source(library: &Path, kind: DiskType, contents: &[Content], depth: usize) -> Vm {
    let builder = contents
        .iter()
        .fold(VmBuilder::new(library, "base"), |vm, content| {
            vm.disk(kind, *content, SIZE)
        });
    let vm = open(&builder.build());
    for link in 1..depth {
        snapshot(&vm, &format!("s{link}"));
        for disk in disks(&vm) {
            qemu_io(&disk, &format!("write -P {link} {}k 96k", link * 160));
        }
    }
    vm
}

fn assert_sound(vm: &Vm) {
    for disk in disks(vm) {
        let path = disk.to_str().unwrap();
        let info = vm.info().unwrap();
        // QEMU has no check for flat files: there is nothing to be out of step.
        if !info.disks[0]
            .create_type
            .as_deref()
            .unwrap()
            .ends_with("Flat")
        {
            qemu_img(["check", "-q", "-f", "vmdk", path]);
        }
        let opened = peer("vmdkinfo", [path]);
        assert!(
            opened.status.success(),
            "{}",
            String::from_utf8_lossy(&opened.stderr)
        );
    }
}

fn check(kind: DiskType, contents: &[Content], depth: usize) {
    let library = folder();
    let vm = source(library.path(), kind, contents, depth);
    let uid = snapshot(&vm, "golden");
    let golden: Vec<PathBuf> = disks(&vm);
    let dir = library.path().join("base");
    let mut before = tree_of(&dir);

    let full = clone_of(&vm, uid, CloneKind::Full, library.path(), "full");
    assert_eq!(before, tree_of(&dir), "a full clone changed its source");
    let linked = clone_of(&vm, uid, CloneKind::Linked, library.path(), "linked");
    for clone in [&full, &linked] {
        assert_same_disks(&vm, clone);
        assert_sound(clone);
    }
    let info = full.info().unwrap();
    assert!(info.disks.iter().all(|disk| disk.depth == 1));
    assert!(
        info.disks
            .iter()
            .all(|disk| disk.create_type.as_deref() == Some(kind.word()))
    );

    for disk in disks(&linked).iter().chain(&disks(&full)) {
        qemu_io(disk, "write -P 200 512k 1M");
    }
    assert_sound(&linked);
    assert!(!same_content(&golden[0], &disks(&linked)[0]));
    assert_same_disks(&full, &linked);
    let mut after = tree_of(&dir);
    for tree in [&mut before, &mut after] {
        tree.remove(Path::new("base.vmsd"));
    }
    assert_eq!(before, after, "the parent changed");
}

#[test]
fn monolithic_sparse() {
    check_type(DiskType::MonolithicSparse);
}

#[test]
fn two_gb_max_extent_sparse() {
    check_type(DiskType::TwoGbMaxExtentSparse);
}

#[test]
fn monolithic_flat() {
    check_type(DiskType::MonolithicFlat);
}

#[test]
fn two_gb_max_extent_flat() {
    check_type(DiskType::TwoGbMaxExtentFlat);
}

fn check_type(kind: DiskType) {
    for depth in [1, 3, 12] {
        for content in CONTENTS {
            check(kind, &[content], depth);
        }
        check(kind, &CONTENTS, depth);
    }
}

#[test]
fn split_of_several_files_stays_split() {
    let library = folder();
    for kind in [DiskType::TwoGbMaxExtentSparse, DiskType::TwoGbMaxExtentFlat] {
        let name = kind.word();
        let vm = open(
            &VmBuilder::new(library.path(), name)
                .disk(kind, Content::Zero, 5 << 30)
                .build(),
        );
        for (number, place) in ["0", "2147418112", "4294967296", "5368643584"]
            .iter()
            .enumerate()
        {
            qemu_io(
                &disks(&vm)[0],
                &format!("write -P {} {place} 64k", number + 1),
            );
        }
        let full = clone(
            &vm,
            CloneKind::Full,
            library.path(),
            &format!("{name}-full"),
        );
        let linked = clone(
            &vm,
            CloneKind::Linked,
            library.path(),
            &format!("{name}-linked"),
        );
        for clone in [&full, &linked] {
            assert_same_disks(&vm, clone);
            assert_sound(clone);
        }
        let files = std::fs::read_dir(full.path().parent().unwrap()).unwrap();
        let disk_files = files.filter(|file| {
            file.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|ending| ending == "vmdk")
        });
        assert_eq!(disk_files.count(), 4, "a descriptor and three parts");
    }
}
