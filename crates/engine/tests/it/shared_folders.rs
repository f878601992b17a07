//! Folders of the host that a guest sees: those that its user shares with it, and no others.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use replix::clone::{CloneKind, DeleteSpec};
use replix::guest::{GuestAnswer, GuestCall};
use replix::power::{StartSpec, StopMode};
use replix::snapshot::{NewSnapshot, SnapshotRef};
use replix::vm::{DeviceInfo, Fit, PowerState, Settings};
use replix::{Host, Kind, Result, Vm};
use replix_testkit::{TestVm, VmBuilder, folder, peer};

use crate::agent::wait_for_tools;
use crate::guest_operations::ask_as;
use crate::guests::{guest, pid_of, skip, start, state, stop};
use crate::running::{Stopped, start_paused};
use crate::vms::*;

fn ask(vm: &Vm, call: GuestCall) -> Result<GuestAnswer> {
    vm.guest(None, call).wait()
}

fn add(vm: &Vm, name: &str, host_path: &Path, writable: bool) -> Result<GuestAnswer> {
    let (name, host_path) = (name.into(), host_path.into());
    ask(
        vm,
        GuestCall::AddSharedFolder {
            name,
            host_path,
            writable,
        },
    )
}

fn set(vm: &Vm, name: &str, host_path: &Path, writable: bool) -> Result<GuestAnswer> {
    let (name, host_path) = (name.into(), host_path.into());
    ask(
        vm,
        GuestCall::SetSharedFolder {
            name,
            host_path,
            writable,
        },
    )
}

fn remove(vm: &Vm, name: &str) -> Result<GuestAnswer> {
    ask(vm, GuestCall::RemoveSharedFolder { name: name.into() })
}

fn switch(vm: &Vm, enabled: bool, runtime: bool) -> Result<GuestAnswer> {
    ask(vm, GuestCall::EnableSharedFolders { enabled, runtime })
}

/// Whether a script of the guest's superuser succeeds.
fn succeeds(vm: &Vm, script: &str) -> bool {
    let call = GuestCall::RunScript {
        interpreter: Some("/bin/sh".into()),
        text: script.into(),
        return_immediately: false,
        activate_window: false,
    };
    match ask_as(vm, "root", call).unwrap() {
        GuestAnswer::Process { exit_code, .. } => exit_code == 0,
        other => panic!("{other:?}"),
    }
}

/// Has a program of the guest stay in a folder, until it is ended.
fn enter(vm: &Vm, dir: &str) {
    let stay = format!(
        "(cd {dir} && exec sleep 600) >/dev/null 2>&1 & echo $! >/tmp/stays; sleep 0.2; test -d /proc/$!"
    );
    assert!(succeeds(vm, &stay));
}

fn leave(vm: &Vm) {
    assert!(succeeds(vm, "kill $(cat /tmp/stays) && sleep 0.2"));
}

/// The arguments of the machine of a VM.
fn arguments(vm: &Vm) -> String {
    let line = fs::read(format!("/proc/{}/cmdline", pid_of(vm))).unwrap();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn is_served(vm: &Vm, slot: u8) -> bool {
    arguments(vm).contains(&format!("virtio-9p-pci,id=hgfs{slot},"))
}

fn host_folder(at: &Path, name: &str) -> std::path::PathBuf {
    let dir = at.join(name);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("from-host"), format!("{name}\n")).unwrap();
    dir
}

