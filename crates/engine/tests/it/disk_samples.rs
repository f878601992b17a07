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
