//! The Linux guest: Debian's kernel, a few of its modules, busybox and `init.sh` on one FAT disk.
//!
//! Nothing is mounted and nothing installed: the kernel and the guest agent are downloaded and
//! unpacked only. The agent and its libraries stay packed on the disk, and are read only where a VM
//! has the agent's port: a boot without it is faster by that much.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{FIRST_MARKER, MARKER_OFFSET, kernel, marker};
use crate::deps;
use crate::run::{Doing, Result, Run, command, fail};

const DISK_BYTES: u64 = 64 << 20;

/// Where the one partition starts; tools take it as `guest.raw@@1M`.
const PARTITION_SECTOR: u64 = 2048;

/// The metapackage that depends on the current kernel. Not the cloud kernel: that one lacks AHCI,
/// e1000e, LSI Logic's and Symbios' drivers.
const KERNEL: &str = "linux-image-amd64";

/// What the devices of a `.vmx` need, and the disk's file system.
const MODULES: &[&str] = &[
    "ata_piix",
    "ahci",
    "nvme",
    "vmw_pvscsi",
    "sym53c8xx",
    "mptspi",
    "mptsas",
    "sd_mod",
    "sr_mod",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "e1000",
    "e1000e",
    "vmxnet3",
    "pcnet32",
    "af_packet",
    "button",
    "evdev",
    "virtio_pci",
    "virtio_console",
];

/// The programs of the guest that are written here, with their places.
const SCRIPTS: &[(&str, &str)] = &[
    ("init", include_str!("init.sh")),
    ("bin/got-address", include_str!("got-address.sh")),
    ("sbin/shutdown", include_str!("shutdown.sh")),
    ("etc/acpi/PWRF/00000080", include_str!("shutdown.sh")),
];

/// Builds `guest.raw` into the folder `made`, working in the folder `work`.
pub fn build(work: &Path, made: &Path) -> Result {
    let tree = download(work)?;
    let release = only_entry(&tree.join("lib/modules"))?;
    initramfs(work, &tree, &release)?;
    agent(work)?;
    let debian = tree.join("boot").join(format!("vmlinuz-{release}"));
    kernel::repack(work, &debian, &work.join("vmlinuz"))?;
    disk(work, &made.join("guest.raw"))
}

/// Downloads and unpacks the kernel and the agent; returns the kernel's tree.
fn download(work: &Path) -> Result<PathBuf> {
    if !command("apt-cache", ["show", KERNEL]).succeeds() {
        deps::refresh_lists()?;
    }
    let depends = command("apt-cache", ["depends", KERNEL]).text()?;
    let Some(image) = depends
        .lines()
        .find_map(|row| row.trim().strip_prefix("Depends: "))
    else {
        return fail(format!("{KERNEL} depends on no kernel"));
    };
    for (package, tree) in [
        (image, "kernel-package"),
        ("qemu-guest-agent", "agent-package"),
    ] {
        let folder = work.join(format!("{tree}.deb"));
        create_dir(&folder)?;
        let download = || {
            command("apt-get", ["download", "-q", package])
                .current_dir(&folder)
                .quiet()
        };
        // Lists that are too old name files that are gone.
        download().or_else(|_| deps::refresh_lists().and_then(|()| download()))?;
        let deb = folder.join(only_entry(&folder)?);
        command(
            "dpkg-deb",
            ["-x".as_ref(), deb.as_os_str(), work.join(tree).as_os_str()],
        )
        .quiet()?;
    }
    Ok(work.join("kernel-package"))
}

/// Makes `initrd.gz`: busybox, the modules and the scripts.
fn initramfs(work: &Path, kernel: &Path, release: &str) -> Result {
    let root = work.join("initramfs");
    for (place, text) in SCRIPTS {
        let path = root.join(place);
        create_dir(path.parent().unwrap_or(&root))?;
        fs::write(&path, text).doing(path.display())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).doing(path.display())?;
    }
    for folder in ["dev", "proc", "sys", "run", "disk", "usr/bin", "usr/sbin"] {
        create_dir(&root.join(folder))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).doing("/bin/busybox")?;
    symlink("busybox", root.join("bin/sh")).doing("bin/sh")?;
    modules(&root, kernel, release)?;
    pack(&root, &work.join("initrd.gz"))
}

