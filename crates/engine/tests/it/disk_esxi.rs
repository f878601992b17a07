//! Snapshots of ESXi: read as QEMU and another reader read them, on their own and in chains; damage
//! is named. Their files are made by the test kit.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use replix::disk::{ContentId, Copy, NewDisk, check, copy, create, merge};
use replix::format::vmdk::CreateType;
use replix::store::Local;
use replix::{Job, Kind};
use replix_testkit::{Esxi, EsxiGrain, EsxiLink};

use crate::tools::{
    assert_same, assert_sound, child_of, noise_of, ok, open, opener, qemu_io, qemu_read_all,
    read_all,
};

/// Sectors of the disks: more than a table of each format covers, and no whole number of grains.
const SECTORS: u64 = 40_003;

/// Makes a flat disk as ESXi has it, with data here and there.
fn base(dir: &Path) -> PathBuf {
    let path = dir.join("vm.vmdk");
    let disk = NewDisk {
        path: path.clone(),
        create_type: CreateType::Vmfs,
        preallocated: false,
        sectors: SECTORS,
        cut: None,
        adapter: "lsilogic".into(),
        hardware_version: 14,
        uuid: None,
    };
    create(&Local, &disk).unwrap();
    qemu_io(
        &path,
        &[
            "write -P 1 0 1M",
            "write -P 2 5M 200k",
            "write -P 3 20000k 512",
        ],
    );
    path
}

/// Makes a snapshot on `parent`: data at the start, across a table, at the very end, and grains of
/// zeros where the format has them. Each step writes elsewhere.
fn snapshot(parent: &Path, name: &str, format: Esxi, step: u64) -> PathBuf {
    let grain = match format {
        Esxi::Cowd(sectors) => u64::from(sectors),
        Esxi::SeSparse => 8,
    };
    let last = (SECTORS - 1) / grain;
    let data = |number: u64| {
        let bytes = noise_of((grain * 512) as usize, number + step * 1000);
        (number, EsxiGrain::Data(bytes))
    };
    let places = [7, 3, 4, 5, 4095, 4096, last, last / 2, 100];
    let mut grains: Vec<_> = places
        .map(|number| (number + step * 11).min(last))
        .map(data)
        .into();
    grains.sort_by_key(|(number, _)| (number * 7919) % 31);
    grains.dedup_by_key(|(number, _)| *number);
    grains.retain(|(number, _)| *number <= last);
    if format == Esxi::SeSparse {
        grains.push((20 + step * 40, EsxiGrain::Zeros));
        grains.push((30 + step * 40, EsxiGrain::Unmapped));
    }
    let path = parent.with_file_name(name);
    let link = EsxiLink {
        format,
        sectors: SECTORS,
        parent: Some((
            open(parent).unwrap().top().cid(),
            parent.file_name().unwrap().to_str().unwrap().into(),
        )),
        grains,
    };
    link.write(&path);
    path
}

const FORMATS: [Esxi; 4] = [
    Esxi::Cowd(1),
    Esxi::Cowd(7),
    Esxi::Cowd(128),
    Esxi::SeSparse,
];

#[test]
fn snapshots_read_as_others_read_them() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let base = base(dir.path());
        let first = snapshot(&base, "vm-000001.vmdk", format, 0);
        let second = snapshot(&first, "vm-000002.vmdk", format, 1);
        for disk in [&first, &second] {
            let bytes = read_all(disk);
            assert_eq!(bytes.len() as u64, SECTORS * 512);
            assert!(
                bytes == qemu_read_all(disk),
                "{format:?} {}",
                disk.display()
            );
            let report = check(&opener(disk), disk, &Job::new()).unwrap();
            assert_eq!(report.errors, [""; 0], "{format:?}");
            assert!(report.allocated_grains >= 7, "{format:?}");
        }
        assert!(read_all(&first) != read_all(&base));
    }
}

#[test]
fn lone_links_read_as_another_reader_reads_them() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alone.vmdk");
        let mut grains: Vec<_> = (0..400u64)
            .map(|i| (i * i % 4000, EsxiGrain::Data(noise_of(512, i + 1))))
            .collect();
        grains.sort_by_key(|(number, _)| *number);
        grains.dedup_by_key(|(number, _)| *number);
        grains.reverse();
        let sectors = match format {
            Esxi::Cowd(grain) => 4321 * u64::from(grain),
            Esxi::SeSparse => 4321 * 8,
        };
        let link = EsxiLink {
            format,
            sectors,
            parent: None,
            grains,
        };
        let extent = dir.path().join(link.write(&path));
        let ours = read_all(&path);
        let mut other = vmdk::VmdkReader::open(std::fs::File::open(extent).unwrap()).unwrap();
        let mut theirs = Vec::new();
        other.read_to_end(&mut theirs).unwrap();
        assert!(ours == theirs, "{format:?}");
        assert!(ours == qemu_read_all(&path), "{format:?}");
    }
}

