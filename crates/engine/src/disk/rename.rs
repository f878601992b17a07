//! Giving a disk another name: its descriptor, its extents, and the hints of what stands on it.
//!
//! The files get their new names beside the old ones, which go last: at any moment the disk is whole
//! under one of the two. One that was cut off is finished by doing it again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::chain::Opener;
use super::create::stem;
use super::edit;
use super::files::Made;
use super::link::Link;
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::Descriptor;
use crate::store::{Store, folder_of, read_small, replace, write_new};

/// Renames the disk at `path` to `to`, in the same folder; `children` are all that stand on it.
///
/// The caller guarantees that nobody uses any of them.
///
/// # Errors
/// Those of [`Opener::open_link`]; `FileName`; `Argument` for another folder; `FileExists`;
/// `NotSupported` where the file system gives no file two names. All is as it was then.
pub fn rename(opener: &Opener, path: &Path, to: &Path, children: &[Link]) -> Result<()> {
    let link = opener.open_link(path)?;
    let store = opener.store().as_ref();
    let renaming = Renaming::new(&link, to)?;
    let mut made = Made::new(store);
    let mut was_cut_off = false;
    for (from, to) in &renaming.files {
        was_cut_off |= !give_name(store, from, to)?;
        made.add(to.clone());
    }
    if link.embedded().is_some() {
        edit::change(store, &opener.open_link(to)?, |descriptor| {
            descriptor.set_extent_files(&renaming.names)
        })?;
    } else {
        let text = renaming.descriptor(&link)?;
        match was_cut_off {
            true => finish_text(store, to, text.as_bytes())?,
            false => write_new(store, to, text.as_bytes())?,
        }
        made.add(to.to_path_buf());
    }
    store.sync_dir(folder_of(to))?;
    hang(store, children, to)?;
    made.keep();
    // The one with the descriptor first: without it, the others are nobody's second names.
    let extents = renaming.files.iter().map(|(from, _)| from.as_path());
    let extents = extents.filter(|from| *from != link.path());
    for file in [link.path()].into_iter().chain(extents) {
        store.remove_file(file)?;
    }
    store.sync_dir(folder_of(to))
}

/// The new names of a disk's files.
struct Renaming {
    /// Files with their new paths, each once; the descriptor only where it is in an extent.
    files: Vec<(PathBuf, PathBuf)>,
    /// For each extent line the name that it gets, if it gets another.
    names: Vec<Option<String>>,
    to: PathBuf,
}

impl Renaming {
    fn new(link: &Link, to: &Path) -> Result<Self> {
        let folder = folder_of(link.path());
        if folder_of(to) != folder {
            let text = format!(
                "{} is renamed within its folder {}, not to {}",
                quoted(link.path()),
                quoted(folder),
                quoted(to)
            );
            let hint = "move all files of the disk there together, and rename it then";
            return Err(Error::new(Kind::Argument, text).at(to).hint(hint));
        }
        let (old_stem, new_stem) = (stem(link.path())?, stem(to)?);
        let mut renaming = Self {
            files: Vec::new(),
            names: Vec::new(),
            to: to.to_path_buf(),
        };
        let lines = link.descriptor().extents();
        let mut seen = HashSet::new();
        let lines = lines.map_err(|fault| fault.in_file(Kind::DiskInvalid, link.path()))?;
        for (line, extent) in lines.iter().zip(link.extents()) {
            let path = link.extent_path(extent);
            let name = path.file_name().and_then(|name| name.to_str());
            let is_own = line.file.is_some() && folder_of(&path) == folder;
            let rest = name.filter(|_| is_own).and_then(|name| {
                let rest = name.strip_prefix(old_stem)?;
                (rest.starts_with('-') || rest == ".vmdk").then_some(rest)
            });
            let new = rest.map(|rest| format!("{new_stem}{rest}"));
            // A file may hold several parts of the disk.
            if let Some(new) = &new
                && seen.insert(path.clone())
            {
                renaming.files.push((path.to_path_buf(), folder.join(new)));
            }
            renaming.names.push(new);
        }
        Ok(renaming)
    }

    fn descriptor(&self, link: &Link) -> Result<Descriptor> {
        let mut descriptor = link.descriptor().clone();
        let set = descriptor.set_extent_files(&self.names);
        set.map_err(|fault| fault.in_file(Kind::FileName, &self.to))?;
        Ok(descriptor)
    }
}

/// Gives a file a second name; tells whether it had not got it from a renaming that was cut off.
fn give_name(store: &dyn Store, from: &Path, to: &Path) -> Result<bool> {
    match store.link(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == Kind::NotSupported => {
            let text = format!("{} cannot have two names: {error}", quoted(from));
            Err(Error::new(Kind::NotSupported, text).at(from))
        }
        Err(error) if error.kind() == Kind::FileExists => match is_same(store, from, to)? {
            true => Ok(false),
            false => {
                let text = format!("{} is there already", quoted(to));
                Err(Error::new(Kind::FileExists, text).at(to))
            }
        },
        Err(error) => Err(error),
    }
}

