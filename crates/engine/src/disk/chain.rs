//! A disk with all its parents: found, opened, and proven to belong together.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::find::{Finder, is_guess, parent_candidates};
use super::link::Link;
use super::packed::LastGrain;
use super::place::Places;
use super::pool::Pool;
use super::tables::Tables;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::format::vmdk::{CreateType, SECTOR};
use crate::store::{Store, folder_of};

/// The most links of a chain.
pub const MAX_DEPTH: usize = 4096;

/// Opens disks for one VM: knows where they may lie.
pub struct Opener {
    store: Arc<dyn Store>,
    places: Places,
    search: Vec<PathBuf>,
}

/// What could be opened of a disk, and why it was not more.
pub struct Survey {
    /// The disk itself first, then its parents as far as they were found.
    pub links: Vec<Link>,
    /// Why the disk cannot be used, if it cannot.
    pub problem: Option<Error>,
    pool: Arc<Pool>,
}

/// A disk: the link that was asked for first, its parents after it, the base last.
pub struct Chain {
    links: Vec<Link>,
    pool: Arc<Pool>,
    pub(super) tables: Tables,
    pub(super) unpacked: LastGrain,
}

impl Opener {
    /// Returns an opener for disks in `places`.
    pub fn new(store: Arc<dyn Store>, places: Places) -> Self {
        Self {
            store,
            places,
            search: Vec::new(),
        }
    }

    /// Looks for missing parents also in `folders`, the VM's `fileSearchPath`.
    ///
    /// They may be relative to the VM's folder, or of another host. Looking there does not allow
    /// what the places do not.
    #[must_use]
    pub fn search(mut self, folders: Vec<PathBuf>) -> Self {
        self.search = folders;
        self
    }

    /// Returns where the files are.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns the folders that the disks may lie in.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Opens the disk at `path` with all its parents.
    ///
    /// # Errors
    /// `FileNotFound`, `Denied`, `DiskInvalid`, `DiskUnsupported` for the disk itself;
    /// `DiskParent`, `DiskChanged`, `DiskCapacity`, `DiskChain` for what it stands on.
    pub fn open(&self, path: &Path) -> Result<Chain> {
        let survey = self.survey(path)?;
        match survey.problem {
            Some(problem) => Err(problem),
            None => Ok(Chain {
                links: survey.links,
                pool: survey.pool,
                tables: Tables::new(),
                unpacked: LastGrain::default(),
            }),
        }
    }

    /// Opens the disk at `path` with as many of its parents as can be had.
    ///
    /// # Errors
    /// Those of [`Opener::open`] about the disk itself.
    pub fn survey(&self, path: &Path) -> Result<Survey> {
        let pool = Arc::new(Pool::new(Arc::clone(&self.store)));
        let top = self.open_top(&pool, path)?;
        let mut seen = HashSet::from([top.path().to_path_buf()]);
        let mut survey = Survey {
            links: vec![top],
            problem: None,
            pool,
        };
        while let Some(child) = survey.links.last().filter(|link| link.has_parent()) {
            match self.open_parent(&survey.pool, child, &seen, survey.links.len()) {
                Ok(parent) => {
                    seen.insert(parent.path().to_path_buf());
                    survey.links.push(parent);
                }
                Err(problem) => {
                    survey.problem = Some(problem);
                    break;
                }
            }
        }
        Ok(survey)
    }

    /// Opens the link at `path` alone, without its parents.
    ///
    /// # Errors
    /// As [`Opener::survey`].
    pub fn open_link(&self, path: &Path) -> Result<Link> {
        self.open_top(&Arc::new(Pool::new(Arc::clone(&self.store))), path)
    }

