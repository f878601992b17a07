//! Checking a disk: every table of every link, in bounded memory; nothing is written.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::CheckReport;
use super::chain::{Opener, Survey};
use super::esxi;
use super::link::{Extent, ExtentData, Link};
use super::map::Packed;
use super::pool::{FileId, Pool};
use super::tables::{Page, to_page};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{Header, Packing, TABLE_BYTES, TABLE_ENTRIES, ZERO_GRAIN};
use crate::job::Job;

/// The most findings of one sort that are told one by one.
const MAX_FINDINGS: usize = 20;

/// The most places of grains that are watched at once: 8 MiB of memory.
const MAX_SLOTS: u64 = 64 << 20;

/// Checks the disk at `path` with all its parents.
///
/// # Errors
/// Where the disk cannot be looked at: `FileNotFound`, `Denied`, `DiskUnsupported`, `Cancelled`,
/// what the system says. Damage is no error but a finding.
pub fn check(opener: &Opener, path: &Path, job: &Job) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let survey = match opener.survey(path) {
        // A missing part of the disk is damage; a missing disk is not.
        Err(error)
            if error.kind() == Kind::DiskInvalid
                || (error.kind() == Kind::FileNotFound && opener.store().exists(path)) =>
        {
            report.errors.push(error.to_string());
            return Ok(report);
        }
        survey => survey?,
    };
    check_links(&survey, &mut report, job)?;
    report
        .errors
        .extend(survey.problem.map(|problem| problem.to_string()));
    Ok(report)
}

fn check_links(survey: &Survey, report: &mut CheckReport, job: &Job) -> Result<()> {
    for link in &survey.links {
        if let Some(file) = link.unclean() {
            report
                .errors
                .push(format!("{} was not closed cleanly", quoted(&file)));
        }
        note_content_id(link, report);
        for checker in checkers(link) {
            job.check()?;
            checker.check(report, job)?;
        }
        check_esxi(link, report, job)?;
    }
    Ok(())
}

/// Follows the tables of ESXi's extents.
fn check_esxi(link: &Link, report: &mut CheckReport, job: &Job) -> Result<()> {
    for extent in link.extents() {
        let mut damage = Findings::default();
        let grains = esxi::check(link, extent, job, |what| damage.add(|| what))?;
        report.allocated_grains += grains;
        // They name the file themselves.
        report.errors.extend(damage.into_told());
    }
    Ok(())
}

/// Refuses a link to which a write could do more harm: two of its grains share their place, or its
/// tables are broken. Tables that are merely out of step are put right by the write.
pub(super) fn require_sound(link: &Link, job: &Job) -> Result<()> {
    for checker in checkers(link) {
        let mut damage = Findings::default();
        checker.check_directory(&mut damage, &mut Findings::default())?;
        checker.check_tables(&mut damage, Redundant::Ignored, job)?;
        checker.check_overlap(&mut damage, job)?;
        if let Some(first) = damage.told.first() {
            let text = format!("{} is damaged: {first}", quoted(&checker.path));
            return Err(Error::new(Kind::DiskInvalid, text).at(&checker.path));
        }
    }
    Ok(())
}

fn checkers(link: &Link) -> impl Iterator<Item = Checker<'_>> {
    link.extents()
        .iter()
        .filter_map(|extent| match extent.data {
            ExtentData::Flat { .. } | ExtentData::Zero | ExtentData::Esxi { .. } => None,
            ExtentData::Sparse { header, file_len } => Some(Checker {
                pool: link.pool(),
                path: link.extent_path(extent),
                extent,
                header,
                file_len,
            }),
        })
}

/// QEMU, and older tools, change the short id alone: odd, but no damage.
fn note_content_id(link: &Link, report: &mut CheckReport) {
    let cid = format!("{:08x}", link.cid());
    if let Some(long) = link.descriptor().get("ddb.longContentID")
        && !long.to_ascii_lowercase().ends_with(&cid)
    {
        let name = quoted(link.path());
        report.notes.push(format!(
            "{name}: the long content id does not belong to {cid}"
        ));
    }
}

/// One sparse extent under examination.
struct Checker<'a> {
    pool: &'a Pool,
    path: Arc<Path>,
    extent: &'a Extent,
    header: Header,
    file_len: u64,
}

/// What is done about the redundant tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Redundant {
    Compared,
    Ignored,
}

/// Findings of one sort, of which only the first are told.
#[derive(Default)]
struct Findings {
    told: Vec<String>,
    count: usize,
}

impl Findings {
    fn add(&mut self, finding: impl FnOnce() -> String) {
        self.count += 1;
        if self.count <= MAX_FINDINGS {
            self.told.push(finding());
        }
    }

    fn into_lines(self, path: &Path) -> Vec<String> {
        let name = quoted(path);
        self.into_told()
            .into_iter()
            .map(|finding| format!("{name}: {finding}"))
            .collect()
    }

    fn into_told(mut self) -> Vec<String> {
        if self.count > MAX_FINDINGS {
            let more = self.count - MAX_FINDINGS;
            self.told.push(format!("and {more} more of this kind"));
        }
        self.told
    }
}

