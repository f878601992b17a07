//! Linked clones that become full ones: what they held is theirs, and what they stood on is free.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use replix::clone::{CloneKind, CloneSpec, DeleteSpec, PromoteSpec};
use replix::power::StopMode;
use replix::snapshot::{NewSnapshot, SnapshotRef};
use replix::vm::PowerState;
use replix::{Kind, Vm};
use replix_testkit::{
    Content, DiskType, VmBuilder, folder, qemu_img, qemu_io, same_content, tree_of,
};

use crate::console::{Console, talkative};
use crate::guests::{skip, start, state, stop};
use crate::running::Stopped;
use crate::vms::*;

fn promote(vm: &Vm) -> replix::clone::Promoted {
    vm.promote(PromoteSpec::default()).wait().unwrap()
}

/// Keeps a copy of what a VM's first disk reads as.
fn copy_of(vm: &Vm, copy: &Path) {
    let disk = &disks(vm)[0];
    qemu_img([
        "convert",
        "-O",
        "vmdk",
        disk.to_str().unwrap(),
        copy.to_str().unwrap(),
    ]);
}

fn assert_holds(vm: &Vm, copy: &Path) {
    let disk = &disks(vm)[0];
    assert!(same_content(disk, copy));
    let check = qemu_img(["check", "-f", "vmdk", disk.to_str().unwrap()]);
    assert!(check.contains("No errors"), "{check}");
}

fn delete(vm: &Vm) -> replix::Result<()> {
    let spec = DeleteSpec {
        disks: true,
        force: false,
    };
    vm.delete(spec).wait()
}

#[test]
fn promoted_clone_is_as_a_full_one() {
    for kind in DiskType::ALL {
        let library = folder();
        let parent = VmBuilder::new(library.path(), "base")
            .disk(kind, Content::Mixed(3), SMALL)
            .disk(DiskType::MonolithicSparse, Content::Mixed(4), SMALL)
            .line("scsi0:1.mode", "independent-persistent")
            .build();
        let base = open(&parent);
        snapshot(&base, "golden");
        let web = clone(&base, CloneKind::Linked, library.path(), "web");
        qemu_io(&disks(&web)[0], "write -P 7 1M 200k");
        let copy = library.path().join("copy.vmdk");
        copy_of(&web, &copy);
        let mut before = tree_of(&parent.dir);
        let done = promote(&web);
        assert_eq!((done.disks, done.parent.as_deref()), (1, Some(base.path())));
        assert!(done.bytes > 0 && done.bytes <= SMALL);

        let mut after = tree_of(&parent.dir);
        before.remove(Path::new("base.vmsd"));
        after.remove(Path::new("base.vmsd"));
        assert_eq!(before, after, "{kind:?}: the parent changed");
        assert!(base.info().unwrap().clones.is_empty());
        let info = web.info().unwrap();
        assert_eq!((info.clone_of, info.disks[0].depth), (None, 1));
        assert_eq!(info.warnings, [""; 0]);
        assert_eq!(fs::read(web.path().with_extension("vmsd")).unwrap(), b"");
        let config = fs::read_to_string(web.path()).unwrap();
        assert!(!config.contains("fileSearchPath"), "{config}");
        let descriptor = qemu_img(["info", disks(&web)[0].to_str().unwrap()]);
        let own_type = format!("create type: {}", kind.word());
        assert!(descriptor.contains(&own_type), "{descriptor}");

        delete(&base).unwrap();
        assert!(!parent.dir.exists());
        assert_holds(&web, &copy);
        let second = clone(&web, CloneKind::Linked, library.path(), "second");
        assert_same_disks(&web, &second);
        promote(&second);
        delete(&web).unwrap();
        delete(&second).unwrap();
        let left: Vec<_> = tree_of(library.path()).into_keys().collect();
        assert_eq!(left, [Path::new("copy.vmdk")]);
    }
}

#[test]
fn snapshots_of_the_clone_stay() {
    let library = folder();
    let base = open(&simple(library.path(), "base"));
    let web = clone(&base, CloneKind::Linked, library.path(), "web");
    let copies: Vec<_> = (0..3)
        .map(|n| library.path().join(format!("copy{n}.vmdk")))
        .collect();
    for (n, copy) in copies.iter().enumerate() {
        qemu_io(&disks(&web)[0], &format!("write -P {n} {}k 100k", n * 300));
        copy_of(&web, copy);
        if n < 2 {
            snapshot(&web, ["a", "b"][n]);
        }
    }
    promote(&web);
    delete(&base).unwrap();
    assert_holds(&web, &copies[2]);
    assert_eq!(web.info().unwrap().disks[0].depth, 3);
    for (name, copy) in [("a", 0), ("b", 1)] {
        web.revert(SnapshotRef::Name(name.into())).wait().unwrap();
        assert_holds(&web, &copies[copy]);
    }
}

