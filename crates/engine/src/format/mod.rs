//! On-disk formats: bytes <-> types, no files. Lossless on what they do not understand.

pub mod charset;
pub mod dict;
pub mod floppy;
pub mod nvram;
pub mod paths;
pub mod vmdk;
pub mod vmsd;
pub mod vmsn;
pub mod vmxf;
pub mod vnc_key;

use std::fmt;
use std::path::Path;

use crate::error::{Error, Kind, quoted};

pub use charset::Charset;
pub use dict::{Dictionary, LineEnd};
pub use paths::Paths;
pub use vmsd::{FrozenDisk, SnapshotEntry, Vmsd};
pub use vmsn::{MemoryRegion, SnapshotFiles, StateFile};
pub use vmxf::Vmxf;

/// Why bytes are not what they should be: where, and what is wrong there.
///
/// Parsers return it; it becomes an [`Error`] once, where the path is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where in the text or the bytes.
    pub place: Place,
    /// What is wrong there: lower case, no final period.
    pub what: String,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, counted from 1.
    Line(usize),
    /// A byte, counted from 0.
    Byte(u64),
    /// The file as a whole.
    Whole,
}

impl Malformed {
    /// Returns the fault `what` at `place`.
    pub fn new(place: Place, what: impl Into<String>) -> Self {
        Self {
            place,
            what: what.into(),
        }
    }

    /// Makes it an error of `kind` about the file at `path`.
    pub fn in_file(self, kind: Kind, path: &Path) -> Error {
        Error::new(kind, format!("{}: {self}", quoted(path))).at(path)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Line(line) => write!(f, "line {line}: {}", self.what),
            Place::Byte(byte) => write!(f, "byte {byte}: {}", self.what),
            Place::Whole => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Malformed {}
