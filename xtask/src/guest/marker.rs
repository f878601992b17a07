//! Copies of a guest's disk with another marker: what tells clones apart.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Disk, MARKER_OFFSET, SPARSE, to_vmdk};
use crate::run::{Doing, Result, fail};
use crate::scratch::Scratch;

const SECTOR: usize = 512;

/// A copy of a guest's disk to make.
pub struct Copy<'a> {
    /// The text that the copy's greeting shows.
    pub marker: &'a str,
    /// The file to write; it must not exist.
    pub out: &'a Path,
    /// The VMDK create type, or `raw`; monolithicSparse when not given.
    pub format: Option<&'a str>,
    /// Which disk to copy.
    pub disk: Disk,
}

impl Copy<'_> {
    /// Writes the copy, from the guests in `folder`.
    ///
    /// # Errors
    /// When the marker does not fit, the file exists, or copying fails.
    pub fn write(&self, folder: &Path) -> Result {
        let sector = sector(self.marker)?;
        if self.out.exists() {
            return fail(format!("{} exists", self.out.display()));
        }
        let work = Scratch::create(hidden_beside(self.out))?;
        let raw = work.0.join("disk.raw");
        let name = format!("{}.raw", self.disk.name());
        fs::copy(folder.join(name), &raw).doing(raw.display())?;
        let file = fs::File::options()
            .write(true)
            .open(&raw)
            .doing(raw.display())?;
        file.write_all_at(&sector, MARKER_OFFSET)
            .doing(raw.display())?;
        match self.format.unwrap_or(SPARSE) {
            "raw" => fs::rename(&raw, self.out).doing(self.out.display()),
            subformat => to_vmdk(&raw, self.out, subformat),
        }
    }
}

fn hidden_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.making"))
}

/// Returns the sector that holds `marker`.
///
/// # Errors
/// When it is not 1 to 64 printable ASCII characters without a space.
pub fn sector(marker: &str) -> Result<[u8; SECTOR]> {
    if !(1..=64).contains(&marker.len()) || !marker.bytes().all(|byte| byte.is_ascii_graphic()) {
        return fail(format!(
            "marker {marker:?} is not 1 to 64 printable characters without space"
        ));
    }
    let mut sector = [0; SECTOR];
    sector[..marker.len()].copy_from_slice(marker.as_bytes());
    Ok(sector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sector_holds_text_then_zeros() {
        let sector = sector("clone-7").unwrap();
        assert_eq!(&sector[..9], b"clone-7\0\0");
    }

    #[test]
    fn odd_markers_are_refused() {
        for marker in ["", "two words", "line\n", "käse", &"x".repeat(65)] {
            assert!(sector(marker).is_err(), "{marker:?}");
        }
    }
}
