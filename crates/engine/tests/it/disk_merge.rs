//! A child merged into its parent: the parent reads as the child did, at any moment the child does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use replix::disk::{Opener, Places, absorb, check, merge, relink, set_content_id};
use replix::format::vmdk::CreateType;
use replix::store::Local;
use replix::{Job, Kind};

use crate::failing::Failing;
use crate::tools::{
    CONTENTS, Content, HeldByQemu, TYPES, assert_sound, chain_of, child_of, fill, open, opener,
    qemu_child, qemu_io, qemu_read_all, read_all,
};

fn parent_of(disk: &Path) -> PathBuf {
    open(disk).unwrap().links()[1].path().to_path_buf()
}

#[test]
fn base_reads_as_its_child_did() {
    for create_type in TYPES {
        for content in CONTENTS {
            let dir = tempfile::tempdir().unwrap();
            let child = chain_of(dir.path(), create_type, content, 2);
            fill(&child, Content::Zeros, 0);
            let parent = parent_of(&child);
            let before = read_all(&child);
            let chain = open(&child).unwrap();
            merge(&chain, &Job::new()).unwrap();
            let link = opener(&parent).open_link(&parent).unwrap();
            set_content_id(&Local, &link, chain.top().cid(), None).unwrap();
            assert!(before == read_all(&parent), "{create_type:?} {content:?}");
            assert!(before == qemu_read_all(&parent));
            assert_sound(&parent);
            let report = check(&opener(&parent), &parent, &Job::new()).unwrap();
            assert_eq!(report.errors, [""; 0]);
            assert_eq!(open(&parent).unwrap().top().cid(), chain.top().cid());
        }
    }
}

#[test]
fn middle_link_takes_zeros_over_its_own_parents_data() {
    let dir = tempfile::tempdir().unwrap();
    let middle = chain_of(dir.path(), CreateType::SplitSparse, Content::Random, 2);
    let top = child_of(&middle, "b-000009.vmdk");
    qemu_io(&top, &["write -P 0 0 4M", "write -P 7 67M 10k"]);
    let before = read_all(&top);
    merge(&open(&top).unwrap(), &Job::new()).unwrap();
    assert!(before == read_all(&middle));
    assert!(before == qemu_read_all(&middle));
    assert_sound(&middle);
}

#[test]
fn link_out_of_the_middle_is_merged_and_the_rest_hung_over() {
    let dir = tempfile::tempdir().unwrap();
    let top = chain_of(dir.path(), CreateType::MonolithicSparse, Content::Mixed, 3);
    let before = read_all(&top);
    let middle = parent_of(&top);
    let lower = open(&middle).unwrap();
    merge(&lower, &Job::new()).unwrap();
    assert!(before == read_all(&top), "before the link is hung over");
    let chain = open(&top).unwrap();
    relink(&Local, chain.top(), "b.vmdk", lower.base().cid()).unwrap();
    lower.top().remove(&Local).unwrap();
    assert!(!middle.exists());
    assert!(before == read_all(&top));
    assert!(before == qemu_read_all(&top));
    assert_eq!(open(&top).unwrap().links().len(), 2);
}

/// Hangs the top of a disk on its parent's parent, and removes the parent.
fn hang_over(top: &Path) {
    let chain = open(top).unwrap();
    let [own, parent, below, ..] = chain.links() else {
        panic!("{top:?} has no parent's parent");
    };
    let hint = below.path().file_name().unwrap().to_str().unwrap();
    relink(&Local, own, hint, below.cid()).unwrap();
    parent.remove(&Local).unwrap();
}

#[test]
fn middle_link_goes_up_into_its_child() {
    for create_type in TYPES {
        for content in CONTENTS {
            let dir = tempfile::tempdir().unwrap();
            let top = chain_of(dir.path(), create_type, content, 3);
            let higher = child_of(&top, "b-000008.vmdk");
            qemu_io(&higher, &["write -P 9 1M 100k"]);
            let (before, above) = (read_all(&top), read_all(&higher));
            let chain = open(&top).unwrap();
            let (middle, bytes) = (parent_of(&top), chain.parent_bytes().unwrap());
            let (frozen, cid) = (std::fs::read(&middle).unwrap(), chain.top().cid());
            assert!(absorb(&chain, &Job::new()).unwrap() >= bytes / 2);
            assert!(frozen == std::fs::read(&middle).unwrap());
            assert!(before == read_all(&top), "before it is hung over");
            assert_eq!(open(&top).unwrap().parent_bytes().unwrap(), 0);
            hang_over(&top);
            assert!(before == read_all(&top), "{create_type:?} {content:?}");
            assert!(before == qemu_read_all(&top));
            assert!(above == read_all(&higher) && above == qemu_read_all(&higher));
            assert_sound(&top);
            let report = check(&opener(&higher), &higher, &Job::new()).unwrap();
            assert_eq!(report.errors, [""; 0]);
            let chain = open(&top).unwrap();
            assert_eq!((chain.links().len(), chain.top().cid()), (2, cid));
        }
    }
}

