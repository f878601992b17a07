//! The guest's kernel: Debian's, made into what a BIOS and what EFI firmware boots.
//!
//! For BIOS machines it is packed anew. Debian packs its kernel with xz, and where the CPU is emulated its unpacking takes longer than
//! the whole boot after it. The parts of the file are kept: the real-mode part that the boot loader
//! reads, with its header, then what that part jumps to, which is ours.

use std::fs;
use std::ops::Range;
use std::path::Path;

use crate::run::{Doing, Result, Run, command, say};

/// Quiet, and without what takes time and shows nothing: BIOS disk facts, self-tests of cipher
/// code, mitigations, the patching of locks on one CPU, the rest for SCSI buses of old. An NVMe disk
/// is to hang on its controller, not on a multipath node.
pub const COMMAND_LINE: &str = "console=ttyS0 quiet loglevel=3 panic=-1 edd=off \
    cryptomgr.notests mitigations=off noreplace-smp sym53c8xx.settle=0 nvme_core.multipath=N";

/// Where fields of the header are, by "The Linux/x86 Boot Protocol", section "Details of Header
/// Fields".
mod field {
    pub const SETUP_SECTS: usize = 0x1f1;
    pub const SYSSIZE: usize = 0x1f4;
    pub const RELOCATABLE_KERNEL: usize = 0x234;
    pub const XLOADFLAGS: usize = 0x236;
    pub const PAYLOAD_OFFSET: usize = 0x248;
    pub const PAYLOAD_LENGTH: usize = 0x24c;
    pub const HANDOVER_OFFSET: usize = 0x264;
    pub const END: usize = 0x268;
}

const XZ: &[u8] = b"\xfd7zXZ\0";

/// `unpack.S` and what it unpacks lie between 1 MiB and the kernel's place at 16 MiB.
const MOST_BYTES: usize = 15 << 20;

/// Writes the kernel `debian` to `to`, quick to unpack; works in the folder `work`.
///
/// A kernel that is not as expected is copied as it is: it boots as well, only later.
pub fn repack(work: &Path, debian: &Path, to: &Path) -> Result {
    let image = fs::read(debian).doing(debian.display())?;
    let packed = match payload(&image) {
        Some(payload) => pack(work, &image[payload])?,
        None => Vec::new(),
    };
    if packed.is_empty() || packed.len() > MOST_BYTES {
        say("the kernel is packed in a way unknown here: it is taken as it is");
        return fs::write(to, image).doing(to.display());
    }
    fs::write(to, assemble(&image[..setup_bytes(&image)], &packed)).doing(to.display())
}

/// Makes `linux.efi` in the folder `work`: systemd's stub with Debian's kernel, `initrd.gz` and the
/// command line in it.
///
/// `systemd` is the tree of the package systemd-boot-efi.
pub fn efi_program(work: &Path, systemd: &Path, debian: &Path) -> Result {
    fs::write(work.join("command-line"), COMMAND_LINE).doing("command-line")?;
    let mut objcopy = command("objcopy", [""; 0]);
    let parts = [
        (".cmdline", Path::new("command-line"), "0x30000"),
        (".linux", debian, "0x2000000"),
        (".initrd", Path::new("initrd.gz"), "0x4000000"),
    ];
    for (section, file, address) in parts {
        objcopy.arg(format!("--add-section={section}={}", file.display()));
        objcopy.arg(format!("--change-section-vma={section}={address}"));
    }
    let stub = systemd.join("usr/lib/systemd/boot/efi/linuxx64.efi.stub");
    objcopy.arg(stub).arg("linux.efi").current_dir(work).quiet()
}

/// Returns where in the kernel's file the packed kernel is, if it is packed with xz.
fn payload(image: &[u8]) -> Option<Range<usize>> {
    if image.len() < field::END || &image[0x202..0x206] != b"HdrS" {
        return None;
    }
    let start = setup_bytes(image).checked_add(u32_at(image, field::PAYLOAD_OFFSET))?;
    let end = start.checked_add(u32_at(image, field::PAYLOAD_LENGTH))?;
    // The last four bytes are the unpacked size.
    let range = start..end.checked_sub(4)?;
    image.get(range.clone())?.starts_with(XZ).then_some(range)
}

