//! QEMU as a user without rights, where root starts VMs: `power.user`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use replix::power::{StartSpec, StopMode};
use replix::snapshot::{NewSnapshot, RevertSpec, SnapshotRef};
use replix::vm::{PowerState, Settings};
use replix::{Host, Kind, Vm};
use replix_testkit::{folder, peer, tree_of};

use crate::guest_lies::runtime_of;
use crate::guests::{pid_of, start, state, stop};
use crate::running::Stopped;
use crate::vms::*;

/// Opens a VM as root with this user in the settings; `None`, said, where nobody is root.
fn open_as(vmx: &Path, user: &str) -> Option<Vm> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        replix_testkit::skip("only root can become another user");
        return None;
    }
    let settings = Settings {
        user: Some(user.into()),
        ..Settings::default()
    };
    Some(Host::local_with(settings).open(vmx).unwrap())
}

fn give(path: &Path) {
    let owner = "nobody";
    let given = peer("chown", ["-R".as_ref(), owner.as_ref(), path.as_os_str()]);
    assert!(given.status.success());
}

/// The users that the machine of a VM has: real, effective, saved, of files.
fn users(vm: &Vm) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", pid_of(vm))).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.unwrap().trim().replace('\t', " ")
}

#[test]
fn machine_runs_as_the_user_of_the_settings() {
    let library = folder();
    let test_vm = simple(library.path(), "base");
    let Some(vm) = open_as(&test_vm.vmx, "nobody") else {
        return;
    };
    give(library.path());
    let nobody = fs::metadata(library.path()).unwrap().uid().to_string();
    let all = [nobody.as_str(); 4].join(" ");
    start(&vm);
    let _stopped = Stopped(vm.clone());
    assert_eq!(users(&vm), all);
    // What root trusts is not that user's to change.
    let run = runtime_of(&vm);
    for (name, owner) in [("", "0"), ("record", "0"), ("sockets", nobody.as_str())] {
        let found = fs::metadata(run.join(name)).unwrap();
        assert_eq!(found.uid().to_string(), owner, "{name}");
        assert_eq!(found.mode() & 0o022, 0, "{name}");
    }
    // It is told of, held still and given new disks as any other.
    let new = NewSnapshot {
        name: "live".into(),
        with_memory: true,
        ..NewSnapshot::default()
    };
    vm.create_snapshot(new).wait().unwrap();
    assert_eq!(state(&vm), PowerState::On);
    vm.suspend(StopMode::Hard).wait().unwrap();
    assert_eq!(state(&vm), PowerState::Suspended);
    start(&vm);
    assert_eq!((users(&vm), state(&vm)), (all.clone(), PowerState::On));
    let live = SnapshotRef::Name("live".into());
    vm.revert(RevertSpec::from(live)).wait().unwrap();
    assert_eq!((users(&vm), state(&vm)), (all, PowerState::On));
    stop(&vm);
}

#[test]
fn file_out_of_reach_is_named_and_nothing_starts() {
    let library = folder();
    let test_vm = simple(library.path(), "base");
    let Some(vm) = open_as(&test_vm.vmx, "nobody") else {
        return;
    };
    let refused = || {
        let error = vm.power_on(StartSpec::default()).wait().unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        let text = error.to_string();
        assert!(
            text.contains("\"nobody\"") && text.contains("base.vmdk"),
            "{text}"
        );
        assert_eq!(state(&vm), PowerState::Off);
    };
    refused();
    // To read it is not enough for a disk.
    give(library.path());
    let disk = test_vm.file("base.vmdk");
    assert!(
        peer("chmod", ["a-w".as_ref(), disk.as_os_str()])
            .status
            .success()
    );
    refused();
    let left = tree_of(library.path()).into_keys();
    let left: Vec<_> = left
        .filter(|path| path.to_string_lossy().contains(".lck"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn user_that_is_not_there_is_said() {
    let library = folder();
    let test_vm = simple(library.path(), "base");
    let Some(vm) = open_as(&test_vm.vmx, "no-such-user") else {
        return;
    };
    let error = vm.power_on(StartSpec::default()).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::BadConfig);
    assert!(error.to_string().contains("no-such-user"));
}