/// Copies the wanted modules, with those they need, and their index.
fn modules(root: &Path, kernel: &Path, release: &str) -> Result {
    let depmod = |tree: &Path| {
        command(
            "depmod",
            ["-b".as_ref(), tree.as_os_str(), release.as_ref()],
        )
        .quiet()
    };
    depmod(kernel)?;
    let mut files = BTreeSet::new();
    for module in MODULES {
        let show = ["-S", release, "--show-depends", module];
        let text = command("modprobe", ["-d".as_ref(), kernel.as_os_str()])
            .args(show)
            .text()?;
        files.extend(
            text.lines()
                .filter_map(|row| row.strip_prefix("insmod "))
                .map(|row| PathBuf::from(row.trim())),
        );
    }
    let index = [
        "modules.order",
        "modules.builtin",
        "modules.builtin.modinfo",
    ];
    files.extend(
        index
            .iter()
            .map(|name| kernel.join("lib/modules").join(release).join(name)),
    );
    for file in &files {
        let place = root.join(file.strip_prefix(kernel).doing(file.display())?);
        create_dir(place.parent().unwrap_or(root))?;
        fs::copy(file, &place).doing(file.display())?;
    }
    depmod(root)
}

/// Makes `agent.gz`: the guest agent with the libraries that `ldd` names for it here.
fn agent(work: &Path) -> Result {
    let program = work.join("agent-package/usr/sbin/qemu-ga");
    let text = command("ldd", [&program]).text()?;
    let mut files = vec![(program, PathBuf::from("usr/sbin/qemu-ga"))];
    for row in text.lines() {
        if row.contains("not found") {
            return fail(format!(
                "a library of the guest agent is not installed here: {}",
                row.trim()
            ));
        }
        let path = row.split_whitespace().find(|word| word.starts_with('/'));
        files.extend(path.map(|path| {
            (
                PathBuf::from(path),
                PathBuf::from(path.trim_start_matches('/')),
            )
        }));
    }
    let root = work.join("agent");
    for (from, place) in files {
        let place = root.join(place);
        create_dir(place.parent().unwrap_or(&root))?;
        fs::copy(&from, &place).doing(from.display())?;
    }
    pack(&root, &work.join("agent.gz"))
}

/// Packs a tree as the kernel takes it: cpio in gzip.
fn pack(root: &Path, packed: &Path) -> Result {
    const PACK: &str = "set -e; find . -print0 | LC_ALL=C sort -z \
        | cpio --quiet --null -o -H newc -R 0:0 --reproducible | gzip -9n >\"$0\"";
    command("sh", ["-c", PACK])
        .arg(packed)
        .current_dir(root)
        .quiet()
}

/// Makes the disk: an MBR, one FAT partition, syslinux, and the files.
fn disk(work: &Path, raw: &Path) -> Result {
    let file = fs::File::create_new(raw).doing(raw.display())?;
    file.set_len(DISK_BYTES).doing(raw.display())?;
    command("sfdisk", ["-q".as_ref(), raw.as_os_str()])
        .feed(format!("start={PARTITION_SECTOR}, type=e, bootable\n").as_bytes())?;
    let boot_code = fs::read("/usr/lib/syslinux/mbr/mbr.bin").doing("syslinux's mbr.bin")?;
    file.write_all_at(&boot_code, 0).doing(raw.display())?;
    file.write_all_at(&marker::sector(FIRST_MARKER)?, MARKER_OFFSET)
        .doing(raw.display())?;

    let kib = ((DISK_BYTES / 512 - PARTITION_SECTOR) / 2).to_string();
    let offset = PARTITION_SECTOR.to_string();
    let label = ["-n", "TESTGUEST", "-i", "1234ABCD", "--offset", &offset];
    command("mkfs.vfat", label).arg(raw).arg(kib).quiet()?;
    let offset = (PARTITION_SECTOR * 512).to_string();
    command("syslinux", ["--install", "--offset", &offset])
        .arg(raw)
        .quiet()?;

    fs::write(work.join("syslinux.cfg"), include_str!("syslinux.cfg")).doing("syslinux.cfg")?;
    fs::write(work.join("boots.txt"), "0\n").doing("boots.txt")?;
    let mut copy = command("mcopy", ["-i"]);
    copy.arg(format!("{}@@1M", raw.display()));
    copy.args([
        "syslinux.cfg",
        "vmlinuz",
        "initrd.gz",
        "agent.gz",
        "boots.txt",
        "::/",
    ]);
    copy.env("MTOOLS_SKIP_CHECK", "1").current_dir(work).quiet()
}

fn create_dir(path: &Path) -> Result {
    fs::create_dir_all(path).doing(path.display())
}

/// Returns the name of the one entry of a folder.
fn only_entry(folder: &Path) -> Result<String> {
    let entries = fs::read_dir(folder).doing(folder.display())?.flatten();
    let names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    match names.as_slice() {
        [name] => Ok(name.clone()),
        names => fail(format!(
            "{}: one entry expected, found {names:?}",
            folder.display()
        )),
    }
}
