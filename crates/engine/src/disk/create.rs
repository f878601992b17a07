//! New disks: empty ones, and children that stand on a parent.

use std::path::{Path, PathBuf};

use super::DiskFormat;
use super::chain::Chain;
use super::files::Made;
use super::geometry::{self, Ddb};
use super::link::{Link, MAX_SECTORS};
use super::sparse_file;
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::sparse::{Layout, MAX_CAPACITY};
use crate::format::vmdk::{CreateType, NEVER_WRITTEN, NewDescriptor, NewExtent, SECTOR};
use crate::store::{self, Bytes, Store, folder_of};

/// An empty disk to be made.
#[derive(Clone, Debug)]
pub struct NewDisk {
    /// The descriptor file, `NAME.vmdk`; the extents stand beside it. One that holds all of the disk may
    /// have any name.
    pub path: PathBuf,
    /// How the data is laid out.
    pub create_type: CreateType,
    /// Whether a flat disk takes all its space now.
    pub preallocated: bool,
    /// Capacity in sectors.
    pub sectors: u64,
    /// The most sectors in one extent of a split disk; `None` takes VMware's number.
    pub cut: Option<u64>,
    /// `ide`, `buslogic` or `lsilogic`.
    pub adapter: String,
    /// `virtualHW.version` of the VM.
    pub hardware_version: u32,
    /// `ddb.uuid`, if it is to have one.
    pub uuid: Option<String>,
}

/// Makes an empty disk and returns its files, the descriptor first.
///
/// Everything is durable but the names: the caller syncs the folder.
///
/// # Errors
/// `Argument` for an impossible capacity; `FileExists`; what the system says. No file is left.
pub fn create(store: &dyn Store, disk: &NewDisk) -> Result<Vec<PathBuf>> {
    if disk.sectors == 0 || disk.sectors > MAX_SECTORS {
        let text = format!(
            "{} cannot have {} sectors",
            quoted(&disk.path),
            disk.sectors
        );
        return Err(Error::new(Kind::Argument, text).at(&disk.path));
    }
    let mut ddb = geometry::of_new_disk(disk.sectors, &disk.adapter, disk.hardware_version);
    let random = rand::random::<u128>() >> 32;
    ddb.insert(
        "ddb.longContentID".into(),
        format!("{random:024x}{NEVER_WRITTEN:08x}"),
    );
    if let Some(uuid) = &disk.uuid {
        ddb.insert("ddb.uuid".into(), uuid.clone());
    }
    let blank = Blank {
        path: &disk.path,
        create_type: disk.create_type,
        preallocated: disk.preallocated,
        cut: new_cut(disk),
        cid: NEVER_WRITTEN,
        parent: None,
        ddb,
    };
    blank.make(store)
}

/// Makes a child of `chain` at `path` and returns its files, the descriptor first.
///
/// `hint` is the text by which the child names its parent: a bare name in the same folder, else an
/// absolute path. The child is sparse, has the parent's cut if that is split, and starts with its
/// parent's content id: the content is the same until the first write. Everything is durable but
/// the names: the caller syncs the folder.
///
/// # Errors
/// `DiskNeedsRepair` where a parent was not closed cleanly; `FileName` for a hint that no reader
/// takes; `FileExists`; what the system says. No file is left.
pub fn create_child(
    store: &dyn Store,
    chain: &Chain,
    path: &Path,
    hint: &str,
) -> Result<Vec<PathBuf>> {
    chain.require_clean()?;
    let (create_type, cut) = child_cut(chain);
    let mut ddb = geometry::of_child(chain);
    if let Some(long) = chain.long_content_id() {
        ddb.insert("ddb.longContentID".into(), long);
    }
    let cid = chain.top().cid();
    let blank = Blank {
        path,
        create_type,
        preallocated: false,
        cut,
        cid,
        parent: Some((hint, cid)),
        ddb,
    };
    blank.make(store)
}

