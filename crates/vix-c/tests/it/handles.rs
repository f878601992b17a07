//! Handles that are stale, of another type, or none; texts and places for answers that are missing
//! or malformed; all under valgrind.

use replix_testkit::tree_of;

use crate::fixtures::with_snapshots;
use crate::program::Program;

/// Runs a test of a file of C tests on a new VM, which it does not change.
fn run(file: &str, test: &str) {
    let program = Program::new(file);
    let vm = with_snapshots(&program.vms(), &["cold"]);
    let before = tree_of(&program.vms());
    program.watch(test, &[&vm.vmx]);
    assert_eq!(before, tree_of(&program.vms()));
}

#[test]
fn handles_have_types() {
    run("handles", "handles_have_types");
}

#[test]
fn references_are_counted() {
    run("handles", "references_are_counted");
}

#[test]
fn objects_keep_what_they_need() {
    run("handles", "objects_keep_what_they_need");
}

#[test]
fn stale_handles_are_told() {
    run("handles", "stale_handles_are_told");
}

#[test]
fn handles_of_other_types_are_told() {
    run("handles", "handles_of_other_types_are_told");
}

#[test]
fn recording_is_history() {
    run("handles", "recording_is_history");
}

#[test]
fn disconnected_host_is_gone() {
    run("handles", "disconnected_host_is_gone");
}

#[test]
fn connection_takes_what_clients_pass() {
    run("texts", "connection_takes_what_clients_pass");
}

#[test]
fn connection_refuses_the_rest() {
    run("texts", "connection_refuses_the_rest");
}

#[test]
fn path_must_be_a_vms() {
    run("texts", "path_must_be_a_vms");
}

#[test]
fn required_texts_are_given() {
    run("texts", "required_texts_are_given");
}

#[test]
fn optional_texts_are_utf8() {
    run("texts", "optional_texts_are_utf8");
}

#[test]
fn answers_need_a_place() {
    run("texts", "answers_need_a_place");
}

#[test]
fn errors_have_texts() {
    run("texts", "errors_have_texts");
}
