//! Copying: a disk with all its parents becomes one link, in any layout that is made.
//!
//! What the guest sees is copied in the order of its addresses. Grains of zeros are not written,
//! so that a sparse disk stays sparse, and a flat copy has holes where nothing was.

use std::path::{Path, PathBuf};

use super::chain::Chain;
use super::create::{Blank, NewFile, cut, long_content_id};
use super::files::Made;
use super::geometry;
use super::link::Link;
use super::sparse_file::Writer;
use super::stream::{Stream, USUAL_LEVEL};
use super::window::{GRAIN, Window};
use crate::error::Result;
use crate::format::vmdk::{CreateType, NEVER_WRITTEN, SECTOR};
use crate::job::Job;
use crate::store::{Bytes, Store};

/// The content id of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentId {
    /// That of the source: the content is the same.
    #[default]
    Keep,
    /// A new one.
    Fresh,
}

/// A copy to be made.
#[derive(Clone, Debug)]
pub struct Copy<'a> {
    /// The descriptor file, `NAME.vmdk`; the extents stand beside it.
    pub path: &'a Path,
    /// The layout; `None` keeps that of the source's base.
    pub create_type: Option<CreateType>,
    /// Whether a flat copy takes all its space, holes included.
    pub preallocated: bool,
    /// `ddb.uuid`, if it is to have one.
    pub uuid: Option<String>,
    /// Its content id.
    pub content_id: ContentId,
}

/// What a copy came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The files made, the descriptor first.
    pub files: Vec<PathBuf>,
    /// Bytes of data written to them.
    pub bytes: u64,
}

/// Copies what `chain` reads as to a new disk without a parent.
///
/// The job advances by the bytes read, [`Chain::data_bytes`] in all; announcing them is the
/// caller's. A layout that is kept keeps the base's cut too. Adapter, geometry and the like are
/// carried over, from the link nearest to the guest. All is durable but the names: the caller syncs
/// the folder.
///
/// # Errors
/// `Cancelled`; `Busy` where the source changed meanwhile; `DiskNeedsRepair`; `FileExists`;
/// `NoSpace`; whatever reading the chain says. No file is left.
pub fn copy(store: &dyn Store, chain: &Chain, spec: &Copy<'_>, job: &Job) -> Result<Copied> {
    copy_at(store, chain, spec, USUAL_LEVEL, job)
}

/// Copies what `chain` reads as to a stream of compressed grains, whatever layout `spec` names.
///
/// `level` says how hard it is compressed, one of [`super::LEVELS`]; the same disk gives the same grains,
/// whatever the machine.
///
/// # Errors
/// As [`copy`]; `Argument` for a level that is none, and for a disk of more than 2 TiB.
pub fn export(
    store: &dyn Store,
    chain: &Chain,
    spec: &Copy<'_>,
    level: u8,
    job: &Job,
) -> Result<Copied> {
    let spec = Copy {
        create_type: Some(CreateType::StreamOptimized),
        ..spec.clone()
    };
    copy_at(store, chain, &spec, level, job)
}

fn copy_at(
    store: &dyn Store,
    chain: &Chain,
    spec: &Copy<'_>,
    level: u8,
    job: &Job,
) -> Result<Copied> {
    chain.require_clean()?;
    let blank = blank(chain, spec);
    let copied = match blank.create_type {
        CreateType::StreamOptimized => write_stream(store, chain, &blank, level, job),
        _ => copy_links(store, chain, &blank, job),
    };
    // A source that changed may also look damaged: the change is what matters.
    if let Err(changed) = chain.links().iter().try_for_each(Link::require_unchanged) {
        for file in copied.iter().flat_map(|copied| &copied.files) {
            // Nor does it matter that a file cannot be removed.
            let _ = store.remove_file(file);
        }
        return Err(changed);
    }
    copied
}

fn write_stream(
    store: &dyn Store,
    chain: &Chain,
    blank: &Blank<'_>,
    level: u8,
    job: &Job,
) -> Result<Copied> {
    let mut made = Made::new(store);
    let file = blank.make_stream(&mut made, store)?;
    let stream = Stream {
        chain,
        path: blank.path,
        level,
        threads: None,
    };
    let bytes = stream.write(file.as_ref(), job)?;
    let files = blank.complete(made, store)?;
    Ok(Copied { files, bytes })
}

