//! Where VMs are and clones go: what a path on the command line stands for.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use replix::snapshot::SnapshotRef;
use replix::{Error, Kind};

use super::failure::Failure;

/// Returns `word` with the working directory before it, where it does not begin at the root.
///
/// # Errors
/// It is empty, or there is no working directory.
pub(super) fn absolute(word: &Path) -> Result<PathBuf, Failure> {
    let path = std::path::absolute(word);
    Ok(path.map_err(|source| Error::io("find", word, source).as_kind(Kind::FileName))?)
}

/// Returns the `.vmx` that `word` stands for: itself, or in a folder the one that is named as the
/// folder or is the only one there.
pub(super) fn vmx(word: &Path) -> PathBuf {
    if !word.is_dir() {
        return word.to_path_buf();
    }
    let named = std::path::absolute(word)
        .ok()
        .and_then(|folder| Some(word.join(vmx_name(folder.file_name()?))));
    if let Some(named) = named.filter(|path| path.is_file()) {
        return named;
    }
    match all_vmx(word).as_slice() {
        [only] => only.clone(),
        _ => word.to_path_buf(),
    }
}

fn all_vmx(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    files.filter(|path| is_vmx(path)).collect()
}

/// Returns the paths of `count` clones whose destination is given as `word`, absolute.
///
/// `DIR/NAME.vmx` is itself; `DIR/NAME` is a folder and stands for `DIR/NAME/NAME.vmx`. Several
/// clones get a folder each: `DIR/NAME-1/NAME-1.vmx` and on, however the destination is given. A folder
/// `NAME.vmwarevm` is a bundle of VMware Fusion, and holds `NAME.vmx`.
///
/// # Errors
/// The path ends in no name.
pub(super) fn clones(word: &Path, count: u32) -> Result<Vec<PathBuf>, Failure> {
    let path = absolute(word)?;
    let name = if is_vmx(&path) {
        path.file_stem()
    } else {
        path.file_name()
    };
    let nameless = || Failure::usage("the destination must end in the name of a folder or a .vmx");
    let (name, folder) = name.zip(path.parent()).ok_or_else(nameless)?;
    Ok(match count {
        1 if is_vmx(&path) => vec![path.clone()],
        1 => vec![in_own_folder(folder, name)],
        _ => (1..=count)
            .map(|number| in_own_folder(folder, &numbered(name, number)))
            .collect(),
    })
}

/// Returns the name of one of several: `NAME-1`, of a bundle `NAME-1.vmwarevm`.
pub(super) fn numbered(name: &OsStr, number: u32) -> OsString {
    let (mut numbered, bundle) = (without_bundle(name).to_os_string(), bundle_ending(name));
    numbered.push(format!("-{number}"));
    if let Some(ending) = bundle {
        numbered.push(".");
        numbered.push(ending);
    }
    numbered
}

/// Returns the snapshot that `word` stands for: `#2` is a number, all else a name or path.
pub(super) fn snapshot(word: &str) -> SnapshotRef {
    let number = word
        .strip_prefix('#')
        .and_then(|digits| digits.parse().ok());
    match number {
        Some(uid) => SnapshotRef::Uid(uid),
        None => SnapshotRef::Name(word.to_string()),
    }
}

fn in_own_folder(folder: &Path, name: &OsStr) -> PathBuf {
    folder.join(name).join(vmx_name(name))
}

/// Returns what the `.vmx` in the folder `name` is called.
fn vmx_name(name: &OsStr) -> OsString {
    let mut name = without_bundle(name).to_os_string();
    name.push(".vmx");
    name
}

fn without_bundle(name: &OsStr) -> &OsStr {
    let stem = bundle_ending(name).and_then(|_| Path::new(name).file_stem());
    stem.unwrap_or(name)
}

/// Returns the ending of a folder that is a bundle of VMware Fusion, as it is written.
fn bundle_ending(name: &OsStr) -> Option<&OsStr> {
    let ending = Path::new(name).extension();
    ending.filter(|ending| ending.eq_ignore_ascii_case("vmwarevm"))
}

fn is_vmx(path: &Path) -> bool {
    let suffix = path.extension().unwrap_or_default();
    suffix.eq_ignore_ascii_case("vmx")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(word: &str, count: u32) -> Vec<String> {
        let paths = clones(Path::new(word), count).unwrap_or_else(|_| panic!("{word} is refused"));
        paths
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn one_clone_may_be_a_file_or_a_folder() {
        assert_eq!(of("/c/web1", 1), ["/c/web1/web1.vmx"]);
        assert_eq!(of("/c/web1/", 1), ["/c/web1/web1.vmx"]);
        assert_eq!(of("/c/web.1", 1), ["/c/web.1/web.1.vmx"]);
        assert_eq!(of("/c/a/b.VMX", 1), ["/c/a/b.VMX"]);
    }

    #[test]
    fn bundle_of_fusion_holds_the_vm_of_its_name() {
        assert_eq!(of("/c/a b.vmwarevm", 1), ["/c/a b.vmwarevm/a b.vmx"]);
        assert_eq!(of("/c/a.1.VMwareVM/", 1), ["/c/a.1.VMwareVM/a.1.vmx"]);
        let second = &of("/c/a.vmwarevm", 2)[1];
        assert_eq!(second, "/c/a-2.vmwarevm/a-2.vmx");
        assert_eq!(of("/c/.vmwarevm", 1), ["/c/.vmwarevm/.vmwarevm.vmx"]);
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("web.vmwarevm");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("old.vmx"), "").unwrap();
        std::fs::write(folder.join("web.vmx"), "").unwrap();
        assert_eq!(vmx(&folder), folder.join("web.vmx"));
    }

    #[test]
    fn several_clones_get_a_folder_each() {
        let two = ["/c/web-1/web-1.vmx", "/c/web-2/web-2.vmx"];
        assert_eq!(of("/c/web", 2), two);
        assert_eq!(of("/c/web.vmx", 2), two);
    }

    #[test]
    fn destination_without_a_name_is_refused() {
        assert!(clones(Path::new("/"), 1).is_err());
        assert!(clones(Path::new(".."), 1).is_err());
    }

    #[test]
    fn snapshots_are_named_or_numbered() {
        assert_eq!(snapshot("#12"), SnapshotRef::Uid(12));
        assert_eq!(snapshot("#x"), SnapshotRef::Name("#x".into()));
        assert_eq!(snapshot("a/b"), SnapshotRef::Name("a/b".into()));
    }

    #[test]
    fn folder_stands_for_its_vm() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("web");
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(vmx(&folder), folder);
        std::fs::write(folder.join("old.vmx"), "").unwrap();
        assert_eq!(vmx(&folder), folder.join("old.vmx"));
        std::fs::write(folder.join("web.vmx"), "").unwrap();
        assert_eq!(vmx(&folder), folder.join("web.vmx"));
    }
}
