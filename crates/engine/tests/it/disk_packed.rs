//! Disks of compressed grains: read as others read them, a source for clones, never written to.

use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use replix::disk::{ContentId, Copy, check, copy, merge};
use replix::format::vmdk::CreateType;
use replix::store::Local;
use replix::{Job, Kind};

use crate::samples::samples;
use crate::tools::{
    CONTENTS, Content, assert_same, assert_sound, chain_of, child_of, fingerprints, noise_of, ok,
    open, opener, qemu_io, qemu_read_all, read_all,
};

/// Packs a disk by QEMU.
fn pack(disk: &Path, name: &str) -> PathBuf {
    let to = disk.with_file_name(name);
    let args = [
        "convert",
        "-f",
        "vmdk",
        "-O",
        "vmdk",
        "-o",
        "subformat=streamOptimized",
    ];
    let names = [disk.to_str().unwrap(), to.to_str().unwrap()];
    ok(
        "qemu-img",
        &[&args[..], &names].concat(),
        disk.parent().unwrap(),
    );
    to
}

/// Copies a disk to the layout that nobody chose.
fn copy_of(disk: &Path, name: &str) -> PathBuf {
    let path = disk.with_file_name(name);
    let spec = Copy {
        path: &path,
        create_type: None,
        preallocated: false,
        uuid: None,
        content_id: ContentId::Keep,
    };
    copy(&Local, &open(disk).unwrap(), &spec, &Job::new()).unwrap();
    path
}

fn errors(disk: &Path) -> Vec<String> {
    check(&opener(disk), disk, &Job::new()).unwrap().errors
}

#[test]
fn streams_of_qemu_read_as_their_source() {
    for content in CONTENTS {
        let dir = tempfile::tempdir().unwrap();
        let source = chain_of(dir.path(), CreateType::SplitSparse, content, 2);
        let packed = pack(&source, "p.vmdk");
        let chain = open(&packed).unwrap();
        assert_eq!(chain.top().create_type(), CreateType::StreamOptimized);
        assert_eq!(errors(&packed), [""; 0]);
        let bytes = qemu_read_all(&source);
        assert!(read_all(&packed) == bytes, "{content:?}");
        // In pieces that begin and end anywhere.
        let mut piece = vec![0; 100_001];
        for at in (0..bytes.len() - piece.len()).step_by(377_777) {
            chain.read(&mut piece, at as u64).unwrap();
            assert!(piece == bytes[at..at + piece.len()], "{content:?} {at}");
        }
    }
}

#[test]
fn map_tells_what_is_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::MonolithicSparse, Content::Random, 1);
    let chain = open(&pack(&source, "p.vmdk")).unwrap();
    let entries: Vec<_> = chain.map().map(Result::unwrap).collect();
    let sum: u64 = entries.iter().map(|entry| entry.length).sum();
    assert_eq!(sum, chain.capacity_bytes());
    let is_packed = |entry: &&replix::disk::MapEntry| entry.compressed;
    let packed: u64 = entries.iter().filter(is_packed).map(|e| e.length).sum();
    assert_eq!(packed, chain.data_bytes().unwrap());
    assert!(packed >= 800 << 10, "{packed}");
    assert!(entries.iter().all(|e| e.compressed == e.file.is_some()));
}

#[test]
fn stream_is_cloned_to_a_disk_that_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 2);
    let packed = pack(&source, "p.vmdk");
    let copied = copy_of(&packed, "c.vmdk");
    let create_type = open(&copied).unwrap().top().create_type();
    assert_eq!(create_type, CreateType::MonolithicSparse);
    assert_same(&copied, &source);
    assert_sound(&copied);
}

