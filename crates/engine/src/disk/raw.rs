//! Raw images: what a guest sees of a disk, byte for byte, in one file that says nothing of itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chain::{Chain, Opener};
use super::geometry;
use super::link::{Link, MAX_SECTORS};
use super::pool::Pool;
use super::{ContentId, Copy, copy};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::{
    CreateType, Descriptor, NEVER_WRITTEN, NewDescriptor, NewExtent, SECTOR,
};
use crate::job::Job;
use crate::store::{Store, hidden_sibling, hidden_siblings};

impl Opener {
    /// Opens the raw image at `path` as a flat disk for `adapter`, of which no descriptor tells.
    ///
    /// What the image begins with does not matter: a guest may have written it.
    ///
    /// # Errors
    /// `FileNotFound`; `Denied`; `Argument` where it is no whole number of sectors.
    pub fn open_raw(&self, path: &Path, adapter: &str, hardware_version: u32) -> Result<Chain> {
        let pool = Arc::new(Pool::new(Arc::clone(self.store())));
        let path = self.places().file(self.store().as_ref(), path)?;
        let file = pool.add(path.clone())?;
        let len = pool.get(file)?.len()?;
        let sectors = len / SECTOR;
        if sectors == 0 || sectors > MAX_SECTORS || !len.is_multiple_of(SECTOR) {
            let text = format!("{} has {len} bytes, no number of sectors", quoted(&path));
            let error = Error::new(Kind::Argument, text).at(&path);
            return Err(error.hint("fill it up with zeros: truncate -s %512 FILE"));
        }
        let descriptor = NewDescriptor {
            create_type: CreateType::MonolithicFlat,
            cid: NEVER_WRITTEN,
            parent: None,
            extents: vec![NewExtent {
                sectors,
                file: "raw".into(),
            }],
            ddb: geometry::of_new_disk(sectors, adapter, hardware_version),
        };
        let malformed = |fault: crate::format::Malformed| fault.in_file(Kind::FileName, &path);
        let text = descriptor.to_bytes().map_err(malformed)?;
        let descriptor = Descriptor::parse(&text).map_err(malformed)?;
        let link = Link::raw(&pool, file, descriptor, sectors);
        Ok(Chain::of(vec![link], pool))
    }
}

/// Writes what a guest sees of `chain` to the new file `to`, whose holes are what reads as zeros.
///
/// The job advances as that of [`copy()`]. All is durable but the name: the caller syncs the folder.
///
/// # Errors
/// Those of [`copy()`]. No file is left.
pub fn copy_to_raw(store: &dyn Store, chain: &Chain, to: &Path, job: &Job) -> Result<()> {
    // Of one that was cut off.
    for left in hidden_siblings(store, to) {
        store.remove_file(&left)?;
    }
    let mut name = OsString::from(hidden_sibling(to));
    name.push(".vmdk");
    let descriptor = PathBuf::from(name);
    let spec = Copy {
        path: &descriptor,
        create_type: Some(CreateType::MonolithicFlat),
        preallocated: false,
        uuid: None,
        content_id: ContentId::Keep,
    };
    let copied = copy(store, chain, &spec, job)?;
    let data = copied.files.iter().find(|file| **file != descriptor);
    let renamed = match data {
        Some(data) => store.rename_new(data, to),
        None => Err(Error::new(Kind::Internal, "a flat disk has one data file")),
    };
    for file in &copied.files {
        // After the renaming only the descriptor is there.
        let _ = store.remove_file(file);
    }
    renamed
}
