//! What every operation of this machine needs of its surroundings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::VmConfig;
use super::devices::DiskSlot;
use super::files;
use super::open::VmFolder;
use super::settings::Settings;
use crate::disk::{self, Chain, Link, Opener, Places};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::{LineEnd, SnapshotEntry, SnapshotFiles, StateFile, Vmsd};
use crate::store::{Access, Glance, Store, files_with_ending, folder_of, read_small};

/// No `.vmsd` is larger: one that lists 5,000 clones has less than 1 MiB.
const VMSD_LIMIT: u64 = 16 << 20;

/// Where files are, and what the user set.
#[derive(Clone, Debug)]
pub struct Env {
    /// The files.
    pub store: Arc<dyn Store>,
    /// The settings.
    pub settings: Settings,
}

impl Env {
    /// Returns the same for one operation that looks for many names: it reads each folder once for them.
    pub fn glancing(&self) -> Self {
        Self {
            store: Arc::new(Glance::new(Arc::clone(&self.store))),
            settings: self.settings.clone(),
        }
    }

    /// Opens the VM at `path`.
    ///
    /// # Errors
    /// As [`VmFolder::open`].
    pub fn open(&self, path: &Path) -> Result<VmFolder> {
        VmFolder::open(&*self.store, path)
    }

    /// Tells whether this user may change the configuration of a VM, which is replaced in its folder.
    pub fn is_writable(&self, vm: &VmFolder) -> bool {
        [vm.vmx(), vm.dir()]
            .into_iter()
            .all(|path| self.store.is_writable(path))
    }

    /// Reads the bookkeeping of a VM; a missing file is an empty one.
    ///
    /// # Errors
    /// `SnapshotBroken` where it makes no sense.
    pub fn vmsd(&self, vm: &VmFolder) -> Result<Vmsd> {
        let path = vm.vmsd_path(&*self.store);
        let mut vmsd = match self.places(vm.dir())?.file(&*self.store, &path) {
            Ok(real) => read_vmsd(&*self.store, &real, vm.config.line_end())?,
            Err(error) if error.kind() == Kind::FileNotFound => {
                Vmsd::parse(&[], vm.config.line_end())
                    .map_err(|fault| fault.in_file(Kind::SnapshotBroken, &path))?
            }
            Err(error) => return Err(error),
        };
        if let Some(uid) = self.stands_on(vm, &vmsd) {
            vmsd.set_current(Some(uid));
        }
        Ok(vmsd)
    }

    /// Returns the snapshot that the VM's disks stand on, where its bookkeeping says that it is another:
    /// of the two files that a revert changes, the power may have left one.
    fn stands_on(&self, vm: &VmFolder, vmsd: &Vmsd) -> Option<u32> {
        let current = vmsd.snapshot(vmsd.current()?)?;
        let others = vmsd.snapshots().iter().filter(|one| one.uid != current.uid);
        // All disks change at once: one tells.
        let covered = |slot: &DiskSlot| !slot.mode.is_independent() && !slot.raw;
        let slot = vm.config.disks().into_iter().find(covered)?;
        let frozen = |one: &SnapshotEntry| {
            let node = slot.node.to_string();
            let disk = one.disks.iter().find(|disk| disk.node == node)?;
            Some(files::last_part(&disk.file_name).to_owned())
        };
        let mut others = others
            .filter_map(|one| Some((one.uid, frozen(one)?)))
            .peekable();
        others.peek()?;
        let path = vm.require(&*self.store, "disk", &slot.file_name).ok()?;
        let link = self.opener(vm).ok()?.open_link(&path).ok()?;
        let hint = link.descriptor().parent_hint()?;
        let parent = files::last_part(&hint);
        if frozen(current).as_deref() == Some(parent) {
            return None;
        }
        let mut fitting = others.filter(|(_, disk)| disk == parent);
        let (uid, _) = fitting.next()?;
        fitting.next().is_none().then_some(uid)
    }

