//! Clients that others wrote, unmodified: packages of the Python package index, driven through a VM's
//! life by the scripts in `tests/clients`.
//!
//! They load the library by absolute paths below `/usr/lib`. So each script runs where the library is
//! installed, as [`with_installed`] does it.

use std::path::{Path, PathBuf};
use std::process::Command;

use replix_testkit::{
    DiskType, TestVm, User, VmBuilder, guest_file, same_content, set_marker, skip,
};

use crate::user::{assert_done, clients, with_installed};

/// A user with a VM, who has installed the library and the clients.
struct Stage {
    user: User,
    prefix: PathBuf,
    clients: PathBuf,
    vm: TestVm,
}

impl Stage {
    /// Sets all up; `None`, said, where this machine lacks something.
    fn new() -> Option<Self> {
        let Some(clients) = folder_in("REPLIX_CLIENTS") else {
            skip("no VIX clients ($REPLIX_CLIENTS; cargo xtask clients)");
            return None;
        };
        let Some(prefix) = folder_in("REPLIX_VIX_PREFIX") else {
            skip("no installed library ($REPLIX_VIX_PREFIX; cargo xtask install)");
            return None;
        };
        let Some(image) = guest_file("guest.vmdk") else {
            skip("no test guests ($REPLIX_TEST_GUEST; cargo xtask guest)");
            return None;
        };
        let user = User::new();
        let mut probe = with_installed(&user, &prefix, "true");
        if !probe.status().unwrap().success() {
            skip("this user may not mount in a namespace of their own");
            return None;
        }
        let vm = guest(&user.vms(), &image);
        set_marker(&vm.file("base.vmdk"), "client");
        Some(Self {
            user,
            prefix,
            clients,
            vm,
        })
    }

    fn python(&self, client: &str) -> Command {
        let python = self.clients.join(client).join("bin/python");
        with_installed(&self.user, &self.prefix, python)
    }

    /// Runs a script of `tests/clients`, which must end well.
    fn run(&self, client: &str, script: &str) {
        let mut client = self.python(client);
        client
            .args(["-X", "faulthandler"])
            .arg(clients().join(script))
            .arg(&self.vm.vmx)
            .arg("hello from guest marker=client ");
        assert_done(&client.output().unwrap());
    }

    /// Checks what a script leaves that clones: the VM, and a full clone that holds the same.
    fn check_clones(&self) {
        let disk = self.vm.value("scsi0:0.fileName").unwrap();
        let full = self.user.vms().join("full");
        let mut files = std::fs::read_dir(&full).unwrap().flatten();
        let copy = files.find(|file| file.path().extension().is_some_and(|end| end == "vmdk"));
        assert!(same_content(&self.vm.file(&disk), &copy.unwrap().path()));
        for gone in ["linked", "past", "other"] {
            let vmx = self.user.vms().join(gone).join(format!("{gone}.vmx"));
            assert!(!vmx.exists(), "{gone} is left");
        }
    }
}

/// A folder that `cargo xtask test` names.
fn folder_in(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).filter(|folder| !folder.is_empty());
    folder.map(PathBuf::from)
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
    stage.run("vix", "vix_client.py");
    stage.check_clones();
}

#[test]
fn package_vixpy_works_unmodified() {
    let Some(stage) = Stage::new() else { return };
    stage.run("vixpy", "vixpy_client.py");
    stage.check_clones();
}

#[test]
fn client_may_end_while_it_is_called() {
    let Some(stage) = Stage::new() else { return };
    stage.run("vix", "exit_client.py");
}
