//! VMs whose guest greets on its serial port.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replix_testkit::{DiskType, TestVm, VmBuilder, guest_file, set_marker, skip};

use crate::fixtures::{open, take};

/// A guest on a loaded machine, emulated.
const PATIENCE: Duration = Duration::from_secs(120);

/// The image of the test guest's disk; `None`, said, where it is not built.
pub fn image() -> Option<PathBuf> {
    let image = guest_file("guest.vmdk");
    if image.is_none() {
        skip("no test guests ($REPLIX_TEST_GUEST; cargo xtask guest)");
    }
    image
}

/// The VM `ubuntu` in a folder. Its snapshot `golden`, below another, has the marker `golden`; its
/// present state `now`.
pub fn guest(folder: &Path, image: &Path) -> TestVm {
    let vm = VmBuilder::at(folder, "ubuntu")
        .disk_from("scsi0:0", DiskType::MonolithicSparse, image, "vmdk")
        .line("memsize", "128")
        .line("serial0.present", "TRUE")
        .line("serial0.fileType", "file")
        .line("serial0.fileName", "serial.txt")
        .build();
    take(&vm, "first");
    mark(&vm, "golden");
    take(&vm, "golden");
    mark(&vm, "now");
    vm
}

/// Writes a marker to the disk that a VM runs on.
fn mark(vm: &TestVm, marker: &str) {
    let disk = open(&vm.vmx).info().unwrap().disks[0].path.clone();
    set_marker(&disk.unwrap(), marker);
}

/// Waits until the VM at `vmx` says that it is up, and checks that it greets with `marker`.
pub fn assert_greets(vmx: &Path, marker: &str) {
    let file = vmx.with_file_name("serial.txt");
    let deadline = Instant::now() + PATIENCE;
    let said = loop {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.contains("guest-ready") {
            break text;
        }
        assert!(Instant::now() < deadline, "{file:?}: {text}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let greeting = format!("hello from guest marker={marker} boots=1 ");
    assert!(said.contains(&greeting), "{file:?}: {said}");
}
