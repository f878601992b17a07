//! A library that was copied from Windows: paths with drive letters, names in national character
//! sets and in another case than on disk, lines ended by CRLF.
//!
//! QEMU cannot follow a parent at `D:\`: such chains are compared through our own reader, and their
//! full clones by `qemu-img`.

use std::fs;
use std::path::{Path, PathBuf};

use replix::clone::{CloneKind, CloneSpec, DeleteSpec, Lineage, LineageNode};
use replix::snapshot::SnapshotRef;
use replix::{Kind, Vm};
use replix_testkit::tree_of;

use crate::vms::*;
use crate::windows::{CHINA, COUNTRIES, Copied, Country, EUROPE, JAPAN};

fn spec(kind: CloneKind, library: &Path, name: &str, snapshot: Option<u32>) -> CloneSpec {
    CloneSpec {
        snapshot: snapshot.map(SnapshotRef::Uid),
        ..CloneSpec::new(kind, vmx(library, name))
    }
}

fn delete(vm: &Vm) -> replix::Result<()> {
    let all = DeleteSpec {
        disks: true,
        force: false,
    };
    vm.delete(all).wait()
}

fn vms_in(lineage: &Lineage) -> Vec<(PathBuf, bool)> {
    let mut found = Vec::new();
    if let LineageNode::Vm {
        path,
        found: is_here,
        ..
    } = &lineage.node
    {
        found.push((path.clone(), *is_here));
    }
    found.extend(lineage.children.iter().flat_map(vms_in));
    found
}

#[test]
fn info_names_what_is_odd_with_its_cure() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let Country {
            parent,
            clone,
            disk,
            library,
            ..
        } = &copied.country;
        let info = copied.parent().info().unwrap();
        assert_eq!(info.display_name, *parent);
        assert_eq!(info.disks[0].file_name, format!("{disk}-000002.vmdk"));
        assert_eq!((info.disks[0].depth, &info.disks[0].problem), (3, &None));
        assert_eq!(info.current_snapshot, Some(format!("{library} 2")));
        assert_eq!(
            info.clones,
            [copied.country.windows(clone, &format!("{clone}.vmx"))]
        );
        let said = |what: &str, cure: &str| {
            let fits = |text: &&String| text.contains(what) && text.contains(cure);
            assert!(
                info.warnings.iter().any(|text| fits(&text)),
                "{what}: {:#?}",
                info.warnings
            );
        };
        said("E:\\isos\\win.iso", "disconnect the drive");
        said("\\\\.\\pipe\\x", "name of Windows");
        let upper = disk.to_uppercase();
        said(&format!("{upper}-000002.VMDK"), "write that there");
        assert!(!info.warnings.iter().any(|text| text.contains('\u{fffd}')));

        let info = copied.linked().info().unwrap();
        assert_eq!((info.disks[0].depth, &info.disks[0].problem), (3, &None));
        assert_eq!(
            info.clone_of,
            Some(copied.country.windows(parent, &format!("{parent}.vmx")))
        );
    }
}

#[test]
fn disks_read_as_on_windows() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        copied.assert_reads(&copied.parent(), "base-000002");
        copied.assert_reads(&copied.linked(), "base-cl1");
    }
}

#[test]
fn tree_shows_the_clone() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let parent = copied.parent();
        let lineage = host().provider().lineage(parent.path()).unwrap();
        let clone = copied.linked();
        let expected = [parent.path(), clone.path()].map(|path| (path.to_path_buf(), true));
        assert_eq!(vms_in(&lineage), expected);
    }
}

#[test]
fn full_clones_are_whole() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let (library, parent) = (copied.library(), copied.parent());
        let of_clone = clone(&copied.linked(), CloneKind::Full, &library, "Kopie-克隆");
        copied.assert_copy(&of_clone, "base-cl1");
        for (snapshot, disk) in [
            (None, "base-000002"),
            (Some(2), "base-000001"),
            (Some(1), "base"),
        ] {
            let spec = spec(
                CloneKind::Full,
                &library,
                &format!("copy of {disk}"),
                snapshot,
            );
            let made = parent.clone_to(spec).wait().unwrap().vm;
            copied.assert_copy(&made, disk);
            let info = made.info().unwrap();
            assert_eq!(info.display_name, format!("copy of {disk}"));
            assert_eq!((info.clone_of, info.snapshots), (None, 0));
        }
    }
}

