//! Writing a stream of compressed grains, by all processors, in the order of the guest's addresses.
//!
//! Threads take pieces of the disk in turn, read and compress them; what they made is appended in the
//! order in which the pieces were taken, so that the file is the same whatever their number. Nobody
//! runs ahead by more than a few pieces: memory is bounded, whatever the disk.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use libdeflater::{CompressionLvl, Compressor};
use zerocopy::IntoBytes;

use super::chain::Chain;
use super::map::{Run, Runs};
use super::window::{GRAIN, is_zero};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::SECTOR;
use crate::format::vmdk::sparse::{
    GrainMarker, MAX_CAPACITY, TABLE_BYTES, TABLE_ENTRIES, USUAL_GRAIN,
};
use crate::format::vmdk::stream::{FIRST_GRAIN, Part, header, marker};
use crate::job::Job;
use crate::store::Bytes;

/// How hard a stream is compressed where nobody says: as others do by theirs, in a third of the time.
pub const USUAL_LEVEL: u8 = 6;

/// How hard a stream may be compressed, from fast to small.
pub const LEVELS: std::ops::RangeInclusive<u8> = 1..=9;

/// Grains of a piece.
const PIECE: u64 = 4;

/// The most threads: each takes some 1.3 MiB.
const MAX_THREADS: usize = 12;

/// The most pieces for each thread that wait for one before them, 0.3 MiB each.
const AHEAD: usize = 2;

/// A stream to be written.
pub(super) struct Stream<'a> {
    /// What it will read as.
    pub chain: &'a Chain,
    /// Its file, for errors.
    pub path: &'a Path,
    /// How hard it is compressed, one of [`LEVELS`].
    pub level: u8,
    /// Threads that compress; `None` takes as many as there are processors.
    pub threads: Option<NonZero<usize>>,
}

impl Stream<'_> {
    /// Writes everything but the descriptor to `file`, which is empty; returns the bytes of data that
    /// went into it, before they were compressed.
    ///
    /// The job advances by [`Chain::data_bytes`] in all.
    ///
    /// # Errors
    /// `Argument` for a disk or a level that cannot be; `Cancelled`; `NoSpace`; what reading the chain
    /// says.
    pub fn write(&self, file: &dyn Bytes, job: &Job) -> Result<u64> {
        let capacity = self.chain.sectors();
        if capacity > MAX_CAPACITY {
            let text = format!("{} cannot hold more than 2 TiB", quoted(self.path));
            return Err(Error::new(Kind::Argument, text).at(self.path));
        }
        let level = level(self.level)?;
        file.write_at(&header(capacity, None), 0)?;
        let processors = || thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        let threads = self
            .threads
            .unwrap_or_else(processors)
            .get()
            .min(MAX_THREADS);
        let work = Work {
            stream: self,
            job,
            source: Mutex::new(Source::new(self.chain)),
            line: Mutex::new(Line::new(file, self.path, capacity)),
            moved: Condvar::new(),
            limit: threads * AHEAD,
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| work.run(level));
            }
        });
        let mut line = work
            .line
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match line.failure.take() {
            Some(failure) => Err(failure),
            None => line.finish(),
        }
    }
}

fn level(level: u8) -> Result<CompressionLvl> {
    let known = Some(level).filter(|level| LEVELS.contains(level));
    known
        .and_then(|level| CompressionLvl::new(i32::from(level)).ok())
        .ok_or_else(|| {
            let (least, most) = (LEVELS.start(), LEVELS.end());
            let text =
                format!("a level of compression of {level} is not between {least} and {most}");
            Error::new(Kind::Argument, text)
        })
}

/// What the threads share.
struct Work<'a> {
    stream: &'a Stream<'a>,
    job: &'a Job,
    source: Mutex<Source<'a>>,
    line: Mutex<Line<'a>>,
    /// The line moved on, or broke.
    moved: Condvar,
    /// The most pieces that wait in line.
    limit: usize,
}