    /// Finds a file of the VM, other than a disk, by the name that its files give it; `None` where
    /// there is none.
    ///
    /// Names are written by strangers: nothing that one leads to is read without this question.
    ///
    /// # Errors
    /// `Denied` where it lies outside of what the VM may reach, or is no regular file.
    pub fn own_file(&self, vm: &VmFolder, name: &str) -> Result<Option<PathBuf>> {
        let found = vm.find(&*self.store, name);
        let places = self.places(vm.dir())?;
        found
            .map(|found| places.file(&*self.store, &found.path))
            .transpose()
    }

    /// Returns where an output of the VM goes, by the name that its configuration gives it; the file
    /// need not be there yet.
    ///
    /// # Errors
    /// `Denied` where it lies outside of what the VM may reach, or is no regular file.
    pub fn own_output(&self, vm: &VmFolder, name: &str) -> Result<PathBuf> {
        let store = &*self.store;
        let path = files::join(vm.dir(), name);
        let folder = self.own_folder(vm, folder_of(&path))?;
        let output = folder.join(path.file_name().unwrap_or_default());
        // Seen without following links: one that leads nowhere would be followed when written to.
        let stands = store
            .list(&folder)?
            .into_iter()
            .any(|entry| output.ends_with(&entry.name));
        if stands {
            self.places(vm.dir())?.file(store, &output)
        } else {
            Ok(output)
        }
    }

    /// Returns the true path of a folder in which the VM makes files.
    ///
    /// # Errors
    /// `Denied` where it lies outside of what the VM may reach.
    pub fn own_folder(&self, vm: &VmFolder, folder: &Path) -> Result<PathBuf> {
        self.places(vm.dir())?.folder(&*self.store, folder)
    }

    /// Tells whether the VM itself may name the file at `path`.
    pub fn is_own_place(&self, vm: &VmFolder, path: &Path) -> bool {
        let places = self.places(vm.dir());
        places.is_ok_and(|places| places.file(&*self.store, path).is_ok())
    }

    /// Tells whether the user allowed VMs to reach what lies at `real`, its links resolved.
    ///
    /// # Errors
    /// What the system says.
    pub fn allows(&self, vm: &VmFolder, real: &Path) -> Result<bool> {
        Ok(self.places(vm.dir())?.allows(real))
    }

    /// Reads a small file of the VM by its name; `None` where there is none.
    ///
    /// # Errors
    /// As [`Env::own_file`]; `BadConfig` where it is larger than `limit`.
    pub fn read_own(&self, vm: &VmFolder, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = self.own_file(vm, name)?;
        path.map(|path| read_small(&*self.store, &path, limit))
            .transpose()
    }

    /// Reads the state file of a snapshot, called `file_name` in the bookkeeping: its table and the
    /// small files in it.
    ///
    /// # Errors
    /// As [`Env::own_file`]; `SnapshotBroken` where it is missing, damaged, or holds no configuration.
    pub fn read_state(&self, vm: &VmFolder, file_name: &str) -> Result<(StateFile, SnapshotFiles)> {
        let path = self.own_file(vm, file_name)?.ok_or_else(|| {
            let place = files::join(vm.dir(), file_name);
            let text = format!("state file {} is missing", quoted(place));
            Error::new(Kind::SnapshotBroken, text).at(vm.vmx())
        })?;
        let file = self.store.open(&path, Access::Read)?;
        let broken = |error: Error| match error.kind() {
            Kind::SnapshotBroken => error.context(quoted(&path)).at(&path),
            _ => error,
        };
        let state = StateFile::read(&*file).map_err(broken)?;
        let none = || {
            let what = "there is no configuration in this state";
            broken(Error::new(Kind::SnapshotBroken, what))
        };
        let files = state.files(&*file).map_err(broken)?.ok_or_else(none)?;
        Ok((state, files))
    }

