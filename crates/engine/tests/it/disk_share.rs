//! A copy shares its blocks with its source where the file system can, and is a copy all the same.

use std::path::Path;
use std::process::Command;

use replix::disk::{ContentId, Copied, Copy, Moved, copy};
use replix::format::vmdk::CreateType;
use replix::store::{Local, Store};
use replix::{Job, Kind, Result};

use crate::tools::{
    CONTENTS, Content, TYPES, assert_same, assert_sound, chain_of, child_of, fill, fingerprints,
    listing, noise_of, open, qemu_create, qemu_io, small_disk,
};
use crate::volumes::Volume;

fn copy_to(source: &Path, path: &Path, to: Option<CreateType>, job: &Job) -> Result<Copied> {
    let spec = Copy {
        path,
        create_type: to,
        preallocated: false,
        uuid: None,
        content_id: ContentId::Keep,
    };
    copy(&Local, &open(source)?, &spec, job)
}

/// Calls `test` with a folder on each file system that can share.
fn on_each(test: impl Fn(&Path)) {
    for kind in ["xfs", "btrfs"] {
        if let Some(volume) = Volume::new(kind, 512) {
            test(&volume.path());
        }
    }
}

#[test]
fn copies_share_their_blocks() {
    on_each(|dir| {
        for (number, create_type) in TYPES.into_iter().enumerate() {
            for depth in [1, 3] {
                let dir = dir.join(format!("{number}-{depth}"));
                std::fs::create_dir(&dir).unwrap();
                let source = chain_of(&dir, create_type, Content::Mixed, depth);
                let before = fingerprints(&dir);
                for to in TYPES {
                    let target = dir.join(format!("to-{}.vmdk", to.word()));
                    let moved = copy_to(&source, &target, Some(to), &Job::new())
                        .unwrap()
                        .moved;
                    assert!(
                        moved.shared > 0,
                        "{create_type:?} {depth} {to:?}: {moved:?}"
                    );
                    assert_same(&source, &target);
                    assert_sound(&target);
                    // It is nobody's but its own.
                    let child = child_of(&target, "own.vmdk");
                    fill(&child, Content::Random, 9);
                    qemu_io(&target, &["write -P 77 59000k 1M"]);
                    for name in listing(&dir).iter().map(|(name, _)| name) {
                        if !before.iter().any(|(kept, _)| kept == name) {
                            std::fs::remove_file(name).unwrap();
                        }
                    }
                }
                assert_eq!(before, fingerprints(&dir));
            }
        }
    });
}

#[test]
fn chains_are_shared_run_by_run() {
    on_each(|dir| {
        for (number, content) in CONTENTS.into_iter().enumerate() {
            let dir = dir.join(number.to_string());
            std::fs::create_dir(&dir).unwrap();
            let source = chain_of(&dir, CreateType::SplitSparse, content, 12);
            let target = dir.join("copy.vmdk");
            let moved = copy_to(&source, &target, None, &Job::new()).unwrap().moved;
            assert_same(&source, &target);
            assert_sound(&target);
            if !matches!(content, Content::Zeros) {
                // What is read is only the last grain, which is not whole.
                assert!(moved.shared > 0 && moved.written <= 1 << 16, "{moved:?}");
            }
        }
    });
}

#[test]
fn a_shared_copy_takes_no_space() {
    on_each(|dir| {
        let source = dir.join("s.vmdk");
        small_disk(&source, CreateType::MonolithicSparse);
        let noise = dir.join("noise");
        std::fs::write(&noise, noise_of(48 << 20, 1)).unwrap();
        qemu_io(&source, &[&format!("write -s {} 1M 48M", noise.display())]);
        std::fs::remove_file(&noise).unwrap();
        let free = || {
            let sync = Command::new("sync").arg("-f").arg(dir).status();
            assert!(sync.unwrap().success());
            Local.free_bytes(dir).unwrap()
        };
        let before = free();
        let copied = copy_to(&source, &dir.join("t.vmdk"), None, &Job::new()).unwrap();
        assert_eq!(copied.moved.shared, 48 << 20);
        let taken = before.saturating_sub(free());
        assert!(taken < (48 << 20) / 50, "{taken} bytes were taken");
    });
}

