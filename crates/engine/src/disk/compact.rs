//! Writing a growing disk anew: its grains in the order of the guest's addresses, none that reads as
//! zeros where nothing else would be seen instead.
//!
//! A disk that stands on another keeps what hides data of that one, zeros too.
//!
//! Each extent is made beside the old one and takes its name: at any moment the disk reads as before.

use std::path::Path;
use std::sync::Arc;

use super::chain::Chain;
use super::copy::copy_extent;
use super::create::NewFile;
use super::link::{Extent, Link};
use super::map::Stored;
use super::sparse_file::{self, Writer};
use super::target::Target;
use super::window::{GRAIN, is_zero};
use crate::error::{Kind, Result};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{Layout, USUAL_GRAIN};
use crate::job::Job;
use crate::store::{
    Access, Bytes, Store, folder_of, has_unfinished, hidden_sibling, hidden_siblings,
};

/// Returns the bytes that [`compact`] has to read.
///
/// # Errors
/// `DiskInvalid` for damaged tables; what reading says.
pub fn to_compact(chain: &Chain) -> Result<u64> {
    match chain.top().has_parent() {
        true => chain.own_bytes(),
        false => chain.data_bytes(),
    }
}

/// Writes the disk's files anew. A flat disk has nothing that could become less, and stays.
///
/// The caller guarantees that nobody uses the disk. The job advances by [`to_compact`] in all.
///
/// # Errors
/// `DiskUnsupported` for a disk whose data is compressed; `DiskNeedsRepair`; `FileLocked`; `Busy` where
/// what it stands on changed meanwhile; `Cancelled`; `NoSpace`; whatever reading says. The disk reads as
/// before.
pub fn compact(store: &dyn Store, chain: &Chain, job: &Job) -> Result<()> {
    let link = chain.top();
    chain.require_clean()?;
    link.require_unused(store)?;
    link.require_writable()?;
    // Sought once: a folder may have 16,000 extents.
    let has_leftovers = has_unfinished(store, folder_of(link.path()));
    for extent in link
        .extents()
        .iter()
        .filter(|extent| extent.header().is_some())
    {
        job.check()?;
        let path = link.extent_path(extent);
        // Of one that was cut off. Nobody else is at work: the caller sees to that.
        if has_leftovers {
            for left in hidden_siblings(store, &path) {
                store.remove_file(&left)?;
            }
        }
        let new = hidden_sibling(&path);
        let made = rewrite(store, chain, extent, &new, job).and_then(|()| {
            let mut below = chain.links().iter().skip(1);
            below.try_for_each(Link::require_unchanged)?;
            link.pool().require_unchanged(extent.file)?;
            store.copy_ownership(&path, &new);
            store.rename(&new, &path)
        });
        if made.is_err() {
            // The error that brought us here matters more than this one.
            let _ = store.remove_file(&new);
            return made;
        }
        store.sync_dir(folder_of(&path))?;
    }
    Ok(())
}

/// Writes an extent to the new file at `new`, durable.
fn rewrite(store: &dyn Store, chain: &Chain, extent: &Extent, new: &Path, job: &Job) -> Result<()> {
    let embeds = chain.top().embedded().is_some();
    let layout =
        Layout::new(extent.sectors, embeds).map_err(|fault| fault.in_file(Kind::Argument, new))?;
    let file = sparse_file::create(store, new, &layout, || ())?;
    if embeds {
        let text = chain.top().descriptor().as_bytes();
        sparse_file::write_descriptor(file.as_ref(), new, text)?;
    }
    if chain.top().has_parent() {
        write_own(chain, extent, &file.into(), layout, job)?;
    } else {
        let mut target = Target::new(NewFile::Sparse(file, layout), extent.sectors).finding_zeros();
        copy_extent(chain, extent.first_sector, &mut target, job)?;
        target.finish()?;
    }
    store.open(new, Access::Write)?.sync()
}

/// Writes the grains in which the disk's own link has a say, as the guest sees them.
fn write_own(
    chain: &Chain,
    extent: &Extent,
    file: &Arc<dyn Bytes>,
    layout: Layout,
    job: &Job,
) -> Result<()> {
    let mut tables = Writer::new(Arc::clone(file), layout);
    let mut grain = vec![0; GRAIN];
    // The first grain that is not done.
    let mut next = 0;
    for run in chain.runs_of(1, extent.first_sector, extent.sectors) {
        let run = run?;
        if run.stored == Stored::Nothing {
            continue;
        }
        let start = run.sector - extent.first_sector;
        let end = (start + run.sectors).div_ceil(USUAL_GRAIN);
        next = next.max(start / USUAL_GRAIN);
        while next < end {
            job.check()?;
            let within = next * USUAL_GRAIN;
            let (sector, sectors) = (
                extent.first_sector + within,
                USUAL_GRAIN.min(extent.sectors - within),
            );
            grain.fill(0);
            chain.read(&mut grain[..(sectors * SECTOR) as usize], sector * SECTOR)?;
            if !is_zero(&grain) || hides_data(chain, sector, sectors)? {
                file.stream_at(&grain, tables.next_offset())?;
                tables.enter(next, 1)?;
            }
            next += 1;
        }
        job.advance(run.sectors * SECTOR);
    }
    tables.finish()
}

/// Tells whether what the disk stands on has data there.
fn hides_data(chain: &Chain, sector: u64, sectors: u64) -> Result<bool> {
    for run in chain.runs_below(sector, sectors) {
        if run?.has_data() {
            return Ok(true);
        }
    }
    Ok(false)
}
