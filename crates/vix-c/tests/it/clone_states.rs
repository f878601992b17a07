//! What may be cloned: the whole table of states, types and snapshots.

use std::ffi::OsStr;
use std::path::Path;

use replix_testkit::{Content, DiskType, TestVm, Tree, VmBuilder, qemu_io, same_content, tree_of};

use crate::fixtures::*;
use crate::program::Program;

/// A program, and a VM in a state of the table.
struct Stage {
    program: Program,
    vm: TestVm,
    state: &'static str,
}

impl Stage {
    /// A VM with the snapshots `cold` and `live`.
    fn new(state: &'static str) -> Self {
        let program = Program::new("clone_states");
        let vm = with_memory_snapshot(&program.vms());
        Self { program, vm, state }
    }

    /// A VM with the snapshots `cold` and `later`.
    fn unfit(state: &'static str) -> Self {
        let program = Program::new("clone_states");
        let vm = with_snapshots(&program.vms(), &["cold", "later"]);
        Self { program, vm, state }
    }

    fn run(&self, test: &str) -> String {
        self.program.run(test, &[&self.vm.vmx, &self.program.vms()])
    }

    /// Tries what is to fail in this state; all that is said holds `words`; nothing changes.
    fn refuses(&self, words: &[&str]) {
        let before = self.tree();
        let folder = self.program.vms();
        let mut args: Vec<&dyn AsRef<OsStr>> = vec![&self.vm.vmx, &folder, &self.state];
        args.extend(words.iter().map(|word| word as &dyn AsRef<OsStr>));
        let said = self.program.run("refused", &args);
        println!("{said}");
        assert_eq!(before, self.tree());
    }

    /// Makes what works in this state.
    fn works(&self) {
        let folder = self.program.vms();
        self.program
            .run("works", &[&self.vm.vmx, &folder, &self.state]);
    }

    /// Everything but the diary of a running VM.
    fn tree(&self) -> Tree {
        let mut tree = tree_of(&self.program.vms());
        tree.retain(|path, _| !path.ends_with("vmware.log"));
        tree
    }
}

#[test]
fn vm_that_is_off() {
    let stage = Stage::new("off");
    stage.refuses(&[]);
    stage.works();
}

#[test]
fn suspended_vm_is_cloned_in_full() {
    let stage = Stage::new("suspended");
    suspend(&stage.vm);
    let before = tree_of(&stage.vm.dir);
    stage.refuses(&[]);
    stage.works();
    assert_eq!(before, tree_of(&stage.vm.dir), "the source stays as it is");
    for clone in ["suspended-6", "suspended-7"] {
        let clone = stage.program.vms().join(clone);
        let names = tree_of(&clone).into_keys();
        let mut memory = names.filter(|name| name.extension().is_some_and(|end| end == "vmss"));
        assert_eq!(memory.next(), None);
        let config = std::fs::read_to_string(clone.join("clone.vmx")).unwrap();
        assert!(!config.contains(".vmss"), "{config}");
    }
}

#[test]
fn running_vm_is_linked_to_by_its_frozen_disks() {
    let stage = Stage::new("on");
    stage.run("power_on");
    stage.refuses(&[]);
    stage.works();
    stage.run("power_off");
}

#[test]
fn paused_vm_is_as_a_running_one() {
    let stage = Stage::new("paused");
    stage.run("power_on");
    stage.run("pause");
    stage.refuses(&[]);
    stage.works();
    stage.run("power_off");
}

#[test]
fn vm_that_vmware_runs_is_left_alone() {
    let stage = Stage::new("foreign");
    let disk = stage.vm.value("scsi0:0.fileName").unwrap();
    for file in ["base.vmx", &disk] {
        hold(&stage.vm, file, "vmware-vmx");
    }
    stage.refuses(&["vmware-vmx"]);
}

#[test]
fn vm_that_vmware_holds_is_left_alone() {
    let stage = Stage::new("locked");
    hold(&stage.vm, "base.vmx", "vmware");
    stage.refuses(&["vmware"]);
}

#[test]
fn disk_that_was_written_to_is_refused_with_both_ids() {
    let stage = Stage::unfit("touched");
    let base = stage.vm.file("base.vmdk");
    qemu_io(&base, "write -P 3 1M 64k");
    let child = stage.vm.file("base-000001.vmdk");
    let (now, then) = (id_in(&base, "CID"), id_in(&child, "parentCID"));
    assert_ne!(now, then);
    stage.refuses(&["base-000001.vmdk", "base.vmdk\"", &now, &then]);
}

/// The content id `key` in the descriptor of a disk.
fn id_in(disk: &Path, key: &str) -> String {
    let bytes = std::fs::read(disk).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap().trim_start_matches('=').to_owned()
}

#[test]
fn disk_without_its_parent_is_refused() {
    let stage = Stage::unfit("orphaned");
    std::fs::remove_file(stage.vm.file("base.vmdk")).unwrap();
    stage.refuses(&["base-000001.vmdk", "base.vmdk\""]);
}

#[test]
fn disk_in_a_session_is_refused() {
    for mode in ["undoable", "independent-nonpersistent"] {
        let stage = Stage::unfit("undoable");
        set(&stage.vm, "scsi0:0.mode", mode);
        set(&stage.vm, "scsi0:0.redo", "./base.vmdk.REDO_a1");
        stage.refuses(&["scsi0:0", "REDO_a1"]);
    }
}

#[test]
fn device_of_the_host_is_refused() {
    let stage = Stage::unfit("raw");
    set(&stage.vm, "scsi0:0.deviceType", "rawDisk");
    stage.refuses(&["scsi0:0"]);
}

#[test]
fn encrypted_vm_is_refused() {
    let stage = Stage::unfit("encrypted");
    stage.run("encrypted");
}

#[test]
fn clone_holds_the_state_of_its_snapshot() {
    let program = Program::new("clone_linked");
    let vm = with_snapshots(&program.vms(), &["cold", "later"]);
    qemu_io(&vm.file("base-000002.vmdk"), "write -P 7 2M 64k");
    for (kind, snapshot, frozen) in [
        ("full", "cold", "base.vmdk"),
        ("linked", "cold", "base.vmdk"),
        ("full", "later", "base-000001.vmdk"),
        ("full", "-", "base-000002.vmdk"),
        ("linked", "-", "base-000002.vmdk"),
    ] {
        let name = format!("{kind}-{snapshot}");
        let clone = program.vms().join(&name).join("clone.vmx");
        program.run("clone", &[&vm.vmx, &clone, &kind, &snapshot]);
        let disk = open(&clone).info().unwrap().disks[0].path.clone().unwrap();
        assert!(same_content(&disk, &vm.file(frozen)), "{name}");
        let changed = !same_content(&disk, &vm.file("base.vmdk"));
        assert_eq!(changed, snapshot == "-", "{name}");
    }
}

#[test]
fn empty_redo_is_no_session() {
    let program = Program::new("clone_linked");
    let vm = VmBuilder::new(&program.vms(), "base")
        .disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL)
        .line("scsi0:0.redo", "")
        .build();
    let clone = program.vms().join("new/new.vmx");
    program.run("clone", &[&vm.vmx, &clone, &"full", &"-"]);
}
