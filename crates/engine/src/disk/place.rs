//! Which files a virtual machine may reach: its descriptors name files, and may be hostile.
//!
//! A file is reached when, with all symbolic links resolved, it lies
//! 1. in the VM's own folder, at any depth;
//! 2. for a parent: directly in a folder beside the VM's own that holds a `.vmx`, as the VMs of one
//!    library stand (a library at `/` does not count); the parent of another VM's disk, likewise
//!    beside that VM's folder: what it stands on is reached with it;
//! 3. in a folder that the user allowed;
//! 4. for a parent: in a folder that the caller vouches for, because its owner names this VM as its
//!    clone; what such a parent stands on, in the same folder.
//!
//! An extent must lie in the folder of its own descriptor, or in an allowed one. Nothing is opened
//! before its path was checked, and nothing but regular files is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Kind, Result, quoted};
use crate::store::{FileKind, Store, files_with_ending, folder_of};

/// Tells whether the folder at the first path vouches for the child whose descriptor is the second.
pub type Voucher = dyn Fn(&Path, &Path) -> bool + Send + Sync;

/// The folders that one VM's files may lie in.
#[derive(Clone)]
pub struct Places {
    own: PathBuf,
    allowed: Vec<PathBuf>,
    vouched: Vec<PathBuf>,
    voucher: Option<Arc<Voucher>>,
}

impl Places {
    /// Returns the places of the VM, or the lone disk, in `folder`.
    ///
    /// # Errors
    /// `FileNotFound` where there is no such folder.
    pub fn of(store: &dyn Store, folder: &Path) -> Result<Self> {
        Ok(Self::to_be(&store.canonical(folder)?))
    }

    /// Returns the places of a VM that is still to be made in `folder`, a path without links.
    pub fn to_be(folder: &Path) -> Self {
        Self {
            own: folder.to_path_buf(),
            allowed: Vec::new(),
            vouched: Vec::new(),
            voucher: None,
        }
    }

    /// Allows everything in `folder`, as the user said; a folder that is not there adds nothing.
    #[must_use]
    pub fn allow(mut self, store: &dyn Store, folder: &Path) -> Self {
        self.allowed.extend(store.canonical(folder));
        self
    }

    /// Allows the disks directly in `folder` as parents: its VM names this one as its clone.
    #[must_use]
    pub fn vouched(mut self, store: &dyn Store, folder: &Path) -> Self {
        self.vouched.extend(store.canonical(folder));
        self
    }

    /// Asks `voucher` about each parent that no other rule allows: its folder, and the descriptor
    /// that names it. The parent is not opened before.
    #[must_use]
    pub fn ask(mut self, voucher: Arc<Voucher>) -> Self {
        self.voucher = Some(voucher);
        self
    }

    /// Returns the VM's own folder.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// Tells whether the user allowed the place where `real` lies, its links resolved.
    pub fn allows(&self, real: &Path) -> bool {
        self.is_allowed(real)
    }

    /// Returns the true path of a file that the VM itself names.
    ///
    /// # Errors
    /// `FileNotFound`; `Denied` where the VM may not reach it or it is no regular file.
    pub fn file(&self, store: &dyn Store, path: &Path) -> Result<PathBuf> {
        let real = regular(store, path)?;
        if self.is_own(&real) || self.is_allowed(&real) {
            return Ok(real);
        }
        let text = format!("{} lies outside the folder of its VM", quoted(path));
        Err(denied(text, &real, folder_of(&real)))
    }

    /// Returns the true path of a folder in which the VM itself makes files.
    ///
    /// # Errors
    /// As [`Places::file`].
    pub fn folder(&self, store: &dyn Store, path: &Path) -> Result<PathBuf> {
        let real = store.canonical(path)?;
        if real == self.own || self.is_own(&real) || self.is_allowed(&real) {
            return Ok(real);
        }
        let text = format!(
            "the folder {} lies outside that of its VM, {}",
            quoted(path),
            quoted(&self.own)
        );
        Err(denied(text, &real, &real))
    }

