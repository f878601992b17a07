//! Guests that really boot: which disk, which moment, whose address; and what is left after.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use replix::clone::{CloneKind, CloneSpec};
use replix::disk::{DiskCall, DiskFormat};
use replix::power::{StartSpec, StopMode};
use replix::vm::{Accelerator, PowerState, Settings, Verdict};
use replix::{Host, Job, Kind, Vm};
use replix_testkit::{
    DiskType, TestVm, VmBuilder, folder, guest_file, qemu_io, set_marker, tree_of,
};

use crate::example::clone_and_start;
use crate::running::Stopped;
use crate::vms::*;

/// A guest on a loaded machine, emulated.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A VM around one of the test guests' disks, its serial port in a file.
pub fn guest(
    library: &Path,
    name: &str,
    image: &Path,
    node: &str,
    lines: &[(&str, &str)],
) -> TestVm {
    let builder = VmBuilder::new(library, name)
        .disk_from(node, DiskType::MonolithicSparse, image, "vmdk")
        .line("memsize", "128")
        .line("serial0.present", "TRUE")
        .line("serial0.fileType", "file")
        .line("serial0.fileName", "serial.txt")
        .line("ethernet0.present", "TRUE")
        .line("ethernet0.virtualDev", "vmxnet3")
        .line("ethernet0.connectionType", "nat")
        .line("ethernet0.addressType", "generated");
    lines
        .iter()
        .fold(builder, |builder, (key, value)| builder.line(key, value))
        .build()
}

/// Powers a VM on.
pub fn start(vm: &Vm) {
    vm.power_on(StartSpec::default()).wait().unwrap();
}

/// Cuts a VM's power.
pub fn stop(vm: &Vm) {
    vm.power_off(StopMode::Hard).wait().unwrap();
}

/// The power state that the VM shows.
pub fn state(vm: &Vm) -> PowerState {
    vm.info().unwrap().state
}

