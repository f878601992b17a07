//! One link of a chain: a descriptor and its extents, opened and checked, not yet read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::esxi;
use super::find::Finder;
use super::grains::Index;
use super::place::Places;
use super::pool::{FileId, Pool};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::descriptor::MAX_BYTES;
use crate::format::vmdk::sparse::{Embedded, FOOTER_BYTES, HEADER_BYTES, Header, MAGIC};
use crate::format::vmdk::{
    CreateType, Descriptor, ExtentAccess, ExtentKind, ExtentLine, NO_PARENT, SECTOR, cowd, sesparse,
};
use crate::store::{Bytes, folder_of};

/// The most sectors of a disk: far above the 62 TiB of VMware, far below any overflow.
pub(super) const MAX_SECTORS: u64 = 1 << 40;

/// A link of a chain.
pub struct Link {
    path: Arc<Path>,
    file: FileId,
    descriptor: Descriptor,
    create_type: CreateType,
    embedded: Option<Embedded>,
    extents: Vec<Extent>,
    sectors: u64,
    pool: Arc<Pool>,
}

/// A file with a part of a link's data.
#[derive(Clone, Debug)]
pub struct Extent {
    /// The file.
    pub file: FileId,
    /// First sector of the disk that it holds.
    pub first_sector: u64,
    /// Number of sectors of the disk that it holds.
    pub sectors: u64,
    /// How it holds them.
    pub data: ExtentData,
    /// What its line lets a guest do with it.
    pub access: ExtentAccess,
    /// Whether it can be written to: its line allows it, and its kind can take it.
    pub is_writable: bool,
}

/// How an extent holds its data.
#[derive(Clone, Copy, Debug)]
pub enum ExtentData {
    /// Raw, from this sector of the file on.
    Flat {
        /// First sector in the file.
        offset: u64,
    },
    /// Not at all: it reads as zeros. Its file is that of the descriptor.
    Zero,
    /// In grains.
    Sparse {
        /// Where its tables are.
        header: Header,
        /// Length of the file in bytes when it was opened.
        file_len: u64,
    },
    /// In grains, as ESXi's snapshots have it: read only.
    Esxi {
        /// Where its tables are.
        index: Index,
        /// Whether it was open for writing when its program ended.
        unclean: bool,
        /// Length of the file in bytes when it was opened.
        file_len: u64,
    },
}

impl ExtentData {
    /// Tells whether data can be put in place of what is there: not among compressed grains.
    fn can_be_written(&self) -> bool {
        match self {
            Self::Flat { .. } | Self::Zero => true,
            Self::Sparse { header, .. } => header.packing.is_none() && !header.spared,
            Self::Esxi { .. } => false,
        }
    }
}

impl Extent {
    /// Tells whether it was left open by a program that ended unexpectedly.
    pub fn is_unclean(&self) -> bool {
        match &self.data {
            ExtentData::Sparse { header, .. } => header.unclean,
            ExtentData::Esxi { unclean, .. } => *unclean,
            ExtentData::Flat { .. } | ExtentData::Zero => false,
        }
    }

    /// Returns the sectors that its file says it holds, be they more than its line says; `None` for one
    /// whose file says nothing.
    pub fn capacity(&self) -> Option<u64> {
        match &self.data {
            ExtentData::Sparse { header, .. } => Some(header.capacity),
            ExtentData::Esxi { index, .. } => Some(index.capacity()),
            ExtentData::Flat { .. } | ExtentData::Zero => None,
        }
    }

    /// Returns the header of a hosted sparse extent.
    pub fn header(&self) -> Option<&Header> {
        match &self.data {
            ExtentData::Sparse { header, .. } => Some(header),
            ExtentData::Flat { .. } | ExtentData::Zero | ExtentData::Esxi { .. } => None,
        }
    }
}

impl Link {
    /// Opens the link whose descriptor is at `path`, which the caller has checked.
    pub(super) fn open(pool: &Arc<Pool>, places: &Places, path: PathBuf) -> Result<Self> {
        let file = pool.add(path)?;
        let path = pool.path(file);
        let (descriptor, embedded) = read_descriptor(pool.get(file)?.as_ref(), &path)?;
        let create_type = descriptor.layout().map_err(|fault| fault.in_file(&path))?;
        let mut link = Self {
            path,
            file,
            descriptor,
            create_type,
            embedded,
            extents: Vec::new(),
            sectors: 0,
            pool: Arc::clone(pool),
        };
        link.check_parent_keys()?;
        link.open_extents(places)?;
        link.check_overlap()?;
        Ok(link)
    }

