//! Looking for the disk that a linked clone was made on: where its files lead, in a folder that the user
//! names, in the folders of VMs beside it.

use std::path::{Path, PathBuf};

use super::relink::End;
use crate::disk::Chain;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::format::vmdk::{NEVER_WRITTEN, SECTOR};
use crate::store::{FileKind, Store, files_with_ending, folder_of};
use crate::vm::{Env, VmFolder, files};

/// No more folders beside a VM are looked into.
const MOST_FOLDERS: usize = 10_000;

/// A disk that proves to be what a clone was made on.
pub(super) struct Candidate {
    chain: Chain,
    /// Whether the long content id says so too.
    pub(super) by_long_id: bool,
}

impl Candidate {
    /// Returns its descriptor.
    pub(super) fn path(&self) -> &Path {
        self.chain.top().path()
    }

    /// Returns its content id.
    pub(super) fn cid(&self) -> u32 {
        self.chain.top().cid()
    }
}

/// The VM that a disk belongs to.
pub(super) struct Owner {
    /// It.
    pub(super) vm: VmFolder,
    /// The snapshot that froze the disk; `None` where it is the present one.
    pub(super) base: Option<u32>,
}

/// Finds the disk that `end` of `vm` is to hang on.
///
/// # Errors
/// As `relink` says.
pub(super) fn find(
    env: &Env,
    vm: &VmFolder,
    end: &End,
    wanted: Option<&Path>,
) -> Result<Candidate> {
    let store = &*env.store;
    if let Some(wanted) = wanted {
        let real = store.canonical(wanted)?;
        let is_folder = store.meta(&real)?.kind == FileKind::Dir;
        let is_disk = real
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("vmdk"));
        if is_disk {
            return open(env, &real, end);
        }
        let folder = if is_folder { &real } else { folder_of(&real) };
        // The user's word allows what lies there.
        return choose(env, &[folder.to_path_buf()], end, &|_| true);
    }
    if let Some(parent) = &end.parent {
        return open(env, parent, end);
    }
    let mut folders = vm.search_folders(store);
    folders.extend(beside(store, vm));
    let mut unique: Vec<PathBuf> = Vec::new();
    for folder in folders.iter().filter_map(|dir| store.canonical(dir).ok()) {
        if !unique.contains(&folder) {
            unique.push(folder);
        }
    }
    // What the clone's own files name is no such word.
    let opener = env.opener(vm)?;
    let reach = |path: &Path| {
        opener
            .places()
            .parent(store, path, end.child.path())
            .is_ok()
    };
    choose(env, &unique, end, &reach)
}

/// Finds the VM in the folder of a disk that it belongs to.
pub(super) fn owner(env: &Env, disk: &Path) -> Option<Owner> {
    let mut present = None;
    for vmx in files_with_ending(&*env.store, folder_of(disk), "vmx") {
        let Ok(vm) = env.open(&vmx) else { continue };
        let is_it = |name: &str| {
            let found = vm.find(&*env.store, name);
            let real = found.and_then(|found| env.store.canonical(&found.path).ok());
            real.as_deref() == Some(disk)
        };
        let vmsd = env.vmsd(&vm).ok();
        let entries = vmsd.as_ref().map_or(&[][..], |vmsd| vmsd.snapshots());
        let frozen = entries
            .iter()
            .find(|entry| entry.disks.iter().any(|disk| is_it(&disk.file_name)));
        let base = frozen.map(|entry| entry.uid);
        let is_present = vm.config.disks().iter().any(|slot| is_it(&slot.file_name));
        if base.is_some() {
            return Some(Owner { vm, base });
        }
        if is_present {
            present = Some(Owner { vm, base });
        }
    }
    present
}

/// The folders of VMs beside that of `vm`.
fn beside(store: &dyn Store, vm: &VmFolder) -> Vec<PathBuf> {
    let library = vm.dir().parent().filter(|dir| dir.parent().is_some());
    let entries = library.map_or_else(Vec::new, |dir| store.list(dir).unwrap_or_default());
    let folders = entries
        .into_iter()
        .filter(|entry| entry.kind == FileKind::Dir);
    let paths = folders.filter_map(|entry| Some(library?.join(entry.name)));
    let has_vm = |dir: &PathBuf| files_with_ending(store, dir, "vmx").next().is_some();
    paths.filter(has_vm).take(MOST_FOLDERS).collect()
}

