//! Snapshots of VMs that run: their guests go on, and come back to where they were.

use replix::Kind;
use replix::Vm;
use replix::clone::{CloneKind, CloneSpec};
use replix::power::StopMode;
use replix::snapshot::{NewSnapshot, RevertSpec, SnapshotRef};
use replix::vm::PowerState;
use replix_testkit::folder;

use crate::console::{Console, ready};
use crate::guests::{guest, skip, start, state, stop};
use crate::running::start_paused;
use crate::vms::*;

fn take(vm: &Vm, name: &str, with_memory: bool) -> replix::Result<u32> {
    let new = NewSnapshot {
        name: name.into(),
        with_memory,
        ..NewSnapshot::default()
    };
    vm.create_snapshot(new).wait().map(|snapshot| snapshot.uid)
}

#[test]
fn guest_goes_on_while_its_disks_are_frozen() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &[]);
    console.run(
        "word=kept; echo then >/disk/a; echo done-$word",
        "done-kept",
    );
    let first = take(&vm, "first", false).unwrap();
    assert_eq!(state(&vm), PowerState::On);
    let base = vm.path().with_file_name("base.vmdk");
    let frozen = std::fs::read(&base).unwrap();
    console.run(
        "echo now >/disk/a; sync; echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo on-$word",
        "on-kept",
    );
    take(&vm, "second", false).unwrap();
    console.run(
        "echo later >/disk/a; sync; echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo more-$word",
        "more-kept",
    );
    assert!(
        std::fs::read(&base).unwrap() == frozen,
        "a frozen disk changed"
    );
    let full = CloneSpec::new(CloneKind::Full, vmx(library.path(), "full"));
    assert_eq!(try_clone(&vm, full).unwrap_err(), Kind::VmRunning);

    vm.remove_snapshot(SnapshotRef::Name("second".into()), false)
        .wait()
        .unwrap();
    assert_eq!(state(&vm), PowerState::On);
    let said = console.run(
        "echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo removed-$word",
        "removed-kept",
    );
    assert!(said.contains("later"), "{said}");

    vm.revert(SnapshotRef::Uid(first)).wait().unwrap();
    assert_eq!(state(&vm), PowerState::Off);
    start(&vm);
    let mut console = Console::of(&vm);
    console.wait_for("boots=2 ");
    let said = console.run("cat /disk/a; echo back-$((1+1))", "back-2");
    assert!(said.contains("then"), "{said}");
}

#[test]
fn memory_comes_back_with_its_disks() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &[]);
    console.run(
        "word=then; echo disk-then >/disk/a; echo set-$word",
        "set-then",
    );
    let uid = take(&vm, "live", true).unwrap();
    assert!(
        vm.path()
            .with_file_name("base-Snapshot1.replixstate")
            .exists()
    );
    assert!(vm.snapshots().unwrap().snapshots[0].with_memory);
    console.run(
        "word=now; echo disk-now >/disk/a; echo set-$word",
        "set-now",
    );
    let linked = CloneSpec {
        snapshot: Some(SnapshotRef::Uid(uid)),
        ..CloneSpec::new(CloneKind::Linked, vmx(library.path(), "linked"))
    };
    assert_eq!(try_clone(&vm, linked).unwrap_err(), Kind::VmRunning);
    for _ in 0..2 {
        vm.revert(SnapshotRef::Uid(uid)).wait().unwrap();
        assert_eq!(state(&vm), PowerState::On);
        let mut console = Console::of(&vm);
        console.run("echo is-$word", "is-then");
        let said = console.run("echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; word=now; echo disk-now >/disk/a; echo did-$word", "did-now");
        assert!(said.contains("disk-then"), "{said}");
    }
    let spec = RevertSpec {
        suspended: true,
        ..RevertSpec::from(SnapshotRef::Uid(uid))
    };
    vm.revert(spec).wait().unwrap();
    assert_eq!(state(&vm), PowerState::Suspended);
    start(&vm);
    Console::of(&vm).run("echo is-$word", "is-then");
    assert!(
        vm.path()
            .with_file_name("base-Snapshot1.replixstate")
            .exists()
    );
    vm.remove_snapshot(SnapshotRef::Uid(uid), false)
        .wait()
        .unwrap();
    assert!(
        !vm.path()
            .with_file_name("base-Snapshot1.replixstate")
            .exists()
    );
    Console::of(&vm).run("echo still-$word", "still-then");
    stop(&vm);
}

#[test]
fn snapshot_of_a_paused_vm_comes_back_paused() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &[]);
    console.run("word=then; echo set-$word", "set-then");
    vm.pause().wait().unwrap();
    let uid = take(&vm, "still", true).unwrap();
    assert_eq!(state(&vm), PowerState::Paused);
    // As often as one likes.
    take(&vm, "again", true).unwrap();
    assert_eq!(state(&vm), PowerState::Paused);
    vm.unpause().wait().unwrap();
    console.run("word=now; echo set-$word", "set-now");
    vm.revert(SnapshotRef::Uid(uid)).wait().unwrap();
    assert_eq!(state(&vm), PowerState::Paused);
    vm.unpause().wait().unwrap();
    Console::of(&vm).run("echo is-$word", "is-then");
}

#[test]
fn what_cannot_be_saved_is_named() {
    let Some(image) = skip("boot.vmdk") else {
        return;
    };
    let library = folder();
    let lines = [("nvme0.present", "TRUE")];
    let vm = open(&guest(library.path(), "base", &image, "nvme0:0", &lines));
    let _stopped = start_paused(&vm);
    for refused in [
        take(&vm, "live", true).map(drop),
        vm.suspend(StopMode::Hard).wait(),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), Kind::NotSupported);
        assert!(error.to_string().contains("nvme0:0"), "{error}");
    }
    take(&vm, "disks", false).unwrap();
    assert_eq!(state(&vm), PowerState::Paused);
}
