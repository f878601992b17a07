//! Files as an input gives them: pieces, each with its place; what is between them is zero.

use std::path::Path;

use crate::store::{Mem, Store, create_dirs, folder_of};

/// No file of an input is longer.
const MOST: usize = 1 << 20;

/// Takes bytes from the front of an input.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Takes a byte; `None` at the end.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Takes a little-endian number of so many bytes.
    pub fn number(&mut self, bytes: u32) -> Option<usize> {
        (0..bytes).try_fold(0, |sum, at| {
            Some(sum | usize::from(self.byte()?) << (8 * at))
        })
    }

    /// Takes at most `len` bytes.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Takes a file: the number of its pieces, then of each the place (3 bytes), the length (2 bytes) and
    /// the bytes. A piece of length 0 only makes the file reach to its place.
    pub fn file(&mut self) -> Vec<u8> {
        let mut file = Vec::new();
        for _ in 0..self.byte().unwrap_or(0) {
            let (Some(at), Some(len)) = (self.number(3), self.number(2)) else {
                break;
            };
            let at = at.min(MOST);
            let piece = self.take(len);
            let end = at + piece.len();
            file.resize(file.len().max(end), 0);
            file[at..end].copy_from_slice(piece);
        }
        file
    }
}

/// Puts a file into a store, with its folders.
pub fn put(mem: &Mem, path: &Path, bytes: &[u8]) {
    create_dirs(mem, folder_of(path)).unwrap();
    // The last of two with one name is the one.
    let _ = mem.remove_file(path);
    let file = mem.create(path).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}
