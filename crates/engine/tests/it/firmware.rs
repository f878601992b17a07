//! The variables of UEFI firmware: a VM's own, kept over restarts, with it in clones and snapshots.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replix::Vm;
use replix::clone::{CloneKind, DeleteSpec};
use replix::snapshot::{RevertSpec, SnapshotRef};
use replix_testkit::{Content, DiskType, VmBuilder, folder, tree_of};

use crate::console::{Console, ready};
use crate::guests::{PATIENCE, pid_of, skip, start, stop};
use crate::running::{Stopped, start_paused};
use crate::vms::*;

/// Where the firmware's blank variables are.
const BLANK: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// A VM with UEFI and what VMware keeps beside it; `None`, said, where there is no firmware.
fn vm(library: &Path) -> Option<Vm> {
    if !Path::new(BLANK).exists() {
        replix_testkit::skip("no UEFI firmware (package ovmf)");
        return None;
    }
    let vm = VmBuilder::new(library, "base")
        .disk_at(
            "sata0:0",
            DiskType::MonolithicSparse,
            Content::Mixed(1),
            SMALL,
        )
        .line("sata0.present", "TRUE")
        .line("firmware", "efi")
        .line("nvram", "base.nvram")
        .build();
    fs::write(vm.file("base.nvram"), "VMware's").unwrap();
    Some(open(&vm))
}

fn variables(vm: &Vm) -> PathBuf {
    vm.path().with_extension("efivars.nvram")
}

fn read(vm: &Vm) -> Vec<u8> {
    fs::read(variables(vm)).unwrap()
}

/// Boots until the firmware has written variables of its own, and cuts the power.
fn boot_once(vm: &Vm) -> Vec<u8> {
    start(vm);
    let blank = fs::read(BLANK).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while read(vm) == blank {
        assert!(Instant::now() < deadline, "the firmware writes nothing");
        std::thread::sleep(Duration::from_millis(50));
    }
    stop(vm);
    read(vm)
}

fn revert(vm: &Vm, uid: u32) {
    let spec = RevertSpec::from(SnapshotRef::Uid(uid));
    vm.revert(spec).wait().unwrap();
}

#[test]
fn variables_are_kept_with_the_vm_its_clones_and_snapshots() {
    let library = folder();
    let Some(vm) = vm(library.path()) else { return };
    let early = snapshot(&vm, "early");
    let written = boot_once(&vm);
    {
        // The machine begins with them: its guest has not executed yet.
        let _stopped = start_paused(&vm);
        assert!(read(&vm) == written);
    }
    let uid = snapshot(&vm, "golden");
    let mut changed = written.clone();
    changed[0x1000] ^= 0xff;
    fs::write(variables(&vm), &changed).unwrap();

    let now = clone(&vm, CloneKind::Full, library.path(), "now");
    assert!(read(&now) == changed);
    let past = clone_of(&vm, uid, CloneKind::Linked, library.path(), "past");
    assert!(read(&past) == written);
    past.delete(DeleteSpec {
        disks: true,
        force: false,
    })
    .wait()
    .unwrap();
    assert!(!library.path().join("past").exists());

    revert(&vm, uid);
    assert!(read(&vm) == written);
    // One of before the first start has none: what there is stays.
    fs::write(variables(&vm), &changed).unwrap();
    revert(&vm, early);
    assert!(read(&vm) == changed);

    for uid in [uid, early] {
        vm.remove_snapshot(SnapshotRef::Uid(uid), false)
            .wait()
            .unwrap();
    }
    let left = tree_of(vm.path().parent().unwrap()).into_keys();
    let left: Vec<_> = left
        .filter(|path| path.to_string_lossy().ends_with(".efivars.nvram"))
        .collect();
    assert_eq!(left, [Path::new("base.efivars.nvram")]);
    let nvram = fs::read(vm.path().with_extension("nvram")).unwrap();
    assert_eq!(nvram, b"VMware's");
}

#[test]
fn guest_finds_its_variables_again_and_nobody_elses() {
    let Some(image) = skip("efi.vmdk") else {
        return;
    };
    if !Path::new(BLANK).exists() {
        return replix_testkit::skip("no UEFI firmware (package ovmf)");
    }
    const MOUNT: &str = "modprobe efivarfs; cd /sys/firmware/efi/efivars && mount -t efivarfs none . && cd $PWD && ";
    const NAME: &str = "Replix-12345678-1234-1234-1234-123456789abc";
    let library = folder();
    let lines = [
        ("sata0.present", "TRUE"),
        ("firmware", "efi"),
        ("memsize", "256"),
    ];
    let (vm, _stopped, mut console) = ready(library.path(), &image, "sata0:0", &lines);
    // Kept, and to be seen by firmware and system; then the value.
    let write =
        format!("{MOUNT}ls Boot0000-* && printf '\\7\\0\\0\\0first' >{NAME}; echo said-$?-1");
    console.run(&write, "said-0-1");
    let read = format!("{MOUNT}test \"$(tail -c 5 {NAME})\" = first; echo said-$?-2");
    stop(&vm);

    let full = clone(&vm, CloneKind::Full, library.path(), "full");
    start(&full);
    let _full = Stopped(full.clone());
    let mut console = Console::of(&full);
    console.wait_for("guest-ready");
    console.run(&read, "said-0-2");
    // One that is there is protected from being written to.
    let other = NAME.replace("Replix", "Other");
    let write = format!("printf '\\7\\0\\0\\0other' >{other}; echo said-$?-3");
    console.run(&write, "said-0-3");
    stop(&full);
    start(&vm);
    let mut console = Console::of(&vm);
    console.wait_for("guest-ready");
    console.run(&read, "said-0-2");
    console.run(&format!("test -e {other}; echo said-$?-4"), "said-1-4");
}

#[test]
fn machine_runs_in_its_sandbox() {
    let library = folder();
    let vm = open(&VmBuilder::new(library.path(), "base").build());
    start(&vm);
    let _stopped = Stopped(vm.clone());
    let pid = pid_of(&vm);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    // 2: system calls are filtered.
    let mode = status.lines().find(|line| line.starts_with("Seccomp:"));
    assert_eq!(mode.unwrap().split_whitespace().last(), Some("2"));
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    for denied in ["obsolete", "elevateprivileges", "spawn", "resourcecontrol"] {
        assert!(line.contains(&format!("{denied}=deny")), "{line}");
    }
}
