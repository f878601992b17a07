//! A user of the library: a folder with VMs, and beside them a home and a runtime state that no
//! other test shares.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use replix_testkit::folder;
use tempfile::TempDir;

/// Lays what is in the prefix `$1` over `/usr`, as if installed there, empties `/run`, where root's
/// running VMs are known, and becomes the command that follows.
const INSTALLED: &str = r#"
    mount -t tmpfs tmpfs /run || exit
    for part in lib include; do
        mount -t overlay overlay -o "lowerdir=$1/$part:/usr/$part" "/usr/$part" || exit
    done
    shift && exec "$@""#;

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

    /// A program of this user's that finds what is in `prefix` below `/usr`, and no VM running: in a
    /// mount namespace of its own, so that nothing is installed on the machine.
    pub fn with_installed(&self, prefix: &Path, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            command.arg("--map-root-user");
        }
        command
            .args(["sh", "-c", INSTALLED, "sh"])
            .arg(prefix)
            .arg(program);
        self.surround(&mut command);
        command
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

/// The sources of the clients.
pub fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
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
