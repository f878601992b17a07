//! A copy reads as its source, in any layout, and leaves the source as it was.

use std::path::Path;

use replix::disk::{ContentId, Copied, Copy, copy};
use replix::format::vmdk::CreateType;
use replix::store::Local;
use replix::{Job, Kind, Result};

use crate::tools::{
    CONTENTS, Content, TYPES, assert_same, assert_sound, chain_of, child_of, fill, fingerprints,
    open, qemu_create, qemu_io,
};

fn copy_to(source: &Path, path: &Path, create_type: Option<CreateType>) -> Result<Copied> {
    let spec = Copy {
        path,
        create_type,
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
    assert_eq!(copied.bytes, 0);
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
        uuid: None,
        content_id: ContentId::Keep,
    };
    let error = copy(&Local, &chain, &spec, &Job::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    assert!(!spec.path.exists());
}