/// Waits until the guest has said `wanted` on its serial port; returns all that it said.
pub fn said(vm: &Vm, wanted: &str) -> String {
    let file = vm.path().with_file_name("serial.txt");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read(&file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        if text.contains(wanted) {
            return text;
        }
        assert!(
            Instant::now() < deadline,
            "{file:?} has no {wanted:?}: {text}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The process of a VM that runs, as its log tells.
pub fn pid_of(vm: &Vm) -> u32 {
    let log = std::fs::read_to_string(vm.path().with_file_name("vmware.log")).unwrap();
    let told = log
        .split(" pid=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    told.unwrap().parse().unwrap()
}

/// Waits until a guest that powers itself off has done so.
pub fn await_off(vm: &Vm) {
    let deadline = Instant::now() + PATIENCE;
    while state(vm) != PowerState::Off || vm.path().with_extension("vmx.lck").exists() {
        assert!(Instant::now() < deadline, "{:?} does not end", vm.path());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The path of a test guest's file; where it is missing, that is said.
pub fn skip(what: &str) -> Option<PathBuf> {
    let image = guest_file(what);
    if image.is_none() {
        println!("skipped: no test guests ($REPLIX_TEST_GUEST; cargo xtask guest)");
    }
    image
}

/// Has a VM boot for the first time since its disk was given this marker.
fn boots_first(vm: &Vm, marker: &str) {
    start(vm);
    let _stopped = Stopped(vm.clone());
    let text = said(vm, "guest-ready");
    assert!(
        text.contains(&format!("marker={marker} boots=1 ")),
        "{text}"
    );
}

#[test]
fn vm_on_a_stream_runs_by_its_clones_and_its_snapshot() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let test_vm = guest(library.path(), "base", &image, "scsi0:0", &[]);
    let base = open(&test_vm);
    let disk = disks(&base)[0].clone();
    set_marker(&disk, "streamed");
    let stream = disk.with_file_name("stream.vmdk");
    let call = DiskCall::Convert {
        to: stream.clone(),
        format: DiskFormat::StreamOptimized { level: None },
    };
    host().provider().disk(&disk, &call, &Job::new()).unwrap();
    std::fs::rename(&stream, &disk).unwrap();
    let bytes = std::fs::read(&disk).unwrap();

    let refused = base.power_on(StartSpec::default()).wait().unwrap_err();
    assert_eq!(refused.kind(), Kind::DiskUnsupported);
    assert!(refused.to_string().contains("cannot be written to"));
    let full = clone(&base, CloneKind::Full, library.path(), "full");
    let linked = clone(&base, CloneKind::Linked, library.path(), "linked");
    // The linked clone's moment is a snapshot of the VM, which runs by it, too.
    for vm in [&full, &linked, &base] {
        boots_first(vm, "streamed");
    }
    assert!(std::fs::read(&disk).unwrap() == bytes);
}

#[test]
fn vm_on_a_disk_that_qemu_would_read_otherwise_runs_by_its_clones_and_its_snapshot() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let test_vm = guest(library.path(), "base", &image, "scsi0:0", &[]);
    let base = open(&test_vm);
    let disk = disks(&base)[0].clone();
    set_marker(&disk, "spelled");
    let split = disk.with_file_name("split.vmdk");
    let call = DiskCall::Convert {
        to: split.clone(),
        format: DiskFormat::SplitSparse,
    };
    host().provider().disk(&disk, &call, &Job::new()).unwrap();
    let text = std::fs::read_to_string(&split).unwrap();
    // Zeros behind the last part: without them QEMU's disk would be shorter.
    let text = text
        .replace("twoGbMaxExtentSparse", "2GbMaxExtentSparse")
        .replace("RW ", "rw ")
        .replace("SPARSE \"", "Sparse \"")
        .replace("\n\n# The Disk", "\nRW 2048 ZERO\n\n# The Disk");
    assert!(
        text.contains("Sparse \"split-s001.vmdk\"\nRW 2048 ZERO\n"),
        "{text}"
    );
    std::fs::remove_file(&split).unwrap();
    std::fs::write(&disk, &text).unwrap();
    let data = std::fs::read(disk.with_file_name("split-s001.vmdk")).unwrap();

    let refused = base.power_on(StartSpec::default()).wait().unwrap_err();
    assert_eq!(refused.kind(), Kind::DiskUnsupported);
    let said_no = base.info().unwrap().boot;
    assert_eq!(said_no.verdict, Verdict::No);
    assert!(
        said_no.reasons.concat().contains("2GbMaxExtentSparse"),
        "{said_no:?}"
    );
    let full = clone(&base, CloneKind::Full, library.path(), "full");
    let spec = CloneSpec::new(CloneKind::Linked, library.path().join("linked/linked.vmx"));
    let cloned = base.clone_to(spec).wait().unwrap();
    assert_eq!(cloned.report.warnings, [""; 0]);
    for vm in [&full, &cloned.vm, &base] {
        assert_eq!(vm.info().unwrap().boot.verdict, Verdict::Yes);
        boots_first(vm, "spelled");
    }
    assert_eq!(std::fs::read_to_string(&disk).unwrap(), text);
    assert!(std::fs::read(disk.with_file_name("split-s001.vmdk")).unwrap() == data);
}

#[test]
fn every_clone_boots_with_its_own_moment_and_address() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let test_vm = guest(library.path(), "base", &image, "scsi0:0", &[]);
    let base = open(&test_vm);
    for marker in ["one", "two", "three"] {
        set_marker(&disks(&base)[0], marker);
        snapshot(&base, marker);
    }
    set_marker(&disks(&base)[0], "four");
    let full = clone(&base, CloneKind::Full, library.path(), "full");
    let linked = clone(&base, CloneKind::Linked, library.path(), "linked");
    set_marker(&disks(&linked)[0], "five");
    let second = clone(&linked, CloneKind::Linked, library.path(), "second");
    let uid = base.snapshots().unwrap().snapshots[1].uid;
    let past = clone_of(&base, uid, CloneKind::Linked, library.path(), "past");
    let before = tree_of(&test_vm.dir);

    let clones = [
        (&full, "four"),
        (&linked, "five"),
        (&second, "five"),
        (&past, "two"),
    ];
    clones.iter().for_each(|(vm, _)| start(vm));
    let mut addresses = Vec::new();
    for (vm, marker) in clones {
        let text = said(vm, "guest-ready");
        assert!(
            text.contains(&format!("hello from guest marker={marker} boots=1 ")),
            "{text}"
        );
        let mac = vm.info().unwrap().nics[0].mac.clone().unwrap();
        assert!(text.contains(&format!("mac={mac} ")), "{mac}: {text}");
        assert_eq!(state(vm), PowerState::On);
        addresses.push(mac);
        stop(vm);
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 4);
    assert_eq!(
        before,
        tree_of(&test_vm.dir),
        "running clones changed their parent"
    );

    start(&base);
    assert!(said(&base, "guest-ready").contains("marker=four boots=1 "));
    stop(&base);
}

#[test]
fn copied_folder_starts_beside_its_original_with_its_own_address() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let original = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    let copy = library.path().join("copy");
    let from = original.path().parent().unwrap();
    let copied = replix_testkit::peer("cp", ["-r".as_ref(), from.as_os_str(), copy.as_os_str()]);
    assert!(copied.status.success());
    let copy = host().open(copy.join("base.vmx")).unwrap();
    let of = |vm: &Vm| {
        let info = vm.info().unwrap();
        (info.uuid_bios.unwrap(), info.nics[0].mac.clone())
    };
    let uuid = of(&original).0;
    start(&original);
    let _original = Stopped(original.clone());
    start(&copy);
    let _copy = Stopped(copy.clone());
    assert_eq!(of(&original).0, uuid);
    assert_ne!(of(&copy).0, uuid);
    for vm in [&original, &copy] {
        let mac = of(vm).1.unwrap();
        let text = said(vm, "guest-ready");
        assert!(text.contains(&format!("mac={mac} ")), "{mac}: {text}");
    }
    assert_ne!(of(&original).1, of(&copy).1);
    let identity = of(&copy);
    stop(&original);
    stop(&copy);
    // From now on it is a VM as any other.
    start(&copy);
    assert_eq!(of(&copy), identity);
    stop(&copy);
}

#[test]
fn example_clones_and_starts() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let base = guest(library.path(), "base", &image, "scsi0:0", &[]);
    let destination = vmx(library.path(), "web");
    let clone = clone_and_start(&base.vmx, &destination).unwrap();
    assert_eq!(clone.path(), destination);
    assert!(said(&clone, "guest-ready").contains("marker=base boots=1 "));
    assert_eq!(open(&base).snapshots().unwrap().snapshots[0].name, "Clone");
    let again = clone_and_start(&base.vmx, &destination).unwrap_err();
    stop(&clone);
    assert_eq!(again.kind(), Kind::FileExists);
}

#[test]
fn guest_boots_from_every_controller() {
    let Some(image) = skip("boot.vmdk") else {
        return;
    };
    for (node, lines) in [
        ("ide0:0", &[][..]),
        ("sata0:0", &[("sata0.present", "TRUE")][..]),
        ("nvme0:0", &[("nvme0.present", "TRUE")][..]),
        ("scsi0:0", &[][..]),
        (
            "scsi1:2",
            &[("scsi1.present", "TRUE"), ("scsi1.virtualDev", "lsilogic")][..],
        ),
        (
            "scsi1:0",
            &[
                ("scsi1.present", "TRUE"),
                ("scsi1.virtualDev", "lsisas1068"),
            ][..],
        ),
        (
            "scsi1:1",
            &[("scsi1.present", "TRUE"), ("scsi1.virtualDev", "buslogic")][..],
        ),
    ] {
        let library = folder();
        let base = open(&guest(library.path(), "base", &image, node, lines));
        let linked = clone(&base, CloneKind::Linked, library.path(), "web");
        start(&linked);
        said(&linked, "hello from guest marker=base");
        await_off(&linked);
    }
}

/// Whether QEMU by itself can make the machine's own processor on KVM: some machines have a device
/// that opens, and a KVM that lacks what QEMU sets.
fn kvm_takes_a_processor() -> Result<(), String> {
    let machine = "-accel kvm -cpu host -M q35 -nodefaults -display none -S -monitor stdio";
    let mut qemu = Command::new("qemu-system-x86_64")
        .args(machine.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    // One that has ended already takes no order.
    let _ = qemu.stdin.take().unwrap().write_all(b"quit\n");
    let output = qemu.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or_default()
            .to_string()),
    }
}