impl Checker<'_> {
    fn check(&self, report: &mut CheckReport, job: &Job) -> Result<()> {
        let mut damage = Findings::default();
        let mut oddities = Findings::default();
        self.check_directory(&mut damage, &mut oddities)?;
        let grains = self.check_tables(&mut damage, Redundant::Compared, job)?;
        self.check_overlap(&mut damage, job)?;
        report.allocated_grains += grains;
        self.note_room(grains, &mut oddities);
        report.errors.extend(damage.into_lines(&self.path));
        report.notes.extend(oddities.into_lines(&self.path));
        Ok(())
    }

    /// Looks for room that no grain takes. Compressed ones are of any length.
    fn note_room(&self, grains: u64, oddities: &mut Findings) {
        if self.header.packing.is_some() {
            return;
        }
        let room = (self.file_len / SECTOR).saturating_sub(self.header.overhead);
        let unused = (room / self.header.grain_sectors).saturating_sub(grains);
        if unused > 0 {
            oddities.add(|| format!("room for {unused} grains is used by none"));
        }
    }

    /// Looks at the places of the grain tables.
    fn check_directory(&self, damage: &mut Findings, oddities: &mut Findings) -> Result<()> {
        let mut places = Vec::new();
        let mut tables = self.tables(self.header.gd_offset);
        for table in 0..self.header.tables() {
            match tables.sector(table)? {
                // Nothing is ever written to a stream.
                0 if self.header.packing.is_some() => {}
                0 => oddities.add(|| {
                    format!(
                        "grain table {table} is missing: QEMU would destroy the file on a write"
                    )
                }),
                sector if !tables.is_inside(sector) => damage.add(|| {
                    format!(
                        "grain table {table} at sector {sector} lies beyond the end of the file"
                    )
                }),
                sector => places.push(sector as u32),
            }
        }
        places.sort_unstable();
        for pair in places.windows(2) {
            if u64::from(pair[1] - pair[0]) < TABLE_BYTES / SECTOR {
                damage.add(|| format!("two grain tables overlap at sector {}", pair[1]));
            }
        }
        Ok(())
    }

    /// Looks at every entry, and at the redundant tables; returns the number of grains.
    fn check_tables(&self, damage: &mut Findings, copies: Redundant, job: &Job) -> Result<u64> {
        let mut grains = 0;
        let mut redundant = match (self.header.rgd_offset, copies) {
            (Some(directory), Redundant::Compared) => Some(self.tables(directory)),
            _ => None,
        };
        self.for_each_table(job, |table, found| {
            if let Some(redundant) = &mut redundant
                && *found != Found::Missing
                && redundant.table(table)? != *found
            {
                damage.add(|| format!("grain table {table} and its redundant copy differ"));
            }
            for (number, entry) in self.grains(table, found) {
                if number * self.header.grain_sectors < self.extent.sectors {
                    grains += 1;
                    match self.header.packing {
                        None => self.check_grain(number, u64::from(entry), damage),
                        Some(packing) => {
                            job.check()?;
                            self.check_packed(packing, number, u64::from(entry), damage)?;
                        }
                    }
                }
            }
            Ok(())
        })?;
        Ok(grains)
    }

    /// Returns number and sector of each grain in a table.
    fn grains<'f>(&self, table: u64, found: &'f Found) -> impl Iterator<Item = (u64, u32)> + 'f {
        let zeros = self.header.zero_grains.then_some(ZERO_GRAIN);
        let page: &[u32] = match found {
            Found::Page(page) => &page[..],
            Found::Missing | Found::Empty => &[],
        };
        let numbers = table * TABLE_ENTRIES..;
        numbers
            .zip(page.iter().copied())
            .filter(move |(_, entry)| *entry != 0 && Some(*entry) != zeros)
    }

    fn check_grain(&self, number: u64, sector: u64, damage: &mut Findings) {
        let left = self.header.capacity - number * self.header.grain_sectors;
        let end = (sector + left.min(self.header.grain_sectors)) * SECTOR;
        if end > self.file_len {
            damage.add(|| {
                format!("grain {number} at sector {sector} lies beyond the end of the file")
            });
        } else if sector < self.header.overhead {
            damage.add(|| format!("grain {number} at sector {sector} lies among the tables"));
        } else if !(sector - self.header.overhead).is_multiple_of(self.header.grain_sectors) {
            damage.add(|| format!("grain {number} at sector {sector} is out of line"));
        }
    }

    /// Decompresses a grain: its checksum tells whether it is sound.
    fn check_packed(
        &self,
        packing: Packing,
        number: u64,
        sector: u64,
        damage: &mut Findings,
    ) -> Result<()> {
        let grain = self.header.grain_sectors;
        let packed = Packed {
            file: self.extent.file,
            offset: sector * SECTOR,
            packing,
            lba: number * grain,
            grain_sectors: grain,
            sectors: grain.min(self.header.capacity - number * grain),
            skip: 0,
        };
        let mut bytes = vec![0; self.header.grain_bytes() as usize];
        if let Err(what) = packed.try_inflate(self.pool, &mut bytes)? {
            damage.add(|| what);
        }
        Ok(())
    }

    /// Looks for grains that are used twice: as many places at a time as memory is allowed for.
    fn check_overlap(&self, damage: &mut Findings, job: &Job) -> Result<()> {
        let slots = (self.file_len / SECTOR).min(1 << 32) / self.slot_sectors() + 1;
        let mut first_slot = 0;
        while first_slot < slots {
            let count = (slots - first_slot).min(MAX_SLOTS);
            let mut seen = vec![0u64; count.div_ceil(64) as usize];
            self.for_each_table(job, |table, found| {
                for (number, entry) in self.grains(table, found) {
                    let at = self.slot(u64::from(entry)).wrapping_sub(first_slot);
                    if at < count && take(&mut seen, at) {
                        damage.add(|| format!("grain {number} at sector {entry} is used twice"));
                    }
                }
                Ok(())
            })?;
            first_slot += count;
        }
        Ok(())
    }

    /// Returns the number of the place in the file where a grain begins.
    fn slot(&self, sector: u64) -> u64 {
        let each = self.slot_sectors();
        sector.saturating_sub(self.header.overhead % each) / each
    }

    /// Sectors between two places where a grain may begin.
    fn slot_sectors(&self) -> u64 {
        match self.header.packing {
            Some(_) => 1,
            None => self.header.grain_sectors,
        }
    }

    /// Calls `look` with each table.
    fn for_each_table(
        &self,
        job: &Job,
        mut look: impl FnMut(u64, &Found) -> Result<()>,
    ) -> Result<()> {
        let mut tables = self.tables(self.header.gd_offset);
        for table in 0..self.header.tables() {
            if table.is_multiple_of(TABLE_ENTRIES) {
                job.check()?;
            }
            look(table, &tables.table(table)?)?;
        }
        Ok(())
    }

    fn tables(&self, directory: u64) -> TableReader<'_> {
        TableReader {
            pool: self.pool,
            file: self.extent.file,
            file_len: self.file_len,
            directory,
            entries: None,
            hole: 0..0,
        }
    }
}

