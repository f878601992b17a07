//! What we create, every other program opens; children read as their parents and take writes.

use std::path::{Path, PathBuf};

use replix::disk::{NewDisk, create, create_child};
use replix::format::vmdk::CreateType;
use replix::store::Local;

use crate::tools::{
    assert_same, assert_sound, ok, open, qemu_create, qemu_io, qemu_read_all, read_all,
};

const TYPES: [CreateType; 4] = [
    CreateType::MonolithicSparse,
    CreateType::MonolithicFlat,
    CreateType::SplitSparse,
    CreateType::SplitFlat,
];

fn child_of(parent: &Path, name: &str) -> PathBuf {
    let path = parent.with_file_name(name);
    let hint = parent.file_name().unwrap().to_str().unwrap();
    create_child(&Local, &open(parent).unwrap(), &path, hint).unwrap();
    path
}

#[test]
fn empty_disks_open_elsewhere() {
    for create_type in TYPES {
        let dir = tempfile::tempdir().unwrap();
        let disk = NewDisk {
            path: dir.path().join("d.vmdk"),
            create_type,
            sectors: (5 << 30) / 512 + 24,
            adapter: "lsilogic".into(),
            hardware_version: 16,
            uuid: None,
        };
        let files = create(&Local, &disk).unwrap();
        assert_eq!(files[0], disk.path);
        assert_eq!(files.len(), std::fs::read_dir(dir.path()).unwrap().count());
        assert_sound(&disk.path);
        let info = ok("qemu-img", &["info", "d.vmdk"], dir.path());
        assert!(info.contains("5368721408 bytes"), "{info}");
        assert!(info.contains(create_type.word()), "{info}");
        assert_eq!(open(&disk.path).unwrap().capacity_bytes(), 5368721408);
    }
}

#[test]
fn child_reads_as_its_parent_and_takes_writes() {
    for create_type in TYPES {
        let dir = tempfile::tempdir().unwrap();
        let base = qemu_create(dir.path(), "b.vmdk", create_type.word(), "3G");
        qemu_io(
            &base,
            &[
                "write -P 1 0 1M",
                "write -P 2 2047M 3M",
                "write -P 3 3071M 1M",
            ],
        );
        let child = child_of(&base, "b-000001.vmdk");
        assert_same(&base, &child);
        assert_sound(&child);
        qemu_io(
            &child,
            &[
                "write -P 9 2047M 70k",
                "read -P 2 2048M 1M",
                "read -P 1 0 1M",
            ],
        );
        assert_sound(&child);
        let chain = open(&child).unwrap();
        let mut bytes = vec![0; 80 << 10];
        chain.read(&mut bytes, 2047 << 20).unwrap();
        assert!(bytes[..70 << 10].iter().all(|byte| *byte == 9));
        assert!(bytes[70 << 10..].iter().all(|byte| *byte == 2));
        assert_eq!(chain.top().create_type(), create_type.of_child());
    }
}

#[test]
fn deep_chain_reads_as_qemu_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut disk = qemu_create(dir.path(), "b.vmdk", "monolithicSparse", "64M");
    for i in 1..=12u64 {
        let commands = [format!("write -P {i} {}k 200k", i * 4096 - 100)];
        qemu_io(&disk, &commands.each_ref().map(String::as_str));
        disk = child_of(&disk, &format!("b-{i:06}.vmdk"));
    }
    assert_eq!(read_all(&disk), qemu_read_all(&disk));
}
