//! The state files `.vmsn` (of a snapshot) and `.vmss` (of a suspended VM).
//!
//! A file is a table of groups, a group a list of tags. One group, `Snapshot`, holds the
//! configuration of that moment; a state taken while off has nothing but that, and is written here.
//! Of what else a running VM leaves, the group `memory` is written too: tools that read a `.vmem`
//! look there for where its parts lie in the guest. The rest is VMware's own and is only recognised.
//! All little-endian.

mod tags;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use self::tags::{TagReader, push_block, push_number};
use super::{Malformed, Place};
use crate::error::{Error, Kind, Result};
use crate::store::Bytes;

/// Old files, with lengths of 32 bits inside.
const OLD: u32 = 0xbed2_bed0;
/// What all products write now.
const MAGIC: u32 = 0xbed2_bed2;
const MAGICS: [u32; 4] = [OLD, 0xbad1_bad1, MAGIC, 0xbed3_bed3];
const VERSION: u32 = 8;
/// More groups than any file has: a hundred are usual.
const MAX_GROUPS: u32 = 4096;
/// VMware leaves so many zeros after each text.
const PADDING: usize = 8192;

const GROUP: &str = "Snapshot";
const MEMORY: &str = "memory";
const CONFIG: &str = "cfgFile";
const NVRAM: &str = "nvramFile";
const EXTENDED: &str = "extendedConfigFile";

/// Offset 0 of the file.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: U32,   // 0
    version: U32, // 4
    groups: U32,  // 8
}

/// An entry of the table that follows the header.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct GroupEntry {
    name: [u8; 64], // 0
    offset: U64,    // 64
    size: U64,      // 72
}

/// A group: where it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Name: `Snapshot`, `Checkpoint`, `memory`, a device.
    pub name: String,
    /// Position of its first tag.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
}

/// What the group `Snapshot` holds: the VM's small files at that moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotFiles {
    /// The text of the `.vmx`, lines ended by LF.
    pub config: Vec<u8>,
    /// The firmware's memory.
    pub nvram: Option<Vec<u8>>,
    /// The text of the `.vmxf`.
    pub extended_config: Option<Vec<u8>>,
}

/// A part of the guest's memory that lies in one piece, in pages of 4 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    /// Where it begins for the guest.
    pub page: u32,
    /// Where it begins in the `.vmem`.
    pub file_page: u32,
    /// How long it is.
    pub pages: u32,
}

/// A state file's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFile {
    magic: u32,
    groups: Vec<Group>,
}

impl StateFile {
    /// Reads the table of a state file; nothing else of it is read.
    ///
    /// # Errors
    /// `SnapshotBroken` where it is none; what the system says.
    pub fn read(file: &dyn Bytes) -> Result<Self> {
        let mut header = [0; size_of::<Header>()];
        let got = file.read_at(&mut header, 0)?;
        let header = Header::read_from_bytes(&header[..got])
            .map_err(|_| broken(0, "too short for the state of a VM"))?;
        let magic = header.magic.get();
        if !MAGICS.contains(&magic) {
            return Err(broken(0, "this is not the state of a VM"));
        }
        let count = header.groups.get();
        if count > MAX_GROUPS {
            return Err(broken(8, "too many groups"));
        }
        let mut table = vec![0; count as usize * size_of::<GroupEntry>()];
        let start = size_of::<Header>() as u64;
        if file.read_at(&mut table, start)? < table.len() {
            return Err(broken(start, "the table of groups is cut off"));
        }
        let groups = table.chunks(size_of::<GroupEntry>()).filter_map(group_of);
        Ok(Self {
            magic,
            groups: groups.collect(),
        })
    }

    /// Returns the groups, in the order of the table.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Tells whether the state is one of a VM that was running: there is more than the files.
    pub fn is_live(&self) -> bool {
        self.groups.iter().any(|group| group.name != GROUP)
    }

    /// Reads the small files that the state holds; `None` where it holds none.
    ///
    /// # Errors
    /// `SnapshotBroken` where the group is damaged or a file in it impossibly large.
    pub fn files(&self, file: &dyn Bytes) -> Result<Option<SnapshotFiles>> {
        let Some(group) = self.groups.iter().find(|g| g.name == GROUP) else {
            return Ok(None);
        };
        let mut found = SnapshotFiles::default();
        let mut tags = TagReader::new(file, group, self.magic == OLD);
        while let Some(tag) = tags.next_tag()? {
            match tag.name.as_str() {
                CONFIG => found.config = text_of(tags.data(&tag)?),
                NVRAM => found.nvram = Some(tags.data(&tag)?),
                EXTENDED => found.extended_config = Some(text_of(tags.data(&tag)?)),
                _ => {}
            }
        }
        Ok((!found.config.is_empty()).then_some(found))
    }
}

