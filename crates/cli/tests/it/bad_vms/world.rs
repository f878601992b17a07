//! The library in which a bad VM lies, with an honest one, and beside it a folder of somebody else's.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use replix_testkit::{Content, DiskType, VmBuilder, folder, peer, qemu_img};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::library::Program;

/// Stands in every file that is none of the bad VM's business.
pub const SECRET: &str = "REPLIX-SECRET-OF-ANOTHER";

/// Of every disk here, in bytes.
pub const CAPACITY: u64 = 256 << 10;

/// The disk that a case makes and hangs on the VM: as long a name as `evil.vmdk`, which is copied to it.
pub const BAD: &str = "ugly.vmdk";

/// Files up to this size are compared by what is in them.
const COMPARED: u64 = 4 << 20;

/// The folders that a clone may be made in.
const CLONES: [&str; 3] = ["full", "linked", "of-s"];

/// A library with the bad VM `evil` and an honest one, `victim`; and the folder `outside`.
pub struct World(TempDir);

impl World {
    /// Makes the honest parts; the bad VM has a disk, a snapshot `s`, and `packed.vmdk` lies with it.
    pub fn new() -> Self {
        let world = Self(folder());
        for dir in ["outside", "home", "run"] {
            fs::create_dir(world.0.path().join(dir)).unwrap();
        }
        fs::write(
            world.0.path().join("settings"),
            "power.accelerator = \"tcg\"\n",
        )
        .unwrap();
        let secret = world.outside("secret-flat.vmdk");
        let words = SECRET.repeat(CAPACITY as usize / SECRET.len() + 1);
        fs::write(&secret, &words[..CAPACITY as usize]).unwrap();
        VmBuilder::new(&world.library(), "victim")
            .disk_from("scsi0:0", DiskType::MonolithicSparse, &secret, "raw")
            .build();
        let evil = VmBuilder::new(&world.library(), "evil")
            .disk(DiskType::MonolithicSparse, Content::Mixed(1), CAPACITY)
            .line("nvram", "evil.nvram")
            .line("extendedConfigFile", "evil.vmxf")
            .build();
        let vmxf = "<?xml version=\"1.0\"?>\n<Foundry>\n</Foundry>\n";
        fs::write(evil.file("evil.nvram"), "MRVN").unwrap();
        fs::write(evil.file("evil.vmxf"), vmxf).unwrap();
        let packed = evil.file("packed.vmdk");
        let disk = evil.file("evil.vmdk");
        let [from, to] = [&disk, &packed].map(|path| path.to_str().unwrap());
        let options = [
            "-f",
            "vmdk",
            "-O",
            "vmdk",
            "-o",
            "subformat=streamOptimized",
        ];
        qemu_img([&["convert"], &options[..], &[from, to]].concat());
        let taken = world
            .command(Program::Vmrun.path())
            .args(["snapshot", "evil/evil.vmx", "s"])
            .output()
            .unwrap();
        assert!(taken.status.success(), "{taken:?}");
        for dir in [world.outside(""), world.library().join("victim")] {
            let stem = if dir.ends_with("victim") {
                "victim"
            } else {
                "secret"
            };
            for ending in ["nvram", "vmxf", "vmss", "vmsd", "vmx", "iso"] {
                let file = dir.join(stem).with_extension(ending);
                if !file.exists() {
                    fs::write(file, format!("{SECRET} = \"{SECRET}\"\n")).unwrap();
                }
            }
            fs::write(dir.join(format!("{stem}-Snapshot1.vmsn")), SECRET).unwrap();
        }
        let disk = world.library().join("victim/victim.vmdk");
        fs::copy(disk, world.outside("secret.vmdk")).unwrap();
        world
    }

