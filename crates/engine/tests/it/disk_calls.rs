//! What is done to a disk by itself: made in each format, converted, grown, compacted; refused where
//! a VM or another disk needs it as it is.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use replix::disk::{DiskAnswer, DiskCall, DiskFormat};
use replix::format::vmdk::CreateType;
use replix::{Host, Job, Kind, Result};

use crate::tools::{
    Content, SECTORS, TYPES, assert_same, assert_sound, chain_of, child_of, fill, fingerprints, ok,
    open, qemu_create, qemu_io, small_disk,
};

const FORMATS: [(DiskFormat, CreateType); 6] = [
    (DiskFormat::MonolithicSparse, CreateType::MonolithicSparse),
    (DiskFormat::SplitSparse, CreateType::SplitSparse),
    (DiskFormat::MonolithicFlat, CreateType::MonolithicFlat),
    (DiskFormat::SplitFlat, CreateType::SplitFlat),
    (DiskFormat::VmfsThick, CreateType::Vmfs),
    (DiskFormat::VmfsThin, CreateType::Vmfs),
];

fn call(path: &Path, call: &DiskCall) -> Result<()> {
    let host = Host::local().unwrap();
    let answer = host.provider().disk(path, call, &Job::new())?;
    assert_eq!(answer, DiskAnswer::Done);
    Ok(())
}

fn create(path: &Path, format: DiskFormat, capacity_bytes: u64) -> Result<()> {
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

fn grow(path: &Path, capacity_bytes: u64) -> Result<()> {
    call(path, &DiskCall::Grow { capacity_bytes })
}

/// The bytes on the host of all files in a folder.
fn space(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512)
        .sum()
}

/// What QEMU reads of a disk.
fn bytes(path: &Path) -> Vec<u8> {
    let raw = tempfile::NamedTempFile::new().unwrap();
    let (from, to) = (path.to_str().unwrap(), raw.path().to_str().unwrap());
    ok(
        "qemu-img",
        &["convert", "-O", "raw", from, to],
        path.parent().unwrap(),
    );
    std::fs::read(raw.path()).unwrap()
}

#[test]
fn every_format_is_made() {
    for (format, create_type) in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.vmdk");
        create(&path, format, (5 << 20) - 1).unwrap();
        assert_eq!(open(&path).unwrap().top().create_type(), create_type);
        assert_sound(&path);
        assert_eq!(bytes(&path), vec![0; 5 << 20]);
        let takes_all = space(dir.path()) >= 5 << 20;
        let is_thick = !create_type.is_sparse() && format != DiskFormat::VmfsThin;
        assert_eq!(takes_all, is_thick, "{format:?}");
        let error = create(&path, format, 1 << 20).unwrap_err();
        assert_eq!(error.kind(), Kind::FileExists);
    }
}

#[test]
fn chain_is_converted_to_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 3);
    let before = fingerprints(dir.path());
    let stream = DiskFormat::StreamOptimized { level: None };
    let stream = (stream, CreateType::StreamOptimized);
    for (format, create_type) in FORMATS.into_iter().chain([stream]) {
        let other = tempfile::tempdir().unwrap();
        let to = other.path().join("d.vmdk");
        call(
            &source,
            &DiskCall::Convert {
                to: to.clone(),
                format,
            },
        )
        .unwrap();
        assert_eq!(open(&to).unwrap().top().create_type(), create_type);
        assert_same(&source, &to);
        assert_sound(&to);
    }
    assert_eq!(before, fingerprints(dir.path()));
}

#[test]
fn stream_of_a_higher_level_is_smaller() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::SplitSparse, Content::Random, 1);
    let words: Vec<u8> = (0..400_000u32)
        .flat_map(|i| format!("{:x} ", i.wrapping_mul(0x9e37_79b9) >> 14).into_bytes())
        .collect();
    std::fs::write(dir.path().join("words"), &words).unwrap();
    let words = format!("write -s {} 8M 1M", dir.path().join("words").display());
    qemu_io(&source, &[&words]);
    let mut sizes = Vec::new();
    for level in [1, 6, 9] {
        let to = dir.path().join(format!("{level}.vmdk"));
        let format = DiskFormat::StreamOptimized { level: Some(level) };
        let convert = |to: &Path| {
            let to = to.to_path_buf();
            call(&source, &DiskCall::Convert { to, format })
        };
        convert(&to).unwrap();
        assert_same(&source, &to);
        sizes.push(std::fs::metadata(&to).unwrap().len());
        // And the same again.
        let again = dir.path().join("again.vmdk");
        convert(&again).unwrap();
        let grains = |path: &Path| std::fs::read(path).unwrap().split_off(128 * 512);
        assert!(grains(&to) == grains(&again));
        std::fs::remove_file(again).unwrap();
    }
    assert!(sizes[0] > sizes[1] && sizes[1] >= sizes[2], "{sizes:?}");
}

