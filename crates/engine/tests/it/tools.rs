//! The programs that judge what the engine wrote, and the disks made by them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use replix::disk::{Chain, Opener, Places};
use replix::store::Local;

/// Runs a program and returns what it said; fails the test where it cannot be run.
pub fn run(program: &str, args: &[&str], dir: &Path) -> Output {
    Command::new(program)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program} (is it installed?): {error}"))
}

/// Runs a program that must succeed and returns its output.
pub fn ok(program: &str, args: &[&str], dir: &Path) -> String {
    let output = run(program, args, dir);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{program} {args:?}: {text}");
    text
}

/// Makes a disk with QEMU: `subformat` is a create type, `size` as `qemu-img` takes it.
pub fn qemu_create(dir: &Path, name: &str, subformat: &str, size: &str) -> PathBuf {
    let options = format!("subformat={subformat},adapter_type=lsilogic");
    ok(
        "qemu-img",
        &["create", "-q", "-f", "vmdk", "-o", &options, name, size],
        dir,
    );
    dir.join(name)
}

/// Runs QEMU's I/O commands on a disk.
pub fn qemu_io(disk: &Path, commands: &[&str]) {
    let mut args = vec!["-f", "vmdk"];
    for command in commands {
        args.extend(["-c", command]);
    }
    let name = disk.to_str().unwrap();
    args.push(name);
    let said = ok("qemu-io", &args, disk.parent().unwrap());
    assert!(!said.contains("failed"), "{commands:?}: {said}");
}

/// Asserts that two disks read the same, QEMU being the judge.
pub fn assert_same(a: &Path, b: &Path) {
    let dir = a.parent().unwrap();
    let args = [
        "compare",
        "-f",
        "vmdk",
        "-F",
        "vmdk",
        a.to_str().unwrap(),
        b.to_str().unwrap(),
    ];
    assert!(ok("qemu-img", &args, dir).contains("identical"));
}

/// Asserts that QEMU and libvmdk find nothing wrong with the link at `disk`.
pub fn assert_sound(disk: &Path) {
    let (dir, name) = (disk.parent().unwrap(), disk.to_str().unwrap());
    let check = run("qemu-img", &["check", "-f", "vmdk", name], dir);
    // Flat disks have nothing to check.
    let unsupported = String::from_utf8_lossy(&check.stderr).contains("does not support checks");
    assert!(check.status.success() || unsupported, "{check:?}");
    let info = ok("vmdkinfo", &[name], dir);
    assert!(info.contains("Virtual Disk"), "{info}");
}

/// Opens the disk at `path` as that of a VM in the same folder.
pub fn open(path: &Path) -> replix::Result<Chain> {
    opener(path).open(path)
}

/// Returns an opener for the VM in the folder of `path`.
pub fn opener(path: &Path) -> Opener {
    let places = Places::of(&Local, path.parent().unwrap()).unwrap();
    Opener::new(Arc::new(Local), places)
}

/// Reads a whole disk through our chain.
pub fn read_all(path: &Path) -> Vec<u8> {
    let chain = open(path).unwrap();
    let mut bytes = vec![0; chain.capacity_bytes() as usize];
    chain.read(&mut bytes, 0).unwrap();
    bytes
}

/// Reads a whole disk through QEMU.
pub fn qemu_read_all(path: &Path) -> Vec<u8> {
    let raw = tempfile::NamedTempFile::new().unwrap();
    let args = [
        "convert",
        "-f",
        "vmdk",
        "-O",
        "raw",
        path.to_str().unwrap(),
        raw.path().to_str().unwrap(),
    ];
    ok("qemu-img", &args, path.parent().unwrap());
    std::fs::read(raw.path()).unwrap()
}
