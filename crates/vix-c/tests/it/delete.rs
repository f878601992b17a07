//! The end of VMs and of snapshots, and who must not end before whom.

use std::fs;
use std::path::PathBuf;

use replix_testkit::{TestVm, tree_of};

use crate::fixtures::*;
use crate::program::Program;

/// A program, a VM with the snapshots `cold` and `later`, and a linked clone of `cold`.
struct Stage {
    program: Program,
    vm: TestVm,
    clone: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let program = Program::new("delete");
        let vm = with_snapshots(&program.vms(), &["cold", "later"]);
        let clone = program.vms().join("web/web.vmx");
        link(&vm, "cold", &clone);
        Self { program, vm, clone }
    }

    fn parent_is_busy(&self, words: &str) {
        let before = tree_of(&self.program.vms());
        self.program.run("parent_is_busy", &[&self.vm.vmx, &words]);
        assert_eq!(before, tree_of(&self.program.vms()));
    }

    fn vmsd(&self) -> String {
        fs::read_to_string(self.vm.file("base.vmsd")).unwrap()
    }
}

#[test]
fn parent_of_living_clones_is_busy() {
    let stage = Stage::new();
    stage.parent_is_busy(stage.clone.to_str().unwrap());
}

#[test]
fn clone_out_of_sight_counts_as_living() {
    let stage = Stage::new();
    for unreachable in [
        "D:\\\\VMs\\\\web\\\\web.vmx",
        "/mnt/no-such-host/web/web.vmx",
    ] {
        let shown = unreachable.rsplit(['/', '\\']).next().unwrap();
        change(&stage.vm.file("base.vmsd"), |text| {
            let line = text
                .lines()
                .find(|line| line.starts_with("snapshot0.clone0"))
                .unwrap();
            text.replace(line, &format!("snapshot0.clone0 = \"{unreachable}\""))
        });
        stage.parent_is_busy(shown);
    }
}

#[test]
fn parent_of_dead_clones_goes() {
    let stage = Stage::new();
    fs::remove_dir_all(stage.clone.parent().unwrap()).unwrap();
    stage.program.run("delete", &[&stage.vm.vmx]);
    assert!(!stage.vm.dir.exists());
}

#[test]
fn parent_goes_where_the_settings_allow_it() {
    let stage = Stage::new();
    let settings = stage.program.user.path("settings");
    let before = tree_of(stage.clone.parent().unwrap());
    fs::write(&settings, "delete.parents = \"refuse\"\n").unwrap();
    let mut refused = stage
        .program
        .command("parent_is_busy", &[&stage.vm.vmx, &"web.vmx"]);
    assert!(
        refused
            .env("REPLIX_SETTINGS", &settings)
            .status()
            .unwrap()
            .success()
    );
    fs::write(&settings, "delete.parents = \"allow\"\n").unwrap();
    let mut allowed = stage.program.command("delete", &[&stage.vm.vmx]);
    assert!(
        allowed
            .env("REPLIX_SETTINGS", &settings)
            .status()
            .unwrap()
            .success()
    );
    assert!(!stage.vm.dir.exists());

    assert_eq!(before, tree_of(stage.clone.parent().unwrap()));
    let orphan = Program::new("clone_linked");
    let args: [&dyn AsRef<std::ffi::OsStr>; 3] = [&stage.clone, &orphan.vms(), &"base.vmdk"];
    orphan.run("clone_without_its_parent_is_of_no_use", &args);
}

#[test]
fn clone_leaves_what_it_shared() {
    let stage = Stage::new();
    assert!(stage.vmsd().contains("snapshot0.clone0"));
    let before = tree_of(&stage.vm.dir);
    stage.program.run("delete", &[&stage.clone]);
    assert!(!stage.clone.parent().unwrap().exists());
    let vmsd = stage.vmsd();
    assert!(
        !vmsd.contains(".clone0") && !vmsd.contains("web.vmx"),
        "{vmsd}"
    );
    let mut after = tree_of(&stage.vm.dir);
    let bookkeeping = PathBuf::from("base.vmsd");
    after.insert(bookkeeping.clone(), before[&bookkeeping].clone());
    assert_eq!(before, after);
    stage.program.run("delete", &[&stage.vm.vmx]);
    assert!(!stage.vm.dir.exists());
}

#[test]
fn parent_out_of_reach_is_a_warning() {
    let stage = Stage::new();
    let hidden = stage.program.user.path("hidden");
    fs::rename(&stage.vm.dir, &hidden).unwrap();
    stage.program.run("delete", &[&stage.clone, &"base.vmx"]);
    assert!(!stage.clone.exists());
}

#[test]
fn snapshot_with_clones_is_locked() {
    for template in [false, true] {
        let stage = Stage::new();
        if template {
            set(&stage.vm, "templateVM", "TRUE");
        }
        let before = tree_of(&stage.program.vms());
        let args: [&dyn AsRef<std::ffi::OsStr>; 2] = [&stage.vm.vmx, &"web.vmx"];
        stage.program.run("snapshot_with_clones_is_locked", &args);
        assert_eq!(before, tree_of(&stage.program.vms()));
    }
}

#[test]
fn snapshot_without_clones_goes() {
    let stage = Stage::new();
    let args: [&dyn AsRef<std::ffi::OsStr>; 2] = [&stage.vm.vmx, &stage.clone];
    stage.program.run("snapshot_without_clones_goes", &args);
    assert!(!stage.clone.exists());
}

#[test]
fn template_starts_with_a_warning() {
    let program = Program::new("delete");
    let vm = base(&program.vms());
    set(&vm, "templateVM", "TRUE");
    program.run("template_starts_with_a_warning", &[&vm.vmx]);
}

#[test]
fn running_vm_stays() {
    let program = Program::new("delete");
    let vm = base(&program.vms());
    program.run("running_vm_stays", &[&vm.vmx]);
    assert!(vm.vmx.exists() && vm.file("base.vmdk").exists());
}

#[test]
fn vm_without_files_is_stopped() {
    let program = Program::new("delete");
    let vm = base(&program.vms());
    program.run("vm_without_files_is_stopped", &[&vm.vmx, &vm.dir]);
    assert!(!vm.dir.exists());
}

#[test]
fn suspended_vm_goes() {
    let program = Program::new("delete");
    let vm = base(&program.vms());
    suspend(&vm);
    program.run("delete", &[&vm.vmx]);
    assert!(!vm.dir.exists());
}

#[test]
fn disks_and_files_of_others_stay() {
    let program = Program::new("delete");
    let vm = with_snapshots(&program.vms(), &["cold"]);
    fs::write(vm.file("notes.txt"), "the user's own").unwrap();
    program.run("disks_stay_without_the_option", &[&vm.vmx]);
    let left: Vec<_> = tree_of(&vm.dir).into_keys().collect();
    let left: Vec<_> = left.iter().filter_map(|path| path.to_str()).collect();
    assert_eq!(left, ["base-000001.vmdk", "base.vmdk", "notes.txt"]);
}

#[test]
fn file_of_the_users_keeps_its_folder() {
    let program = Program::new("delete");
    let vm = with_snapshots(&program.vms(), &["cold"]);
    fs::write(vm.file("notes.txt"), "the user's own").unwrap();
    program.run("delete", &[&vm.vmx]);
    let left: Vec<_> = tree_of(&vm.dir).into_keys().collect();
    assert_eq!(left, [PathBuf::from("notes.txt")]);
}
