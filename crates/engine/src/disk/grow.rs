//! Making a disk larger. What is there stays where it is.
//!
//! The files come first and the descriptor last: until it says so, the disk has its old size. A sparse
//! extent whose tables have no room gets new ones at its end, which its header names once they are
//! durable.

use super::chain::Chain;
use super::create::{Blank, cut};
use super::edit;
use super::files::Made;
use super::geometry::{self, Ddb};
use super::link::{Extent, ExtentData, Link, MAX_SECTORS};
use super::map::Stored;
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::sparse::{HEADER_BYTES, Header, Layout, MAGIC, MAX_CAPACITY, TABLE_BYTES};
use crate::format::vmdk::{CreateType, NewExtent, SECTOR};
use crate::store::{Access, Bytes, Store, folder_of};

/// Makes a disk larger, to `sectors`; new sectors read as zeros.
///
/// The caller guarantees that nobody uses the disk, and that nothing stands on it.
///
/// # Errors
/// `Argument` where it is that large already; `DiskUnsupported` for a disk that stands on another,
/// and for a type that cannot hold so much; `DiskNeedsRepair`; `FileLocked`; `NoSpace`. The disk has
/// its old size then.
pub fn grow(store: &dyn Store, chain: &Chain, sectors: u64) -> Result<()> {
    let link = chain.top();
    require_growable(chain, sectors)?;
    link.require_unused(store)?;
    let lengths = lengths(link, sectors);
    let last = link.extents().len() - 1;
    let is_preallocated = is_preallocated(store, link)?;
    let grower = Grower {
        store,
        chain,
        extent: &link.extents()[last],
        is_preallocated,
    };
    if lengths[last] > grower.extent.sectors {
        grower.grow_to(lengths[last])?;
    }
    let blank = Blank {
        path: link.path(),
        create_type: link.create_type(),
        preallocated: is_preallocated,
        cut: lengths.clone(),
        cid: link.cid(),
        parent: None,
        ddb: Ddb::new(),
    };
    let mut made = Made::new(store);
    let mut lines = String::new();
    for extent in blank.extents()?.iter().skip(last + 1) {
        clear_leftover(store, link, extent)?;
        blank.make_extent(&mut made, store, extent)?;
        let line = extent.line(link.create_type());
        lines += &line.map_err(|fault| fault.in_file(Kind::FileName, link.path()))?;
    }
    made.sync()?;
    store.sync_dir(folder_of(link.path()))?;
    edit::change(store, link, |descriptor| {
        let cylinders = geometry::regrown(descriptor, sectors);
        descriptor.set_extent_sectors(last, lengths[last])?;
        descriptor.add_extents(&lines)?;
        match cylinders {
            Some(number) => descriptor.set("ddb.geometry.cylinders", &number.to_string()),
            None => Ok(()),
        }
    })?;
    made.keep();
    Ok(())
}

/// Removes a file in the place of a new extent that holds nothing: a growth that was cut off made it.
fn clear_leftover(store: &dyn Store, link: &Link, extent: &NewExtent) -> Result<()> {
    let path = folder_of(link.path()).join(&extent.file);
    let file = match store.open(&path, Access::Read) {
        Err(error) if error.kind() == Kind::FileNotFound => return Ok(()),
        file => file?,
    };
    let holds_nothing = match link.create_type().is_sparse() {
        // There is room for a header and tables, and for no grain.
        true => {
            let layout = Layout::new(extent.sectors, false);
            let room = layout.map_err(|fault| fault.in_file(Kind::DiskInvalid, &path))?;
            let mut start = [0; MAGIC.len()];
            file.read_at(&mut start, 0)?;
            file.len()? <= room.overhead * SECTOR && (start == MAGIC || start == [0; 4])
        }
        false => file.next_data(0)?.is_none(),
    };
    if holds_nothing {
        return store.remove_file(&path);
    }
    let text = format!("{} is there already", quoted(&path));
    Err(Error::new(Kind::FileExists, text).at(&path))
}

fn require_growable(chain: &Chain, sectors: u64) -> Result<()> {
    let link = chain.top();
    let name = quoted(link.path());
    let refuse = |kind, text: String| Err(Error::new(kind, text).at(link.path()));
    if link.has_parent() {
        let text = format!("{name} stands on another disk, which has its old size for ever");
        return refuse(Kind::DiskUnsupported, text);
    }
    if sectors <= link.sectors() || sectors > MAX_SECTORS {
        let (has, wanted) = (link.sectors() * SECTOR, sectors.saturating_mul(SECTOR));
        let text = format!("{name} has {has} bytes and cannot grow to {wanted}");
        return refuse(Kind::Argument, text);
    }
    if link.create_type() == CreateType::Custom {
        let text = format!("{name} is made of parts that somebody chose: none can be added");
        return refuse(Kind::DiskUnsupported, text);
    }
    if link.create_type() == CreateType::MonolithicSparse && sectors > MAX_CAPACITY {
        let text = format!("{name} is one sparse file, which holds 2 TiB at most");
        return refuse(Kind::DiskUnsupported, text);
    }
    chain.require_clean()?;
    link.require_writable()
}