#[test]
fn clones_of_the_clone_read_as_before() {
    let library = folder();
    let base = open(&simple(library.path(), "base"));
    let web = clone(&base, CloneKind::Linked, library.path(), "web");
    qemu_io(&disks(&web)[0], "write -P 5 2M 100k");
    let second = clone(&web, CloneKind::Linked, library.path(), "second");
    qemu_io(&disks(&second)[0], "write -P 6 3M 100k");
    let copy = library.path().join("copy.vmdk");
    copy_of(&second, &copy);
    promote(&web);
    delete(&base).unwrap();
    assert_holds(&second, &copy);
    assert_eq!(
        second.info().unwrap().clone_of.as_deref(),
        web.path().to_str()
    );
    promote(&second);
    delete(&web).unwrap();
    assert_holds(&second, &copy);
}

#[test]
fn clone_in_its_parents_folder_is_told_from_it() {
    let library = folder();
    let parent = simple(library.path(), "base");
    let base = open(&parent);
    let spec = CloneSpec::new(CloneKind::Linked, parent.file("web.vmx"));
    let web = base.clone_to(spec).wait().unwrap().vm;
    let copy = library.path().join("copy.vmdk");
    copy_of(&web, &copy);
    assert_eq!(promote(&web).disks, 1);
    assert_eq!(promote(&web).disks, 0);
    delete(&base).unwrap();
    assert_holds(&web, &copy);
}

#[test]
fn vm_that_stands_on_no_other_is_left_as_it_is() {
    let library = folder();
    let test_vm = simple(library.path(), "base");
    let vm = open(&test_vm);
    snapshot(&vm, "a");
    let before = tree_of(&test_vm.dir);
    assert_eq!(promote(&vm), replix::clone::Promoted::default());
    assert_eq!(tree_of(&test_vm.dir), before);
}

#[test]
fn cancelled_promotion_leaves_a_linked_clone() {
    let library = folder();
    let parent = VmBuilder::new(library.path(), "base")
        .disk(DiskType::MonolithicSparse, Content::Random(5), 96 << 20)
        .build();
    let web = clone(&open(&parent), CloneKind::Linked, library.path(), "web");
    let before = tree_of(library.path());
    let promoting = web.promote(PromoteSpec::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    while promoting.job().progress().done_bytes == 0 && !promoting.is_done() {
        assert!(Instant::now() < deadline, "nothing is copied");
        std::thread::sleep(Duration::from_millis(1));
    }
    let busy = delete(&web);
    promoting.job().cancel();
    let (Err(busy), Err(error)) = (busy, promoting.wait()) else {
        println!("skipped: the copy was faster than the look at it");
        return;
    };
    assert_eq!(error.kind(), Kind::Cancelled, "{error}");
    assert_eq!(busy.kind(), Kind::FileLocked, "{busy}");
    assert_eq!(tree_of(library.path()), before);
}

#[test]
fn base_made_for_the_clone_goes_where_that_is_wanted() {
    for wanted in [true, false] {
        let library = folder();
        let parent = simple(library.path(), "base");
        let base = open(&parent);
        let web = clone(&base, CloneKind::Linked, library.path(), "web");
        let spec = PromoteSpec {
            remove_base: wanted,
        };
        web.promote(spec).wait().unwrap();
        assert_eq!(base.snapshots().unwrap().snapshots.is_empty(), wanted);
        assert_same_disks(&base, &web);
    }
}

#[test]
fn clone_becomes_independent_while_its_guest_runs() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let base = open(&talkative(library.path(), &image, "scsi0:0", &[]));
    let web = clone(&base, CloneKind::Linked, library.path(), "web");
    start(&web);
    let stopped = Stopped(web.clone());
    let mut console = Console::of(&web);
    console.wait_for("guest-ready");
    console.run(
        "word=kept; echo then >/disk/a; sync; echo did-$word",
        "did-kept",
    );
    let promoting = web.promote(PromoteSpec::default());
    let job = promoting.job().clone();
    assert_eq!(promoting.wait().unwrap().disks, 1);
    assert_eq!(state(&web), PowerState::On);
    assert!(job.warnings().iter().any(|one| one.contains("consolidate")));
    delete(&base).unwrap();
    let said = console.run(
        "echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo now >/disk/b; sync; echo still-$word",
        "still-kept",
    );
    assert!(said.contains("then"), "{said}");
    stop(&web);
    drop(stopped);
    assert_eq!(web.info().unwrap().disks[0].depth, 2);
    assert_eq!(web.consolidate().wait().unwrap().links, 1);
    assert_eq!(web.info().unwrap().disks[0].depth, 1);
    start(&web);
    let _stopped = Stopped(web.clone());
    let mut console = Console::of(&web);
    console.wait_for("boots=2 ");
    let said = console.run("cat /disk/a /disk/b; echo up-$((1+1))", "up-2");
    assert!(said.contains("then") && said.contains("now"), "{said}");
}