#[test]
fn settings_choose_kvm() {
    let Some(image) = skip("boot.vmdk") else {
        return;
    };
    if let Err(why) = kvm_takes_a_processor() {
        replix_testkit::skip(&format!("no KVM: {why}"));
        return;
    }
    let library = folder();
    let test_vm = guest(library.path(), "base", &image, "scsi0:0", &[]);
    let settings = Settings {
        accelerator: Some(Accelerator::Kvm),
        ..Settings::default()
    };
    let vm = Host::local_with(settings).open(&test_vm.vmx).unwrap();
    assert!(vm.info().unwrap().accelerator.unwrap().starts_with("kvm"));
    start(&vm);
    // Code of 16 bits runs even where KVM is too weak for a kernel.
    said(&vm, "hello from guest marker=base");
    await_off(&vm);
}

#[test]
fn efi_guest_boots_from_a_scsi_disk() {
    let Some(image) = skip("efi.vmdk") else {
        return;
    };
    let library = folder();
    let test_vm = guest(
        library.path(),
        "base",
        &image,
        "scsi0:0",
        &[("firmware", "efi"), ("memsize", "256")],
    );
    let base = open(&test_vm);
    assert!(
        base.info()
            .unwrap()
            .warnings
            .iter()
            .any(|warning| warning.contains("SATA"))
    );
    let linked = clone(&base, CloneKind::Linked, library.path(), "web");
    start(&linked);
    said(&linked, "guest-ready");
    stop(&linked);
    assert!(linked.path().with_file_name("web.efivars.nvram").exists());
}

