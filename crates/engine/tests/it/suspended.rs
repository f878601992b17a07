//! VMs that are suspended and resumed: the guest goes on where it was, with the disks it had.

use std::path::Path;

use replix::power::StopMode;
use replix::snapshot::{NewSnapshot, SnapshotRef};
use replix::vm::PowerState;
use replix::{Kind, Vm};
use replix_testkit::folder;

use crate::console::{Console, ready};
use crate::guests::{skip, start, state, stop};

fn memories(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("replix")).collect()
}

#[test]
fn resumed_guest_goes_on_where_it_was() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &[]);
    console.run(
        "word=kept; echo on-disk >/disk/a; echo done-$word",
        "done-kept",
    );
    vm.suspend(StopMode::Hard).wait().unwrap();
    assert_eq!(state(&vm), PowerState::Suspended);
    assert!(!vm.path().with_extension("vmx.lck").exists());
    let saved = memories(vm.path().parent().unwrap());
    assert_eq!(saved.len(), 1);
    let off = vm.power_off(StopMode::Hard).wait().unwrap_err();
    assert_eq!(off.kind(), Kind::VmNotRunning);
    let again = vm.suspend(StopMode::Hard).wait().unwrap_err();
    assert_eq!(again.kind(), Kind::VmNotRunning);

    start(&vm);
    assert_eq!(state(&vm), PowerState::On);
    let mut console = Console::of(&vm);
    let said = console.run("cat /disk/a; echo still-$word", "still-kept");
    assert!(said.contains("on-disk"), "{said}");
    let said = console.run(
        "sync; echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo b >/disk/b; echo ok-$word",
        "ok-kept",
    );
    assert!(said.contains("on-disk"), "{said}");
    assert!(memories(vm.path().parent().unwrap()).is_empty());
    vm.suspend(StopMode::Soft).wait().unwrap();
    start(&vm);
    Console::of(&vm).run("cat /disk/b; echo twice-$word", "twice-kept");
    stop(&vm);
    start(&vm);
    Console::of(&vm).wait_for("boots=2 ");
}

#[test]
fn disks_on_every_controller_are_taken_up_again() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    for (node, lines) in [
        ("ide0:0", vec![]),
        ("sata0:0", vec![("sata0.present", "TRUE")]),
        ("scsi0:0", vec![("scsi0.virtualDev", "lsilogic")]),
        ("scsi0:0", vec![("scsi0.virtualDev", "lsisas1068")]),
    ] {
        let library = folder();
        let (vm, _stopped, mut console) = ready(library.path(), &image, node, &lines);
        console.run(
            "word=kept; echo before >/disk/a; echo set-$word",
            "set-kept",
        );
        vm.suspend(StopMode::Hard).wait().unwrap();
        start(&vm);
        let said = Console::of(&vm).run(
            "sync; echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo is-$word",
            "is-kept",
        );
        assert!(said.contains("before"), "{node}: {said}");
    }
}

#[test]
fn snapshot_of_a_suspended_vm_brings_it_back_suspended() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &[]);
    let dir = vm.path().parent().unwrap();
    let write = |word: &str| format!("word={word}; echo disk-$word >/disk/a; sync; echo set-$word");
    let read = "echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo is-$word";
    let resumed_as = |vm: &Vm, word: &str| {
        start(vm);
        let said = Console::of(vm).run(read, &format!("is-{word}"));
        assert!(said.contains(&format!("disk-{word}")), "{said}");
    };
    console.run(&write("then"), "set-then");
    vm.suspend(StopMode::Hard).wait().unwrap();
    let take = |name: &str| {
        let new = NewSnapshot {
            name: name.into(),
            ..NewSnapshot::default()
        };
        vm.create_snapshot(new).wait()
    };
    let taken = take("still").unwrap();
    assert!(taken.with_memory);
    assert_eq!(state(&vm), PowerState::Suspended);
    assert_eq!(memories(dir), ["base-Snapshot1.replixstate"]);
    let again = take("again").unwrap_err();
    assert_eq!(again.kind(), Kind::SnapshotUnchanged);
    resumed_as(&vm, "then");

    Console::of(&vm).run(&write("now"), "set-now");
    vm.revert(SnapshotRef::Uid(taken.uid)).wait().unwrap();
    assert_eq!(state(&vm), PowerState::Suspended);
    resumed_as(&vm, "then");

    // Its snapshot goes, and leaves it the memory.
    vm.revert(SnapshotRef::Uid(taken.uid)).wait().unwrap();
    let remove = vm.remove_snapshot(SnapshotRef::Uid(taken.uid), false);
    remove.wait().unwrap();
    assert_eq!(state(&vm), PowerState::Suspended);
    resumed_as(&vm, "then");
    assert!(memories(dir).is_empty());
}

#[test]
fn paused_vm_is_suspended_and_then_runs() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &[]);
    console.run("word=kept; echo set-$word", "set-kept");
    vm.pause().wait().unwrap();
    vm.suspend(StopMode::Hard).wait().unwrap();
    start(&vm);
    assert_eq!(state(&vm), PowerState::On);
    Console::of(&vm).run("echo is-$word", "is-kept");

    vm.suspend(StopMode::Hard).wait().unwrap();
    let whole = replix::clone::DeleteSpec {
        disks: true,
        force: false,
    };
    vm.delete(whole).wait().unwrap();
    assert!(!library.path().join("base").exists());
}
