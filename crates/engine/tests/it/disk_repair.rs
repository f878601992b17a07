//! A repair mends what the disk itself proves, tells of all else, and changes nothing more.

use std::path::{Path, PathBuf};

use replix::disk::{DiskAnswer, DiskCall, RepairReport};
use replix::format::vmdk::CreateType;
use replix::{Host, Job, Kind, Result};

use crate::disk_check::{GD, GT, Patch, RGD, RGT, cut_to, disk, enter, patch};
use crate::tools::{
    Content, HeldByQemu, assert_same, assert_sound, chain_of, child_of, fingerprints, ok, open,
    qemu_io, read_all,
};

fn repair(path: &Path, dry_run: bool) -> Result<RepairReport> {
    let host = Host::local().unwrap();
    let call = DiskCall::Repair { dry_run };
    match host.provider().disk(path, &call, &Job::new())? {
        DiskAnswer::Repaired(report) => Ok(report),
        answer => panic!("{answer:?}"),
    }
}

/// Without the name of the file.
fn bare(texts: &[String]) -> Vec<&str> {
    texts
        .iter()
        .map(|text| text.split_once(": ").map_or(&**text, |(_, text)| text))
        .filter(|text| !text.contains("new long content id"))
        .collect()
}

/// Damage of [`disk`] that can be mended, and the words for what is done about it.
const MENDED: [(Patch, &str); 13] = [
    (
        |d| patch(d, &[0; 4], RGT),
        "the redundant copy of grain table 0 gets 1 entry of it",
    ),
    (
        |d| patch(d, &[0xff; 2048], RGT),
        "the redundant copy of grain table 0 gets 512 entries of it",
    ),
    (
        |d| patch(d, &[0xff; 8], GT),
        "grain table 0 takes 2 entries from its redundant copy: its own cannot be true",
    ),
    (
        |d| patch(d, &[0xff; 2048], GT),
        "grain table 0 takes 512 entries from its redundant copy: its own cannot be true",
    ),
    // Two entries with one place, of which the copy knows better.
    (
        |d| patch(d, &128u32.to_le_bytes(), GT + 4),
        "grain table 0 takes 1 entry from its redundant copy: its own cannot be true",
    ),
    // One that is another's, where the copy has none.
    (
        |d| patch(d, &128u32.to_le_bytes(), GT + 40),
        "grain table 0 takes 1 entry from its redundant copy: its own cannot be true",
    ),
    (
        |d| patch(d, &[0xff; 4], GD),
        "grain table 0 is found again, at sector 39",
    ),
    (
        |d| patch(d, &[0; 4], GD),
        "grain table 0 is found again, at sector 39",
    ),
    (
        |d| patch(d, &39u32.to_le_bytes(), GD + 8),
        "grain table 2 is found again, at sector 47",
    ),
    (
        |d| {
            patch(d, &[0xff; 4], GD);
            patch(d, &[0; 2048], GT);
        },
        "grain table 0 is found again, at sector 39, and filled from its redundant copy",
    ),
    (
        |d| patch(d, &[0; 16], RGD),
        "redundant grain table 0 is found again, at sector 22\n\
         redundant grain table 1 is found again, at sector 26\n\
         redundant grain table 2 is found again, at sector 30\n\
         redundant grain table 3 is found again, at sector 34",
    ),
    (
        |d| patch(d, &[1], 72),
        "the mark of a file left open is taken away",
    ),
    (
        |d| cut_to(d, |len| len + 70_000),
        "its last 70000 bytes, which are used by none, are cut off",
    ),
];

#[test]
fn what_the_disk_proves_is_mended() {
    for (damage, wanted) in MENDED {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path());
        let before = read_all(&disk);
        damage(&disk);
        let damaged = fingerprints(dir.path());
        let planned = repair(&disk, true).unwrap();
        assert_eq!(damaged, fingerprints(dir.path()), "{wanted}");
        assert_eq!(
            (planned.left.len(), planned.after),
            (0, None),
            "{:?}",
            planned.left
        );
        assert_eq!(bare(&planned.steps).join("\n"), wanted);
        let done = repair(&disk, false).unwrap();
        assert_eq!((done.steps, done.left), (planned.steps, planned.left));
        let after = done.after.unwrap();
        assert_eq!(
            (&after.errors[..], &after.notes[..]),
            (&[][..], &[][..]),
            "{wanted}"
        );
        assert!(read_all(&disk) == before, "{wanted}");
        assert_sound(&disk);
        let again = repair(&disk, false).unwrap();
        assert_eq!((&again.steps[..], &again.left[..]), (&[][..], &[][..]));
    }
}

