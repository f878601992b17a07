//! A user of the library: a folder with VMs, and beside them a home and a runtime state that no
//! other test shares.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use replix_testkit::folder;
use tempfile::TempDir;

/// The name of the library.
const LIBRARY: &str = "libvixAllProducts.so";

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

    /// Installs the library into a folder that [`User::command_installed`] lays over `/usr`.
    pub fn install(&self) {
        let lib = self.path("usr/lib");
        let vix = lib.join("vmware-vix");
        let headers = self.path("usr/include/vmware-vix");
        for folder in [&vix.join("lib"), &headers] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::copy(built_library(), vix.join(LIBRARY)).unwrap();
        symlink(Path::new("vmware-vix").join(LIBRARY), lib.join(LIBRARY)).unwrap();
        symlink(Path::new("..").join(LIBRARY), vix.join("lib").join(LIBRARY)).unwrap();
        for header in std::fs::read_dir(package().join("include")).unwrap() {
            let header = header.unwrap();
            std::fs::copy(header.path(), headers.join(header.file_name())).unwrap();
        }
    }

    /// A program that this user runs where the library is installed below `/usr`: in a mount namespace
    /// of its own, so that the machine has none.
    pub fn command_installed(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.command("unshare");
        command.arg("--mount");
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            command.arg("--map-root-user");
        }
        let script = r#"
            mount -t overlay overlay -o "lowerdir=$1/lib:/usr/lib" /usr/lib &&
            mount -t overlay overlay -o "lowerdir=$1/include:/usr/include" /usr/include &&
            shift && exec "$@""#;
        command
            .args(["sh", "-c", script, "sh"])
            .arg(self.path("usr"))
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
    std::env::current_exe().unwrap().with_file_name(LIBRARY)
}

/// The folder of this package.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
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
