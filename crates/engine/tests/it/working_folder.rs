//! VMs whose snapshots go to a folder of their own, within that of the VM: copied and moved as a whole.

use std::fs;
use std::path::Path;

use replix::clone::CloneKind;
use replix::snapshot::SnapshotRef;
use replix_testkit::{Content, DiskType, VmBuilder, folder, peer, qemu_io, same_content, tree_of};

use crate::vms::*;

fn vm_in(library: &Path, kind: DiskType) -> replix::Vm {
    let vm = VmBuilder::new(library, "base")
        .disk(kind, Content::Mixed(1), SMALL)
        .line("workingDir", "work")
        .build();
    fs::create_dir(vm.dir.join("work")).unwrap();
    open(&vm)
}

fn revert(vm: &replix::Vm, name: &str) {
    vm.revert(SnapshotRef::Name(name.into())).wait().unwrap();
}

#[test]
fn copy_of_the_folder_stands_on_its_own_disks() {
    for kind in [DiskType::MonolithicSparse, DiskType::TwoGbMaxExtentSparse] {
        let library = folder();
        let vm = vm_in(library.path(), kind);
        let first = disks(&clone(&vm, CloneKind::Full, library.path(), "first"));
        snapshot(&vm, "one");
        qemu_io(&disks(&vm)[0], "write -P 9 1M 64k");
        snapshot(&vm, "two");
        let now = disks(&clone(&vm, CloneKind::Full, library.path(), "now"));

        let config = fs::read_to_string(vm.path()).unwrap();
        assert!(
            config.contains("fileName = \"work/base-000002.vmdk\""),
            "{config}"
        );
        // QEMU knows no more than what each link says.
        assert!(same_content(&disks(&vm)[0], &now[0]));

        let dir = vm.path().parent().unwrap().to_path_buf();
        let copy = library.path().join("copy");
        let copied = peer("cp", ["-r", text(&dir), text(&copy)]);
        assert!(copied.status.success());
        let before = tree_of(&dir);
        let hidden = library.path().join("hidden");
        fs::rename(&dir, &hidden).unwrap();
        let twin = host().open(copy.join("base.vmx")).unwrap();
        assert!(disks(&twin).iter().all(|disk| disk.starts_with(&copy)));
        assert!(same_content(&disks(&twin)[0], &now[0]));
        fs::rename(&hidden, &dir).unwrap();

        snapshot(&twin, "three");
        revert(&twin, "one");
        assert!(same_content(&disks(&twin)[0], &first[0]));
        revert(&twin, "three");
        for name in ["one", "two", "three"] {
            let gone = twin.remove_snapshot(SnapshotRef::Name(name.into()), false);
            gone.wait().unwrap();
            assert!(same_content(&disks(&twin)[0], &now[0]), "{name}");
        }
        assert_eq!(twin.info().unwrap().disks[0].depth, 1);
        assert_eq!(tree_of(&dir), before);
    }
}

#[test]
fn linked_clone_reaches_disks_deeper_in_its_parents_folder() {
    let library = folder();
    let vm = vm_in(&library.path().join("lib"), DiskType::MonolithicSparse);
    snapshot(&vm, "one");
    qemu_io(&disks(&vm)[0], "write -P 9 1M 64k");
    let copy = clone(&vm, CloneKind::Full, library.path(), "copy");
    let linked = clone(&vm, CloneKind::Linked, &library.path().join("lab"), "web");
    assert_same_disks(&copy, &linked);
    let full = clone(&linked, CloneKind::Full, library.path(), "full");
    assert_same_disks(&copy, &full);
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
