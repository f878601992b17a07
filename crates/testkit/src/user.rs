//! A user of the product: a folder with VMs, and beside them a home and a runtime state that no
//! other test shares.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::vms::folder;

/// The user's folder; machines that run from it end with this value.
#[derive(Debug)]
pub struct User {
    root: TempDir,
}

impl User {
    /// Makes a user with a home and no VMs.
    #[expect(
        clippy::new_without_default,
        reason = "a user is made, there is no usual one"
    )]
    pub fn new() -> Self {
        let root = folder();
        for name in ["home", "run", "vms"] {
            std::fs::create_dir(root.path().join(name)).expect("a new folder takes folders");
        }
        Self { root }
    }

    /// Returns the path of something of the user's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Returns where the user's VMs are.
    pub fn vms(&self) -> PathBuf {
        self.path("vms")
    }

    /// Gives a program this user's surroundings, and nothing else of the test's.
    pub fn surround<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .env_remove("REPLIX_SETTINGS")
            // Nobody is to see windows of tests.
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            // Cargo's folders have a library, too.
            .env_remove("LD_LIBRARY_PATH")
    }
}

impl Drop for User {
    /// Ends the machines that a failed test left: those that have files of the user's open. What keeps
    /// them cleans up after them.
    fn drop(&mut self) {
        let is_ours = |file: PathBuf| {
            std::fs::read_link(file).is_ok_and(|file| file.starts_with(self.root.path()))
        };
        let own = std::process::id().to_string();
        for process in entries(Path::new("/proc")) {
            let number = process.file_name().unwrap_or_default();
            if number != OsStr::new(&own) && entries(&process.join("fd")).any(is_ours) {
                let _ = Command::new("kill").arg("-KILL").arg(number).status();
            }
        }
    }
}

/// What is in a folder, nothing where it cannot be read.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}
