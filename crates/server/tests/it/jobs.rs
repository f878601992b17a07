//! Jobs: named by their clients, done once, followed, cancelled, forgotten.

use replix::Kind;
use replix::clone::CloneKind;
use replix_remote::wire::{Answer, JobReport, Operation, Outcome};
use replix_testkit::{same_content, tree_of};

use crate::client::{Event, assert_done, clone, new_id};
use crate::machine::Machine;

#[test]
fn clone_is_made_and_reported() {
    let machine = Machine::with_base();
    let service = machine.serve();
    let client = service.client();
    let web = machine.vmx("web");
    let id = client.start(&clone(CloneKind::Linked, &machine.vmx("base"), &web));
    let Outcome::Done(Answer::Clone(report)) = client.end(&id) else {
        panic!("{:?}", client.report(&id));
    };
    assert_eq!(report.path, web);
    assert_eq!(report.snapshot.as_deref(), Some("Clone"));
    let job = client.report(&id);
    assert_eq!(
        (job.id.as_str(), job.operation.as_str()),
        (id.as_str(), "clone")
    );
    assert_eq!(job.target, machine.vmx("base"));
    let disk = machine.vms().join("web/base-cl1.vmdk");
    assert!(same_content(&disk, &machine.base().file("base.vmdk")));
}

#[test]
fn same_name_does_it_once() {
    let machine = Machine::with_big_base();
    let service = machine.serve();
    let client = service.client();
    let (id, base) = (new_id(), machine.vmx("base"));
    let linked = clone(CloneKind::Linked, &base, &machine.vmx("web"));
    assert_eq!(client.put(&id, &linked).status, 201);
    assert_eq!(client.put(&id, &linked).status, 200);
    let other = clone(CloneKind::Full, &base, &machine.vmx("web"));
    assert_eq!(client.put(&id, &other).status, 409);
    assert_done(&client.end(&id));
    let again = client.put(&id, &linked);
    assert_eq!(again.status, 200);
    assert!(again.ok::<JobReport>().outcome.is_some());
    let snapshots = client.get(&format!("/v1/vm/snapshots?vm={}", base.display()));
    let snapshots: replix::snapshot::SnapshotTree = snapshots.ok();
    assert_eq!(snapshots.snapshots.len(), 1);
}

#[test]
fn events_tell_progress_and_end() {
    let machine = Machine::with_big_base();
    let service = machine.serve();
    let client = service.client();
    let id = client.start(&clone(
        CloneKind::Full,
        &machine.vmx("base"),
        &machine.vmx("web"),
    ));
    let mut reports = Vec::new();
    for event in client.events(&id) {
        if let Event::Report(name, report) = event {
            reports.push((name, report));
        }
    }
    let (last, earlier) = reports.split_last().unwrap();
    assert_eq!(last.0, "ended");
    assert_done(last.1.outcome.as_ref().unwrap());
    assert!(earlier.len() > 5, "{} events", earlier.len());
    let mut done = 0;
    for (name, report) in earlier {
        assert_eq!(name, "progress");
        assert!(report.progress.done_bytes >= done && report.outcome.is_none());
        done = report.progress.done_bytes;
    }
    // Who comes late is told the end at once.
    assert!(matches!(client.end(&id), Outcome::Done(_)));
}

#[test]
fn silent_job_is_heard_to_live() {
    let machine = Machine::with_base();
    let service = machine.serve();
    let client = service.client();
    let held = machine.hold_base();
    let id = client.start(&clone(
        CloneKind::Full,
        &machine.vmx("base"),
        &machine.vmx("web"),
    ));
    let is_beat = |event| matches!(event, Event::Heartbeat);
    assert!(client.events(&id).any(is_beat));
    drop(held);
    assert_done(&client.end(&id));
}

#[test]
fn cancelled_clone_leaves_nothing() {
    let machine = Machine::with_big_base();
    let before = tree_of(&machine.vms());
    let service = machine.serve();
    let client = service.client();
    let id = client.start(&clone(
        CloneKind::Linked,
        &machine.vmx("base"),
        &machine.vmx("web"),
    ));
    client.midway(&id);
    let route = format!("/v1/jobs/{id}");
    assert_eq!(
        client.ask("DELETE", &route, "").failure(),
        (409, "Busy".into())
    );
    client
        .ask("POST", &format!("{route}/cancel"), "")
        .ok::<JobReport>();
    let Outcome::Failed(failure) = client.end(&id) else {
        panic!("it was cancelled");
    };
    assert_eq!(failure.kind, Kind::Cancelled);
    assert_eq!(tree_of(&machine.vms()), before);
    client.ask("DELETE", &route, "").ok::<()>();
    assert_eq!(client.get(&route).status, 404);
    assert_eq!(client.get("/v1/jobs").ok::<Vec<JobReport>>(), []);
}

#[test]
fn job_that_fails_says_why() {
    let machine = Machine::new();
    let service = machine.serve();
    let client = service.client();
    let id = client.start(&Operation::Pause {
        vm: machine.vmx("none"),
    });
    let Outcome::Failed(failure) = client.end(&id) else {
        panic!("there is no such VM");
    };
    assert_eq!(failure.kind, Kind::VmNotFound);
    assert!(failure.path.is_some());
}