#[test]
fn streams_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 1);
    let before = fingerprints(dir.path());
    let to = dir.path().join("s.vmdk");
    for level in [0, 10, 255] {
        let format = DiskFormat::StreamOptimized { level: Some(level) };
        let error = call(
            &source,
            &DiskCall::Convert {
                to: to.clone(),
                format,
            },
        )
        .unwrap_err();
        assert_eq!(error.kind(), Kind::Argument);
        assert!(error.to_string().contains("between 1 and 9"), "{error}");
    }
    let format = DiskFormat::StreamOptimized { level: None };
    let error = create(&to, format, 1 << 20).unwrap_err();
    assert_eq!(error.kind(), Kind::Argument);
    assert_eq!(fingerprints(dir.path()), before);
}

/// Content at the start, and up to the very end, which lies within a grain.
fn odd_disk(dir: &Path, create_type: CreateType) -> PathBuf {
    let path = dir.join("d.vmdk");
    small_disk(&path, create_type);
    fill(&path, Content::Mixed, 0);
    path
}

#[test]
fn grown_disk_reads_as_before_and_zeros_behind() {
    for create_type in TYPES {
        // Within the last grain table, within the last extent, and far beyond both.
        for more in [1, 3 << 11, 70 << 11, 5 << 21] {
            let dir = tempfile::tempdir().unwrap();
            let path = odd_disk(dir.path(), create_type);
            let before = bytes(&path);
            grow(&path, (SECTORS + more) * 512).unwrap();
            assert_eq!(open(&path).unwrap().sectors(), SECTORS + more);
            assert_sound(&path);
            if more < 1 << 20 {
                let after = bytes(&path);
                assert_eq!(after.len() as u64, (SECTORS + more) * 512);
                assert!(after.starts_with(&before), "{create_type:?} {more}");
                assert!(after[before.len()..].iter().all(|byte| *byte == 0));
            }
            // New space takes data as any other.
            let last = (SECTORS + more - 1) * 512;
            qemu_io(&path, &[&format!("write -P 9 {last} 512")]);
            let mut read = vec![0; 512];
            open(&path).unwrap().read(&mut read, last).unwrap();
            assert_eq!(read, [9; 512], "{create_type:?} {more}");
            assert_sound(&path);
            // And again.
            grow(&path, (SECTORS + more + (80 << 11)) * 512).unwrap();
            open(&path).unwrap().read(&mut read, last).unwrap();
            assert_eq!(read, [9; 512]);
            assert_sound(&path);
        }
    }
}

#[test]
fn rest_of_the_last_grain_is_not_brought_to_light() {
    let dir = tempfile::tempdir().unwrap();
    let path = qemu_create(dir.path(), "d.vmdk", "monolithicSparse", "10000896");
    qemu_io(&path, &["write -P 5 9999360 1536"]);
    // Somebody wrote whole grains: what lies behind the end was never seen.
    let end = open(&path).unwrap().map().last().unwrap().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let behind = end.file_offset + end.length;
    std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], behind).unwrap();
    let before = bytes(&path);
    grow(&path, 20 << 20).unwrap();
    let after = bytes(&path);
    assert!(after.starts_with(&before));
    assert!(after[before.len()..].iter().all(|byte| *byte == 0));
}

#[test]
fn growth_that_was_cut_off_before_the_descriptor_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = odd_disk(dir.path(), CreateType::SplitSparse);
    let (descriptor, before) = (std::fs::read(&path).unwrap(), bytes(&path));
    grow(&path, (SECTORS + 100) * 512).unwrap();
    std::fs::write(&path, descriptor).unwrap();
    let mut now = vec![0; before.len()];
    open(&path).unwrap().read(&mut now, 0).unwrap();
    assert!(now == before);
    grow(&path, (SECTORS + 200) * 512).unwrap();
    assert!(bytes(&path).starts_with(&before));
    assert_sound(&path);
}

#[test]
fn compacted_disk_reads_as_before_in_less_space() {
    for create_type in [CreateType::MonolithicSparse, CreateType::SplitSparse] {
        let dir = tempfile::tempdir().unwrap();
        let path = odd_disk(dir.path(), create_type);
        qemu_io(&path, &["write -P 3 30M 4M", "write -P 4 2M 1M"]);
        let full = space(dir.path());
        qemu_io(&path, &["write -P 0 30M 4M"]);
        let (before, cid) = (bytes(&path), open(&path).unwrap().top().cid());
        call(&path, &DiskCall::Compact).unwrap();
        assert!(space(dir.path()) <= full - (4 << 20), "{create_type:?}");
        assert!(bytes(&path) == before);
        assert_sound(&path);
        assert_eq!(open(&path).unwrap().top().cid(), cid);
        let maps = open(&path)
            .unwrap()
            .map()
            .map(Result::unwrap)
            .collect::<Vec<_>>();
        for pair in maps.windows(2) {
            if pair.iter().all(|run| run.file.is_some()) && pair[0].file == pair[1].file {
                assert!(pair[0].file_offset < pair[1].file_offset);
            }
        }
        qemu_io(&path, &["write -P 6 31M 64k"]);
        assert_sound(&path);
    }
}