    /// Returns another such world, in which links, a pipe and a socket wait in the bad VM's folder.
    pub fn copy(&self) -> Self {
        let copy = Self(folder());
        copy_files(self.0.path(), copy.0.path());
        for ending in [
            "",
            ".vmdk",
            "-flat.vmdk",
            ".nvram",
            ".vmxf",
            ".vmss",
            ".iso",
        ] {
            let from = copy.outside(&format!("secret{ending}"));
            symlink(from, copy.evil(&format!("link{ending}"))).unwrap();
        }
        for (target, name) in [
            ("link.vmdk", "chain.vmdk"),
            ("nowhere.vmdk", "dangling.vmdk"),
            ("loop.vmdk", "loop.vmdk"),
            ("/dev/zero", "zero.vmdk"),
            ("/proc/self/environ", "environ.vmdk"),
        ] {
            symlink(target, copy.evil(name)).unwrap();
        }
        symlink(copy.outside(""), copy.evil("sub")).unwrap();
        assert!(peer("mkfifo", [copy.evil("pipe")]).status.success());
        std::os::unix::net::UnixListener::bind(copy.evil("socket")).unwrap();
        copy
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("vms")
    }

    /// A file of the bad VM's.
    pub fn evil(&self, name: &str) -> PathBuf {
        self.library().join("evil").join(name)
    }

    /// A file outside of the library.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.0.path().join("outside").join(name)
    }

    /// A program, run in the library without anything of its surroundings.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.library())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path().join("home"))
            .env("XDG_RUNTIME_DIR", self.0.path().join("run"))
            .env("REPLIX_SETTINGS", self.0.path().join("settings"))
            .stdin(Stdio::null());
        command
    }

    /// Fills in the path of the folder outside for OUT.
    fn fill(&self, text: &str) -> String {
        text.replace("OUT", self.0.path().join("outside").to_str().unwrap())
    }

    /// Writes a file of the bad VM's, in the place of what is there.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let _ = fs::remove_file(self.evil(name));
        fs::write(self.evil(name), bytes).unwrap();
    }

    /// Makes a file that is as long as that, and hardly there.
    pub fn grow(&self, name: &str, len: u64) {
        let mut options = fs::OpenOptions::new();
        let file = options.append(true).create(true).open(self.evil(name));
        file.unwrap().set_len(len).unwrap();
    }

    /// Puts a link in the place of a file.
    pub fn link(&self, target: &str, name: &str) {
        let _ = fs::remove_file(self.evil(name));
        symlink(self.fill(target), self.evil(name)).unwrap();
    }

    /// Puts something else in the place of a file.
    pub fn replace(&self, name: &str, by: &str) {
        fs::remove_file(self.evil(name)).unwrap();
        fs::rename(self.evil(by), self.evil(name)).unwrap();
    }

    /// Reads a file of the bad VM's.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.evil(name)).unwrap()
    }

    /// Edits a text.
    pub fn edit(&self, name: &str, edit: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.evil(name)).unwrap();
        fs::write(self.evil(name), self.fill(&edit(text))).unwrap();
    }

    /// Gives a key of the configuration a value.
    pub fn set(&self, key: &str, value: &str) {
        let line = format!("{key} = \"{value}\"\n");
        self.edit("evil.vmx", |text| {
            let other = |line: &&str| line.split(' ').next() != Some(key);
            let kept: Vec<&str> = text.lines().filter(other).collect();
            kept.join("\n") + "\n" + &line
        });
    }

    /// Adds bytes to the configuration.
    pub fn add(&self, bytes: &[u8]) {
        self.write("evil.vmx", [&self.read("evil.vmx"), bytes].concat());
    }

    /// Replaces text in the bookkeeping.
    pub fn book(&self, old: &str, new: &str) {
        self.edit("evil.vmsd", |text| {
            assert!(text.contains(old), "{text}");
            text.replace(old, new)
        });
    }

    /// Makes the VM's disk one with such a descriptor.
    pub fn describe(&self, lines: &str) {
        let head = "# Disk DescriptorFile\nversion=1\nCID=0badcafe\n";
        self.hang(self.fill(&format!("{head}{lines}\n#DDB\n")));
    }

    /// Makes the VM's disk one of these bytes.
    pub fn hang(&self, bytes: impl AsRef<[u8]>) {
        self.write(BAD, bytes);
        self.set("scsi0:0.fileName", BAD);
    }

    /// Makes the VM's disk a copy of its first, changed: each `(offset, bytes)` is written into it.
    pub fn patch(&self, from: &str, patches: &[(usize, &[u8])]) {
        let mut bytes = self.read(from);
        let name = from.as_bytes();
        // The descriptor within names the file.
        if let Some(at) = bytes.windows(name.len()).position(|word| word == name)
            && name.len() == BAD.len()
        {
            bytes[at..at + name.len()].copy_from_slice(BAD.as_bytes());
        }
        for (at, patch) in patches {
            let end = at + patch.len();
            bytes.resize(bytes.len().max(end), 0);
            bytes[*at..end].copy_from_slice(patch);
        }
        self.hang(bytes);
    }

    /// The disk that a check is to look at.
    pub fn bad_disk(&self) -> String {
        let own = self.evil(BAD).symlink_metadata().is_ok();
        format!("evil/{}", if own { BAD } else { "evil-000001.vmdk" })
    }

    /// Tells whether a file is the bad VM's, a clone's, or the user's for these programs.
    pub fn owns(&self, path: &Path) -> bool {
        let root = self.0.path();
        let Ok(inner) = path.strip_prefix(root) else {
            return false;
        };
        if ["", "vms", "settings"]
            .iter()
            .any(|own| inner == Path::new(own))
        {
            return true;
        }
        let first = inner.iter().take(2).collect::<PathBuf>();
        let first = first.to_string_lossy();
        let clone = |name: &&str| {
            first == format!("vms/{name}")
                || first.starts_with(&format!("vms/.{name}-{name}.replix-"))
        };
        inner.starts_with("home")
            || inner.starts_with("run")
            || first == "vms/evil"
            || CLONES.iter().any(clone)
    }

    /// Returns a text with the world's own path taken out.
    pub fn plain(&self, text: &str) -> String {
        let text = text.replace(self.0.path().to_str().unwrap(), "");
        // A process that looks at itself has a number of its own.
        let mut parts = text.split("/proc/");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            let number = if rest.len() < part.len() { "N" } else { "" };
            format!("{text}/proc/{number}{rest}")
        })
    }

    /// The same of a path.
    pub fn plain_path(&self, path: &Path) -> String {
        self.plain(&path.to_string_lossy())
    }

    /// Looks at everything there is.
    pub fn look(&self) -> Looks {
        let mut looks = Looks::default();
        looks.add(self.0.path(), &self.library());
        looks.add(self.0.path(), &self.outside(""));
        looks
    }
}

