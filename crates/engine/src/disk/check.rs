//! Checking a disk: every table of every link, in bounded memory; nothing is written.

use std::path::Path;
use std::sync::Arc;

use super::CheckReport;
use super::chain::{Opener, Survey};
use super::link::{Extent, ExtentData, Link};
use super::pool::{FileId, Pool};
use super::tables::{Page, to_page};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{Header, TABLE_BYTES, TABLE_ENTRIES, ZERO_GRAIN};
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
            ExtentData::Flat { .. } => None,
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

    fn into_lines(mut self, path: &Path) -> Vec<String> {
        let name = quoted(path);
        if self.count > MAX_FINDINGS {
            let more = self.count - MAX_FINDINGS;
            self.told.push(format!("and {more} more of this kind"));
        }
        self.told
            .into_iter()
            .map(|finding| format!("{name}: {finding}"))
            .collect()
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
        let room = (self.file_len / SECTOR).saturating_sub(self.header.overhead);
        let unused = (room / self.header.grain_sectors).saturating_sub(grains);
        if unused > 0 {
            oddities.add(|| format!("room for {unused} grains is used by none"));
        }
        report.errors.extend(damage.into_lines(&self.path));
        report.notes.extend(oddities.into_lines(&self.path));
        Ok(())
    }

    /// Looks at the places of the grain tables.
    fn check_directory(&self, damage: &mut Findings, oddities: &mut Findings) -> Result<()> {
        let mut places = Vec::new();
        for table in 0..self.header.tables() {
            match self.table_sector(self.header.gd_offset, table)? {
                0 => oddities.add(|| {
                    format!(
                        "grain table {table} is missing: QEMU would destroy the file on a write"
                    )
                }),
                sector if !self.is_inside(sector) => damage.add(|| {
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
        self.for_each_table(job, |table, page| {
            if let (Some(directory), Redundant::Compared) = (self.header.rgd_offset, copies)
                && self.table(directory, table)?.as_ref() != Some(page)
            {
                damage.add(|| format!("grain table {table} and its redundant copy differ"));
            }
            for (i, entry) in page.iter().enumerate() {
                let number = table * TABLE_ENTRIES + i as u64;
                if self.is_grain(*entry) && number * self.header.grain_sectors < self.extent.sectors
                {
                    grains += 1;
                    self.check_grain(number, u64::from(*entry), damage);
                }
            }
            Ok(())
        })?;
        Ok(grains)
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

    /// Looks for grains that are used twice: as many places at a time as memory is allowed for.
    fn check_overlap(&self, damage: &mut Findings, job: &Job) -> Result<()> {
        let grain = self.header.grain_sectors;
        let slots = (self.file_len / SECTOR).min(1 << 32) / grain + 1;
        let mut first_slot = 0;
        while first_slot < slots {
            let count = (slots - first_slot).min(MAX_SLOTS);
            let mut seen = vec![0u64; count.div_ceil(64) as usize];
            self.for_each_table(job, |table, page| {
                for (i, entry) in page.iter().enumerate() {
                    if !self.is_grain(*entry) {
                        continue;
                    }
                    let at = self.slot(u64::from(*entry)).wrapping_sub(first_slot);
                    if at < count && take(&mut seen, at) {
                        let number = table * TABLE_ENTRIES + i as u64;
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
        let grain = self.header.grain_sectors;
        sector.saturating_sub(self.header.overhead % grain) / grain
    }

    fn is_grain(&self, entry: u32) -> bool {
        entry != 0 && !(entry == ZERO_GRAIN && self.header.zero_grains)
    }

    /// Calls `look` with each table that is in the file and not a hole of it.
    fn for_each_table(
        &self,
        job: &Job,
        mut look: impl FnMut(u64, &Page) -> Result<()>,
    ) -> Result<()> {
        for table in 0..self.header.tables() {
            if table.is_multiple_of(TABLE_ENTRIES) {
                job.check()?;
            }
            if let Some(page) = self.table(self.header.gd_offset, table)? {
                look(table, &page)?;
            }
        }
        Ok(())
    }

    /// Returns a table of a directory; `None` where it is not in the file.
    fn table(&self, directory: u64, table: u64) -> Result<Option<Page>> {
        let sector = self.table_sector(directory, table)?;
        if sector == 0 || !self.is_inside(sector) {
            return Ok(None);
        }
        let mut bytes = [0; TABLE_BYTES as usize];
        self.read(&mut bytes, sector * SECTOR)?;
        Ok(Some(to_page(&bytes)))
    }

    fn table_sector(&self, directory: u64, table: u64) -> Result<u64> {
        let Some(at) = directory
            .checked_mul(SECTOR)
            .and_then(|at| at.checked_add(table * 4))
        else {
            return Ok(0);
        };
        let mut entry = [0; 4];
        self.read(&mut entry, at)?;
        Ok(u64::from(u32::from_le_bytes(entry)))
    }

    fn is_inside(&self, table_sector: u64) -> bool {
        table_sector * SECTOR + TABLE_BYTES <= self.file_len
    }

    /// Reads; what lies past the end of the file is zeros.
    fn read(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let file: FileId = self.extent.file;
        let got = self.pool.get(file)?.read_at(buf, offset)?;
        buf[got..].fill(0);
        Ok(())
    }
}

/// Marks a bit; tells whether it was marked already.
fn take(bits: &mut [u64], at: u64) -> bool {
    let (word, bit) = (&mut bits[(at / 64) as usize], 1 << (at % 64));
    let was = *word & bit != 0;
    *word |= bit;
    was
}
