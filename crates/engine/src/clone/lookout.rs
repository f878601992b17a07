//! Looking for the disk that a linked clone was made on: where its files lead, in a folder that the user
//! names, in the folders of VMs beside it.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::relink::End;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::format::vmdk::{NEVER_WRITTEN, SECTOR};
use crate::store::{FileKind, Store, files_with_ending, folder_of};
use crate::vm::{Env, Standing, VmFolder, clone_standing, files, kin};

/// No more folders beside a VM are looked into.
const MOST_FOLDERS: usize = 10_000;

/// A disk that proves to be what a clone was made on.
pub(super) struct Candidate {
    disk: Rc<Disk>,
    /// Whether the long content id says so too.
    pub(super) by_long_id: bool,
}

impl Candidate {
    /// Returns its descriptor.
    pub(super) fn path(&self) -> &Path {
        &self.disk.path
    }

    /// Returns its content id.
    pub(super) fn cid(&self) -> u32 {
        self.disk.cid
    }
}

/// The VM that a disk belongs to.
pub(crate) struct Owner {
    /// It.
    pub(crate) vm: VmFolder,
    /// The snapshot that froze the disk; `None` where it is the present one.
    pub(crate) base: Option<u32>,
    /// The linked clones in its bookkeeping, by the last part of their paths in lower case.
    clones: HashMap<String, Vec<String>>,
}

impl Owner {
    /// Tells whether its bookkeeping lists the linked clone at `vmx`. Each look at where a path leads asks the file
    /// system, and there may be thousands: those of its name come first.
    pub(crate) fn lists(&self, env: &Env, vmx: &Path) -> bool {
        let leads_there = |clone: &String| {
            let found = kin::locate(env, &self.vm, clone);
            found.is_some_and(|found| found == vmx)
        };
        let name = vmx.file_name().unwrap_or_default().to_string_lossy();
        let mut alike = self.clones.get(&name.to_lowercase()).into_iter().flatten();
        alike.any(leads_there) || self.clones.values().flatten().any(leads_there)
    }

    /// Tells whether its bookkeeping lists a linked clone that is called `name`, in lower case, and is gone.
    pub(super) fn awaits(&self, env: &Env, name: &str) -> bool {
        let mut alike = self.clones.get(name).into_iter().flatten();
        alike.any(|clone| clone_standing(env, &self.vm, clone) == Standing::Gone)
    }
}

/// What a look at a disk came to.
struct Disk {
    /// Its descriptor, by its true path.
    path: PathBuf,
    cid: u32,
    sectors: u64,
    /// What it stands on, once somebody asks.
    chain: OnceCell<Result<Below>>,
}

/// What a disk stands on.
struct Below {
    /// The links, the disk itself first.
    links: Vec<PathBuf>,
    /// The long content id.
    long: Option<String>,
}

/// A search for the disks that linked clones were made on. Each disk is opened once, however many clones of it
/// ask: it is made for one operation, and knows nothing of what changes meanwhile.
pub(crate) struct Lookout<'a> {
    env: &'a Env,
    /// By the path that was asked for.
    disks: RefCell<HashMap<PathBuf, Rc<Result<Rc<Disk>>>>>,
    /// By the true path of a disk.
    owners: RefCell<HashMap<PathBuf, Option<Rc<Owner>>>>,
    /// The disks in a folder, by its path.
    folders: RefCell<HashMap<PathBuf, Rc<Vec<PathBuf>>>>,
}

impl<'a> Lookout<'a> {
    /// Returns one that has seen nothing yet.
    pub(crate) fn new(env: &'a Env) -> Self {
        Self {
            env,
            disks: RefCell::default(),
            owners: RefCell::default(),
            folders: RefCell::default(),
        }
    }

