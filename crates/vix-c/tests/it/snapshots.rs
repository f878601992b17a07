//! The tree of a VM's snapshots, their names, and what is done with them.

use crate::fixtures::{base, named};
use crate::program::Program;

/// Runs a test on a new VM, under valgrind.
fn run(test: &str) {
    let program = Program::new("snapshots");
    let vm = base(&program.vms());
    program.watch(test, &[&vm.vmx, &program.vms()]);
}

#[test]
fn vm_without_snapshots() {
    run("vm_without_snapshots");
}

#[test]
fn tree_is_walked() {
    run("tree_is_walked");
}

#[test]
fn name_may_fit_several() {
    run("name_may_fit_several");
}

#[test]
fn names_are_any_text() {
    run("names_are_any_text");
}

#[test]
fn removed_snapshot_is_gone() {
    run("removed_snapshot_is_gone");
}

#[test]
fn snapshot_of_another_vm() {
    let program = Program::new("snapshots");
    let (vm, other) = (base(&program.vms()), named(&program.vms(), "other"));
    program.run("snapshot_of_another_vm", &[&vm.vmx, &other.vmx]);
}

#[test]
fn revert_takes_known_options() {
    run("revert_takes_known_options");
}

#[test]
fn player_has_no_snapshots() {
    run("player_has_no_snapshots");
}
