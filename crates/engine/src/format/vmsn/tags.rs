//! The tags of a group, read one after the other without trusting a single size.
//!
//! Layout of a tag: u8 flags, u8 length of the name, name, `flags >> 6` indices of u32, data. The low
//! six bits of the flags are the data's length, or 62 or 63 for a block: stored size, size in memory
//! (both u64; u32 in old files), u16 length of padding, padding, data. Two zeros end the group.

use super::{Group, broken};
use crate::error::Result;
use crate::store::Bytes;

/// No small file of a VM is larger.
const DATA_LIMIT: u64 = 64 << 20;
/// More tags than any group has.
const MAX_TAGS: usize = 100_000;
const COMPRESSED: u8 = 62;
const BLOCK: u8 = 63;

/// A tag: its name and where its data stands.
pub(super) struct Tag {
    pub(super) name: String,
    offset: u64,
    size: u64,
    compressed: bool,
}

/// Reads the tags of a group.
pub(super) struct TagReader<'a> {
    file: &'a dyn Bytes,
    at: u64,
    end: u64,
    short_sizes: bool,
    left: usize,
}

impl<'a> TagReader<'a> {
    pub(super) fn new(file: &'a dyn Bytes, group: &Group, short_sizes: bool) -> Self {
        Self {
            file,
            at: group.offset,
            end: group.offset.saturating_add(group.size),
            short_sizes,
            left: MAX_TAGS,
        }
    }

    /// Returns the next tag, or `None` at the end of the group.
    pub(super) fn next_tag(&mut self) -> Result<Option<Tag>> {
        let [flags, name_len] = self.take()?;
        if (flags, name_len) == (0, 0) {
            return Ok(None);
        }
        self.left -= 1;
        if self.left == 0 {
            return Err(broken(self.at, "too many tags"));
        }
        let mut name = vec![0; usize::from(name_len)];
        self.fill(&mut name)?;
        self.skip(4 * u64::from(flags >> 6))?;
        let (size, compressed) = match flags & 0x3f {
            kind @ (BLOCK | COMPRESSED) => (self.block_size()?, kind == COMPRESSED),
            len => (u64::from(len), false),
        };
        let tag = Tag {
            name: String::from_utf8_lossy(&name).into_owned(),
            offset: self.at,
            size,
            compressed,
        };
        self.skip(size)?;
        Ok(Some(tag))
    }

    /// Reads a tag's data.
    pub(super) fn data(&self, tag: &Tag) -> Result<Vec<u8>> {
        if tag.compressed {
            return Err(broken(
                tag.offset,
                "the data is compressed in an unknown way",
            ));
        }
        // The tag lies within the file: its end was checked.
        if tag.size > DATA_LIMIT {
            return Err(broken(
                tag.offset,
                "the data is larger than any file of its kind",
            ));
        }
        let mut data = vec![0; tag.size as usize];
        self.file.read_exact_at(&mut data, tag.offset)?;
        Ok(data)
    }

    /// Reads the head of a block up to its data.
    fn block_size(&mut self) -> Result<u64> {
        let stored = self.size()?;
        let _in_memory = self.size()?;
        let padding = u16::from_le_bytes(self.take()?);
        self.skip(u64::from(padding))?;
        Ok(stored)
    }

    fn size(&mut self) -> Result<u64> {
        if self.short_sizes {
            return Ok(u64::from(u32::from_le_bytes(self.take()?)));
        }
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, buf: &mut [u8]) -> Result<()> {
        let from = self.at;
        self.skip(buf.len() as u64)?;
        let got = self.file.read_at(buf, from)?;
        if got < buf.len() {
            return Err(broken(from, "the state is cut off"));
        }
        Ok(())
    }

    fn skip(&mut self, len: u64) -> Result<()> {
        let end = self.file.len()?.min(self.end);
        match self.at.checked_add(len).filter(|&at| at <= end) {
            Some(at) => {
                self.at = at;
                Ok(())
            }
            None => Err(broken(self.at, "a tag reaches beyond its group")),
        }
    }
}

/// Appends a tag with a plain block of data.
pub(super) fn push_block(group: &mut Vec<u8>, name: &str, data: &[&[u8]]) {
    let size: u64 = data.iter().map(|part| part.len() as u64).sum();
    group.extend([BLOCK, name.len() as u8]);
    group.extend(name.bytes());
    group.extend(size.to_le_bytes());
    group.extend(size.to_le_bytes());
    group.extend([0, 0]);
    for part in data {
        group.extend(*part);
    }
}

/// Appends a tag with a number, one of several where it has an index.
pub(super) fn push_number(group: &mut Vec<u8>, name: &str, index: Option<u32>, number: u32) {
    let indices = u8::from(index.is_some());
    group.extend([indices << 6 | 4, name.len() as u8]);
    group.extend(name.bytes());
    group.extend(index.into_iter().flat_map(u32::to_le_bytes));
    group.extend(number.to_le_bytes());
}