#[test]
fn compacted_child_hides_what_it_hid() {
    for create_type in [CreateType::MonolithicSparse, CreateType::SplitSparse] {
        let dir = tempfile::tempdir().unwrap();
        let base = odd_disk(dir.path(), create_type);
        qemu_io(&base, &["write -P 5 2M 1M"]);
        let child = child_of(&base, "d-000001.vmdk");
        qemu_io(
            &child,
            &["write -P 3 30M 4M", "write -P 4 20M 1M", "write -P 0 2M 1M"],
        );
        let full = space(dir.path());
        // Over nothing of the base's, so nothing is hidden by it.
        qemu_io(&child, &["write -P 0 30M 4M"]);
        let (before, frozen) = (bytes(&child), std::fs::read(&base).unwrap());
        let cid = open(&child).unwrap().top().cid();
        call(&child, &DiskCall::Compact).unwrap();
        assert!(space(dir.path()) <= full - (4 << 20), "{create_type:?}");
        assert!(bytes(&child) == before);
        assert_sound(&child);
        assert_eq!(open(&child).unwrap().top().cid(), cid);
        assert!(std::fs::read(&base).unwrap() == frozen);
        qemu_io(&child, &["write -P 6 31M 64k"]);
        assert_sound(&child);
    }
}

#[test]
fn flat_disk_is_compact_already() {
    let dir = tempfile::tempdir().unwrap();
    let path = odd_disk(dir.path(), CreateType::MonolithicFlat);
    let before = fingerprints(dir.path());
    call(&path, &DiskCall::Compact).unwrap();
    assert_eq!(before, fingerprints(dir.path()));
}

#[test]
fn disks_that_are_needed_as_they_are_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let base = odd_disk(dir.path(), CreateType::MonolithicSparse);
    let child = child_of(&base, "d-000001.vmdk");
    let before = fingerprints(dir.path());
    let larger = DiskCall::Grow {
        capacity_bytes: 1 << 30,
    };
    for (path, what) in [
        (&base, &DiskCall::Compact),
        (&base, &larger),
        (&child, &larger),
    ] {
        let error = call(path, what).unwrap_err();
        assert_eq!(error.kind(), Kind::DiskUnsupported, "{error}");
    }
    assert_eq!(before, fingerprints(dir.path()));
    std::fs::remove_file(child).unwrap();
    let error = grow(&base, SECTORS * 512).unwrap_err();
    assert_eq!(error.kind(), Kind::Argument);
    let error = grow(&base, 3 << 40).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskUnsupported);
    // A VM that uses it is suspended.
    let vmx = "config.version = \"8\"\nvirtualHW.version = \"16\"\nscsi0.present = \"TRUE\"\n\
               scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"d.vmdk\"\n\
               checkpoint.vmState = \"a-1.vmss\"\n";
    std::fs::write(dir.path().join("a.vmx"), vmx).unwrap();
    let error = call(&base, &DiskCall::Compact).unwrap_err();
    assert_eq!(error.kind(), Kind::VmRunning, "{error}");
}

#[test]
fn disk_of_chosen_parts_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let sparse = qemu_create(dir.path(), "s.vmdk", "twoGbMaxExtentSparse", "1M");
    qemu_io(&sparse, &["write -P 2 64k 64k"]);
    std::fs::write(dir.path().join("f.raw"), [1; 4096]).unwrap();
    let text = "# Disk DescriptorFile\nversion=1\nCID=00000001\nparentCID=ffffffff\n\
                createType=\"custom\"\n\nRW 4 FLAT \"f.raw\" 4\nRW 3 ZERO\n\
                RW 2048 SPARSE \"s-s001.vmdk\"\nRDONLY 2 FLAT \"f.raw\" 0\nNOACCESS 5 ZERO\n";
    let path = dir.path().join("c.vmdk");
    std::fs::write(&path, text).unwrap();
    let mut wanted = vec![1; 4 * 512];
    wanted.resize(7 * 512 + (64 << 10), 0);
    wanted.resize(7 * 512 + (128 << 10), 2);
    wanted.resize((7 + 2048) * 512, 0);
    wanted.resize((9 + 2048) * 512, 1);
    wanted.resize((14 + 2048) * 512, 0);
    let mut read = vec![9; wanted.len()];
    open(&path).unwrap().read(&mut read, 0).unwrap();
    assert!(read == wanted);
    let to = dir.path().join("copy.vmdk");
    let format = DiskFormat::MonolithicSparse;
    call(
        &path,
        &DiskCall::Convert {
            to: to.clone(),
            format,
        },
    )
    .unwrap();
    assert!(bytes(&to) == wanted);
    let error = grow(&path, 1 << 30).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskUnsupported);
}

