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

mod disk;
mod kernel;
mod linux;
mod marker;

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

pub use marker::Copy;

use crate::cached::Cached;
use crate::deps;
use crate::run::{Doing, Result, Run, command};
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
    include_bytes!("etc/group"),
    include_bytes!("etc/passwd"),
    include_bytes!("etc/shadow"),
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

const BOOT_DISK_BYTES: u64 = 8 << 20;

/// Builds the guests, unless they are there, and returns their folder.
///
/// # Errors
/// When a tool is missing or fails; nothing is left of the attempt then.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let guests = Cached::new(workspace.target.join("guest"), RECIPE);
    if let Some(folder) = guests.found() {
        return Ok(folder);
    }
    deps::install(&[deps::GUEST, deps::QEMU])?;
    guests.make("test guest", |work, made| {
        boot_sector(work, made)?;
        linux::build(work, made)?;
        for name in Disk::value_variants().iter().map(|disk| disk.name()) {
            to_vmdk(
                &made.join(format!("{name}.raw")),
                &made.join(format!("{name}.vmdk")),
                SPARSE,
            )?;
        }
        Ok(())
    })
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
