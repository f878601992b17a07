//! Changing the descriptor of an existing link, and nothing else of it.

use super::create::long_content_id;
use super::link::Link;
use crate::error::{Error, Kind, Result, quoted};
use crate::format::Malformed;
use crate::format::vmdk::sparse::Embedded;
use crate::format::vmdk::{Descriptor, SECTOR};
use crate::store::{self, Access, Bytes, Store};

/// Hangs `link` on another parent: the text that names it, and its content id.
///
/// The caller has proven that the new parent reads as the old one did. A stand-alone descriptor is
/// replaced as a whole; an embedded one is written in place, only the sectors that change.
///
/// # Errors
/// `Busy` where the descriptor is no longer what was opened; `FileName` for a hint that cannot be
/// written; what the system says.
pub fn relink(store: &dyn Store, link: &Link, hint: &str, parent_cid: u32) -> Result<()> {
    change(store, link, |descriptor| {
        descriptor.set_parent(hint, parent_cid)
    })
}

/// Gives `link` the content id `cid`, and `long` as the long one that belongs to it.
///
/// Where that is not known, a link that has a long id gets a new one.
///
/// # Errors
/// As [`relink`].
pub fn set_content_id(store: &dyn Store, link: &Link, cid: u32, long: Option<&str>) -> Result<()> {
    let has_long = link.descriptor().get("ddb.longContentID").is_some();
    let long = long
        .map(str::to_owned)
        .or_else(|| has_long.then(|| long_content_id(cid)));
    change(store, link, |descriptor| {
        descriptor.set_content_id(cid, long.as_deref())
    })
}

/// Marks `link` as a disk that a VM's deletion may take with it.
///
/// # Errors
/// As [`relink`].
pub fn make_deletable(store: &dyn Store, link: &Link) -> Result<()> {
    change(store, link, |descriptor| {
        descriptor.set("ddb.deletable", "true")
    })
}

/// Changes the descriptor of `link` by `edit`.
///
/// # Errors
/// As [`relink`].
pub(super) fn change(
    store: &dyn Store,
    link: &Link,
    edit: impl FnOnce(&mut Descriptor) -> std::result::Result<(), Malformed>,
) -> Result<()> {
    let mut descriptor = link.descriptor().clone();
    edit(&mut descriptor).map_err(|fault| fault.in_file(Kind::FileName, link.path()))?;
    match link.embedded() {
        Some(place) => write_embedded(store, link, place, &descriptor),
        None => {
            let now = store::read_small(store, link.path(), u64::MAX)?;
            require_unchanged(link, now == link.descriptor().as_bytes())?;
            store::replace(store, link.path(), descriptor.as_bytes())
        }
    }
}

/// Writes the sectors of an embedded descriptor that differ, and makes them durable.
fn write_embedded(
    store: &dyn Store,
    link: &Link,
    place: Embedded,
    descriptor: &Descriptor,
) -> Result<()> {
    let file = store.open(link.path(), Access::Write)?;
    let mut old = vec![0; (place.sectors * SECTOR) as usize];
    file.read_exact_at(&mut old, place.offset * SECTOR)?;
    require_unchanged(link, starts_as_text(&old, link.descriptor().as_bytes()))?;
    let mut new = descriptor.as_bytes().to_vec();
    if new.len() > old.len() {
        let text = format!(
            "the descriptor of {} has room for {} bytes, not for {}",
            quoted(link.path()),
            old.len(),
            new.len()
        );
        return Err(Error::new(Kind::FileName, text).at(link.path()));
    }
    new.resize(old.len(), 0);
    write_changed(file.as_ref(), place.offset * SECTOR, &old, &new)?;
    file.sync()
}

fn write_changed(file: &dyn Bytes, offset: u64, old: &[u8], new: &[u8]) -> Result<()> {
    let sector = SECTOR as usize;
    let differs: Vec<usize> = (0..new.len() / sector)
        .filter(|i| old[i * sector..][..sector] != new[i * sector..][..sector])
        .collect();
    if let (Some(first), Some(last)) = (differs.first(), differs.last()) {
        let range = first * sector..(last + 1) * sector;
        file.write_at(&new[range.clone()], offset + range.start as u64)?;
    }
    Ok(())
}

fn starts_as_text(area: &[u8], text: &[u8]) -> bool {
    area.starts_with(text) && area.get(text.len()).is_none_or(|next| *next == 0)
}

fn require_unchanged(link: &Link, same: bool) -> Result<()> {
    if same {
        return Ok(());
    }
    let text = format!("{} was changed by another program", quoted(link.path()));
    Err(Error::new(Kind::Busy, text).at(link.path()))
}