#[test]
fn nothing_is_left_after_a_stop() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    let names = || {
        let mut names: Vec<PathBuf> = tree_of(library.path()).into_keys().collect();
        names.retain(|name| !name.ends_with("serial.txt") && !name.ends_with("vmware.log"));
        names
    };
    let before = names();
    let off = vm.power_off(StopMode::Hard).wait().unwrap_err();
    assert_eq!(off.kind(), Kind::VmNotRunning);
    start(&vm);
    assert_eq!(
        vm.power_on(StartSpec::default()).wait().unwrap_err().kind(),
        Kind::VmRunning
    );
    assert!(
        host()
            .running()
            .unwrap()
            .iter()
            .any(|other| other.path() == vm.path())
    );
    let whole = replix::clone::DeleteSpec {
        disks: true,
        force: true,
    };
    let refused = vm.delete(whole).wait().unwrap_err();
    assert_eq!(refused.kind(), Kind::VmRunning);
    stop(&vm);
    assert_eq!(before, names());
    assert!(
        !host()
            .running()
            .unwrap()
            .iter()
            .any(|other| other.path() == vm.path())
    );
}

#[test]
fn killed_machine_is_seen_as_off() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    start(&vm);
    replix_testkit::peer("kill", ["-9", &pid_of(&vm).to_string()]);
    await_off(&vm);
    start(&vm);
    stop(&vm);
}

#[test]
fn linked_clone_of_a_running_vms_snapshot_boots_beside_it() {
    let Some(image) = skip("boot.vmdk") else {
        return;
    };
    let Some(running) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let base = open(&guest(library.path(), "base", &running, "scsi0:0", &[]));
    let uid = snapshot(&base, "golden");
    start(&base);
    let linked = clone_of(&base, uid, CloneKind::Linked, library.path(), "web");
    let spec = |kind| replix::clone::CloneSpec::new(kind, vmx(library.path(), "no"));
    assert_eq!(
        try_clone(&base, spec(CloneKind::Full)).err(),
        Some(Kind::VmRunning)
    );
    assert_eq!(
        try_clone(&base, spec(CloneKind::Linked)).err(),
        Some(Kind::VmRunning)
    );
    start(&linked);
    said(&linked, "guest-ready");
    stop(&linked);
    stop(&base);
    drop(image);
}

