//! Disks of real VMs: descriptors come back byte for byte, each file opens or is refused for the
//! true reason.

use std::path::Path;

use replix::Kind;
use replix::format::vmdk::sparse::{Embedded, Header};
use replix::format::vmdk::{CreateType, Descriptor};

use crate::samples::{files, samples};
use crate::tools::opener;

/// Returns the bytes of a descriptor, stand-alone or embedded; `None` for an extent without one.
fn descriptor(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    if !bytes.starts_with(b"KDMV") {
        return Some(bytes);
    }
    let place = Embedded::parse(bytes[..512].try_into().unwrap()).unwrap()?;
    let start = (place.offset * 512) as usize;
    let area = &bytes[start..start + (place.sectors * 512) as usize];
    let end = area
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(area.len());
    Some(area[..end].to_vec()).filter(|text| !text.is_empty())
}

#[test]
fn descriptors_come_back_byte_for_byte() {
    for path in files("vmdk") {
        let Some(bytes) = descriptor(&path) else {
            continue;
        };
        let mut disk = Descriptor::parse(&bytes).unwrap();
        assert_eq!(disk.as_bytes(), bytes, "{}", path.display());
        assert!(!disk.extents().unwrap().is_empty());
        // What is changed and changed back is as it was.
        let (cid, long) = (disk.cid(), disk.get("ddb.longContentID"));
        disk.set_content_id(!cid, long.as_deref()).unwrap();
        assert_ne!(disk.as_bytes(), bytes);
        disk.set_content_id(cid, long.as_deref()).unwrap();
        assert_eq!(disk.as_bytes(), bytes, "{}", path.display());
    }
}

#[test]
fn sparse_headers_are_understood() {
    for path in files("vmdk") {
        let bytes = std::fs::read(&path).unwrap();
        if bytes.starts_with(b"KDMV") {
            let header = Header::parse(bytes[..512].try_into().unwrap()).unwrap();
            let compressed = bytes[10] & 1 != 0;
            assert_eq!(header.packing.is_some(), compressed, "{}", path.display());
        }
    }
}

/// What opening a sample says: its create type and size, or the kind of refusal and a word of it.
type Fact = (
    &'static str,
    Result<(CreateType, u64), (Kind, &'static str)>,
);

const FACTS: [Fact; 12] = [
    (
        "suspended-pianos/PIaNOS.vmdk",
        Ok((CreateType::MonolithicSparse, 2048)),
    ),
    (
        "vmdk-ws4/image.vmdk",
        Ok((CreateType::MonolithicSparse, 200)),
    ),
    (
        "vmdk-qemu/minimal.vmdk",
        Ok((CreateType::MonolithicSparse, 2048)),
    ),
    (
        "vmdk-qemu/stream_opt.vmdk",
        Ok((CreateType::StreamOptimized, 2048)),
    ),
    (
        "vmdk-vmware/streamOptimized.vmdk",
        Ok((CreateType::StreamOptimized, 20_480)),
    ),
    (
        "vmdk-vmware/vmfs_thick.vmdk",
        Err((Kind::FileNotFound, "vmfs_thick-flat.vmdk")),
    ),
    (
        "vmdk-extracts/Base_R91-000001.vmdk",
        Err((Kind::FileNotFound, "Base_R91-000001-sesparse.vmdk")),
    ),
    (
        "fortigate/datadrive.vmdk",
        Ok((CreateType::StreamOptimized, 62_914_560)),
    ),
    (
        "gbk-flat/OSTA_ASM.vmdk",
        Err((Kind::FileNotFound, "OSTA_ASM-flat.vmdk")),
    ),
    (
        "full-clone-hadoop/HadoopVM-cl1.vmdk",
        Err((Kind::FileNotFound, "HadoopVM-cl1-s001.vmdk")),
    ),
    (
        "full-clone-hadoop/HadoopVM-cl1-s002.vmdk",
        Err((Kind::DiskInvalid, "only a part")),
    ),
    (
        "debian10/Debian 10.x 64-bit-s006.vmdk",
        Err((Kind::DiskInvalid, "only a part")),
    ),
];

#[test]
fn samples_open_or_are_refused_for_the_true_reason() {
    let Some(dir) = samples() else {
        return;
    };
    for (name, fact) in FACTS {
        let path = dir.join(name);
        match (opener(&path).open(&path), fact) {
            (Ok(chain), Ok((create_type, sectors))) => {
                assert_eq!(chain.top().create_type(), create_type, "{name}");
                assert_eq!(chain.sectors(), sectors, "{name}");
            }
            (Err(error), Err((kind, word))) => {
                assert_eq!(error.kind(), kind, "{name}: {error}");
                assert!(error.to_string().contains(word), "{name}: {error}");
            }
            (Ok(_), Err(_)) => panic!("{name} opens"),
            (Err(error), Ok(_)) => panic!("{name}: {error}"),
        }
    }
}

/// Why a sample cannot be read: a file of it is not among the samples, or it is no disk by itself.
fn is_true_reason(path: &Path, error: &replix::Error) -> bool {
    let text = error.to_string();
    match error.kind() {
        // The file that is named is indeed missing.
        Kind::FileNotFound | Kind::DiskParent => {
            let bytes = std::fs::read(path).unwrap();
            let disk = Descriptor::parse(&descriptor(path).unwrap_or(bytes)).unwrap();
            let extents = disk.extents().unwrap().into_iter();
            let mut names = extents.filter_map(|extent| extent.file);
            names.any(|name| !path.with_file_name(&name).exists() && text.contains(&name))
        }
        Kind::DiskInvalid => descriptor(path).is_none() && text.contains("only a part of a disk"),
        _ => false,
    }
}

#[test]
fn every_sample_is_read_to_the_last_byte_or_refused_for_the_true_reason() {
    let mut read = 0;
    for path in files("vmdk") {
        let chain = match opener(&path).open(&path) {
            Ok(chain) => chain,
            Err(error) => {
                assert!(is_true_reason(&path, &error), "{}: {error}", path.display());
                continue;
            }
        };
        // What is stored is read, as are the ends of what is not: some samples are of terabytes.
        let mut buf = vec![0; 1 << 20];
        let mut at = 0;
        for entry in chain.map() {
            let entry = entry.unwrap();
            assert_eq!(entry.offset, at, "{}", path.display());
            at += entry.length;
            let step = match entry.file {
                Some(_) => buf.len() as u64,
                None => entry.length,
            };
            for offset in (entry.offset..at).step_by(step as usize) {
                let len = (at - offset).min(buf.len() as u64) as usize;
                chain.read(&mut buf[..len], offset).unwrap();
                chain.read(&mut buf[..512], at - 512).unwrap();
                assert!(entry.file.is_some() || buf[..len].iter().all(|byte| *byte == 0));
            }
        }
        assert_eq!(at, chain.capacity_bytes(), "{}", path.display());
        read += 1;
    }
    assert!(read >= 7 || samples().is_none(), "only {read}");
}
