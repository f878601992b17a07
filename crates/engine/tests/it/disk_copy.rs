//! A copy reads as its source, in any layout, and leaves the source as it was.

use std::path::Path;

use replix::disk::{ContentId, Copied, Copy, copy};
use replix::format::vmdk::CreateType;
use replix::store::Local;
use replix::{Job, Kind, Result};

use crate::failing::Failing;
use crate::tools::{
    CONTENTS, Content, TYPES, assert_same, assert_sound, chain_of, child_of, fill, fingerprints,
    listing, open, qemu_child, qemu_create, qemu_io,
};

fn copy_to(source: &Path, path: &Path, create_type: Option<CreateType>) -> Result<Copied> {
    let spec = Copy {
        path,
        create_type,
        preallocated: false,
        uuid: None,
        content_id: ContentId::Keep,
    };
    copy(&Local, &open(source)?, &spec, &Job::new())
}

#[test]
fn single_sparse_disk_is_copied_and_linked() {
    copies_and_children_read_as_their_source(CreateType::MonolithicSparse);
}

#[test]
fn single_flat_disk_is_copied_and_linked() {
    copies_and_children_read_as_their_source(CreateType::MonolithicFlat);
}

#[test]
fn split_sparse_disk_is_copied_and_linked() {
    copies_and_children_read_as_their_source(CreateType::SplitSparse);
}

#[test]
fn split_flat_disk_is_copied_and_linked() {
    copies_and_children_read_as_their_source(CreateType::SplitFlat);
}

fn copies_and_children_read_as_their_source(create_type: CreateType) {
    for content in CONTENTS {
        for depth in [1, 3, 12] {
            let dir = tempfile::tempdir().unwrap();
            let source = chain_of(dir.path(), create_type, content, depth);
            let before = fingerprints(dir.path());
            let other = tempfile::tempdir().unwrap();
            let target = other.path().join("copy.vmdk");
            copy_to(&source, &target, None).unwrap();
            assert_eq!(open(&target).unwrap().top().create_type(), create_type);
            assert_same(&source, &target);
            assert_sound(&target);
            assert_eq!(
                before,
                fingerprints(dir.path()),
                "{create_type:?} {content:?} {depth}"
            );
            let child = child_of(&source, "child.vmdk");
            assert_same(&source, &child);
            assert_sound(&child);
            fill(&child, Content::Mixed, 3);
            let after = fingerprints(dir.path());
            assert!(before.iter().all(|file| after.contains(file)));
        }
    }
}

#[test]
fn every_layout_becomes_every_other() {
    for from in TYPES {
        let dir = tempfile::tempdir().unwrap();
        let source = chain_of(dir.path(), from, Content::Mixed, 2);
        for to in TYPES {
            let target = dir.path().join(format!("to-{}.vmdk", to.word()));
            copy_to(&source, &target, Some(to)).unwrap();
            assert_eq!(open(&target).unwrap().top().create_type(), to);
            assert_same(&source, &target);
            assert_sound(&target);
        }
    }
}

#[test]
fn zeros_take_no_space() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::MonolithicSparse, Content::Zeros, 1);
    let target = dir.path().join("copy.vmdk");
    let copied = copy_to(&source, &target, None).unwrap();
    assert_eq!(copied.moved.bytes(), 0);
    assert!(std::fs::metadata(&target).unwrap().len() < 1 << 20);
}

#[test]
fn odd_sizes_are_copied_to_the_last_sector() {
    for create_type in TYPES {
        let dir = tempfile::tempdir().unwrap();
        let source = qemu_create(dir.path(), "s.vmdk", create_type.word(), "10000896");
        qemu_io(&source, &["write -P 5 9999360 1536"]);
        let target = dir.path().join("t.vmdk");
        copy_to(&source, &target, None).unwrap();
        assert_same(&source, &target);
        assert_sound(&target);
    }
}

#[test]
fn existing_target_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let source = qemu_create(dir.path(), "s.vmdk", "twoGbMaxExtentSparse", "5G");
    std::fs::write(dir.path().join("t-s002.vmdk"), "mine").unwrap();
    let before = fingerprints(dir.path());
    let error = copy_to(&source, &dir.path().join("t.vmdk"), None).unwrap_err();
    assert_eq!(error.kind(), Kind::FileExists);
    assert_eq!(before, fingerprints(dir.path()));
}

