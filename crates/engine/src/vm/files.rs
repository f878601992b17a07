//! File names as they stand in a VM's files, and where those files are on this host.
//!
//! A VM may come from Windows: names in another case than on disk, `\` between folders, paths
//! with a drive letter. It may also have been moved with its parents. What is found by such a
//! detour is said so, for the caller to warn.

use std::path::{Component, Path, PathBuf};

use crate::store::{FileKind, Store, folder_of};

/// Folders above a VM in which the tail of a foreign path is searched.
const FOLDERS_UP: usize = 4;
/// Components of a foreign path that are tried.
const TAIL: usize = 6;

/// A file or folder that a name led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// How it was found.
    pub how: How,
}

/// How a file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Where its name says.
    AsNamed,
    /// In other letters' case, or with `\` taken for the separator.
    Spelled,
    /// Elsewhere: the path as written does not exist here.
    Moved,
}

/// Returns the part of a path, of whatever system, after its last separator.
pub fn last_part(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// Returns the name of a file without its ending: `web` for `web.vmx`.
pub fn stem(file_name: &str) -> &str {
    file_name
        .rsplit_once('.')
        .map_or(file_name, |(stem, _)| stem)
}

/// Tells whether `path` is absolute on Windows: `D:\x`, `\\server\x`.
pub fn is_windows_path(path: &str) -> bool {
    match path.as_bytes() {
        [letter, b':', b'\\' | b'/', ..] => letter.is_ascii_alphabetic(),
        [b'\\', b'\\', ..] => true,
        _ => false,
    }
}

/// Tells whether `path` is absolute, here or on Windows.
pub fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || is_windows_path(path)
}

/// Returns the entry of `dir` that is called `name`, in these letters or else in another case.
///
/// Several that differ only by case are none: nobody could say which is meant.
pub fn find_in(store: &dyn Store, dir: &Path, name: &str) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') {
        return None;
    }
    let exact = dir.join(name);
    if store.exists(&exact) {
        return Some(exact);
    }
    Some(dir.join(store.alike(dir, name)?))
}

/// Finds the file that a VM's files in `dir` call `name`.
///
/// Relative names are relative to `dir`. An absolute path that does not exist here is searched by
/// its tail, in `dir` and the folders above it.
pub fn resolve(store: &dyn Store, dir: &Path, name: &str) -> Option<Found> {
    let as_named = join(dir, name);
    if !name.is_empty() && !is_windows_path(name) && store.exists(&as_named) {
        return Some(Found {
            path: as_named,
            how: How::AsNamed,
        });
    }
    if !is_absolute(name) {
        let path = walk(store, dir, &parts(name))?;
        return Some(Found {
            path,
            how: How::Spelled,
        });
    }
    let path = by_tail(store, dir, name, 1)?;
    Some(Found {
        path,
        how: How::Moved,
    })
}

