//! Consolidation: what a child has moves into its parent, which then reads as the child did; or what a
//! parent has moves into its child, which then needs it no more.
//!
//! [`merge`] goes down, [`absorb`] goes up; who has both ways takes the one that moves less.
//!
//! The parent is written in place, and nothing of it that the child does not hide is changed: at
//! any moment, also after a crash, the child reads as before, and the work can begin anew. In a
//! sparse parent the data of new grains is durable before a table names them, and both directories
//! are kept in step.
//!
//! In what order the caller goes on, so that a VM always finds a sound chain: [`merge`]; then name
//! the parent where the child was named (the VM's configuration, or [`super::relink`] with the
//! parent's present content id); then, for a disk that nobody names as a parent, give it the
//! child's id by [`super::set_content_id`]; the child's files go last. After [`absorb`]: hang the child
//! on its parent's parent by [`super::relink`]; the parent's files go last.

use std::sync::Arc;

use super::chain::Chain;
use super::check::require_sound;
use super::graft::Graft;
use super::link::{Extent, ExtentData, Link};
use super::map::{Run, Runs, Stored};
use super::window::{BYTES, is_zero};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::Header;
use crate::job::Job;
use crate::store::{Access, Bytes};

impl Chain {
    /// Returns how many bytes the disk's own link decides: what a merge has to move.
    ///
    /// # Errors
    /// `DiskInvalid` for damaged tables; what reading says.
    pub fn own_bytes(&self) -> Result<u64> {
        let mut sum = 0;
        for run in self.runs_of(1, 0, self.sectors()) {
            let run = run?;
            if run.stored != Stored::Nothing {
                sum += run.sectors * SECTOR;
            }
        }
        Ok(sum)
    }

    /// Returns how many bytes the disk's parent decides and its own link does not: what [`absorb`] has
    /// to move.
    ///
    /// # Errors
    /// As [`Chain::own_bytes`].
    pub fn parent_bytes(&self) -> Result<u64> {
        let mut sum = 0;
        for run in self.runs_of(self.links().len().min(2), 0, self.sectors()) {
            let run = run?;
            if Way::Up.moves(&run) {
                sum += run.sectors * SECTOR;
            }
        }
        Ok(sum)
    }
}

/// Which of two neighbouring links takes the other one in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The parent takes the child in.
    Down,
    /// The child takes the parent in.
    Up,
}

impl Way {
    /// How many links, from the child on, are asked what they have.
    fn links(self) -> usize {
        match self {
            Self::Down => 1,
            Self::Up => 2,
        }
    }

    /// Whether what these links say about a stretch has to move.
    fn moves(self, run: &Run) -> bool {
        run.stored != Stored::Nothing && run.depth + 1 == self.links()
    }
}

/// Writes what the disk's own link has into its parent; returns the bytes written.
///
/// The caller guarantees that the parent has no other child, and that nobody uses either. The job
/// advances by [`Chain::own_bytes`] in all. Everything is durable at the end. The content id of the
/// parent stays, and the chain is to be opened anew.
///
/// # Errors
/// `Argument` for a disk without a parent; `DiskNeedsRepair`; `DiskInvalid` where the parent is
/// damaged; `FileLocked`; `Cancelled`; `NoSpace`;
/// whatever reading says. The child reads as before, and so does what the parent had.
pub fn merge(chain: &Chain, job: &Job) -> Result<u64> {
    let store = chain.pool().store().as_ref();
    let [child, parent, ..] = chain.links() else {
        let text = format!("{} stands on no parent", quoted(chain.top().path()));
        return Err(Error::new(Kind::Argument, text).at(chain.top().path()));
    };
    chain.require_clean()?;
    child.require_unused(store)?;
    parent.require_unused(store)?;
    parent.require_writable()?;
    require_sound(parent, job)?;
    write(chain, parent, Way::Down, job)
}

/// Writes what the disk's parent has, and its own link does not, into its own link; returns the bytes
/// written.
///
/// The caller guarantees that nobody uses either. Links that stand on the disk read as before. The job
/// advances by [`Chain::parent_bytes`] in all. Everything is durable at the end. No content id
/// changes; the disk still names its parent, and is to be hung on that one's.
///
/// # Errors
/// As [`merge`]; `Argument` also for a parent that stands on nothing. The disk reads as before.
pub fn absorb(chain: &Chain, job: &Job) -> Result<u64> {
    let store = chain.pool().store().as_ref();
    let [child, parent, _, ..] = chain.links() else {
        let text = format!(
            "{} stands on no parent's parent",
            quoted(chain.top().path())
        );
        return Err(Error::new(Kind::Argument, text).at(chain.top().path()));
    };
    chain.require_clean()?;
    child.require_unused(store)?;
    parent.require_unused(store)?;
    child.require_writable()?;
    require_sound(child, job)?;
    write(chain, child, Way::Up, job)
}