/// Returns the lengths of all extents once the disk has `sectors`: the last one grows, of a split disk as far
/// as others of its kind do, and new ones follow.
fn lengths(link: &Link, sectors: u64) -> Vec<u64> {
    let mut lengths: Vec<u64> = link.extents().iter().map(|extent| extent.sectors).collect();
    let piece = match lengths[..] {
        [first, _, ..] if link.create_type().is_split() => first,
        _ => link.create_type().usual_cut(),
    };
    let mut more = sectors - link.sectors();
    if let Some(last) = lengths.last_mut() {
        let room = piece.saturating_sub(*last).min(more);
        *last += room;
        more -= room;
    }
    lengths.extend(cut(more, piece));
    lengths
}

/// Tells whether a flat disk has all its space.
fn is_preallocated(store: &dyn Store, link: &Link) -> Result<bool> {
    Ok(!link.create_type().is_sparse() && link.allocated_bytes(store)? >= link.sectors() * SECTOR)
}

/// The last extent of a disk that grows.
struct Grower<'a> {
    store: &'a dyn Store,
    chain: &'a Chain,
    extent: &'a Extent,
    is_preallocated: bool,
}

impl Grower<'_> {
    fn grow_to(&self, sectors: u64) -> Result<()> {
        let path = self.chain.top().extent_path(self.extent);
        let file = self.store.open(&path, Access::Write)?;
        match self.extent.data {
            ExtentData::Flat { offset } => {
                let len = (offset + sectors) * SECTOR;
                if self.is_preallocated {
                    file.allocate(len)?;
                } else if len > file.len()? {
                    file.set_len(len)?;
                }
            }
            ExtentData::Sparse { header, .. } => {
                self.grow_sparse(file.as_ref(), &header, sectors)?;
            }
            // Refused before.
            ExtentData::Zero | ExtentData::Esxi { .. } => {}
        }
        file.sync()
    }

    fn grow_sparse(&self, file: &dyn Bytes, header: &Header, sectors: u64) -> Result<()> {
        self.clear_tail(file, header)?;
        let mut bytes = [0; HEADER_BYTES];
        file.read_exact_at(&mut bytes, 0)?;
        let tables = sectors.div_ceil(header.table_sectors());
        let layout = if tables > header.tables() {
            Some(self.copy_tables(file, header, sectors)?)
        } else {
            None
        };
        file.sync()?;
        let path = self.chain.top().extent_path(self.extent);
        let grown = Header::regrown(&bytes, sectors, layout.as_ref())
            .map_err(|fault| fault.in_file(Kind::DiskInvalid, &path))?;
        file.write_at(&grown, 0)
    }

    /// Fills what the last grain has behind the end of the disk with zeros: it will be seen.
    fn clear_tail(&self, file: &dyn Bytes, header: &Header) -> Result<()> {
        let capacity = self.extent.sectors;
        let inside = capacity % header.grain_sectors;
        if inside == 0 {
            return Ok(());
        }
        let link = self.chain.top();
        let last = self.extent.first_sector + capacity - 1;
        if let (Stored::Data(_, offset), _) = link.stored(&self.chain.tables, last, 1)? {
            let tail = (header.grain_sectors - inside) * SECTOR;
            file.write_at(&vec![0; tail as usize], offset + SECTOR)?;
        }
        Ok(())
    }

    /// Writes tables for `sectors` sectors behind the file's end, with the entries that are there.
    fn copy_tables(&self, file: &dyn Bytes, header: &Header, sectors: u64) -> Result<Layout> {
        let end = file.len()?.div_ceil(SECTOR).max(header.overhead);
        let first = end.next_multiple_of(header.grain_sectors);
        let layout = Layout::behind(first, sectors, header.grain_sectors);
        if layout.overhead > u64::from(u32::MAX) {
            let path = self.chain.top().extent_path(self.extent);
            let text = format!("{} is full: 2 TiB fit a sparse file", quoted(&path));
            return Err(Error::new(Kind::NoSpace, text).at(&path));
        }
        file.set_len(layout.overhead * SECTOR)?;
        file.write_at(&layout.redundant_directory(), layout.rgd_offset * SECTOR)?;
        file.write_at(&layout.primary_directory(), layout.gd_offset * SECTOR)?;
        let mut directory = [0; 4];
        for table in 0..header.tables() {
            file.read_exact_at(&mut directory, header.gd_offset * SECTOR + table * 4)?;
            let at = u64::from(u32::from_le_bytes(directory)) * SECTOR;
            let mut entries = [0; TABLE_BYTES as usize];
            if at == 0 {
                continue;
            }
            file.read_exact_at(&mut entries, at)?;
            if entries.iter().all(|byte| *byte == 0) {
                continue;
            }
            for start in [layout.rgt_offset, layout.gt_offset] {
                file.write_at(&entries, start * SECTOR + table * TABLE_BYTES)?;
            }
        }
        Ok(layout)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::super::{NewDisk, Opener, Places, check, compact, create};
    use super::*;
    use crate::job::Job;
    use crate::store::{Mem, write_new};

    const DISK: &str = "/vm/d.vmdk";
    const BEFORE: u64 = 2000;
    const AFTER: u64 = 4000;

    const TYPES: [CreateType; 4] = [
        CreateType::MonolithicSparse,
        CreateType::MonolithicFlat,
        CreateType::SplitSparse,
        CreateType::SplitFlat,
    ];

    fn opener(mem: &Mem) -> Opener {
        let places = Places::of(mem, Path::new("/vm")).unwrap();
        Opener::new(Arc::new(mem.clone()), places)
    }

    fn open(mem: &Mem) -> Chain {
        opener(mem).open(Path::new(DISK)).unwrap()
    }

    /// An empty disk, in extents of 1000 sectors where it is split.
    fn disk(create_type: CreateType) -> Mem {
        let mem = Mem::new();
        mem.create_dir(Path::new("/vm")).unwrap();
        let new = NewDisk {
            path: DISK.into(),
            create_type,
            preallocated: false,
            sectors: BEFORE,
            cut: Some(1000),
            adapter: "lsilogic".into(),
            hardware_version: 16,
            uuid: None,
        };
        create(&mem, &new).unwrap();
        mem
    }

    /// Cuts `work` off before each of its changes in turn; `check` looks at what is left.
    fn cut_off(create_type: CreateType, work: fn(&Mem) -> Result<()>, check: impl Fn(&Mem)) {
        let mut changes = 0;
        loop {
            let mem = disk(create_type);
            mem.limit_changes(Some(changes));
            let done = work(&mem);
            mem.limit_changes(None);
            check(&mem);
            if done.is_ok() {
                break;
            }
            changes += 1;
        }
        assert!(changes > 1, "{changes}");
    }

    #[test]
    fn growth_that_is_cut_off_anywhere_can_be_done_again() {
        for create_type in TYPES {
            let work = |mem: &Mem| grow(mem, &open(mem), AFTER);
            cut_off(create_type, work, |mem| {
                if open(mem).sectors() != AFTER {
                    assert_eq!(open(mem).sectors(), BEFORE);
                    grow(mem, &open(mem), AFTER).unwrap();
                }
                assert_eq!(open(mem).sectors(), AFTER);
                let found = check(&opener(mem), Path::new(DISK), &Job::new()).unwrap();
                assert_eq!(found.errors, [""; 0], "{create_type:?}");
            });
        }
    }

    #[test]
    fn compaction_that_is_cut_off_anywhere_leaves_nothing_behind_the_next() {
        for create_type in [CreateType::MonolithicSparse, CreateType::SplitSparse] {
            let work = |mem: &Mem| compact(mem, &open(mem), &Job::new());
            cut_off(create_type, work, |mem| {
                assert_eq!(open(mem).sectors(), BEFORE);
                compact(mem, &open(mem), &Job::new()).unwrap();
                let names = mem.list(Path::new("/vm")).unwrap().into_iter();
                let mut names = names.map(|entry| entry.name.to_string_lossy().into_owned());
                assert!(names.all(|name| !name.starts_with('.')));
            });
        }
    }

    #[test]
    fn file_with_something_in_it_is_left_alone() {
        for (create_type, name) in [
            (CreateType::SplitSparse, "/vm/d-s003.vmdk"),
            (CreateType::SplitFlat, "/vm/d-f003.vmdk"),
        ] {
            let mem = disk(create_type);
            write_new(&mem, Path::new(name), b"mine").unwrap();
            let error = grow(&mem, &open(&mem), AFTER).unwrap_err();
            assert_eq!(error.kind(), Kind::FileExists);
            assert_eq!(open(&mem).sectors(), BEFORE);
            assert!(mem.exists(Path::new(name)));
        }
    }
}