/// Returns type and extent lengths of a child: those of its parent where they can be.
fn child_cut(chain: &Chain) -> (CreateType, Vec<u64>) {
    let parent = chain.top();
    let create_type = parent.create_type().of_child();
    let same = same_cut(create_type, parent);
    if same.iter().all(|sectors| *sectors <= MAX_CAPACITY) {
        return (create_type, same);
    }
    // A flat file may be larger than any sparse one.
    let split = CreateType::SplitSparse;
    (split, cut(parent.sectors(), split.usual_cut()))
}

/// Returns the extent lengths of a disk of type `create_type` that is cut as `link` is: only the extents of a
/// split type have names for more than one, whatever others wrote.
pub(super) fn same_cut(create_type: CreateType, link: &Link) -> Vec<u64> {
    if !create_type.is_split() {
        return vec![link.sectors()];
    }
    let extents = link.extents().iter();
    extents.map(|extent| extent.sectors).collect()
}

fn new_cut(disk: &NewDisk) -> Vec<u64> {
    let piece = match disk.cut {
        Some(sectors) if disk.create_type.is_split() => sectors.max(1),
        _ => disk.create_type.usual_cut(),
    };
    cut(disk.sectors, piece)
}

/// Returns a new long content id that belongs to `cid`: its last digits are the short one.
pub(super) fn long_content_id(cid: u32) -> String {
    format!("{:024x}{cid:08x}", rand::random::<u128>() >> 32)
}

/// Cuts `sectors` into pieces of at most `piece`.
pub(super) fn cut(sectors: u64, piece: u64) -> Vec<u64> {
    let mut pieces = Vec::new();
    let mut left = sectors;
    while left > 0 {
        let next = left.min(piece);
        pieces.push(next);
        left -= next;
    }
    pieces
}

/// A disk without data, as its files will be.
pub(super) struct Blank<'a> {
    /// The descriptor file.
    pub path: &'a Path,
    /// How the data is laid out.
    pub create_type: CreateType,
    /// Whether flat extents take all their space now.
    pub preallocated: bool,
    /// Sectors of each extent.
    pub cut: Vec<u64>,
    /// Content id.
    pub cid: u32,
    /// Hint and content id of the parent.
    pub parent: Option<(&'a str, u32)>,
    /// Disk data base.
    pub ddb: Ddb,
}

/// The file of a new extent, still without data.
pub(super) enum NewFile {
    /// Raw.
    Flat(Box<dyn Bytes>),
    /// Sparse, with its tables where the layout says.
    Sparse(Box<dyn Bytes>, Layout),
}

impl DiskFormat {
    /// Returns the create type, and whether the space is taken at once.
    pub(crate) fn parts(self) -> (CreateType, bool) {
        match self {
            Self::MonolithicSparse => (CreateType::MonolithicSparse, false),
            Self::SplitSparse => (CreateType::SplitSparse, false),
            Self::MonolithicFlat => (CreateType::MonolithicFlat, true),
            Self::SplitFlat => (CreateType::SplitFlat, true),
            Self::VmfsThick => (CreateType::Vmfs, true),
            Self::VmfsThin => (CreateType::Vmfs, false),
            Self::StreamOptimized { .. } => (CreateType::StreamOptimized, false),
        }
    }
}

