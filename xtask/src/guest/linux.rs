//! The Linux guest: Debian's kernel, a few of its modules, busybox and `init.sh`.
//!
//! Nothing is mounted and nothing installed: the kernel and the guest agent are downloaded and
//! unpacked only. The agent and its libraries stay packed on the disk, and are read only where a VM
//! has the agent's port: a boot without it is faster by that much.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{disk, kernel};
use crate::deps;
use crate::run::{Doing, Result, Run, command, fail};

/// The metapackage that depends on the current kernel. Not the cloud kernel: that one lacks AHCI,
/// e1000e, LSI Logic's and Symbios' drivers.
const KERNEL: &str = "linux-image-amd64";

/// What the devices of a `.vmx` need, the disk's file system, that of shared folders, and that of the
/// firmware's variables.
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
    "9pnet_virtio",
    "9p",
    "efivarfs",
];

/// The programs of the guest that are written here, with their places.
const SCRIPTS: &[(&str, &str)] = &[
    ("init", include_str!("init.sh")),
    ("bin/got-address", include_str!("got-address.sh")),
    ("sbin/shutdown", include_str!("shutdown.sh")),
    ("etc/acpi/PWRF/00000080", include_str!("shutdown.sh")),
];

/// The guest's accounts, with their places. A password is the account's name and "-secret"; that of
/// every account which cannot log in is "locked-secret".
const ACCOUNTS: &[(&str, &str)] = &[
    ("etc/passwd", include_str!("etc/passwd")),
    ("etc/shadow", include_str!("etc/shadow")),
    ("etc/group", include_str!("etc/group")),
];

/// Builds `guest.raw` and `efi.raw` into the folder `made`, working in the folder `work`.
pub fn build(work: &Path, made: &Path) -> Result {
    let tree = unpack(work, &kernel_package()?)?;
    let release = only_entry(&tree.join("lib/modules"))?;
    initramfs(work, &tree, &release)?;
    agent(work, &unpack(work, "qemu-guest-agent")?)?;
    let debian = tree.join("boot").join(format!("vmlinuz-{release}"));
    kernel::repack(work, &debian, &work.join("vmlinuz"))?;
    kernel::efi_program(work, &unpack(work, "systemd-boot-efi")?, &debian)?;
    fs::write(work.join("boots.txt"), "0\n").doing("boots.txt")?;
    disk::bios(work, &made.join("guest.raw"))?;
    disk::efi(work, &made.join("efi.raw"))
}

/// Returns the name of the package of Debian's current kernel.
fn kernel_package() -> Result<String> {
    if !command("apt-cache", ["show", KERNEL]).succeeds() {
        deps::refresh_lists()?;
    }
    let depends = command("apt-cache", ["depends", KERNEL]).text()?;
    match depends
        .lines()
        .find_map(|row| row.trim().strip_prefix("Depends: "))
    {
        Some(package) => Ok(package.to_string()),
        None => fail(format!("{KERNEL} depends on no kernel")),
    }
}

/// Downloads and unpacks a package; returns its tree.
fn unpack(work: &Path, package: &str) -> Result<PathBuf> {
    let folder = work.join(format!("{package}.deb"));
    create_dir(&folder)?;
    let download = || {
        command("apt-get", ["download", "-q", package])
            .current_dir(&folder)
            .quiet()
    };
    // Lists that are too old name files that are gone.
    download().or_else(|_| deps::refresh_lists().and_then(|()| download()))?;
    let deb = folder.join(only_entry(&folder)?);
    let tree = work.join(package);
    command(
        "dpkg-deb",
        ["-x".as_ref(), deb.as_os_str(), tree.as_os_str()],
    )
    .quiet()?;
    Ok(tree)
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

/// Makes `agent.gz`: the guest agent and what its callers need: a program that changes users, the
/// libraries that `ldd` names for both here, accounts.
fn agent(work: &Path, package: &Path) -> Result {
    let root = work.join("agent");
    with_libraries(&package.join("usr/sbin/qemu-ga"), "usr/sbin/qemu-ga", &root)?;
    with_libraries(Path::new("/usr/bin/setpriv"), "usr/bin/setpriv", &root)?;
    create_dir(&root.join("etc"))?;
    for (place, text) in ACCOUNTS {
        let path = root.join(place);
        let mode = if *place == "etc/shadow" { 0o600 } else { 0o644 };
        fs::write(&path, text).doing(path.display())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).doing(path.display())?;
    }
    pack(&root, &work.join("agent.gz"))
}

/// Copies a program to its place below `root`, its libraries to theirs.
fn with_libraries(program: &Path, place: &str, root: &Path) -> Result {
    let text = command("ldd", [program]).text()?;
    let mut files = vec![(program.to_path_buf(), PathBuf::from(place))];
    for row in text.lines() {
        if row.contains("not found") {
            return fail(format!(
                "a library of {} is not installed here: {}",
                program.display(),
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
    for (from, place) in files {
        let place = root.join(place);
        create_dir(place.parent().unwrap_or(root))?;
        fs::copy(&from, &place).doing(from.display())?;
    }
    Ok(())
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