    /// Returns where it looks.
    pub(super) fn env(&self) -> &'a Env {
        self.env
    }

    /// Finds the disk that `end` of `vm` is to hang on.
    ///
    /// # Errors
    /// As `relink` says.
    pub(super) fn find(
        &self,
        vm: &VmFolder,
        end: &End,
        wanted: Option<&Path>,
    ) -> Result<Candidate> {
        let (env, store) = (self.env, &*self.env.store);
        if let Some(wanted) = wanted {
            let real = store.canonical(wanted)?;
            let is_folder = store.meta(&real)?.kind == FileKind::Dir;
            let is_disk = real
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("vmdk"));
            if is_disk {
                return self.judge(&real, end);
            }
            let folder = if is_folder { &real } else { folder_of(&real) };
            // The user's word allows what lies there.
            return self.choose(&[folder.to_path_buf()], end, &|_| true);
        }
        if let Some(parent) = &end.parent {
            return self.judge(parent, end);
        }
        let mut folders = vm.search_folders(store);
        folders.extend(beside(store, vm));
        let mut unique: Vec<PathBuf> = Vec::new();
        let mut seen = HashSet::new();
        for folder in folders.iter().filter_map(|dir| store.canonical(dir).ok()) {
            if seen.insert(folder.clone()) {
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
        self.choose(&unique, end, &reach)
    }

    /// Finds the VM in the folder of a disk that it belongs to.
    pub(crate) fn owner(&self, disk: &Path) -> Option<Rc<Owner>> {
        if let Some(known) = self.owners.borrow().get(disk) {
            return known.clone();
        }
        let found = owner(self.env, disk).map(Rc::new);
        let mut owners = self.owners.borrow_mut();
        owners.insert(disk.to_path_buf(), found.clone());
        found
    }

    /// Finds the one disk in `folders` that fits, among those that may be reached. A child that nobody wrote
    /// to has the content of its parent: of several the one counts that is called as the link says, then the
    /// one that a snapshot froze.
    fn choose(
        &self,
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
        let disks: Vec<PathBuf> = folders
            .iter()
            .flat_map(|folder| self.disks_in(folder).to_vec())
            .collect();
        let (called_so, others): (Vec<_>, Vec<_>) =
            disks.into_iter().partition(|path| is_called_so(path));
        let mut why_not = None;
        let mut fitting: Vec<Candidate> = Vec::new();
        for disks in [called_so, others] {
            for path in disks {
                if end.own.contains(&path) || !may_reach(&path) {
                    continue;
                }
                match self.judge(&path, end) {
                    Ok(candidate) => fitting.push(candidate),
                    Err(error) if is_called_so(&path) => why_not = why_not.or(Some(error)),
                    // Most are other disks.
                    Err(_) => {}
                }
            }
            if !fitting.is_empty() {
                break;
            }
        }
        let is_frozen = |one: &Candidate| {
            let owner = self.owner(one.path());
            owner.is_some_and(|owner| owner.base.is_some())
        };
        if fitting.len() > 1 && fitting.iter().any(is_frozen) {
            fitting.retain(is_frozen);
        }
        match <[Candidate; 1]>::try_from(fitting) {
            Ok([only]) => Ok(only),
            Err(none) if none.is_empty() => Err(why_not.unwrap_or_else(|| not_there(end, folders))),
            Err(several) => Err(ambiguous(end, &several)),
        }
    }

    fn disks_in(&self, folder: &Path) -> Rc<Vec<PathBuf>> {
        let mut folders = self.folders.borrow_mut();
        let disks = folders.entry(folder.to_path_buf()).or_insert_with(|| {
            Rc::new(files_with_ending(&*self.env.store, folder, "vmdk").collect())
        });
        Rc::clone(disks)
    }

    /// Checks that the disk at `path`, with all that it stands on, is what `end` was made on.
    fn judge(&self, path: &Path, end: &End) -> Result<Candidate> {
        let disk = self.disk(path)?;
        let child = &end.child;
        let want = child.descriptor().parent_cid();
        let refuse = |kind, what: String| {
            let text = format!("{} {what}", quoted(&disk.path));
            let text = format!(
                "{text}, and {} was made on another disk",
                quoted(child.path())
            );
            Err(Error::new(kind, text).at(child.path()))
        };
        if want != disk.cid {
            let what = format!("has content id {:08x}, not {want:08x}", disk.cid);
            return refuse(Kind::DiskChanged, what);
        }
        if child.sectors() != disk.sectors {
            let what = format!("has {} bytes", disk.sectors * SECTOR);
            return refuse(Kind::DiskCapacity, what);
        }
        let chain = disk.chain.get_or_init(|| self.below(path, &disk.path));
        let chain = chain.as_ref().map_err(again)?;
        if chain.links.iter().any(|link| link == child.path()) {
            return refuse(Kind::DiskChain, "stands on it".to_string());
        }
        let made_on = child.descriptor().get("ddb.longContentID");
        let made_on = made_on.map(|long| long.to_ascii_lowercase());
        // One that changed since says nothing of what the link was made on.
        let made_on =
            made_on.filter(|long| long.len() == 32 && long.ends_with(&format!("{want:08x}")));
        let by_long_id = match (made_on, &chain.long) {
            (Some(wanted), Some(long)) if wanted != long.to_ascii_lowercase() => {
                let what = format!("has long content id {}, not {wanted}", escaped(long));
                return refuse(Kind::DiskChanged, what);
            }
            (Some(_), Some(_)) => true,
            _ if want == NEVER_WRITTEN => {
                let what = "was never written to, as many disks are not".to_string();
                return refuse(Kind::DiskParent, what);
            }
            _ => false,
        };
        Ok(Candidate { disk, by_long_id })
    }

    fn disk(&self, path: &Path) -> Result<Rc<Disk>> {
        let mut disks = self.disks.borrow_mut();
        let known = disks.entry(path.to_path_buf()).or_insert_with(|| {
            let opener = self.env.opener_in(folder_of(path), Vec::new());
            let link = opener.and_then(|opener| opener.open_link(path));
            Rc::new(link.map(|link| {
                Rc::new(Disk {
                    path: link.path().to_path_buf(),
                    cid: link.cid(),
                    sectors: link.sectors(),
                    chain: OnceCell::new(),
                })
            }))
        });
        match &**known {
            Ok(disk) => Ok(Rc::clone(disk)),
            Err(error) => Err(again(error)),
        }
    }

    /// As the VM that it belongs to finds what it stands on itself.
    fn below(&self, path: &Path, real: &Path) -> Result<Below> {
        let store = &*self.env.store;
        let search = self
            .owner(real)
            .map_or_else(Vec::new, |owner| owner.vm.search_folders(store));
        let chain = self.env.opener_in(folder_of(path), search)?.open(path)?;
        let links = chain.links().iter();
        Ok(Below {
            links: links.map(|link| link.path().to_path_buf()).collect(),
            long: chain.long_content_id(),
        })
    }
}

/// The same error for the next who asks.
fn again(error: &Error) -> Error {
    let mut copy = Error::new(error.kind(), error.to_string());
    if let Some(path) = error.path() {
        copy = copy.at(path);
    }
    match error.advice() {
        Some(advice) => copy.hint(advice),
        None => copy,
    }
}

fn owner(env: &Env, disk: &Path) -> Option<Owner> {
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
        if base.is_none() && !is_present {
            continue;
        }
        let mut clones: HashMap<String, Vec<String>> = HashMap::new();
        for clone in entries.iter().flat_map(|entry| &entry.clones) {
            let last = files::last_part(clone).to_lowercase();
            clones.entry(last).or_default().push(clone.to_owned());
        }
        let owner = Owner { vm, base, clones };
        if base.is_some() {
            return Some(owner);
        }
        present = Some(owner);
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