/// Finds the one disk in `folders` that fits, among those that may be reached. A child that nobody wrote to has the content of its parent:
/// of several the one counts that is called as the link says, then the one that a snapshot froze.
fn choose(
    env: &Env,
    folders: &[PathBuf],
    end: &End,
    may_reach: &dyn Fn(&Path) -> bool,
) -> Result<Candidate> {
    let hint = end.child.descriptor().parent_hint().unwrap_or_default();
    let name = files::last_part(&hint).to_lowercase();
    let is_called_so = |path: &Path| {
        path.file_name()
            .is_some_and(|own| own.to_string_lossy().to_lowercase() == name)
    };
    let is_frozen = |path: &Path| owner(env, path).is_some_and(|owner| owner.base.is_some());
    let mut why_not = None;
    let mut fitting: Vec<Candidate> = Vec::new();
    let disks = folders
        .iter()
        .flat_map(|folder| files_with_ending(&*env.store, folder, "vmdk"));
    for path in disks.filter(|path| !end.own.contains(path) && may_reach(path)) {
        match open(env, &path, end) {
            Ok(candidate) => fitting.push(candidate),
            Err(error) if is_called_so(&path) => why_not = why_not.or(Some(error)),
            // Most are other disks.
            Err(_) => {}
        }
    }
    for is_better in [&is_called_so as &dyn Fn(&Path) -> bool, &is_frozen] {
        if fitting.len() > 1 && fitting.iter().any(|one| is_better(one.path())) {
            fitting.retain(|one| is_better(one.path()));
        }
    }
    match <[Candidate; 1]>::try_from(fitting) {
        Ok([only]) => Ok(only),
        Err(none) if none.is_empty() => Err(why_not.unwrap_or_else(|| not_there(end, folders))),
        Err(several) => Err(ambiguous(end, &several)),
    }
}

/// Opens the disk at `path`, with all that it stands on, and checks that it is what `end` was made on.
fn open(env: &Env, path: &Path, end: &End) -> Result<Candidate> {
    let child = &end.child;
    let folder = folder_of(path);
    let link = env.opener_in(folder, Vec::new())?.open_link(path)?;
    let (want, have) = (child.descriptor().parent_cid(), link.cid());
    let refuse = |kind, what: String| {
        let text = format!("{} {what}", quoted(link.path()));
        let text = format!(
            "{text}, and {} was made on another disk",
            quoted(child.path())
        );
        Err(Error::new(kind, text).at(child.path()))
    };
    if want != have {
        let what = format!("has content id {have:08x}, not {want:08x}");
        return refuse(Kind::DiskChanged, what);
    }
    if child.sectors() != link.sectors() {
        let what = format!("has {} bytes", link.sectors() * SECTOR);
        return refuse(Kind::DiskCapacity, what);
    }
    // As the VM that it belongs to finds what it stands on itself.
    let vm = owner(env, link.path());
    let search = vm.map_or_else(Vec::new, |owner| owner.vm.search_folders(&*env.store));
    let chain = env.opener_in(folder, search)?.open(path)?;
    if chain.links().iter().any(|link| link.path() == child.path()) {
        return refuse(Kind::DiskChain, "stands on it".to_string());
    }
    let made_on = child.descriptor().get("ddb.longContentID");
    let made_on = made_on.map(|long| long.to_ascii_lowercase());
    // One that changed since says nothing of what the link was made on.
    let made_on = made_on.filter(|long| long.len() == 32 && long.ends_with(&format!("{want:08x}")));
    let by_long_id = match (made_on, chain.long_content_id()) {
        (Some(wanted), Some(long)) if wanted != long.to_ascii_lowercase() => {
            let what = format!("has long content id {}, not {wanted}", escaped(&long));
            return refuse(Kind::DiskChanged, what);
        }
        (Some(_), Some(_)) => true,
        _ if want == NEVER_WRITTEN => {
            let what = "was never written to, as many disks are not".to_string();
            return refuse(Kind::DiskParent, what);
        }
        _ => false,
    };
    Ok(Candidate { chain, by_long_id })
}

fn not_there(end: &End, folders: &[PathBuf]) -> Error {
    let child = &end.child;
    let places: Vec<String> = folders.iter().map(quoted).collect();
    let text = format!(
        "what {} was made on is not to be found: a disk with content id {:08x} and {} bytes, in {}",
        quoted(child.path()),
        child.descriptor().parent_cid(),
        child.sectors() * SECTOR,
        crate::vm::kin::enumerate(&places)
    );
    let text = match &end.problem {
        Some(problem) => format!("{text} ({problem})"),
        None => text,
    };
    Error::new(Kind::DiskParent, text)
        .at(child.path())
        .hint("say where the parent is: replix relink --parent")
}

fn ambiguous(end: &End, several: &[Candidate]) -> Error {
    let names: Vec<String> = several.iter().map(|one| quoted(one.path())).collect();
    let text = format!(
        "{} may have been made on each of {}",
        quoted(end.child.path()),
        crate::vm::kin::enumerate(&names)
    );
    Error::new(Kind::DiskParent, text)
        .at(end.child.path())
        .hint("say which it is: replix relink --parent")
}
