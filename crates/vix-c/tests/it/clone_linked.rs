//! Linked clones and what they stand on; full clones, which stand on nothing; clones that fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use replix_testkit::{Content, DiskType, TestVm, VmBuilder, qemu_img, same_content, skip, tree_of};

use crate::fixtures::*;
use crate::program::Program;

fn program() -> Program {
    Program::new("clone_linked")
}

/// Makes the clone `VMS/NAME/NAME.vmx` of the present state.
fn clone(program: &Program, vm: &Path, kind: &str, name: &str) -> TestVm {
    let dir = program.vms().join(name);
    let vmx = dir.join(name).with_extension("vmx");
    program.run("clone", &[&vm, &vmx, &kind, &"-"]);
    TestVm { dir, vmx }
}

fn disk_of(vmx: &Path) -> PathBuf {
    open(vmx).info().unwrap().disks[0].path.clone().unwrap()
}

#[test]
fn each_clone_of_now_takes_a_snapshot() {
    let program = program();
    let vm = base(&program.vms());
    program.run(
        "each_clone_of_now_takes_a_snapshot",
        &[&vm.vmx, &program.vms()],
    );
    let vmsd = fs::read_to_string(vm.file("base.vmsd")).unwrap();
    for (number, name) in [(0, "one"), (1, "two")] {
        let clone = program.vms().join(name).join(name).with_extension("vmx");
        let entry = format!("snapshot{number}.clone0 = \"{}\"", clone.display());
        assert!(vmsd.contains(&entry), "{vmsd}");
        assert!(
            vmsd.contains(&format!("snapshot{number}.numClones = \"1\"")),
            "{vmsd}"
        );
        let own = fs::read_to_string(clone.with_extension("vmsd")).unwrap();
        let parent = format!("cloneOf0 = \"{}\"", vm.vmx.display());
        assert!(own.contains(&parent), "{own}");
        assert!(same_content(&disk_of(&clone), &disk_of(&vm.vmx)));
    }
}

#[test]
fn clone_of_a_snapshot_takes_none() {
    let program = program();
    let vm = with_snapshots(&program.vms(), &["cold", "later"]);
    program.run("clone_of_a_snapshot_takes_none", &[&vm.vmx, &program.vms()]);
    let vmsd = fs::read_to_string(vm.file("base.vmsd")).unwrap();
    assert!(vmsd.contains("snapshot0.clone0"), "{vmsd}");
}

#[test]
fn chain_may_be_300_deep() {
    let program = program();
    let vm = base(&program.vms());
    program.run("depth_grows_by_one", &[&vm.vmx, &program.vms(), &"300"]);
    let info = open(&vm.vmx).info().unwrap();
    assert_eq!((info.snapshots, info.disks[0].depth), (300, 301));
    let last = program.vms().join("deep300/deep.vmx");
    assert_eq!(open(&last).info().unwrap().disks[0].depth, 301);
    let full = disk_of(&program.vms().join("full/full.vmx"));
    assert!(same_content(&full, &vm.file("base.vmdk")));
}

#[test]
fn parent_is_never_written_to() {
    let program = program();
    let vm = with_snapshots(&program.vms(), &["cold"]);
    let clone = program.vms().join("new/new.vmx");
    let disks = |tree: &mut replix_testkit::Tree| {
        tree.retain(|path, _| path.extension().is_some_and(|end| end == "vmdk"));
    };
    let mut before = tree_of(&vm.dir);
    disks(&mut before);
    program.run("clone", &[&vm.vmx, &clone, &"linked", &"cold"]);
    program.run("is_a_vm_as_any_other", &[&clone, &program.vms()]);
    let mut after = tree_of(&vm.dir);
    disks(&mut after);
    assert_eq!(before, after);
}

#[test]
fn full_clone_shares_nothing() {
    let program = program();
    let vm = with_snapshots(&program.vms(), &["cold"]);
    let full = clone(&program, &vm.vmx, "full", "full");
    let disk = disk_of(&full.vmx);
    assert_eq!(disk.parent(), Some(full.dir.as_path()));
    let told = qemu_img(["info".as_ref(), disk.as_os_str()]);
    assert!(!told.contains("backing file"), "{told}");
    let bytes = fs::read(&disk).unwrap();
    let descriptor = String::from_utf8_lossy(&bytes);
    assert!(descriptor.contains("parentCID=ffffffff"), "{descriptor}");
    assert!(!full.config().contains(vm.dir.to_str().unwrap()));

    let copy = program.vms().join("copy.vmdk");
    qemu_img([
        "convert".as_ref(),
        "-O".as_ref(),
        "vmdk".as_ref(),
        disk_of(&vm.vmx).as_os_str(),
        copy.as_os_str(),
    ]);
    fs::remove_dir_all(&vm.dir).unwrap();
    assert!(same_content(&disk, &copy));
    program.run("is_a_vm_as_any_other", &[&full.vmx, &program.vms()]);
}

#[test]
fn clones_are_vms_as_any_other() {
    for kind in ["full", "linked"] {
        let program = program();
        let vm = base(&program.vms());
        set(&vm, "ethernet0.present", "TRUE");
        set(&vm, "ethernet0.addressType", "generated");
        let first = clone(&program, &vm.vmx, kind, "first");
        let again = clone(&program, &first.vmx, "linked", "again");
        assert!(same_content(&disk_of(&again.vmx), &disk_of(&vm.vmx)));
        let identities: Vec<_> = [&vm, &first, &again]
            .map(|vm| open(&vm.vmx).info().unwrap())
            .map(|info| (info.uuid_bios, info.nics[0].mac.clone()))
            .into();
        assert!(identities[0].0 != identities[1].0 && identities[1].0 != identities[2].0);
        assert!(identities[0].1 != identities[1].1 && identities[1].1 != identities[2].1);
        program.run("is_a_vm_as_any_other", &[&again.vmx, &program.vms()]);
        assert!(!again.dir.exists());
        program.run("is_a_vm_as_any_other", &[&first.vmx, &program.vms()]);
        assert!(!first.dir.exists());
        assert!(open(&vm.vmx).info().unwrap().clones.is_empty());
    }
}