#[test]
fn our_streams_read_as_another_reader_reads_them() {
    for content in CONTENTS {
        let dir = tempfile::tempdir().unwrap();
        let source = chain_of(dir.path(), CreateType::SplitSparse, content, 2);
        let path = dir.path().join("s.vmdk");
        let spec = Copy {
            path: &path,
            create_type: Some(CreateType::StreamOptimized),
            preallocated: false,
            uuid: None,
            content_id: ContentId::Keep,
        };
        copy(&Local, &open(&source).unwrap(), &spec, &Job::new()).unwrap();
        let mut other = vmdk::VmdkReader::open_path(&path).unwrap();
        assert_eq!(other.disk_type(), "streamOptimized");
        let mut bytes = Vec::new();
        other.read_to_end(&mut bytes).unwrap();
        assert!(bytes == qemu_read_all(&source), "{content:?}");
        assert_sound(&path);
    }
}

#[test]
fn child_of_a_stream_reads_and_takes_writes() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 2);
    let packed = pack(&source, "p.vmdk");
    let before = fingerprints(dir.path());
    let child = child_of(&packed, "c.vmdk");
    assert_same(&child, &source);
    qemu_io(&child, &["write -P 7 100k 3k"]);
    let mut expected = qemu_read_all(&source);
    expected[100 << 10..103 << 10].fill(7);
    assert!(read_all(&child) == expected);
    assert!(qemu_read_all(&child) == expected);
    // What the child has cannot go into the stream.
    let error = merge(&open(&child).unwrap(), &Job::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskUnsupported);
    assert!(error.to_string().contains("cannot be written"), "{error}");
    std::fs::remove_file(child).unwrap();
    assert_eq!(fingerprints(dir.path()), before);
}

#[test]
fn real_streams_read_as_qemu_reads_them() {
    let Some(samples) = samples() else { return };
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "vmdk-vmware/streamOptimized.vmdk",
        "vmdk-qemu/stream_opt.vmdk",
        "vmdk-qemu/compressed_stream_opt.vmdk",
    ] {
        let disk = samples.join(name);
        assert!(read_all(&disk) == qemu_read_all(&disk), "{name}");
        assert_eq!(errors(&disk), [""; 0], "{name}");
    }
    // These are large: what is in them is copied, and compared by QEMU.
    let from_esxi = dir.path().join("esxi.vmdk");
    let packed = samples.join("qemu-iotests/iotest-version3.vmdk.bz2");
    let unpacked = std::process::Command::new("bzip2")
        .args(["-dc", packed.to_str().unwrap()])
        .output()
        .unwrap();
    std::fs::write(&from_esxi, unpacked.stdout).unwrap();
    let from_ovf = dir.path().join("ovf.vmdk");
    std::fs::copy(samples.join("fortigate/datadrive.vmdk"), &from_ovf).unwrap();
    for disk in [from_esxi, from_ovf] {
        assert_eq!(errors(&disk), [""; 0]);
        let copied = copy_of(&disk, "c.vmdk");
        assert_same(&disk, &copied);
        std::fs::remove_file(copied).unwrap();
    }
}

#[test]
fn export_that_is_cancelled_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 1);
    let before = fingerprints(dir.path());
    let spec = Copy {
        path: &dir.path().join("s.vmdk"),
        create_type: Some(CreateType::StreamOptimized),
        preallocated: false,
        uuid: None,
        content_id: ContentId::Keep,
    };
    for percent in [0, 1, 60] {
        let handle = Arc::new(OnceLock::<Job>::new());
        let watcher = Arc::clone(&handle);
        let job = Job::observed(move |progress| {
            if progress.percent() >= percent {
                watcher.get().unwrap().cancel();
            }
        });
        handle.set(job.clone()).ok().unwrap();
        let chain = open(&source).unwrap();
        job.phase("exporting");
        job.expect_bytes(chain.data_bytes().unwrap());
        let error = copy(&Local, &chain, &spec, &job).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled, "{percent}");
        assert_eq!(before, fingerprints(dir.path()));
    }
}

/// A stream of one grain of 5, and what is at `offset` in it replaced.
fn damaged(dir: &Path, offset: u64, bytes: &[u8]) -> PathBuf {
    let source = crate::tools::qemu_create(dir, "s.vmdk", "monolithicSparse", "1M");
    qemu_io(&source, &["write -P 5 64k 64k"]);
    let packed = pack(&source, "p.vmdk");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&packed)
        .unwrap();
    file.write_all_at(bytes, offset).unwrap();
    packed
}

