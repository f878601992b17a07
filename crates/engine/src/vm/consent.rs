//! The user's word that folders of the host may be shared with a VM (docs/adr/0016).
//!
//! It stands outside of the VM's files, in the state folder of the user: what a configuration merely
//! says is a stranger's wish.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::settings::state_dir;
use crate::error::{Error, Kind, Result, quoted};
use crate::store::{Store, Undo, create_dirs, read_small, short_name};

/// No list is longer.
const LIMIT: u64 = 1 << 20;

/// Each time that so many more VMs are noted, those that are gone are forgotten.
const SWEEP: usize = 64;

/// The folders that a user shares with one VM.
pub struct Consents {
    file: Option<PathBuf>,
    word: Word,
}

/// What a file holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Word {
    /// The VM's configuration; two may have one short name.
    vmx: String,
    folders: Vec<Folder>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Folder {
    /// With all symbolic links resolved.
    path: PathBuf,
    writable: bool,
}

impl Consents {
    /// Returns the folders that this user shares with the VM at `vmx`. What cannot be read is no word.
    pub fn of(store: &dyn Store, vmx: &Path) -> Self {
        let file = state_dir().map(|dir| dir.join("shared").join(short_name(vmx)));
        let vmx = vmx.to_string_lossy().into_owned();
        let bytes = file.as_deref().map(|file| read_small(store, file, LIMIT));
        let bytes = bytes.and_then(Result::ok).unwrap_or_default();
        let word = serde_json::from_slice::<Word>(&bytes).ok();
        let folders = Vec::new();
        Self {
            file,
            word: word
                .filter(|word| word.vmx == vmx)
                .unwrap_or(Word { vmx, folders }),
        }
    }

    /// Tells whether the guest may write to `folder`, its links resolved; `None` where it may not even
    /// see it.
    pub fn writable(&self, folder: &Path) -> Option<bool> {
        let folders = self.word.folders.iter();
        let given = folders.filter(|given| given.path == folder);
        given.map(|given| given.writable).max()
    }

    /// Adds the word for `folder`, its links resolved.
    pub fn give(&mut self, folder: &Path, writable: bool) {
        self.take_back(folder);
        let path = folder.to_path_buf();
        self.word.folders.push(Folder { path, writable });
    }

    /// Takes the word for `folder` back.
    pub fn take_back(&mut self, folder: &Path) {
        self.word.folders.retain(|given| given.path != folder);
    }

    /// Takes the word back for all folders but those that `keep` picks.
    pub fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.word.folders.retain(|given| keep(&given.path));
    }

    /// Makes this the word for another VM.
    pub fn pass_on(mut self, vmx: &Path) -> Self {
        self.file = self.file.map(|file| file.with_file_name(short_name(vmx)));
        self.word.vmx = vmx.to_string_lossy().into_owned();
        self
    }

    /// Tells whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.word.folders.is_empty()
    }

    /// Writes the word down, noting the change in `undo`.
    ///
    /// # Errors
    /// `Denied` for a user without a home; what the system says.
    pub fn keep(&self, store: &dyn Store, undo: &mut Undo) -> Result<()> {
        let Some(file) = &self.file else {
            if self.is_empty() {
                return Ok(());
            }
            let text = "there is no place to remember that you share this folder";
            let hint =
                "set HOME or XDG_STATE_HOME, or allow the folder in the setting places.allow";
            return Err(Error::new(Kind::Denied, text).hint(hint));
        };
        if self.is_empty() && !store.exists(file) {
            return Ok(());
        }
        let text = serde_json::to_vec(&self.word).map_err(|_| {
            let text = format!("{} has a name that is no UTF-8", quoted(&self.word.vmx));
            Error::new(Kind::NotSupported, text)
        })?;
        let dir = file.parent().unwrap_or(file);
        create_dirs(store, dir)?;
        sweep(store, dir);
        undo.replace(file, &text)
    }
}

/// Forgets a VM that is gone.
pub fn forget(store: &dyn Store, vmx: &Path) {
    if let Some(file) = Consents::of(store, vmx).file {
        // Most VMs have none.
        let _ = store.remove_file(&file);
    }
}

fn sweep(store: &dyn Store, dir: &Path) {
    let entries = store.list(dir).unwrap_or_default();
    if entries.is_empty() || !entries.len().is_multiple_of(SWEEP) {
        return;
    }
    for entry in entries {
        let file = dir.join(&entry.name);
        let bytes = read_small(store, &file, LIMIT).unwrap_or_default();
        let word = serde_json::from_slice::<Word>(&bytes).ok();
        if word.is_none_or(|word| !store.exists(Path::new(&word.vmx))) {
            // It is tried again the next time.
            let _ = store.remove_file(&file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Mem, write_new};

    const VMX: &str = "/v/a.vmx";

    fn of(store: &Mem) -> Consents {
        Consents::of(store, Path::new(VMX))
    }

    fn keep(store: &Mem, consents: &Consents) {
        let mut undo = Undo::new(Arc::new(store.clone()));
        consents.keep(store, &mut undo).unwrap();
        undo.keep();
    }

    #[test]
    fn word_is_kept_for_its_vm_and_folder_alone() {
        let store = Mem::new();
        let mut consents = of(&store);
        let (a, b) = (Path::new("/srv/a"), Path::new("/srv/b"));
        assert_eq!(consents.writable(a), None);
        consents.give(a, true);
        consents.give(b, true);
        consents.give(b, false);
        keep(&store, &consents);
        let again = of(&store);
        assert_eq!(
            (again.writable(a), again.writable(b)),
            (Some(true), Some(false))
        );
        assert_eq!(again.writable(Path::new("/srv/a/deep")), None);
        assert_eq!(again.writable(Path::new("/srv")), None);
        let other = Consents::of(&store, Path::new("/v/b.vmx"));
        assert_eq!(other.writable(a), None);
        keep(&store, &again.pass_on(Path::new("/v/b.vmx")));
        let other = Consents::of(&store, Path::new("/v/b.vmx"));
        assert_eq!(other.writable(a), Some(true));
        forget(&store, Path::new("/v/b.vmx"));
        assert!(Consents::of(&store, Path::new("/v/b.vmx")).is_empty());
        let mut consents = of(&store);
        consents.take_back(a);
        keep(&store, &consents);
        assert_eq!(of(&store).writable(a), None);
        assert_eq!(of(&store).writable(b), Some(false));
    }

    #[test]
    fn damaged_file_or_one_of_another_vm_is_no_word() {
        let store = Mem::new();
        let mut consents = of(&store);
        consents.give(Path::new("/srv/a"), true);
        keep(&store, &consents);
        let file = consents.file.unwrap();
        let text = String::from_utf8(read_small(&store, &file, LIMIT).unwrap()).unwrap();
        for other in [
            text.replace("a.vmx", "c.vmx"),
            text[1..].into(),
            String::new(),
        ] {
            store.remove_file(&file).unwrap();
            write_new(&store, &file, other.as_bytes()).unwrap();
            assert!(of(&store).is_empty(), "{other}");
        }
    }
}
