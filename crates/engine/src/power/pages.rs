//! The main memory of a guest, apart from the rest of what QEMU saves.
//!
//! QEMU sends each page of memory behind a header, then the state of the devices. Here the pages of
//! the main memory go to a file of their own, each at its place, in VMware's form of a `.vmem`: raw,
//! pages of zeros left out as holes, what lies above the gap below 4 GiB right behind what lies below
//! it. Everything else goes to the file of the saved state, as records. Put together again, both make
//! the stream that QEMU sent.
//!
//! Source: QEMU 10.0, `migration/savevm.c` (sections) and `migration/ram.c` (pages); numbers in the
//! stream are big-endian. A record is our own: a kind, a place and a count, little-endian.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use crate::error::{Error, Kind, Result};
use crate::store::Bytes;

/// QEMU's name of the main memory of a PC.
const MAIN: &[u8] = b"pc.ram";

const PAGE: usize = 4096;

/// As much is written and read at once.
const CHUNK: usize = 1 << 20;

/// What QEMU's stream is made of.
mod stream {
    pub const MAGIC: u32 = 0x5145_564d;
    pub const START: u8 = 1;
    pub const PART: u8 = 2;
    pub const END: u8 = 3;
    pub const CONFIGURATION: u8 = 7;
    pub const COMMAND: u8 = 8;
    pub const FOOTER: u8 = 0x7e;
    /// The low bits of a page's header; the others are its place.
    pub const FLAGS: u64 = 0xfff;
    pub const ZERO_PAGE: u64 = 0x02;
    pub const SIZES: u64 = 0x04;
    pub const FULL_PAGE: u64 = 0x08;
    pub const ENOUGH: u64 = 0x10;
    /// It is in the same memory as the page before, which is therefore not named again.
    pub const SAME: u64 = 0x20;
    pub const MOST_NAME: u32 = 256;
}

/// `count` bytes of the stream follow.
const PLAIN: u8 = 0;
/// `count` pages from the place on, each behind the header that it has after one of the same memory.
const PAGES: u8 = 1;
/// As before, without headers.
const BARE: u8 = 2;
const RECORD: usize = 13;

/// Why reading a stream ends before the main memory does.
enum Stop {
    /// The stream has ended.
    Over,
    /// It is not as known here: the rest is taken as it comes.
    Strange,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Parsed<T> = std::result::Result<T, Stop>;

/// Takes QEMU's stream apart: pages of the main memory into `memory`, all else into `state` from
/// `position` on. Returns the bytes of the main memory once all of it has passed.
///
/// # Errors
/// `NoSpace`; what the system says.
pub(super) fn split(
    input: impl Read,
    state: &dyn Bytes,
    position: u64,
    memory: &dyn Bytes,
) -> Result<Option<u64>> {
    let mut splitter = Splitter {
        input: BufReader::with_capacity(CHUNK, input),
        out: Out::new(state, position, Some(memory)),
        size: 0,
        in_main: false,
    };
    let parsed = splitter.sections();
    if let Err(Stop::Failed(error)) = parsed {
        return Err(error);
    }
    splitter.out.pass(&mut splitter.input)?;
    splitter.out.flush()?;
    memory.set_len(splitter.size)?;
    Ok(parsed.is_ok().then_some(splitter.size))
}

/// Takes QEMU's stream into `state` from `position` on, whole.
///
/// # Errors
/// As [`split`].
pub(super) fn keep(input: impl Read, state: &dyn Bytes, position: u64) -> Result<()> {
    let mut out = Out::new(state, position, None);
    out.pass(&mut BufReader::with_capacity(CHUNK, input))?;
    out.flush()
}

struct Splitter<'a, R> {
    input: BufReader<R>,
    out: Out<'a>,
    /// The bytes of the main memory.
    size: u64,
    /// Whether the last page was one of the main memory.
    in_main: bool,
}