    /// Returns a flat link whose data is all of `file`, and whose descriptor is in no file.
    pub(super) fn raw(
        pool: &Arc<Pool>,
        file: FileId,
        descriptor: Descriptor,
        sectors: u64,
    ) -> Self {
        Self {
            path: pool.path(file),
            file,
            descriptor,
            create_type: CreateType::MonolithicFlat,
            embedded: None,
            extents: vec![Extent {
                file,
                first_sector: 0,
                sectors,
                data: ExtentData::Flat { offset: 0 },
                access: ExtentAccess::ReadOnly,
                is_writable: false,
            }],
            sectors,
            pool: Arc::clone(pool),
        }
    }

    /// Returns the file that holds the descriptor, with its true path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns the create type.
    pub fn create_type(&self) -> CreateType {
        self.create_type
    }

    /// Returns where the descriptor lies, when it is inside the link's only extent.
    pub fn embedded(&self) -> Option<Embedded> {
        self.embedded
    }

    /// Returns the extents in order of the guest's addresses.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Returns the capacity in sectors.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Returns the content id.
    pub fn cid(&self) -> u32 {
        self.descriptor.cid()
    }

    /// Tells whether the link stands on a parent.
    pub fn has_parent(&self) -> bool {
        self.descriptor.parent_cid() != NO_PARENT
    }

    /// Returns the path of an extent's file.
    pub fn extent_path(&self, extent: &Extent) -> Arc<Path> {
        self.pool.path(extent.file)
    }

    /// Returns the path of each extent's file with the bytes of its name in the descriptor.
    pub fn named_extents(&self) -> Vec<(Vec<u8>, Arc<Path>)> {
        let names = self.descriptor.extent_names();
        let named = names.into_iter().zip(&self.extents);
        named
            .filter_map(|(name, extent)| Some((name?, self.extent_path(extent))))
            .collect()
    }

    /// Returns the first extent that was left open by a program that ended unexpectedly.
    pub fn unclean(&self) -> Option<Arc<Path>> {
        self.extents
            .iter()
            .find(|extent| extent.is_unclean())
            .map(|extent| self.extent_path(extent))
    }

    /// Says which extents are read by their redundant directory.
    pub fn spared(&self) -> Vec<String> {
        let spared = |extent: &&Extent| extent.header().is_some_and(|header| header.spared);
        let extents = self.extents.iter().filter(spared);
        extents
            .map(|extent| {
                let name = quoted(self.extent_path(extent));
                format!("{name}: its grain directory is lost; the redundant one is used")
            })
            .collect()
    }

