//! Which files make a VM, by what its configuration and bookkeeping name and what products leave
//! beside them.
//!
//! Of disks only the files that are named, not their extents: those know the disks themselves. A
//! parent in another VM's folder is nobody's but that VM's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::env::{Env, OwnFolders};
use super::files::{self, How, stem};
use super::lock::lock_folder;
use super::open::VmFolder;
use super::state::MEMORY_ENDING;
use crate::error::Result;
use crate::format::Vmsd;
use crate::store::{FileKind, Store, UNFINISHED};

/// What a file is to its VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The `.vmx`.
    Config,
    /// The `.vmxf`.
    ExtendedConfig,
    /// The `.vmsd`.
    Snapshots,
    /// The `.nvram`.
    Nvram,
    /// A `.vmsn`, or the memory of a snapshot.
    SnapshotState,
    /// A `.vmss` or `.replixstate`, or the memory of a suspended or running VM.
    SuspendedState,
    /// A disk that the VM or a snapshot of it uses: its descriptor.
    Disk,
    /// Logs, statistics, swap, caches: of no use to anybody but this VM's past.
    Leftover,
    /// A folder that is a lock of VMware's kind.
    Lock,
}

/// A file of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belonging {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub role: Role,
}

/// Returns the files of a VM that exist, each once, in order of their paths.
///
/// # Errors
/// What the system says of the VM's folder.
pub fn list(env: &Env, vm: &VmFolder, vmsd: &Vmsd) -> Result<Vec<Belonging>> {
    let store = &*env.store;
    let own = env.own_folders(vm);
    let mut found = BTreeMap::new();
    for (role, name) in named(vm, vmsd) {
        let file = vm.find(store, &name);
        if let Some(file) = file.filter(|file| is_own(store, &own, file, role)) {
            add_with_memory(store, &mut found, file.path, role);
        }
    }
    found.insert(vm.vmx().to_path_buf(), Role::Config);
    for (ending, role) in [
        ("vmsd", Role::Snapshots),
        ("vmxf", Role::ExtendedConfig),
        ("nvram", Role::Nvram),
    ] {
        add(
            store,
            &mut found,
            files::beside(store, vm.vmx(), ending),
            role,
        );
    }
    add_left_beside(store, vm, &mut found)?;
    for file in found.keys().cloned().collect::<Vec<_>>() {
        add_lock(store, &mut found, &file);
    }
    let belonging = |(path, role)| Belonging { path, role };
    Ok(found.into_iter().map(belonging).collect())
}

/// A name in a stranger's configuration may point anywhere: a file is the VM's own in its folders,
/// with an ending that fits. A disk may be elsewhere, but only exactly where it is said to be.
fn is_own(store: &dyn Store, own: &OwnFolders, file: &files::Found, role: Role) -> bool {
    let path = &file.path;
    let inside = own.hold(store, path);
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let endings: &[&str] = match role {
        Role::Disk => return inside || file.how == How::AsNamed,
        Role::SnapshotState => &["vmsn"],
        Role::SuspendedState => &["vmss", "vmsn", MEMORY_ENDING],
        Role::ExtendedConfig => &["vmxf"],
        Role::Nvram => &["nvram"],
        _ => &["scoreboard", "hlog"],
    };
    inside && endings.iter().any(|e| ending.eq_ignore_ascii_case(e))
}

type Found = BTreeMap<PathBuf, Role>;

/// The names in configuration and bookkeeping.
fn named(vm: &VmFolder, vmsd: &Vmsd) -> Vec<(Role, String)> {
    let config = &vm.config;
    let mut names: Vec<(Role, String)> = Vec::new();
    let mut add = |role, name: Option<String>| names.extend(name.map(|name| (role, name)));
    for disk in config.disks().into_iter().filter(|disk| !disk.raw) {
        add(Role::Disk, Some(disk.file_name));
    }
    for snapshot in vmsd.snapshots() {
        add(Role::SnapshotState, Some(snapshot.file_name.clone()));
        for disk in &snapshot.disks {
            add(Role::Disk, Some(disk.file_name.clone()));
        }
    }
    add(Role::SuspendedState, config.suspended_to());
    add(Role::ExtendedConfig, config.extended_config());
    add(Role::Nvram, config.nvram());
    for key in ["vmxstats.filename", "migrate.hostlog"] {
        add(Role::Leftover, config.dict().get_filled(key));
    }
    names
}

