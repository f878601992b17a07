//! File systems in images, and what copies take of them.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::run::{Doing, Result, Run, command, fail, say};

/// A file system in an image, mounted; both go in the end.
pub struct Image {
    image: PathBuf,
    mounted: PathBuf,
}

impl Image {
    /// Makes one with `mkfs.KIND`; `None` where that cannot be done here.
    pub fn make(folder: &Path, kind: &str, mib: u64) -> Option<Self> {
        let image = folder.join(format!("{kind}.image"));
        let mounted = folder.join(kind);
        std::fs::create_dir(&mounted).ok()?;
        File::create(&image).ok()?.set_len(mib << 20).ok()?;
        let made = command(format!("mkfs.{kind}"), ["-q"])
            .arg(&image)
            .succeeds()
            && command("mount", ["-o", "loop"])
                .arg(&image)
                .arg(&mounted)
                .succeeds();
        match made {
            true => Some(Self { image, mounted }),
            false => {
                let _ = std::fs::remove_file(&image);
                None
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.mounted
    }

    /// Returns how many bytes of it `work` takes.
    ///
    /// # Errors
    /// When `work` fails.
    pub fn growth(&self, work: impl FnOnce() -> Result) -> Result<u64> {
        let before = self.used()?;
        work()?;
        Ok(self.used()?.saturating_sub(before))
    }

    fn used(&self) -> Result<u64> {
        command("sync", ["-f"]).arg(&self.mounted).quiet()?;
        let said = command("df", ["--output=used", "-B1"])
            .arg(&self.mounted)
            .text()?;
        let number = said.lines().last().unwrap_or_default().trim();
        number.parse().doing(said)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Err(error) = command("umount", [&self.mounted]).quiet() {
            say(error);
        }
        let _ = std::fs::remove_file(&self.image);
    }
}

/// Returns in how many extents the file system has these files.
///
/// # Errors
/// When `filefrag` does not tell.
pub fn extents(files: &[PathBuf]) -> Result<u64> {
    let said = command("filefrag", files).text()?;
    let counts = said.lines().map(|line| {
        let words = line.rsplit(": ").next().unwrap_or_default();
        words.split(' ').next().unwrap_or_default().parse::<u64>()
    });
    let sum: std::result::Result<u64, _> = counts.sum();
    match sum {
        Ok(sum) => Ok(sum),
        Err(_) => fail(format!("filefrag said {said:?}")),
    }
}
