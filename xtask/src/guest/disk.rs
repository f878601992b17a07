//! The Linux guest's disks: one FAT partition with the files, put together without mounting.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{FIRST_MARKER, MARKER_OFFSET, kernel, marker};
use crate::run::{Doing, Result, Run, command};

const DISK_BYTES: u64 = 64 << 20;

/// Where the partition starts; mtools takes it as `guest.raw@@1M`.
const PARTITION_SECTOR: u64 = 2048;

/// What syslinux does: boot, at once.
const SYSLINUX: &str = "DEFAULT linux\nPROMPT 0\nLABEL linux\nKERNEL vmlinuz\nINITRD initrd.gz\n";

/// Makes the disk that a BIOS boots, of the files in the folder `work`.
pub fn bios(work: &Path, raw: &Path) -> Result {
    let file = format(raw, "e")?;
    let boot_code = fs::read("/usr/lib/syslinux/mbr/mbr.bin").doing("syslinux's mbr.bin")?;
    file.write_all_at(&boot_code, 0).doing(raw.display())?;
    let offset = (PARTITION_SECTOR * 512).to_string();
    command("syslinux", ["--install", "--offset", &offset])
        .arg(raw)
        .quiet()?;
    let config = format!("{SYSLINUX}APPEND {}\n", kernel::COMMAND_LINE);
    fs::write(work.join("syslinux.cfg"), config).doing("syslinux.cfg")?;
    mtools(
        "mcopy",
        raw,
        work,
        &[
            "syslinux.cfg",
            "vmlinuz",
            "initrd.gz",
            "agent.gz",
            "boots.txt",
            "::/",
        ],
    )
}

/// Makes the disk that EFI firmware boots, of the files in the folder `work`.
pub fn efi(work: &Path, raw: &Path) -> Result {
    format(raw, "ef")?;
    mtools("mmd", raw, work, &["::/EFI", "::/EFI/BOOT"])?;
    mtools(
        "mcopy",
        raw,
        work,
        &["linux.efi", "::/EFI/BOOT/BOOTX64.EFI"],
    )?;
    mtools("mcopy", raw, work, &["agent.gz", "boots.txt", "::/"])
}

/// Makes a disk with its marker and an empty partition of the MBR type `kind`.
fn format(raw: &Path, kind: &str) -> Result<fs::File> {
    let file = fs::File::create_new(raw).doing(raw.display())?;
    file.set_len(DISK_BYTES).doing(raw.display())?;
    let table = format!("start={PARTITION_SECTOR}, type={kind}, bootable\n");
    command("sfdisk", ["-q".as_ref(), raw.as_os_str()]).feed(table.as_bytes())?;
    file.write_all_at(&marker::sector(FIRST_MARKER)?, MARKER_OFFSET)
        .doing(raw.display())?;
    let kib = ((DISK_BYTES / 512 - PARTITION_SECTOR) / 2).to_string();
    let offset = PARTITION_SECTOR.to_string();
    let options = ["-n", "TESTGUEST", "-i", "1234ABCD", "--offset", &offset];
    command("mkfs.vfat", options).arg(raw).arg(kib).quiet()?;
    Ok(file)
}

/// Runs one of the mtools in the folder `work` on the partition of `raw`.
fn mtools(tool: &str, raw: &Path, work: &Path, args: &[&str]) -> Result {
    let mut command = command(tool, ["-i"]);
    command
        .arg(format!("{}@@{}", raw.display(), PARTITION_SECTOR * 512))
        .args(args);
    command
        .env("MTOOLS_SKIP_CHECK", "1")
        .current_dir(work)
        .quiet()
}