    /// Checks that the disks of `chain`, which somebody else opened, are found and reached from here too,
    /// once its own link is.
    ///
    /// # Errors
    /// As [`Opener::open`] about what it stands on.
    pub fn require_parents(&self, chain: &Chain) -> Result<()> {
        let mut seen = HashSet::new();
        for (depth, pair) in chain.links().windows(2).enumerate() {
            let [child, parent] = pair else { continue };
            seen.insert(child.path().to_path_buf());
            // A parent beside its child is found there by all.
            if folder_of(child.path()) == folder_of(parent.path()) {
                continue;
            }
            let found = self.open_parent(&chain.pool, child, &seen, depth + 1)?;
            if found.path() != parent.path() {
                let text = format!(
                    "the parent of {} is {}, but would be taken to be {}",
                    quoted(child.path()),
                    quoted(parent.path()),
                    quoted(found.path())
                );
                return Err(Error::new(Kind::DiskParent, text).at(child.path()));
            }
        }
        Ok(())
    }

    fn open_top(&self, pool: &Arc<Pool>, path: &Path) -> Result<Link> {
        let store = self.store.as_ref();
        let found = Finder::new(store)
            .find(path)
            .unwrap_or_else(|| path.to_path_buf());
        Link::open(pool, &self.places, self.places.file(store, &found)?)
    }

    /// Finds the parent of `child`: the first candidate whose content id is the right one.
    fn open_parent(
        &self,
        pool: &Arc<Pool>,
        child: &Link,
        seen: &HashSet<PathBuf>,
        depth: usize,
    ) -> Result<Link> {
        if depth >= MAX_DEPTH {
            let text = format!("{} has more than {MAX_DEPTH} parents", quoted(child.path()));
            return Err(Error::new(Kind::DiskChain, text).at(child.path()));
        }
        let hint = child.descriptor().parent_hint().unwrap_or_default();
        let candidates = parent_candidates(&hint, child.path(), self.places.own(), &self.search);
        let finder = Finder::new(self.store.as_ref());
        let mut first_problem = None;
        for candidate in &candidates {
            let Some(found) = finder.find(candidate) else {
                continue;
            };
            let opened = self
                .open_candidate(pool, child, &found, seen)
                .and_then(|parent| fits(child, &parent).map(|()| parent));
            match opened {
                Ok(parent) => return Ok(parent),
                // A parent elsewhere may well have a name that is used here too.
                Err(problem) if problem.kind() == Kind::DiskChain && is_guess(candidate, &hint) => {
                }
                Err(problem) => first_problem = first_problem.or(Some(problem)),
            }
        }
        Err(first_problem.unwrap_or_else(|| parent_missing(child, &hint, &candidates)))
    }

    fn open_candidate(
        &self,
        pool: &Arc<Pool>,
        child: &Link,
        found: &Path,
        seen: &HashSet<PathBuf>,
    ) -> Result<Link> {
        let path = self
            .places
            .parent(self.store.as_ref(), found, child.path())?;
        if seen.contains(&path) {
            let text = format!(
                "{} names {} as its parent, which stands on it: the parents form a loop",
                quoted(child.path()),
                quoted(&path)
            );
            return Err(Error::new(Kind::DiskChain, text).at(child.path()));
        }
        Link::open(pool, &self.places, path).map_err(|error| match error.kind() {
            Kind::FileNotFound => error.as_kind(Kind::DiskParent),
            _ => error,
        })
    }
}

/// Checks that `parent` is what `child` was made on.
fn fits(child: &Link, parent: &Link) -> Result<()> {
    let (wanted, found) = (child.descriptor().parent_cid(), parent.cid());
    if wanted != found {
        let text = format!(
            "the parent was modified since the child was made: {} has content id {found:08x}, \
             but {} stands on {wanted:08x}",
            quoted(parent.path()),
            quoted(child.path())
        );
        let hint = "put back the parent as it was when the child was made; changing the ids \
                    instead would hide damage";
        return Err(Error::new(Kind::DiskChanged, text)
            .at(child.path())
            .hint(hint));
    }
    if child.sectors() != parent.sectors() {
        let text = format!(
            "{} has {} bytes, but its parent {} has {}",
            quoted(child.path()),
            child.sectors() * SECTOR,
            quoted(parent.path()),
            parent.sectors() * SECTOR
        );
        return Err(Error::new(Kind::DiskCapacity, text).at(child.path()));
    }
    Ok(())
}

