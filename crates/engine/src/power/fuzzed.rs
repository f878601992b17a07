//! A saved memory from any bytes: what fuzzing calls.

use std::path::Path;

use super::pages;
use super::saved::{self, HEAD};
use crate::error::{Error, Kind, Result};
use crate::store::{Access, Bytes, Mem, Store};

/// As much is put together: a few records may name the same pages again and again.
const MOST: usize = 8 << 20;

/// Takes so many bytes, and forgets them.
struct Sink(usize);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let left = self.0.checked_sub(bytes.len());
        self.0 = left.ok_or(std::io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads the head of the state file, and joins its records with the pages in the other file.
pub(crate) fn read_saved(mem: &Mem, state: &Path, pages: &Path) {
    let open = |path| mem.open(path, Access::Read).expect("it was put there");
    let (file, memory) = (open(state), open(pages));
    let _ = saved::read(&*file, state);
    for memory in [None, Some(&*memory)] {
        let _ = pages::join(&*file, HEAD as u64, memory, &mut Sink(MOST));
    }
}

/// A file that holds so much, as a disk may: what is made up names places all over the address space.
struct Small(Box<dyn Bytes>);

impl Small {
    fn allow(end: u64) -> Result<()> {
        let full = || Error::new(Kind::NoSpace, "it is full");
        (end <= MOST as u64).then_some(()).ok_or_else(full)
    }
}

impl Bytes for Small {
    fn len(&self) -> Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        Self::allow(offset.saturating_add(buf.len() as u64))?;
        self.0.write_at(buf, offset)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        Self::allow(len)?;
        self.0.set_len(len)
    }

    fn sync(&self) -> Result<()> {
        self.0.sync()
    }

    fn next_data(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        self.0.next_data(offset)
    }
}

/// Takes apart what QEMU sends, and puts it together again.
pub(crate) fn take_apart(mem: &Mem, bytes: &[u8]) {
    let create = |name: &str| Small(mem.create(Path::new(name)).expect("there is nothing yet"));
    let (state, memory) = (create("/state"), create("/memory"));
    if pages::split(bytes, &state, 0, &memory).is_err() {
        return;
    }
    let memory = Some(&memory as &dyn Bytes);
    pages::join(&state, 0, memory, &mut Sink(MOST)).expect("it was one stream");
}