#[test]
fn guest_sees_what_its_user_shares_and_stays_in_it() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let [written, read] = ["written", "read"].map(|name| host_folder(library.path(), name));
    let outside = library.path().join("outside");
    fs::write(&outside, "outside\n").unwrap();
    symlink(&outside, written.join("link-of-host")).unwrap();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    add(&vm, "x", &written, true).unwrap();
    add(&vm, "a b", &read, false).unwrap();
    // What is written to elsewhere may be read alone here.
    add(&vm, "again", &written, false).unwrap();
    start(&vm);
    let _stopped = Stopped(vm.clone());
    wait_for_tools(&vm);

    assert!(succeeds(
        &vm,
        "test \"$(cat /mnt/hgfs/x/from-host)\" = written"
    ));
    assert!(succeeds(
        &vm,
        "test \"$(cat '/mnt/hgfs/a b/from-host')\" = read"
    ));
    assert!(succeeds(&vm, "echo hello >/mnt/hgfs/x/from-guest"));
    assert!(succeeds(&vm, "grep -q hello /mnt/hgfs/again/from-guest"));
    assert!(!succeeds(&vm, "echo more >>/mnt/hgfs/again/from-guest"));
    assert_eq!(
        fs::read_to_string(written.join("from-guest")).unwrap(),
        "hello\n"
    );
    for change in [
        "echo no >'/mnt/hgfs/a b/from-guest'",
        "rm '/mnt/hgfs/a b/from-host'",
    ] {
        assert!(!succeeds(&vm, change), "{change}");
    }
    // The guest's other users see what its mode lets them.
    let seen = GuestCall::FileExists {
        path: "/mnt/hgfs/x/from-host".into(),
    };
    assert_eq!(ask_as(&vm, "bob", seen).unwrap(), GuestAnswer::Exists(true));

    // Not even one that mounts it anew may write.
    let anew = "cd / && umount '/mnt/hgfs/a b' && mount -t 9p -o trans=virtio,version=9p2000.L hgfs1 '/mnt/hgfs/a b'";
    assert!(succeeds(&vm, anew));
    assert!(!succeeds(&vm, "echo no >'/mnt/hgfs/a b/from-guest'"));
    assert_eq!(fs::read_dir(&read).unwrap().count(), 1);

    // What the guest makes is a plain file of the host's, whatever it is in the guest.
    let made = "cd /mnt/hgfs/x && ln -s /etc/passwd link && ln -s ../../../.. up && mknod disk b 8 0 \
                && touch mine && chown 1000:1000 mine && chmod 4755 mine && test -u mine && test -L link";
    assert!(succeeds(&vm, made));
    for name in ["link", "up", "disk", "mine"] {
        let found = fs::symlink_metadata(written.join(name)).unwrap();
        assert!(found.is_file(), "{name}: {found:?}");
        assert_eq!(found.permissions().mode() & 0o7000, 0, "{name}");
        assert_eq!(
            found.uid(),
            fs::metadata("/proc/self").unwrap().uid(),
            "{name}"
        );
    }
    // The host's own link leads the guest to its own files.
    assert!(succeeds(&vm, "test -L /mnt/hgfs/x/link-of-host"));
    assert!(!succeeds(&vm, "cat /mnt/hgfs/x/link-of-host"));
    assert!(!succeeds(
        &vm,
        "cat /mnt/hgfs/x/up/etc/hostname || cat /mnt/hgfs/x/../../../../../outside"
    ));

    // It is there again after a reboot.
    vm.reset(StopMode::Soft).wait().unwrap();
    wait_for_tools(&vm);
    assert!(succeeds(
        &vm,
        "test \"$(cat /mnt/hgfs/x/from-guest)\" = hello"
    ));
    stop(&vm);
}

#[test]
fn folders_come_and_go_while_the_guest_runs() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let [one, two] = ["one", "two"].map(|name| host_folder(library.path(), name));
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    start(&vm);
    let _stopped = Stopped(vm.clone());
    wait_for_tools(&vm);
    assert!(!succeeds(&vm, "test -e /mnt/hgfs"));
    let sees = |words: &str| {
        succeeds(
            &vm,
            &format!("test \"$(cat /mnt/hgfs/*/from-host)\" = '{words}'"),
        )
    };

    add(&vm, "s", &one, true).unwrap();
    assert!(sees("one"));
    assert!(succeeds(&vm, "echo 1 >/mnt/hgfs/s/n"));
    assert_eq!(
        add(&vm, "s", &two, true).unwrap_err().kind(),
        Kind::NameTaken
    );
    set(&vm, "s", &two, false).unwrap();
    assert!(sees("two"));
    assert!(!succeeds(&vm, "echo 1 >/mnt/hgfs/s/n"));
    add(&vm, "t", &one, false).unwrap();
    assert!(sees("two\none"));
    assert_eq!(
        ask(&vm, GuestCall::CountSharedFolders).unwrap(),
        GuestAnswer::Count(2)
    );

    // What is in use stays, and so does everything else.
    let before = fs::read(vm.path()).unwrap();
    enter(&vm, "/mnt/hgfs/s");
    for refused in [
        remove(&vm, "s"),
        set(&vm, "s", &one, true),
        switch(&vm, false, false),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), Kind::Busy, "{error}");
        assert!(
            error.to_string().contains("\"s\" (sharedFolder0)"),
            "{error}"
        );
    }
    assert_eq!(fs::read(vm.path()).unwrap(), before);
    assert!(sees("two\none"));
    leave(&vm);
    remove(&vm, "s").unwrap();
    assert!(sees("one"));
    assert!(succeeds(&vm, "test ! -e /mnt/hgfs/s"));

    // As docker-machine does.
    assert!(succeeds(
        &vm,
        "mkdir /tmp/b && mount -o bind /mnt/hgfs/t /tmp/b"
    ));
    let error = vm.suspend(StopMode::Hard).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::Busy, "{error}");
    assert!(error.to_string().contains("another place"), "{error}");
    assert!(sees("one") && succeeds(&vm, "umount /tmp/b"));

    switch(&vm, false, true).unwrap();
    assert!(succeeds(&vm, "test ! -e /mnt/hgfs/t"));
    switch(&vm, true, true).unwrap();
    assert!(sees("one"));
    switch(&vm, false, false).unwrap();
    assert!(succeeds(&vm, "test ! -e /mnt/hgfs/t"));
    stop(&vm);
    let _paused = start_paused(&vm);
    assert!(!is_served(&vm, 1));
}

