//! VMs made to order in a test's folder, their disks written by `qemu-img`.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::content::Content;
use crate::peers::qemu_img;

/// VMware's create types that a VM's own disks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskType {
    /// One growing file.
    MonolithicSparse,
    /// Growing files of 2 GiB at most.
    TwoGbMaxExtentSparse,
    /// One file of full size.
    MonolithicFlat,
    /// Files of full size, 2 GiB each at most.
    TwoGbMaxExtentFlat,
}

impl DiskType {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::MonolithicSparse,
        Self::TwoGbMaxExtentSparse,
        Self::MonolithicFlat,
        Self::TwoGbMaxExtentFlat,
    ];

    /// VMware's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::MonolithicSparse => "monolithicSparse",
            Self::TwoGbMaxExtentSparse => "twoGbMaxExtentSparse",
            Self::MonolithicFlat => "monolithicFlat",
            Self::TwoGbMaxExtentFlat => "twoGbMaxExtentFlat",
        }
    }
}

/// Returns a new empty folder, removed with its value.
pub fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("replix-test-")
        .tempdir()
        .expect("the machine has a /tmp")
}

/// A VM on disk.
#[derive(Clone, Debug)]
pub struct TestVm {
    /// Its folder.
    pub dir: PathBuf,
    /// Its configuration file.
    pub vmx: PathBuf,
}

impl TestVm {
    /// Returns the path of a file in the VM's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Returns the text of the configuration file.
    pub fn config(&self) -> String {
        std::fs::read_to_string(&self.vmx).expect("the test VM has a configuration")
    }

    /// Returns the value of a key of the configuration file.
    pub fn value(&self, key: &str) -> Option<String> {
        value_in(&self.config(), key)
    }
}

/// Returns the value of `key` in a dictionary text.
fn value_in(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case(key)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Builds a [`TestVm`].
pub struct VmBuilder {
    dir: PathBuf,
    name: String,
    lines: String,
    disks: usize,
}

/// A uuid that no VM in another folder has: two that run with one uuid are copies of each other.
fn uuid(dir: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    let own: Vec<String> = hasher
        .finish()
        .to_be_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("56 4d 01 02 03 04 05 06-{}", own.join(" "))
}

impl VmBuilder {
    /// Starts a VM called `name` in the folder `NAME` below `library`.
    pub fn new(library: &Path, name: &str) -> Self {
        Self::at(&library.join(name), name)
    }

    /// Starts a VM called `name` in the folder `dir`.
    pub fn at(dir: &Path, name: &str) -> Self {
        std::fs::create_dir_all(dir).expect("the test folder takes folders");
        let mut lines = String::from(".encoding = \"UTF-8\"\nconfig.version = \"8\"\n");
        lines += "virtualHW.version = \"19\"\nmemsize = \"64\"\nnumvcpus = \"1\"\n";
        lines += "guestOS = \"other\"\nscsi0.present = \"TRUE\"\nscsi0.virtualDev = \"pvscsi\"\n";
        let uuid = uuid(dir);
        let _ = writeln!(lines, "uuid.bios = \"{uuid}\"\nuuid.location = \"{uuid}\"");
        let _ = writeln!(lines, "displayName = \"{name}\"");
        Self {
            dir: dir.into(),
            name: name.into(),
            lines,
            disks: 0,
        }
    }

    /// Adds a line of configuration.
    pub fn line(mut self, key: &str, value: &str) -> Self {
        let _ = writeln!(self.lines, "{key} = \"{value}\"");
        self
    }

    /// Adds a disk at the next free place of the SCSI bus.
    pub fn disk(self, kind: DiskType, content: Content, bytes: u64) -> Self {
        let node = format!("scsi0:{}", self.disks);
        self.disk_at(&node, kind, content, bytes)
    }

    /// Adds a disk at `node`.
    pub fn disk_at(mut self, node: &str, kind: DiskType, content: Content, bytes: u64) -> Self {
        let raw = self.dir.join("content.raw");
        content.write_raw(&raw, bytes);
        self = self.disk_from(node, kind, &raw, "raw");
        std::fs::remove_file(&raw).expect("the raw image was just made");
        self
    }

    /// Adds a disk at `node` with what the image `from` holds.
    pub fn disk_from(mut self, node: &str, kind: DiskType, from: &Path, format: &str) -> Self {
        let name = match self.disks {
            0 => format!("{}.vmdk", self.name),
            n => format!("{}-{}.vmdk", self.name, n - 1),
        };
        let option = format!("subformat={},adapter_type=lsilogic", kind.word());
        let (from, to) = (from.to_string_lossy(), self.dir.join(&name));
        let to = to.to_string_lossy();
        qemu_img([
            "convert", "-f", format, "-O", "vmdk", "-o", &option, &from, &to,
        ]);
        self.disks += 1;
        self.line(&format!("{node}.present"), "TRUE")
            .line(&format!("{node}.fileName"), &name)
    }

    /// Writes the configuration and returns the VM.
    pub fn build(self) -> TestVm {
        let vmx = self.dir.join(format!("{}.vmx", self.name));
        std::fs::write(&vmx, self.lines).expect("the test folder takes files");
        TestVm { dir: self.dir, vmx }
    }
}
