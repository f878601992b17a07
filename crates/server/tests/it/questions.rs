//! Questions: what the engine answers, and how a wrong question is refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use replix::clone::{CloneKind, ClonePlan, CloneSpec};
use replix::disk::{DiskReport, MapEntry};
use replix::vm::{PowerState, VmInfo, VmSummary};
use replix_remote::wire::{Hello, proof};

use crate::client::raw;
use crate::machine::Machine;

#[test]
fn service_proves_that_it_knows_the_secret() {
    let machine = Machine::new();
    let service = machine.serve();
    let client = service.client();
    let hello: Hello = client.get("/v1/hello?nonce=abc").ok();
    assert_eq!(hello.proof, proof(&service.file.secret, "abc"));
    assert_eq!(hello.instance, service.file.instance);
    for nonce in ["", "?nonce=", &format!("?nonce={}", "a".repeat(300))] {
        assert_eq!(
            client.get(&format!("/v1/hello{nonce}")).failure(),
            (400, "Argument".into())
        );
    }
}

#[test]
fn vm_is_described() {
    let machine = Machine::with_base();
    let service = machine.serve();
    let client = service.client();
    let vmx = machine.vmx("base");
    let of_vm = |what: &str| client.get(&format!("/v1/vm{what}?vm={}", vmx.display()));
    assert_eq!(of_vm("").ok::<PathBuf>(), vmx);
    assert_eq!(of_vm("/info").ok::<VmInfo>().display_name, "base");
    assert_eq!(of_vm("/summary").ok::<VmSummary>().display_name, "base");
    assert_eq!(of_vm("/problems").ok::<Vec<String>>(), [""; 0]);
    assert_eq!(of_vm("/state").ok::<PowerState>(), PowerState::Off);
    let lineage: serde_json::Value = of_vm("/lineage").ok();
    assert_eq!(lineage[0]["depth"], 0);
    let disk = machine.base().file("base.vmdk");
    let report = client.get(&format!("/v1/disk?path={}", disk.display()));
    assert_eq!(
        report.ok::<DiskReport>().capacity_bytes,
        crate::machine::SMALL
    );
    let map = client.get(&format!("/v1/disk/map?path={}", disk.display()));
    assert!(!map.ok::<Vec<MapEntry>>().is_empty());
}

#[test]
fn clone_is_planned_without_being_made() {
    let machine = Machine::with_base();
    let service = machine.serve();
    let spec = CloneSpec::new(CloneKind::Linked, machine.vmx("web"));
    let route = format!("/v1/vm/plan?vm={}", machine.vmx("base").display());
    let body = serde_json::to_string(&spec).unwrap();
    let plan: ClonePlan = service.client().ask("POST", &route, &body).ok();
    assert_eq!(plan.new_snapshot.as_deref(), Some("Clone"));
    assert!(!machine.vmx("web").exists());
}

#[test]
fn registered_vms_are_listed() {
    let machine = Machine::with_base();
    let service = machine.serve();
    let client = service.client();
    let route = format!("/v1/vms?vm={}", machine.vmx("base").display());
    let listed = || client.get("/v1/vms?which=registered").ok::<Vec<PathBuf>>();
    client.ask("PUT", &route, "").ok::<()>();
    assert_eq!(listed(), [machine.vmx("base")]);
    client.ask("DELETE", &route, "").ok::<()>();
    assert_eq!(listed(), [""; 0].map(PathBuf::from));
}

#[test]
fn paths_are_whole_and_text() {
    let machine = Machine::with_base();
    let service = machine.serve();
    let client = service.client();
    for vm in ["", "base.vmx", "../base/base.vmx", "%00", "/a%00b", "/a%ff"] {
        let said = client.get(&format!("/v1/vm?vm={vm}"));
        assert_eq!(said.failure(), (400, "Argument".into()), "{vm:?}");
    }
}

#[test]
fn wrong_questions_are_told_apart() {
    let machine = Machine::new();
    let service = machine.serve();
    let client = service.client();
    let failure = |method, route: &str, body| client.ask(method, route, body).failure();
    assert_eq!(failure("GET", "/v1/nothing", ""), (404, "Argument".into()));
    assert_eq!(failure("GET", "/", ""), (404, "Argument".into()));
    assert_eq!(failure("POST", "/v1/vms", ""), (405, "Argument".into()));
    assert_eq!(failure("GET", "/v1/vm", ""), (400, "Argument".into()));
    assert_eq!(
        failure("GET", "/v1/vms?which=all", ""),
        (400, "Argument".into())
    );
    assert_eq!(
        failure("GET", "/v1/vm?vm=/none", ""),
        (404, "VmNotFound".into())
    );
    let id = "/v1/jobs/0123456789abcdef0123456789abcdef";
    assert_eq!(failure("GET", id, ""), (404, "Argument".into()));
    assert_eq!(
        failure("GET", &format!("{id}0"), ""),
        (400, "Argument".into())
    );
    for body in [
        "{",
        "null",
        r#"{"fly": {}}"#,
        r#"{"pause": {"vm": "a.vmx"}}"#,
    ] {
        assert_eq!(failure("PUT", id, body), (400, "Argument".into()), "{body}");
    }
}

#[test]
fn path_that_is_no_text_cannot_travel() {
    let machine = Machine::with_base();
    let service = machine.serve();
    let odd = machine.vms().join(OsStr::from_bytes(b"\xff"));
    std::fs::rename(machine.vms().join("base"), &odd).unwrap();
    let link = machine.vms().join("link");
    std::os::unix::fs::symlink(&odd, &link).unwrap();
    let route = format!("/v1/vm?vm={}", link.join("base.vmx").display());
    assert_eq!(
        service.client().get(&route).failure(),
        (501, "NotSupported".into())
    );
}

#[test]
fn every_answer_names_the_instance() {
    let machine = Machine::new();
    let service = machine.serve();
    let name = format!("replix-instance: {}", service.file.instance);
    for route in ["/v1/hello?nonce=a", "/v1/jobs", "/"] {
        let request = format!("GET {route} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let answer = raw(service.file.port, &request);
        assert!(answer.contains(&name), "{answer}");
    }
}
