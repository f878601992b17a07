//! What a VM shows.

use super::agent::Channel;
use crate::error::Result;
use crate::store::read_small;

/// No picture of a screen is larger.
const LIMIT: u64 = 256 << 20;

/// Takes a picture of the screen, as PNG.
///
/// # Errors
/// `VmNotRunning`; what QEMU says.
pub(crate) fn capture_screen(vm: &Channel) -> Result<Vec<u8>> {
    let file = vm.screen_file();
    let dumped = vm
        .control()
        .and_then(|mut control| control.dump_screen(&file));
    let picture = dumped.and_then(|()| read_small(vm.store(), &file, LIMIT));
    let _ = vm.store().remove_file(&file);
    picture
}
