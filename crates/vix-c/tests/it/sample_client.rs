//! A client in C in the manner of those that people wrote: compiled against our header by a C and
//! by a C++ compiler, linked with the library, run on a VM.

use std::path::{Path, PathBuf};
use std::process::Command;

use replix::snapshot::NewSnapshot;
use replix::vm::Settings;
use replix::{Host, Vm};
use replix_testkit::{Content, DiskType, VmBuilder};

use crate::user::{User, assert_done, built_library, package};

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

/// Compiles the client with `compiler`; every warning is an error.
fn compile(compiler: &[&str], user: &User) -> PathBuf {
    let program = user.path("sample_client");
    let output = Command::new(compiler[0])
        .args(&compiler[1..])
        .args(["-Wall", "-Wextra", "-Werror", "-g", "-pthread", "-I"])
        .arg(package().join("include"))
        .arg("-o")
        .arg(&program)
        .arg(package().join("tests/clients/sample_client.c"))
        .arg(built_library())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler:?}: {said}");
    program
}

fn run(compiler: &[&str]) {
    let user = User::new();
    let program = compile(compiler, &user);
    let vm = base(&user.vms());
    let output = user
        .command(program)
        .arg(vm.path())
        .arg(user.vms())
        .env("LD_LIBRARY_PATH", built_library().parent().unwrap())
        .output();
    assert_done(&output.unwrap());
}

#[test]
fn client_of_c_works() {
    run(&["cc", "-std=gnu99"]);
}

#[test]
fn client_of_cpp_works() {
    run(&["c++"]);
}
