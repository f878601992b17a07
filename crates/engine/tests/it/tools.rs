//! The programs that judge what the engine wrote, and the disks made by them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use replix::disk::{Chain, NewDisk, Opener, Places, create, create_child};
use replix::format::vmdk::CreateType;
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

/// Makes a child of `parent` with QEMU, in the same folder.
pub fn qemu_child(parent: &Path, name: &str, subformat: &str) -> PathBuf {
    let options = format!("subformat={subformat}");
    let backing = parent.file_name().unwrap().to_str().unwrap();
    let args = [
        "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", backing, "-o", &options, name,
    ];
    ok("qemu-img", &args, parent.parent().unwrap());
    parent.with_file_name(name)
}

/// A disk that QEMU has open for writing, until this is dropped.
pub struct HeldByQemu(Child);

impl HeldByQemu {
    /// Opens the disk, and returns when it is open.
    pub fn new(disk: &Path) -> Self {
        let mut qemu = Command::new("qemu-io")
            .args(["-f", "vmdk", disk.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The prompt comes when the disk is open.
        let mut prompt = [0; 8];
        qemu.stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut prompt)
            .unwrap();
        Self(qemu)
    }
}

impl Drop for HeldByQemu {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
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

/// The four create types that are read and written.
pub const TYPES: [CreateType; 4] = [
    CreateType::MonolithicSparse,
    CreateType::MonolithicFlat,
    CreateType::SplitSparse,
    CreateType::SplitFlat,
];

/// Makes a child of the disk at `parent`, in the same folder.
pub fn child_of(parent: &Path, name: &str) -> PathBuf {
    let path = parent.with_file_name(name);
    let hint = parent.file_name().unwrap().to_str().unwrap();
    create_child(&Local, &open(parent).unwrap(), &path, hint).unwrap();
    path
}

/// What a test puts on a disk.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// Bytes that do not repeat.
    Random,
    /// Nothing but zeros, written as such.
    Zeros,
    /// A little of everything, at odd places.
    Mixed,
}

/// The contents that every promise about data is tried with.
pub const CONTENTS: [Content; 3] = [Content::Random, Content::Zeros, Content::Mixed];

/// Capacity of the disks that [`fill`] fills: three grain tables and a bit, no whole number of
/// grains, and three extents where it is split.
pub const SECTORS: u64 = (68 << 20) / 512 + 24;

/// Writes `content` to a disk of [`SECTORS`]; `step` makes each link of a chain different.
pub fn fill(disk: &Path, content: Content, step: u64) {
    let shift = step * 1300;
    let commands = match content {
        Content::Random => {
            let noise = disk.with_extension("noise");
            std::fs::write(&noise, noise_of(700 << 10, step)).unwrap();
            let noise = noise.display();
            vec![
                format!("write -s {noise} {}k 700k", 64 + shift),
                format!("write -s {noise} {}k 131k", 60_000 + shift / 2),
                format!("write -s {noise} {}k 12k", 68 << 10),
            ]
        }
        Content::Zeros => vec![
            format!("write -P 0 {shift}k 1M"),
            format!("write -z {}k 128k", 60_000 + shift / 4),
        ],
        Content::Mixed => vec![
            format!("write -P {} {} 512", 1 + step, 512 * (1 + step * 77)),
            format!("write -P 0 {}k 200k", 128 + shift / 3),
            format!("write -P {} {}k 65k", 40 + step, 400 + shift),
            format!("write -P {} {}k 3M", 60 + step, 59_000 + shift / 5),
            format!("write -P 0 {}k 64k", 59_540 + shift / 5),
            format!("write -P {} {}k 12k", 80 + step, 68 << 10),
        ],
    };
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    qemu_io(disk, &commands);
    let _ = std::fs::remove_file(disk.with_extension("noise"));
}

/// Returns bytes that look random, the same ones for each seed.
pub fn noise_of(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(|| next().to_le_bytes())
        .flatten()
        .take(len)
        .collect()
}

/// Makes an empty disk of [`SECTORS`], in small extents where it is split.
pub fn small_disk(path: &Path, create_type: CreateType) {
    let disk = NewDisk {
        path: path.to_path_buf(),
        create_type,
        preallocated: false,
        sectors: SECTORS,
        cut: Some(128 * 383),
        adapter: "lsilogic".into(),
        hardware_version: 16,
        uuid: None,
    };
    create(&Local, &disk).unwrap();
}

/// Makes a chain of `depth` links with content in each, and returns the top.
pub fn chain_of(dir: &Path, create_type: CreateType, content: Content, depth: u64) -> PathBuf {
    let mut disk = dir.join("b.vmdk");
    small_disk(&disk, create_type);
    fill(&disk, content, 0);
    for step in 1..depth {
        disk = child_of(&disk, &format!("b-{step:06}.vmdk"));
        fill(&disk, content, step);
    }
    disk
}

/// Returns name and length of every file in a folder.
pub fn listing(dir: &Path) -> Vec<(PathBuf, u64)> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .map(|entry| (entry.path(), entry.metadata().unwrap().len()))
        .collect();
    files.sort();
    files
}

/// Returns a fingerprint of every file in a folder.
pub fn fingerprints(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let said = ok("sha256sum", &[file.to_str().unwrap()], dir);
            (file, said.split(' ').next().unwrap().to_owned())
        })
        .collect()
}
