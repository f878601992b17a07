//! Making a new sparse extent: header, descriptor and empty tables.

use std::path::Path;

use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{DESCRIPTOR_SECTORS, Layout};
use crate::store::{Bytes, Store};

/// Creates an extent without grains at `path`; nothing is durable yet.
///
/// Its tables are holes of the file: an extent of 1 TiB takes two directories of 128 KiB.
///
/// # Errors
/// `FileExists`; what the system says, with the file left behind for the caller to remove.
pub(super) fn create(
    store: &dyn Store,
    path: &Path,
    layout: &Layout,
    on_created: impl FnOnce(),
) -> Result<Box<dyn Bytes>> {
    let file = store.create(path)?;
    on_created();
    file.set_len(layout.overhead * SECTOR)?;
    file.write_at(&layout.header(), 0)?;
    file.write_at(&layout.redundant_directory(), layout.rgd_offset * SECTOR)?;
    file.write_at(&layout.primary_directory(), layout.gd_offset * SECTOR)?;
    Ok(file)
}

/// Writes the descriptor that an extent embeds.
///
/// # Errors
/// `FileName` where the names in it make it too long; what the system says.
pub(super) fn write_descriptor(file: &dyn Bytes, path: &Path, text: &[u8]) -> Result<()> {
    let room = DESCRIPTOR_SECTORS * SECTOR;
    if text.len() as u64 > room {
        let what = format!(
            "the descriptor of {} needs {} bytes, and there is room for {room}",
            quoted(path),
            text.len()
        );
        return Err(Error::new(Kind::FileName, what).at(path));
    }
    file.write_at(text, SECTOR)
}
