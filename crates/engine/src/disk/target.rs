//! The extent that a copy fills, and the three ways by which data gets there (docs/adr/0017).
//!
//! Blocks are shared with the source where the file system can; else the file server copies them,
//! where there is one; else they are read and written. Only whole grains of the new extent take one of
//! the first two ways. What a pair of files cannot do is asked once.

use std::collections::HashMap;
use std::sync::Arc;

use super::Moved;
use super::create::NewFile;
use super::crew::Site;
use super::pool::FileId;
use super::sparse_file::Writer;
use super::window::{BYTES, GRAIN};
use crate::error::Result;
use crate::format::vmdk::SECTOR;
use crate::job::Job;
use crate::store::{Bytes, Span};

/// The most bytes shared or handed over in one call: in between, the job may be cancelled.
const MOST_AT_ONCE: u64 = 1 << 30;

/// The extent that is being filled.
pub(super) struct Target {
    /// Where all grains get their place.
    pub site: Arc<Site>,
    /// Length in sectors.
    pub sectors: u64,
    /// In what units the file can share.
    block: u64,
    /// What was found out about each source.
    ways: HashMap<FileId, Way>,
    /// Whole grains that are on their way: neighbours go together.
    pending: Option<Pending>,
    moved: Moved,
}

/// How whole grains get from one file to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Share,
    Copy,
    /// Only by reading and writing.
    Neither,
}

struct Pending {
    id: FileId,
    source: Arc<dyn Bytes>,
    way: Way,
    span: Span,
}

/// Whole grains of the new extent, and where they are now.
pub(super) struct Grains {
    /// The file that has them.
    pub id: FileId,
    /// First byte in it.
    pub from: u64,
    /// Number of the first one in the new extent.
    pub first: u64,
    /// How many.
    pub count: u64,
}

impl Target {
    /// Returns the new extent in `file`, of `sectors` sectors.
    pub fn new(file: NewFile, sectors: u64) -> Self {
        let (file, layout): (Arc<dyn Bytes>, _) = match file {
            NewFile::Flat(file) => (Arc::from(file), None),
            NewFile::Sparse(file, layout) => (Arc::from(file), Some(layout)),
        };
        let block = file.block_bytes();
        let tables = layout.map(|layout| Writer::new(Arc::clone(&file), layout));
        Self {
            site: Arc::new(Site::new(file, sectors * SECTOR, tables)),
            sectors,
            block,
            ways: HashMap::new(),
            pending: None,
            moved: Moved::default(),
        }
    }

    /// Lets all data be read, so that grains of zeros are found wherever they are.
    #[must_use]
    pub fn finding_zeros(mut self) -> Self {
        // No grain is a whole number of such blocks.
        self.block = u64::MAX;
        self
    }

    /// Tells whether data of that file may come here unread.
    pub fn may_adopt(&self, id: FileId) -> bool {
        let block_fits =
            self.block.is_power_of_two() && (SECTOR..=GRAIN as u64).contains(&self.block);
        block_fits && self.ways.get(&id) != Some(&Way::Neither)
    }

    /// Takes over whole grains that nobody has read, above all that were given a place; `false` where they
    /// have to be read.
    ///
    /// # Errors
    /// `Cancelled`; `NoSpace`; what the system says.
    pub fn adopt(&mut self, grains: &Grains, source: &Arc<dyn Bytes>, job: &Job) -> Result<bool> {
        let start = grains.first * GRAIN as u64;
        // A multiple of the grain in either case, so of the block.
        let next =
            |tables: Option<&mut Writer>| tables.map_or(start, |tables| tables.next_offset());
        let to = self.site.with_tables(next);
        if !grains.from.is_multiple_of(self.block) {
            return Ok(false);
        }
        let span = Span {
            from: grains.from,
            to,
            len: grains.count * GRAIN as u64,
        };
        match self.ways.get(&grains.id) {
            Some(Way::Neither) => return Ok(false),
            Some(way) => self.join(grains.id, source, *way, span, job)?,
            None => {
                let way = self.find_way(source, span, job)?;
                self.ways.insert(grains.id, way);
                if way == Way::Neither {
                    return Ok(false);
                }
            }
        }
        self.site.with_tables(|tables| match tables {
            Some(tables) => tables.enter(grains.first, grains.count),
            None => Ok(()),
        })?;
        Ok(true)
    }