#[test]
fn clone_without_its_parent_is_of_no_use() {
    let program = program();
    let vm = base(&program.vms());
    let linked = clone(&program, &vm.vmx, "linked", "web");
    let hidden = program.user.path("hidden");
    fs::rename(&vm.dir, &hidden).unwrap();
    let before = tree_of(&program.vms());
    let folder = program.vms();
    program.run(
        "clone_without_its_parent_is_of_no_use",
        &[&linked.vmx, &folder, &"base.vmdk"],
    );
    assert_eq!(before, tree_of(&program.vms()));
    fs::rename(&hidden, &vm.dir).unwrap();
    program.run("is_a_vm_as_any_other", &[&linked.vmx, &folder]);
}

/// Asserts that a clone fails with a code, and that nothing is left of it.
fn fails(program: &Program, test: &str, vm: &TestVm, clone: &Path, code: &str, words: &str) {
    let before = tree_of(&program.vms());
    for kind in ["full", "linked"] {
        program.run(test, &[&vm.vmx, &clone, &kind, &code, &words]);
        assert_eq!(before, tree_of(&program.vms()), "{kind}");
    }
}

#[test]
fn clone_that_cannot_be_put_anywhere_leaves_nothing() {
    let program = program();
    let vm = base(&program.vms());
    fs::write(program.vms().join("file"), "in the way").unwrap();
    let below_a_file = program.vms().join("file/new/new.vmx");
    fails(&program, "clone_fails", &vm, &below_a_file, "22", "file");
    let long = program.vms().join("n".repeat(251)).with_extension("vmx");
    fails(&program, "clone_fails", &vm, &long, "22", "too long");
}

#[test]
fn clone_into_a_closed_folder_leaves_nothing() {
    let program = program();
    let vm = base(&program.vms());
    let closed = program.vms().join("closed");
    fs::create_dir(&closed).unwrap();
    let opened = Command::new("chmod")
        .args(["-R", "a+rwX"])
        .arg(program.user.path(""))
        .status();
    assert!(opened.unwrap().success());
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let clone = closed.join("new/new.vmx");
    fails(
        &program,
        "clone_fails_for_a_plain_user",
        &vm,
        &clone,
        "13",
        "closed",
    );
}

#[test]
fn clone_onto_a_full_file_system_leaves_nothing() {
    let program = program();
    let vm = base(&program.vms());
    let small = program.vms().join("small");
    fs::create_dir(&small).unwrap();
    let before = tree_of(&program.vms());
    for kind in ["full", "linked"] {
        // The rest of the command keeps its place: a test of ours, with its arguments.
        let clone = small.join("new/new.vmx");
        let inner = program.command("clone_fails", &[&vm.vmx, &clone, &kind, &"8", &"small"]);
        let script = r#"mount -t tmpfs -o size=512k tmpfs "$1" || exit 77
            folder=$1; shift; "$@" || exit; test -z "$(ls -A "$folder")""#;
        let mut outer = Command::new("unshare");
        outer.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
        outer
            .arg(&small)
            .arg(inner.get_program())
            .args(inner.get_args());
        let output = program.user.surround(&mut outer).output().unwrap();
        if output.status.code() == Some(77) {
            skip("this user may not mount in a namespace of their own");
            return;
        }
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{kind}: {}: {said}", output.status);
        assert_eq!(before, tree_of(&program.vms()), "{kind}");
    }
}

#[test]
fn clone_that_fails_midway_leaves_nothing() {
    for kind in ["full", "linked"] {
        let mut failures = 0;
        for limit in [
            "512", "2048", "16384", "65536", "100000", "500000", "5000000",
        ] {
            let program = program();
            let vm = base(&program.vms());
            let before = tree_of(&program.vms());
            let said = program.run(
                "clone_with_small_files",
                &[&vm.vmx, &program.vms(), &kind, &limit],
            );
            if said.contains("failed") {
                failures += 1;
                assert_eq!(before, tree_of(&program.vms()), "{kind} {limit}");
            }
        }
        assert!(failures > 1, "{kind}: {failures}");
    }
}

#[test]
fn reference_is_recorded_before_data_is_visible() {
    let program = program();
    let vm = VmBuilder::new(&program.vms(), "base")
        .disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL)
        .disk(DiskType::MonolithicSparse, Content::Random(2), 64 << 20)
        .line("scsi0:1.mode", "independent-persistent")
        .build();
    let folder = program.vms();
    let mut dies = program.command("process_dies_while_cloning", &[&vm.vmx, &folder]);
    assert_eq!(dies.status().unwrap().signal(), Some(9));
    let clone = folder.join("new/new.vmx");
    let listed = open(&vm.vmx).info().unwrap().clones;
    assert_eq!(listed, [clone.to_str().unwrap()]);
    assert!(!clone.exists());

    program.run("clone", &[&vm.vmx, &clone, &"linked", &"-"]);
    assert!(same_content(&disk_of(&clone), &disk_of(&vm.vmx)));
}