impl<R: Read> Splitter<'_, R> {
    /// Reads up to the end of the memory: the sections after it are the devices'.
    fn sections(&mut self) -> Parsed<()> {
        if self.number()? != stream::MAGIC {
            return Err(Stop::Strange);
        }
        let _version = self.number()?;
        let mut own = None;
        loop {
            let [kind] = self.pass()?;
            match kind {
                stream::CONFIGURATION => match self.number()? {
                    len @ 0..=stream::MOST_NAME => drop(self.pass_bytes(len as usize)?),
                    _ => return Err(Stop::Strange),
                },
                stream::START => {
                    own = Some(self.number()?);
                    let name = self.name()?;
                    let _instance_and_version: [u8; 8] = self.pass()?;
                    if name != b"ram" {
                        return Err(Stop::Strange);
                    }
                    self.pages()?;
                }
                stream::PART | stream::END => {
                    if own != Some(self.number()?) {
                        return Err(Stop::Strange);
                    }
                    self.pages()?;
                    if kind == stream::END {
                        return Ok(());
                    }
                }
                stream::COMMAND => {
                    let [_, _, high, low] = self.pass()?;
                    self.pass_bytes(u16::from_be_bytes([high, low]).into())?;
                }
                stream::FOOTER => drop(self.number()?),
                _ => return Err(Stop::Strange),
            }
        }
    }

    /// Reads the pages of one section.
    fn pages(&mut self) -> Parsed<()> {
        loop {
            let header: [u8; 8] = self.read()?;
            let word = u64::from_be_bytes(header);
            let (place, flags) = (word & !stream::FLAGS, word & stream::FLAGS);
            let same = flags & stream::SAME != 0;
            let kind = flags & !stream::SAME;
            if kind == stream::FULL_PAGE && same && self.in_main {
                let page: [u8; PAGE] = self.read()?;
                self.main_page(PAGES, place, &header, &page)?;
                continue;
            }
            self.out.plain(&header)?;
            match kind {
                stream::SIZES => self.sizes(place)?,
                stream::ENOUGH => return Ok(()),
                stream::ZERO_PAGE | stream::FULL_PAGE => {
                    if !same {
                        self.in_main = self.name()? == MAIN;
                    }
                    match (kind, self.in_main) {
                        (stream::FULL_PAGE, true) => {
                            let page: [u8; PAGE] = self.read()?;
                            self.main_page(BARE, place, &[], &page)?;
                        }
                        (stream::FULL_PAGE, false) => drop(self.pass::<PAGE>()?),
                        (_, in_main) => {
                            let _zero: [u8; 1] = self.pass()?;
                            if in_main {
                                self.out.zero_page(place)?;
                            }
                        }
                    }
                }
                _ => return Err(Stop::Strange),
            }
        }
    }

    /// A page of the main memory, which must lie within it.
    fn main_page(&mut self, kind: u8, place: u64, header: &[u8], page: &[u8; PAGE]) -> Parsed<()> {
        if place.saturating_add(PAGE as u64) > self.size {
            self.out.plain(header)?;
            self.out.plain(page)?;
            return Err(Stop::Strange);
        }
        Ok(self.out.page(kind, place, page)?)
    }

    /// Reads the sizes of all memories, which make `total`.
    fn sizes(&mut self, total: u64) -> Parsed<()> {
        let mut left = total;
        while left > 0 {
            let is_main = self.name()? == MAIN;
            let size = u64::from_be_bytes(self.pass()?);
            if is_main && size < self.size {
                return Err(Stop::Strange);
            }
            if is_main {
                self.size = size;
            }
            left = left.checked_sub(size).ok_or(Stop::Strange)?;
        }
        Ok(())
    }

    fn number(&mut self) -> Parsed<u32> {
        self.pass().map(u32::from_be_bytes)
    }

    fn name(&mut self) -> Parsed<Vec<u8>> {
        let [len] = self.pass()?;
        self.pass_bytes(len.into())
    }

    fn pass<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let bytes = self.read()?;
        self.out.plain(&bytes)?;
        Ok(bytes)
    }

    fn pass_bytes(&mut self, len: usize) -> Parsed<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        self.out.plain(&bytes)?;
        Ok(bytes)
    }

    fn read<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Of a stream that ends here, what there is of it is of no use to anybody.
    fn fill(&mut self, bytes: &mut [u8]) -> Parsed<()> {
        match self.input.read_exact(bytes) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(Stop::Over),
            Err(error) => Err(Stop::Failed(unread(error))),
        }
    }
}