    /// Tries the ways for the first grains of a source.
    fn find_way(&mut self, source: &Arc<dyn Bytes>, span: Span, job: &Job) -> Result<Way> {
        for way in [Way::Share, Way::Copy] {
            if self.go(way, source, span, job)? {
                return Ok(way);
            }
        }
        Ok(Way::Neither)
    }

    /// Adds to what is on its way.
    fn join(
        &mut self,
        id: FileId,
        source: &Arc<dyn Bytes>,
        way: Way,
        span: Span,
        job: &Job,
    ) -> Result<()> {
        if let Some(pending) = &mut self.pending
            && pending.id == id
            && pending.span.from + pending.span.len == span.from
            && pending.span.to + pending.span.len == span.to
        {
            pending.span.len += span.len;
            return Ok(());
        }
        self.settle(job)?;
        self.pending = Some(Pending {
            id,
            source: Arc::clone(source),
            way,
            span,
        });
        Ok(())
    }

    /// Brings to its place what is on its way.
    ///
    /// # Errors
    /// `Cancelled`; what the system says.
    pub fn settle(&mut self, job: &Job) -> Result<()> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        if !self.go(pending.way, &pending.source, pending.span, job)? {
            // It could, and cannot any more. Its place is given already.
            self.ways.insert(pending.id, Way::Neither);
            self.copy_through(pending.source.as_ref(), pending.span, job)?;
        }
        Ok(())
    }

    /// Brings a span to its place in one way, all of it or, as far as anybody can tell, nothing.
    fn go(&mut self, way: Way, source: &Arc<dyn Bytes>, span: Span, job: &Job) -> Result<bool> {
        let mut done = 0;
        while done < span.len {
            job.check()?;
            let next = part(span, done, MOST_AT_ONCE);
            let has_gone = match way {
                Way::Share => self.site.file.share_from(source.as_ref(), next)?,
                Way::Copy => self.site.file.copy_from(source.as_ref(), next)?,
                Way::Neither => false,
            };
            if !has_gone {
                return Ok(false);
            }
            done += next.len;
        }
        match way {
            Way::Share => self.moved.shared += span.len,
            Way::Copy | Way::Neither => self.moved.handed_over += span.len,
        }
        Ok(true)
    }

    /// Copies a span by reading and writing.
    fn copy_through(&mut self, source: &dyn Bytes, span: Span, job: &Job) -> Result<()> {
        let mut buf = vec![0; span.len.min(BYTES as u64) as usize];
        let mut done = 0;
        while done < span.len {
            job.check()?;
            let next = part(span, done, BYTES as u64);
            let bytes = &mut buf[..next.len as usize];
            source.read_exact_at(bytes, next.from)?;
            self.site.file.stream_at(bytes, next.to)?;
            done += next.len;
        }
        self.moved.written += span.len;
        Ok(())
    }

    /// Writes what is outstanding; returns what was moved.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(mut self) -> Result<Moved> {
        self.site.with_tables(|tables| match tables {
            Some(tables) => tables.finish(),
            None => Ok(()),
        })?;
        self.moved.written += self.site.written();
        Ok(self.moved)
    }
}

/// Returns what is left of a span `skip` bytes into it, at most `most` bytes.
fn part(span: Span, skip: u64, most: u64) -> Span {
    Span {
        from: span.from + skip,
        to: span.to + skip,
        len: most.min(span.len - skip),
    }
}