/// Damage of [`disk`] about which a person must decide, or nothing can be done, and what is said.
const LEFT: [(Patch, &str); 5] = [
    // A write that was cut off, or a loss.
    (
        |d| patch(d, &[0; 4], GT),
        "of 1 grain, grain table 0 and its redundant copy say different things that can both be \
         true: keep a copy of the disk, look what the guest misses, and decide",
    ),
    (
        |d| {
            patch(d, &[0xff; 4], GT);
            patch(d, &[0xfe; 4], RGT);
        },
        "of 1 grain, neither grain table 0 nor its redundant copy can be true: put the file back \
         from a copy, or do without what they held",
    ),
    (
        |d| {
            patch(d, &[0; 4], GD);
            patch(d, &[0; 4], GT);
        },
        "grain table 0 has no place, and what lies where it should, at sector 39, is not proven to \
         be it",
    ),
    (
        |d| {
            enter(d, 1, 128);
            patch(d, &[1], 72);
        },
        "the mark of a file left open stays while there is other damage",
    ),
    (
        |d| patch(d, b"\r\n \r", 73),
        "byte 73: its line ends were changed: it was copied as text, not as data: put the file \
         back from a copy: nothing here tells what it held",
    ),
];

#[test]
fn what_nothing_proves_is_left() {
    for (damage, wanted) in LEFT {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path());
        damage(&disk);
        let before = fingerprints(dir.path());
        let report = repair(&disk, false).unwrap();
        assert_eq!(bare(&report.left), [wanted]);
        assert_eq!(report.steps, [""; 0]);
        assert_eq!(before, fingerprints(dir.path()), "{wanted}");
    }
}

#[test]
fn long_content_id_is_brought_in_step() {
    let dir = tempfile::tempdir().unwrap();
    let disk = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 1);
    let cid = open(&disk).unwrap().top().cid();
    assert_eq!(open(&disk).unwrap().long_content_id(), None);
    let steps = repair(&disk, false).unwrap().steps;
    assert!(
        steps[0].contains("it gets a new long content id"),
        "{steps:?}"
    );
    let chain = open(&disk).unwrap();
    assert_eq!(chain.top().cid(), cid);
    assert!(
        chain
            .long_content_id()
            .unwrap()
            .ends_with(&format!("{cid:08x}"))
    );
}

#[test]
fn what_a_child_sees_is_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let base = disk(dir.path());
    let child = child_of(&base, "d-000001.vmdk");
    let before = read_all(&child);
    patch(&base, &[0xff; 4], GT);
    patch(&base, &[0; 4], RGT + 4);
    let report = repair(&base, false).unwrap();
    assert_eq!(
        bare(&report.steps),
        ["the redundant copy of grain table 0 gets 1 entry of it"]
    );
    assert!(
        report.left[0].starts_with("not done, since"),
        "{:?}",
        report.left
    );
    assert!(report.left[0].contains("d-000001.vmdk"));
    // The child is told whose damage it is.
    let of_child = repair(&child, false).unwrap();
    assert!(
        of_child.left[0].contains("repair it by its own name"),
        "{:?}",
        of_child.left
    );
    std::fs::remove_file(&child).unwrap();
    assert_eq!(repair(&base, false).unwrap().after.unwrap().errors, [""; 0]);
    assert!(read_all(&base) == before);
}

#[test]
fn ids_are_for_a_person_to_decide() {
    let dir = tempfile::tempdir().unwrap();
    let top = chain_of(dir.path(), CreateType::SplitSparse, Content::Random, 2);
    let base: PathBuf = dir.path().join("b.vmdk");
    qemu_io(&base, &["write -P 3 60M 64k"]);
    repair(&top, false).unwrap();
    let before = fingerprints(dir.path());
    let report = repair(&top, false).unwrap();
    assert_eq!(report.steps, [""; 0]);
    assert!(report.left[0].contains("changing the ids instead would hide damage"));
    assert_eq!(before, fingerprints(dir.path()));
}

#[test]
fn disk_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    patch(&disk, &[0; 4], RGT);
    let held = HeldByQemu::new(&disk);
    let before = fingerprints(dir.path());
    assert_eq!(repair(&disk, false).unwrap_err().kind(), Kind::FileLocked);
    assert_eq!(before, fingerprints(dir.path()));
    drop(held);
    // A VM that uses it is suspended.
    let vmx = "config.version = \"8\"\nvirtualHW.version = \"16\"\nscsi0.present = \"TRUE\"\n\
               scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"d.vmdk\"\n\
               checkpoint.vmState = \"a-1.vmss\"\n";
    std::fs::write(dir.path().join("a.vmx"), vmx).unwrap();
    assert_eq!(repair(&disk, false).unwrap_err().kind(), Kind::VmRunning);
    assert_eq!(repair(&disk, true).unwrap().steps.len(), 1);
}

#[test]
fn repaired_disk_is_as_before_for_qemu() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    let copy = dir.path().join("copy.vmdk");
    ok(
        "qemu-img",
        &[
            "convert",
            "-O",
            "vmdk",
            disk.to_str().unwrap(),
            copy.to_str().unwrap(),
        ],
        dir.path(),
    );
    patch(&disk, &[0xff; 2048], GT);
    repair(&disk, false).unwrap();
    assert_same(&copy, &disk);
    qemu_io(&disk, &["write -P 9 3M 1M"]);
    assert_sound(&disk);
}
