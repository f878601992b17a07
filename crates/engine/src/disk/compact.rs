//! Writing a growing disk anew: its grains in the order of the guest's addresses, none that reads as
//! zeros.
//!
//! Each extent is made beside the old one and takes its name: at any moment the disk reads as before.

use std::path::Path;

use super::chain::Chain;
use super::copy::copy_extent;
use super::create::NewFile;
use super::link::Extent;
use super::sparse_file;
use super::target::Target;
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::sparse::Layout;
use crate::job::Job;
use crate::store::{Access, Store, folder_of, has_unfinished, hidden_sibling, hidden_siblings};

/// Writes the disk's files anew. A flat disk has nothing that could become less, and stays.
///
/// The caller guarantees that nobody uses the disk. The job advances by [`Chain::data_bytes`] in all.
///
/// # Errors
/// `DiskUnsupported` for a disk that stands on another; `DiskNeedsRepair`; `FileLocked`;
/// `Cancelled`; `NoSpace`; whatever reading says. The disk reads as before.
pub fn compact(store: &dyn Store, chain: &Chain, job: &Job) -> Result<()> {
    let link = chain.top();
    if link.has_parent() {
        let text = format!(
            "{} stands on another disk: grains that read as zeros hide what is there",
            quoted(link.path())
        );
        return Err(Error::new(Kind::DiskUnsupported, text).at(link.path()));
    }
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
    let mut target = Target::new(NewFile::Sparse(file, layout), extent.sectors).finding_zeros();
    copy_extent(chain, extent.first_sector, &mut target, job)?;
    target.finish()?;
    store.open(new, Access::Write)?.sync()
}