/// Returns where the file called `name` is to be made or looked for: `name` itself if absolute,
/// else in `dir`, with `.` and `..` taken out of it.
pub fn join(dir: &Path, name: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in dir.join(name).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if path.file_name().is_some() => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

/// Returns where the file called `name` would be on this host: as [`join`], and `\` parts folders too.
pub fn place_of(dir: &Path, name: &str) -> PathBuf {
    match is_absolute(name) {
        true => join(dir, name),
        false => join(dir, &name.replace('\\', "/")),
    }
}

/// Returns what a file in the folder `dir` calls the one at `path`, all of them paths without links: within
/// the VM's folder `home` a relative name, so that the folder may be copied or moved as a whole; elsewhere
/// the whole path, as VMware writes it.
pub fn name_from(home: &Path, dir: &Path, path: &Path) -> String {
    let is_within = dir.starts_with(home) && path.starts_with(home);
    if !is_within && folder_of(path) != dir {
        return path.to_string_lossy().into_owned();
    }
    let shared = dir.components().zip(folder_of(path).components());
    let shared = shared.take_while(|(one, other)| one == other).count();
    let up = dir.components().skip(shared).map(|_| Component::ParentDir);
    let name: PathBuf = up.chain(path.components().skip(shared)).collect();
    name.to_string_lossy().into_owned()
}

/// Follows `parts` from `dir`, each in whatever case.
fn walk(store: &dyn Store, dir: &Path, parts: &[&str]) -> Option<PathBuf> {
    let mut path = dir.to_path_buf();
    for part in parts {
        path = match *part {
            ".." => path.parent()?.to_path_buf(),
            part => find_in(store, &path, part)?,
        };
    }
    (!parts.is_empty()).then_some(path)
}

fn parts(path: &str) -> Vec<&str> {
    let parts = path.split(['/', '\\']);
    parts.filter(|part| !matches!(*part, "" | ".")).collect()
}

/// Looks in `dir` and the folders above it for what the end of `path` names, longest end first:
/// `D:\VMs\base\base.vmdk` is `../base/base.vmdk` beside a clone that was copied with its parent.
///
/// The last part alone says little: it is searched in the first `for_last` of these folders only.
fn by_tail(store: &dyn Store, dir: &Path, path: &str, for_last: usize) -> Option<PathBuf> {
    // A drive is no folder of ours.
    let path = path
        .get(2..)
        .filter(|_| is_windows_path(path))
        .unwrap_or(path);
    let parts = parts(path);
    let parts = &parts[parts.len().saturating_sub(TAIL)..];
    let tails = (0..parts.len()).map(|n| &parts[n..]);
    tails.filter(|tail| !tail.contains(&"..")).find_map(|tail| {
        let up = if tail.len() == 1 {
            for_last
        } else {
            FOLDERS_UP
        };
        let mut folders = dir.ancestors().take(up);
        folders.find_map(|folder| walk(store, folder, tail))
    })
}

/// Returns the folder that `name` means to the VM in `dir`, if it exists. One with an absolute path
/// of elsewhere may stand beside `dir`.
pub fn resolve_folder(store: &dyn Store, dir: &Path, name: &str) -> Option<PathBuf> {
    if parts(name).is_empty() && !is_absolute(name) {
        return Some(dir.to_path_buf());
    }
    let found = resolve(store, dir, name).map(|found| found.path);
    let beside = || is_absolute(name).then(|| by_tail(store, dir, name, 2))?;
    let found = found.or_else(beside)?;
    let is_dir = store.meta(&found).is_ok_and(|m| m.kind == FileKind::Dir);
    is_dir.then_some(found)
}

/// Returns the path of a file beside the `.vmx`, with its ending replaced: the `.vmsd`, whatever
/// its case.
pub fn beside(store: &dyn Store, vmx: &Path, ending: &str) -> PathBuf {
    let name = vmx.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{}.{ending}", stem(&name));
    let dir = folder_of(vmx);
    find_in(store, dir, &name).unwrap_or_else(|| dir.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, create_dirs, write_new};

    fn store(files: &[&str]) -> Mem {
        let store = Mem::new();
        for file in files {
            let path = Path::new(file);
            create_dirs(&store, folder_of(path)).unwrap();
            write_new(&store, path, b"x").unwrap();
        }
        store
    }

    fn found(store: &Mem, dir: &str, name: &str) -> Option<(String, How)> {
        let found = resolve(store, Path::new(dir), name)?;
        Some((found.path.to_string_lossy().into_owned(), found.how))
    }

    #[test]
    fn names_within_the_folder_are_relative() {
        let name =
            |dir: &str, path: &str| name_from(Path::new("/v/a"), Path::new(dir), Path::new(path));
        assert_eq!(name("/v/a", "/v/a/d.vmdk"), "d.vmdk");
        assert_eq!(name("/v/a", "/v/a/w/x/d.vmdk"), "w/x/d.vmdk");
        assert_eq!(name("/v/a/w/x", "/v/a/d.vmdk"), "../../d.vmdk");
        assert_eq!(name("/v/a/w", "/v/a/x/d.vmdk"), "../x/d.vmdk");
        assert_eq!(name("/s/w", "/s/w/d.vmdk"), "d.vmdk");
        assert_eq!(name("/s/w", "/v/a/d.vmdk"), "/v/a/d.vmdk");
        assert_eq!(name("/v/a", "/v/ab/d.vmdk"), "/v/ab/d.vmdk");
    }

    #[test]
    fn relative_names_are_found_in_the_folder() {
        let store = store(&["/v/a/a.vmdk", "/v/base/b.vmdk"]);
        let at = |name| found(&store, "/v/a", name);
        assert_eq!(at("a.vmdk"), Some(("/v/a/a.vmdk".into(), How::AsNamed)));
        assert_eq!(at("A.VMDK"), Some(("/v/a/a.vmdk".into(), How::Spelled)));
        assert_eq!(at(".\\a.vmdk"), Some(("/v/a/a.vmdk".into(), How::Spelled)));
        assert_eq!(
            at("../base/b.vmdk"),
            Some(("/v/base/b.vmdk".into(), How::AsNamed))
        );
        assert_eq!(
            at("..\\Base\\b.vmdk"),
            Some(("/v/base/b.vmdk".into(), How::Spelled))
        );
        assert_eq!(at("c.vmdk"), None);
        assert_eq!(at(""), None);
    }

    #[test]
    fn windows_paths_are_found_by_their_tail() {
        let store = store(&[
            "/v/clone/clone.vmx",
            "/v/Base/disk.vmdk",
            "/v/clone/own.vmdk",
        ]);
        let at = |name| found(&store, "/v/clone", name);
        assert_eq!(
            at("D:\\VMs\\base\\disk.vmdk"),
            Some(("/v/Base/disk.vmdk".into(), How::Moved))
        );
        assert_eq!(
            at("D:\\VMs\\clone\\own.vmdk"),
            Some(("/v/clone/own.vmdk".into(), How::Moved))
        );
        assert_eq!(at("D:\\VMs\\base\\gone.vmdk"), None);
    }

    #[test]
    fn names_that_differ_by_case_only_are_not_guessed() {
        let store = store(&["/v/a.vmdk", "/v/A.vmdk"]);
        assert_eq!(found(&store, "/v", "a.VMDK"), None);
        assert!(found(&store, "/v", "A.vmdk").is_some());
    }

    #[test]
    fn folders_are_found_as_files_are() {
        let store = store(&["/v/clone/clone.vmx", "/v/Base/disk.vmdk"]);
        let dir = Path::new("/v/clone");
        let at = |name| resolve_folder(&store, dir, name);
        assert_eq!(at("."), Some("/v/clone".into()));
        assert_eq!(at("D:\\VMs\\base"), Some("/v/Base".into()));
        assert_eq!(at("clone.vmx"), None);
    }

    #[test]
    fn missing_files_have_a_place_on_this_host() {
        let dir = Path::new("/v/a");
        assert_eq!(place_of(dir, "..\\img\\x.img"), Path::new("/v/img/x.img"));
        assert_eq!(place_of(dir, "./x.img"), Path::new("/v/a/x.img"));
        assert_eq!(place_of(dir, "/i/x.img"), Path::new("/i/x.img"));
    }

    #[test]
    fn windows_paths_are_recognised() {
        assert!(is_windows_path("d:\\x") && is_windows_path("\\\\host\\x"));
        assert!(!is_windows_path("/x") && !is_windows_path("x:y"));
        assert_eq!(last_part("D:\\x\\y.vmdk"), "y.vmdk");
    }

    #[test]
    fn companion_is_found_in_other_case() {
        let store = store(&["/v/Web.vmx", "/v/web.VMSD"]);
        let vmsd = beside(&store, Path::new("/v/Web.vmx"), "vmsd");
        assert_eq!(vmsd, Path::new("/v/web.VMSD"));
    }
}
