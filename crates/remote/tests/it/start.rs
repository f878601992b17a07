//! The service is started by those who need it, once.

use std::path::Path;
use std::process::{Command, Stdio};

use replix_testkit::VmBuilder;

use crate::service::{home, program, surround};

/// The program of the examples, which cargo builds with the tests.
fn client(root: &Path, program: &Path) -> Command {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().and_then(Path::parent).unwrap();
    let mut command = Command::new(built.join("examples/vms"));
    surround(&mut command, root)
        .env("REPLIX_PROGRAM", program)
        .stdout(Stdio::piped());
    command
}

#[test]
fn clients_start_one_service_together() {
    let Some(program) = program() else { return };
    let root = home();
    let vm = VmBuilder::new(&root.path().join("vms"), "base").build();
    let clients: Vec<_> = (0..8)
        .map(|_| client(root.path(), &program).spawn().unwrap())
        .collect();
    for client in clients {
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success());
    }
    let file = std::fs::read(root.path().join("run/service.json")).unwrap();
    let file: replix_remote::wire::ServiceFile = serde_json::from_slice(&file).unwrap();
    let host = replix_remote::connect_by(root.path().join("run/service.json")).unwrap();
    host.register(&vm.vmx).unwrap();
    let output = client(root.path(), &program).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains(&format!("registered {}", vm.vmx.display())),
        "{said}"
    );
    // The one whose file it is is the only one: it ends, and none is left.
    let killed = Command::new("kill").arg(file.pid.to_string()).status();
    assert!(killed.unwrap().success());
    crate::service::eventually("the service has ended", || {
        !root.path().join("run/service.json").exists()
    });
}