    /// Returns the folder in which the VM's snapshots and their disks are made.
    ///
    /// # Errors
    /// `Denied` where it lies outside of what the VM may reach.
    pub fn working_dir(&self, vm: &VmFolder) -> Result<PathBuf> {
        self.own_folder(vm, &vm.stated_working_dir(&*self.store))
    }

    /// Returns the folders whose files are this VM's alone, to be changed and removed with it: its
    /// own, and its working folder where no other VM stands in that. What the user allows it to
    /// read elsewhere is not among them.
    pub fn own_folders(&self, vm: &VmFolder) -> OwnFolders {
        let mut folders = vec![vm.dir().to_path_buf()];
        let working = self.working_dir(vm).ok();
        folders.extend(
            working.filter(|dir| files_with_ending(&*self.store, dir, "vmx").next().is_none()),
        );
        OwnFolders(folders)
    }

    /// Returns what opens the disks of a VM: its own, and parents that it may reach.
    ///
    /// # Errors
    /// What the system says.
    pub fn opener(&self, vm: &VmFolder) -> Result<Opener> {
        let search = vm.search_folders(&*self.store);
        self.opener_in(vm.dir(), search)
    }

    /// Returns what opens a disk by itself: files in its folder, and parents that it may reach.
    ///
    /// # Errors
    /// What the system says.
    pub fn opener_in(&self, dir: &Path, search: Vec<PathBuf>) -> Result<Opener> {
        Ok(self.opener_at(self.places(dir)?, search))
    }

    /// Returns what will open the disks of a VM that is still to be made in `dir`, a path without links.
    pub fn opener_to_be(&self, dir: &Path, search: Vec<PathBuf>) -> Opener {
        self.opener_at(self.allowing(Places::to_be(dir)), search)
    }

    fn opener_at(&self, places: Places, search: Vec<PathBuf>) -> Opener {
        let for_vouching = Arc::clone(&self.store);
        let vouch = move |folder: &Path, child: &Path| vouches(&*for_vouching, folder, child);
        Opener::new(Arc::clone(&self.store), places.ask(Arc::new(vouch))).search(search)
    }

    /// Opens the disk that a VM calls `name`, with all its parents.
    ///
    /// # Errors
    /// `FileNotFound`; what is wrong with one of its links.
    pub fn disk(&self, vm: &VmFolder, name: &str) -> Result<Chain> {
        let path = vm.require(&*self.store, "disk", name)?;
        self.opener(vm)?.open(&path)
    }

    /// Refuses a machine of `vm` in which one disk hangs in two places: each would write to it as if
    /// it were alone, and each get a child of its own at the next snapshot.
    ///
    /// # Errors
    /// `DiskTwice` names both places.
    pub fn require_each_once(&self, vm: &VmFolder, config: &VmConfig) -> Result<()> {
        let mut known = BTreeMap::new();
        for slot in config.disks().into_iter().filter(|slot| !slot.raw) {
            // What is missing is told by whoever opens it.
            let Some(found) = vm.find(&*self.store, &slot.file_name) else {
                continue;
            };
            let Ok(path) = self.store.canonical(&found.path) else {
                continue;
            };
            if let Some(other) = known.get(&path) {
                let (vmx, disk, node) = (quoted(vm.vmx()), quoted(&path), slot.node);
                let text = format!("{vmx}: {other} and {node} are the same disk, {disk}");
                let hint = "give one of the two a disk of its own, or remove it from the VM";
                return Err(Error::new(Kind::DiskTwice, text).at(vm.vmx()).hint(hint));
            }
            known.insert(path, slot.node);
        }
        Ok(())
    }

    /// The folders that the files of the VM in `dir` may lie in: the one rule for all of them.
    fn places(&self, dir: &Path) -> Result<Places> {
        Ok(self.allowing(Places::of(&*self.store, dir)?))
    }

