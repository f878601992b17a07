//! `cargo xtask guest`: small bootable guests for the tests, built from Debian's packages.
//!
//! Three disks, each as a raw image and as a VMDK (monolithicSparse):
//!
//! - `guest`: Linux with busybox, 64 MiB, for BIOS machines; what it prints stands in `init.sh`;
//! - `efi`: the same for EFI machines;
//! - `boot`: a boot sector, 8 MiB, for BIOS machines, that greets and powers off; `boot.S`.
//!
//! All print `hello from guest marker=M`, where M is the text in the disk's second sector. So a
//! test tells disks apart without booting: it writes the text, padded with zeros to 512 bytes, at
//! offset 512 of a raw image and converts that, or straight into any image:
//! `qemu-io -f vmdk -c 'write -s FILE 512 512' clone.vmdk`.
//!
//! The folder is named after a hash of the recipe and appears whole or not at all.

mod disk;
mod kernel;
mod linux;
mod marker;

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use clap::ValueEnum;

pub use marker::Copy;

use crate::deps;
use crate::run::{Doing, Result, Run, command, stage};
use crate::scratch::Scratch;
use crate::workspace::Workspace;

/// The guests' disks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Disk {
    /// Linux, for BIOS machines
    Guest,
    /// Linux, for EFI machines
    Efi,
    /// A boot sector
    Boot,
}

impl Disk {
    /// Returns the name of its files, without extension.
    fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Efi => "efi",
            Self::Boot => "boot",
        }
    }
}

/// All that decides what the guests are.
const RECIPE: &[&[u8]] = &[
    include_bytes!("mod.rs"),
    include_bytes!("disk.rs"),
    include_bytes!("kernel.rs"),
    include_bytes!("linux.rs"),
    include_bytes!("boot.S"),
    include_bytes!("got-address.sh"),
    include_bytes!("init.sh"),
    include_bytes!("shutdown.sh"),
    include_bytes!("unpack.S"),
];

/// The marker of the disks as they are built.
const FIRST_MARKER: &str = "base";

/// Where the marker stands: the second sector, which no partition covers.
const MARKER_OFFSET: u64 = 512;

/// The create type of the VMDKs in the guests' folder.
const SPARSE: &str = "monolithicSparse";

/// What the name of the folder starts with that a process builds in; its id follows.
const BUILDING: &str = "building-";

const BOOT_DISK_BYTES: u64 = 8 << 20;

/// Builds the guests, unless they are there, and returns their folder.
///
/// # Errors
/// When a tool is missing or fails; nothing is left of the attempt then.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let cache = workspace.target.join("guest");
    let folder = cache.join(format!("{:016x}", hash(RECIPE)));
    if folder.is_dir() {
        return Ok(folder);
    }
    deps::install(&[deps::GUEST, deps::QEMU])?;
    stage("test guest", || {
        let work = Scratch::create(cache.join(format!("{BUILDING}{}", process::id())))?;
        let made = work.0.join("made");
        fs::create_dir(&made).doing(made.display())?;
        boot_sector(&work.0, &made)?;
        linux::build(&work.0, &made)?;
        for name in Disk::value_variants().iter().map(|disk| disk.name()) {
            to_vmdk(
                &made.join(format!("{name}.raw")),
                &made.join(format!("{name}.vmdk")),
                SPARSE,
            )?;
        }
        // Another process may have been quicker: its folder is as good.
        match fs::rename(&made, &folder) {
            Err(error) if !folder.is_dir() => Err(error).doing(folder.display()),
            _ => Ok(()),
        }
    })?;
    remove_stale(&cache, &folder);
    Ok(folder)
}

/// Converts a raw image to a VMDK of the create type `subformat`.
fn to_vmdk(raw: &Path, vmdk: &Path, subformat: &str) -> Result {
    let options = format!("subformat={subformat},adapter_type=lsilogic");
    let mut convert = command(
        "qemu-img",
        ["convert", "-f", "raw", "-O", "vmdk", "-o", &options],
    );
    convert.arg(raw).arg(vmdk).quiet()
}

/// Assembles the boot sector and makes its disk.
fn boot_sector(work: &Path, made: &Path) -> Result {
    fs::write(work.join("boot.S"), include_bytes!("boot.S")).doing("boot.S")?;
    command("as", ["--32", "boot.S", "-o", "boot.o"])
        .current_dir(work)
        .quiet()?;
    let link = [
        "-m",
        "elf_i386",
        "-Ttext",
        "0x7c00",
        "--oformat",
        "binary",
        "boot.o",
        "-o",
        "boot.bin",
    ];
    command("ld", link).current_dir(work).quiet()?;
    let mut disk = fs::read(work.join("boot.bin")).doing("boot.bin")?;
    disk.extend(marker::sector(FIRST_MARKER)?);
    let path = made.join("boot.raw");
    fs::write(&path, disk).doing(path.display())?;
    let file = fs::File::options()
        .write(true)
        .open(&path)
        .doing(path.display())?;
    file.set_len(BOOT_DISK_BYTES).doing(path.display())
}

/// Removes the guests of older recipes and what killed builds left.
fn remove_stale(cache: &Path, current: &Path) {
    let is_stale = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let builder = name
            .strip_prefix(BUILDING)
            .map(|pid| Path::new("/proc").join(pid));
        path != current && !builder.is_some_and(|process| process.exists())
    };
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(is_stale) {
        // Two processes may clean up at once; what one of them leaves goes next time.
        let _ = fs::remove_dir_all(path);
    }
}

/// Returns the FNV-1a hash of the parts and their lengths.
fn hash(parts: &[&[u8]]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| {
        let length = (part.len() as u64).to_le_bytes();
        length.iter().chain(*part).fold(hash, step)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_tells_parts_apart() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"a"]), hash(&[b"b"]));
    }
}