impl Work<'_> {
    /// The life of a thread: it takes pieces until there are none, or somebody failed.
    fn run(&self, level: CompressionLvl) {
        // Others must not wait for a piece that never comes.
        let _leaving = Leaving(self);
        let mut packer = Packer::new(level);
        if let Err(error) = self.take_all(&mut packer) {
            self.fail(error);
        }
    }

    fn take_all(&self, packer: &mut Packer) -> Result<()> {
        loop {
            self.job.check()?;
            let next = locked(&self.source).next()?;
            let Some(piece) = next else { return Ok(()) };
            let number = piece.number;
            let packed = packer.pack(self.stream.chain, &piece)?;
            self.job.advance(piece.data_sectors() * SECTOR);
            if !self.hand_in(number, packed)? {
                return Ok(());
            }
        }
    }

    /// Puts a piece in line, and writes what is next; tells whether the work goes on.
    fn hand_in(&self, number: u64, packed: PackedPiece) -> Result<bool> {
        let mut line = locked(&self.line);
        while line.next != number && line.waiting.len() >= self.limit && line.failure.is_none() {
            line = self
                .moved
                .wait(line)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if line.failure.is_some() {
            return Ok(false);
        }
        line.waiting.insert(number, packed);
        line.advance()?;
        self.moved.notify_all();
        Ok(true)
    }

    fn fail(&self, error: Error) {
        locked(&self.line).failure.get_or_insert(error);
        self.moved.notify_all();
    }
}

/// Tells the others when a thread panics.
struct Leaving<'w, 'a>(&'w Work<'a>);

impl Drop for Leaving<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0
                .fail(Error::new(Kind::Internal, "compressing ended in a panic"));
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cuts the disk into pieces of which each has some data.
struct Source<'a> {
    runs: Runs<'a>,
    /// The rest of the run that was cut.
    rest: Option<(Run, u64)>,
    next: u64,
}

/// A few neighbouring grains.
struct Piece {
    number: u64,
    first_grain: u64,
    /// Runs with data, the sectors of each that are left out, and those that are taken.
    parts: Vec<(Run, u64, u64)>,
}

impl Piece {
    fn data_sectors(&self) -> u64 {
        self.parts.iter().map(|(_, _, sectors)| sectors).sum()
    }
}

impl<'a> Source<'a> {
    fn new(chain: &'a Chain) -> Self {
        Self {
            runs: chain.runs(0, chain.sectors()),
            rest: None,
            next: 0,
        }
    }