    fn allowing(&self, places: Places) -> Places {
        let allowed = self.settings.allow.iter();
        allowed.fold(places, |places, dir| places.allow(&*self.store, dir))
    }
}

/// Folders whose files are one VM's alone.
#[derive(Clone, Debug)]
pub struct OwnFolders(Vec<PathBuf>);

impl OwnFolders {
    /// Tells whether `path` is an entry of one of the folders. What it is a link to does not matter:
    /// replacing or removing it leaves that alone.
    pub fn hold(&self, store: &dyn Store, path: &Path) -> bool {
        let folder = store.canonical(folder_of(path));
        folder.is_ok_and(|folder| self.0.contains(&folder))
    }

    /// Tells the same of a path in which no part is a link.
    pub fn hold_real(&self, path: &Path) -> bool {
        self.0.iter().any(|folder| folder == folder_of(path))
    }

    /// Tells whether all files of a disk's link are in the folders.
    pub fn hold_link(&self, store: &dyn Store, link: &Link) -> bool {
        link.files().iter().all(|file| self.hold(store, file))
    }
}

fn read_vmsd(store: &dyn Store, path: &Path, line_end: LineEnd) -> Result<Vmsd> {
    let bytes = match read_small(store, path, VMSD_LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == Kind::FileNotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    Vmsd::parse(&bytes, line_end).map_err(|m| m.in_file(Kind::SnapshotBroken, path))
}

/// Tells whether the VM whose disks are in `folder` names a VM in the folder of the disk `child` as its
/// linked clone. Disks of the parent may lie deeper in its folder than its bookkeeping.
fn vouches(store: &dyn Store, folder: &Path, child: &Path) -> bool {
    let child_dir = folder_of(child);
    let holds_list = |dir: &Path| files_with_ending(store, dir, "vmsd").next().is_some();
    let folder = match holds_list(folder) {
        true => folder,
        false => disk::vm_folder_of(store, folder).unwrap_or(folder),
    };
    let leads_there = |clone: &str| {
        let vmx = files::join(folder, clone);
        store
            .canonical(folder_of(&vmx))
            .is_ok_and(|dir| dir == child_dir)
    };
    let is_written = |clone: &str| folder_of(Path::new(clone)) == child_dir;
    let vmsds = files_with_ending(store, folder, "vmsd");
    let mut read = vmsds.filter_map(|path| read_vmsd(store, &path, LineEnd::Lf).ok());
    read.any(|vmsd| {
        let clones = || vmsd.snapshots().iter().flat_map(|entry| &entry.clones);
        // Each look at where a path leads asks the file system, and there may be thousands.
        clones().any(|clone| is_written(clone) && leads_there(clone)) || clones().any(leads_there)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, create_dirs, write_new};

    /// A VM in `/v/web` with these lines of configuration, and these files besides.
    fn env(config: &str, files: &[(&str, &[u8])]) -> (Env, VmFolder) {
        let store = Mem::new();
        let vmx = format!("displayName = \"Web\"\n{config}");
        for (path, bytes) in [("/v/web/web.vmx", vmx.as_bytes())].iter().chain(files) {
            let path = Path::new(path);
            create_dirs(&store, folder_of(path)).unwrap();
            write_new(&store, path, bytes).unwrap();
        }
        let env = Env {
            store: Arc::new(store),
            settings: Settings::default(),
        };
        let vm = env.open(Path::new("/v/web/web.vmx")).unwrap();
        (env, vm)
    }

    #[test]
    fn bookkeeping_may_be_missing_or_broken() {
        let (without, vm) = env("", &[]);
        assert!(without.vmsd(&vm).unwrap().snapshots().is_empty());
        let text = b"snapshot.numSnapshots = \"2\"\n";
        let (env, vm) = env("", &[("/v/web/web.vmsd", text)]);
        let error = env.vmsd(&vm).unwrap_err();
        assert_eq!(error.kind(), Kind::SnapshotBroken);
        assert_eq!(
            error.to_string(),
            "\"/v/web/web.vmsd\": snapshot0 has no uid"
        );
    }

    #[test]
    fn state_of_a_snapshot_is_read_or_blamed() {
        let files = SnapshotFiles {
            config: b"a = \"1\"\n".to_vec(),
            ..SnapshotFiles::default()
        };
        let (env, vm) = env(
            "",
            &[
                ("/v/web/1.vmsn", &files.to_bytes(&[])),
                ("/v/web/2.vmsn", b"what is this?"),
            ],
        );
        let (state, again) = env.read_state(&vm, "1.vmsn").unwrap();
        assert!(!state.is_live() && again == files);
        let error = |name| env.read_state(&vm, name).unwrap_err();
        assert_eq!(error("2.vmsn").kind(), Kind::SnapshotBroken);
        let place = "\"/v/web/2.vmsn\": byte 0: this is not the state of a VM";
        assert_eq!(error("2.vmsn").to_string(), place);
        assert_eq!(error("3.vmsn").kind(), Kind::SnapshotBroken);
        let missing = "state file \"/v/web/3.vmsn\" is missing";
        assert_eq!(error("3.vmsn").to_string(), missing);
    }

    #[test]
    fn names_lead_no_farther_than_the_folder() {
        let files: &[(&str, &[u8])] = &[
            ("/v/web/web.nvram", b"own"),
            ("/v/other/other.nvram", b"theirs"),
            ("/etc/passwd", b"secret"),
        ];
        let (mut env, vm) = env("", files);
        assert_eq!(env.read_own(&vm, "WEB.nvram", 9).unwrap().unwrap(), b"own");
        assert_eq!(env.own_file(&vm, "gone.nvram").unwrap(), None);
        let outside = [
            "/etc/passwd",
            "../other/other.nvram",
            "D:\\x\\other\\other.nvram",
        ];
        for name in outside {
            let error = env.own_file(&vm, name).unwrap_err();
            assert_eq!(error.kind(), Kind::Denied, "{name}");
        }
        env.settings.allow = vec!["/v/other".into()];
        assert!(env.own_file(&vm, "../other/other.nvram").unwrap().is_some());
        assert!(env.own_file(&vm, "/etc/passwd").is_err());
    }

    #[test]
    fn working_folder_is_inside_or_allowed() {
        let files: &[(&str, &[u8])] = &[
            ("/v/web/snaps/x", b""),
            ("/far/snaps/x", b""),
            ("/v/base/base.vmx", b"a = \"1\"\n"),
        ];
        for (name, allowed, own) in [
            ("snaps", false, Some("/v/web/snaps")),
            ("/far/snaps", false, None),
            ("/far/snaps", true, Some("/far/snaps")),
            ("..", true, None),
            ("gone", false, Some("/v/web")),
        ] {
            let (mut env, vm) = env(&format!("workingDir = \"{name}\"\n"), files);
            env.settings.allow.extend(allowed.then(|| "/far".into()));
            let found = env.working_dir(&vm).ok();
            assert_eq!(found.as_deref(), own.map(Path::new), "{name}");
            let disk = Path::new(own.unwrap_or("/v/web")).join("x.vmdk");
            assert!(env.own_folders(&vm).hold(&*env.store, &disk));
        }
    }

    #[test]
    fn folder_of_another_vm_is_not_our_own() {
        let files: &[(&str, &[u8])] = &[("/v/base/base.vmx", b"a = \"1\"\n")];
        let (mut env, vm) = env("workingDir = \"../base\"\n", files);
        env.settings.allow = vec!["/v".into()];
        assert_eq!(env.working_dir(&vm).unwrap(), Path::new("/v/base"));
        let own = env.own_folders(&vm);
        assert!(!own.hold(&*env.store, Path::new("/v/base/base.vmdk")));
    }
}
