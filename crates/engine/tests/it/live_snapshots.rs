//! Snapshots of VMs that run: their guests go on, and come back to where they were.

use replix::Kind;
use replix::Vm;
use replix::clone::{CloneKind, CloneSpec};
use replix::power::{StartSpec, StopMode};
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

/// The banner of the kernel that runs, as it stands in memory.
const BANNER: &[u8] = b"Linux version ";

fn holds(file: &std::path::Path, wanted: &[u8]) -> bool {
    let bytes = std::fs::read(file).unwrap();
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn guests_memory_lies_open_in_a_file() {
    use std::os::unix::fs::MetadataExt;

    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &[]);
    console.run(
        "word=in-the-memory-$((6*7))-of-it; echo set-$word",
        "set-in-the-memory-42-of-it",
    );
    let taking = vm.create_snapshot(NewSnapshot {
        name: "live".into(),
        with_memory: true,
        ..NewSnapshot::default()
    });
    let job = taking.job().clone();
    let uid = taking.wait().unwrap().uid;
    assert!(job.warnings().is_empty(), "{:?}", job.warnings());
    let memory = vm.path().with_file_name("base-Snapshot1.vmem");
    let meta = std::fs::metadata(&memory).unwrap();
    assert_eq!(meta.len(), 128 << 20);
    assert!(meta.blocks() * 512 < 120 << 20, "{meta:?}");
    assert!(holds(&memory, BANNER) && holds(&memory, b"in-the-memory-42-of-it"));
    // What has neither is the guest's devices, their memory, and where its pages are.
    let state = vm.path().with_file_name("base-Snapshot1.replixstate");
    let state = std::fs::metadata(state).unwrap().len();
    assert!(state < 24 << 20, "{state}");
    let whole = std::fs::read(&memory).unwrap();

    vm.revert(SnapshotRef::Uid(uid)).wait().unwrap();
    Console::of(&vm).run("echo is-$word", "is-in-the-memory-42-of-it");
    assert!(std::fs::read(&memory).unwrap() == whole);
    vm.suspend(StopMode::Hard).wait().unwrap();
    let names = std::fs::read_dir(memory.parent().unwrap()).unwrap();
    let names = names.map(|entry| entry.unwrap().path());
    let suspended = names.filter(|path| path.extension().is_some_and(|ending| ending == "vmem"));
    let suspended: Vec<_> = suspended.filter(|path| *path != memory).collect();
    assert_eq!(suspended.len(), 1);
    assert!(holds(&suspended[0], BANNER));

    let aside = suspended[0].with_extension("aside");
    std::fs::rename(&suspended[0], &aside).unwrap();
    let error = vm.power_on(StartSpec::default()).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::SnapshotBroken);
    assert!(error.to_string().contains(".vmem"), "{error}");
    std::fs::rename(&aside, &suspended[0]).unwrap();
    start(&vm);
    Console::of(&vm).run("echo still-$word", "still-in-the-memory-42-of-it");
    assert!(!suspended[0].exists());
    vm.remove_snapshot(SnapshotRef::Uid(uid), false)
        .wait()
        .unwrap();
    assert!(!memory.exists());
}

#[test]
fn memory_lies_in_one_file_where_the_vm_says_so() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let lines = [("mainMem.useNamedFile", "FALSE")];
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &lines);
    console.run("word=then; echo set-$word", "set-then");
    let uid = take(&vm, "live", true).unwrap();
    let state = vm.path().with_file_name("base-Snapshot1.replixstate");
    assert!(!state.with_extension("vmem").exists());
    assert!(holds(&state, BANNER));
    console.run("word=now; echo set-$word", "set-now");
    vm.revert(SnapshotRef::Uid(uid)).wait().unwrap();
    Console::of(&vm).run("echo is-$word", "is-then");
}

#[test]
fn guest_finds_its_disk_whichever_way_it_was_merged() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &[]);
    let mut write = |name: &str, kib: u32| {
        let word = format!("wrote-{name}");
        let command = format!(
            "dd if=/dev/urandom of=/disk/{name} bs=1k count={kib} 2>/dev/null; sync; \
             md5sum /disk/{name} >>/disk/sums; sync; echo wrote-$(basename /disk/{name})"
        );
        console.run(&command, &word);
    };
    let mut uids = Vec::new();
    // What the middle disks hold is little, much, little.
    for (name, kib) in [("a", 50), ("b", 50), ("c", 3000), ("d", 50)] {
        write(name, kib);
        uids.push(take(&vm, name, false).unwrap());
    }
    write("e", 50);
    // Up into the child; down into the parent.
    for uid in [uids[1], uids[2]] {
        vm.remove_snapshot(SnapshotRef::Uid(uid), false)
            .wait()
            .unwrap();
        let said = console.run(
            "echo 3 >/proc/sys/vm/drop_caches; md5sum -c /disk/sums; echo checked-$((1+1))",
            "checked-2",
        );
        assert!(said.matches(": OK").count() == 5, "{said}");
    }
    assert_eq!(vm.info().unwrap().disks[0].depth, 3);
    assert_eq!(vm.consolidate().wait().unwrap().links, 0);
    stop(&vm);
    start(&vm);
    let mut console = Console::of(&vm);
    console.wait_for("boots=2 ");
    let said = console.run("md5sum -c /disk/sums; echo again-$((1+1))", "again-2");
    assert!(said.matches(": OK").count() == 5, "{said}");
}
