//! Linked clones: what they share, what is written where.

use replix::clone::{Base, CloneKind, CloneSpec};
use replix::vm::Verdict;
use replix_testkit::{Content, DiskType, VmBuilder, folder, qemu_io, tree_of};

use crate::vms::*;

#[test]
fn linked_clone_reads_as_its_parent() {
    let library = folder();
    let parent = simple(library.path(), "base");
    let vm = open(&parent);
    let uid = snapshot(&vm, "golden");
    let linked = clone_of(&vm, uid, CloneKind::Linked, library.path(), "web");
    assert_same_disks(&vm, &linked);
    assert_eq!(
        linked.info().unwrap().clone_of.as_deref(),
        parent.vmx.to_str()
    );
    assert_eq!(vm.info().unwrap().clones, [linked.path().to_str().unwrap()]);
}

#[test]
fn clone_of_present_state_leaves_a_snapshot_called_clone() {
    let library = folder();
    let vm = open(&simple(library.path(), "base"));
    let linked = clone(&vm, CloneKind::Linked, library.path(), "web");
    assert_same_disks(&vm, &linked);
    let tree = vm.snapshots().unwrap();
    assert_eq!(tree.snapshots.len(), 1);
    assert_eq!(tree.snapshots[0].name, "Clone");
    assert_eq!(tree.snapshots[0].description, "Created by clone operation.");
    assert_eq!(tree.current, Some(tree.snapshots[0].uid));
    clone(&vm, CloneKind::Linked, library.path(), "web2");
    assert_eq!(vm.snapshots().unwrap().snapshots.len(), 2);
}

#[test]
fn clone_that_cannot_run_here_says_so_and_is_made() {
    let library = folder();
    let vm = VmBuilder::new(library.path(), "base")
        .disk(DiskType::TwoGbMaxExtentSparse, Content::Mixed(1), SMALL)
        .build();
    // The descriptor of a growth that was cut off: the extent is longer than its line.
    let disk = vm.file("base.vmdk");
    let text = String::from_utf8_lossy(&std::fs::read(&disk).unwrap()).into_owned();
    std::fs::write(&disk, text.replace("RW 10240 ", "RW 5120 ")).unwrap();
    let spec = |kind, name| CloneSpec::new(kind, vmx(library.path(), name));
    let vm = open(&vm);
    let linked = vm
        .clone_to(spec(CloneKind::Linked, "linked"))
        .wait()
        .unwrap();
    let warnings = linked.report.warnings.concat();
    assert!(warnings.contains("does not run here: "), "{warnings}");
    assert!(warnings.contains("holds 10240 sectors"), "{warnings}");
    assert_eq!(linked.vm.info().unwrap().boot.verdict, Verdict::No);
    let full = vm.clone_to(spec(CloneKind::Full, "full")).wait().unwrap();
    assert_eq!(full.report.warnings, [""; 0]);
    assert_eq!(full.vm.info().unwrap().boot.verdict, Verdict::Yes);
}

#[test]
fn base_is_reused_while_nothing_was_written() {
    let library = folder();
    let parent = simple(library.path(), "base");
    let vm = open(&parent);
    let reuse = |name| CloneSpec {
        base: Base::Reuse,
        ..CloneSpec::new(CloneKind::Linked, vmx(library.path(), name))
    };
    for name in ["a", "b", "c"] {
        vm.clone_to(reuse(name)).wait().unwrap();
    }
    assert_eq!(vm.snapshots().unwrap().snapshots.len(), 1);
    assert_eq!(vm.info().unwrap().clones.len(), 3);
    qemu_io(&disks(&vm)[0], "write -P 9 1M 64k");
    let late = vm.clone_to(reuse("d")).wait().unwrap().vm;
    assert_eq!(vm.snapshots().unwrap().snapshots.len(), 2);
    assert_same_disks(&vm, &late);
}

