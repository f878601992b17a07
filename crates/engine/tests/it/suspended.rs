//! VMs that are suspended and resumed: the guest goes on where it was, with the disks it had.

use std::path::Path;
use std::sync::{Arc, Mutex};

use replix::clone::{CloneKind, CloneSpec};
use replix::power::{StartSpec, StopMode};
use replix::snapshot::{NewSnapshot, RevertSpec, SnapshotRef};
use replix::vm::PowerState;
use replix::{Job, Kind, Vm};
use replix_testkit::{folder, peer};

use crate::console::{Console, ready, talkative};
use crate::guests::{skip, start, state, stop};
use crate::running::Stopped;
use crate::vms::{host, open, snapshot, try_clone, vmx};

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
    let text = std::fs::read_to_string(vm.path()).unwrap();
    // Clients write these anew at each start.
    for (name, old, new) in [
        ("ethernet0.virtualDev", "vmxnet3", "e1000"),
        ("memsize", "128", "256"),
        ("numvcpus", "1", "2"),
    ] {
        let line = |value| format!("{name} = \"{value}\"\n");
        let other = text.replace(&line(old), &line(new));
        assert_ne!(text, other);
        std::fs::write(vm.path(), &other).unwrap();
        let refused = vm.power_on(StartSpec::default()).wait().unwrap_err();
        assert_eq!(refused.kind(), Kind::CannotStart);
        let name = name.to_lowercase();
        let changed = format!("{name} is \"{new}\", and was \"{old}\"");
        assert!(refused.to_string().contains(&changed), "{refused}");
        assert!(refused.advice().unwrap().contains("checkpoint.vmState"));
        // Nothing is lost by it.
        assert_eq!(std::fs::read_to_string(vm.path()).unwrap(), other);
    }
    std::fs::write(vm.path(), &text).unwrap();
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

#[test]
fn snapshot_carries_the_suspended_state() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &[]);
    console.run("word=then; echo then >/disk/a; echo set-$word", "set-then");
    vm.suspend(StopMode::Hard).wait().unwrap();
    let uid = snapshot(&vm, "asleep");
    assert_eq!(state(&vm), PowerState::Suspended);
    assert!(vm.snapshots().unwrap().snapshots[0].with_memory);
    let second = NewSnapshot::default();
    let second = vm.create_snapshot(second).wait().unwrap_err();
    assert_eq!(second.kind(), Kind::SnapshotUnchanged);
    for snapshot in [None, Some(SnapshotRef::Uid(uid))] {
        let linked = CloneSpec {
            snapshot,
            ..CloneSpec::new(CloneKind::Linked, vmx(library.path(), "linked"))
        };
        assert_eq!(try_clone(&vm, linked).unwrap_err(), Kind::VmRunning);
    }

    for _ in 0..2 {
        start(&vm);
        let said = Console::of(&vm).run(
            "echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo is-$word",
            "is-then",
        );
        assert!(said.contains("then\r\n"), "{said}");
        Console::of(&vm).run(
            "word=now; echo now >/disk/a; sync; echo set-$word",
            "set-now",
        );
        vm.revert(SnapshotRef::Uid(uid)).wait().unwrap();
        assert_eq!(state(&vm), PowerState::Suspended);
    }
    let again = vm.create_snapshot(NewSnapshot::default()).wait();
    assert_eq!(again.unwrap_err().kind(), Kind::SnapshotUnchanged);
    let off = RevertSpec {
        without_memory: true,
        ..RevertSpec::from(SnapshotRef::Uid(uid))
    };
    vm.revert(off).wait().unwrap();
    assert_eq!(state(&vm), PowerState::Off);
    vm.revert(SnapshotRef::Uid(uid)).wait().unwrap();

    // The VM is suspended to the very memory that goes: it must not.
    vm.remove_snapshot(SnapshotRef::Uid(uid), false)
        .wait()
        .unwrap();
    assert_eq!(state(&vm), PowerState::Suspended);
    start(&vm);
    Console::of(&vm).run("echo still-$word", "still-then");
    assert!(memories(vm.path().parent().unwrap()).is_empty());
}

#[test]
fn snapshots_of_a_suspended_vm_are_merged() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let (vm, _stopped, mut console) = ready(library.path(), &image, "scsi0:0", &[]);
    let first = snapshot(&vm, "first");
    console.run("word=one; echo one >/disk/a; echo set-$word", "set-one");
    let live = NewSnapshot {
        name: "live".into(),
        with_memory: true,
        ..NewSnapshot::default()
    };
    let live = vm.create_snapshot(live).wait().unwrap().uid;
    console.run("word=two; echo two >/disk/a; echo set-$word", "set-two");
    let third = snapshot(&vm, "third");
    console.run(
        "word=three; echo three >/disk/a; echo set-$word",
        "set-three",
    );
    vm.suspend(StopMode::Hard).wait().unwrap();
    for uid in [third, first] {
        vm.remove_snapshot(SnapshotRef::Uid(uid), false)
            .wait()
            .unwrap();
        assert_eq!(state(&vm), PowerState::Suspended);
    }
    let check = "sync; echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo is-$word";
    start(&vm);
    let said = Console::of(&vm).run(check, "is-three");
    assert!(said.contains("three\r\n"), "{said}");
    // What was merged below the snapshot with memory has another content id.
    vm.revert(SnapshotRef::Uid(live)).wait().unwrap();
    let said = Console::of(&vm).run(check, "is-one");
    assert!(said.contains("one\r\n"), "{said}");
    stop(&vm);
}

