//! Small file systems, to run out of space on, or in a disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// A file system of its own size at a folder of a library; unmounted when dropped. Only root can.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts one at `folder`, which is made if it is missing.
    pub fn at(folder: &Path, options: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let (kind, none) = (Some("tmpfs"), None::<&str>);
        mount(none, folder, kind, MsFlags::empty(), Some(options)).unwrap();
        Self(folder.into())
    }

    /// Makes an ext4 in a file and mounts it at `folder`; `None` where that cannot be done here.
    pub fn image(file: &Path, folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let (file, at) = (file.to_str().unwrap(), folder.to_str().unwrap());
        let is_mounted =
            succeeds("mkfs.ext4", &["-q", file]) && succeeds("mount", &["-o", "loop", file, at]);
        is_mounted.then(|| Self(folder.into()))
    }

    /// Allows no more changes to it.
    pub fn freeze(&self) {
        let (none, flags) = (None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY);
        mount(none, &self.0, none, flags, none).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

/// Runs a program in silence.
pub fn succeeds(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
