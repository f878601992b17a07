//! How the service ends: told to, with jobs in the middle; unused; or at once, where one runs already.

use nix::sys::signal::Signal;
use replix::Kind;
use replix::clone::CloneKind;
use replix_remote::wire::Outcome;
use replix_testkit::tree_of;

use crate::client::{Event, clone};
use crate::machine::Machine;

/// Ends the service in the middle of a clone by signals; returns how the job ended, as its client
/// hears.
fn end_in_the_middle(machine: &Machine, grace_ms: &str, signals: &[Signal]) -> Outcome {
    let service = machine.serve_with(&["0", grace_ms]);
    let client = service.client();
    let id = client.start(&clone(
        CloneKind::Linked,
        &machine.vmx("base"),
        &machine.vmx("web"),
    ));
    client.midway(&id);
    let events = client.events(&id);
    for signal in signals {
        service.signal(*signal);
    }
    let last = events.last();
    let (status, said) = service.ended();
    assert!(status.success(), "{status}: {said}");
    assert!(!machine.service_file().exists());
    match last {
        Some(Event::Report(name, report)) if name == "ended" => report.outcome.unwrap(),
        other => panic!("no end: {other:?}"),
    }
}

#[test]
fn job_ends_in_its_grace() {
    let machine = Machine::with_big_base();
    let outcome = end_in_the_middle(&machine, "60000", &[Signal::SIGTERM]);
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert!(machine.vmx("web").exists());
}

fn assert_cancelled(machine: &Machine, grace_ms: &str, signals: &[Signal]) {
    let before = tree_of(&machine.vms());
    let Outcome::Failed(failure) = end_in_the_middle(machine, grace_ms, signals) else {
        panic!("it was to be cancelled");
    };
    assert_eq!(failure.kind, Kind::Cancelled);
    assert_eq!(tree_of(&machine.vms()), before);
}

#[test]
fn job_is_cancelled_after_its_grace() {
    assert_cancelled(&Machine::with_big_base(), "0", &[Signal::SIGINT]);
}

#[test]
fn second_signal_cancels_at_once() {
    let signals = [Signal::SIGTERM, Signal::SIGINT];
    assert_cancelled(&Machine::with_big_base(), "60000", &signals);
}

#[test]
fn unused_service_ends() {
    let machine = Machine::new();
    let service = machine.serve_with(&["1000"]);
    let (status, said) = service.ended();
    assert!(status.success(), "{status}: {said}");
    assert!(!machine.service_file().exists());
}

#[test]
fn service_with_a_job_is_used() {
    let machine = Machine::with_base();
    let service = machine.serve_with(&["2000"]);
    let client = service.client();
    let held = machine.hold_base();
    let id = client.start(&clone(
        CloneKind::Full,
        &machine.vmx("base"),
        &machine.vmx("web"),
    ));
    // Four come in a second.
    let is_beat = |event: &Event| matches!(event, Event::Heartbeat);
    assert_eq!(client.events(&id).filter(is_beat).take(12).count(), 12);
    drop(held);
    assert!(matches!(client.end(&id), Outcome::Done(_)));
    assert!(service.ended().0.success());
}

#[test]
fn second_service_of_a_user_is_refused() {
    let machine = Machine::new();
    let first = machine.serve();
    let second = machine.program().output().unwrap();
    assert_eq!(second.status.code(), Some(3));
    assert_eq!(first.client().get("/v1/jobs").status, 200);
    first.crash();
    // The file of the one that was killed is in nobody's way.
    assert!(machine.service_file().exists());
    assert_eq!(machine.serve().client().get("/v1/jobs").status, 200);
}