/// Tells whether two names are one file's.
fn is_same(store: &dyn Store, one: &Path, other: &Path) -> Result<bool> {
    Ok(store.meta(one)?.stamp == store.meta(other)?.stamp)
}

/// Writes the text of a renaming that was cut off, of which a beginning may be there.
fn finish_text(store: &dyn Store, path: &Path, bytes: &[u8]) -> Result<()> {
    match write_new(store, path, bytes) {
        Err(error) if error.kind() == Kind::FileExists => {
            let found = read_small(store, path, bytes.len() as u64).ok();
            found
                .filter(|found| bytes.starts_with(found))
                .map_or(Err(error), |_| replace(store, path, bytes))
        }
        written => written,
    }
}

/// Lets each child name the disk at `to` as its parent, or none of them.
fn hang(store: &dyn Store, children: &[Link], to: &Path) -> Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    for (i, child) in children.iter().enumerate() {
        let hint = child.descriptor().parent_hint().unwrap_or_default();
        let folder = hint.rfind(['/', '\\']).map_or("", |at| &hint[..=at]);
        let new = format!("{folder}{name}");
        let cid = child.descriptor().parent_cid();
        if let Err(error) = edit::relink(store, child, &new, cid) {
            for done in &children[..i] {
                let old = done.descriptor().parent_hint().unwrap_or_default();
                let cid = done.descriptor().parent_cid();
                // The error that brought us here matters more than this one.
                let _ = edit::change(store, done, |descriptor| descriptor.set_parent(&old, cid));
            }
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{NewDisk, Places, check, create, create_child};
    use super::*;
    use crate::format::vmdk::CreateType;
    use crate::job::Job;
    use crate::store::Mem;

    const OLD: &str = "/vm/d.vmdk";
    const NEW: &str = "/vm/new name.vmdk";
    const CHILD: &str = "/vm/c.vmdk";

    fn opener(mem: &Mem) -> Opener {
        let places = Places::of(mem, Path::new("/vm")).unwrap();
        Opener::new(Arc::new(mem.clone()), places)
    }

    fn disk(create_type: CreateType) -> Mem {
        let mem = Mem::new();
        mem.create_dir(Path::new("/vm")).unwrap();
        let new = NewDisk {
            path: OLD.into(),
            create_type,
            preallocated: false,
            sectors: 2000,
            cut: Some(900),
            adapter: "ide".into(),
            hardware_version: 16,
            uuid: None,
        };
        create(&mem, &new).unwrap();
        let chain = opener(&mem).open(Path::new(OLD)).unwrap();
        create_child(&mem, &chain, Path::new(CHILD), "d.vmdk").unwrap();
        mem
    }

    fn run(mem: &Mem) -> Result<()> {
        let opener = opener(mem);
        let child = opener.open_link(Path::new(CHILD))?;
        rename(&opener, Path::new(OLD), Path::new(NEW), &[child])
    }

    #[test]
    fn renaming_that_is_cut_off_anywhere_leaves_a_whole_disk() {
        for create_type in [
            CreateType::MonolithicSparse,
            CreateType::MonolithicFlat,
            CreateType::SplitSparse,
            CreateType::SplitFlat,
        ] {
            let mut changes = 0;
            loop {
                let mem = disk(create_type);
                mem.limit_changes(Some(changes));
                let done = run(&mem);
                mem.limit_changes(None);
                let found = check(&opener(&mem), Path::new(CHILD), &Job::new()).unwrap();
                assert_eq!(found.errors, [""; 0], "{create_type:?} {changes}");
                if mem.exists(Path::new(OLD)) {
                    run(&mem).unwrap();
                    assert!(!mem.exists(Path::new(OLD)), "{create_type:?} {changes}");
                }
                if done.is_ok() {
                    break;
                }
                changes += 1;
            }
            assert!(changes > 3, "{changes}");
        }
    }

    #[test]
    fn all_files_have_the_new_name() {
        let mem = disk(CreateType::SplitSparse);
        run(&mem).unwrap();
        let names = mem.list(Path::new("/vm")).unwrap().into_iter();
        let names: Vec<_> = names
            .map(|entry| entry.name.into_string().unwrap())
            .collect();
        assert!(names.iter().all(|name| !name.starts_with('d')), "{names:?}");
        let child = opener(&mem).open(Path::new(CHILD)).unwrap();
        assert_eq!(child.base().path(), Path::new(NEW));
        let found = check(&opener(&mem), Path::new(NEW), &Job::new()).unwrap();
        assert_eq!((found.errors, found.notes), (vec![], vec![]));
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        let mem = disk(CreateType::MonolithicSparse);
        for (to, kind) in [
            ("/other/d.vmdk", Kind::Argument),
            ("/vm/d.raw", Kind::FileName),
            ("/vm/a\"b.vmdk", Kind::FileName),
            (CHILD, Kind::FileExists),
        ] {
            let error = rename(&opener(&mem), Path::new(OLD), Path::new(to), &[]).unwrap_err();
            assert_eq!(error.kind(), kind, "{to}: {error}");
            assert_eq!(mem.list(Path::new("/vm")).unwrap().len(), 2, "{to}");
        }
    }
}
