//! The service is started by those who need it, once.

use std::path::Path;
use std::process::{Command, Stdio};

use replix_remote::wire::ServiceFile;
use replix_testkit::VmBuilder;

use crate::service::{eventually, home, program, surround};

/// Set for a process that is a client.
const CLIENT: &str = "REPLIX_TEST_CLIENT";

/// What a client does: it connects, and lists what is registered.
fn be_client() {
    for vm in replix_remote::connect().unwrap().registered().unwrap() {
        println!("registered {}", vm.path().display());
    }
}

fn command(root: &Path, program: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = "start::clients_start_one_service_together";
    command.args(["--exact", test, "--nocapture"]);
    surround(&mut command, root)
        .env(CLIENT, "1")
        .env("REPLIX_PROGRAM", program)
        .stdout(Stdio::piped());
    command
}

#[test]
fn clients_start_one_service_together() {
    // The test runs itself again, as each of its clients.
    if std::env::var_os(CLIENT).is_some() {
        return be_client();
    }
    let Some(program) = program() else { return };
    let root = home();
    let vm = VmBuilder::new(&root.path().join("vms"), "base").build();
    let clients: Vec<_> = (0..8)
        .map(|_| command(root.path(), &program).spawn().unwrap())
        .collect();
    for client in clients {
        assert!(client.wait_with_output().unwrap().status.success());
    }
    let place = root.path().join("run/service.json");
    let host = replix_remote::connect_by(place.clone()).unwrap();
    host.register(&vm.vmx).unwrap();
    let output = command(root.path(), &program).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let wanted = format!("registered {}", vm.vmx.display());
    assert!(said.contains(&wanted), "{said}");
    // The one that wrote the file is the only one: when it ends, none is left.
    let file: ServiceFile = serde_json::from_slice(&std::fs::read(&place).unwrap()).unwrap();
    let killed = Command::new("kill").arg(file.pid.to_string()).status();
    assert!(killed.unwrap().success());
    eventually("the service has ended", || !place.exists());
}
