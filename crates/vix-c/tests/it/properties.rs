//! The properties of every kind of handle, and the lists that clients make of them; all under
//! valgrind.

use crate::fixtures::with_snapshots;
use crate::program::Program;

/// Runs a test of a file of C tests on a new VM.
fn run(file: &str, test: &str) {
    let program = Program::new(file);
    let vm = with_snapshots(&program.vms(), &["cold"]);
    program.watch(test, &[&vm.vmx]);
}

#[test]
fn host_has_its_properties() {
    run("properties", "host_has_its_properties");
}

#[test]
fn vm_has_its_properties() {
    run("properties", "vm_has_its_properties");
}

#[test]
fn snapshot_has_its_properties() {
    run("properties", "snapshot_has_its_properties");
}

#[test]
fn job_has_its_properties() {
    run("properties", "job_has_its_properties");
}

#[test]
fn bool_is_one_byte() {
    run("properties", "bool_is_one_byte");
}

#[test]
fn texts_belong_to_the_client() {
    run("properties", "texts_belong_to_the_client");
}

#[test]
fn properties_are_read_all_or_none() {
    run("properties", "properties_are_read_all_or_none");
}

#[test]
fn vm_is_seen_as_it_is_now() {
    run("properties", "vm_is_seen_as_it_is_now");
}

#[test]
fn list_holds_what_was_put_in() {
    run("property_lists", "list_holds_what_was_put_in");
}

#[test]
fn list_knows_its_own_alone() {
    run("property_lists", "list_knows_its_own_alone");
}

#[test]
fn senseless_list_is_refused() {
    run("property_lists", "senseless_list_is_refused");
}

#[test]
fn password_is_for_opening() {
    run("property_lists", "password_is_for_opening");
}