#[test]
fn chain_of_both_formats_is_cloned() {
    let dir = tempfile::tempdir().unwrap();
    let base = base(dir.path());
    let first = snapshot(&base, "vm-000001.vmdk", Esxi::Cowd(1), 0);
    let top = snapshot(&first, "vm-000002.vmdk", Esxi::SeSparse, 1);
    for create_type in [CreateType::MonolithicSparse, CreateType::StreamOptimized] {
        let path = dir.path().join(format!("{}.vmdk", create_type.word()));
        let spec = Copy {
            path: &path,
            create_type: Some(create_type),
            preallocated: false,
            uuid: None,
            content_id: ContentId::Keep,
        };
        copy(&Local, &open(&top).unwrap(), &spec, &Job::new()).unwrap();
        assert_same(&path, &top);
        assert_sound(&path);
    }
    // A hosted child stands on it, and takes writes.
    let child = child_of(&top, "vm-000003.vmdk");
    assert_eq!(
        open(&child).unwrap().top().create_type(),
        CreateType::MonolithicSparse
    );
    qemu_io(&child, &["write -P 9 1000k 3k"]);
    let mut expected = qemu_read_all(&top);
    expected[1000 << 10..1003 << 10].fill(9);
    assert!(read_all(&child) == expected);
    assert!(qemu_read_all(&child) == expected);
}

#[test]
fn snapshot_is_merged_into_its_flat_base_and_nothing_into_it() {
    for format in [Esxi::Cowd(1), Esxi::SeSparse] {
        let dir = tempfile::tempdir().unwrap();
        let base = base(dir.path());
        let first = snapshot(&base, "vm-000001.vmdk", format, 0);
        let second = snapshot(&first, "vm-000002.vmdk", format, 1);
        let error = merge(&open(&second).unwrap(), &Job::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::DiskUnsupported);
        let expected = read_all(&first);
        merge(&open(&first).unwrap(), &Job::new()).unwrap();
        assert!(read_all(&base) == expected && read_all(&first) == expected);
    }
}

#[test]
fn libvmdk_knows_the_older_format() {
    let dir = tempfile::tempdir().unwrap();
    let base = base(dir.path());
    let disk = snapshot(&base, "vm-000001.vmdk", Esxi::Cowd(1), 0);
    let said = ok("vmdkinfo", &[disk.to_str().unwrap()], dir.path());
    assert!(
        said.contains("VMFS sparse") || said.contains("COWD"),
        "{said}"
    );
}

