//! What every operation of this machine needs of its surroundings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files;
use super::open::VmFolder;
use super::settings::Settings;
use crate::disk::{Chain, Opener, Places};
use crate::error::{Kind, Result};
use crate::format::{LineEnd, Vmsd};
use crate::store::{FileKind, Store, folder_of, read_small};

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
    /// Opens the VM at `path`.
    ///
    /// # Errors
    /// As [`VmFolder::open`].
    pub fn open(&self, path: &Path) -> Result<VmFolder> {
        VmFolder::open(&*self.store, path)
    }

    /// Reads the bookkeeping of a VM; a missing file is an empty one.
    ///
    /// # Errors
    /// `SnapshotBroken` where it makes no sense.
    pub fn vmsd(&self, vm: &VmFolder) -> Result<Vmsd> {
        read_vmsd(
            &*self.store,
            &vm.vmsd_path(&*self.store),
            vm.config.line_end(),
        )
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
        let store = &*self.store;
        let mut places = Places::of(store, dir)?;
        for folder in &self.settings.allow {
            places = places.allow(store, folder);
        }
        let for_vouching = Arc::clone(&self.store);
        let vouch = move |folder: &Path, child: &Path| vouches(&*for_vouching, folder, child);
        Ok(Opener::new(Arc::clone(&self.store), places.ask(Arc::new(vouch))).search(search))
    }

    /// Opens the disk that a VM calls `name`, with all its parents.
    ///
    /// # Errors
    /// `FileNotFound`; what is wrong with one of its links.
    pub fn disk(&self, vm: &VmFolder, name: &str) -> Result<Chain> {
        let path = vm.require(&*self.store, "disk", name)?;
        self.opener(vm)?.open(&path)
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

/// Tells whether a VM in `folder` names a VM in the folder of the disk `child` as its linked clone.
fn vouches(store: &dyn Store, folder: &Path, child: &Path) -> bool {
    let child_dir = folder_of(child);
    let is_vmsd = |name: &Path| {
        name.extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("vmsd"))
    };
    let entries = store.list(folder).unwrap_or_default();
    let vmsds = entries
        .iter()
        .filter(|e| e.kind == FileKind::File && is_vmsd(Path::new(&e.name)));
    vmsds
        .filter_map(|entry| read_vmsd(store, &folder.join(&entry.name), LineEnd::Lf).ok())
        .any(|vmsd| {
            vmsd.snapshots()
                .iter()
                .flat_map(|snapshot| &snapshot.clones)
                .any(|clone| {
                    let vmx = files::join(folder, clone);
                    store
                        .canonical(folder_of(&vmx))
                        .is_ok_and(|dir| dir == child_dir)
                })
        })
}