fn unread(error: std::io::Error) -> Error {
    Error::io("read from", Path::new("QEMU"), error)
}

/// What a stream is taken apart into.
struct Out<'a> {
    state: &'a dyn Bytes,
    /// Where the next record goes.
    position: u64,
    memory: Option<&'a dyn Bytes>,
    /// Where the main memory was written up to.
    written: u64,
    /// What is not written yet: of this kind, from this place on.
    kind: u8,
    place: u64,
    waiting: Vec<u8>,
}

impl<'a> Out<'a> {
    fn new(state: &'a dyn Bytes, position: u64, memory: Option<&'a dyn Bytes>) -> Self {
        Self {
            state,
            position,
            memory,
            written: 0,
            kind: PLAIN,
            place: 0,
            waiting: Vec::with_capacity(CHUNK),
        }
    }

    /// Takes the rest of a stream as it comes.
    fn pass(&mut self, input: &mut impl BufRead) -> Result<()> {
        loop {
            let bytes = input.fill_buf().map_err(unread)?;
            if bytes.is_empty() {
                return Ok(());
            }
            let len = bytes.len();
            self.plain(bytes)?;
            input.consume(len);
        }
    }

    fn plain(&mut self, bytes: &[u8]) -> Result<()> {
        if self.kind != PLAIN || self.waiting.len() + bytes.len() > CHUNK {
            self.flush()?;
        }
        self.kind = PLAIN;
        self.waiting.extend(bytes);
        Ok(())
    }

    fn page(&mut self, kind: u8, place: u64, page: &[u8; PAGE]) -> Result<()> {
        let follows = self.kind == kind && self.place + self.waiting.len() as u64 == place;
        if !follows || self.waiting.len() >= CHUNK {
            self.flush()?;
            (self.kind, self.place) = (kind, place);
        }
        self.waiting.extend(page);
        Ok(())
    }

