//! Many jobs at once: all end, nothing is left behind, and the service is as small as before.

use std::time::Instant;

use replix::Kind;
use replix::clone::CloneKind;
use replix::snapshot::{NewSnapshot, SnapshotRef};
use replix_remote::wire::{JobReport, Operation, Outcome};

use crate::client::{assert_done, clone};
use crate::machine::{LIMIT, Machine, eventually};

/// What the service may keep of two hundred jobs, in KiB: what the allocator does not give back.
const ALLOWANCE_KB: u64 = 8 << 10;

#[test]
fn two_hundred_jobs_leave_nothing_behind() {
    let machine = Machine::with_base();
    let service = machine.serve();
    let client = service.client();
    let base = machine.vmx("base");
    let golden = Operation::CreateSnapshot {
        vm: base.clone(),
        new: NewSnapshot {
            name: "golden".into(),
            ..Default::default()
        },
    };
    assert_done(&client.end(&client.start(&golden)));
    let before = service.usage();

    let name = |number: usize| format!("web{number:03}");
    let operation = |number: usize| {
        let kind = match number % 4 {
            0 => CloneKind::Linked,
            _ => CloneKind::Full,
        };
        let mut clone = clone(kind, &base, &machine.vmx(&name(number)));
        if let Operation::Clone { spec, .. } = &mut clone {
            spec.snapshot = Some(SnapshotRef::Name("golden".into()));
        }
        clone
    };
    let ids: Vec<String> = (0..200)
        .map(|number| client.start(&operation(number)))
        .collect();
    for id in ids.iter().step_by(3) {
        client
            .ask("POST", &format!("/v1/jobs/{id}/cancel"), "")
            .ok::<JobReport>();
    }
    let mut cancelled = 0;
    for (number, id) in ids.iter().enumerate() {
        match client.end(id) {
            Outcome::Done(_) => assert!(machine.vmx(&name(number)).exists()),
            Outcome::Failed(failure) => {
                assert_eq!(
                    (number % 3, failure.kind),
                    (0, Kind::Cancelled),
                    "{failure:?}"
                );
                assert!(!machine.vms().join(name(number)).exists());
                cancelled += 1;
            }
        }
    }
    assert!(cancelled > 0, "no job was cancelled in time");
    let entries = std::fs::read_dir(machine.vms()).unwrap();
    assert_eq!(
        entries.count(),
        1 + ids.len() - cancelled,
        "something is left behind"
    );

    for id in &ids {
        client
            .ask("DELETE", &format!("/v1/jobs/{id}"), "")
            .ok::<()>();
    }
    let first: Vec<JobReport> = client.get("/v1/jobs").ok();
    assert_eq!(first.len(), 1, "the snapshot's");
    eventually(Instant::now() + LIMIT, || {
        let now = service.usage();
        (now.threads <= before.threads && now.files <= before.files).then_some(())
    });
    let after = service.usage();
    assert!(
        after.memory_kb <= before.memory_kb + ALLOWANCE_KB,
        "{before:?} became {after:?}"
    );
}
