//! The guests that `cargo xtask guest` builds.

use std::path::{Path, PathBuf};

use crate::peers::qemu_io;
use crate::vms::{DiskType, VmBuilder, folder};

/// A boot sector that writes a dot to the serial port at each tick of the clock, 18 a second:
/// `mov dx,3f8h; sti; mov al,'.'; out dx,al; hlt; jmp` back to the third.
const TICKER: [u8; 10] = [0xba, 0xf8, 0x03, 0xfb, 0xb0, b'.', 0xee, 0xf4, 0xeb, 0xfa];

/// Returns the path of a file of the test guests, `guest.vmdk`, `efi.vmdk` or `boot.vmdk`; `None`
/// where they are not built: `$REPLIX_TEST_GUEST` names their folder.
pub fn guest_file(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("REPLIX_TEST_GUEST")?;
    let path = Path::new(&folder).join(name);
    assert!(path.is_file(), "{path:?} is not there");
    Some(path)
}

/// Writes the text that a test guest shows when it boots from the disk at `path`.
///
/// It stands in the second sector, padded with zeros.
pub fn set_marker(path: &Path, marker: &str) {
    // Not beside the disk: qemu-io takes no path with a blank.
    let folder = folder();
    let file = folder.path().join("marker");
    let mut sector = marker.as_bytes().to_vec();
    sector.resize(512, 0);
    std::fs::write(&file, sector).expect("the test folder takes files");
    qemu_io(path, &format!("write -s {} 512 512", file.display()));
}

/// Begins the VM `NAME/NAME.vmx`, whose guest boots at once and does nothing but write dots to its serial
/// port, the file `serial.txt`: as long as it executes, that file grows.
pub fn ticking(library: &Path, name: &str) -> VmBuilder {
    let folder = folder();
    let raw = folder.path().join("ticker");
    let mut image = TICKER.to_vec();
    image.resize(510, 0);
    image.extend([0x55, 0xaa]);
    image.resize(1 << 20, 0);
    std::fs::write(&raw, image).expect("the test folder takes files");
    VmBuilder::new(library, name)
        .disk_from("scsi0:0", DiskType::MonolithicSparse, &raw, "raw")
        .line("serial0.present", "TRUE")
        .line("serial0.fileType", "file")
        .line("serial0.fileName", "serial.txt")
}