fn add(store: &dyn Store, found: &mut Found, path: PathBuf, role: Role) {
    if store.meta(&path).is_ok_and(|m| m.kind == FileKind::File) {
        found.entry(path).or_insert(role);
    }
}

/// A state file has the memory beside it, under the same name.
fn add_with_memory(store: &dyn Store, found: &mut Found, path: PathBuf, role: Role) {
    if matches!(role, Role::SnapshotState | Role::SuspendedState) {
        for ending in ["vmem", MEMORY_ENDING] {
            add(store, found, files::beside(store, &path, ending), role);
        }
    }
    add(store, found, path, role);
}

fn add_lock(store: &dyn Store, found: &mut Found, file: &Path) {
    let folder = lock_folder(file);
    if store.meta(&folder).is_ok_and(|m| m.kind == FileKind::Dir) {
        found.insert(folder, Role::Lock);
    }
}

/// What products leave in the folder without a word in any file. Where several VMs share a folder,
/// only what carries this one's name.
fn add_left_beside(store: &dyn Store, vm: &VmFolder, found: &mut Found) -> Result<()> {
    let entries = store.list(vm.dir())?;
    let names: Vec<String> = entries
        .iter()
        .filter(|entry| entry.kind == FileKind::File)
        .map(|entry| entry.name.to_string_lossy().into_owned())
        .collect();
    let others: Vec<String> = names
        .iter()
        .filter(|name| ends_with(name, ".vmx"))
        .map(|name| stem(name).to_lowercase())
        .filter(|other| *other != vm.stem().to_lowercase())
        .collect();
    for name in &names {
        let role = own_name(name, &vm.stem(), &others)
            .or_else(|| unfinished(name, &vm.stem(), &others))
            .or_else(|| nameless(name).filter(|_| others.is_empty()));
        if let Some(role) = role {
            add(store, found, vm.dir().join(name), role);
        }
    }
    Ok(())
}

fn ends_with(name: &str, ending: &str) -> bool {
    name.to_lowercase().ends_with(ending)
}

/// `NAME.vmem`, `NAME-1a2b3c4d.vswp` and the like. Another VM's longer name is not ours.
fn own_name(name: &str, own: &str, others: &[String]) -> Option<Role> {
    let rest = rest_of(name, own, others)?;
    match rest.rsplit_once('.')?.1 {
        "vmss" | "vmem" | MEMORY_ENDING => Some(Role::SuspendedState),
        "vmsn" if rest.starts_with("-snapshot") => Some(Role::SnapshotState),
        "vswp" | "hlog" | "scoreboard" | "vmpl" | "log" => Some(Role::Leftover),
        _ => None,
    }
}

/// What follows the VM's own name in that of a file, in lower case.
fn rest_of(name: &str, own: &str, others: &[String]) -> Option<String> {
    let lower = name.to_lowercase();
    let own = own.to_lowercase();
    let rest = lower.strip_prefix(&own)?;
    let theirs = |other: &String| other.len() > own.len() && lower.starts_with(other);
    let is_own = rest.starts_with(['.', '-']) && !others.iter().any(theirs);
    is_own.then(|| rest.to_owned())
}

/// What was to take the place of a file, but was not whole when its process was killed.
fn unfinished(name: &str, own: &str, others: &[String]) -> Option<Role> {
    let (of, _) = name.strip_prefix('.')?.split_once(UNFINISHED)?;
    rest_of(of, own, others).map(|_| Role::Leftover)
}