    /// A page of zeros, whose header is plain, is a hole unless it held something before.
    fn zero_page(&mut self, place: u64) -> Result<()> {
        match self.memory {
            Some(memory) if place < self.written => memory.write_at(&[0; PAGE], place),
            _ => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let len = self.waiting.len();
        let (place, count) = match (self.kind, self.memory) {
            (PAGES | BARE, Some(memory)) => {
                memory.write_at(&self.waiting, self.place)?;
                memory.begin_sync(self.place, len as u64);
                self.written = self.written.max(self.place + len as u64);
                (self.place, len / PAGE)
            }
            _ => (0, len),
        };
        let mut record = vec![self.kind];
        record.extend(place.to_le_bytes());
        record.extend((count as u32).to_le_bytes());
        if self.kind == PLAIN {
            record.append(&mut self.waiting);
        }
        self.state.write_at(&record, self.position)?;
        self.position += record.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// Puts the stream together again that `state` holds from `position` on, the main memory being in
/// `memory`.
///
/// # Errors
/// `SnapshotBroken` where the two do not make a stream; what the system says.
pub(super) fn join(
    state: &dyn Bytes,
    position: u64,
    memory: Option<&dyn Bytes>,
    output: &mut impl Write,
) -> Result<()> {
    let mut input = BufReader::with_capacity(CHUNK, At(state, position));
    let unwritten = |error| Error::io("write to", Path::new("QEMU"), error);
    let mut buffer = vec![0; CHUNK];
    while !input.fill_buf().map_err(|_| broken())?.is_empty() {
        let mut record = [0; RECORD];
        input.read_exact(&mut record).map_err(|_| broken())?;
        let place = u64::from_le_bytes(record[1..9].try_into().map_err(|_| broken())?);
        let count = u32::from_le_bytes(record[9..].try_into().map_err(|_| broken())?) as usize;
        let unit = if record[0] == PLAIN { 1 } else { PAGE };
        let bytes = count
            .checked_mul(unit)
            .and_then(|len| buffer.get_mut(..len));
        let bytes = bytes.ok_or_else(broken)?;
        match (record[0], memory) {
            (PLAIN, _) => {
                input.read_exact(bytes).map_err(|_| broken())?;
                output.write_all(bytes).map_err(unwritten)?;
            }
            (kind @ (PAGES | BARE), Some(memory)) => {
                memory.read_exact_at(bytes, place).map_err(|_| broken())?;
                for (number, page) in bytes.chunks(PAGE).enumerate() {
                    let place = place.wrapping_add((number * PAGE) as u64);
                    let header = place | stream::FULL_PAGE | stream::SAME;
                    if kind == PAGES {
                        output.write_all(&header.to_be_bytes()).map_err(unwritten)?;
                    }
                    output.write_all(page).map_err(unwritten)?;
                }
            }
            _ => return Err(broken()),
        }
    }
    output.flush().map_err(unwritten)
}

fn broken() -> Error {
    Error::new(
        Kind::SnapshotBroken,
        "a file with the memory of a VM is damaged",
    )
}

/// A file from a position on.
struct At<'a>(&'a dyn Bytes, u64);

impl Read for At<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let got = self.0.read_at(buf, self.1);
        let got = got.map_err(|error| std::io::Error::other(error.to_string()))?;
        self.1 += got as u64;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mem, Store};

    struct Files {
        state: Box<dyn Bytes>,
        memory: Box<dyn Bytes>,
    }

    fn files() -> Files {
        let store = Mem::new();
        Files {
            state: store.create(Path::new("/a")).unwrap(),
            memory: store.create(Path::new("/b")).unwrap(),
        }
    }

    impl Files {
        fn joined(&self) -> Result<Vec<u8>> {
            let mut stream = Vec::new();
            let memory = Some(&*self.memory);
            join(&*self.state, 7, memory, &mut stream)?;
            Ok(stream)
        }

        fn memory(&self) -> Vec<u8> {
            let mut bytes = vec![0; self.memory.len().unwrap() as usize];
            self.memory.read_at(&mut bytes, 0).unwrap();
            bytes
        }
    }

    fn name(stream: &mut Vec<u8>, name: &[u8]) {
        stream.push(name.len() as u8);
        stream.extend(name);
    }

    fn word(stream: &mut Vec<u8>, word: u64) {
        stream.extend(word.to_be_bytes());
    }

    fn section(stream: &mut Vec<u8>, kind: u8) {
        stream.push(kind);
        stream.extend([0, 0, 0, 9]);
    }

