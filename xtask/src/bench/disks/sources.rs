//! The disks that are copied: the same data in each.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{LAYOUTS, Scale};
use crate::run::{Doing, Result, Run, command};

/// Links of the chains.
pub const DEPTHS: [u64; 2] = [3, 12];

const MIB: usize = 1 << 20;

/// A folder with the disks.
pub struct Sources {
    folder: PathBuf,
}

impl Sources {
    /// Makes them below `folder`.
    ///
    /// # Errors
    /// When `qemu-img` fails, or the disk is full.
    pub fn make(folder: &Path, scale: Scale) -> Result<Self> {
        let sources = Self {
            folder: folder.join("sources"),
        };
        fs::create_dir(&sources.folder).doing(sources.folder.display())?;
        let raw = folder.join("data.raw");
        for (name, word) in LAYOUTS {
            write_data(&raw, scale, 1, 0)?;
            let option = format!("subformat={word}");
            let convert = ["convert", "-f", "raw", "-O", "vmdk", "-o", &option];
            command("qemu-img", convert)
                .arg(&raw)
                .arg(sources.disk(name))
                .quiet()?;
        }
        for depth in DEPTHS {
            sources.make_chain(&raw, scale, depth)?;
        }
        fs::remove_file(&raw).doing(raw.display())?;
        command("sync", ["-f"]).arg(folder).quiet()?;
        Ok(sources)
    }

    /// Each link has one piece of data in `depth`.
    fn make_chain(&self, raw: &Path, scale: Scale, depth: u64) -> Result {
        for link in 0..depth {
            write_data(raw, scale, depth, link)?;
            let path = self.link(depth, link);
            let mut convert = command("qemu-img", ["convert", "-f", "raw", "-O", "vmdk"]);
            if link > 0 {
                command(
                    "qemu-img",
                    ["create", "-q", "-f", "vmdk", "-F", "vmdk", "-b"],
                )
                .arg(self.link(depth, link - 1))
                .arg(&path)
                .quiet()?;
                convert.args(["-n", "--target-is-zero"]);
            }
            convert.arg(raw).arg(&path).quiet()?;
        }
        Ok(())
    }

    fn link(&self, depth: u64, link: u64) -> PathBuf {
        self.folder.join(format!("c{depth}-{link:02}.vmdk"))
    }

    /// The disk of one layout.
    pub fn disk(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.vmdk"))
    }

    /// The top of a chain.
    pub fn chain(&self, depth: u64) -> PathBuf {
        self.link(depth, depth - 1)
    }

    /// Makes a VM on the disk `single`.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn vm(&self) -> Result<PathBuf> {
        let path = self.folder.join("vm.vmx");
        let text = "config.version = \"8\"\nvirtualHW.version = \"19\"\ndisplayName = \"vm\"\n\
                    guestOS = \"other-64\"\nscsi0.present = \"TRUE\"\nscsi0.virtualDev = \"pvscsi\"\n\
                    scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"single.vmdk\"\n";
        fs::write(&path, text).doing(path.display())?;
        Ok(path)
    }
}

/// Writes every `of`th piece of the data, from number `first` on, to its place in a sparse file.
///
/// Half of the pieces are noise, a quarter is text, a quarter noise with zeros in it.
fn write_data(raw: &Path, scale: Scale, of: u64, first: u64) -> Result {
    let file = File::create(raw).doing(raw.display())?;
    file.set_len((scale.pieces * scale.stride + 512) << 20)
        .doing(raw.display())?;
    let mut random = File::open("/dev/urandom").doing("/dev/urandom")?;
    let mut piece = vec![0; MIB];
    for number in (first..scale.pieces).step_by(of as usize) {
        random.read_exact(&mut piece).doing("/dev/urandom")?;
        match number % 4 {
            0 => {
                let line = format!("line {number} of what a guest may write to its logs\n");
                for part in piece.chunks_mut(line.len()) {
                    part.copy_from_slice(&line.as_bytes()[..part.len()]);
                }
            }
            1 => piece[MIB / 4..MIB / 2].fill(0),
            _ => {}
        }
        let at = (number * scale.stride) << 20;
        file.write_all_at(&piece, at).doing(raw.display())?;
    }
    Ok(())
}

/// Returns the files of a disk and of those that it stands on, its own first.
///
/// # Errors
/// When the folder cannot be read.
pub fn files_of(disk: &Path) -> Result<Vec<PathBuf>> {
    let folder = disk.parent().unwrap_or(Path::new("."));
    let stem = disk.file_stem().unwrap_or_default().to_string_lossy();
    let prefix = stem.split('-').next().unwrap_or_default().to_string();
    let mut files = vec![disk.to_path_buf()];
    for entry in fs::read_dir(folder).doing(folder.display())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_its = name.starts_with(&format!("{prefix}-")) || name == format!("{prefix}.vmdk");
        if is_its && name.ends_with(".vmdk") && entry.path() != disk {
            files.push(entry.path());
        }
    }
    Ok(files)
}
