//! Linked clones whose parent is not where it was: found again by what it holds, or not touched.

use std::fs;
use std::path::Path;

use replix::clone::{CloneKind, DeleteSpec, RelinkSpec, Relinked};
use replix::{Kind, Vm};
use replix_testkit::{TestVm, folder, peer, qemu_img, qemu_io, same_content, tree_of};

use crate::console::{Console, talkative};
use crate::guests::{skip, start, stop};
use crate::running::Stopped;
use crate::vms::*;

fn try_relink(vm: &Vm, parent: Option<&Path>) -> replix::Result<Relinked> {
    let spec = RelinkSpec {
        parent: parent.map(Into::into),
    };
    vm.relink(spec).wait()
}

fn relink(vm: &Vm, parent: Option<&Path>) -> Relinked {
    try_relink(vm, parent).unwrap()
}

/// A VM with a linked clone `web` that was written to, and a copy of what that one reads as.
fn clone_with_copy(library: &Path) -> (TestVm, Vm, std::path::PathBuf) {
    let parent = simple(library, "base");
    let web = clone(&open(&parent), CloneKind::Linked, library, "web");
    qemu_io(&disks(&web)[0], "write -P 7 1M 200k");
    snapshot(&web, "own");
    qemu_io(&disks(&web)[0], "write -P 8 2M 200k");
    let copy = library.join("copy.vmdk");
    let (disk, name) = (&disks(&web)[0], copy.to_str().unwrap());
    qemu_img(["convert", "-O", "vmdk", disk.to_str().unwrap(), name]);
    (parent, web, copy)
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = peer("cp", ["-r".as_ref(), from.as_os_str(), to.as_os_str()]);
    assert!(copied.status.success());
}

fn problems(vm: &Vm) -> Vec<String> {
    let disks = vm.info().unwrap().disks.into_iter();
    disks.filter_map(|disk| disk.problem).collect()
}

/// Asserts that the clone is whole, for QEMU too, and that it and its parent know each other.
fn assert_at_home(web: &Vm, parent: &Path, copy: &Path) {
    assert_eq!(web.info().unwrap().warnings, [""; 0]);
    assert!(same_content(&disks(web)[0], copy));
    let parent = host().open(parent).unwrap();
    let info = web.info().unwrap();
    assert_eq!(info.clone_of.as_deref(), parent.path().to_str());
    assert!(
        parent
            .info()
            .unwrap()
            .clones
            .contains(&web.path().to_str().unwrap().into())
    );
    let config = fs::read_to_string(web.path()).unwrap();
    let folder = parent.path().parent().unwrap().to_str().unwrap();
    assert!(
        config.contains(&format!("fileSearchPath = \".;{folder}\"")),
        "{config}"
    );
    let snapshot = &parent.snapshots().unwrap().snapshots[0];
    let locked = parent.remove_snapshot(replix::snapshot::SnapshotRef::Uid(snapshot.uid), false);
    assert_eq!(locked.wait().unwrap_err().kind(), Kind::SnapshotLocked);
}

#[test]
fn renamed_parent_is_found_by_its_content() {
    let library = folder();
    let (parent, web, copy) = clone_with_copy(library.path());
    // As new as the first one is, and so of the same content, but another VM's.
    let second = clone(&open(&parent), CloneKind::Linked, library.path(), "second");
    let moved = library.path().join("elsewhere");
    fs::rename(&parent.dir, &moved).unwrap();
    assert!(problems(&web)[0].contains("missing"));
    for vm in [&web, &second] {
        let done = relink(vm, None);
        assert_eq!(
            done.parent.as_deref(),
            Some(moved.join("base.vmx").as_path())
        );
        assert_eq!(done.disks[0].parent.parent(), Some(moved.as_path()));
    }
    assert_at_home(&web, &moved.join("base.vmx"), &copy);
    // What is right stays as it is.
    let before = tree_of(library.path());
    relink(&web, None);
    assert_eq!(tree_of(library.path()), before);
}

#[test]
fn parent_out_of_sight_is_found_where_the_user_says() {
    for says in ["far/deep/base.vmx", "far/deep", "far/deep/base.vmdk"] {
        let library = folder();
        let (parent, web, copy) = clone_with_copy(library.path());
        let far = library.path().join("far");
        fs::create_dir(&far).unwrap();
        fs::rename(&parent.dir, far.join("deep")).unwrap();
        let before = tree_of(library.path());
        let error = try_relink(&web, None).unwrap_err();
        assert_eq!(error.kind(), Kind::DiskParent, "{error}");
        assert!(error.advice().unwrap().contains("--parent"), "{error:?}");
        assert_eq!(tree_of(library.path()), before);
        relink(&web, Some(&library.path().join(says)));
        assert_at_home(&web, &far.join("deep/base.vmx"), &copy);
    }
}