    /// Returns the next run with data, and how much of it was taken already.
    fn run(&mut self) -> Result<Option<(Run, u64)>> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        for run in self.runs.by_ref() {
            let run = run?;
            if run.has_data() {
                return Ok(Some((run, 0)));
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Option<Piece>> {
        let Some((run, skip)) = self.run()? else {
            return Ok(None);
        };
        let first_grain = (run.sector + skip) / USUAL_GRAIN;
        let end = (first_grain + PIECE) * USUAL_GRAIN;
        let mut parts = Vec::new();
        let mut next = Some((run, skip));
        while let Some((run, skip)) = next {
            let start = run.sector + skip;
            if start >= end {
                self.rest = Some((run, skip));
                break;
            }
            let sectors = (run.sectors - skip).min(end - start);
            parts.push((run, skip, sectors));
            if skip + sectors < run.sectors {
                self.rest = Some((run, skip + sectors));
                break;
            }
            next = self.run()?;
        }
        let number = self.next;
        self.next += 1;
        Ok(Some(Piece {
            number,
            first_grain,
            parts,
        }))
    }
}

/// Reads and compresses the pieces of one thread.
struct Packer {
    compressor: Compressor,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

/// The grains of a piece as they go into the file.
struct PackedPiece {
    /// Number of each grain, and where in `bytes` its marker is.
    grains: Vec<(u64, usize)>,
    /// Whole sectors.
    bytes: Vec<u8>,
}

impl Packer {
    fn new(level: CompressionLvl) -> Self {
        let mut compressor = Compressor::new(level);
        let most = compressor.zlib_compress_bound(GRAIN);
        Self {
            compressor,
            raw: vec![0; PIECE as usize * GRAIN],
            packed: vec![0; most],
        }
    }

    fn pack(&mut self, chain: &Chain, piece: &Piece) -> Result<PackedPiece> {
        let start = piece.first_grain * USUAL_GRAIN;
        self.raw.fill(0);
        for (run, skip, sectors) in &piece.parts {
            let at = ((run.sector + skip - start) * SECTOR) as usize;
            let part = &mut self.raw[at..at + (sectors * SECTOR) as usize];
            chain.read_run(run, skip * SECTOR, part)?;
        }
        let mut grains = Vec::new();
        let mut bytes = Vec::new();
        for (number, grain) in (piece.first_grain..).zip(self.raw.chunks_exact(GRAIN)) {
            if is_zero(grain) {
                continue;
            }
            let size = self.compressor.zlib_compress(grain, &mut self.packed);
            let size = size.map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
            grains.push((number, bytes.len()));
            let marker = GrainMarker {
                lba: (number * USUAL_GRAIN).into(),
                size: (size as u32).into(),
            };
            bytes.extend_from_slice(marker.as_bytes());
            bytes.extend_from_slice(&self.packed[..size]);
            bytes.resize(bytes.len().next_multiple_of(SECTOR as usize), 0);
        }
        Ok(PackedPiece { grains, bytes })
    }
}

/// The end of the file, to which pieces are appended in turn.
struct Line<'a> {
    file: &'a dyn Bytes,
    path: &'a Path,
    capacity: u64,
    /// Number of the piece that is appended next.
    next: u64,
    /// Pieces that are ahead of their turn.
    waiting: BTreeMap<u64, PackedPiece>,
    failure: Option<Error>,
    next_sector: u64,
    /// The grain table that is being filled, if there is one, and its number.
    table: [u32; TABLE_ENTRIES as usize],
    current: Option<u64>,
    directory: Vec<u32>,
    grains: u64,
}

impl<'a> Line<'a> {
    fn new(file: &'a dyn Bytes, path: &'a Path, capacity: u64) -> Self {
        let tables = capacity.div_ceil(USUAL_GRAIN * TABLE_ENTRIES);
        Self {
            file,
            path,
            capacity,
            next: 0,
            waiting: BTreeMap::new(),
            failure: None,
            next_sector: FIRST_GRAIN,
            table: [0; TABLE_ENTRIES as usize],
            current: None,
            directory: vec![0; tables as usize],
            grains: 0,
        }
    }

    /// Appends the pieces whose turn it is.
    fn advance(&mut self) -> Result<()> {
        while let Some(piece) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.append(&piece)?;
        }
        Ok(())
    }

    fn append(&mut self, piece: &PackedPiece) -> Result<()> {
        let mut done = 0;
        for (number, start) in &piece.grains {
            let table = number / TABLE_ENTRIES;
            if self.current.is_some_and(|current| current != table) {
                // The table goes between the grains that it names and the next.
                self.put(&piece.bytes[done..*start])?;
                done = *start;
                self.end_table()?;
            }
            self.current = Some(table);
            let sector = self.next_sector + (start - done) as u64 / SECTOR;
            self.table[(number % TABLE_ENTRIES) as usize] = self.entry(sector)?;
            self.grains += 1;
        }
        self.put(&piece.bytes[done..])
    }

    /// Writes whole sectors to the end.
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if !bytes.is_empty() {
            self.file.write_at(bytes, self.next_sector * SECTOR)?;
        }
        self.next_sector += bytes.len() as u64 / SECTOR;
        Ok(())
    }

    fn end_table(&mut self) -> Result<()> {
        let Some(table) = self.current.take() else {
            return Ok(());
        };
        self.put(&marker(Part::Table, TABLE_BYTES / SECTOR))?;
        self.directory[table as usize] = self.entry(self.next_sector)?;
        let entries = std::mem::replace(&mut self.table, [0; TABLE_ENTRIES as usize]);
        self.put(&to_bytes(&entries))
    }

    /// Writes what comes behind the last grain.
    fn finish(&mut self) -> Result<u64> {
        self.end_table()?;
        let mut directory = to_bytes(&self.directory);
        directory.resize(directory.len().next_multiple_of(SECTOR as usize), 0);
        self.put(&marker(Part::Directory, directory.len() as u64 / SECTOR))?;
        let at = self.next_sector;
        self.put(&directory)?;
        self.put(&marker(Part::Footer, 1))?;
        self.put(&header(self.capacity, Some(at)))?;
        self.put(&marker(Part::End, 0))?;
        Ok(self.grains * GRAIN as u64)
    }

    /// Returns the sector as tables have it.
    fn entry(&self, sector: u64) -> Result<u32> {
        u32::try_from(sector).map_err(|_| {
            let text = format!("{} is full: 2 TiB fit a stream", quoted(self.path));
            Error::new(Kind::NoSpace, text).at(self.path)
        })
    }
}

fn to_bytes(entries: &[u32]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_le_bytes())
        .collect()
}
