//! What of the two copies of an extent's tables proves the other one wrong.

use super::super::check::metadata::{Metadata, Side, TABLE_SECTORS};
use super::super::check::reader::Found;
use super::super::check::sparse::{Bits, Checker};
use super::super::tables::{Page, to_page};
use super::act::{Step, Write};
use crate::error::{Result, quoted};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{Layout, TABLE_BYTES, TABLE_ENTRIES, ZERO_GRAIN};
use crate::job::Job;

/// The most tables that are mended at once: 8 MiB of memory.
const MOST_TABLES: usize = 1024;

/// What can be mended, and what cannot.
#[derive(Default)]
pub struct Plan {
    /// What can.
    pub steps: Vec<Step>,
    /// What cannot, and why.
    pub left: Vec<String>,
    /// Whether there is more than was looked for.
    pub is_cut_short: bool,
}

/// Plans the repair of one extent. Where both copies of a table can be right, that is left open, unless the
/// primary one counts.
///
/// # Errors
/// `Cancelled`; what reading says.
pub fn plan(checker: &Checker<'_>, primary_counts: bool, plan: &mut Plan, job: &Job) -> Result<()> {
    let Some(rgd) = checker.redundant() else {
        return Ok(());
    };
    if rgd == 0 || rgd * SECTOR >= checker.file_len {
        return Ok(());
    }
    let mut copies = Copies::read(checker, rgd)?;
    copies.mend_directories(plan)?;
    let metadata = copies.metadata();
    let claims = copies.claims(&metadata, job)?;
    Merge {
        copies: &copies,
        metadata,
        claims,
        primary_counts,
    }
    .plan(plan, job)
}

/// The two directories of an extent, as far as what they say can be.
struct Copies<'c, 'a> {
    checker: &'c Checker<'a>,
    /// Sector of each directory.
    directories: [u64; 2],
    /// What the directories say.
    written: [Vec<u32>; 2],
    /// Sector of each table; 0 where there is none, or none that can be there.
    sectors: [Vec<u32>; 2],
}

impl<'c, 'a> Copies<'c, 'a> {
    fn read(checker: &'c Checker<'a>, rgd: u64) -> Result<Self> {
        let directories = [checker.header.gd_offset, rgd];
        let mut places = checker.places();
        let mut written = [Vec::new(), Vec::new()];
        let mut sectors = written.clone();
        for side in [Side::Primary, Side::Redundant] {
            let directory = directories[side as usize];
            let of_side = &mut written[side as usize];
            let mut reader = checker.tables(directory);
            for table in 0..checker.header.tables() {
                of_side.push(reader.sector(table)? as u32);
            }
            sectors[side as usize].clone_from(of_side);
            let of_side = &mut sectors[side as usize];
            places.read(side, &mut reader, |table, _, _| {
                of_side[table as usize] = 0;
            })?;
        }
        let mut copies = Self {
            checker,
            directories,
            written,
            sectors,
        };
        let mut apart = Vec::new();
        places.finish(|side, table, _, on| apart.push((side, table, on)));
        for (side, table, on) in apart {
            // Of two in one place, the one that belongs there is right.
            let other = on.table();
            for (side, table) in [Some((side, table)), other].into_iter().flatten() {
                let at = copies.sectors[side as usize][table as usize];
                if copies.usual(side, table) != Some(u64::from(at)) {
                    copies.sectors[side as usize][table as usize] = 0;
                }
            }
        }
        Ok(copies)
    }

    /// Returns where VMware and QEMU put a table, if the directories lie as they put them.
    fn usual(&self, side: Side, table: u64) -> Option<u64> {
        let header = &self.checker.header;
        let [gd, rgd] = self.directories;
        let layout = Layout::behind(rgd, header.capacity, header.grain_sectors);
        let first = match side {
            Side::Primary => layout.gt_offset,
            Side::Redundant => layout.rgt_offset,
        };
        (layout.gd_offset == gd).then_some(first + table * TABLE_SECTORS)
    }

