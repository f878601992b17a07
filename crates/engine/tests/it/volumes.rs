//! File systems of their own for a test, in an image mounted by loop.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A mounted file system; gone in the end.
pub struct Volume {
    dir: TempDir,
}

impl Volume {
    /// Makes one of `mib`, with the tool `mkfs.KIND`; `None`, with a word, where this user may not mount
    /// images, or the tool or the kernel does not know the kind.
    pub fn new(kind: &str, mib: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        File::create(&image).unwrap().set_len(mib << 20).unwrap();
        let volume = Self { dir };
        std::fs::create_dir(volume.path()).unwrap();
        let mkfs = format!("mkfs.{kind}");
        let made = is_done(Command::new(&mkfs).arg("-q").arg(&image))
            && is_done(
                Command::new("mount")
                    .args(["-o", "loop"])
                    .arg(&image)
                    .arg(volume.path()),
            );
        if made {
            return Some(volume);
        }
        eprintln!("skipped: no {kind} in an image can be made and mounted here");
        None
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if is_mounted(&self.path()) {
            let _ = is_done(Command::new("umount").arg(self.path()));
        }
    }
}

fn is_mounted(path: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.contains(path.to_str().unwrap())
}

fn is_done(command: &mut Command) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let output = command.env("PATH", path).output();
    output.is_ok_and(|output| output.status.success())
}
