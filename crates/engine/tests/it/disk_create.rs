//! What we create, every other program opens; children read as their parents and take writes.

use replix::Kind;
use replix::disk::{NewDisk, create, create_child};
use replix::format::vmdk::CreateType;
use replix::store::Local;

use crate::failing::Failing;
use crate::tools::{
    Content, TYPES, assert_same, assert_sound, chain_of, child_of, listing, ok, open, qemu_create,
    qemu_io, qemu_read_all, read_all,
};

#[test]
fn empty_disks_open_elsewhere() {
    for create_type in TYPES {
        let dir = tempfile::tempdir().unwrap();
        let disk = NewDisk {
            path: dir.path().join("d.vmdk"),
            create_type,
            preallocated: false,
            sectors: (5 << 30) / 512 + 24,
            cut: None,
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

#[test]
fn full_disk_leaves_no_child_behind() {
    let dir = tempfile::tempdir().unwrap();
    let base = chain_of(dir.path(), CreateType::SplitSparse, Content::Zeros, 1);
    let before = listing(dir.path());
    let chain = open(&base).unwrap();
    for steps in 0.. {
        let child = dir.path().join("c.vmdk");
        match create_child(&Failing::after(steps), &chain, &child, "b.vmdk") {
            Ok(files) => {
                assert_eq!(files.len(), 4);
                break;
            }
            Err(error) => assert_eq!(error.kind(), Kind::NoSpace),
        }
        assert_eq!(before, listing(dir.path()), "after {steps} steps");
    }
}

#[test]
fn child_starts_with_its_parents_content_id() {
    let dir = tempfile::tempdir().unwrap();
    let base = chain_of(dir.path(), CreateType::MonolithicFlat, Content::Zeros, 1);
    let child = child_of(&base, "c.vmdk");
    let chain = open(&child).unwrap();
    assert_eq!(chain.top().cid(), chain.base().cid());
    assert_eq!(chain.own_type(), CreateType::MonolithicFlat);
    assert_eq!(chain.top().descriptor().get("ddb.uuid"), None);
    assert_eq!(
        chain.top().descriptor().get("ddb.adapterType").as_deref(),
        Some("lsilogic")
    );
}

#[test]
fn child_of_a_terabyte_is_as_small_as_its_directories() {
    let dir = tempfile::tempdir().unwrap();
    let disk = NewDisk {
        path: dir.path().join("b.vmdk"),
        create_type: CreateType::MonolithicSparse,
        preallocated: false,
        sectors: 1 << 31,
        cut: None,
        adapter: "lsilogic".into(),
        hardware_version: 16,
        uuid: None,
    };
    create(&Local, &disk).unwrap();
    let child = child_of(&disk.path, "c.vmdk");
    let allocated = open(&child).unwrap().top().allocated_bytes(&Local).unwrap();
    assert!(allocated <= (2 * 128 + 16) << 10, "{allocated}");
    qemu_io(&child, &["write -P 1 1099511562240 64k", "read -P 0 0 1M"]);
    assert_sound(&child);
}