    fn metadata(&self) -> Metadata {
        let mut places = self.checker.places();
        for side in [Side::Primary, Side::Redundant] {
            let tables = self.sectors[side as usize].iter();
            for (table, sector) in (0..).zip(tables).filter(|(_, sector)| **sector != 0) {
                places.add(side, table, *sector);
            }
        }
        places.finish(|_, _, _, _| {})
    }

    /// Gives each table that has no place the one that is its own, where nothing else stands there.
    fn mend_directories(&mut self, plan: &mut Plan) -> Result<()> {
        let taken = self.metadata();
        for side in [Side::Primary, Side::Redundant] {
            for table in 0..self.checker.header.tables() {
                let index = table as usize;
                if self.sectors[side as usize][index] != 0
                    || self.written.iter().all(|of_side| of_side[index] == 0)
                {
                    continue;
                }
                if plan.steps.len() >= MOST_TABLES {
                    plan.is_cut_short = true;
                    return Ok(());
                }
                let free = self.usual(side, table).filter(|at| {
                    let end = at + TABLE_SECTORS;
                    end * SECTOR <= self.checker.file_len && !taken.touches(*at, end)
                });
                match free {
                    Some(at) => self.place(side, table, at, plan)?,
                    None => plan.left.push(format!(
                        "{}: {} {table} has no place, and where it should lie is not known",
                        quoted(&self.checker.path),
                        side.table()
                    )),
                }
            }
        }
        Ok(())
    }

    /// Puts the place of a table into its directory, and what the other copy says into the table.
    fn place(&mut self, side: Side, table: u64, at: u64, plan: &mut Plan) -> Result<()> {
        let checker = self.checker;
        let here = self.page_at(at)?;
        let other = self.sectors[1 - side as usize][table as usize];
        let other = match other {
            0 => None,
            sector => Some(self.page_at(u64::from(sector))?),
        };
        let old = self.written[side as usize][table as usize];
        let offset = self.directories[side as usize] * SECTOR + table * 4;
        let [before, after] = [old, at as u32].map(|entry| entry.to_le_bytes().to_vec());
        let entry = Write::new(&checker.path, offset, before, after);
        let name = quoted(&checker.path);
        let what = side.table();
        let text = format!("{name}: {what} {table} is found again, at sector {at}");
        let is_empty = here.iter().all(|entry| *entry == 0);
        let mut found = at as u32;
        let step = match (side, &other) {
            (Side::Redundant, Some(_)) => Step::harmless(text, vec![entry]),
            (Side::Primary, Some(other)) if here == *other && is_empty => {
                Step::harmless(text, vec![entry])
            }
            (Side::Primary, Some(other)) if here == *other => Step::of_content(text, vec![entry]),
            // A directory without an entry may mean it; one with a wrong entry does not.
            (Side::Primary, Some(other)) if old != 0 && is_empty => {
                found = self.sectors[Side::Redundant as usize][table as usize];
                let text = format!("{text}, and filled from its redundant copy");
                let fill = Write::new(&checker.path, at * SECTOR, to_bytes(&here), to_bytes(other));
                Step::of_content(text, vec![fill, entry])
            }
            (Side::Primary, Some(_)) if old != 0 => Step::of_content(text, vec![entry]),
            _ => {
                plan.left.push(format!(
                    "{name}: {what} {table} has no place, and what lies where it should, at sector \
                     {at}, is not proven to be it"
                ));
                return Ok(());
            }
        };
        plan.steps.push(step);
        self.sectors[side as usize][table as usize] = found;
        Ok(())
    }

    fn page_at(&self, sector: u64) -> Result<Page> {
        let mut bytes = [0; TABLE_BYTES as usize];
        let file = self.checker.pool.get(self.checker.extent.file)?;
        file.read_exact_at(&mut bytes, sector * SECTOR)?;
        Ok(to_page(&bytes))
    }