    /// Returns the file that holds the descriptor.
    pub(super) fn file(&self) -> FileId {
        self.file
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Only a sparse link can stand on a parent, and it must say on which.
    fn check_parent_keys(&self) -> Result<()> {
        let what = match (self.has_parent(), self.descriptor.parent_hint()) {
            (true, _) if !self.create_type.may_have_parent() => {
                "it is flat, and yet says that it stands on a parent"
            }
            (true, None) => "it stands on a parent, but does not name it",
            (false, Some(_)) => "it names a parent, but says that it stands on none",
            _ => return Ok(()),
        };
        Err(invalid(&self.path, what))
    }

    fn open_extents(&mut self, places: &Places) -> Result<()> {
        let lines = self
            .descriptor
            .extents()
            .map_err(|fault| fault.in_file(Kind::DiskInvalid, &self.path))?;
        if lines.is_empty() {
            return Err(invalid(&self.path, "it has no extents"));
        }
        if self.embedded.is_some() && lines.len() > 1 {
            return Err(invalid(
                &self.path,
                "it has more extents than the file itself",
            ));
        }
        let pool = Arc::clone(&self.pool);
        let finder = Finder::new(pool.store().as_ref());
        for line in lines {
            self.check_line(&line)?;
            let (file, data) = if holds_nothing(&line) {
                (self.file, ExtentData::Zero)
            } else {
                let file = self.locate(&finder, places, &line)?;
                (file, self.open_extent(file, &line)?)
            };
            self.extents.push(Extent {
                file,
                first_sector: self.sectors,
                sectors: line.sectors,
                data,
                access: line.access,
                is_writable: line.access == ExtentAccess::Full && data.can_be_written(),
            });
            self.sectors += line.sectors;
        }
        Ok(())
    }

    fn check_line(&self, line: &ExtentLine) -> Result<()> {
        let at = |what: &str| invalid(&self.path, &format!("line {}: {what}", line.line));
        let total = self.sectors.checked_add(line.sectors);
        if line.sectors == 0 || total.is_none_or(|total| total > MAX_SECTORS) {
            return Err(at(&format!(
                "an extent of {} sectors makes no sense",
                line.sectors
            )));
        }
        if !self.create_type.may_have(&line.kind) {
            let what = format!(
                "an extent of this kind in a disk of type {} is not read yet",
                self.create_type.word()
            );
            return Err(at(&what).as_kind(Kind::DiskUnsupported));
        }
        Ok(())
    }

    /// Returns an extent's file, checked against the places.
    ///
    /// An extent that embeds the descriptor is the opened file, whatever name the line gives: the
    /// file may have been renamed since.
    fn locate(&self, finder: &Finder<'_>, places: &Places, line: &ExtentLine) -> Result<FileId> {
        if self.embedded.is_some() {
            return Ok(self.file);
        }
        let Some(name) = &line.file else {
            return Err(invalid(
                &self.path,
                &format!("line {}: no file is named", line.line),
            ));
        };
        let wanted = folder_of(&self.path).join(name);
        let found = finder.find(&wanted).ok_or_else(|| {
            let text = format!(
                "{} is missing, a part of {}",
                quoted(&wanted),
                quoted(&self.path)
            );
            let hint = "bring all files of the disk together: its descriptor alone holds no data";
            Error::new(Kind::FileNotFound, text).at(&wanted).hint(hint)
        })?;
        let path = places.extent(self.pool.store().as_ref(), &found, &self.path)?;
        self.pool.add(path)
    }

    fn open_extent(&self, file: FileId, line: &ExtentLine) -> Result<ExtentData> {
        let (bytes, path) = (self.pool.get(file)?, &*self.pool.path(file));
        let needed = match line.kind {
            ExtentKind::Flat(offset) => {
                let end = offset
                    .checked_add(line.sectors)
                    .and_then(|end| end.checked_mul(SECTOR));
                let data = ExtentData::Flat { offset };
                let len = bytes.len()?;
                if end.is_some_and(|end| end <= len) {
                    return Ok(data);
                }
                return Err(self.too_short(path, len, end));
            }
            _ => line.sectors,
        };
        let (data, capacity) = match line.kind {
            ExtentKind::VmfsSparse => esxi::open_cowd(bytes.as_ref(), path)?,
            ExtentKind::SeSparse => esxi::open_sesparse(bytes.as_ref(), path)?,
            _ => {
                let (header, file_len) = read_header(bytes.as_ref(), path)?;
                (ExtentData::Sparse { header, file_len }, header.capacity)
            }
        };
        // More than is said: a growth was cut off before the descriptor told of it.
        if capacity < needed {
            let text = format!(
                "{} holds {capacity} sectors, but its descriptor {} says {needed}",
                quoted(path),
                quoted(&self.path)
            );
            return Err(Error::new(Kind::DiskInvalid, text).at(path));
        }
        Ok(data)
    }

    fn too_short(&self, path: &Path, len: u64, end: Option<u64>) -> Error {
        let needed = end.map_or_else(
            || "more than any file has".to_owned(),
            |end| end.to_string(),
        );
        let text = format!(
            "{} has {len} bytes, but its descriptor {} needs {needed}",
            quoted(path),
            quoted(&self.path)
        );
        Error::new(Kind::DiskInvalid, text).at(path)
    }

    /// Refuses extents that share data: a write to one would change the other.
    fn check_overlap(&self) -> Result<()> {
        let mut used: Vec<(Arc<Path>, u64, u64)> = self
            .extents
            .iter()
            .filter_map(|extent| match extent.data {
                ExtentData::Flat { offset } => {
                    Some((self.extent_path(extent), offset, offset + extent.sectors))
                }
                ExtentData::Sparse { .. } | ExtentData::Esxi { .. } => {
                    Some((self.extent_path(extent), 0, u64::MAX))
                }
                ExtentData::Zero => None,
            })
            .collect();
        used.sort_unstable();
        for pair in used.windows(2) {
            if let [(a, _, end), (b, start, _)] = pair
                && a == b
                && start < end
            {
                let what = format!("it uses {} for two parts of the disk", quoted(a));
                return Err(invalid(&self.path, &what));
            }
        }
        Ok(())
    }
}

/// Tells whether a line stands for zeros, with or without a file.
fn holds_nothing(line: &ExtentLine) -> bool {
    line.kind == ExtentKind::Zero || line.access == ExtentAccess::None
}

fn invalid(path: &Path, what: &str) -> Error {
    Error::new(Kind::DiskInvalid, format!("{}: {what}", quoted(path))).at(path)
}

/// Reads and checks the header of the sparse extent at `path`; returns the file's length with it.
fn read_header(file: &dyn Bytes, path: &Path) -> Result<(Header, u64)> {
    let mut bytes = [0; HEADER_BYTES];
    if file.read_at(&mut bytes, 0)? < HEADER_BYTES {
        return Err(invalid(path, "it is too short for a sparse extent"));
    }
    let mut header = Header::parse(&bytes).map_err(|fault| fault.in_file(path))?;
    let len = file.len()?;
    if header.is_at_end() {
        let mut end = [0; FOOTER_BYTES];
        file.read_at(&mut end, len.saturating_sub(FOOTER_BYTES as u64))?;
        header = header.footer(&end).map_err(|fault| fault.in_file(path))?;
    }
    let header = header
        .fitting(len)
        .map_err(|fault| fault.in_file(Kind::DiskInvalid, path))?;
    Ok((header, len))
}

/// Reads the descriptor of the disk in `file`: the text, or what a sparse extent embeds.
pub(super) fn read_descriptor(
    file: &dyn Bytes,
    path: &Path,
) -> Result<(Descriptor, Option<Embedded>)> {
    let mut head = [0; HEADER_BYTES];
    let got = file.read_at(&mut head, 0)?;
    if got == HEADER_BYTES && head.starts_with(&MAGIC) {
        let place = Embedded::parse(&head)
            .map_err(|fault| fault.in_file(Kind::DiskInvalid, path))?
            .ok_or_else(|| part_of_a_disk(path))?;
        return Ok((read_embedded(file, path, place)?, Some(place)));
    }
    if head.starts_with(&cowd::MAGIC) || head.starts_with(&sesparse::MAGIC) {
        return Err(part_of_a_disk(path));
    }
    let len = file.len()?;
    if len > MAX_BYTES || !looks_like_text(&head[..got]) {
        return Err(invalid(path, "it is no VMware disk"));
    }
    let mut text = vec![0; len as usize];
    let got = file.read_at(&mut text, 0)?;
    let descriptor = Descriptor::parse(&text[..got]).map_err(|fault| {
        fault
            .in_file(Kind::DiskInvalid, path)
            .context("no VMware disk")
    })?;
    Ok((descriptor, None))
}

fn read_embedded(file: &dyn Bytes, path: &Path, place: Embedded) -> Result<Descriptor> {
    let mut area = vec![0; (place.sectors * SECTOR) as usize];
    let got = file.read_at(&mut area, place.offset * SECTOR)?;
    if area.first().is_none_or(|first| *first == 0) {
        // QEMU keeps room for a descriptor in every extent of a split disk.
        return Err(part_of_a_disk(path));
    }
    Descriptor::parse_embedded(&area[..got]).map_err(|fault| {
        fault
            .in_file(Kind::DiskInvalid, path)
            .context("the embedded descriptor")
    })
}

fn part_of_a_disk(path: &Path) -> Error {
    invalid(path, "it is only a part of a disk").hint("open the disk by its descriptor file")
}

/// Tells text from other data; QEMU fills a descriptor file up with zero bytes.
fn looks_like_text(head: &[u8]) -> bool {
    let text = head.split(|byte| *byte == 0).next().unwrap_or_default();
    !text.is_empty()
        && text
            .iter()
            .all(|byte| *byte >= b' ' || byte.is_ascii_whitespace())
}
