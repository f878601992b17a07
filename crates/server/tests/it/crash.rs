//! Processes that are killed in the middle: clients do not matter to jobs, and a service that comes
//! back finds nothing half made.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use replix::clone::CloneKind;
use replix::power::{StartSpec, StopMode};
use replix::snapshot::{NewSnapshot, SnapshotRef, SnapshotTree};
use replix_remote::wire::{Operation, Outcome};
use replix_testkit::{Tree, folder, same_content, skip, tree_of};

use crate::client::{Client, assert_done, clone, new_id};
use crate::machine::{LIMIT, Machine, Served, eventually};

/// Set in the client that is to be killed: the job's name, and what the job is.
const JOB: &str = "REPLIX_TEST_JOB";

/// A client in a process of its own: starts the job and follows it, until it is killed.
#[test]
fn client_that_is_killed_leaves_its_job() {
    if let Some(job) = std::env::var_os(JOB) {
        return follow_for_ever(job.to_str().unwrap());
    }
    let machine = Machine::with_big_base();
    let service = machine.serve();
    let (base, web, id) = (machine.vmx("base"), machine.vmx("web"), new_id());
    let operation = serde_json::to_string(&clone(CloneKind::Linked, &base, &web)).unwrap();
    let name = "crash::client_that_is_killed_leaves_its_job";
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(
            JOB,
            format!("{} {id} {operation}", machine.service_file().display()),
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let client = service.client();
    let route = format!("/v1/jobs/{id}");
    eventually(Instant::now() + LIMIT, || {
        (client.get(&route).status == 200).then_some(())
    });
    client.midway(&id);
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(
        client.report(&id).outcome.is_none(),
        "the kill came too late"
    );
    assert_done(&client.end(&id));
    let disk = machine.vms().join("web/base-0-cl1.vmdk");
    assert!(same_content(&disk, &machine.base().file("base-0.vmdk")));
}

fn follow_for_ever(job: &str) {
    let mut words = job.splitn(3, ' ');
    let mut next = || words.next().unwrap();
    let file = std::fs::read(next()).unwrap();
    let client = Client::new(&serde_json::from_slice(&file).unwrap());
    let (id, operation) = (next(), next());
    client.put(id, &serde_json::from_str(operation).unwrap());
    client.events(id).for_each(drop);
    panic!("the job has ended, and this process was to be killed before");
}

/// All files of the VMs but the bookkeeping of `base`, which remembers the numbers that snapshots had,
/// and its first disk, whose content id may be written in another way.
fn left(machine: &Machine) -> Tree {
    let mut tree = tree_of(&machine.vms());
    for name in ["base.vmsd", "base.vmdk"] {
        tree.remove(&Path::new("base").join(name));
    }
    tree
}

/// Kills the service in the middle of a clone; the next one finds all as it was before.
fn crash_in_the_middle(kind: CloneKind) {
    let machine = Machine::with_big_base();
    let before = left(&machine);
    let (base, web) = (machine.vmx("base"), machine.vmx("web"));
    let (disk, kept) = (machine.base().file("base.vmdk"), folder());
    let copy = kept.path().join("base.vmdk");
    std::fs::copy(&disk, &copy).unwrap();
    let service = machine.serve();
    let client = service.client();
    let id = client.start(&clone(kind, &base, &web));
    client.midway(&id);
    service.crash();
    assert!(!web.exists(), "the kill came too late");
    assert_ne!(left(&machine), before, "something is half made");

    let service = machine.serve();
    assert_eq!(left(&machine), before);
    assert!(same_content(&disk, &copy));
    let client = service.client();
    let snapshots = client.get(&format!("/v1/vm/snapshots?vm={}", base.display()));
    assert_eq!(snapshots.ok::<SnapshotTree>(), SnapshotTree::default());
    assert_eq!(client.get(&format!("/v1/jobs/{id}")).status, 404);
    let id = client.start(&clone(kind, &base, &web));
    assert_done(&client.end(&id));
    let disk = machine.vms().join("web/base-0-cl1.vmdk");
    assert!(same_content(&disk, &machine.base().file("base-0.vmdk")));
    let said = service.crash();
    assert!(said.starts_with("took back the unfinished clone"), "{said}");
}

#[test]
fn killed_service_leaves_no_full_clone() {
    crash_in_the_middle(CloneKind::Full);
}

#[test]
fn killed_service_leaves_no_linked_clone() {
    crash_in_the_middle(CloneKind::Linked);
}

#[test]
fn snapshots_of_the_user_survive_the_clearing() {
    let machine = Machine::with_big_base();
    let base = machine.vmx("base");
    let service = machine.serve();
    let client = service.client();
    let golden = Operation::CreateSnapshot {
        vm: base.clone(),
        new: NewSnapshot {
            name: "golden".into(),
            ..Default::default()
        },
    };
    assert_done(&client.end(&client.start(&golden)));
    let before = tree_of(&machine.vms());
    let mut linked = clone(CloneKind::Linked, &base, &machine.vmx("web"));
    if let Operation::Clone { spec, .. } = &mut linked {
        spec.snapshot = Some(SnapshotRef::Name("golden".into()));
    }
    client.midway(&client.start(&linked));
    service.crash();
    assert_ne!(tree_of(&machine.vms()), before, "something is half made");
    let _service = machine.serve();
    assert_eq!(tree_of(&machine.vms()), before);
}

/// A VM that was started through the service; stopped in the end.
struct Running<'a>(&'a Machine);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let stop = Operation::PowerOff {
            vm: self.0.vmx("base"),
            mode: StopMode::Hard,
        };
        let service = self.0.serve();
        let client = service.client();
        let _ = client.end(&client.start(&stop));
    }
}

#[test]
fn vms_run_on_without_the_service() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("qemu-system-x86_64").is_file()) {
        return skip("QEMU is not installed");
    }
    let machine = Machine::with_base();
    let service = machine.serve();
    let running = Running(&machine);
    let client = service.client();
    let start = Operation::PowerOn {
        vm: machine.vmx("base"),
        spec: StartSpec::default(),
    };
    let outcome = client.end(&client.start(&start));
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let runs = |service: &Served| {
        let vms: Vec<PathBuf> = service.client().get("/v1/vms?which=running").ok();
        vms.contains(&machine.vmx("base"))
    };
    assert!(runs(&service));
    service.crash();
    let service = machine.serve();
    assert!(runs(&service));
    service.crash();
    drop(running);
    assert!(!runs(&machine.serve()));
}
