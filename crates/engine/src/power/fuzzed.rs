//! A saved memory from any bytes: what fuzzing calls.

use std::path::Path;

use super::pages;
use super::saved::{self, HEAD};
use crate::store::{Access, Mem, Store};

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
        let _ = pages::join(&*file, HEAD as u64, memory, &mut Sink(MOST), || Ok(()));
    }
}
