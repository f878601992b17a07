//! The memory of a guest in files: written by QEMU when a VM is suspended or a snapshot is taken of
//! a running one, read by it when the VM goes on.
//!
//! One file is ours (`.replixstate`): a head that says what it fits, then what QEMU saved but for the
//! pages of the guest's main memory. Those lie beside it in a `.vmem`, unless the VM's configuration
//! says `mainMem.useNamedFile = "FALSE"` (docs/adr/0015). It says in VMware's words,
//! `checkpoint.vmState`, that the VM is suspended to the former.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::format::Vmsd;
use crate::job::Job;
use crate::store::{Access, Bytes};
use crate::vm::{Env, VmFolder, state};

/// What the head of a file begins with.
const MAGIC: &[u8] = b"replix memory 2\n";

/// More differences than these would bury the first ones.
const CHANGES_TOLD: usize = 5;

/// The length of the head: what it begins with, then lines of JSON, filled up with zeros. The first
/// line is a [`Memory`], each after it a disk as in [`Memory::disks`] that fits as well.
pub(super) const HEAD: usize = 64 << 10;

/// What a saved memory fits: the text of the head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The release of QEMU that wrote it.
    pub(super) qemu: String,
    /// QEMU's name of the machine's type.
    pub(super) machine: String,
    /// `kvm` or `tcg`.
    pub(super) accelerator: String,
    /// Whether who goes on with it is paused.
    pub(super) paused: bool,
    /// The disks, by slot and content id: a disk that was written to since does not fit. A slot may
    /// have several ids.
    pub(super) disks: Vec<(String, u32)>,
    /// The bytes of the guest's main memory in the `.vmem` beside; `None` where there is none.
    pub(super) ram: Option<u64>,
    /// The slots of the shared folders whose devices the machine has.
    #[serde(default)]
    pub(super) shares: Vec<u8>,
    /// What the configuration said of the machine's hardware, by lower-case names; empty where that was not
    /// noted.
    #[serde(default)]
    pub(super) hardware: BTreeMap<String, String>,
}

impl Memory {
    /// Returns the head of a file.
    pub(super) fn to_head(&self) -> Result<Vec<u8>> {
        let mut head = MAGIC.to_vec();
        head.extend(serde_json::to_vec(self).map_err(|e| internal(&e.to_string()))?);
        // A zero ends the text.
        if head.len() >= HEAD {
            return Err(internal("it has too many disks"));
        }
        head.resize(HEAD, 0);
        Ok(head)
    }
}

/// A memory that a VM is to be resumed from.
pub(crate) struct Saved {
    pub(super) path: PathBuf,
    /// The file's name, as the configuration has it.
    pub(crate) name: String,
    /// What it fits.
    pub(super) memory: Memory,
    /// Whether it is a snapshot's, which is gone back to more than once.
    kept: bool,
}

/// Returns the memory that a VM is suspended to; `None` where it is not suspended.
///
/// # Errors
/// `NotSupported` for a state of VMware's; `SnapshotBroken` where the file is missing or damaged.
pub(crate) fn suspended_memory(env: &Env, vm: &VmFolder) -> Result<Option<Saved>> {
    let Some(name) = vm.config.suspended_to() else {
        return Ok(None);
    };
    if !state::is_our_memory(&name) {
        let text = format!(
            "{} was suspended by VMware, whose memory format is its own",
            quoted(vm.vmx())
        );
        let hint = "resume it in VMware, or make a full clone, which starts from the disks";
        return Err(Error::new(Kind::NotSupported, text).at(vm.vmx()).hint(hint));
    }
    let missing = |name: &str| {
        let text = format!(
            "the memory of {}, {}, is missing",
            quoted(vm.vmx()),
            quoted(name)
        );
        let hint = "put it back; without it, the VM starts from its disks once checkpoint.vmState is \"\" in its configuration";
        Error::new(Kind::SnapshotBroken, text)
            .at(vm.vmx())
            .hint(hint)
    };
    let path = env.own_file(vm, &name)?.ok_or_else(|| missing(&name))?;
    let memory = read(&*env.store.open(&path, Access::Read)?, &path)?;
    if let Some(bytes) = memory.ram {
        let ram = state::ram_beside(&name).to_string_lossy().into_owned();
        let found = env.own_file(vm, &ram)?.ok_or_else(|| missing(&ram))?;
        if env.store.meta(&found)?.len < bytes {
            let text = format!("{} is cut off", quoted(&found));
            return Err(Error::new(Kind::SnapshotBroken, text).at(&found));
        }
    }
    let snapshots = env.vmsd(vm)?;
    let kept = snapshots
        .snapshots()
        .iter()
        .any(|entry| state::memory_beside(&entry.file_name) == Path::new(&name));
    Ok(Some(Saved {
        path,
        name,
        memory,
        kept,
    }))
}

