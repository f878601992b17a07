//! Clients that others wrote, unmodified: two packages of the Python package index, driven through
//! a VM's life by the scripts in `tests/clients`.
//!
//! Both load the library by an absolute path below `/usr/lib`. So each script runs in a mount
//! namespace of its own, where the library is laid over that folder as it is when installed.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use replix_testkit::{DiskType, TestVm, VmBuilder, guest_file, same_content, set_marker, skip};

use crate::user::{User, assert_done, built_library};

/// Where the packages look for the library, below `/usr/lib`.
const INSTALLED: &str = "vmware-vix/libvixAllProducts.so";

/// Where one of them looks instead, as a link.
const LINKED: &str = "libvixAllProducts.so";

/// A user with a VM, who has installed the library.
struct Stage {
    user: User,
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
        let user = User::new();
        install(&user.path("lib"));
        let mut probe = user.command_with(&user.path("lib"), "true");
        if !probe.status().unwrap().success() {
            skip("this user may not mount in a namespace of their own");
            return None;
        }
        let vm = guest(&user.vms(), &image);
        set_marker(&vm.file("base.vmdk"), "client");
        Some(Self {
            python: clients.join("bin/python"),
            user,
            vm,
        })
    }

    /// Runs a script of `tests/clients`, which must end well.
    fn run(&self, script: &str) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        let lib = self.user.path("lib");
        let mut client = self.user.command_with(&lib, &self.python);
        client
            .args(["-X", "faulthandler"])
            .arg(scripts.join(script))
            .arg(&self.vm.vmx)
            .arg("hello from guest marker=client ");
        assert_done(&client.output().unwrap());
    }

    /// Checks what a script leaves: the VM, and a full clone that holds the same.
    fn check_left(&self) {
        let disk = self.vm.value("scsi0:0.fileName").unwrap();
        let full = self.user.vms().join("full");
        let mut files = std::fs::read_dir(&full).unwrap().flatten();
        let copy = files.find(|file| file.path().extension().is_some_and(|end| end == "vmdk"));
        assert!(same_content(&self.vm.file(&disk), &copy.unwrap().path()));
        for gone in ["linked", "past", "other"] {
            assert!(!self.user.vms().join(gone).exists(), "{gone} is left");
        }
    }
}

/// Puts the library into `lib` as into a prefix's folder of that name.
fn install(lib: &Path) {
    std::fs::create_dir_all(lib.join("vmware-vix")).unwrap();
    std::fs::copy(built_library(), lib.join(INSTALLED)).unwrap();
    symlink(INSTALLED, lib.join(LINKED)).unwrap();
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