/// Puts `bytes` at `offset` of the extent of a snapshot on a base.
fn damaged(dir: &Path, format: Esxi, offset: u64, bytes: &[u8]) -> PathBuf {
    let disk = snapshot(&base(dir), "vm-000001.vmdk", format, 0);
    let name = match format {
        Esxi::Cowd(_) => "vm-000001-delta.vmdk",
        Esxi::SeSparse => "vm-000001-sesparse.vmdk",
    };
    let file = OpenOptions::new().write(true).open(dir.join(name)).unwrap();
    file.write_all_at(bytes, offset).unwrap();
    disk
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let all = &[0xff; 8][..];
    for (format, offset, bytes, kind, what) in [
        (
            Esxi::Cowd(1),
            4,
            &[2][..],
            Kind::DiskUnsupported,
            "version 2",
        ),
        (
            Esxi::Cowd(1),
            12,
            &all[..4],
            Kind::DiskInvalid,
            "do not make 4294967295",
        ),
        (
            Esxi::Cowd(1),
            12,
            &[1, 0, 0, 0],
            Kind::DiskInvalid,
            "its descriptor",
        ),
        (Esxi::Cowd(1), 16, &[0], Kind::DiskInvalid, "grain of 0"),
        (
            Esxi::Cowd(1),
            20,
            &all[..4],
            Kind::DiskInvalid,
            "directory at sector 4294967295",
        ),
        (
            Esxi::Cowd(1),
            24,
            &all[..4],
            Kind::DiskInvalid,
            "does not lie inside",
        ),
        (
            Esxi::SeSparse,
            8,
            &[2],
            Kind::DiskUnsupported,
            "version 0x200000002",
        ),
        (Esxi::SeSparse, 16, all, Kind::DiskInvalid, "directory of"),
        (
            Esxi::SeSparse,
            80,
            all,
            Kind::DiskInvalid,
            "no file reaches",
        ),
        (
            Esxi::SeSparse,
            512,
            &[0],
            Kind::DiskInvalid,
            "part of its header",
        ),
        (
            Esxi::SeSparse,
            128,
            &[0, 0, 0, 1],
            Kind::DiskInvalid,
            "does not lie inside",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let disk = damaged(dir.path(), format, offset, bytes);
        let Err(error) = open(&disk) else {
            panic!("{format:?} {offset} opens");
        };
        assert_eq!(error.kind(), kind, "{format:?} {offset}: {error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn entries_that_lead_nowhere_are_damage() {
    let all = &[0xff; 8][..];
    // Directory and first table: COWD at sectors 4 and 5; seSparse at 16 and 17.
    for (format, offset, bytes, what) in [
        (
            Esxi::Cowd(1),
            4 * 512,
            &all[..4],
            "grain table 0 at sector 4294967295",
        ),
        (
            Esxi::Cowd(1),
            5 * 512 + 12,
            &all[..4],
            "grain 3 at sector 4294967295",
        ),
        (
            Esxi::SeSparse,
            16 * 512,
            all,
            "entry 0xffffffffffffffff of grain table 0",
        ),
        (
            Esxi::SeSparse,
            16 * 512,
            &[0xff; 4],
            "grain table 0 at sector",
        ),
        (
            Esxi::SeSparse,
            17 * 512 + 24,
            all,
            "grain 3, of entry 0xffffffffffffffff",
        ),
        (
            Esxi::SeSparse,
            17 * 512 + 24,
            &[0xff; 4],
            "grain 3, of entry 0x30050000ffffffff",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let disk = damaged(dir.path(), format, offset, bytes);
        let chain = open(&disk).unwrap();
        let mut all = vec![0; chain.capacity_bytes() as usize];
        let error = chain.read(&mut all, 0).unwrap_err();
        assert_eq!(
            error.kind(),
            Kind::DiskInvalid,
            "{format:?} {offset}: {error}"
        );
        assert!(error.to_string().contains(what), "{error}");
        let found = check(&opener(&disk), &disk, &Job::new()).unwrap().errors;
        assert!(found.iter().any(|found| found.contains(what)), "{found:?}");
        assert!(found.len() <= 21);
    }
}

#[test]
fn snapshots_left_open_ask_for_a_repair() {
    for (format, offset) in [(Esxi::Cowd(1), 1648), (Esxi::SeSparse, 512 + 24)] {
        let dir = tempfile::tempdir().unwrap();
        let disk = damaged(dir.path(), format, offset, &[1]);
        let error = open(&disk).unwrap().require_clean().unwrap_err();
        assert_eq!(error.kind(), Kind::DiskNeedsRepair, "{format:?}");
    }
}

#[test]
fn damage_anywhere_ends_in_an_error_at_worst() {
    for format in [Esxi::Cowd(1), Esxi::SeSparse] {
        let dir = tempfile::tempdir().unwrap();
        let disk = snapshot(&base(dir.path()), "vm-000001.vmdk", format, 0);
        let extent = match format {
            Esxi::Cowd(_) => dir.path().join("vm-000001-delta.vmdk"),
            Esxi::SeSparse => dir.path().join("vm-000001-sesparse.vmdk"),
        };
        let sound = std::fs::read(&extent).unwrap();
        for seed in 0..300 {
            let noise = noise_of(64, seed + 1);
            let mut bytes = sound.clone();
            for patch in noise.chunks(8).take(1 + seed as usize % 8) {
                // Header, directory and the first table: most of what can go wrong.
                let at = u16::from_le_bytes([patch[0], patch[1]]) as usize % 12_000;
                let at = if patch[2] < 100 { at % 256 } else { at };
                bytes[at..at + 4].copy_from_slice(&patch[3..7]);
            }
            std::fs::write(&extent, bytes).unwrap();
            let _ = check(&opener(&disk), &disk, &Job::new());
            if let Ok(chain) = open(&disk) {
                let mut bytes = vec![0; chain.capacity_bytes() as usize];
                let _ = chain.read(&mut bytes, 0);
                assert!(chain.map().count() > 0);
            }
        }
    }
}
