//! Lost connections, and a service that ends: a job is done once, and its client learns of its end.

use std::time::Duration;

use replix::clone::{CloneKind, CloneSpec};
use replix::snapshot::NewSnapshot;
use replix::{Host, Kind};
use replix_testkit::{Content, DiskType, TestVm, VmBuilder, tree_of};

use crate::proxy::Proxy;
use crate::service::{Service, eventually};

fn base(service: &Service, mib: u64) -> TestVm {
    VmBuilder::new(&service.vms(), "base")
        .disk(DiskType::MonolithicSparse, Content::Mixed(3), mib << 20)
        .build()
}

fn behind(proxy: &Proxy) -> Host {
    replix_remote::connect_by(proxy.file()).unwrap()
}

#[test]
fn clone_survives_connections_that_are_cut() {
    let Some(service) = Service::start() else {
        return;
    };
    let vm = base(&service, 600);
    let proxy = Proxy::before(&service.file());
    let spec = CloneSpec::new(CloneKind::Full, service.vms().join("full/full.vmx"));
    let started = behind(&proxy).open(&vm.vmx).unwrap().clone_to(spec);
    eventually("bytes are copied", || {
        started.job().progress().done_bytes > 0
    });
    let mut cuts = 0;
    while !started.wait_for(Duration::from_millis(50)) {
        proxy.cut();
        cuts += 1;
    }
    let clone = started.wait().unwrap();
    assert!(cuts > 0, "the clone was too quick to be disturbed");
    assert_eq!(clone.vm.path(), service.vms().join("full/full.vmx"));
    assert!(clone.report.bytes > 0);
}

#[test]
fn lost_answer_does_nothing_twice() {
    let Some(service) = Service::start() else {
        return;
    };
    let vm = base(&service, 5);
    let proxy = Proxy::before(&service.file());
    let vm = behind(&proxy).open(&vm.vmx).unwrap();
    proxy.swallow_one_answer();
    let new = NewSnapshot {
        name: "once".into(),
        ..NewSnapshot::default()
    };
    vm.create_snapshot(new).wait().unwrap();
    assert!(proxy.has_swallowed());
    assert_eq!(vm.snapshots().unwrap().snapshots.len(), 1);
}

#[test]
fn job_of_a_killed_service_is_lost_and_not_done_again() {
    let Some(mut service) = Service::start() else {
        return;
    };
    let vm = base(&service, 600);
    let before = tree_of(&service.vms());
    let spec = CloneSpec::new(CloneKind::Full, service.vms().join("full/full.vmx"));
    let host = service.host();
    let started = host.open(&vm.vmx).unwrap().clone_to(spec);
    eventually("bytes are copied", || {
        started.job().progress().done_bytes > 0
    });
    service.restart();
    assert_eq!(started.wait().unwrap_err().kind(), Kind::ConnectionLost);
    assert_eq!(tree_of(&service.vms()), before);
    // The same host goes on with the new service.
    assert!(
        host.open(&vm.vmx)
            .unwrap()
            .snapshots()
            .unwrap()
            .snapshots
            .is_empty()
    );
}

#[test]
fn strangers_get_no_secret() {
    let Some(mut service) = Service::start() else {
        return;
    };
    // Whoever listens to the port of a service that has ended: what is it sent?
    let file: replix_remote::wire::ServiceFile =
        serde_json::from_slice(&std::fs::read(service.file()).unwrap()).unwrap();
    service.kill();
    let stranger = std::net::TcpListener::bind(("127.0.0.1", file.port)).unwrap();
    let (sent, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut client in stranger.incoming().flatten() {
            let mut request = vec![0; 16 << 10];
            let count = std::io::Read::read(&mut client, &mut request).unwrap_or(0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            let _ = std::io::Write::write_all(&mut client, answer);
            let text = String::from_utf8_lossy(&request[..count]).into_owned();
            let _ = sent.send(text);
        }
    });
    // Of the file alone, so that no other service is started.
    let place = service.file();
    let asked = std::thread::spawn(move || replix_remote::connect_by(place).map(|_| ()));
    let request = heard.recv_timeout(crate::service::PATIENCE).unwrap();
    assert!(request.starts_with("GET /v1/hello?nonce="), "{request}");
    assert!(!request.contains(&file.secret), "{request}");
    assert_eq!(
        asked.join().unwrap().unwrap_err().kind(),
        Kind::HostUnreachable
    );
    assert!(
        heard
            .try_iter()
            .all(|request| !request.contains(&file.secret))
    );
}
