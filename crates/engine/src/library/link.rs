//! What is known of each disk link of a library, once it has been opened and let go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::walk::Folder;
use crate::disk::{Link, Opener, check_alone};
use crate::error::Result;
use crate::format::vmdk::descriptor::{Descriptor, MAX_BYTES};
use crate::job::Job;
use crate::store::{Store, folder_of, read_small};
use crate::vm::lock::{Life, holders};
use crate::vm::{Env, files};

/// A link.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    /// Its descriptor, by its true path.
    pub(super) path: PathBuf,
    /// Content id.
    pub(super) cid: u32,
    /// The content id that its parent must have, if it has one.
    pub(super) parent_cid: Option<u32>,
    /// The parent as written.
    pub(super) hint: Option<String>,
    /// Capacity.
    pub(super) sectors: u64,
    /// Its files, the descriptor first.
    pub(super) files: Vec<PathBuf>,
    /// Space that they take.
    pub(super) bytes: u64,
    /// Damage that its tables show.
    pub(super) damage: Vec<String>,
}

impl Fact {
    pub(super) fn of(store: &dyn Store, link: &Link) -> Self {
        Self {
            path: link.path().to_path_buf(),
            cid: link.cid(),
            parent_cid: link.has_parent().then(|| link.descriptor().parent_cid()),
            hint: link.descriptor().parent_hint(),
            sectors: link.sectors(),
            files: link.files(),
            bytes: link.allocated_bytes(store).unwrap_or(0),
            damage: Vec::new(),
        }
    }
}

/// The links of a library, by the true paths of their descriptors.
#[derive(Default)]
pub(super) struct Links {
    /// Those that could be opened.
    pub(super) open: BTreeMap<PathBuf, Fact>,
    /// The files that descriptors name which could not be opened, and these.
    pub(super) broken: BTreeMap<PathBuf, Vec<PathBuf>>,
}

impl Links {
    /// Opens each disk in `folders` by itself, and follows its tables where nobody writes to it.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(super) fn of(env: &Env, folders: &[Folder], job: &Job) -> Result<Self> {
        let mut links = Self::default();
        for (at, folder) in folders.iter().enumerate() {
            job.phase(format!(
                "looking at disks, folder {} of {}",
                at + 1,
                folders.len()
            ));
            let mut disks = folder.with_ending("vmdk").peekable();
            if disks.peek().is_none() {
                continue;
            }
            let Ok(opener) = env.opener_in(&folder.dir, Vec::new()) else {
                continue;
            };
            for path in disks {
                job.check()?;
                links.add(env, &opener, &path, job)?;
            }
        }
        Ok(links)
    }

    fn add(&mut self, env: &Env, opener: &Opener, path: &Path, job: &Job) -> Result<()> {
        let store = &*env.store;
        let Ok(link) = opener.open_link(path) else {
            if let Some(files) = named_files(store, path) {
                self.broken.insert(path.to_path_buf(), files);
            }
            return Ok(());
        };
        let mut fact = Fact::of(store, &link);
        if !is_in_use(store, &fact) {
            // What cannot be read at all is damage as well.
            fact.damage = match check_alone(&link, job) {
                Ok(report) => report.errors,
                Err(error) => {
                    job.check()?;
                    vec![error.to_string()]
                }
            };
        }
        self.open.insert(fact.path.clone(), fact);
        Ok(())
    }
}

/// The files that a descriptor names which is all there while one of them is not.
fn named_files(store: &dyn Store, path: &Path) -> Option<Vec<PathBuf>> {
    let bytes = read_small(store, path, MAX_BYTES).ok()?;
    let descriptor = Descriptor::parse(&bytes).ok()?;
    let names = descriptor.extent_names().into_iter().flatten();
    let place = |name: Vec<u8>| files::join(folder_of(path), &String::from_utf8_lossy(&name));
    Some(names.map(place).collect())
}

/// Tells whether some process may be changing the link.
fn is_in_use(store: &dyn Store, fact: &Fact) -> bool {
    let is_locked = |file: &PathBuf| {
        let mut holders = holders(store, file).into_iter();
        holders.any(|holder| holder.life == Life::Lives)
    };
    let mut files = fact.files.iter();
    files.any(|file| is_locked(file) || store.is_written(file).unwrap_or(true))
}