impl Blank<'_> {
    /// Makes the disk without data, durable, and returns its files, the descriptor first.
    fn make(&self, store: &dyn Store) -> Result<Vec<PathBuf>> {
        let mut made = Made::new(store);
        for extent in self.extents()? {
            self.make_extent(&mut made, store, &extent)?;
        }
        self.complete(made, store)
    }

    /// Makes one extent, not yet durable; an embedded descriptor is in its place.
    pub fn make_extent(
        &self,
        made: &mut Made<'_>,
        store: &dyn Store,
        extent: &NewExtent,
    ) -> Result<NewFile> {
        let path = folder_of(self.path).join(&extent.file);
        if let Some(why) = self.unmade() {
            let text = format!("{} cannot be made: {why}", quoted(&path));
            return Err(Error::new(Kind::Argument, text).at(&path));
        }
        if !self.create_type.is_sparse() {
            let file = store.create(&path)?;
            made.add(path);
            let len = extent.sectors * SECTOR;
            if self.preallocated {
                file.allocate(len)?;
            } else {
                file.set_len(len)?;
            }
            return Ok(NewFile::Flat(file));
        }
        let embeds = self.create_type.embeds_descriptor();
        let layout = Layout::new(extent.sectors, embeds)
            .map_err(|fault| fault.in_file(Kind::Argument, &path))?;
        let file = sparse_file::create(store, &path, &layout, || made.add(path.clone()))?;
        if embeds {
            sparse_file::write_descriptor(file.as_ref(), &path, &self.text()?)?;
        }
        Ok(NewFile::Sparse(file, layout))
    }

    /// Says why a disk of this type is not made without data, or not at all.
    fn unmade(&self) -> Option<&'static str> {
        match self.create_type {
            CreateType::StreamOptimized => Some("nothing could be written to a stream later"),
            CreateType::VmfsSparse | CreateType::SeSparse => {
                Some("disks of ESXi's snapshots are only read")
            }
            _ => None,
        }
    }

    /// Makes the file of a stream with its descriptor, not yet durable.
    pub fn make_stream(&self, made: &mut Made<'_>, store: &dyn Store) -> Result<Box<dyn Bytes>> {
        let file = store.create(self.path)?;
        made.add(self.path.to_path_buf());
        sparse_file::write_descriptor(file.as_ref(), self.path, &self.text()?)?;
        Ok(file)
    }

    /// Makes the extents durable, then the descriptor; returns all files, the descriptor first.
    pub fn complete(&self, made: Made<'_>, store: &dyn Store) -> Result<Vec<PathBuf>> {
        made.sync()?;
        if self.create_type.embeds_descriptor() {
            return Ok(made.keep());
        }
        store::write_new(store, self.path, &self.text()?)?;
        let mut files = made.keep();
        files.insert(0, self.path.to_path_buf());
        Ok(files)
    }

    fn text(&self) -> Result<Vec<u8>> {
        let mut ddb = self.ddb.clone();
        if self.create_type == CreateType::Vmfs && !self.preallocated {
            ddb.insert("ddb.thinProvisioned".into(), "1".into());
        }
        let descriptor = NewDescriptor {
            create_type: self.create_type,
            cid: self.cid,
            parent: self.parent,
            extents: self.extents()?,
            ddb,
        };
        descriptor
            .to_bytes()
            .map_err(|fault| fault.in_file(Kind::FileName, self.path))
    }

    /// Returns the extents with the names that VMware gives them.
    ///
    /// # Errors
    /// `FileName` where the disk has no usable name.
    pub fn extents(&self) -> Result<Vec<NewExtent>> {
        let is_alone = self.create_type.embeds_descriptor();
        // A file that holds all of the disk may be called anything.
        let stem = if is_alone { file_name } else { stem };
        let stem = stem(self.path)?;
        let name = |i: usize| match self.create_type {
            CreateType::MonolithicFlat | CreateType::Vmfs => format!("{stem}-flat.vmdk"),
            CreateType::SplitSparse => format!("{stem}-s{i:03}.vmdk"),
            CreateType::SplitFlat => format!("{stem}-f{i:03}.vmdk"),
            CreateType::MonolithicSparse | CreateType::StreamOptimized => stem.to_owned(),
            CreateType::VmfsSparse | CreateType::SeSparse | CreateType::Custom => {
                format!("{stem}.vmdk")
            }
        };
        let extent = |(i, sectors): (usize, &u64)| NewExtent {
            sectors: *sectors,
            file: name(i + 1),
        };
        Ok(self.cut.iter().enumerate().map(extent).collect())
    }
}

/// Returns the name of a disk's file, which stands in its descriptor.
fn file_name(path: &Path) -> Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| {
        let text = format!("{} is no name for a disk: it must be text", quoted(path));
        Error::new(Kind::FileName, text).at(path)
    })
}

/// Returns the name of a disk without `.vmdk`.
pub(super) fn stem(path: &Path) -> Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_suffix(".vmdk"))
        .filter(|stem| !stem.is_empty())
        .ok_or_else(|| {
            let text = format!(
                "{} is no name for a disk: it must end in .vmdk",
                quoted(path)
            );
            Error::new(Kind::FileName, text).at(path)
        })
}
