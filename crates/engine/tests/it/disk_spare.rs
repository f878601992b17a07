//! Disks whose directory or tables are damaged, and whose redundant ones are sound: read by those, and
//! said.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use replix::disk::{ContentId, Copy, check, copy, merge};
use replix::store::Local;
use replix::{Job, Kind};

use crate::tools::{
    assert_sound, child_of, fingerprints, open, opener, qemu_create, qemu_io, qemu_read_all,
    read_all,
};

/// Where things are in a disk of 100 MiB: header, redundant directory, its first table, directory,
/// its first table.
const HEADER_GD: u64 = 56;
const RGD: u64 = 21 * 512;
const GD: u64 = (21 + 1 + 4 * 4) * 512;
const GT: u64 = GD + 512;

const LOST: [u8; 4] = [0xff, 0xff, 0xff, 0x7f];

/// Makes a disk with data in its first and third table; returns what is on it.
fn disk(dir: &Path) -> (PathBuf, Vec<u8>) {
    let disk = qemu_create(dir, "d.vmdk", "monolithicSparse", "100M");
    qemu_io(&disk, &["write -P 1 0 128k", "write -P 2 70M 64k"]);
    let bytes = qemu_read_all(&disk);
    (disk, bytes)
}

fn patch(file: &Path, bytes: &[u8], offset: u64) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

/// What can be lost of the primary tables: where, by what it is replaced, and what is said of it.
const LOSSES: [(u64, &[u8], &str); 5] = [
    (HEADER_GD, &[0xff, 0xff, 0xff, 0], "grain directory is lost"),
    (GD, &LOST, "tables are damaged"),
    (GD, &[0; 4], "tables are damaged"),
    (GD + 8, &LOST, "tables are damaged"),
    (GT + 4, &LOST, "tables are damaged"),
];

#[test]
fn sound_redundant_tables_are_used_and_told_of() {
    for (offset, lost, said) in LOSSES {
        let dir = tempfile::tempdir().unwrap();
        let (disk, bytes) = disk(dir.path());
        patch(&disk, lost, offset);
        let before = fingerprints(dir.path());
        assert!(read_all(&disk) == bytes, "{offset}");
        let path = dir.path().join("copy.vmdk");
        let spec = Copy {
            path: &path,
            create_type: None,
            preallocated: false,
            uuid: None,
            content_id: ContentId::Keep,
        };
        let job = Job::new();
        copy(&Local, &open(&disk).unwrap(), &spec, &job).unwrap();
        let warnings = job.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains(said),
            "{warnings:?}"
        );
        assert!(qemu_read_all(&path) == bytes, "{offset}");
        assert_sound(&path);
        std::fs::remove_file(path).unwrap();
        let found = check(&opener(&disk), &disk, &Job::new()).unwrap();
        assert!(
            !found.errors.is_empty() || !found.notes.is_empty(),
            "{offset}"
        );
        assert_eq!(fingerprints(dir.path()), before);
    }
}

#[test]
fn lost_directory_is_told_by_info_and_check_and_nothing_is_written_there() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, bytes) = disk(dir.path());
    let child = child_of(&disk, "c.vmdk");
    qemu_io(&child, &["write -P 8 1M 64k"]);
    let (offset, lost, said) = LOSSES[0];
    patch(&disk, lost, offset);
    let report = open(&child).unwrap().report(&Local);
    assert!(report.links[1].notes[0].contains(said), "{report:?}");
    assert!(report.links[0].notes.is_empty());
    let errors = check(&opener(&disk), &disk, &Job::new()).unwrap().errors;
    assert!(
        errors.iter().any(|error| error.contains(said)),
        "{errors:?}"
    );
    let error = merge(&open(&child).unwrap(), &Job::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskUnsupported);
    assert!(read_all(&disk) == bytes);
}

#[test]
fn two_losses_are_damage() {
    for (first, second) in [
        ((HEADER_GD, &[0xff, 0xff, 0xff, 0][..]), (48, &LOST[..])),
        ((GD, &LOST), (RGD, &LOST)),
        ((GD, &LOST), (RGD, &[0; 4])),
        ((GT + 4, &LOST), (RGD + 512 + 4, &LOST)),
        // Nothing at all in one of them proves nothing.
        ((GT + 4, &LOST), (RGD + 512 + 4, &[0; 4])),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (disk, _) = disk(dir.path());
        patch(&disk, first.1, first.0);
        patch(&disk, second.1, second.0);
        let read = open(&disk).and_then(|chain| chain.read(&mut [0; 1 << 20], 0));
        assert_eq!(read.unwrap_err().kind(), Kind::DiskInvalid, "{first:?}");
    }
}