#[test]
fn linked_clones_stand_on_copied_disks() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let (library, parent) = (copied.library(), copied.parent());
        for (snapshot, disk) in [
            (Some(2), "base-000001"),
            (Some(1), "base"),
            (None, "base-000002"),
        ] {
            let spec = spec(CloneKind::Linked, &library, &format!("on {disk}"), snapshot);
            let made = parent.clone_to(spec).wait().unwrap().vm;
            copied.assert_reads(&made, disk);
        }
        let second = clone(&copied.linked(), CloneKind::Linked, &library, "second");
        copied.assert_reads(&second, "base-cl1");
        copied.assert_reads(&copied.linked(), "base-cl1");
        assert_eq!(parent.info().unwrap().clones.len(), 4);
    }
}

#[test]
fn snapshots_come_and_go() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        for (vm, disk) in [
            (copied.parent(), "base-000002"),
            (copied.linked(), "base-cl1"),
        ] {
            let uid = snapshot(&vm, "new 快照");
            copied.assert_reads(&vm, disk);
            vm.revert(SnapshotRef::Uid(uid)).wait().unwrap();
            copied.assert_reads(&vm, disk);
            vm.remove_snapshot(SnapshotRef::Uid(uid), false)
                .wait()
                .unwrap();
            copied.assert_reads(&vm, disk);
            assert_eq!(vm.info().unwrap().disks[0].depth, 3);
        }
        let parent = copied.parent();
        let nvram = format!("{}.NVRAM", copied.country.parent.to_uppercase());
        parent.revert(SnapshotRef::Uid(1)).wait().unwrap();
        copied.assert_reads(&parent, "base");
        let restored = fs::read(copied.path(copied.country.parent, &nvram)).unwrap();
        assert_eq!(restored, b"MRVN 1");
        parent.revert(SnapshotRef::Uid(2)).wait().unwrap();
        copied.assert_reads(&parent, "base-000001");
        let locked = parent
            .remove_snapshot(SnapshotRef::Uid(2), false)
            .wait()
            .unwrap_err();
        assert_eq!(locked.kind(), Kind::SnapshotLocked);
        assert!(locked.to_string().contains("D:\\"), "{locked}");
        parent
            .remove_snapshot(SnapshotRef::Uid(1), false)
            .wait()
            .unwrap();
        copied.assert_reads(&parent, "base-000001");
        copied.assert_reads(&copied.linked(), "base-cl1");
    }
}

#[test]
fn deleted_clone_leaves_its_parents_list() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let Country { parent, clone, .. } = &copied.country;
        let before = tree_of(&copied.library());
        let refused = delete(&copied.parent()).unwrap_err();
        assert_eq!(refused.kind(), Kind::Busy);
        let listed = copied.country.windows(clone, &format!("{clone}.vmx"));
        assert!(refused.to_string().contains(&listed), "{refused}");
        assert_eq!(before, tree_of(&copied.library()));

        delete(&copied.linked()).unwrap();
        assert!(!copied.path(clone, "").exists());
        let mut after = tree_of(&copied.path(parent, ""));
        let vmsd = Path::new(parent).join(format!("{parent}.VMSD"));
        after.insert(format!("{parent}.VMSD").into(), before[&vmsd].clone());
        for (file, hash) in after {
            assert_eq!(before[&Path::new(parent).join(file)], hash);
        }
        assert!(copied.parent().info().unwrap().clones.is_empty());
        copied.assert_reads(&copied.parent(), "base-000002");
        delete(&copied.parent()).unwrap();
        assert_eq!(tree_of(&copied.library()).len(), 0);
    }
}