/// Every entry of a world, by its path, with what is in it.
#[derive(Default)]
pub struct Looks(BTreeMap<PathBuf, String>);

impl Looks {
    fn add(&mut self, root: &Path, dir: &Path) {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let mut look = format!("{kind:?}");
            if kind.is_dir() {
                self.add(root, &path);
            } else if kind.is_file() {
                let meta = entry.metadata().unwrap();
                look = format!("{} bytes in {}", meta.len(), meta.ino());
                if meta.len() <= COMPARED {
                    look = format!("{:x?}", Sha256::digest(fs::read(&path).unwrap()));
                }
            }
            let name = path.strip_prefix(root).unwrap().to_path_buf();
            self.0.insert(name, look);
        }
    }

    /// Tells what is different afterwards.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        let names = self.0.keys().chain(after.0.keys());
        let differs = names.filter(|name| self.0.get(*name) != after.0.get(*name));
        let mut differs: Vec<String> = differs
            .map(|name| format!("changed {}", name.display()))
            .collect();
        differs.sort();
        differs.dedup();
        differs
    }

    /// Tells what is different where nothing may be, and what was left unfinished.
    pub fn broken_outside(&self, after: &Self) -> Vec<String> {
        let mut faults = self.changes(after);
        let honest = ["changed vms/victim", "changed outside"];
        faults.retain(|text| honest.iter().any(|place| text.starts_with(place)));
        let unfinished = after.0.keys().map(|name| name.display().to_string());
        faults.extend(unfinished.filter(|name| name.contains(".replix-")));
        faults
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_files(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