#[test]
fn only_the_bookkeeping_of_the_parent_changes() {
    let library = folder();
    let parent = simple(library.path(), "base");
    let vm = open(&parent);
    let uid = snapshot(&vm, "golden");
    let before = tree_of(&parent.dir);
    let linked = clone_of(&vm, uid, CloneKind::Linked, library.path(), "web");
    qemu_io(&disks(&linked)[0], "write -P 7 0 128k");
    let mut after = tree_of(&parent.dir);
    after.insert(
        "base.vmsd".into(),
        before["base.vmsd".as_ref() as &std::path::Path].clone(),
    );
    assert_eq!(before, after);
}

#[test]
fn clones_of_clones_read_as_their_moment() {
    let library = folder();
    let vm = open(&simple(library.path(), "base"));
    let first = clone(&vm, CloneKind::Linked, library.path(), "one");
    qemu_io(&disks(&first)[0], "write -P 1 0 64k");
    let second = clone(&first, CloneKind::Linked, library.path(), "two");
    assert_same_disks(&first, &second);
    qemu_io(&disks(&second)[0], "write -P 2 64k 64k");
    let copy = clone(&second, CloneKind::Full, library.path(), "copy");
    assert_same_disks(&second, &copy);
    let info = copy.info().unwrap();
    assert_eq!(info.disks[0].depth, 1);
    assert_eq!(info.clone_of, None);
}

#[test]
fn clone_has_an_identity_of_its_own() {
    let library = folder();
    let parent = VmBuilder::new(library.path(), "base")
        .disk(DiskType::MonolithicSparse, Content::Zero, SMALL)
        .line("ethernet0.present", "TRUE")
        .line("ethernet0.addressType", "generated")
        .line("ethernet0.generatedAddress", "00:0c:29:0c:0d:0e")
        .line("vmci0.id", "202050830")
        .build();
    let vm = open(&parent);
    let linked = clone(&vm, CloneKind::Linked, library.path(), "web");
    let (old, new) = (vm.info().unwrap(), linked.info().unwrap());
    assert_ne!(old.uuid_bios, new.uuid_bios);
    let uuid = new.uuid_bios.unwrap();
    let tail = uuid[uuid.len() - 8..].replace(' ', ":");
    assert_eq!(
        new.nics[0].mac.as_deref(),
        Some(format!("00:0c:29:{tail}").as_str())
    );
    assert_eq!(new.display_name, "web");

    let mut spec = CloneSpec::new(CloneKind::Linked, vmx(library.path(), "twin"));
    spec.keep_identity = true;
    spec.name = Some("My twin".into());
    let twin = vm.clone_to(spec).wait().unwrap().vm.info().unwrap();
    assert_eq!(twin.uuid_bios, old.uuid_bios);
    assert_eq!(twin.nics[0].mac, old.nics[0].mac);
    assert_eq!(twin.display_name, "My twin");
}

#[test]
fn many_processes_clone_one_parent_at_once() {
    let library = folder();
    let vm = open(&simple(library.path(), "base"));
    let started: Vec<_> = (0..16)
        .map(|n| {
            let spec = CloneSpec::new(CloneKind::Linked, vmx(library.path(), &format!("web{n}")));
            host().open(vm.path()).unwrap().clone_to(spec)
        })
        .collect();
    let clones: Vec<_> = started
        .into_iter()
        .map(|clone| clone.wait().unwrap().vm)
        .collect();
    let info = vm.info().unwrap();
    assert_eq!(info.clones.len(), 16);
    for clone in &clones {
        assert!(
            info.clones
                .contains(&clone.path().to_str().unwrap().to_owned())
        );
        assert_same_disks(&vm, clone);
    }
}

#[test]
fn independent_disk_is_copied() {
    let library = folder();
    let parent = VmBuilder::new(library.path(), "base")
        .disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL)
        .disk(DiskType::MonolithicFlat, Content::Mixed(2), SMALL)
        .line("scsi0:1.mode", "independent-persistent")
        .build();
    let vm = open(&parent);
    let linked = clone(&vm, CloneKind::Linked, library.path(), "web");
    assert_same_disks(&vm, &linked);
    let depths: Vec<usize> = linked
        .info()
        .unwrap()
        .disks
        .iter()
        .map(|disk| disk.depth)
        .collect();
    assert_eq!(depths, [2, 1]);
}
