//! `VixVM_Clone` returns at once, however long the clone takes.

use replix_testkit::{Content, DiskType, TestVm, VmBuilder, qemu_img};

use crate::fixtures::base;
use crate::program::Program;

fn returns_while_the_clone_runs(program: &Program, vm: &TestVm) {
    let said = program.run(
        "call_returns_while_the_clone_runs",
        &[&vm.vmx, &program.vms()],
    );
    println!("{said}");
}

#[test]
fn call_returns_while_a_gibibyte_is_copied() {
    let program = Program::new("clone_time");
    let vm = VmBuilder::new(&program.vms(), "base")
        .disk(DiskType::MonolithicSparse, Content::Random(1), 1 << 30)
        .build();
    returns_while_the_clone_runs(&program, &vm);
}

#[test]
fn call_returns_while_a_tebibyte_is_copied() {
    let program = Program::new("clone_time");
    let raw = program.user.path("content.raw");
    Content::Mixed(1).write_raw(&raw, 64 << 20);
    qemu_img(["resize", "-f", "raw", raw.to_str().unwrap(), "1T"]);
    let vm = VmBuilder::new(&program.vms(), "base")
        .disk_from("scsi0:0", DiskType::MonolithicSparse, &raw, "raw")
        .build();
    returns_while_the_clone_runs(&program, &vm);
}

#[test]
fn call_returns_before_anything_is_read() {
    let program = Program::new("clone_time");
    let vm = base(&program.vms());
    let folder = program.vms();
    program.run(
        "call_returns_before_anything_is_read",
        &[&vm.vmx, &folder, &vm.dir],
    );
}