#[test]
fn shared_folders_do_not_hinder_suspending() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let shared = host_folder(library.path(), "shared");
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    start(&vm);
    let _stopped = Stopped(vm.clone());
    wait_for_tools(&vm);
    // At another place of the bus than the first one would have from the start.
    add(&vm, "first", library.path(), false).unwrap();
    add(&vm, "s", &shared, true).unwrap();
    remove(&vm, "first").unwrap();
    let sees = || {
        succeeds(
            &vm,
            "test \"$(cat /mnt/hgfs/s/from-host)\" = shared && echo 1 >>/mnt/hgfs/s/n",
        )
    };
    assert!(sees());

    vm.suspend(StopMode::Hard).wait().unwrap();
    assert_eq!(state(&vm), PowerState::Suspended);
    let refused = remove(&vm, "s").unwrap_err();
    assert_eq!(refused.kind(), Kind::VmRunning);
    start(&vm);
    assert!(is_served(&vm, 1));
    assert!(sees());
    let live = NewSnapshot {
        name: "live".into(),
        with_memory: true,
        ..NewSnapshot::default()
    };
    vm.create_snapshot(live.clone()).wait().unwrap();
    assert!(sees());

    // What holds a folder is named, and nothing is changed.
    enter(&vm, "/mnt/hgfs/s");
    let before = fs::read(vm.path()).unwrap();
    let refused = [
        vm.suspend(StopMode::Hard).wait(),
        vm.create_snapshot(live.clone()).wait().map(drop),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.kind(), Kind::Busy, "{error}");
        assert!(
            error.to_string().contains("\"s\" (sharedFolder1)"),
            "{error}"
        );
    }
    vm.pause().wait().unwrap();
    let error = vm.suspend(StopMode::Hard).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    assert!(error.to_string().contains("paused"), "{error}");
    vm.unpause().wait().unwrap();
    assert_eq!(fs::read(vm.path()).unwrap(), before);
    assert!(sees());
    // Without its memory it can be taken all the same.
    let disks = NewSnapshot {
        name: "disks".into(),
        ..NewSnapshot::default()
    };
    vm.create_snapshot(disks).wait().unwrap();
    leave(&vm);

    // A folder that went is none for the machine that comes back.
    fs::rename(&shared, library.path().join("away")).unwrap();
    vm.revert(SnapshotRef::Name("live".into())).wait().unwrap();
    assert_eq!(state(&vm), PowerState::On);
    assert!(succeeds(&vm, "! test -e /mnt/hgfs/s/from-host"));
    let away = fs::read_to_string(library.path().join("away/n")).unwrap();
    assert_eq!(away, "1\n1\n1\n1\n");
    stop(&vm);
}

/// A VM that names a folder nobody shared with it, to be written to.
fn wishing(library: &Path, name: &str, host_path: &Path) -> TestVm {
    VmBuilder::new(library, name)
        .line("sharedFolder0.present", "TRUE")
        .line("sharedFolder0.enabled", "TRUE")
        .line("sharedFolder0.readAccess", "TRUE")
        .line("sharedFolder0.writeAccess", "TRUE")
        .line("sharedFolder0.hostPath", host_path.to_str().unwrap())
        .line("sharedFolder0.guestName", "wish")
        .build()
}

/// What is told of a VM's first shared folder.
fn device(vm: &Vm) -> DeviceInfo {
    let devices = vm.info().unwrap().devices.into_iter();
    let mut found = devices.filter(|device| device.device == "sharedFolder0");
    found.next().unwrap()
}

#[test]
fn what_a_configuration_merely_says_is_not_served() {
    let library = folder();
    let shared = host_folder(library.path(), "shared");
    let test_vm = wishing(library.path(), "evil", Path::new("/etc"));
    let vm = open(&test_vm);
    let told = device(&vm);
    assert_eq!(told.fit, Fit::Missing);
    let why = told.remark.unwrap();
    assert!(
        why.contains("you did not share") && why.contains("\"/etc\""),
        "{why}"
    );
    let starting = vm.power_on(StartSpec {
        paused: true,
        ..StartSpec::default()
    });
    starting.wait().unwrap();
    let _stopped = Stopped(vm.clone());
    assert!(!is_served(&vm, 0));
    let log = fs::read_to_string(test_vm.file("vmware.log")).unwrap();
    assert!(log.contains("you did not share"), "{log}");
    // Nor is it once something else is shared.
    add(&vm, "s", &shared, false).unwrap();
    let links = crate::guest_lies::runtime_of(&vm).join("shares");
    let links: Vec<_> = fs::read_dir(links)
        .unwrap()
        .map(|link| link.unwrap().path())
        .collect();
    assert_eq!(links.len(), 1, "{links:?}");
    assert_eq!(
        fs::read_link(&links[0]).unwrap(),
        shared.canonicalize().unwrap()
    );
    stop(&vm);
    // The user may say so.
    set(&vm, "wish", Path::new("/etc"), false).unwrap();
    assert_eq!(device(&vm).fit, Fit::Substitute);
    for name in ["wish", "s"] {
        remove(&vm, name).unwrap();
    }
}