fn parent_missing(child: &Link, hint: &str, candidates: &[PathBuf]) -> Error {
    let mut folders: Vec<String> = Vec::new();
    for folder in candidates.iter().map(|path| quoted(folder_of(path))) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let looked = match folders.is_empty() {
        true => "which is no name of a file".into(),
        false => format!("and is not in {}", folders.join(", ")),
    };
    let text = format!(
        "the parent of {} is missing: it is called \"{}\", {looked}",
        quoted(child.path()),
        escaped(hint),
    );
    let hint =
        "put the parent's folder beside this one, or say where it is: replix relink --parent";
    Error::new(Kind::DiskParent, text)
        .at(child.path())
        .hint(hint)
}

impl Chain {
    /// Returns the chain of `links`, whose files are in `pool`.
    pub(super) fn of(links: Vec<Link>, pool: Arc<Pool>) -> Self {
        Self {
            links,
            pool,
            tables: Tables::new(),
            unpacked: LastGrain::default(),
        }
    }

    /// Returns the links: the disk itself first, the base last.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Returns the disk's own link.
    pub fn top(&self) -> &Link {
        &self.links[0]
    }

    /// Returns the link without a parent.
    pub fn base(&self) -> &Link {
        &self.links[self.links.len() - 1]
    }

    /// Returns the disk without its first `links` links, which is another one's parent; at least the
    /// base stays.
    #[must_use]
    pub fn below(mut self, links: usize) -> Self {
        self.links.drain(..links.min(self.links.len() - 1));
        Self {
            links: self.links,
            pool: self.pool,
            tables: Tables::new(),
            unpacked: LastGrain::default(),
        }
    }

    /// Returns the capacity in sectors.
    pub fn sectors(&self) -> u64 {
        self.top().sectors()
    }

    /// Returns the capacity in bytes.
    pub fn capacity_bytes(&self) -> u64 {
        self.sectors() * SECTOR
    }

    /// Returns the create type that the disk was made with: that of its base.
    ///
    /// Above a flat base the links are sparse only because children always are.
    pub fn own_type(&self) -> CreateType {
        self.base().create_type()
    }

    /// Returns the first value of a disk data base key, from the disk towards its base.
    pub fn ddb(&self, key: &str) -> Option<String> {
        self.links
            .iter()
            .find_map(|link| link.descriptor().get(key))
    }

    /// Returns the long content id of the disk's present content, if it is known.
    ///
    /// QEMU changes the short id only, and leaves a long one that no longer belongs to it.
    pub fn long_content_id(&self) -> Option<String> {
        let cid = format!("{:08x}", self.top().cid());
        self.ddb("ddb.longContentID")
            .filter(|long| long.len() == 32 && long.to_ascii_lowercase().ends_with(&cid))
    }

    /// Refuses a disk of which a part was left open by a program that ended unexpectedly.
    ///
    /// # Errors
    /// `DiskNeedsRepair` names the file.
    pub fn require_clean(&self) -> Result<()> {
        let Some(file) = self.links.iter().find_map(Link::unclean) else {
            return Ok(());
        };
        let text = format!(
            "{} was not closed cleanly and needs a repair",
            quoted(&file)
        );
        let hint = "start the VM once in the program that ran it, or check the disk";
        Err(Error::new(Kind::DiskNeedsRepair, text).at(&file).hint(hint))
    }

    /// Says of which files redundant tables were used, as far as the disk was read.
    pub fn spared(&self) -> Vec<String> {
        let mut said: Vec<String> = self.links.iter().flat_map(Link::spared).collect();
        said.extend(self.tables.spared().into_iter().map(|file| {
            let name = quoted(self.pool.path(file));
            format!("{name}: some of its grain tables are damaged; the redundant ones are used")
        }));
        said
    }

    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}