    /// Returns the true path of the parent at `path`, named by the descriptor `child`.
    ///
    /// # Errors
    /// As [`Places::file`].
    pub fn parent(&self, store: &dyn Store, path: &Path, child: &Path) -> Result<PathBuf> {
        let real = regular(store, path)?;
        let folder = folder_of(&real);
        if self.is_own(&real)
            || self.is_allowed(&real)
            // The child was reached, and with it the disks of its own VM.
            || folder == folder_of(child)
            || is_sibling_vm(store, &self.own, folder)
            || self.is_beside_vm_of(store, child, folder)
            || self.is_vouched(folder, child)
        {
            return Ok(real);
        }
        let text = format!(
            "{} names {} as its parent, which lies outside the folders that its VM may reach",
            quoted(child),
            quoted(&real)
        );
        Err(denied(text, &real, folder_of(&real)))
    }

    /// Returns the true path of the extent at `path`, named by the descriptor `descriptor`.
    ///
    /// # Errors
    /// As [`Places::file`].
    pub fn extent(&self, store: &dyn Store, path: &Path, descriptor: &Path) -> Result<PathBuf> {
        let real = regular(store, path)?;
        if is_inside(&real, folder_of(descriptor)) || self.is_allowed(&real) {
            return Ok(real);
        }
        let text = format!(
            "{} names {} as a part of it, which lies outside its folder",
            quoted(descriptor),
            quoted(&real)
        );
        Err(denied(text, &real, folder_of(&real)))
    }

    fn is_own(&self, real: &Path) -> bool {
        is_inside(real, &self.own)
    }

    fn is_allowed(&self, real: &Path) -> bool {
        self.allowed.iter().any(|folder| real.starts_with(folder))
    }

    /// Tells whether `folder` stands beside the VM that the disk `child` belongs to, where that is
    /// another than this one: a clone of a clone reaches what the first reaches, and by its words only.
    fn is_beside_vm_of(&self, store: &dyn Store, child: &Path, folder: &Path) -> bool {
        !self.is_own(child)
            && vm_folder_of(store, folder_of(child))
                .is_some_and(|theirs| is_sibling_vm(store, theirs, folder))
    }

    fn is_vouched(&self, folder: &Path, child: &Path) -> bool {
        self.vouched.iter().any(|vouched| vouched == folder)
            || self
                .voucher
                .as_ref()
                .is_some_and(|voucher| voucher(folder, child))
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("own", &self.own)
            .field("allowed", &self.allowed)
            .field("vouched", &self.vouched)
            .finish_non_exhaustive()
    }
}

/// Returns the folder of the VM in whose folder, at any depth, `folder` lies, both without links.
pub fn vm_folder_of<'a>(store: &dyn Store, folder: &'a Path) -> Option<&'a Path> {
    folder.ancestors().find(|dir| holds_vm(store, dir))
}

fn holds_vm(store: &dyn Store, folder: &Path) -> bool {
    files_with_ending(store, folder, "vmx").next().is_some()
}

/// Tells whether `folder` is that of a VM in the same library as the VM in `own`.
fn is_sibling_vm(store: &dyn Store, own: &Path, folder: &Path) -> bool {
    let library = own.parent().filter(|library| library.parent().is_some());
    library.is_some() && folder.parent() == library && holds_vm(store, folder)
}

/// Tells whether `real` lies in `folder`; of the root, only what lies directly in it does.
fn is_inside(real: &Path, folder: &Path) -> bool {
    if folder.parent().is_none() {
        return real.parent() == Some(folder);
    }
    real.starts_with(folder)
}

/// Resolves `path` and refuses what is no regular file.
fn regular(store: &dyn Store, path: &Path) -> Result<PathBuf> {
    let real = store.canonical(path)?;
    match store.meta(&real)?.kind {
        FileKind::File => Ok(real),
        FileKind::Dir | FileKind::Other => {
            Err(Error::new(Kind::Denied, format!("{} is no regular file", quoted(path))).at(path))
        }
    }
}