    /// A main memory of eight pages, another of one; pages 1 to 3 hold their numbers, page 2 last zeros.
    fn stream() -> Vec<u8> {
        let mut all = b"QEVM\0\0\0\x03\x07\0\0\0\x02pc".to_vec();
        section(&mut all, stream::START);
        name(&mut all, b"ram");
        all.extend([0; 8]);
        word(&mut all, (9 * 4096) | stream::SIZES);
        for (block, pages) in [(MAIN, 8), (b"vga", 1)] {
            name(&mut all, block);
            word(&mut all, pages * 4096);
        }
        word(&mut all, stream::ENOUGH);
        all.extend([stream::FOOTER, 0, 0, 0, 9]);
        section(&mut all, stream::PART);
        word(&mut all, stream::ZERO_PAGE);
        name(&mut all, MAIN);
        all.push(0);
        for page in [1, 2, 3] {
            word(&mut all, page << 12 | stream::FULL_PAGE | stream::SAME);
            all.extend([page as u8; PAGE]);
        }
        word(&mut all, stream::FULL_PAGE);
        name(&mut all, b"vga");
        all.extend([0xaa; PAGE]);
        word(&mut all, stream::ENOUGH);
        all.extend([stream::FOOTER, 0, 0, 0, 9]);
        all.extend([stream::COMMAND, 0, 11, 0, 2, 0, 1]);
        section(&mut all, stream::END);
        word(&mut all, 5 << 12 | stream::FULL_PAGE);
        name(&mut all, MAIN);
        all.extend([5; PAGE]);
        word(&mut all, stream::ENOUGH);
        all.extend(b"\x7e\0\0\0\x09\x04devices, in forms of their own");
        all
    }

    #[test]
    fn main_memory_lies_apart_and_comes_back() {
        let (stream, files) = (stream(), files());
        let size = split(&stream[..], &*files.state, 7, &*files.memory).unwrap();
        assert_eq!(size, Some(8 * 4096));
        let pages: Vec<u8> = files.memory().chunks(PAGE).map(|page| page[9]).collect();
        assert_eq!(pages, [0, 1, 2, 3, 0, 5, 0, 0]);
        let state = files.state.len().unwrap();
        assert!(state < 2 * PAGE as u64, "{state}");
        assert_eq!(files.joined().unwrap(), stream);
    }

    #[test]
    fn page_that_turns_to_zeros_is_written() {
        let mut all = stream();
        let (head, devices) = all.split_at_mut(stream_end(&stream()));
        let (mut head, devices) = (head.to_vec(), devices.to_vec());
        word(&mut head, 1 << 12 | stream::ZERO_PAGE | stream::SAME);
        head.push(0);
        let (stream, files) = ([head, devices].concat(), files());
        split(&stream[..], &*files.state, 7, &*files.memory).unwrap();
        assert_eq!(files.memory()[PAGE], 0);
    }

    /// Where the last section's end of pages begins.
    fn stream_end(stream: &[u8]) -> usize {
        stream.len() - b"\x7e\0\0\0\x09\x04devices, in forms of their own".len() - 8
    }

    #[test]
    fn stream_of_another_form_is_kept_as_it_comes() {
        let mut strange = [stream(), stream(), stream()];
        strange[0][0] = b'X';
        // A memory that is larger than all together; a page beyond its memory.
        strange[1][46] = 0xff;
        let end = stream_end(&strange[2]) - PAGE - 15;
        strange[2][end + 5] = 0xff;
        for stream in strange {
            let files = files();
            let size = split(&stream[..], &*files.state, 7, &*files.memory).unwrap();
            assert_eq!(size, None);
            assert_eq!(files.joined().unwrap(), stream);
        }
        let (stream, files) = (stream(), files());
        keep(&stream[..], &*files.state, 7).unwrap();
        assert_eq!(files.joined().unwrap(), stream);
    }

    #[test]
    fn damaged_records_are_refused() {
        let (stream, files) = (stream(), files());
        split(&stream[..], &*files.state, 7, &*files.memory).unwrap();
        files.memory.set_len(PAGE as u64).unwrap();
        assert_eq!(files.joined().unwrap_err().kind(), Kind::SnapshotBroken);
        for (at, bytes) in [
            (7, &[9][..]),
            (16, &[0xff; 4]),
            (16, &[0xff, 0xff, 0x0f, 0]),
        ] {
            files.state.write_at(bytes, at).unwrap();
            assert_eq!(files.joined().unwrap_err().kind(), Kind::SnapshotBroken);
        }
        files.state.set_len(15).unwrap();
        assert_eq!(files.joined().unwrap_err().kind(), Kind::SnapshotBroken);
    }
}