/// A grain table, as far as it is there.
#[derive(PartialEq, Eq)]
enum Found {
    /// The directory names none, or one outside of the file.
    Missing,
    /// All its entries are 0.
    Empty,
    /// It has entries.
    Page(Box<Page>),
}

/// Reads the tables of one directory in order, without what is a hole of the file.
struct TableReader<'a> {
    pool: &'a Pool,
    file: FileId,
    file_len: u64,
    /// First sector of the directory.
    directory: u64,
    /// The part of the directory that was read last, and its number.
    entries: Option<(u64, Page)>,
    /// Bytes of the file that are known to be a hole.
    hole: Range<u64>,
}

impl TableReader<'_> {
    /// Returns the sector of a table as the directory has it.
    fn sector(&mut self, table: u64) -> Result<u64> {
        let part = table / TABLE_ENTRIES;
        let known = self.entries.as_ref().filter(|(known, _)| *known == part);
        let entries = match known {
            Some((_, entries)) => entries,
            None => {
                let at = self.directory.saturating_mul(SECTOR);
                let page = self.read(at.saturating_add(part * TABLE_BYTES))?;
                &self.entries.insert((part, page)).1
            }
        };
        Ok(u64::from(entries[(table % TABLE_ENTRIES) as usize]))
    }

    fn is_inside(&self, table_sector: u64) -> bool {
        table_sector * SECTOR + TABLE_BYTES <= self.file_len
    }

    fn table(&mut self, table: u64) -> Result<Found> {
        let sector = self.sector(table)?;
        if sector == 0 || !self.is_inside(sector) {
            return Ok(Found::Missing);
        }
        let (start, end) = (sector * SECTOR, sector * SECTOR + TABLE_BYTES);
        if !(self.hole.start <= start && end <= self.hole.end) {
            let page = self.read(start)?;
            if page.iter().any(|entry| *entry != 0) {
                return Ok(Found::Page(Box::new(page)));
            }
            let next = self.pool.get(self.file)?.next_data(end)?;
            self.hole = start..next.map_or(self.file_len, |(data, _)| data);
        }
        Ok(Found::Empty)
    }

    /// Reads a page; what lies past the end of the file is zeros.
    fn read(&self, offset: u64) -> Result<Page> {
        let mut bytes = [0; TABLE_BYTES as usize];
        if offset < self.file_len {
            self.pool.get(self.file)?.read_at(&mut bytes, offset)?;
        }
        Ok(to_page(&bytes))
    }
}

/// Marks a bit; tells whether it was marked already.
fn take(bits: &mut [u64], at: u64) -> bool {
    let (word, bit) = (&mut bits[(at / 64) as usize], 1 << (at % 64));
    let was = *word & bit != 0;
    *word |= bit;
    was
}