#[test]
fn zeros_go_up_over_data_below() {
    let dir = tempfile::tempdir().unwrap();
    let base = chain_of(dir.path(), CreateType::MonolithicSparse, Content::Random, 1);
    qemu_child(&base, "middle.vmdk", "monolithicSparse,zeroed_grain=on");
    let middle = dir.path().join("middle.vmdk");
    qemu_io(&middle, &["write -z 0 2M", "write -P 5 3M 70k"]);
    let top = child_of(&middle, "b-000009.vmdk");
    qemu_io(&top, &["write -P 4 1M 64k"]);
    let before = qemu_read_all(&top);
    absorb(&open(&top).unwrap(), &Job::new()).unwrap();
    hang_over(&top);
    assert!(before == qemu_read_all(&top) && before == read_all(&top));
    assert_sound(&top);
}

#[test]
fn going_up_that_fails_anywhere_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let top = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 3);
    let before = read_all(&top);
    let mut steps = 0;
    loop {
        let store = Failing::after(steps);
        let places = Places::of(&Local, dir.path()).unwrap();
        let opener = Opener::new(Arc::new(store.clone()), places);
        let ended = absorb(&opener.open(&top).unwrap(), &Job::new());
        assert!(before == read_all(&top), "after {steps} steps");
        match ended {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind(), Kind::NoSpace),
        }
        steps += 1;
    }
    assert!(steps > 3, "{steps} steps");
    hang_over(&top);
    assert!(before == read_all(&top));
    assert_sound(&top);
}

#[test]
fn base_goes_up_into_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let top = chain_of(dir.path(), CreateType::MonolithicSparse, Content::Zeros, 2);
    let error = absorb(&open(&top).unwrap(), &Job::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Argument);
}

#[test]
fn disk_without_a_parent_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let base = chain_of(dir.path(), CreateType::MonolithicSparse, Content::Zeros, 1);
    let error = merge(&open(&base).unwrap(), &Job::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Argument);
}

#[test]
fn merge_that_fails_anywhere_harms_nobody() {
    for create_type in [CreateType::MonolithicSparse, CreateType::MonolithicFlat] {
        let dir = tempfile::tempdir().unwrap();
        let child = chain_of(dir.path(), create_type, Content::Mixed, 2);
        let parent = parent_of(&child);
        let before = read_all(&child);
        let mut steps = 0;
        loop {
            let store = Failing::after(steps);
            let places = Places::of(&Local, dir.path()).unwrap();
            let opener = Opener::new(Arc::new(store.clone()), places);
            let ended = merge(&opener.open(&child).unwrap(), &Job::new());
            assert!(before == read_all(&child), "after {steps} steps");
            let report = check(&opener, &child, &Job::new()).unwrap();
            // A disk that takes no write at all leaves the two tables out of step; the next try
            // puts them right.
            let out_of_step = |error: &&String| error.ends_with("redundant copy differ");
            let errors: Vec<_> = report.errors.iter().filter(|e| !out_of_step(e)).collect();
            assert_eq!(errors, [""; 0], "after {steps} steps");
            match ended {
                Ok(_) => break,
                Err(error) => assert_eq!(error.kind(), Kind::NoSpace),
            }
            steps += 1;
        }
        assert!(steps > 3, "{steps} steps");
        let report = check(&opener(&child), &child, &Job::new()).unwrap();
        assert_eq!(report.errors, [""; 0]);
        assert!(before == read_all(&parent));
    }
}

#[test]
fn damaged_parent_is_not_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let child = chain_of(dir.path(), CreateType::SplitSparse, Content::Random, 2);
    let part = dir.path().join("b-s001.vmdk");
    let mut bytes = std::fs::read(&part).unwrap();
    // The second grain of the first table shares the place of the first one.
    let table = u32::from_le_bytes(bytes[512 * 6..512 * 6 + 4].try_into().unwrap()) as usize * 512;
    bytes.copy_within(table + 4..table + 8, table + 8);
    std::fs::write(&part, &bytes).unwrap();
    let error = merge(&open(&child).unwrap(), &Job::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskInvalid, "{error}");
    assert!(bytes == std::fs::read(&part).unwrap());
}

#[test]
fn child_in_use_is_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    let child = chain_of(dir.path(), CreateType::SplitSparse, Content::Random, 2);
    let chain = open(&child).unwrap();
    let _qemu = HeldByQemu::new(&child);
    let error = merge(&chain, &Job::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::FileLocked, "{error}");
}

#[test]
fn child_of_another_cut_is_merged() {
    let dir = tempfile::tempdir().unwrap();
    let parent = chain_of(dir.path(), CreateType::SplitSparse, Content::Random, 1);
    qemu_child(&parent, "child.vmdk", "monolithicSparse,zeroed_grain=on");
    let child = dir.path().join("child.vmdk");
    fill(&child, Content::Mixed, 5);
    qemu_io(&child, &["write -z 64k 1M", "write -P 3 23M 4M"]);
    let before = qemu_read_all(&child);
    merge(&open(&child).unwrap(), &Job::new()).unwrap();
    assert!(before == qemu_read_all(&parent));
    assert_sound(&parent);
}
