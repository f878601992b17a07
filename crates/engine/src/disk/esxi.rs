//! Opening and checking the sparse extents of ESXi's snapshots, which are read only.

use std::path::Path;

use super::grains::{Grains, Index};
use super::link::{Extent, ExtentData, Link};
use super::map::Stored;
use super::tables::Tables;
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::{cowd, sesparse};
use crate::job::Job;
use crate::store::Bytes;

/// Opens a COWD extent; returns its capacity with it.
///
/// # Errors
/// `DiskInvalid`, `DiskUnsupported`; what reading says.
pub(super) fn open_cowd(file: &dyn Bytes, path: &Path) -> Result<(ExtentData, u64)> {
    let mut bytes = [0; cowd::HEADER_BYTES];
    require(file, &mut bytes, 0, path)?;
    let header = cowd::Header::parse(&bytes).map_err(|fault| fault.in_file(path))?;
    let file_len = file.len()?;
    let fits = header.check_fits(file_len);
    fits.map_err(|fault| fault.in_file(Kind::DiskInvalid, path))?;
    let data = ExtentData::Esxi {
        index: Index::Cowd(header),
        unclean: header.unclean,
        file_len,
    };
    Ok((data, header.capacity))
}

/// Opens a seSparse extent; returns its capacity with it.
///
/// # Errors
/// As [`open_cowd`].
pub(super) fn open_sesparse(file: &dyn Bytes, path: &Path) -> Result<(ExtentData, u64)> {
    let mut bytes = [0; sesparse::HEADER_BYTES];
    require(file, &mut bytes, 0, path)?;
    let header = sesparse::Header::parse(&bytes).map_err(|fault| fault.in_file(path))?;
    let file_len = file.len()?;
    let fits = header.check_fits(file_len);
    fits.map_err(|fault| fault.in_file(Kind::DiskInvalid, path))?;
    require(file, &mut bytes, header.volatile_offset * 512, path)?;
    let unclean = sesparse::Header::is_unclean(&bytes);
    let data = ExtentData::Esxi {
        index: Index::SeSparse(header),
        unclean: unclean.map_err(|fault| fault.in_file(Kind::DiskInvalid, path))?,
        file_len,
    };
    Ok((data, header.capacity))
}

fn require(file: &dyn Bytes, bytes: &mut [u8], offset: u64, path: &Path) -> Result<()> {
    if file.read_at(bytes, offset)? == bytes.len() {
        return Ok(());
    }
    let text = format!("{}: it is too short for a sparse extent", quoted(path));
    Err(Error::new(Kind::DiskInvalid, text).at(path))
}

/// Follows the tables of an extent to its end: tells `found` what is damaged, and returns the number
/// of grains with data.
///
/// # Errors
/// `Cancelled`; what reading says.
pub(super) fn check(
    link: &Link,
    extent: &Extent,
    job: &Job,
    mut found: impl FnMut(String),
) -> Result<u64> {
    let ExtentData::Esxi {
        index, file_len, ..
    } = extent.data
    else {
        return Ok(0);
    };
    let tables = Tables::new();
    let grains = Grains::new(link, &tables, extent, index, file_len);
    let grain = index.grain_sectors();
    let page = index.page_entries().saturating_mul(grain);
    let (mut at, mut used) = (0, 0);
    while at < extent.sectors {
        job.check()?;
        let limit = (page - at % page).min(extent.sectors - at);
        match grains.stored(at, limit) {
            Ok((stored, sectors)) => {
                if matches!(stored, Stored::Data(..)) {
                    used += sectors.div_ceil(grain);
                }
                at += sectors;
            }
            Err(error) if error.kind() == Kind::DiskInvalid => {
                found(error.to_string());
                at += grain.min(limit);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(used)
}