/// Saves the memory of a VM, by suspending it or for a snapshot.
type Saving = fn(&Vm, &Job) -> replix::Result<()>;

fn suspend(vm: &Vm, job: &Job) -> replix::Result<()> {
    host().provider().suspend(vm.path(), StopMode::Hard, job)
}

fn take_live(vm: &Vm, job: &Job) -> replix::Result<()> {
    let new = NewSnapshot {
        name: "live".into(),
        with_memory: true,
        ..NewSnapshot::default()
    };
    let taken = host().provider().create_snapshot(vm.path(), &new, job);
    taken.map(drop)
}

/// A job that is cancelled when saving begins.
fn cancelled_job() -> Job {
    let itself = Arc::new(Mutex::new(None::<Job>));
    let known = Arc::clone(&itself);
    let job = Job::observed(move |progress| {
        if progress.phase == "saving the memory" {
            known.lock().unwrap().as_ref().unwrap().cancel();
        }
    });
    *itself.lock().unwrap() = Some(job.clone());
    job
}

/// What the guest said but for its signs of life.
fn without_ticks(said: &str) -> String {
    let lines = said.split_inclusive('\n');
    lines.filter(|line| !line.contains("guest-tick")).collect()
}

#[test]
fn vm_with_several_disks_is_saved_or_goes_on() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let lines = [
        ("sata0.present", "TRUE"),
        ("sata0:0.present", "TRUE"),
        ("sata0:0.fileName", "first.vmdk"),
        ("ide0:0.present", "TRUE"),
        ("ide0:0.fileName", "second.vmdk"),
    ];
    let test_vm = talkative(library.path(), &image, "scsi0:0", &lines);
    for (name, size) in [("first.vmdk", "8M"), ("second.vmdk", "12M")] {
        let path = test_vm.file(name);
        let path = path.to_str().unwrap();
        peer("qemu-img", ["create", "-q", "-f", "vmdk", path, size]);
    }
    let vm = open(&test_vm);
    start(&vm);
    let _stopped = Stopped(vm.clone());
    let mut console = Console::of(&vm);
    console.wait_for("guest-ready");
    console.run(
        "disk() { for d in /sys/block/sd*; do [ $(cat $d/size) = $1 ] && echo /dev/${d##*/}; done; }; \
         put() { echo $1 >/disk/a; for s in 16384 24576; do echo $1-$s | dd of=$(disk $s) conv=fsync; done; sync; }; \
         get() { echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; for s in 16384 24576; do head -n1 $(disk $s); done; }; \
         put one; word=kept; echo set-$word",
        "set-kept",
    );
    let dir = vm.path().parent().unwrap();
    let unfinished = |vm: &Vm| {
        let mut names = memories(vm.path().parent().unwrap());
        names.extend(
            vm.snapshots()
                .unwrap()
                .snapshots
                .into_iter()
                .map(|s| s.name),
        );
        names
    };
    for save in [suspend as Saving, take_live] {
        let began = std::time::Instant::now();
        let error = save(&vm, &cancelled_job()).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled, "{error}");
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
        assert_eq!(state(&vm), PowerState::On);
        assert!(unfinished(&vm).is_empty(), "{:?}", unfinished(&vm));
        let said = without_ticks(&console.run("get; echo on-$word", "on-kept"));
        assert!(said.contains("one-16384\r\none-24576\r\n"), "{said}");
    }

    let told = Arc::new(Mutex::new(Vec::new()));
    let known = Arc::clone(&told);
    let job = Job::observed(move |progress| known.lock().unwrap().push(progress.percent()));
    suspend(&vm, &job).unwrap();
    let told = told.lock().unwrap();
    assert!(told.is_sorted() && told.last() == Some(&100), "{told:?}");
    assert_eq!(memories(dir).len(), 1);
    start(&vm);
    let said = Console::of(&vm).run("get; put two; get; echo is-$word", "is-kept");
    let said = without_ticks(&said);
    for word in ["one", "two"] {
        let lines = format!("{word}\r\n{word}-16384\r\n{word}-24576\r\n");
        assert!(said.contains(&lines), "{said}");
    }
}
