//! A user of the library: a folder with VMs, and beside them a home and a runtime state that no
//! other test shares.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use replix_testkit::folder;
use tempfile::TempDir;

/// The user's folder; machines that run from it end with this value.
pub struct User {
    root: TempDir,
}

impl User {
    pub fn new() -> Self {
        let root = folder();
        for name in ["home", "run", "vms"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        Self { root }
    }

    /// The path of something of the user's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Where the user's VMs are.
    pub fn vms(&self) -> PathBuf {
        self.path("vms")
    }

    /// A program that this user runs.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("REPLIX_SETTINGS");
        command
    }

    /// The same in a mount namespace of its own, where `over` lies over `/usr/lib`.
    pub fn command_with(&self, over: &Path, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.command("unshare");
        command.arg("--mount");
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            command.arg("--map-root-user");
        }
        let script = r#"mount -t overlay overlay -o "lowerdir=$1:/usr/lib" /usr/lib &&
            shift && exec "$@""#;
        command
            .args(["sh", "-c", script, "sh"])
            .arg(over)
            .arg(program);
        command
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let folder = self.root.path().as_os_str().as_encoded_bytes();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if line.windows(folder.len()).any(|part| part == folder) {
                let _ = Command::new("kill").arg(process.file_name()).status();
            }
        }
    }
}

/// The library that cargo built with this test.
pub fn built_library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.with_file_name("libvixAllProducts.so")
}

/// Checks that a client ended well and said so.
pub fn assert_done(output: &Output) {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{}\n{said}", output.status);
    assert!(said.contains("done"), "{said}");
}