    /// Calls `look` with each table that is not empty, the primary copy first; where one is missing,
    /// the other stands alone.
    fn for_each_table(
        &self,
        job: &Job,
        mut look: impl FnMut(u64, &Page, Option<&Page>) -> Result<()>,
    ) -> Result<()> {
        let checker = self.checker;
        let mut readers = self.directories.map(|at| checker.tables(at));
        for table in 0..checker.header.tables() {
            if table.is_multiple_of(TABLE_ENTRIES) {
                job.check()?;
            }
            let mut pages = Vec::new();
            for (reader, of_side) in readers.iter_mut().zip(&self.sectors) {
                match of_side[table as usize] {
                    0 => {}
                    sector => pages.push(reader.table_at(u64::from(sector))?),
                }
            }
            let is_empty = |found: &Found| !matches!(found, Found::Page(_));
            if pages.iter().all(is_empty) {
                continue;
            }
            let pages: Vec<Page> = pages
                .into_iter()
                .map(|found| match found {
                    Found::Page(page) => *page,
                    Found::Empty | Found::Missing => [0; TABLE_ENTRIES as usize],
                })
                .collect();
            look(table, &pages[0], pages.get(1))?;
        }
        Ok(())
    }

    /// Finds out which places of the file the entries lay claim to.
    fn claims(&self, metadata: &Metadata, job: &Job) -> Result<Claims> {
        let slots = self.checker.slots();
        let mut claims = Claims {
            used: Bits::new(slots),
            twice: Bits::new(slots),
            agreed: Bits::new(slots),
        };
        self.for_each_table(job, |table, primary, redundant| {
            for (i, p) in primary.iter().enumerate() {
                let number = table * TABLE_ENTRIES + i as u64;
                if !self.is_grain(metadata, number, *p) {
                    continue;
                }
                let slot = self.checker.slot(u64::from(*p));
                if claims.used.take(slot) {
                    claims.twice.take(slot);
                }
                if redundant.is_some_and(|redundant| redundant[i] == *p) {
                    claims.agreed.take(slot);
                }
            }
            Ok(())
        })?;
        Ok(claims)
    }

    /// Tells whether an entry names a place where a grain can be.
    fn is_grain(&self, metadata: &Metadata, number: u64, entry: u32) -> bool {
        !self.says_nothing(entry)
            && self
                .checker
                .stray(metadata, number, u64::from(entry))
                .is_none()
    }

    /// Tells whether an entry names no place at all.
    fn says_nothing(&self, entry: u32) -> bool {
        entry == 0 || (self.checker.header.zero_grains && entry == ZERO_GRAIN)
    }
}

/// Places of an extent's file by who names them: at most 96 MiB, for a file of 2 TiB in grains of
/// 8 KiB, and 12 MiB in usual ones.
struct Claims {
    /// By a primary table.
    used: Bits,
    /// By two entries of primary tables.
    twice: Bits,
    /// By an entry in both of its copies.
    agreed: Bits,
}

/// What becomes of one entry.
enum Verdict {
    Equal,
    /// The primary one cannot be true.
    Take(u32),
    /// The redundant one is behind, or cannot be true.
    Give,
    /// Nothing proves either of them wrong.
    Open,
    /// Neither can be true.
    Lost,
}

/// Two copies made one.
struct Merge<'m, 'c, 'a> {
    copies: &'m Copies<'c, 'a>,
    metadata: Metadata,
    claims: Claims,
    /// Whether the primary copy is right where either can be.
    primary_counts: bool,
}

