//! Operations on file systems that are cut off in the middle: ext4 and XFS in images, shut down without a
//! flush of their logs, and mounted again. What was synced is there, as after a power failure.
//!
//! A few seconds each, unless `REPLIX_POWER_SECONDS` says otherwise.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use replix_testkit::{folder, peer, skip};
use tempfile::TempDir;

use crate::cut::{Act, Cutter, World};
use crate::library::Library;
use crate::mounted::succeeds;
use crate::said::Said;

const SECONDS: u64 = 5;
const SEED: u64 = 1;
const VMS: usize = 6;

/// The smallest XFS that its tools make has 300 MiB; nothing is written to most of it.
const BYTES: u64 = 400 << 20;

/// A file system may be busy for a moment after the last process on it has ended, or held by another test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file system in an image, mounted.
struct Image {
    folder: TempDir,
}

impl Image {
    /// Makes one with `mkfs.KIND`; `None` where that cannot be done here.
    fn make(kind: &str) -> Option<Self> {
        let image = Self { folder: folder() };
        std::fs::create_dir(image.mounted()).unwrap();
        let file = File::create(image.file()).unwrap();
        file.set_len(BYTES).unwrap();
        let path = image.file();
        let made = succeeds(&format!("mkfs.{kind}"), &["-q", path.to_str()?]);
        (made && image.mount()).then_some(image)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn mounted(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn mount(&self) -> bool {
        let (file, mounted) = (self.file(), self.mounted());
        let words = [file.to_str().unwrap(), mounted.to_str().unwrap()];
        succeeds("mount", &[&["-o", "loop"], &words[..]].concat())
    }

    fn unmount(&self) {
        let mounted = self.mounted();
        let begin = Instant::now();
        while !succeeds("umount", &[mounted.to_str().unwrap()]) {
            assert!(begin.elapsed() < PATIENCE, "{mounted:?} stays busy");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Mounts the file system that was shut down anew. Another test may have a name space of its own that was
    /// made while it was mounted: as long as that is there, what is mounted is still what was shut down.
    fn mount_again(&self) {
        let begin = Instant::now();
        loop {
            self.unmount();
            assert!(self.mount(), "it cannot be mounted again");
            let probe = self.mounted().join("probe");
            if File::create(&probe)
                .and_then(|_| std::fs::remove_file(probe))
                .is_ok()
            {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "it stays shut down");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The power fails: what was not synced is lost.
    fn shut_down(&self) {
        let mounted = self.mounted();
        let output = peer(
            "xfs_io",
            ["-x", "-c", "shutdown", mounted.to_str().unwrap()],
        );
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let mounted = self.mounted();
        succeeds("umount", &["-l", mounted.to_str().unwrap()]);
    }
}

impl Cutter for Image {
    fn run(&self, library: &Library, act: &Act, delay: Option<Duration>) -> Said {
        // What the test itself did is no part of it.
        assert!(succeeds("sync", &["-f", self.mounted().to_str().unwrap()]));
        let (program, words) = act.call();
        let mut call = library.program(program);
        call.args(&words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = call.spawn().unwrap();
        let mut has_ended = true;
        if let Some(delay) = delay {
            std::thread::sleep(delay);
            has_ended = child.try_wait().unwrap().is_some();
            self.shut_down();
        }
        let mut said = library.ended(child);
        if !has_ended {
            // XFS lets the sync of a folder succeed that is under way when it is shut down.
            said.code = None;
        }
        if delay.is_some() {
            self.mount_again();
        }
        said
    }

    fn keeps_what_was_written(&self) -> bool {
        false
    }
}

fn cut_off(kind: &str) {
    let Some(image) = Image::make(kind) else {
        skip(&format!(
            "no {kind} in an image can be made and mounted here"
        ));
        return;
    };
    let seconds = std::env::var("REPLIX_POWER_SECONDS");
    let seconds = seconds.map_or(SECONDS, |seconds| seconds.parse().unwrap());
    let mut world = World::at(&image.mounted(), SEED, VMS, &image);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        world.round();
    }
    println!("{kind}: {} power failures", world.cuts());
    for (name, of) in world.figures() {
        let (cut, done, ended) = (of.cut, of.done, of.ended);
        println!("{name}: {cut} cut off, {done} of them done, {ended} had ended");
    }
    world.finish();
}

#[test]
fn ext4_that_loses_what_was_not_synced() {
    cut_off("ext4");
}

#[test]
fn xfs_that_loses_what_was_not_synced() {
    cut_off("xfs");
}