#[test]
fn split_disk_with_names_of_another_case_boots() {
    let Some(image) = skip("boot.vmdk") else {
        return;
    };
    let library = folder();
    let test_vm = VmBuilder::new(library.path(), "base")
        .disk_from("scsi0:0", DiskType::TwoGbMaxExtentSparse, &image, "vmdk")
        .line("serial0.present", "TRUE")
        .line("serial0.fileType", "file")
        .line("serial0.fileName", "serial.txt")
        .build();
    std::fs::rename(
        test_vm.file("base-s001.vmdk"),
        test_vm.file("BASE-S001.VMDK"),
    )
    .unwrap();
    let vm = open(&test_vm);
    start(&vm);
    said(&vm, "hello from guest marker=base");
    await_off(&vm);
}

#[test]
fn linked_clone_copied_from_windows_boots() {
    let Some(image) = skip("boot.vmdk") else {
        return;
    };
    let library = folder();
    let test_vm = VmBuilder::new(library.path(), "Base")
        .disk_from("scsi0:0", DiskType::TwoGbMaxExtentSparse, &image, "vmdk")
        .line("serial0.present", "TRUE")
        .line("serial0.fileType", "file")
        .line("serial0.fileName", "serial.txt")
        .build();
    let base = open(&test_vm);
    set_marker(&disks(&base)[0], "windows");
    let linked = clone(&base, CloneKind::Linked, library.path(), "web");
    let edit = |file: PathBuf, changes: &[(&str, &str)]| {
        let text = std::fs::read_to_string(&file).unwrap();
        let changed = changes.iter().fold(text, |text, (old, new)| {
            assert!(text.contains(old), "{text}");
            text.replace(old, new)
        });
        std::fs::write(file, changed.replace('\n', "\r\n")).unwrap();
    };
    let here = library.path().to_str().unwrap();
    let web = library.path().join("web");
    edit(
        web.join("Base-cl1.vmdk"),
        &[("../Base/Base.vmdk", "D:\\VMs\\base\\BASE.vmdk")],
    );
    edit(
        web.join("web.vmx"),
        &[(&format!("{here}/Base"), "D:\\VMs\\base")],
    );
    edit(
        web.join("web.vmsd"),
        &[(&format!("{here}/Base/Base.vmx"), "D:\\VMs\\base\\base.vmx")],
    );
    start(&linked);
    said(&linked, "hello from guest marker=windows");
    await_off(&linked);
    let copy = clone(&linked, CloneKind::Full, library.path(), "copy");
    start(&copy);
    said(&copy, "hello from guest marker=windows");
    await_off(&copy);
}

#[test]
fn vm_on_a_touched_parent_is_not_started() {
    let library = folder();
    let test_vm = simple(library.path(), "base");
    let vm = open(&test_vm);
    snapshot(&vm, "s");
    qemu_io(&test_vm.file("base.vmdk"), "write -P 3 1M 64k");
    let error = vm.power_on(StartSpec::default()).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::DiskChanged);
    assert!(error.to_string().contains("base-000001.vmdk"), "{error}");
}

#[test]
fn output_outside_of_the_vm_is_refused() {
    let library = folder();
    let outside = library.path().join("outside.txt");
    let test_vm = VmBuilder::new(library.path(), "base")
        .line("serial0.present", "TRUE")
        .line("serial0.fileType", "file")
        .line("serial0.fileName", outside.to_str().unwrap())
        .build();
    let error = open(&test_vm)
        .power_on(StartSpec::default())
        .wait()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(!outside.exists());

    let config = test_vm
        .config()
        .replace(outside.to_str().unwrap(), "serial.txt");
    std::fs::write(&test_vm.vmx, config).unwrap();
    std::os::unix::fs::symlink(&outside, test_vm.file("serial.txt")).unwrap();
    assert!(
        open(&test_vm)
            .power_on(StartSpec::default())
            .wait()
            .is_err()
    );
    assert!(!outside.exists());
}