#[test]
fn cancelled_copy_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::SplitSparse, Content::Random, 2);
    let before = fingerprints(dir.path());
    let job = Job::new();
    job.cancel();
    let spec = Copy {
        path: &dir.path().join("t.vmdk"),
        create_type: None,
        preallocated: false,
        uuid: None,
        content_id: ContentId::Fresh,
    };
    let error = copy(&Local, &open(&source).unwrap(), &spec, &job).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert_eq!(before, fingerprints(dir.path()));
}

#[test]
fn source_written_meanwhile_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let source = qemu_create(dir.path(), "s.vmdk", "monolithicSparse", "100M");
    let chain = open(&source).unwrap();
    qemu_io(&source, &["write -P 1 0 1M"]);
    let spec = Copy {
        path: &dir.path().join("t.vmdk"),
        create_type: None,
        preallocated: false,
        uuid: None,
        content_id: ContentId::Keep,
    };
    let error = copy(&Local, &chain, &spec, &Job::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    assert!(!spec.path.exists());
}

#[test]
fn chain_made_by_qemu_is_copied() {
    for create_type in TYPES {
        let dir = tempfile::tempdir().unwrap();
        let base = qemu_create(dir.path(), "base.vmdk", create_type.word(), "2200M");
        qemu_io(
            &base,
            &[
                "write -P 1 0 1M",
                "write -P 2 2047M 3M",
                "write -P 3 2199M 1M",
            ],
        );
        let middle = qemu_child(&base, "middle.vmdk", "monolithicSparse,zeroed_grain=on");
        qemu_io(
            &middle,
            &[
                "write -z 128k 256k",
                "write -P 4 2046M 1500k",
                "write -z 2199M 64k",
            ],
        );
        let top = qemu_child(&middle, "top.vmdk", "monolithicSparse");
        qemu_io(&top, &["write -P 5 200k 3k", "write -P 6 2199M 512"]);
        let target = dir.path().join("copy.vmdk");
        copy_to(&top, &target, None).unwrap();
        assert_same(&top, &target);
        assert_sound(&target);
    }
}

#[test]
fn full_disk_leaves_nothing_behind() {
    for (create_type, target) in [
        (CreateType::MonolithicSparse, None),
        (CreateType::SplitFlat, None),
        (CreateType::SplitSparse, Some(CreateType::StreamOptimized)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let source = chain_of(dir.path(), create_type, Content::Mixed, 2);
        let before = listing(dir.path());
        let chain = open(&source).unwrap();
        for steps in 0.. {
            let store = Failing::after(steps);
            let spec = Copy {
                path: &dir.path().join("t.vmdk"),
                create_type: target,
                preallocated: false,
                uuid: None,
                content_id: ContentId::Fresh,
            };
            match copy(&store, &chain, &spec, &Job::new()) {
                Ok(_) => break,
                Err(error) => assert_eq!(error.kind(), Kind::NoSpace, "{steps}: {error}"),
            }
            assert_eq!(before, listing(dir.path()), "after {steps} steps");
        }
    }
}

#[test]
fn copy_has_a_data_base_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let source = chain_of(dir.path(), CreateType::MonolithicSparse, Content::Zeros, 2);
    let uuid = "60 00 C2 91 e3 76 f3 94-b7 0a 46 55 1a 2a 8b 99";
    let spec = Copy {
        path: &dir.path().join("t.vmdk"),
        create_type: Some(CreateType::SplitSparse),
        preallocated: false,
        uuid: Some(uuid.into()),
        content_id: ContentId::Keep,
    };
    let chain = open(&source).unwrap();
    copy(&Local, &chain, &spec, &Job::new()).unwrap();
    let copy = open(spec.path).unwrap();
    assert_eq!(copy.top().cid(), chain.top().cid());
    assert!(copy.long_content_id().is_some());
    assert_eq!(copy.ddb("ddb.uuid").as_deref(), Some(uuid));
    for key in [
        "ddb.adapterType",
        "ddb.geometry.cylinders",
        "ddb.virtualHWVersion",
    ] {
        assert_eq!(copy.ddb(key), chain.ddb(key), "{key}");
    }
}
