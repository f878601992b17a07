//! Links of ESXi's snapshots, made by hand: no free program writes their formats.

use std::fs;
use std::path::Path;

const SECTOR: usize = 512;

/// The sparse formats of ESXi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Esxi {
    /// `vmfsSparse`, with grains of so many sectors.
    Cowd(u32),
    /// `seSparse`: grains of eight sectors.
    SeSparse,
}

/// What a link has for a grain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EsxiGrain {
    /// Bytes, filled up with zeros.
    Data(Vec<u8>),
    /// Zeros, whatever the parent has; `seSparse` only.
    Zeros,
    /// Given back by the guest, which reads as zeros; `seSparse` only.
    Unmapped,
}

/// A link of a snapshot of ESXi.
#[derive(Clone, Debug)]
pub struct EsxiLink {
    /// Its format.
    pub format: Esxi,
    /// Sectors of the disk.
    pub sectors: u64,
    /// Content id of the parent, and the name by which it is found.
    pub parent: Option<(u32, String)>,
    /// Number of each grain that it has, in any order, with what there is.
    pub grains: Vec<(u64, EsxiGrain)>,
}

impl EsxiLink {
    /// Writes the link: the descriptor at `path`, the extent beside it. Returns the extent's name.
    pub fn write(&self, path: &Path) -> String {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.expect("a disk has a name");
        let (create_type, word, extent) = match self.format {
            Esxi::Cowd(_) => ("vmfsSparse", "VMFSSPARSE", format!("{stem}-delta.vmdk")),
            Esxi::SeSparse => ("seSparse", "SESPARSE", format!("{stem}-sesparse.vmdk")),
        };
        let (cid, hint) = match &self.parent {
            Some((cid, name)) => (*cid, format!("parentFileNameHint=\"{name}\"\n")),
            None => (0xffff_ffff, String::new()),
        };
        let text = format!(
            "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=0badcafe\nparentCID={cid:08x}\n\
             createType=\"{create_type}\"\n{hint}# Extent description\n\
             RW {} {word} \"{extent}\"\n\n# The Disk Data Base \n#DDB\n\n\
             ddb.adapterType = \"lsilogic\"\n",
            self.sectors
        );
        fs::write(path, text).expect("the test folder has space");
        let bytes = match self.format {
            Esxi::Cowd(grain) => self.cowd(grain),
            Esxi::SeSparse => self.sesparse(),
        };
        fs::write(path.with_file_name(&extent), bytes).expect("the test folder has space");
        extent
    }

    fn cowd(&self, grain: u32) -> Vec<u8> {
        let coverage = 4096 * u64::from(grain);
        let tables = self.sectors.div_ceil(coverage);
        let mut file = vec![0; 4 * SECTOR];
        file[..4].copy_from_slice(b"COWD");
        let fields = [
            (4, 1),
            (8, 3),
            (12, self.sectors),
            (16, grain.into()),
            (20, 4),
            (24, tables),
        ];
        for (at, value) in fields {
            put(&mut file, at, &(value as u32).to_le_bytes());
        }
        append(&mut file, &vec![0; tables as usize * 4]);
        for (number, data) in &self.grains {
            let EsxiGrain::Data(data) = data else {
                panic!("a COWD extent has no grain of zeros");
            };
            let entry = 4 * SECTOR + (number / 4096) as usize * 4;
            let mut table = u32_at(&file, entry);
            if table == 0 {
                table = append(&mut file, &[0; 4096 * 4]);
                put(&mut file, entry, &table.to_le_bytes());
            }
            let mut data = data.clone();
            data.resize(grain as usize * SECTOR, 0);
            let sector = append(&mut file, &data);
            let at = table as usize * SECTOR + (number % 4096) as usize * 4;
            put(&mut file, at, &sector.to_le_bytes());
        }
        let free = (file.len() / SECTOR) as u32;
        put(&mut file, 28, &free.to_le_bytes());
        file
    }

    fn sesparse(&self) -> Vec<u8> {
        let tables = self.sectors.div_ceil(4096 * 8) as usize;
        let directory = (tables * 8).div_ceil(SECTOR);
        let (gd, gt) = (16, 16 + directory);
        let bitmap = gt + tables * 64;
        let grains = (bitmap + 16).next_multiple_of(8);
        let mut file = vec![0; grains * SECTOR];
        let fields = [
            (0, 0xcafe_babe),
            (8, 0x2_0000_0001),
            (16, self.sectors as usize),
            (24, 8),
            (32, 64),
            (80, 1),
            (88, 1),
            (96, 2),
            (104, 1),
            (112, 3),
            (120, 13),
            (128, gd),
            (136, directory),
            (144, gt),
            (152, tables * 64),
            (160, bitmap),
            (168, 8),
            (176, bitmap + 8),
            (184, 8),
            (192, grains),
            (200, self.grains.len() * 8),
            // The part that changes.
            (SECTOR, 0xcafe_cafe),
        ];
        for (at, value) in fields {
            put(&mut file, at, &(value as u64).to_le_bytes());
        }
        // Tables are numbered in the order in which they were needed, not in that of the disk.
        let mut next_table = 0;
        for (number, what) in &self.grains {
            let entry = gd * SECTOR + (number / 4096) as usize * 8;
            if file[entry..entry + 8] == [0; 8] {
                put(&mut file, entry, &(1u64 << 60 | next_table).to_le_bytes());
                next_table += 1;
            }
            let table = u32_at(&file, entry) as usize;
            let value = match what {
                EsxiGrain::Unmapped => 1 << 60,
                EsxiGrain::Zeros => 2 << 60,
                EsxiGrain::Data(data) => {
                    let mut data = data.clone();
                    data.resize(8 * SECTOR, 0);
                    let sector = append(&mut file, &data) as usize;
                    let place = ((sector - grains) / 8) as u64;
                    3 << 60 | (place & 0xfff) << 48 | place >> 12
                }
            };
            let at = (gt + table * 64) * SECTOR + (number % 4096) as usize * 8;
            put(&mut file, at, &value.to_le_bytes());
        }
        file
    }
}

/// Adds whole sectors at the end; returns the first.
fn append(file: &mut Vec<u8>, bytes: &[u8]) -> u32 {
    let sector = file.len() / SECTOR;
    file.extend_from_slice(bytes);
    file.resize(file.len().next_multiple_of(SECTOR), 0);
    sector as u32
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn u32_at(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]])
}
