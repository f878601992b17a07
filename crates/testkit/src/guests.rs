//! The guests that `cargo xtask guest` builds.

use std::path::{Path, PathBuf};

use crate::peers::qemu_io;
use crate::vms::folder;

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
