//! The variables of UEFI firmware: a VM's own, kept over restarts, with it in clones and snapshots.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replix::Vm;
use replix::clone::{CloneKind, DeleteSpec};
use replix::snapshot::{RevertSpec, SnapshotRef};
use replix_testkit::{Content, DiskType, VmBuilder, folder, tree_of};

use crate::guests::{PATIENCE, pid_of, start, stop};
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
    vm.path().with_extension("efivars")
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
        .filter(|path| path.extension().is_some_and(|e| e == "efivars"))
        .collect();
    assert_eq!(left, [Path::new("base.efivars")]);
    let nvram = fs::read(vm.path().with_extension("nvram")).unwrap();
    assert_eq!(nvram, b"VMware's");
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
