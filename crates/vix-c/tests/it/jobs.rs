//! Waiting for jobs, asking them, being called by them; finding VMs; the event pump.

use replix_testkit::{same_content, tree_of};

use crate::fixtures::{base, named};
use crate::program::Program;

/// Runs a test of `jobs.c` on a new VM, under valgrind.
fn run(test: &str) {
    let program = Program::new("jobs");
    let vm = base(&program.vms());
    program.watch(test, &[&vm.vmx, &program.vms(), &vm.dir]);
}

/// Runs a test of `find_and_pump.c` on two VMs, under valgrind.
fn find(test: &str) {
    let program = Program::new("find_and_pump");
    let (vm, other) = (base(&program.vms()), named(&program.vms(), "other"));
    program.watch(test, &[&vm.vmx, &other.vmx]);
}

#[test]
fn job_is_unfinished_until_its_end() {
    run("job_is_unfinished_until_its_end");
}

#[test]
fn wait_may_be_called_again() {
    run("wait_may_be_called_again");
}

#[test]
fn failed_job_says_so_every_time() {
    run("failed_job_says_so_every_time");
}

#[test]
fn wait_tells_what_it_cannot_read() {
    run("wait_tells_what_it_cannot_read");
}

#[test]
fn completion_comes_once_and_last() {
    run("completion_comes_once_and_last");
}

#[test]
fn completion_tells_of_a_failure() {
    run("completion_tells_of_a_failure");
}

#[test]
fn either_may_be_missing() {
    run("either_may_be_missing");
}

#[test]
fn procedure_may_call_everything() {
    run("procedure_may_call_everything");
}

#[test]
fn job_may_be_released_at_once() {
    run("job_may_be_released_at_once");
}

#[test]
fn procedures_may_wait_for_each_others_jobs() {
    run("procedures_may_wait_for_each_others_jobs");
}

#[test]
fn process_that_ends_lets_its_jobs_end() {
    let program = Program::new("jobs");
    let vm = base(&program.vms());
    program.run("process_ends_with_a_job", &[&vm.vmx, &program.vms()]);
    let copy = program.vms().join("new/base-cl1.vmdk");
    assert!(same_content(&copy, &vm.file("base.vmdk")));
}

#[test]
fn process_that_ends_leaves_nothing_half_done() {
    let program = Program::new("jobs");
    let vm = base(&program.vms());
    let before = tree_of(&program.vms());
    let folder = program.vms();
    program.run(
        "process_ends_with_a_job_that_waits",
        &[&vm.vmx, &folder, &vm.dir],
    );
    assert_eq!(before, tree_of(&program.vms()));
}

#[test]
fn items_are_told_before_the_end() {
    find("items_are_told_before_the_end");
}

#[test]
fn nothing_found_is_no_error() {
    find("nothing_found_is_no_error");
}

#[test]
fn running_vm_is_found() {
    let program = Program::new("find_and_pump");
    let vm = base(&program.vms());
    program.run("running_vm_is_found", &[&vm.vmx]);
}

#[test]
fn inventory_takes_what_is_there() {
    let program = Program::new("find_and_pump");
    let vm = base(&program.vms());
    let none = program.vms().join("none.vmx");
    program.watch("inventory_takes_what_is_there", &[&vm.vmx, &none]);
}

#[test]
fn pump_does_all_work() {
    let program = Program::new("find_and_pump");
    let vm = base(&program.vms());
    program.watch("pump_does_all_work", &[&vm.vmx, &program.vms()]);
}

#[test]
fn wait_pumps_by_itself() {
    find("wait_pumps_by_itself");
}

#[test]
fn disconnect_pumps_what_is_left() {
    find("disconnect_pumps_what_is_left");
}