/// Names that every VM's products use.
fn nameless(name: &str) -> Option<Role> {
    let name = name.to_lowercase();
    let log = ["vmware", "mkssandbox", "vprintproxy"]
        .iter()
        .any(|stem| name.starts_with(stem))
        && name.ends_with(".log");
    let known = log || matches!(&*name, "vm.scoreboard" | "startmenu.plist");
    // The memory of a running VM may be called after its uuid.
    let memory = name.starts_with("564d") && name.ends_with(".vmem");
    if memory {
        return Some(Role::SuspendedState);
    }
    known.then_some(Role::Leftover)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::format::LineEnd;
    use crate::store::{Mem, create_dirs, folder_of, write_new};
    use crate::vm::Settings;

    fn store(files: &[&str]) -> Mem {
        let store = Mem::new();
        let vmx = "scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"a-000001.vmdk\"\n\
                   scsi0:1.present = \"TRUE\"\nscsi0:1.fileName = \"gone.vmdk\"\n\
                   nvram = \"A.NVRAM\"\ncheckpoint.vmState = \"a-1f.vmss\"\n";
        create_dirs(&store, Path::new("/v")).unwrap();
        write_new(&store, Path::new("/v/a.vmx"), vmx.as_bytes()).unwrap();
        for file in files {
            let path = Path::new("/v").join(file);
            create_dirs(&store, folder_of(&path)).unwrap();
            write_new(&store, &path, b"x").unwrap();
        }
        store
    }

    fn listed(store: &Mem) -> Vec<(String, Role)> {
        let vm = VmFolder::open(store, Path::new("/v/a.vmx")).unwrap();
        let text = "snapshot.numSnapshots = \"1\"\nsnapshot0.uid = \"1\"\n\
                    snapshot0.filename = \"a-Snapshot1.vmsn\"\nsnapshot0.numDisks = \"1\"\n\
                    snapshot0.disk0.fileName = \"a.vmdk\"\nsnapshot0.disk0.node = \"scsi0:0\"\n";
        let vmsd = Vmsd::parse(text.as_bytes(), LineEnd::Lf).unwrap();
        let env = Env {
            store: Arc::new(store.clone()),
            settings: Settings::default(),
        };
        let files = list(&env, &vm, &vmsd).unwrap();
        let short = |f: Belonging| (f.path.strip_prefix("/v").unwrap().to_owned(), f.role);
        let files = files.into_iter().map(short);
        files
            .map(|(path, role)| (path.to_string_lossy().into_owned(), role))
            .collect()
    }

    #[test]
    fn everything_of_the_vm_is_listed_once() {
        let store = store(&[
            "a-000001.vmdk",
            "a-1f.vmem",
            "a-1f.vmss",
            "a-Snapshot1.vmem",
            "a-Snapshot1.vmsn",
            "a-Snapshot7.vmsn",
            "a.nvram",
            "a.vmdk",
            "a.vmsd",
            "a.vmx.lck/M00001.lck",
            "vmware-0.log",
            ".a.vmx.replix-0123456789abcdef",
            ".b.vmx.replix-0123456789abcdef",
            "notes.txt",
            "b.vmdk",
        ]);
        let expected = [
            (".a.vmx.replix-0123456789abcdef", Role::Leftover),
            ("a-000001.vmdk", Role::Disk),
            ("a-1f.vmem", Role::SuspendedState),
            ("a-1f.vmss", Role::SuspendedState),
            ("a-Snapshot1.vmem", Role::SnapshotState),
            ("a-Snapshot1.vmsn", Role::SnapshotState),
            ("a-Snapshot7.vmsn", Role::SnapshotState),
            ("a.nvram", Role::Nvram),
            ("a.vmdk", Role::Disk),
            ("a.vmsd", Role::Snapshots),
            ("a.vmx", Role::Config),
            ("a.vmx.lck", Role::Lock),
            ("vmware-0.log", Role::Leftover),
        ];
        let expected = expected.map(|(name, role)| (name.to_string(), role));
        assert_eq!(listed(&store), expected);
    }

    #[test]
    fn names_that_point_elsewhere_are_nobodys() {
        let store = store(&["passwd", "x/a.nvram"]);
        create_dirs(&store, Path::new("/etc")).unwrap();
        write_new(&store, Path::new("/etc/passwd"), b"x").unwrap();
        for vmx in [
            "nvram = \"/etc/passwd\"\n",
            "nvram = \"passwd\"\nworkingDir = \"/etc\"\n",
            "vmxstats.filename = \"../etc/passwd\"\ncheckpoint.vmState = \"/etc/passwd\"\n",
        ] {
            crate::store::replace(&store, Path::new("/v/a.vmx"), vmx.as_bytes()).unwrap();
            assert_eq!(listed(&store), [("a.vmx".into(), Role::Config)], "{vmx}");
        }
    }

    #[test]
    fn neighbours_in_one_folder_keep_their_own() {
        let store = store(&["a-b.vmx", "a-b-1.vmss", "a-b.log", "a-2.vswp", "vmware.log"]);
        let names: Vec<String> = listed(&store).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a-2.vswp", "a.vmx"]);
    }
}
