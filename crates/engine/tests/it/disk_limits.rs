//! Disks at the limit: 62 TiB in 16,000 files or in one, extents numbered over 999, nothing over 2 TiB
//! in a sparse file; few files open and little memory, whatever the disk.

use std::path::{Path, PathBuf};

use replix::disk::{Comparison, DiskAnswer, DiskCall, DiskFormat};
use replix::{Host, Job, Kind, Result};
use tempfile::TempDir;

use crate::disk_check::patch;
use crate::tools::{assert_sound, listing, open};

/// VMware's largest disk.
const LARGEST: u64 = 62 << 40;

/// The most files that may be open, and the most memory that an operation may take.
const MOST_FILES: usize = 256;
const MOST_BYTES: u64 = 32 << 20;

/// A folder on a file system that takes files of any length, and syncs 16,000 of them in no time.
fn folder() -> TempDir {
    match Path::new("/dev/shm").is_dir() {
        true => tempfile::tempdir_in("/dev/shm").unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

fn call(path: &Path, call: &DiskCall) -> Result<DiskAnswer> {
    let host = Host::local().unwrap();
    host.provider().disk(path, call, &Job::new())
}

fn create(path: &Path, format: DiskFormat, capacity_bytes: u64) -> Result<DiskAnswer> {
    let adapter = "lsilogic".into();
    call(
        path,
        &DiskCall::Create {
            format,
            capacity_bytes,
            adapter,
        },
    )
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The most memory that this process ever had.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap() << 10
}

fn compared(one: &Path, other: &Path) -> Comparison {
    let with = other.to_path_buf();
    match call(one, &DiskCall::Compare { with }).unwrap() {
        DiskAnswer::Compared(found) => found,
        answer => panic!("{answer:?}"),
    }
}

/// Puts a grain of `fill` at the start of an extent without grains, in usual grains and tables.
fn put_grain(extent: &Path, fill: u8) {
    let header = std::fs::read(extent).unwrap();
    let at = |offset: usize| {
        u64::from(u32::from_le_bytes(
            header[offset..][..4].try_into().unwrap(),
        ))
    };
    let (directories, overhead) = ([at(48), at(56)], at(64));
    for directory in directories {
        let table = at(directory as usize * 512);
        patch(extent, &(overhead as u32).to_le_bytes(), table * 512);
    }
    patch(extent, &[fill; 128 * 512], overhead * 512);
}

#[test]
fn largest_disk_in_16000_files() {
    let dir = folder();
    let path = dir.path().join("d.vmdk");
    // Something in memory that every test has.
    let host = Host::local().unwrap();
    let provider = host.provider();
    let before = peak_bytes();
    create(&path, DiskFormat::SplitSparse, LARGEST).unwrap();
    let names = listing(dir.path());
    let count = (LARGEST / 512).div_ceil(8_323_072);
    assert_eq!(names.len() as u64, count + 1);
    let last = dir.path().join(format!("d-s{count}.vmdk"));
    let [late, last] = [dir.path().join("d-s12345.vmdk"), last];
    put_grain(&late, 7);
    put_grain(&last, 8);

    let chain = open(&path).unwrap();
    assert_eq!(chain.capacity_bytes(), LARGEST);
    let mut bytes = [0; 4096];
    for (number, fill) in [(1, 0), (999, 0), (1000, 0), (12_345, 7), (count, 8)] {
        chain
            .read(&mut bytes, (number - 1) * 8_323_072 * 512)
            .unwrap();
        assert_eq!(bytes, [fill; 4096], "{number}");
    }
    assert_eq!(chain.data_bytes().unwrap(), 2 * 65536);
    assert!(open_files() < MOST_FILES);
    drop(chain);

    let found = provider.disk_check(&path, &Job::new()).unwrap();
    assert_eq!(
        (found.errors, found.notes, found.allocated_grains),
        (vec![], vec![], 2)
    );
    let repair = DiskCall::Repair { dry_run: false };
    let DiskAnswer::Repaired(report) = call(&path, &repair).unwrap() else {
        panic!("no repair");
    };
    assert_eq!((report.steps.len(), report.left.len()), (0, 0));

    // One file, as far as the file system has such.
    let flat = dir.path().join("flat.vmdk");
    let format = DiskFormat::VmfsThin;
    let to = flat.clone();
    call(&path, &DiskCall::Convert { to, format }).unwrap();
    let same = compared(&path, &flat);
    assert!(same.is_same(), "{same:?}");
    patch(&late, &[9], std::fs::metadata(&late).unwrap().len() - 1);
    let differ = compared(&path, &flat).first_difference;
    assert_eq!(differ, Some(12_344 * 8_323_072 * 512 + 65_535));

    let capacity_bytes = LARGEST + (8 << 30);
    call(&path, &DiskCall::Grow { capacity_bytes }).unwrap();
    assert_eq!(open(&path).unwrap().capacity_bytes(), capacity_bytes);
    call(&path, &DiskCall::Compact).unwrap();
    assert_eq!(open(&path).unwrap().data_bytes().unwrap(), 2 * 65536);

    // A sparse file of that length would be full of nothing but tables.
    let to = dir.path().join("one.vmdk");
    let format = DiskFormat::MonolithicSparse;
    let error = call(
        &path,
        &DiskCall::Convert {
            to: to.clone(),
            format,
        },
    )
    .unwrap_err();
    assert!(error.to_string().contains("at most 2 TiB fit"), "{error}");
    assert!(!to.exists());
    let to = dir.path().join("renamed.vmdk");
    call(&path, &DiskCall::Rename { to: to.clone() }).unwrap();
    assert!(dir.path().join("renamed-s12345.vmdk").exists());
    call(&to, &DiskCall::Delete).unwrap();
    assert_eq!(listing(dir.path()).len(), 2);
    assert!(open_files() < MOST_FILES);
    let grown = peak_bytes() - before;
    assert!(grown <= MOST_BYTES, "{grown} bytes");
}

#[test]
fn sparse_file_holds_2_tib_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.vmdk");
    let most = 2 << 40;
    let before = listing(dir.path());
    let error = create(&path, DiskFormat::MonolithicSparse, most + 512).unwrap_err();
    assert!(error.to_string().contains("at most 2 TiB fit"), "{error}");
    assert_eq!(before, listing(dir.path()));
    create(&path, DiskFormat::MonolithicSparse, most - 512).unwrap();
    let before = peak_bytes();
    let grow = |capacity_bytes| call(&path, &DiskCall::Grow { capacity_bytes });
    grow(most).unwrap();
    assert_sound(&path);
    let host = Host::local().unwrap();
    let found = host.provider().disk_check(&path, &Job::new()).unwrap();
    assert_eq!(found.errors, [""; 0]);
    let error = grow(most + 512).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskUnsupported);
    call(&path, &DiskCall::Repair { dry_run: false }).unwrap();
    let grown = peak_bytes() - before;
    assert!(grown <= MOST_BYTES, "{grown} bytes");
}

#[test]
fn impossible_lengths_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("d.vmdk");
    for capacity_bytes in [0, u64::MAX] {
        for format in [DiskFormat::SplitSparse, DiskFormat::VmfsThin] {
            let error = create(&path, format, capacity_bytes).unwrap_err();
            assert_eq!(error.kind(), Kind::Argument, "{capacity_bytes}: {error}");
            assert_eq!(listing(dir.path()), []);
        }
    }
}