impl SnapshotFiles {
    /// Returns the state file of a snapshot; one with a `.vmem` beside it has `memory`.
    pub fn to_bytes(&self, memory: &[MemoryRegion]) -> Vec<u8> {
        let mut groups = vec![(GROUP, self.to_group())];
        if !memory.is_empty() {
            groups.push((MEMORY, memory_group(memory)));
        }
        let mut out = table_of(&groups);
        for (_, group) in groups {
            out.extend(group);
        }
        out.extend([0, 0]);
        out
    }

    fn to_group(&self) -> Vec<u8> {
        let mut group = Vec::new();
        // The text, its end, and the padding.
        push_block(&mut group, CONFIG, &[&self.config, &[0; 1 + PADDING]]);
        if let Some(nvram) = &self.nvram {
            push_block(&mut group, NVRAM, &[nvram]);
        }
        if let Some(text) = &self.extended_config {
            push_block(&mut group, EXTENDED, &[text, &[0; PADDING]]);
        }
        group.extend([0, 0]);
        group
    }
}

fn memory_group(regions: &[MemoryRegion]) -> Vec<u8> {
    let mut group = Vec::new();
    push_number(&mut group, "regionsCount", None, regions.len() as u32);
    for (index, region) in (0..).zip(regions) {
        push_number(&mut group, "regionPPN", Some(index), region.page);
        push_number(&mut group, "regionPageNum", Some(index), region.file_page);
        push_number(&mut group, "regionSize", Some(index), region.pages);
    }
    group.extend([0, 0]);
    group
}

/// The header and the table of a file that has these groups, in this order.
fn table_of(groups: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let header = Header {
        magic: MAGIC.into(),
        version: VERSION.into(),
        groups: (groups.len() as u32).into(),
    };
    let mut table = header.as_bytes().to_vec();
    let mut offset = size_of::<Header>() + groups.len() * size_of::<GroupEntry>();
    for (group, bytes) in groups {
        let mut name = [0; 64];
        name[..group.len()].copy_from_slice(group.as_bytes());
        let entry = GroupEntry {
            name,
            offset: (offset as u64).into(),
            size: (bytes.len() as u64).into(),
        };
        table.extend(entry.as_bytes());
        offset += bytes.len();
    }
    table
}

fn group_of(entry: &[u8]) -> Option<Group> {
    let entry = GroupEntry::ref_from_bytes(entry).ok()?;
    let name = String::from_utf8_lossy(&entry.name);
    Some(Group {
        name: name.split('\0').next().unwrap_or_default().to_string(),
        offset: entry.offset.get(),
        size: entry.size.get(),
    })
}

/// A text without the zeros behind it.
fn text_of(mut data: Vec<u8>) -> Vec<u8> {
    let len = data.iter().position(|&b| b == 0).unwrap_or(data.len());
    data.truncate(len);
    data
}

