//! The first sector of a floppy disk with a FAT file system.
//!
//! Source: Microsoft, FAT: General Overview of On-Disk Format, version 1.03, "Boot Sector and BPB".

use zerocopy::byteorder::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Bytes of a sector, and of what is to be looked at.
pub const SECTOR_BYTES: usize = 512;

/// Bytes of the floppy disks that a PC knows: 360K, 720K, 1.2M, 1.44M, 2.88M.
const SIZES: [u64; 5] = [368_640, 737_280, 1_228_800, 1_474_560, 2_949_120];

/// Bytes of an entry of the root directory.
const ENTRY_BYTES: u32 = 32;

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BootSector {
    jump: [u8; 3],
    oem_name: [u8; 8],
    bytes_per_sector: U16,
    sectors_per_cluster: u8,
    reserved_sectors: U16,
    fats: u8,
    root_entries: U16,
    total_sectors: U16,
    media: u8,
    sectors_per_fat: U16,
    rest: [u8; 486],
    signature: [u8; 2],
}

/// Tells whether a file of `len` bytes that begins with `sector` is the image of a floppy disk: it has a
/// disk's size, and its file system says the same and finds room in it.
pub fn is_image(sector: &[u8; SECTOR_BYTES], len: u64) -> bool {
    let boot: BootSector = zerocopy::transmute!(*sector);
    let sectors = u32::from(boot.total_sectors.get());
    let root = u32::from(boot.root_entries.get()) * ENTRY_BYTES;
    let root_sectors = root / SECTOR_BYTES as u32;
    let fats = u32::from(boot.fats) * u32::from(boot.sectors_per_fat.get());
    let before_data = u32::from(boot.reserved_sectors.get()) + fats + root_sectors;
    SIZES.contains(&len)
        && u64::from(sectors) * SECTOR_BYTES as u64 == len
        && matches!(boot.jump, [0xeb, _, 0x90] | [0xe9, ..])
        && usize::from(boot.bytes_per_sector.get()) == SECTOR_BYTES
        && boot.sectors_per_cluster.is_power_of_two()
        && boot.reserved_sectors.get() > 0
        && matches!(boot.fats, 1 | 2)
        && boot.sectors_per_fat.get() > 0
        && root > 0
        && root.is_multiple_of(SECTOR_BYTES as u32)
        && matches!(boot.media, 0xf0 | 0xf8..)
        && before_data < sectors
        && boot.signature == [0x55, 0xaa]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What mkfs.fat writes on 1.44 MB.
    fn boot() -> [u8; SECTOR_BYTES] {
        let mut sector = [0; SECTOR_BYTES];
        sector[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
        sector[3..11].copy_from_slice(b"mkfs.fat");
        // 512 bytes to a sector, 1 sector to a cluster, 1 reserved, 2 FATs, 224 entries, 2880 sectors.
        sector[11..21].copy_from_slice(&[0, 2, 1, 1, 0, 2, 224, 0, 0x40, 0x0b]);
        // The medium, 9 sectors to a FAT.
        sector[21..24].copy_from_slice(&[0xf0, 9, 0]);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    #[test]
    fn floppies_of_all_sizes_are_known() {
        for len in SIZES {
            let mut sector = boot();
            sector[19..21].copy_from_slice(&((len / 512) as u16).to_le_bytes());
            assert!(is_image(&sector, len), "{len}");
        }
        // As Packer makes it: the medium of a hard disk, a root directory of 512 entries.
        let mut sector = boot();
        sector[17..19].copy_from_slice(&[0, 2]);
        sector[21..23].copy_from_slice(&[0xf8, 12]);
        assert!(is_image(&sector, 1_474_560));
    }

    #[test]
    fn what_is_no_floppy_is_told_apart() {
        for len in [0, 512, 737_280, 1_474_559, 1_474_561, 10 << 20] {
            assert!(!is_image(&boot(), len), "{len}");
        }
        for (at, bytes) in [
            (0, &[0xeb, 0x3c, 0][..]),
            (11, &[0, 4]),
            (13, &[0]),
            (13, &[3]),
            (14, &[0, 0]),
            (14, &[0xff, 0xff]),
            (16, &[0]),
            (16, &[3]),
            (17, &[0, 0]),
            (17, &[1, 0]),
            (17, &[0xf0, 0xff]),
            (19, &[0, 0]),
            (19, &[0x41, 0x0b]),
            (21, &[0xf1]),
            (22, &[0, 0]),
            (22, &[0xff, 0xff]),
            (510, &[0, 0]),
        ] {
            let mut sector = boot();
            sector[at..at + bytes.len()].copy_from_slice(bytes);
            assert!(!is_image(&sector, 1_474_560), "{at}: {bytes:?}");
        }
        assert!(!is_image(&[0; SECTOR_BYTES], 1_474_560));
        assert!(!is_image(&[0xff; SECTOR_BYTES], 1_474_560));
    }
}
