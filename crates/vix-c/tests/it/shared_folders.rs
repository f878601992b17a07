//! Folders of the host that a guest is to see, of a VM that is off; under valgrind.

use crate::fixtures::base;
use crate::program::Program;

fn run(test: &str) {
    let program = Program::new("shared_folders");
    let vm = base(&program.vms());
    let folder = |name: &str| {
        let folder = program.vms().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    program.watch(test, &[&vm.vmx, &folder("one"), &folder("two")]);
}

#[test]
fn folders_are_added_changed_and_removed() {
    run("folders_are_added_changed_and_removed");
}

#[test]
fn wrong_folders_are_refused() {
    run("wrong_folders_are_refused");
}