#[test]
fn texts_keep_their_set_and_their_line_ends() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let name = copied.country.parent;
        let vmx = copied.path(name, &format!("{name}.vmx"));
        let vmsd = copied.path(name, &format!("{name}.VMSD"));
        let before = [&vmx, &vmsd].map(|path| fs::read(path).unwrap());
        let uid = snapshot(&copied.parent(), "new");
        for (path, before) in [&vmx, &vmsd].into_iter().zip(before) {
            let after = fs::read(path).unwrap();
            let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
                bytes
                    .split_inclusive(|b| *b == b'\n')
                    .map(<[u8]>::to_vec)
                    .collect()
            };
            let (before, after) = (lines(&before), lines(&after));
            assert!(after.iter().all(|line| line.ends_with(b"\r\n")));
            let changed = before.iter().filter(|line| !after.contains(line)).count();
            assert!(changed <= 3, "{changed} lines of {path:?} changed");
            assert!(
                after.contains(
                    &copied
                        .country
                        .encode(&format!(".encoding = \"{}\"\r\n", copied.country.charset))
                )
            );
        }
        let disk = format!("{}-000003.vmdk", copied.country.disk.to_uppercase());
        let line = copied
            .country
            .encode(&format!("scsi0:0.fileName = \"{disk}\"\r\n"));
        let line = String::from_utf8_lossy(&line).replace("|", "|7C");
        let after = String::from_utf8_lossy(&fs::read(&vmx).unwrap()).into_owned();
        assert!(after.contains(&line), "{after}");
        assert_eq!(uid, 3);
    }
}

#[test]
fn names_beyond_the_set_make_the_text_utf8() {
    for country in [CHINA, JAPAN, EUROPE] {
        let copied = Copied::new(country);
        let name = "Ж한😀 é";
        let made = clone(&copied.parent(), CloneKind::Linked, &copied.library(), name);
        copied.assert_reads(&made, "base-000002");
        assert_eq!(made.info().unwrap().display_name, name);
        let text = fs::read_to_string(made.path()).unwrap();
        assert!(text.starts_with(".encoding = \"UTF-8\"\r\n"), "{text}");

        let info = copied.parent().info().unwrap();
        let clone = copied.country.clone;
        let windows = copied.country.windows(clone, &format!("{clone}.vmx"));
        assert_eq!(
            info.clones,
            [windows, made.path().to_str().unwrap().to_owned()]
        );
        assert_eq!(info.snapshots, 3);
        let lineage = host().provider().lineage(copied.parent().path()).unwrap();
        assert!(vms_in(&lineage).iter().all(|(_, found)| *found));
        delete(&made).unwrap();
        assert_eq!(copied.parent().info().unwrap().clones.len(), 1);
        delete(&copied.linked()).unwrap();
        assert!(copied.parent().info().unwrap().clones.is_empty());
    }
}

#[test]
fn path_that_no_text_holds_has_no_linked_clones() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let copied = Copied::new(CHINA);
    // As an archive of Windows is unpacked here: the bytes of GBK.
    let folder = copied
        .library()
        .join(OsStr::from_bytes(&CHINA.encode("克隆机")));
    let before = tree_of(&copied.library());
    for kind in [CloneKind::Full, CloneKind::Linked] {
        let spec = CloneSpec::new(kind, folder.join("new.vmx"));
        let made = copied.parent().clone_to(spec).wait();
        match kind {
            CloneKind::Full => {
                copied.assert_copy(&made.unwrap().vm, "base-000002");
                fs::remove_dir_all(&folder).unwrap();
            }
            CloneKind::Linked => assert_eq!(made.err().unwrap().kind(), Kind::FileName),
        }
    }
    assert_eq!(before, tree_of(&copied.library()));
    fs::rename(copied.path(CHINA.parent, ""), &folder).unwrap();
    let moved = host()
        .open(folder.join(format!("{}.vmx", CHINA.parent)))
        .unwrap();
    let spec = CloneSpec::new(CloneKind::Linked, vmx(&copied.library(), "new"));
    assert_eq!(try_clone(&moved, spec).err(), Some(Kind::FileName));
    let full = clone(&moved, CloneKind::Full, &copied.library(), "full");
    copied.assert_copy(&full, "base-000002");
    let uid = snapshot(&moved, "in a folder without a name");
    moved
        .remove_snapshot(SnapshotRef::Uid(uid), false)
        .wait()
        .unwrap();
    copied.assert_reads(&moved, "base-000002");
}