fn denied(text: String, real: &Path, folder: &Path) -> Error {
    let hint = format!(
        "if that is right, allow the folder with --allow {} or in the setting places.allow",
        quoted(folder)
    );
    Error::new(Kind::Denied, text).at(real).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, create_dirs, write_new};

    fn store_with(files: &[&str]) -> Mem {
        let store = Mem::new();
        for file in files {
            let path = Path::new(file);
            create_dirs(&store, folder_of(path)).unwrap();
            write_new(&store, path, b"x").unwrap();
        }
        store
    }

    fn parent(store: &Mem, places: &Places, path: &str) -> Result<PathBuf> {
        places.parent(store, Path::new(path), Path::new("/lib/vm/child.vmdk"))
    }

    #[test]
    fn own_folder_is_reached_at_any_depth() {
        let store = store_with(&["/lib/vm/a.vmdk", "/lib/vm/disks/b.vmdk", "/lib/vmx/c.vmdk"]);
        let places = Places::of(&store, Path::new("/lib/vm")).unwrap();
        assert!(
            places
                .file(&store, Path::new("/lib/vm/disks/b.vmdk"))
                .is_ok()
        );
        assert!(
            places
                .file(&store, Path::new("/lib/vm/../vm/a.vmdk"))
                .is_ok()
        );
        let error = places
            .file(&store, Path::new("/lib/vm/../vmx/c.vmdk"))
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Denied);
        assert!(error.advice().unwrap().contains("--allow \"/lib/vmx\""));
    }

    #[test]
    fn folders_follow_the_rule_of_files() {
        let store = store_with(&["/lib/vm/snaps/a", "/lib/vmx/b", "/far/deep/c"]);
        let places = Places::of(&store, Path::new("/lib/vm")).unwrap();
        let folder = |path| places.folder(&store, Path::new(path));
        assert!(folder("/lib/vm").is_ok() && folder("/lib/vm/snaps").is_ok());
        for outside in ["/lib/vm/..", "/lib/vmx", "/", "/far/deep"] {
            let error = folder(outside).unwrap_err();
            assert_eq!(error.kind(), Kind::Denied, "{outside}");
        }
        let hint = folder("/far/deep").unwrap_err();
        assert!(hint.advice().unwrap().contains("--allow \"/far/deep\""));
        let allowed = places.allow(&store, Path::new("/far"));
        assert!(allowed.folder(&store, Path::new("/far/deep")).is_ok());
    }

    #[test]
    fn sibling_parent_needs_a_vmx_beside_it() {
        let store = store_with(&["/lib/vm/a.vmx", "/lib/base/b.vmdk", "/lib/base/deep/c.vmdk"]);
        let places = Places::of(&store, Path::new("/lib/vm")).unwrap();
        assert!(parent(&store, &places, "/lib/base/b.vmdk").is_err());
        write_new(&store, Path::new("/lib/base/B.VMX"), b"").unwrap();
        assert!(parent(&store, &places, "/lib/base/b.vmdk").is_ok());
        assert!(parent(&store, &places, "/lib/base/deep/c.vmdk").is_err());
        assert!(places.file(&store, Path::new("/lib/base/b.vmdk")).is_err());
    }

    #[test]
    fn library_at_the_root_does_not_count() {
        let store = store_with(&["/vm/a.vmx", "/etc/x.vmx", "/etc/shadow"]);
        let places = Places::of(&store, Path::new("/vm")).unwrap();
        assert!(parent(&store, &places, "/etc/shadow").is_err());
        let root = Places::of(&store, Path::new("/")).unwrap();
        assert!(root.file(&store, Path::new("/etc/shadow")).is_err());
    }

    #[test]
    fn parent_that_is_reached_brings_those_in_its_folder() {
        let store = store_with(&["/lib/vm/a.vmx", "/far/q.vmdk", "/else/r.vmdk"]);
        let places = Places::of(&store, Path::new("/lib/vm")).unwrap();
        let parent = |path| places.parent(&store, Path::new(path), Path::new("/far/p.vmdk"));
        assert!(parent("/far/q.vmdk").is_ok());
        assert!(parent("/else/r.vmdk").is_err());
    }

    #[test]
    fn parents_parent_is_reached_as_the_vm_between_reaches_it() {
        let store = store_with(&[
            "/lib/vm/a.vmx",
            "/far/q/q.vmx",
            "/far/q/work/q.vmdk",
            "/far/p/p.vmx",
            "/far/p/p.vmdk",
            "/far/none/p.vmdk",
            "/far/p/in/p.vmdk",
            "/bare/q/q.vmdk",
            "/bare/p/p.vmx",
            "/bare/p/p.vmdk",
            "/lib/vm/in/b.vmdk",
            "/lib/vm/in/b.vmx",
        ]);
        let places = Places::of(&store, Path::new("/lib/vm")).unwrap();
        let reaches = |child: &str, path: &str| {
            let path = Path::new(path);
            places.parent(&store, path, Path::new(child)).is_ok()
        };
        assert!(reaches("/far/q/q.vmdk", "/far/p/p.vmdk"));
        assert!(reaches("/far/q/work/q.vmdk", "/far/p/p.vmdk"));
        assert!(!reaches("/far/q/q.vmdk", "/far/none/p.vmdk"));
        assert!(!reaches("/far/q/q.vmdk", "/far/p/in/p.vmdk"));
        assert!(!reaches("/far/q/q.vmdk", "/bare/p/p.vmdk"));
        assert!(
            !reaches("/bare/q/q.vmdk", "/bare/p/p.vmdk"),
            "no VM between"
        );
        assert!(!reaches("/lib/vm/in/b.vmdk", "/far/p/p.vmdk"));
        assert!(!reaches("/lib/vm/b.vmdk", "/far/p/p.vmdk"));
    }

    #[test]
    fn allowed_and_vouched_folders_are_reached() {
        let store = store_with(&["/lib/vm/a.vmx", "/far/p.vmdk", "/far/sub/q.vmdk"]);
        let own = Places::of(&store, Path::new("/lib/vm")).unwrap();
        assert!(parent(&store, &own, "/far/p.vmdk").is_err());
        let vouched = own.clone().vouched(&store, Path::new("/far"));
        assert!(parent(&store, &vouched, "/far/p.vmdk").is_ok());
        assert!(parent(&store, &vouched, "/far/sub/q.vmdk").is_err());
        let asked = own.clone().ask(Arc::new(|folder: &Path, child: &Path| {
            folder == Path::new("/far") && child == Path::new("/lib/vm/child.vmdk")
        }));
        assert!(parent(&store, &asked, "/far/p.vmdk").is_ok());
        let allowed = own.allow(&store, Path::new("/far"));
        assert!(parent(&store, &allowed, "/far/sub/q.vmdk").is_ok());
    }

    #[test]
    fn extents_stay_in_their_descriptors_folder() {
        let store = store_with(&[
            "/lib/vm/a-flat.vmdk",
            "/lib/vm/b/c.vmdk",
            "/lib/vm/b/c-s001",
        ]);
        let places = Places::of(&store, Path::new("/lib/vm")).unwrap();
        let descriptor = Path::new("/lib/vm/b/c.vmdk");
        let extent = |path| places.extent(&store, Path::new(path), descriptor);
        assert!(extent("/lib/vm/b/c-s001").is_ok());
        assert_eq!(
            extent("/lib/vm/a-flat.vmdk").unwrap_err().kind(),
            Kind::Denied
        );
        assert_eq!(extent("/lib/vm/b").unwrap_err().kind(), Kind::Denied);
    }
}