#[test]
fn raw_images_become_disks_and_disks_raw_images() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 3);
    let wanted = bytes(&source);
    let raw = dir.path().join("b.img");
    let to = raw.clone();
    call(&source, &DiskCall::ToRaw { to: to.clone() }).unwrap();
    assert!(std::fs::read(&raw).unwrap() == wanted);
    assert!(
        space(dir.path()) < 2 * wanted.len() as u64,
        "holes stay holes"
    );
    let left = std::fs::read_dir(dir.path()).unwrap();
    let hidden = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with('.')
    });
    assert_eq!(hidden.count(), 0);
    let error = call(&source, &DiskCall::ToRaw { to }).unwrap_err();
    assert_eq!(error.kind(), Kind::FileExists);
    for (format, create_type) in FORMATS {
        let other = tempfile::tempdir().unwrap();
        let to = other.path().join("d.vmdk");
        let what = DiskCall::FromRaw {
            to: to.clone(),
            format,
            adapter: "ide".into(),
        };
        call(&raw, &what).unwrap();
        assert!(bytes(&to) == wanted, "{format:?}");
        assert_sound(&to);
        let chain = open(&to).unwrap();
        assert_eq!(chain.top().create_type(), create_type);
        assert_eq!(chain.ddb("ddb.adapterType").as_deref(), Some("ide"));
        assert!(chain.long_content_id().is_some());
    }
    // A disk's own file, taken for what a guest would see.
    let nested = DiskCall::FromRaw {
        to: dir.path().join("nested.vmdk"),
        format: DiskFormat::MonolithicSparse,
        adapter: "lsilogic".into(),
    };
    let part = dir.path().join("b-s001.vmdk");
    call(&part, &nested).unwrap();
    assert!(bytes(&dir.path().join("nested.vmdk")) == std::fs::read(&part).unwrap());
    std::fs::write(&part, [7; 1000]).unwrap();
    let error = call(&part, &nested).unwrap_err();
    assert_eq!(error.kind(), Kind::Argument);
    assert!(error.advice().unwrap().contains("truncate"));
}

#[test]
fn disk_of_chosen_parts_is_kept_by_every_operation() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c-flat.vmdk"), [1; 4096]).unwrap();
    let text = "# Disk DescriptorFile\nversion=1\nCID=00000001\nparentCID=ffffffff\n\
                createType=\"custom\"\n\nRW 4 FLAT \"c-flat.vmdk\" 4\nRW 3 ZERO\n\
                RDONLY 2 FLAT \"c-flat.vmdk\" 0\nNOACCESS 5 ZERO\n";
    let path = dir.path().join("c.vmdk");
    std::fs::write(&path, text).unwrap();
    let to = dir.path().join("c.img");
    call(&path, &DiskCall::ToRaw { to: to.clone() }).unwrap();
    let mut wanted = vec![1; 4 * 512];
    wanted.resize(7 * 512, 0);
    wanted.resize(9 * 512, 1);
    wanted.resize(14 * 512, 0);
    assert!(std::fs::read(&to).unwrap() == wanted);
    let host = Host::local().unwrap();
    let provider = host.provider();
    let found = provider.disk_check(&path, &Job::new()).unwrap();
    assert_eq!(found.errors, [""; 0]);
    let copy = dir.path().join("d.vmdk");
    let format = DiskFormat::SplitFlat;
    let convert = DiskCall::Convert {
        to: copy.clone(),
        format,
    };
    call(&path, &convert).unwrap();
    let compare = DiskCall::Compare { with: copy };
    let DiskAnswer::Compared(same) = provider.disk(&path, &compare, &Job::new()).unwrap() else {
        panic!("no comparison");
    };
    assert!(same.is_same());
    let before = fingerprints(dir.path());
    // A part may not be written to.
    for what in [
        DiskCall::Compact,
        DiskCall::Grow {
            capacity_bytes: 1 << 20,
        },
    ] {
        let error = call(&path, &what).unwrap_err();
        assert_eq!(error.kind(), Kind::DiskUnsupported, "{error}");
    }
    assert_eq!(before, fingerprints(dir.path()));
    let renamed = dir.path().join("e.vmdk");
    call(
        &path,
        &DiskCall::Rename {
            to: renamed.clone(),
        },
    )
    .unwrap();
    let mut now = vec![9; wanted.len()];
    open(&renamed).unwrap().read(&mut now, 0).unwrap();
    assert!(now == wanted);
}