/// Reads what the memory in a file fits.
///
/// # Errors
/// `SnapshotBroken` where it is none.
pub(super) fn read(file: &dyn Bytes, path: &Path) -> Result<Memory> {
    let broken = || {
        let text = format!("{} holds no memory of a VM", quoted(path));
        Error::new(Kind::SnapshotBroken, text).at(path)
    };
    let text = read_text(file)?.ok_or_else(broken)?;
    let mut lines = text.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut memory: Memory = serde_json::from_slice(first).map_err(|_| broken())?;
    // A line that was being added when the power failed says nothing.
    let added = lines.filter_map(|line| serde_json::from_slice::<(String, u32)>(line).ok());
    memory.disks.extend(added);
    Ok(memory)
}

/// Reads the lines of a head; `None` where the file has none.
fn read_text(file: &dyn Bytes) -> Result<Option<Vec<u8>>> {
    let mut head = vec![0; HEAD];
    let got = file.read_at(&mut head, 0)?;
    let text = head[..got].strip_prefix(MAGIC).filter(|_| got == HEAD);
    let lines = text.and_then(|text| text.split(|byte| *byte == 0).next());
    Ok(lines.map(<[u8]>::to_vec))
}

/// Has every memory of a VM that fits a disk with the content id `from` also fit one with `to`: the
/// same content is about to be found under that one.
///
/// The line is added within the file: a memory is large, and all that it says stays true.
///
/// # Errors
/// What the system says.
pub(crate) fn rebase(env: &Env, vm: &VmFolder, vmsd: &Vmsd, from: u32, to: u32) -> Result<()> {
    let entries = vmsd.snapshots().iter().filter(|entry| entry.with_memory);
    let beside = entries.map(|entry| state::memory_beside(&entry.file_name));
    let kept = beside.map(|name| name.to_string_lossy().into_owned());
    let names = kept.chain(vm.config.suspended_to());
    for name in names.filter(|name| state::is_our_memory(name)) {
        if let Some(path) = env.own_file(vm, &name)? {
            rebase_one(env, &path, from, to)?;
        }
    }
    Ok(())
}

fn rebase_one(env: &Env, path: &Path, from: u32, to: u32) -> Result<()> {
    let file = env.store.open(path, Access::Write)?;
    // What is damaged fits nothing, and is not made worse.
    let Ok(memory) = read(&*file, path) else {
        return Ok(());
    };
    let Some(text) = read_text(&*file)? else {
        return Ok(());
    };
    let fitting = memory.disks.iter().filter(|(_, id)| *id == from);
    let added = fitting.map(|(node, _)| (node.clone(), to));
    let mut lines = Vec::new();
    for disk in added.filter(|disk| !memory.disks.contains(disk)) {
        lines.push(b'\n');
        lines.extend(serde_json::to_vec(&disk).map_err(|e| internal(&e.to_string()))?);
    }
    if lines.is_empty() {
        return Ok(());
    }
    let end = MAGIC.len() + text.len();
    // A zero ends the text.
    if end + lines.len() >= HEAD {
        return Err(internal("its disks were merged too often"));
    }
    file.write_at(&lines, end as u64)?;
    file.sync()
}

/// Returns the disks of a VM by slot and content id.
///
/// # Errors
/// What is wrong with a disk.
pub(super) fn identify(env: &Env, vm: &VmFolder) -> Result<Vec<(String, u32)>> {
    let disks = vm.config.disks().into_iter().map(|slot| {
        let chain = env.disk(vm, &slot.file_name)?;
        Ok((slot.node.to_string(), chain.top().cid()))
    });
    disks.collect()
}