fn copy_links(store: &dyn Store, chain: &Chain, blank: &Blank<'_>, job: &Job) -> Result<Copied> {
    let mut made = Made::new(store);
    let mut bytes = 0;
    let mut first_sector = 0;
    for extent in blank.extents()? {
        let file = blank.make_extent(&mut made, store, &extent)?;
        let mut target = Target::new(file, extent.sectors);
        copy_extent(chain, first_sector, &mut target, job)?;
        bytes += target.finish()?;
        first_sector += extent.sectors;
    }
    job.check()?;
    let files = blank.complete(made, store)?;
    Ok(Copied { files, bytes })
}

/// Returns the new disk, still without data.
fn blank<'a>(chain: &Chain, spec: &Copy<'a>) -> Blank<'a> {
    let usual = || chain.own_type().of_copy(chain.sectors());
    let create_type = spec.create_type.unwrap_or_else(usual);
    let cut = if create_type == chain.own_type() {
        chain
            .base()
            .extents()
            .iter()
            .map(|extent| extent.sectors)
            .collect()
    } else {
        cut(chain.sectors(), create_type.usual_cut())
    };
    let (cid, long) = match spec.content_id {
        ContentId::Keep => (chain.top().cid(), chain.long_content_id()),
        ContentId::Fresh => (rand::random_range(1..NEVER_WRITTEN), None),
    };
    let mut ddb = geometry::of_copy(chain);
    let long = long.unwrap_or_else(|| long_content_id(cid));
    ddb.insert("ddb.longContentID".into(), long);
    if let Some(uuid) = &spec.uuid {
        ddb.insert("ddb.uuid".into(), uuid.clone());
    }
    Blank {
        path: spec.path,
        create_type,
        preallocated: spec.preallocated,
        cut,
        cid,
        parent: None,
        ddb,
    }
}

/// Copies the part of the disk that begins at `first_sector` to the extent that will hold it.
pub(super) fn copy_extent(
    chain: &Chain,
    first_sector: u64,
    target: &mut Target,
    job: &Job,
) -> Result<()> {
    let mut window = Window::new();
    for run in chain.runs(first_sector, target.sectors) {
        let run = run?;
        if !run.has_data() {
            continue;
        }
        let mut skip = 0;
        while skip < run.sectors {
            let at = run.sector + skip - first_sector;
            if window.room(at) == 0 {
                job.check()?;
                target.write(&mut window)?;
                window.move_to(at);
            }
            let sectors = window.room(at).min(run.sectors - skip);
            window.fill(chain, &run, skip, at, sectors)?;
            job.advance(sectors * SECTOR);
            skip += sectors;
        }
    }
    target.write(&mut window)
}

/// The extent that is being filled.
pub(super) struct Target {
    file: TargetFile,
    sectors: u64,
    written: u64,
}

enum TargetFile {
    Flat(Box<dyn Bytes>),
    Sparse(Writer),
}

impl Target {
    /// Returns the new extent in `file`, of `sectors` sectors.
    pub fn new(file: NewFile, sectors: u64) -> Self {
        let file = match file {
            NewFile::Flat(file) => TargetFile::Flat(file),
            NewFile::Sparse(file, layout) => TargetFile::Sparse(Writer::new(file, layout)),
        };
        Self {
            file,
            sectors,
            written: 0,
        }
    }

    /// Writes what the window holds.
    fn write(&mut self, window: &mut Window) -> Result<()> {
        let len = self.sectors * SECTOR;
        window.for_each_group(|first, bytes| {
            self.written += bytes.len() as u64;
            match &mut self.file {
                TargetFile::Sparse(writer) => writer.append(first, bytes),
                TargetFile::Flat(file) => {
                    // The last grain may reach past the end, which a flat extent does not.
                    let start = first * GRAIN as u64;
                    let inside = (len - start).min(bytes.len() as u64) as usize;
                    file.write_at(&bytes[..inside], start)
                }
            }
        })
    }

    /// Writes what is outstanding; returns the bytes of data written.
    pub fn finish(mut self) -> Result<u64> {
        if let TargetFile::Sparse(writer) = &mut self.file {
            writer.finish()?;
        }
        Ok(self.written)
    }
}
