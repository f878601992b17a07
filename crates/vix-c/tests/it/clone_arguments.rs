//! What `VixVM_Clone` takes, and what it answers to everything else: nothing changes then.

use std::ffi::OsStr;
use std::path::PathBuf;

use replix_testkit::{TestVm, tree_of};

use crate::fixtures::{named, take, with_snapshots};
use crate::program::Program;

/// A program, and a VM `base` with the snapshot `cold`.
struct Stage {
    program: Program,
    vm: TestVm,
    folder: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let program = Program::new("clone_arguments");
        let vm = with_snapshots(&program.vms(), &["cold"]);
        let folder = program.vms();
        Self {
            program,
            vm,
            folder,
        }
    }

    /// Runs a test that only fails to clone, under valgrind; nothing changes.
    fn refuses(&self, test: &str, more: &[&dyn AsRef<OsStr>]) {
        let before = tree_of(&self.folder);
        let mut args: Vec<&dyn AsRef<OsStr>> = vec![&self.vm.vmx, &self.folder];
        args.extend(more);
        self.program.watch(test, &args);
        assert_eq!(before, tree_of(&self.folder));
    }

    /// Runs a test that clones.
    fn clones(&self, test: &str) {
        self.program.run(test, &[&self.vm.vmx, &self.folder]);
    }
}

#[test]
fn destination_must_be_absolute() {
    Stage::new().refuses("destination_must_be_absolute", &[]);
}

#[test]
fn destination_must_be_given() {
    Stage::new().refuses("destination_must_be_given", &[]);
}

#[test]
fn destination_must_end_in_vmx() {
    Stage::new().refuses("destination_must_end_in_vmx", &[]);
}

#[test]
fn destination_must_not_exist() {
    let stage = Stage::new();
    let there = stage.folder.join("there.vmx");
    std::fs::write(&there, "").unwrap();
    stage.refuses("destination_must_not_exist", &[&there]);
}

#[test]
fn missing_folders_are_made() {
    Stage::new().clones("missing_folders_are_made");
}

#[test]
fn doubled_separators_count_as_one() {
    Stage::new().clones("doubled_separators_count_as_one");
}

#[test]
fn type_must_be_full_or_linked() {
    Stage::new().refuses("type_must_be_full_or_linked", &[]);
}

#[test]
fn options_must_be_none() {
    Stage::new().refuses("options_must_be_none", &[]);
}

#[test]
fn property_list_must_be_null() {
    Stage::new().refuses("property_list_must_be_null", &[]);
}

#[test]
fn snapshot_must_be_the_vms_own() {
    let stage = Stage::new();
    let other = named(&stage.folder, "other");
    take(&other, "cold");
    stage.refuses("snapshot_must_be_the_vms_own", &[&other.vmx]);
}

#[test]
fn handles_must_be_of_their_type() {
    Stage::new().refuses("handles_must_be_of_their_type", &[]);
}

#[test]
fn destination_must_be_utf8() {
    Stage::new().refuses("destination_must_be_utf8", &[]);
}

#[test]
fn destination_may_be_any_text() {
    Stage::new().clones("destination_may_be_any_text");
}

#[test]
fn player_clones_nothing() {
    Stage::new().refuses("player_clones_nothing", &[]);
}

#[test]
fn server_is_not_there() {
    Stage::new().refuses("server_is_not_there", &[]);
}

#[test]
fn default_provider_clones() {
    Stage::new().clones("default_provider_clones");
}
