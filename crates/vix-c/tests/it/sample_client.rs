//! A client in C in the manner of those that people wrote, compiled by a C and by a C++ compiler, run
//! on a VM, and watched by valgrind.

use std::path::Path;
use std::process::{Command, Output};

use replix::snapshot::NewSnapshot;
use replix::vm::Settings;
use replix::{Host, Vm};
use replix_testkit::{
    CProgram, Compiler, Content, DiskType, User, VixLibrary, VmBuilder, valgrind,
};

use crate::user::{assert_done, clients};

/// A VM with two snapshots, `first` and `second`; its disk holds no system, its firmware runs.
fn base(library: &Path) -> Vm {
    let vm = VmBuilder::new(library, "base")
        .disk(DiskType::MonolithicSparse, Content::Mixed(1), 5 << 20)
        .build();
    let vm = Host::local_with(Settings::default()).open(&vm.vmx).unwrap();
    for name in ["first", "second"] {
        let new = NewSnapshot {
            name: name.into(),
            ..NewSnapshot::default()
        };
        vm.create_snapshot(new).wait().unwrap();
    }
    vm
}

fn run(compiler: Compiler, output: impl FnOnce(&mut Command) -> Output) {
    let source = clients().join("sample_client.c");
    let program = CProgram::compile(&source, compiler, &VixLibrary::find());
    let user = User::new();
    let vm = base(&user.vms());
    let mut command = program.command();
    user.surround(&mut command).arg(vm.path()).arg(user.vms());
    assert_done(&output(&mut command));
}

#[test]
fn sample_client_in_c_works() {
    run(Compiler::C89, |client| client.output().unwrap());
}

#[test]
fn sample_client_in_cxx_works() {
    run(Compiler::Cxx, |client| client.output().unwrap());
}

#[test]
fn sample_client_leaves_memory_sound() {
    run(Compiler::C89, |client| valgrind(client));
}
