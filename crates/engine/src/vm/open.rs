//! Opening a VM: its folder, its configuration, and the files beside it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::config::VmConfig;
use super::files::{self, Found, How};
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::format::Vmsd;
use crate::store::{FileKind, Store, folder_of, read_small};

/// No `.vmx` is larger.
const VMX_LIMIT: u64 = 1 << 20;
/// Folders of `fileSearchPath` that are looked at; VMware writes two.
const MAX_SEARCH: usize = 64;

/// A VM as its files describe it, opened and not locked.
#[derive(Clone, Debug)]
pub struct VmFolder {
    vmx: PathBuf,
    /// The configuration as it was when opened.
    pub config: VmConfig,
}

impl VmFolder {
    /// Opens the VM whose configuration is at `path`. What is missing beside it does not matter.
    ///
    /// # Errors
    /// `VmNotFound` where there is no such file; `FileName` where it is no `.vmx`; `Denied` where it is
    /// a link that leads out of its folder; `BadConfig`
    /// where its content is none.
    pub fn open(store: &dyn Store, path: &Path) -> Result<Self> {
        let vmx = locate(store, path)?;
        let bytes = read_small(store, &vmx, VMX_LIMIT)?;
        let config = VmConfig::parse(&bytes).map_err(|m| m.in_file(Kind::BadConfig, &vmx))?;
        Ok(Self { vmx, config })
    }

    /// Returns the path of the `.vmx`: absolute, without symbolic links.
    pub fn vmx(&self) -> &Path {
        &self.vmx
    }

    /// Returns the folder of the `.vmx`.
    pub fn dir(&self) -> &Path {
        folder_of(&self.vmx)
    }

    /// Returns the file name of the `.vmx` without its ending: the stem of the VM's other files.
    pub fn stem(&self) -> String {
        let name = self.vmx.file_name().unwrap_or_default().to_string_lossy();
        files::stem(&name).to_string()
    }

    /// Returns the name shown to people; where none is written, that of the file.
    pub fn display_name(&self) -> String {
        self.config.display_name().unwrap_or_else(|| self.stem())
    }

    /// Returns the disks of all its states, as its configuration and its bookkeeping name them, each once.
    /// Devices of the host, which disks may stand for, are none.
    pub fn disk_names(&self, vmsd: &Vmsd) -> Vec<String> {
        let now = self.config.disks().into_iter().filter(|slot| !slot.raw);
        let frozen = vmsd.frozen_disks().map(String::from);
        let mut seen = HashSet::new();
        let names = now.map(|slot| slot.file_name).chain(frozen);
        names.filter(|name| seen.insert(name.clone())).collect()
    }

    /// Returns where the `.vmsd` is or would be.
    pub fn vmsd_path(&self, store: &dyn Store) -> PathBuf {
        files::beside(store, &self.vmx, "vmsd")
    }

    /// Returns the folder that `workingDir` leads to, wherever that is: a place to look for names.
    /// Files are made where [`super::Env::working_dir`] says.
    pub(super) fn stated_working_dir(&self, store: &dyn Store) -> PathBuf {
        let named = self.config.working_dir();
        named
            .and_then(|dir| files::resolve_folder(store, self.dir(), &dir))
            .unwrap_or_else(|| self.dir().to_path_buf())
    }

    /// Returns the folders in which disks are searched, best first: that of the `.vmx`, the working
    /// folder, those of `fileSearchPath` as far as they exist here.
    pub fn search_folders(&self, store: &dyn Store) -> Vec<PathBuf> {
        let mut folders = vec![self.dir().to_path_buf(), self.stated_working_dir(store)];
        for name in self.config.file_search_path().iter().take(MAX_SEARCH) {
            folders.extend(files::resolve_folder(store, self.dir(), name));
        }
        let mut unique = Vec::new();
        for folder in folders {
            if !unique.contains(&folder) {
                unique.push(folder);
            }
        }
        unique
    }

    /// Finds the file that the configuration calls `name`.
    pub fn find(&self, store: &dyn Store, name: &str) -> Option<Found> {
        files::resolve(store, self.dir(), name).or_else(|| {
            let dir = self.stated_working_dir(store);
            files::resolve(store, &dir, name)
        })
    }

    /// Finds the file that the configuration calls `name`; for `what` is used in the error.
    ///
    /// # Errors
    /// `FileNotFound`, naming the place where it should be.
    pub fn require(&self, store: &dyn Store, what: &str, name: &str) -> Result<PathBuf> {
        self.find(store, name).map(|f| f.path).ok_or_else(|| {
            let place = files::place_of(self.dir(), name);
            let foreign = files::is_windows_path(name);
            let named = if foreign {
                quoted(name)
            } else {
                quoted(&place)
            };
            let text = format!("{what} {named} is missing");
            let hint = if foreign {
                let part = escaped(files::last_part(name));
                let dir = quoted(self.dir());
                format!("copy \"{part}\" from the other machine into {dir}")
            } else {
                format!("put the file back, or take the {what} out of the configuration")
            };
            Error::new(Kind::FileNotFound, text).at(&place).hint(hint)
        })
    }