fn broken(at: u64, what: &str) -> Error {
    let fault = Malformed::new(Place::Byte(at), what);
    Error::new(Kind::SnapshotBroken, fault.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::store::{Mem, Store};

    fn file(bytes: &[u8]) -> Box<dyn Bytes> {
        let file = Mem::new().create(Path::new("/a.vmsn")).unwrap();
        file.write_at(bytes, 0).unwrap();
        file
    }

    fn files() -> SnapshotFiles {
        SnapshotFiles {
            config: b".encoding = \"UTF-8\"\n".to_vec(),
            nvram: Some(b"MRVN\x01\0\0\0".to_vec()),
            extended_config: Some(b"<Foundry/>".to_vec()),
        }
    }

    fn read(bytes: &[u8]) -> Result<Option<SnapshotFiles>> {
        let file = file(bytes);
        StateFile::read(&*file)?.files(&*file)
    }

    #[test]
    fn written_state_reads_back() {
        for files in [
            files(),
            SnapshotFiles {
                nvram: None,
                extended_config: None,
                ..files()
            },
        ] {
            let bytes = files.to_bytes(&[]);
            assert_eq!(read(&bytes).unwrap(), Some(files));
            assert!(!StateFile::read(&*file(&bytes)).unwrap().is_live());
        }
    }

    #[test]
    fn layout_is_vmwares() {
        let bytes = files().to_bytes(&[]);
        assert_eq!(bytes[..12], *b"\xd2\xbe\xd2\xbe\x08\0\0\0\x01\0\0\0");
        assert_eq!(bytes[76..84], 92_u64.to_le_bytes());
        // Two zeros end the group, two more the file.
        let size = u64::from_le_bytes(bytes[84..92].try_into().unwrap());
        assert_eq!(92 + size + 2, bytes.len() as u64);
        assert_eq!(bytes[92..101], *b"\x3f\x07cfgFile");
        let config = 20 + 1 + 8192_u64;
        assert_eq!(bytes[101..109], config.to_le_bytes());
        assert_eq!(bytes[109..117], config.to_le_bytes());
        assert_eq!(bytes[117..119], [0, 0]);
        assert_eq!(bytes[119..128], *b".encoding");
    }

    #[test]
    fn memory_says_where_its_regions_lie() {
        let regions = [(0, 0, 0xc0000), (0x10_0000, 0xc0000, 0x40000)];
        let regions = regions.map(|(page, file_page, pages)| MemoryRegion {
            page,
            file_page,
            pages,
        });
        let bytes = files().to_bytes(&regions);
        assert_eq!(read(&bytes).unwrap(), Some(files()));
        let state = StateFile::read(&*file(&bytes)).unwrap();
        let group = &state.groups()[1];
        assert_eq!(group.name, "memory");
        let group = &bytes[group.offset as usize..][..group.size as usize];
        assert_eq!(group[..18], *b"\x04\x0cregionsCount\x02\0\0\0");
        assert!(group.ends_with(b"\x44\x0aregionSize\x01\0\0\0\0\0\x04\0\0\0"));
        let end = state.groups()[1].offset + state.groups()[1].size;
        assert_eq!(end + 2, bytes.len() as u64);
    }

    #[test]
    fn old_files_have_short_lengths() {
        let mut bytes = b"\xd0\xbe\xd2\xbe\x07\0\0\0\x02\0\0\0".to_vec();
        for (name, offset, size) in [("Checkpoint", 0_u64, 0_u64), (GROUP, 172, 100)] {
            let mut entry = [0; 80];
            entry[..name.len()].copy_from_slice(name.as_bytes());
            entry[64..72].copy_from_slice(&offset.to_le_bytes());
            entry[72..].copy_from_slice(&size.to_le_bytes());
            bytes.extend(entry);
        }
        // A number with one index, then the block, padded by three bytes.
        bytes.extend(b"\x44\x03num\x05\0\0\0\x01\x02\x03\x04");
        bytes.extend(b"\x3f\x07cfgFile\x04\0\0\0\x04\0\0\0\x03\0xxxa=b\0\0\0");
        let file = file(&bytes);
        let state = StateFile::read(&*file).unwrap();
        assert!(state.is_live());
        let files = state.files(&*file).unwrap().unwrap();
        assert_eq!(files.config, b"a=b");
    }

    #[test]
    fn state_without_files_says_so() {
        let mut bytes = files().to_bytes(&[]);
        bytes[12] = b'X';
        assert_eq!(read(&bytes).unwrap(), None);
    }

    #[test]
    fn damaged_states_are_refused() {
        let good = files().to_bytes(&[]);
        let mut table = good.clone();
        table[8..12].copy_from_slice(&[0xff; 4]);
        let mut block = good.clone();
        block[101..109].copy_from_slice(&[0xff; 8]);
        for bytes in [
            &b"nonsense, and no end"[..],
            b"",
            &good[..50],
            &table,
            &block,
        ] {
            assert_eq!(read(bytes).unwrap_err().kind(), Kind::SnapshotBroken);
        }
    }

    #[test]
    fn cut_off_state_is_refused() {
        let good = files().to_bytes(&[]);
        for len in [93, 100, 110, 118, 200, 8000] {
            assert!(read(&good[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn offsets_beyond_the_file_are_refused() {
        let mut bytes = files().to_bytes(&[]);
        bytes[76..84].copy_from_slice(&[0xff; 8]);
        assert!(read(&bytes).is_err());
    }
}
