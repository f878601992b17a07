//! What is done in a guest, in the name of its users.

use replix_testkit::{DiskType, VmBuilder, guest_file, skip};

use crate::program::Program;

/// One guest, booted once, answers all of it.
#[test]
fn operations_in_a_guest_that_answers() {
    let Some(image) = guest_file("guest.vmdk") else {
        skip("no test guests ($REPLIX_TEST_GUEST; cargo xtask guest)");
        return;
    };
    let program = Program::new("guest");
    let vm = VmBuilder::new(&program.vms(), "base")
        .disk_from("scsi0:0", DiskType::MonolithicSparse, &image, "vmdk")
        .line("memsize", "128")
        .build();
    let folder = program.user.path("home");
    program.run("guest_operations", &[&vm.vmx, &folder]);
}