/// Says what of the hardware that was is not what `now` is.
fn hardware_changes(
    then: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Vec<String> {
    if then.is_empty() {
        return Vec::new();
    }
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let word = |value: Option<&String>| match value {
        Some(value) => format!("\"{}\"", escaped(value)),
        None => "missing".into(),
    };
    let changed = names.into_iter().filter_map(|name| {
        let (then, now) = (then.get(name), now.get(name));
        let name = escaped(name);
        (then != now).then(|| format!("{name} is {}, and was {}", word(now), word(then)))
    });
    changed.take(CHANGES_TOLD).collect()
}

/// Says that a VM's memory cannot be saved.
pub(super) fn unsavable(vm: &VmFolder, reasons: &[String]) -> Error {
    let reasons: Vec<String> = reasons.iter().map(|reason| escaped(reason)).collect();
    let text = format!(
        "the memory of {} cannot be saved: {}",
        quoted(vm.vmx()),
        reasons.join("; ")
    );
    let hint = "a snapshot without memory can be taken, or the VM be stopped";
    Error::new(Kind::NotSupported, text).at(vm.vmx()).hint(hint)
}

/// Copies a file, its holes as holes.
fn copy_file(env: &Env, from: &Path, to: &Path, job: &Job) -> Result<()> {
    job.phase("copying the memory");
    let (from, to) = (env.store.open(from, Access::Read)?, env.store.create(to)?);
    let len = from.len()?;
    to.set_len(len)?;
    let mut buffer = vec![0; 1 << 20];
    let mut position = 0;
    while let Some((start, end)) = from.next_data(position)? {
        position = start;
        while position < end {
            job.check()?;
            let most = buffer.len().min((end - position) as usize);
            let got = from.read_at(&mut buffer[..most], position)?;
            if got == 0 {
                return to.sync();
            }
            to.write_at(&buffer[..got], position)?;
            position += got as u64;
        }
    }
    to.sync()
}

pub(super) fn internal(reason: &str) -> Error {
    let text = format!("the memory could not be saved: {}", escaped(reason));
    Error::new(Kind::Internal, text)
}

impl Saved {
    /// Demands that this memory fits the VM and this machine.
    ///
    /// # Errors
    /// `DiskChanged` where a disk was written to since; `NotSupported` for another accelerator.
    pub(super) fn require_fit(&self, env: &Env, vm: &VmFolder, accelerator: &str) -> Result<()> {
        let memory = &self.memory;
        if memory.accelerator != accelerator {
            let text = format!(
                "the memory of {} was saved under {}, and would go on under {accelerator}",
                quoted(vm.vmx()),
                escaped(&memory.accelerator)
            );
            let hint = "power.accelerator in the settings says what runs guests";
            return Err(Error::new(Kind::NotSupported, text).at(vm.vmx()).hint(hint));
        }
        let now = identify(env, vm)?;
        let changed = now.iter().find(|disk| !memory.disks.contains(disk));
        let gone = !memory
            .disks
            .iter()
            .all(|(node, _)| now.iter().any(|(there, _)| there == node));
        if changed.is_none() && !gone {
            return Ok(());
        }
        let node = changed.map_or("a disk that is gone", |(node, _)| node);
        let text = format!(
            "{} cannot be resumed: {node} was written to after its memory was saved",
            quoted(vm.vmx())
        );
        let hint = "go back to a snapshot, or make a full clone, which starts from the disks";
        Err(Error::new(Kind::DiskChanged, text).at(vm.vmx()).hint(hint))
    }

    /// Adds to the `error` with which QEMU did not take this memory what may be the cause, and the ways out.
    pub(super) fn explain(&self, error: Error, vm: &VmFolder) -> Error {
        let changes = hardware_changes(&self.memory.hardware, &vm.config.hardware());
        let other = "the VM stays suspended; resume it with the QEMU and the configuration with which it was suspended";
        let (error, cure) = match changes.is_empty() {
            true => (error, other.to_owned()),
            false => {
                let what = "its hardware is not what it was when its memory was saved";
                let error = error.context(format!("{what}: {}", changes.join("; ")));
                (error, "the VM stays suspended; set that back".to_owned())
            }
        };
        error.hint(format!("{cure}; or give up what the guest had in memory, as a power failure would: set checkpoint.vmState to \"\" in the configuration"))
    }

    /// Gives a snapshot this memory, as the new file `path`: the file itself where it can have a
    /// second name, else a copy of it. Durable but for the name.
    ///
    /// # Errors
    /// `FileExists`, `Cancelled`, `NoSpace`; what the system says.
    pub(crate) fn share(&self, env: &Env, path: &Path, job: &Job) -> Result<()> {
        let ram = self.ram().map(|ram| (ram, state::ram_beside(path)));
        for (from, to) in [(self.path.clone(), path.into())].into_iter().chain(ram) {
            match env.store.link(&from, &to) {
                Err(error) if error.kind() != Kind::FileExists => copy_file(env, &from, &to, job)?,
                linked => linked?,
            }
        }
        Ok(())
    }

    /// Returns the file with the guest's main memory, where that lies apart.
    pub(super) fn ram(&self) -> Option<PathBuf> {
        self.memory.ram.map(|_| state::ram_beside(&self.path))
    }

    /// Returns how large the guest's main memory is, in bytes, where that lies apart.
    pub(crate) fn ram_bytes(&self) -> Option<u64> {
        self.memory.ram
    }

    /// Removes the files, unless a snapshot needs them: the guest has gone on.
    pub(super) fn consume(&self, env: &Env) {
        if !self.kept {
            state::remove_memory(&*env.store, &self.path);
        }
    }
}

/// Writes a memory that fits a VM, such as QEMU might have saved.
#[cfg(test)]
pub(crate) fn write_sample(env: &Env, vm: &VmFolder, path: &Path) -> Result<()> {
    use crate::store::{folder_of, write_new};
    let memory = Memory {
        qemu: "10.0.2".into(),
        machine: "pc-i440fx-10.0".into(),
        accelerator: "tcg".into(),
        paused: false,
        disks: identify(env, vm)?,
        ram: Some(6),
        shares: Vec::new(),
        hardware: BTreeMap::new(),
    };
    write_new(&*env.store, path, &memory.to_head()?)?;
    write_new(&*env.store, &state::ram_beside(path), b"memory")?;
    env.store.sync_dir(folder_of(path))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::LineEnd;
    use crate::store::{Mem, Store, write_new};
    use crate::vm::Settings;

    #[test]
    fn changes_of_hardware_are_told() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let owned = pairs.iter().map(|(a, b)| (a.to_string(), b.to_string()));
            owned.collect()
        };
        let then = map(&[
            ("memsize", "128"),
            ("numvcpus", "1"),
            ("usb.present", "TRUE"),
        ]);
        let now = map(&[
            ("memsize", "256"),
            ("numvcpus", "1"),
            ("x.present", "\u{1b}"),
        ]);
        let told = [
            "memsize is \"256\", and was \"128\"",
            "usb.present is missing, and was \"TRUE\"",
            "x.present is \"\\u{1b}\", and was missing",
        ];
        assert_eq!(hardware_changes(&then, &now), told);
        assert!(hardware_changes(&then, &then).is_empty());
        assert!(hardware_changes(&BTreeMap::new(), &now).is_empty());
    }

    #[test]
    fn memory_fits_what_its_disks_were_merged_into() {
        let store = Mem::new();
        store.create_dir(Path::new("/v")).unwrap();
        let config = b"checkpoint.vmState = \"a-1.replixstate\"\n";
        write_new(&store, Path::new("/v/a.vmx"), config).unwrap();
        let path = Path::new("/v/a-1.replixstate");
        let disk = |node: &str, id| (node.to_string(), id);
        let memory = Memory {
            qemu: "10.0.2".into(),
            machine: "pc-i440fx-10.0".into(),
            accelerator: "tcg".into(),
            paused: false,
            disks: vec![disk("scsi0:0", 1), disk("scsi0:1", 2)],
            ram: None,
            shares: Vec::new(),
            hardware: BTreeMap::new(),
        };
        let mut head = memory.to_head().unwrap();
        head.truncate(head.iter().position(|byte| *byte == 0).unwrap());
        // A line that was cut off.
        head.extend(b"\n[\"scsi0:0\", 99");
        head.resize(HEAD, 0);
        write_new(&store, path, &head).unwrap();
        let env = Env {
            store: Arc::new(store),
            settings: Settings::default(),
        };
        let vm = env.open(Path::new("/v/a.vmx")).unwrap();
        let vmsd = Vmsd::parse(b"", LineEnd::Lf).unwrap();
        for (from, to) in [(1, 7), (7, 8), (1, 7), (5, 6)] {
            rebase(&env, &vm, &vmsd, from, to).unwrap();
        }
        let disks = suspended_memory(&env, &vm).unwrap().unwrap().memory.disks;
        let added = [disk("scsi0:0", 7), disk("scsi0:0", 8)];
        assert_eq!(disks, [&memory.disks[..], &added].concat());
    }
}
