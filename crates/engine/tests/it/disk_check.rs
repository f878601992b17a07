//! A check names what is wrong with a disk, and finds nothing wrong with a sound one.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use replix::disk::{CheckReport, check};
use replix::format::vmdk::CreateType;
use replix::{Job, Kind};

use crate::tools::{Content, TYPES, chain_of, opener, qemu_create, qemu_io};

fn report(disk: &Path) -> CheckReport {
    check(&opener(disk), disk, &Job::new()).unwrap()
}

/// Asserts that exactly one error is found, and that it says `what`.
fn finds(disk: &Path, what: &str) {
    let errors = report(disk).errors;
    assert!(
        errors.len() == 1 && errors[0].contains(what),
        "{what}: {errors:?}"
    );
}

/// Makes a disk of 100 MiB whose first two grains, and one in the third table, hold data.
fn disk(dir: &Path) -> PathBuf {
    let disk = qemu_create(dir, "d.vmdk", "monolithicSparse", "100M");
    qemu_io(&disk, &["write -P 1 0 128k", "write -P 2 70M 64k"]);
    disk
}

/// Writes `bytes` into a file.
fn patch(file: &Path, bytes: &[u8], offset: u64) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

fn read_u32(file: &Path, offset: u64) -> u32 {
    let mut bytes = [0; 4];
    std::fs::File::open(file)
        .unwrap()
        .read_exact_at(&mut bytes, offset)
        .unwrap();
    u32::from_le_bytes(bytes)
}

/// Offsets in a disk of 100 MiB: four tables.
const RGD: u64 = 21 * 512;
const GD: u64 = (21 + 1 + 4 * 4) * 512;
const GT: u64 = GD + 512;

#[test]
fn sound_disks_have_no_errors() {
    for create_type in TYPES {
        let dir = tempfile::tempdir().unwrap();
        let disk = chain_of(dir.path(), create_type, Content::Mixed, 3);
        let report = report(&disk);
        assert_eq!(report.errors, [""; 0]);
        assert!(report.allocated_grains > 40);
    }
}

#[test]
fn grain_used_twice_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    assert_eq!(read_u32(&disk, GD) as u64 * 512, GT);
    let first = read_u32(&disk, GT).to_le_bytes();
    patch(&disk, &first, GT + 4);
    patch(&disk, &first, RGD + 512 + 4);
    finds(&disk, "grain 1 at sector 128 is used twice");
}

#[test]
fn grain_beyond_the_end_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    for offset in [GT + 8, RGD + 512 + 8] {
        patch(&disk, &0x0012_3480u32.to_le_bytes(), offset);
    }
    finds(&disk, "grain 2 at sector 1193088 lies beyond the end");
}

#[test]
fn grain_among_the_tables_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    for offset in [GT + 8, RGD + 512 + 8] {
        patch(&disk, &21u32.to_le_bytes(), offset);
    }
    finds(&disk, "grain 2 at sector 21 lies among the tables");
}

#[test]
fn grain_out_of_line_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    let moved = (read_u32(&disk, GT + 4) + 1).to_le_bytes();
    for offset in [GT + 4, RGD + 512 + 4] {
        patch(&disk, &moved, offset);
    }
    finds(&disk, "is out of line");
}

#[test]
fn tables_out_of_step_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    patch(&disk, &[0; 4], RGD + 512);
    finds(&disk, "grain table 0 and its redundant copy differ");
}

#[test]
fn table_beyond_the_end_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    patch(&disk, &u32::MAX.to_le_bytes(), GD + 4);
    finds(
        &disk,
        "grain table 1 at sector 4294967295 lies beyond the end",
    );
}

#[test]
fn table_used_twice_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    let first = read_u32(&disk, GD).to_le_bytes();
    patch(&disk, &first, GD + 4);
    let errors = report(&disk).errors;
    assert!(
        errors
            .iter()
            .any(|error| error.contains("two grain tables overlap")),
        "{errors:?}"
    );
}

#[test]
fn missing_table_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    patch(&disk, &[0; 4], GD + 12);
    let notes = report(&disk).notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("grain table 3 is missing")),
        "{notes:?}"
    );
}

#[test]
fn disk_left_open_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    patch(&disk, &[1], 72);
    finds(&disk, "was not closed cleanly");
}

#[test]
fn file_cut_off_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk(dir.path());
    let file = OpenOptions::new().write(true).open(&disk).unwrap();
    file.set_len(file.metadata().unwrap().len() - 512).unwrap();
    finds(&disk, "lies beyond the end");
    file.set_len(1000).unwrap();
    finds(&disk, "");
}

#[test]
fn touched_and_missing_parents_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let top = chain_of(dir.path(), CreateType::SplitSparse, Content::Random, 2);
    let base = dir.path().join("b.vmdk");
    qemu_io(&base, &["write -P 3 60M 64k"]);
    finds(&top, "the parent was modified");
    std::fs::rename(&base, dir.path().join("away")).unwrap();
    finds(&top, "is missing");
}

#[test]
fn short_and_missing_extents_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = chain_of(dir.path(), CreateType::SplitFlat, Content::Random, 1);
    let extent = dir.path().join("b-f002.vmdk");
    let file = OpenOptions::new().write(true).open(&extent).unwrap();
    file.set_len(512).unwrap();
    finds(&disk, "has 512 bytes, but its descriptor");
    std::fs::remove_file(&extent).unwrap();
    finds(&disk, "b-f002.vmdk\" is missing, a part of");
    std::fs::remove_file(&disk).unwrap();
    let error = check(&opener(&disk), &disk, &Job::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::FileNotFound);
}