#[test]
fn damaged_grains_are_refused_by_name() {
    const GRAIN: u64 = 128 * 512;
    for (offset, bytes, what) in [
        (GRAIN, &[0; 8][..], "bytes for sector 0"),
        (GRAIN + 8, &[0; 4], "says 0 bytes for sector 128"),
        (
            GRAIN + 8,
            &[0xff; 4],
            "says 4294967295 bytes for sector 128",
        ),
        (GRAIN + 12, &[0; 80], "cannot be decompressed"),
        (GRAIN + 16, &[0xff; 16], "cannot be decompressed"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let disk = damaged(dir.path(), offset, bytes);
        let chain = open(&disk).unwrap();
        let error = chain.read(&mut [0; 512], GRAIN).unwrap_err();
        assert_eq!(error.kind(), Kind::DiskInvalid, "{what}");
        let text = error.to_string();
        assert!(
            text.contains("p.vmdk") && text.contains("grain 1 at sector 128"),
            "{text}"
        );
        assert!(text.contains(what), "{text}");
        let found = errors(&disk);
        assert!(found.len() == 1 && found[0].contains(what), "{found:?}");
        // What is beside it can be read.
        chain.read(&mut [0; 65536], 0).unwrap();
    }
}

/// The bytes of a zlib stream of `data`.
fn zlib(data: &[u8]) -> Vec<u8> {
    use libdeflater::{CompressionLvl, Compressor};
    let mut compressor = Compressor::new(CompressionLvl::best());
    let mut bytes = vec![0; compressor.zlib_compress_bound(data.len())];
    let len = compressor.zlib_compress(data, &mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

/// A compressed extent made by hand, as a whole disk: grains of `grain` sectors, each with its data.
fn by_hand(
    dir: &Path,
    marked: bool,
    version: u32,
    grain: u64,
    grains: &[(u64, Vec<u8>)],
) -> PathBuf {
    let sectors = grain * 512 + grain / 2;
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n\
         createType=\"monolithicSparse\"\nRW {sectors} SPARSE \"h.vmdk\"\n#DDB\n"
    );
    let mut file = vec![0; 128 * 512];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"KDMV");
    put(4, &version.to_le_bytes());
    put(8, &(0x1_0001 | u32::from(marked) << 17).to_le_bytes());
    for (at, value) in [
        (12, sectors),
        (20, grain),
        (28, 1),
        (36, 4),
        (56, 5),
        (64, 128),
    ] {
        put(at, &value.to_le_bytes());
    }
    put(44, &512u32.to_le_bytes());
    put(73, b"\n \r\n\x01");
    put(512, text.as_bytes());
    // A directory of two tables at sector 5, the tables behind it.
    put(5 * 512, &[6, 0, 0, 0, 10, 0, 0, 0]);
    for (number, data) in grains {
        let sector = (file.len() / 512) as u32;
        let at = 6 * 512 + *number as usize * 4;
        file[at..at + 4].copy_from_slice(&sector.to_le_bytes());
        if marked {
            file.extend((number * grain).to_le_bytes());
            file.extend((data.len() as u32).to_le_bytes());
        }
        file.extend(data);
        file.resize(file.len().next_multiple_of(512), 0);
    }
    let path = dir.join("h.vmdk");
    std::fs::write(&path, file).unwrap();
    path
}

#[test]
fn grains_of_every_size_and_version_are_read_with_and_without_markers() {
    for grain in [16u64, 32, 64, 128, 256] {
        for (marked, version) in [(true, 1), (true, 2), (true, 3), (false, 1), (false, 3)] {
            let dir = tempfile::tempdir().unwrap();
            let bytes = (grain * 512) as usize;
            let noise = noise_of(bytes, grain);
            // The last grain is half of one, on its own in the second table.
            let grains = [
                (3, zlib(&noise)),
                (0, zlib(&vec![7; bytes])),
                (512, zlib(&noise[..bytes / 2])),
            ];
            let disk = by_hand(dir.path(), marked, version, grain, &grains);
            let mut expected = vec![0; bytes * 512 + bytes / 2];
            expected[..bytes].fill(7);
            expected[3 * bytes..4 * bytes].copy_from_slice(&noise);
            expected[512 * bytes..].copy_from_slice(&noise[..bytes / 2]);
            assert!(read_all(&disk) == expected, "{grain} {marked} {version}");
            assert_eq!(errors(&disk), [""; 0], "{grain} {marked} {version}");
            let copied = copy_of(&disk, "c.vmdk");
            assert!(
                qemu_read_all(&copied) == expected,
                "{grain} {marked} {version}"
            );
            // QEMU fails where more than a grain's stream follows the grain.
            if marked {
                assert!(
                    qemu_read_all(&disk) == expected,
                    "{grain} {marked} {version}"
                );
            }
        }
    }
}

#[test]
fn bombs_and_lies_are_refused_within_bounds() {
    const GRAIN: usize = 65536;
    let whole = zlib(&[7; GRAIN]);
    let huge = zlib(&vec![0; 64 << 20]);
    let more = zlib(&[7; GRAIN + 1]);
    let less = zlib(&[7; GRAIN - 1]);
    let mut torn = whole.clone();
    torn.pop();
    let mut wrong_sum = whole;
    *wrong_sum.last_mut().unwrap() ^= 1;
    for marked in [true, false] {
        for (data, what) in [
            (&more, "more than a grain"),
            (&huge, "more than a grain"),
            (&less, "holds 65535 bytes only"),
            (&wrong_sum, "cannot be decompressed"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let disk = by_hand(dir.path(), marked, 3, 128, &[(1, data.clone())]);
            for len in [GRAIN, 512] {
                let error = open(&disk)
                    .unwrap()
                    .read(&mut vec![0; len], GRAIN as u64)
                    .unwrap_err();
                assert_eq!(error.kind(), Kind::DiskInvalid);
                assert!(error.to_string().contains(what), "{marked} {what}: {error}");
            }
            let found = errors(&disk);
            assert!(found.len() == 1 && found[0].contains(what), "{found:?}");
        }
    }
    // One that ends before its end, and a file that does.
    let dir = tempfile::tempdir().unwrap();
    let disk = by_hand(dir.path(), true, 3, 128, &[(1, torn)]);
    let found = errors(&disk);
    assert!(found[0].contains("has no end"), "{found:?}");
    let data = zlib(&noise_of(GRAIN, 1));
    let disk = by_hand(dir.path(), true, 3, 128, &[(1, data)]);
    for (len, what) in [
        (129 * 512, "cut off by the end of the file"),
        (128 * 512 + 8, "cut off by the end of the file"),
        (128 * 512, "does not lie among the file's data"),
    ] {
        let file = std::fs::OpenOptions::new().write(true).open(&disk).unwrap();
        file.set_len(len).unwrap();
        let error = open(&disk).unwrap().read(&mut [0; 512], GRAIN as u64);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), Kind::DiskInvalid);
        assert!(error.to_string().contains(what), "{len}: {error}");
    }
}

#[test]
fn stream_without_its_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 1);
    let path = dir.path().join("s.vmdk");
    let spec = Copy {
        path: &path,
        create_type: Some(CreateType::StreamOptimized),
        preallocated: false,
        uuid: None,
        content_id: ContentId::Keep,
    };
    copy(&Local, &open(&source).unwrap(), &spec, &Job::new()).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for cut in [1, 512, 1024, 1536, whole.len() / 2, whole.len() - 128 * 512] {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let Err(error) = open(&path) else {
            panic!("{cut} less opens");
        };
        assert_eq!(error.kind(), Kind::DiskInvalid, "{cut}: {error}");
        assert!(
            error.to_string().contains("not copied whole"),
            "{cut}: {error}"
        );
    }
}