/// Unpacks a kernel and returns it packed behind the code that unpacks it.
fn pack(work: &Path, xz: &[u8]) -> Result<Vec<u8>> {
    let file = |name: &str| work.join(name);
    let run = |program: &str, args: &[&str]| command(program, args).current_dir(work).quiet();
    fs::write(file("vmlinux.xz"), xz).doing("vmlinux.xz")?;
    run("xz", &["-d", "vmlinux.xz"])?;
    // Type information is for debuggers, and a fifth of it all.
    run(
        "objcopy",
        &["-O", "binary", "-R", ".BTF", "vmlinux", "kernel"],
    )?;
    let mut kernel = fs::read(file("kernel")).doing("kernel")?;
    // What is zero at the end the kernel clears by itself.
    kernel.truncate(
        kernel
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1),
    );
    fs::write(file("kernel"), kernel).doing("kernel")?;
    run("lz4", &["-q", "-l", "-9", "kernel", "kernel.lz4"])?;
    fs::write(file("unpack.S"), include_bytes!("unpack.S")).doing("unpack.S")?;
    run("as", &["--64", "unpack.S", "-o", "unpack.o"])?;
    let link = [
        "-m",
        "elf_x86_64",
        "-e",
        "start",
        "-Ttext",
        "0x100000",
        "--oformat",
        "binary",
    ];
    run("ld", &[&link, &["unpack.o", "-o", "unpack"][..]].concat())?;
    fs::read(file("unpack")).doing("unpack")
}

/// Puts the real-mode part and the protected-mode part together, and says so in the header.
fn assemble(setup: &[u8], packed: &[u8]) -> Vec<u8> {
    let paragraphs = packed.len().div_ceil(16);
    let mut image = [setup, packed].concat();
    image.resize(setup.len() + paragraphs * 16, 0);
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(field::SYSSIZE, &(paragraphs as u32).to_le_bytes());
    // It runs only where it is linked to, is not entered in 64-bit mode, and is no EFI program.
    put(field::RELOCATABLE_KERNEL, &[0]);
    put(field::XLOADFLAGS, &[0; 2]);
    put(field::HANDOVER_OFFSET, &[0; 4]);
    image
}

fn setup_bytes(image: &[u8]) -> usize {
    // Zero stands for four, from a time before the header.
    let sectors = match image[field::SETUP_SECTS] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    (1 + sectors) * 512
}

fn u32_at(image: &[u8], at: usize) -> usize {
    (0..4).fold(0, |value, byte| {
        value | usize::from(image[at + byte]) << (8 * byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[field::SETUP_SECTS] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[field::PAYLOAD_OFFSET] = 16;
        image[field::PAYLOAD_LENGTH] = payload.len() as u8 + 4;
        image.extend([0; 16]);
        image.extend(payload);
        image.extend([0; 4]);
        image
    }

    #[test]
    fn payload_is_found_without_its_size() {
        assert_eq!(payload(&image(b"\xfd7zXZ\0more")), Some(1040..1050));
    }

    #[test]
    fn other_packings_and_files_are_left_alone() {
        assert_eq!(payload(&image(b"\x28\xb5\x2f\xfdmore")), None);
        assert_eq!(payload(b"MZ"), None);
        assert_eq!(payload(&image(b"\xfd7zXZ\0more")[..1045]), None);
    }

    #[test]
    fn assembled_header_tells_the_new_size() {
        let made = assemble(&image(b"")[..1024], &[7; 33]);
        assert_eq!(made.len(), 1024 + 48);
        assert_eq!(u32_at(&made, field::SYSSIZE), 3);
        assert_eq!(&made[1056..1058], [7, 0]);
    }
}