/// Writes to `target` what goes this way; returns the bytes written.
fn write(chain: &Chain, target: &Link, way: Way, job: &Job) -> Result<u64> {
    let store = chain.pool().store().as_ref();
    let mut written = 0;
    for extent in target.extents() {
        let file = store.open(&target.extent_path(extent), Access::Write)?;
        let merger = Merger {
            chain,
            target,
            extent,
            way,
            job,
        };
        written += match extent.data {
            ExtentData::Flat { offset } => merger.write_flat(file.as_ref(), offset)?,
            ExtentData::Sparse { header, .. } => merger.write_sparse(file.into(), header)?,
            // What is written to is refused before; the rest has a say in all of its sectors.
            ExtentData::Zero | ExtentData::Esxi { .. } => 0,
        };
    }
    Ok(written)
}

/// One extent of the link that stays, and what is to be written to it.
struct Merger<'a> {
    chain: &'a Chain,
    target: &'a Link,
    extent: &'a Extent,
    way: Way,
    job: &'a Job,
}

impl Merger<'_> {
    /// The stretches of the extent that the links asked have in one piece.
    fn runs(&self) -> Runs<'_> {
        let (first, sectors) = (self.extent.first_sector, self.extent.sectors);
        self.chain.runs_of(self.way.links(), first, sectors)
    }

    fn write_flat(&self, file: &dyn Bytes, offset: u64) -> Result<u64> {
        let mut written = 0;
        let mut buf = Vec::new();
        for run in self.runs() {
            let run = run?;
            let end = run.sector + run.sectors;
            let mut at = run.sector;
            while self.way.moves(&run) && at < end {
                self.job.check()?;
                let sectors = (end - at).min(BYTES as u64 / SECTOR);
                if run.has_data() || self.has_data(at, sectors)? {
                    self.read(&mut buf, at, sectors)?;
                    file.write_at(&buf, (offset + at - self.extent.first_sector) * SECTOR)?;
                    written += sectors * SECTOR;
                }
                self.job.advance(sectors * SECTOR);
                at += sectors;
            }
        }
        file.sync()?;
        Ok(written)
    }

    fn has_data(&self, sector: u64, sectors: u64) -> Result<bool> {
        let (stored, same) = self.target.stored(&self.chain.tables, sector, sectors)?;
        Ok(stored != Stored::Zeros || same < sectors)
    }

    fn write_sparse(&self, file: Arc<dyn Bytes>, header: Header) -> Result<u64> {
        let path = self.target.extent_path(self.extent);
        let mut graft = Graft::new(file, path, header)?;
        let written = self.graft_all(&mut graft, &header);
        match written {
            Ok(written) => graft.finish().map(|()| written),
            Err(error) => {
                graft.give_up();
                Err(error)
            }
        }
    }

    /// Writes every grain in which the link that goes has a say.
    fn graft_all(&self, graft: &mut Graft, header: &Header) -> Result<u64> {
        let grain = header.grain_sectors;
        let at_once = (BYTES as u64 / header.grain_bytes()).max(1);
        let mut written = 0;
        // The first grain that is not done.
        let mut next = 0;
        for run in self.runs() {
            let run = run?;
            if !self.way.moves(&run) {
                continue;
            }
            let start = run.sector - self.extent.first_sector;
            let end = (start + run.sectors).div_ceil(grain);
            next = next.max(start / grain);
            while next < end {
                self.job.check()?;
                let count = (end - next).min(at_once);
                written += self.graft_grains(graft, header, next, count)?;
                next += count;
            }
            self.job.advance(run.sectors * SECTOR);
        }
        Ok(written)
    }

    /// Writes `count` grains from number `first` on, as the guest sees them.
    fn graft_grains(
        &self,
        graft: &mut Graft,
        header: &Header,
        first: u64,
        count: u64,
    ) -> Result<u64> {
        let grain = header.grain_sectors;
        let start = first * grain;
        let sectors = (count * grain).min(self.extent.sectors - start);
        let mut buf = Vec::new();
        self.read(&mut buf, self.extent.first_sector + start, sectors)?;
        buf.resize((count * header.grain_bytes()) as usize, 0);
        let mut written = 0;
        for (i, bytes) in buf.chunks_exact(header.grain_bytes() as usize).enumerate() {
            let number = first + i as u64;
            let sector = self.extent.first_sector + number * grain;
            match self.target.stored(&self.chain.tables, sector, 1)?.0 {
                Stored::Data(_, offset) => graft.overwrite(offset, bytes)?,
                Stored::Zeros if is_zero(bytes) => continue,
                Stored::Nothing if is_zero(bytes) && !self.target.has_parent() => continue,
                Stored::Zeros | Stored::Nothing => graft.append(number, bytes)?,
                // Refused before: nothing is written among compressed grains.
                Stored::Packed(_) => self.target.require_writable()?,
            }
            written += bytes.len() as u64;
        }
        graft.write_out()?;
        Ok(written)
    }

    /// Reads what the guest sees.
    fn read(&self, buf: &mut Vec<u8>, sector: u64, sectors: u64) -> Result<()> {
        buf.resize((sectors * SECTOR) as usize, 0);
        self.chain.read(buf, sector * SECTOR)
    }
}
