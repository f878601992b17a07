//! Finding the files that a descriptor names: on this host or on another, moved or renamed in case.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::{Names, Store, folder_of};

/// Looks files up by names written elsewhere; remembers the folders it had to list.
pub struct Finder<'a> {
    store: &'a dyn Store,
    /// By the folder.
    listings: RefCell<HashMap<PathBuf, Arc<Names>>>,
}

impl<'a> Finder<'a> {
    /// Returns a finder.
    pub fn new(store: &'a dyn Store) -> Self {
        Self {
            store,
            listings: RefCell::default(),
        }
    }

    /// Returns what stands at `path`, each name also in another case; `None` where nothing does.
    ///
    /// A disk copied from Windows may be named otherwise in its descriptor than it is on disk.
    pub fn find(&self, path: &Path) -> Option<PathBuf> {
        if self.store.exists(path) {
            return Some(path.to_path_buf());
        }
        let name = path.file_name()?;
        let folder = self.find(folder_of(path))?;
        let exact = folder.join(name);
        if self.store.exists(&exact) {
            return Some(exact);
        }
        self.in_other_case(&folder, &name.to_string_lossy())
    }

    fn in_other_case(&self, folder: &Path, name: &str) -> Option<PathBuf> {
        let mut listings = self.listings.borrow_mut();
        let listing = listings
            .entry(folder.to_path_buf())
            .or_insert_with(|| self.store.names(folder).unwrap_or_default());
        Some(folder.join(listing.alike(name)?))
    }
}

/// Returns where the parent that `hint` names may be, most likely first.
///
/// `child` is the descriptor that holds the hint. `search` are the VM's `fileSearchPath` folders;
/// relative ones start at `own`, the VM's folder. Paths of Windows, or of another Linux host, are
/// followed by their last names.
pub fn parent_candidates(hint: &str, child: &Path, own: &Path, search: &[PathBuf]) -> Vec<PathBuf> {
    let folder = folder_of(child);
    let parts = parts(hint);
    let Some(name) = parts.last() else {
        return Vec::new();
    };
    let mut places = Vec::new();
    if hint.starts_with('/') {
        places.push(PathBuf::from(hint));
    } else if !is_windows_absolute(hint) {
        places.push(folder.join(hint));
        places.push(folder.join(parts.iter().collect::<PathBuf>()));
    }
    places.push(folder.join(name));
    places.extend(
        search
            .iter()
            .flat_map(|dir| in_search_folder(dir, own, name)),
    );
    if let [.., last_folder, name] = parts.as_slice()
        && let Some(library) = folder.parent()
    {
        places.push(library.join(last_folder).join(name));
    }
    let mut unique: Vec<PathBuf> = Vec::new();
    for place in places {
        if !unique.contains(&place) {
            unique.push(place);
        }
    }
    unique
}

/// Tells whether `candidate` is where `hint` may lead, and not where it does lead.
pub fn is_guess(candidate: &Path, hint: &str) -> bool {
    is_absolute_anywhere(hint) && candidate != Path::new(hint)
}

/// A folder of another host is looked for, by its last name, beside the VM's own.
fn in_search_folder(dir: &Path, own: &Path, name: &str) -> Vec<PathBuf> {
    let text = dir.to_string_lossy();
    let parts = parts(&text);
    let mut places = Vec::new();
    if !is_windows_absolute(&text) {
        places.push(own.join(dir).join(name));
    }
    if let (true, Some(last), Some(library)) =
        (is_absolute_anywhere(&text), parts.last(), own.parent())
    {
        places.push(library.join(last).join(name));
    }
    places
}

fn is_absolute_anywhere(path: &str) -> bool {
    path.starts_with('/') || is_windows_absolute(path)
}

/// Tells whether a path is absolute on Windows: `C:\x`, `\\server\share\x`.
fn is_windows_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    let has_drive =
        bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':');
    has_drive || path.starts_with('\\')
}

/// Splits a path of any host into its names.
fn parts(path: &str) -> Vec<&str> {
    path.split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != ".")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, create_dirs, write_new};

    fn candidates(hint: &str, search: &[&str]) -> Vec<String> {
        let search: Vec<PathBuf> = search.iter().map(PathBuf::from).collect();
        parent_candidates(
            hint,
            Path::new("/lib/vm/c.vmdk"),
            Path::new("/lib/vm"),
            &search,
        )
        .into_iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect()
    }

    #[test]
    fn bare_name_is_beside_the_child() {
        assert_eq!(candidates("b.vmdk", &[]), ["/lib/vm/b.vmdk"]);
    }

    #[test]
    fn absolute_hint_comes_first_then_its_last_names() {
        assert_eq!(
            candidates("/old/base/b.vmdk", &[]),
            ["/old/base/b.vmdk", "/lib/vm/b.vmdk", "/lib/base/b.vmdk"]
        );
    }

    #[test]
    fn windows_hint_is_followed_by_its_last_names() {
        assert_eq!(
            candidates(r"D:\VMs\base\b.vmdk", &["."]),
            ["/lib/vm/b.vmdk", "/lib/base/b.vmdk"]
        );
        assert_eq!(
            candidates(r"..\base\b.vmdk", &[])[1],
            "/lib/vm/../base/b.vmdk"
        );
    }

    #[test]
    fn search_folders_of_other_hosts_are_beside_ours() {
        assert_eq!(
            candidates(r"E:\gone\b.vmdk", &[r"D:\VMs\parent", "/srv/x"]),
            [
                "/lib/vm/b.vmdk",
                "/lib/parent/b.vmdk",
                "/srv/x/b.vmdk",
                "/lib/x/b.vmdk",
                "/lib/gone/b.vmdk"
            ]
        );
    }

    #[test]
    fn names_are_found_in_another_case() {
        let store = Mem::new();
        create_dirs(&store, Path::new("/Lib/Base")).unwrap();
        write_new(&store, Path::new("/Lib/Base/Disk.VMDK"), b"").unwrap();
        let finder = Finder::new(&store);
        let found = finder.find(Path::new("/lib/base/disk.vmdk"));
        assert_eq!(found.as_deref(), Some(Path::new("/Lib/Base/Disk.VMDK")));
        assert_eq!(finder.find(Path::new("/lib/base/other.vmdk")), None);
    }
}
