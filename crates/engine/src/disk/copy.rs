//! Copying: a disk with all its parents becomes one link, in any layout that is made.
//!
//! What the guest sees is copied in the order of its addresses. Grains of zeros are not written,
//! so that a sparse disk stays sparse, and a flat copy has holes where nothing was. How the bytes get
//! to their place is `Target`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Moved;
use super::chain::Chain;
use super::create::{Blank, cut, long_content_id, same_cut};
use super::crew::Crew;
use super::files::Made;
use super::geometry;
use super::link::Link;
use super::map::{Run, Stored};
use super::pool::FileId;
use super::stream::{Stream, USUAL_LEVEL, usual_team};
use super::target::{Grains, Target};
use super::window::Plan;
use crate::error::Result;
use crate::format::vmdk::sparse::USUAL_GRAIN;
use crate::format::vmdk::{CreateType, NEVER_WRITTEN, SECTOR};
use crate::job::Job;
use crate::store::Store;

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
    /// How the data got into them.
    pub moved: Moved,
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
    for spared in chain.spared() {
        job.warn(format!("{spared}: check the disk, the copy of it is sound"));
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
        team: usual_team(),
    };
    let written = stream.write(file.as_ref(), job)?;
    let files = blank.complete(made, store)?;
    let moved = Moved {
        written,
        ..Moved::default()
    };
    Ok(Copied { files, moved })
}

fn copy_links(store: &dyn Store, chain: &Chain, blank: &Blank<'_>, job: &Job) -> Result<Copied> {
    let mut made = Made::new(store);
    let mut moved = Moved::default();
    let mut first_sector = 0;
    for extent in blank.extents()? {
        let file = blank.make_extent(&mut made, store, &extent)?;
        let mut target = Target::new(file, extent.sectors);
        copy_extent(chain, first_sector, &mut target, job)?;
        moved += target.finish()?;
        first_sector += extent.sectors;
    }
    job.check()?;
    let files = blank.complete(made, store)?;
    Ok(Copied { files, moved })
}

/// Returns the new disk, still without data.
fn blank<'a>(chain: &Chain, spec: &Copy<'a>) -> Blank<'a> {
    let usual = || chain.own_type().of_copy(chain.sectors());
    let create_type = spec.create_type.unwrap_or_else(usual);
    let cut = if create_type == chain.own_type() {
        same_cut(create_type, chain.base())
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
    std::thread::scope(|scope| {
        let mut mover = Mover {
            chain,
            job,
            first_sector,
            plan: Plan::default(),
            crew: Crew::new(scope, chain, Arc::clone(&target.site)),
            target,
        };
        for run in chain.runs(first_sector, mover.target.sectors) {
            mover.take(&run?)?;
        }
        mover.crew.finish(mover.plan)?;
        mover.target.settle(job)
    })
}

/// Brings runs to an extent, in the order of the guest's addresses.
struct Mover<'scope, 'env> {
    chain: &'env Chain,
    job: &'env Job,
    /// The sector of the disk with which the extent begins.
    first_sector: u64,
    /// What is read next.
    plan: Plan,
    crew: Crew<'scope, 'env>,
    target: &'env mut Target,
}

impl Mover<'_, '_> {
    fn take(&mut self, run: &Run) -> Result<()> {
        if !run.has_data() {
            return Ok(());
        }
        if let Stored::Data(id, offset) = run.stored
            && self.target.may_adopt(id)
        {
            return self.take_unread(run, id, offset);
        }
        self.read(run, 0, run.sectors)
    }

    /// Lets the target have the whole grains of a run as they are, and reads what is before and behind.
    fn take_unread(&mut self, run: &Run, id: FileId, offset: u64) -> Result<()> {
        let start = run.sector - self.first_sector;
        let first = start.div_ceil(USUAL_GRAIN);
        let count = ((start + run.sectors) / USUAL_GRAIN).saturating_sub(first);
        if count == 0 {
            return self.read(run, 0, run.sectors);
        }
        let before = first * USUAL_GRAIN - start;
        self.read(run, 0, before)?;
        self.hand_over()?;
        let grains = Grains {
            id,
            from: offset + before * SECTOR,
            first,
            count,
        };
        self.job.check()?;
        self.crew.wait_for_places()?;
        let source = self.chain.pool().get(id)?;
        if !self.target.adopt(&grains, &source, self.job)? {
            return self.read(run, before, run.sectors);
        }
        let whole = count * USUAL_GRAIN;
        self.job.advance(whole * SECTOR);
        self.read(run, before + whole, run.sectors)
    }

    /// Has a run read from sector `from` of it up to sector `to`.
    fn read(&mut self, run: &Run, from: u64, to: u64) -> Result<()> {
        let mut skip = from;
        while skip < to {
            let at = run.sector + skip - self.first_sector;
            if self.plan.room(at) == 0 {
                self.hand_over()?;
            }
            let sectors = self.plan.room(at).min(to - skip);
            self.plan.add(run, skip, at, sectors);
            self.job.advance(sectors * SECTOR);
            skip += sectors;
        }
        Ok(())
    }

    /// Hands over what is planned.
    fn hand_over(&mut self) -> Result<()> {
        self.job.check()?;
        if self.plan.is_empty() {
            return Ok(());
        }
        self.crew.give(std::mem::take(&mut self.plan))
    }
}