#[test]
fn suspended_clone_goes_on_with_its_memory() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let base = open(&talkative(library.path(), &image, "scsi0:0", &[]));
    let web = clone(&base, CloneKind::Linked, library.path(), "web");
    start(&web);
    let _stopped = Stopped(web.clone());
    let mut console = Console::of(&web);
    console.wait_for("guest-ready");
    console.run(
        "word=kept; echo then >/disk/a; sync; echo did-$word",
        "did-kept",
    );
    let live = NewSnapshot {
        name: "live".into(),
        with_memory: true,
        ..NewSnapshot::default()
    };
    let uid = web.create_snapshot(live).wait().unwrap().uid;
    console.run(
        "word=later; echo now >/disk/a; sync; echo did-$word",
        "did-later",
    );
    web.suspend(StopMode::Hard).wait().unwrap();
    assert_eq!(promote(&web).disks, 1);
    delete(&base).unwrap();
    assert_eq!(state(&web), PowerState::Suspended);
    start(&web);
    let drop_caches = "echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo is-$word";
    let said = Console::of(&web).run(drop_caches, "is-later");
    assert!(said.contains("now"), "{said}");
    web.revert(SnapshotRef::Uid(uid)).wait().unwrap();
    let said = Console::of(&web).run(drop_caches, "is-kept");
    assert!(said.contains("then"), "{said}");
}

#[test]
fn disk_that_a_running_clone_stands_on_is_not_exchanged() {
    let Some(image) = skip("boot.vmdk") else {
        return;
    };
    let library = folder();
    let base = open(&talkative(library.path(), &image, "scsi0:0", &[]));
    let web = clone(&base, CloneKind::Linked, library.path(), "web");
    let second = clone(&web, CloneKind::Linked, library.path(), "second");
    let _stopped = crate::running::start_paused(&second);
    let before = tree_of(web.path().parent().unwrap());
    let error = web.promote(PromoteSpec::default()).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::Busy, "{error}");
    assert!(error.to_string().contains("second.vmx"), "{error}");
    assert_eq!(tree_of(web.path().parent().unwrap()), before);
}

#[test]
fn promotion_outlives_the_machine() {
    let library = folder();
    let parent = replix_testkit::ticking(library.path(), "base")
        .disk(DiskType::MonolithicSparse, Content::Random(5), 192 << 20)
        .build();
    let base = open(&parent);
    let web = clone(&base, CloneKind::Linked, library.path(), "web");
    let spec = replix::power::StartSpec::default();
    if web
        .power_on(spec)
        .wait()
        .is_err_and(|e| e.kind() == Kind::NoHypervisor)
    {
        return;
    }
    let _stopped = Stopped(web.clone());
    let promoting = web.promote(PromoteSpec::default());
    let deadline = Instant::now() + Duration::from_secs(60);
    while promoting.job().progress().done_bytes == 0 && !promoting.is_done() {
        assert!(Instant::now() < deadline, "nothing is copied");
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = crate::guests::pid_of(&web);
    replix_testkit::peer("kill", ["-KILL", &pid.to_string()]);
    assert_eq!(promoting.wait().unwrap().disks, 2);
    crate::guests::await_off(&web);
    delete(&base).unwrap();
    // One link each, unless the copies were there before the machine was gone.
    web.consolidate().wait().unwrap();
    assert_eq!(web.info().unwrap().disks[0].depth, 1);
    start(&web);
    stop(&web);
}