#[test]
fn clones_own_word_leads_no_farther_than_it_may_reach() {
    let library = folder();
    let (parent, web, copy) = clone_with_copy(library.path());
    let far = library.path().join("far");
    fs::create_dir(&far).unwrap();
    fs::rename(&parent.dir, far.join("deep")).unwrap();
    let vmsd = far.join("deep/base.vmsd");
    let listing = fs::read_to_string(&vmsd).unwrap();
    let unlisted: Vec<&str> = listing
        .lines()
        .filter(|line| !line.contains("lone"))
        .collect();
    fs::write(&vmsd, unlisted.join("\n") + "\n").unwrap();
    let config = fs::read_to_string(web.path()).unwrap();
    let (old, new) = (parent.dir.to_str().unwrap(), far.join("deep"));
    fs::write(web.path(), config.replace(old, new.to_str().unwrap())).unwrap();
    let before = tree_of(library.path());
    let error = try_relink(&web, None).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskParent, "{error}");
    assert_eq!(tree_of(library.path()), before);
    // It may where the parent knows it.
    fs::write(&vmsd, listing).unwrap();
    relink(&web, None);
    assert_at_home(&web, &far.join("deep/base.vmx"), &copy);
}

#[test]
fn clone_goes_over_to_a_copy_of_its_parent() {
    let library = folder();
    let (parent, web, copy) = clone_with_copy(library.path());
    let second = library.path().join("other");
    copy_folder(&parent.dir, &second);
    relink(&web, Some(&second));
    assert_at_home(&web, &second.join("base.vmx"), &copy);
    assert!(open(&parent).info().unwrap().clones.is_empty());
    let whole = DeleteSpec {
        disks: true,
        force: false,
    };
    open(&parent).delete(whole).wait().unwrap();
    assert!(same_content(&disks(&web)[0], &copy));
}

#[test]
fn parent_that_cannot_be_proven_is_not_taken() {
    let library = folder();
    let (parent, web, copy) = clone_with_copy(library.path());
    let refused = |said: Option<&Path>, kind, what: &str| {
        let before = tree_of(library.path());
        let error = try_relink(&web, said).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(tree_of(library.path()), before);
    };
    let (one, two) = (library.path().join("one"), library.path().join("two"));
    copy_folder(&parent.dir, &two);
    fs::rename(&parent.dir, &one).unwrap();
    refused(None, Kind::DiskParent, "each of");
    // Another VM, with a disk of that name.
    let other = simple(&library.path().join("x"), "base");
    qemu_io(&other.file("base.vmdk"), "write -P 1 0 64k");
    refused(Some(&other.dir), Kind::DiskChanged, "content id");
    refused(
        Some(&library.path().join("none")),
        Kind::FileNotFound,
        "none",
    );
    refused(
        Some(&library.path().join("web")),
        Kind::DiskParent,
        "not to be found",
    );
    // One that was written to is not what the clone was made on any more.
    qemu_io(&one.join("base.vmdk"), "write -P 9 0 64k");
    refused(Some(&one), Kind::DiskChanged, "content id");
    relink(&web, None);
    assert_at_home(&web, &two.join("base.vmx"), &copy);
}

#[test]
fn vm_that_stands_on_no_other_is_left_as_it_is() {
    let library = folder();
    let test_vm = simple(library.path(), "base");
    let vm = open(&test_vm);
    snapshot(&vm, "a");
    let before = tree_of(&test_vm.dir);
    assert_eq!(relink(&vm, None), Relinked::default());
    assert_eq!(tree_of(&test_vm.dir), before);
}

#[test]
fn guest_boots_before_and_after() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let parent = talkative(library.path(), &image, "scsi0:0", &[]);
    let web = clone(&open(&parent), CloneKind::Linked, library.path(), "web");
    let boot = |boots: &str, command: &str, wanted: &str| {
        start(&web);
        let _stopped = Stopped(web.clone());
        let mut console = Console::of(&web);
        console.wait_for(boots);
        console.wait_for("guest-ready");
        let said = console.run(command, wanted);
        stop(&web);
        said
    };
    boot(
        "boots=1 ",
        "echo then >/disk/a; sync; echo did-$((1+1))",
        "did-2",
    );
    fs::rename(&parent.dir, library.path().join("moved")).unwrap();
    let spec = replix::power::StartSpec::default();
    assert_eq!(
        web.power_on(spec).wait().unwrap_err().kind(),
        Kind::DiskParent
    );
    relink(&web, None);
    let said = boot("boots=2 ", "cat /disk/a; echo up-$((1+1))", "up-2");
    assert!(said.contains("then"), "{said}");
}
