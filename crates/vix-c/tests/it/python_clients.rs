//! Clients that others wrote, unmodified: two packages of the Python package index, driven through
//! a VM's life by the scripts in `tests/clients`.
//!
//! Both load the library by an absolute path below `/usr/lib`. So each script runs in a mount
//! namespace of its own, where the library is laid over that folder as it is when installed.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use replix_testkit::{
    DiskType, TestVm, VmBuilder, folder, guest_file, same_content, set_marker, skip,
};
use tempfile::TempDir;

/// Where the packages look for the library, below `/usr/lib`.
const INSTALLED: &str = "vmware-vix/libvixAllProducts.so";

/// Where one of them looks instead, as a link.
const LINKED: &str = "libvixAllProducts.so";

/// Lays the folder `$1` over `/usr/lib` and becomes the command that follows.
const LAID_OVER: &str =
    r#"mount -t overlay overlay -o "lowerdir=$1:/usr/lib" /usr/lib && shift && exec "$@""#;

/// A folder with a VM, the library as installed, and a user's state.
struct Stage {
    root: TempDir,
    python: PathBuf,
    vm: TestVm,
}

impl Stage {
    /// Sets all up; `None`, said, where this machine lacks something.
    fn new() -> Option<Self> {
        let Some(clients) = std::env::var_os("REPLIX_CLIENTS").map(PathBuf::from) else {
            skip("no VIX clients ($REPLIX_CLIENTS; cargo xtask clients)");
            return None;
        };
        let Some(image) = guest_file("guest.vmdk") else {
            skip("no test guests ($REPLIX_TEST_GUEST; cargo xtask guest)");
            return None;
        };
        let root = folder();
        for name in ["home", "run", "lib/vmware-vix"] {
            std::fs::create_dir_all(root.path().join(name)).unwrap();
        }
        std::fs::copy(built_library(), root.path().join("lib").join(INSTALLED)).unwrap();
        symlink(INSTALLED, root.path().join("lib").join(LINKED)).unwrap();
        let vm = guest(root.path(), &image);
        set_marker(&vm.file("base.vmdk"), "client");
        let stage = Self {
            python: clients.join("bin/python"),
            root,
            vm,
        };
        if !stage.laid_over("true").status().unwrap().success() {
            skip("this user may not mount in a namespace of their own");
            return None;
        }
        Some(stage)
    }

    /// A program that sees the library where it is installed.
    fn laid_over(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
            command.arg("--map-root-user");
        }
        command
            .args(["sh", "-c", LAID_OVER, "sh"])
            .arg(self.root.path().join("lib"))
            .arg(program)
            .env("HOME", self.root.path().join("home"))
            .env("XDG_RUNTIME_DIR", self.root.path().join("run"))
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("REPLIX_SETTINGS");
        command
    }

    /// Runs a script of `tests/clients`, which must end well.
    fn run(&self, script: &str) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let mut client = self.laid_over(&self.python);
        client
            .args(["-X", "faulthandler"])
            .arg(scripts.join(script))
            .arg(&self.vm.vmx)
            .arg("hello from guest marker=client ");
        let output = client.output().unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            output.status.success(),
            "{script}: {}\n{said}",
            output.status
        );
        assert!(said.contains("done"), "{script}: {said}");
    }

    /// Checks what a script leaves: the VM, and a full clone that holds the same.
    fn check_left(&self) {
        let disk = self.vm.file(&self.vm.value("scsi0:0.fileName").unwrap());
        let full = self.vm.dir.with_file_name("full");
        let copy = std::fs::read_dir(&full)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|ending| ending == "vmdk"))
            .unwrap();
        assert!(same_content(&disk, &copy));
        for gone in ["linked", "past", "other"] {
            assert!(!self.vm.dir.with_file_name(gone).exists(), "{gone} is left");
        }
    }
}

impl Drop for Stage {
    /// Ends machines that a failed script left running.
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
fn built_library() -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(LINKED)
}

/// The VM `base` on a copy of the Linux guest's disk, its serial port in a file.
fn guest(library: &Path, image: &Path) -> TestVm {
    VmBuilder::new(library, "base")
        .disk_from("scsi0:0", DiskType::MonolithicSparse, image, "vmdk")
        .line("memsize", "128")
        .line("serial0.present", "TRUE")
        .line("serial0.fileType", "file")
        .line("serial0.fileName", "serial.txt")
        .build()
}

#[test]
fn package_vix_works_unmodified() {
    let Some(stage) = Stage::new() else { return };
    stage.run("vix_client.py");
    stage.check_left();
}

#[test]
fn package_vixpy_works_unmodified() {
    let Some(stage) = Stage::new() else { return };
    stage.run("vixpy_client.py");
    stage.check_left();
}