#[test]
fn folder_in_an_allowed_place_is_read() {
    let library = folder();
    let shared = host_folder(library.path(), "shared");
    let test_vm = wishing(library.path(), "base", &shared);
    assert_eq!(device(&open(&test_vm)).fit, Fit::Missing);
    let settings = Settings {
        allow: vec![library.path().into()],
        ..Settings::default()
    };
    let vm = Host::local_with(settings).open(&test_vm.vmx).unwrap();
    let told = device(&vm);
    assert_eq!(told.fit, Fit::Substitute);
    assert!(told.remark.unwrap().contains("read-only"));
    let _stopped = start_paused(&vm);
    assert!(arguments(&vm).contains("virtio-9p-pci,id=hgfs0,fsdev=hgfs0r,"));
}

#[test]
fn clone_is_shared_what_its_source_is() {
    let library = folder();
    let shared = host_folder(library.path(), "shared");
    let vm = open(&simple(library.path(), "base"));
    add(&vm, "s", &shared, true).unwrap();
    let fit = |vm: &Vm| device(vm).fit;
    let full = clone(&vm, CloneKind::Full, library.path(), "full");
    let linked = clone(&vm, CloneKind::Linked, library.path(), "linked");
    assert_eq!(
        (fit(&full), fit(&linked)),
        (Fit::Substitute, Fit::Substitute)
    );
    // The clones' folders are their own.
    remove(&vm, "s").unwrap();
    assert_eq!(
        (fit(&full), fit(&linked)),
        (Fit::Substitute, Fit::Substitute)
    );
    // Of a copy that nobody made through us nothing is known, nor of another VM in the place of a deleted one.
    let from = full.path().parent().unwrap();
    let copy = library.path().join("copy");
    let copied = peer("cp", ["-r".as_ref(), from.as_os_str(), copy.as_os_str()]);
    assert!(copied.status.success());
    let copy = host().open(copy.join("full.vmx")).unwrap();
    assert_eq!(fit(&copy), Fit::Missing);
    let place = full.path().to_path_buf();
    let all = DeleteSpec {
        disks: true,
        force: false,
    };
    full.delete(all).wait().unwrap();
    fs::rename(copy.path().parent().unwrap(), place.parent().unwrap()).unwrap();
    assert_eq!(fit(&host().open(&place).unwrap()), Fit::Missing);
    remove(&linked, "s").unwrap();
}

#[test]
fn another_users_qemu_serves_what_that_user_may_use() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return replix_testkit::skip("only root can become another user");
    }
    let library = folder();
    fs::set_permissions(library.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let test_vm = simple(library.path(), "base");
    let [open_to_all, closed] = ["open", "closed"].map(|name| host_folder(library.path(), name));
    let give = |path: &Path| {
        let given = peer(
            "chown",
            ["-R".as_ref(), "nobody".as_ref(), path.as_os_str()],
        );
        assert!(given.status.success());
    };
    give(&test_vm.dir);
    give(&open_to_all);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let settings = Settings {
        user: Some("nobody".into()),
        ..Settings::default()
    };
    let vm = Host::local_with(settings).open(&test_vm.vmx).unwrap();
    add(&vm, "open", &open_to_all, true).unwrap();
    {
        let _stopped = start_paused(&vm);
        assert!(is_served(&vm, 0));
        // While it runs as well.
        let error = add(&vm, "closed", &closed, false).unwrap_err();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
        assert!(error.to_string().contains("closed"), "{error}");
        assert_eq!(
            ask(&vm, GuestCall::CountSharedFolders).unwrap(),
            GuestAnswer::Count(1)
        );
        stop(&vm);
    }
    add(&vm, "closed", &closed, false).unwrap();
    let error = vm.power_on(StartSpec::default()).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    let text = error.to_string();
    assert!(
        text.contains("\"nobody\"") && text.contains("closed"),
        "{text}"
    );
    assert_eq!(state(&vm), PowerState::Off);
    for name in ["open", "closed"] {
        remove(&vm, name).unwrap();
    }
}