#[test]
fn data_between_blocks_is_read() {
    on_each(|dir| {
        let raw = dir.join("s-flat.vmdk");
        std::fs::write(&raw, noise_of((4 << 20) + 63 * 512, 3)).unwrap();
        let source = dir.join("s.vmdk");
        let text = "# Disk DescriptorFile\nversion=1\nCID=0000000a\nparentCID=ffffffff\n\
                    createType=\"monolithicFlat\"\nRW 8192 FLAT \"s-flat.vmdk\" 63\n";
        std::fs::write(&source, text).unwrap();
        for to in TYPES {
            let target = dir.join(format!("to-{}.vmdk", to.word()));
            let moved = copy_to(&source, &target, Some(to), &Job::new())
                .unwrap()
                .moved;
            let all = Moved {
                written: 4 << 20,
                ..Moved::default()
            };
            assert_eq!(moved, all);
            assert_same(&source, &target);
            assert_sound(&target);
        }
    });
}

#[test]
fn odd_sizes_are_shared_to_the_last_sector() {
    on_each(|dir| {
        for create_type in TYPES {
            let dir = dir.join(create_type.word());
            std::fs::create_dir(&dir).unwrap();
            let source = qemu_create(&dir, "s.vmdk", create_type.word(), "10000896");
            qemu_io(
                &source,
                &["write -P 5 9830400 170496", "write -P 6 100k 300k"],
            );
            for to in TYPES {
                let target = dir.join(format!("to-{}.vmdk", to.word()));
                let copied = copy_to(&source, &target, Some(to), &Job::new()).unwrap();
                assert!(copied.moved.shared > 0);
                assert_same(&source, &target);
                assert_sound(&target);
            }
        }
    });
}

#[test]
fn a_changed_source_is_noticed_though_it_was_shared() {
    on_each(|dir| {
        let source = chain_of(dir, CreateType::MonolithicSparse, Content::Mixed, 1);
        let chain = open(&source).unwrap();
        qemu_io(&source, &["write -P 1 0 1M"]);
        let before = listing(dir);
        let path = dir.join("t.vmdk");
        let spec = Copy {
            path: &path,
            create_type: None,
            preallocated: false,
            uuid: None,
            content_id: ContentId::Keep,
        };
        let error = copy(&Local, &chain, &spec, &Job::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Busy);
        assert_eq!(before, listing(dir));
    });
}

/// A disk with 40 MiB of noise, which nothing makes smaller.
fn noisy(dir: &Path) -> std::path::PathBuf {
    let source = dir.join("s.vmdk");
    small_disk(&source, CreateType::MonolithicSparse);
    let noise = dir.join("noise");
    std::fs::write(&noise, noise_of(40 << 20, 2)).unwrap();
    qemu_io(&source, &[&format!("write -s {} 0 40M", noise.display())]);
    std::fs::remove_file(&noise).unwrap();
    source
}

#[test]
fn a_file_system_that_fills_up_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let source = noisy(dir.path());
    let Some(volume) = Volume::new("ext4", 24) else {
        return;
    };
    for to in [CreateType::MonolithicSparse, CreateType::SplitFlat] {
        let before = listing(&volume.path());
        let target = volume.path().join("t.vmdk");
        let error = copy_to(&source, &target, Some(to), &Job::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::NoSpace, "{error}");
        assert!(error.to_string().contains(".vmdk"), "{error}");
        assert_eq!(before, listing(&volume.path()));
    }
}

#[test]
fn a_copy_cancelled_in_its_middle_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let source = noisy(dir.path());
    let before = listing(dir.path());
    let (send, receive) = std::sync::mpsc::channel::<Job>();
    let receive = std::sync::Mutex::new(receive);
    let job = Job::observed(move |progress| {
        if (30..60).contains(&progress.percent())
            && let Ok(job) = receive.lock().unwrap().try_recv()
        {
            job.cancel();
        }
    });
    send.send(job.clone()).unwrap();
    job.expect_bytes(open(&source).unwrap().data_bytes().unwrap());
    let target = dir.path().join("t.vmdk");
    let error = copy_to(&source, &target, None, &job).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    let percent = job.progress().percent();
    assert!((30..60).contains(&percent), "{percent}");
    assert_eq!(before, listing(dir.path()));
}
