//! Looking at the VMs of a library, without a process for each look; what their guests see is read by
//! `qemu-img`, anew whenever a file that it may come from was changed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use replix::Host;
use replix::vm::{PowerState, Settings, VmInfo};
use replix_testkit::qemu_img;
use sha2::{Digest, Sha256};

use super::act::vmx;

/// What of a file differs once it was changed: its number, its length, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// The files of some folders.
pub type Stamps = BTreeMap<PathBuf, Stamp>;

/// Knows what was seen.
pub struct Looker {
    host: Host,
    /// The folder with those of the VMs.
    dir: PathBuf,
    /// What was read of each disk, and of which files.
    known: RefCell<BTreeMap<PathBuf, (Stamps, String)>>,
}

impl Looker {
    pub fn new(dir: PathBuf) -> Self {
        let settings = Settings {
            inventory: Some(dir.with_file_name("inventory")),
            ..Settings::default()
        };
        Self {
            host: Host::local_with(settings),
            dir,
            known: RefCell::default(),
        }
    }

    /// What was read is read again.
    pub fn forget(&self) {
        self.known.borrow_mut().clear();
    }

    /// What is to be said of a VM, which must be off and whole.
    pub fn opened(&self, vm: &str, when: &str) -> VmInfo {
        let opened = self.host.open(self.dir.join(vmx(vm)));
        let info = opened.and_then(|opened| opened.info());
        let info = info.unwrap_or_else(|error| panic!("{vm}: {error}\n{when}"));
        assert_eq!(info.state, PowerState::Off, "{vm}: {when}");
        for disk in &info.disks {
            assert_eq!(disk.problem, None, "{vm}: {when}");
        }
        info
    }

    /// The names of a VM's snapshots.
    pub fn snapshots(&self, vm: &str) -> Vec<String> {
        let opened = self.host.open(self.dir.join(vmx(vm)));
        let tree = opened.and_then(|opened| opened.snapshots());
        let tree = tree.unwrap_or_else(|error| panic!("{vm}: {error}"));
        tree.snapshots.into_iter().map(|one| one.name).collect()
    }

    /// All files of the library but those of locks.
    pub fn files(&self) -> Stamps {
        let mut files = Stamps::new();
        self.add_files(self.dir.clone(), &mut files);
        files
    }

    /// Adds those of a folder, by their paths in the library. Where the disk was shut down below it, nothing is
    /// to be seen before it is mounted again.
    fn add_files(&self, folder: PathBuf, files: &mut Stamps) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(meta) = fs::symlink_metadata(&path) else {
                continue;
            };
            let ending = path.extension().unwrap_or_default();
            if meta.is_dir() && ending != "lck" {
                self.add_files(path, files);
            } else if meta.is_file() && ending != "lck" {
                let stamp = Stamp {
                    inode: meta.ino(),
                    bytes: meta.len(),
                    changed: (meta.ctime(), meta.ctime_nsec()),
                };
                files.insert(path.strip_prefix(&self.dir).unwrap().into(), stamp);
            }
        }
    }

    /// What the guest of the first of `line` sees; the others are the VMs that it stands on.
    pub fn content(&self, line: &[String]) -> String {
        let mut files = Stamps::new();
        for vm in line {
            self.add_files(self.dir.join(vm), &mut files);
        }
        files.retain(|path, _| path.extension().is_some_and(|ending| ending == "vmdk"));
        let disk = self.disk(&line[0]);
        let known = self.known.borrow().get(&disk).cloned();
        if let Some((_, content)) = known.filter(|(of, _)| *of == files) {
            return content;
        }
        let content = self.content_of(&disk);
        let new = (files, content.clone());
        self.known.borrow_mut().insert(disk, new);
        content
    }

    /// The disk of a VM.
    pub fn disk(&self, vm: &str) -> PathBuf {
        let text = fs::read_to_string(self.dir.join(vmx(vm))).unwrap();
        let mut lines = text.lines();
        let name = lines.find_map(|line| line.strip_prefix("scsi0:0.fileName = \""));
        let name = name.unwrap().trim_end_matches('"');
        self.dir.join(vm).join(name)
    }

    /// SHA-256 of what a disk holds, without the zeros at its end.
    pub fn content_of(&self, disk: &Path) -> String {
        let raw = self.dir.with_file_name("content.raw");
        let (from, to) = (disk.to_str().unwrap(), raw.to_str().unwrap());
        // Nobody needs the copy to be durable.
        qemu_img([
            "convert", "-t", "unsafe", "-f", "vmdk", "-O", "raw", from, to,
        ]);
        let bytes = fs::read(&raw).unwrap();
        fs::remove_file(raw).unwrap();
        let len = bytes.iter().rposition(|byte| *byte != 0);
        let hash = Sha256::digest(&bytes[..len.map_or(0, |at| at + 1)]);
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
