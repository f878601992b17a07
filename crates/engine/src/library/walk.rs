//! The files below some folders. Links are not followed: what lies behind one is not in the library.

use std::path::{Path, PathBuf};

use super::{Finding, Trouble};
use crate::error::{Result, quoted};
use crate::job::Job;
use crate::store::{Entry, FileKind, Store, UNFINISHED, folder_of};

/// Folders within folders are looked into this deep.
const MAX_DEPTH: usize = 32;

/// No more folders are looked into.
const MAX_FOLDERS: usize = 200_000;

/// A folder with what is in it.
pub(super) struct Folder {
    /// Its true path.
    pub(super) dir: PathBuf,
    entries: Vec<Entry>,
}

impl Folder {
    /// Returns the regular files in it.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.of_kind(FileKind::File)
    }

    /// Returns the regular files in it whose names end so, whatever the case.
    pub(super) fn with_ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
        self.files().filter(move |path| has_ending(path, ending))
    }

    /// Returns the folders in it.
    pub(super) fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.of_kind(FileKind::Dir)
    }

    fn of_kind(&self, kind: FileKind) -> impl Iterator<Item = PathBuf> {
        let entries = self.entries.iter().filter(move |entry| entry.kind == kind);
        entries.map(|entry| self.dir.join(&entry.name))
    }
}

/// Tells whether the name of a file ends so, whatever the case.
pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|own| own.eq_ignore_ascii_case(ending))
}

/// Tells whether `path` is called as what we have not finished: `.NAME.replix-0123456789abcdef`.
pub(super) fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = name
        .strip_prefix('.')
        .and_then(|rest| Some(rest.rsplit_once(UNFINISHED)?.1));
    unique.is_some_and(|digits| {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        digits.len() == 16 && digits.bytes().all(is_digit)
    })
}

/// Returns the true paths of the folders that `paths` stand for, none within another.
///
/// # Errors
/// `FileNotFound`.
pub(super) fn roots(store: &dyn Store, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut roots = Vec::new();
    for path in paths {
        let real = store.canonical(path)?;
        roots.push(match store.meta(&real)?.kind {
            FileKind::Dir => real,
            _ => folder_of(&real).to_path_buf(),
        });
    }
    roots.sort();
    roots.dedup();
    let all = roots.clone();
    roots.retain(|root| {
        !all.iter()
            .any(|other| other != root && root.starts_with(other))
    });
    Ok(roots)
}

/// Returns the folders in and below `roots`, but those that are locks or unfinished, with what could not
/// be looked at.
///
/// # Errors
/// `Cancelled`.
pub(super) fn walk(
    store: &dyn Store,
    roots: &[PathBuf],
    job: &Job,
) -> Result<(Vec<Folder>, Vec<Finding>)> {
    let mut folders = Vec::new();
    let mut unseen = Vec::new();
    let mut open: Vec<(PathBuf, usize)> = roots.iter().rev().map(|dir| (dir.clone(), 0)).collect();
    while let Some((dir, depth)) = open.pop() {
        job.check()?;
        if depth > MAX_DEPTH || folders.len() >= MAX_FOLDERS {
            let text = format!(
                "{} is not looked into: there are too many folders",
                quoted(&dir)
            );
            unseen.push(
                Finding::note(Trouble::Unseen, &dir, text).cure("look at it by its own name"),
            );
            continue;
        }
        match store.list(&dir) {
            Ok(entries) => {
                let folder = Folder { dir, entries };
                let inner = folder.folders().filter(|dir| is_plain(dir));
                let mut inner: Vec<_> = inner.map(|dir| (dir, depth + 1)).collect();
                inner.reverse();
                open.extend(inner);
                folders.push(folder);
            }
            Err(error) => unseen.push(Finding::note(
                Trouble::Unseen,
                &dir,
                format!("{} could not be looked into: {error}", quoted(&dir)),
            )),
        }
    }
    Ok((folders, unseen))
}

fn is_plain(dir: &Path) -> bool {
    !has_ending(dir, "lck") && !is_unfinished(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, create_dirs};

    #[test]
    fn only_our_own_names_are_unfinished() {
        for (name, expected) in [
            (".a.vmx.replix-0123456789abcdef", true),
            (".a.vmx.replix-0123456789abcde", false),
            (".a.vmx.replix-0123456789ABCDEF", false),
            ("a.vmx.replix-0123456789abcdef", false),
            (".a.replix-x.replix-0123456789abcdef", true),
        ] {
            assert_eq!(
                is_unfinished(&Path::new("/v").join(name)),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn roots_within_roots_are_looked_at_once() {
        let store = Mem::new();
        create_dirs(&store, Path::new("/v/a/deep")).unwrap();
        create_dirs(&store, Path::new("/v/ab")).unwrap();
        let paths = ["/v/a/deep", "/v/ab", "/v/a"].map(PathBuf::from);
        let roots = roots(&store, &paths).unwrap();
        assert_eq!(roots, ["/v/a", "/v/ab"].map(PathBuf::from));
        let (folders, _) = walk(&store, &roots, &Job::new()).unwrap();
        let dirs: Vec<_> = folders.into_iter().map(|folder| folder.dir).collect();
        assert_eq!(dirs, ["/v/a", "/v/a/deep", "/v/ab"].map(PathBuf::from));
    }
}