    /// Returns a remark on how `name` was found, where it was not simply there.
    pub fn remark(name: &str, found: &Found) -> Option<String> {
        match found.how {
            How::AsNamed => None,
            How::Spelled | How::Moved => Some(format!(
                "{} is written in the configuration, {} is used: write that there to be sure",
                quoted(name),
                quoted(&found.path)
            )),
        }
    }
}

/// Checks that `path` is a `.vmx`, and returns where it really is.
fn locate(store: &dyn Store, path: &Path) -> Result<PathBuf> {
    if path.as_os_str().is_empty() {
        return Err(Error::new(Kind::Argument, "the path of the VM is empty"));
    }
    let missing = || {
        let text = format!("{}: there is no virtual machine here", quoted(path));
        Error::new(Kind::VmNotFound, text).at(path)
    };
    let meta = match store.meta(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == Kind::FileNotFound => return Err(missing()),
        Err(error) => return Err(error),
    };
    if meta.kind == FileKind::Dir {
        return Err(folder_hint(store, path, missing()));
    }
    let ending = path.extension().unwrap_or_default();
    if !ending.eq_ignore_ascii_case("vmx") {
        let text = format!(
            "{} is no configuration: its name must end in .vmx",
            quoted(path)
        );
        return Err(Error::new(Kind::FileName, text).at(path));
    }
    let real = store.canonical(path)?;
    // Whoever made this folder may have put a link to somebody else's VM into it.
    if folder_of(&real) != store.canonical(folder_of(path))? {
        let text = format!("{} is a link to a VM elsewhere", quoted(path));
        let hint = format!(
            "if that VM is meant, give its configuration: {}",
            quoted(&real)
        );
        return Err(Error::new(Kind::Denied, text).at(path).hint(hint));
    }
    Ok(real)
}

/// Names the configuration in a folder that was given in its place.
fn folder_hint(store: &dyn Store, dir: &Path, error: Error) -> Error {
    let entries = store.list(dir).unwrap_or_default();
    let vmx = entries.iter().find(|e| {
        let ending = Path::new(&e.name).extension().unwrap_or_default();
        ending.eq_ignore_ascii_case("vmx")
    });
    match vmx {
        Some(vmx) => error.hint(format!(
            "give the configuration in that folder: {}",
            quoted(dir.join(&vmx.name))
        )),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, create_dirs, write_new};

    fn store() -> Mem {
        let store = Mem::new();
        create_dirs(&store, Path::new("/v/web")).unwrap();
        create_dirs(&store, Path::new("/v/base")).unwrap();
        let text = b"displayName = \"Web\"\nfileSearchPath = \".;D:\\x\\base;E:\\gone\"\n";
        write_new(&store, Path::new("/v/web/web.vmx"), text).unwrap();
        write_new(&store, Path::new("/v/web/a.vmdk"), b"x").unwrap();
        store
    }

    fn error(path: &str) -> Error {
        VmFolder::open(&store(), Path::new(path)).unwrap_err()
    }

    #[test]
    fn vm_is_opened_by_its_configuration() {
        let store = store();
        let vm = VmFolder::open(&store, Path::new("/v/./web/web.vmx")).unwrap();
        assert_eq!(vm.vmx(), Path::new("/v/web/web.vmx"));
        assert_eq!((vm.stem(), vm.display_name()), ("web".into(), "Web".into()));
        assert_eq!(vm.vmsd_path(&store), Path::new("/v/web/web.vmsd"));
        assert_eq!(
            vm.search_folders(&store),
            [Path::new("/v/web"), Path::new("/v/base")]
        );
    }

    #[test]
    fn missing_vm_is_named() {
        let error = error("/v/web/other.vmx");
        assert_eq!(error.kind(), Kind::VmNotFound);
        assert_eq!(
            error.to_string(),
            "\"/v/web/other.vmx\": there is no virtual machine here"
        );
    }

    #[test]
    fn folder_is_answered_with_its_configuration() {
        let error = error("/v/web");
        assert_eq!(error.kind(), Kind::VmNotFound);
        assert!(error.advice().unwrap().contains("/v/web/web.vmx"));
    }

    #[test]
    fn other_files_are_no_vms() {
        assert_eq!(error("/v/web/a.vmdk").kind(), Kind::FileName);
        assert_eq!(error("").kind(), Kind::Argument);
    }

    #[test]
    fn content_that_is_no_configuration_is_refused() {
        let store = store();
        let path = Path::new("/v/web/bad.vmx");
        write_new(&store, path, b"\x7fELF\0\0").unwrap();
        let error = VmFolder::open(&store, path).unwrap_err();
        assert_eq!(error.kind(), Kind::BadConfig);
        assert!(error.to_string().contains("no text file"));
    }

    #[test]
    fn missing_file_of_another_machine_is_asked_for() {
        let store = store();
        let vm = VmFolder::open(&store, Path::new("/v/web/web.vmx")).unwrap();
        let error = vm.require(&store, "disk", "D:\\x\\b.vmdk").unwrap_err();
        assert_eq!(error.kind(), Kind::FileNotFound);
        assert!(error.advice().unwrap().contains("\"b.vmdk\""));
        assert!(vm.require(&store, "disk", "A.vmdk").is_ok());
    }
}