impl Merge<'_, '_, '_> {
    fn plan(mut self, plan: &mut Plan, job: &Job) -> Result<()> {
        let copies = self.copies;
        copies.for_each_table(job, |table, primary, redundant| {
            let Some(redundant) = redundant.filter(|redundant| *redundant != primary) else {
                return Ok(());
            };
            if plan.steps.len() >= MOST_TABLES {
                plan.is_cut_short = true;
                return Ok(());
            }
            self.merge(table, primary, redundant, plan);
            Ok(())
        })
    }

    fn merge(&mut self, table: u64, primary: &Page, redundant: &Page, plan: &mut Plan) {
        let checker = self.copies.checker;
        let (mut new_primary, mut new_redundant) = (*primary, *redundant);
        let (mut taken, mut given, mut open, mut lost) = (0, 0, 0, 0);
        for i in 0..primary.len() {
            let number = table * TABLE_ENTRIES + i as u64;
            match self.judge(number, primary[i], redundant[i]) {
                Verdict::Equal => {}
                Verdict::Take(entry) => {
                    new_primary[i] = entry;
                    taken += 1;
                }
                Verdict::Give => {
                    new_redundant[i] = primary[i];
                    given += 1;
                }
                Verdict::Open => open += 1,
                Verdict::Lost => lost += 1,
            }
        }
        let name = quoted(&checker.path);
        let write = |side: Side, old: &Page, new: &Page| {
            let sector = self.copies.sectors[side as usize][table as usize];
            let offset = u64::from(sector) * SECTOR;
            vec![Write::new(
                &checker.path,
                offset,
                to_bytes(old),
                to_bytes(new),
            )]
        };
        if taken > 0 {
            let text = format!(
                "{name}: grain table {table} takes {} from its redundant copy: its own cannot be \
                 true",
                counted(taken, "entry", "entries")
            );
            plan.steps.push(Step::of_content(
                text,
                write(Side::Primary, primary, &new_primary),
            ));
        }
        if given > 0 {
            let text = format!(
                "{name}: the redundant copy of grain table {table} gets {} of it",
                counted(given, "entry", "entries")
            );
            plan.steps.push(Step::harmless(
                text,
                write(Side::Redundant, redundant, &new_redundant),
            ));
        }
        if open > 0 {
            plan.left.push(format!(
                "{name}: of {}, grain table {table} and its redundant copy say different \
                 things that can both be true: keep a copy of the disk, look what the guest misses, \
                 and decide",
                counted(open, "grain", "grains")
            ));
        }
        if lost > 0 {
            plan.left.push(format!(
                "{name}: of {}, neither grain table {table} nor its redundant copy can \
                 be true: put the file back from a copy, or do without what they held",
                counted(lost, "grain", "grains")
            ));
        }
    }

    fn judge(&mut self, number: u64, primary: u32, redundant: u32) -> Verdict {
        let copies = self.copies;
        let slot = |entry: u32| copies.checker.slot(u64::from(entry));
        if primary == redundant {
            return Verdict::Equal;
        }
        let is_true = |entry: u32| {
            copies.says_nothing(entry) || copies.is_grain(&self.metadata, number, entry)
        };
        let (primary_can_be, redundant_can_be) = (is_true(primary), is_true(redundant));
        // A grain that both copies give to another entry is not this one's.
        let is_anothers = |entry: u32| {
            !copies.says_nothing(entry)
                && self.claims.twice.has(slot(entry))
                && self.claims.agreed.has(slot(entry))
        };
        let is_free = |entry: u32| copies.says_nothing(entry) || !self.claims.used.has(slot(entry));
        match (primary_can_be && !is_anothers(primary), redundant_can_be) {
            (false, true) if is_free(redundant) => {
                if !copies.says_nothing(redundant) {
                    self.claims.used.take(slot(redundant));
                }
                Verdict::Take(redundant)
            }
            (false, _) => Verdict::Lost,
            (true, false) => Verdict::Give,
            // What the redundant copy says nothing of, it does not contradict; nor can it be right
            // about a place that is another grain's.
            (true, true) if redundant == 0 || !is_free(redundant) || self.primary_counts => {
                Verdict::Give
            }
            (true, true) => Verdict::Open,
        }
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

fn to_bytes(page: &Page) -> Vec<u8> {
    page.iter().flat_map(|entry| entry.to_le_bytes()).collect()
}
