//! Disks whose descriptors, headers, tables and grains are not what they should be.

use std::fs;

use libdeflater::{CompressionLvl, Compressor};
use replix_testkit::{Esxi, EsxiGrain, EsxiLink};

use super::world::{BAD, CAPACITY, World};
use super::{Case, case};

/// Sectors of a disk here.
const SECTORS: u64 = CAPACITY / 512;

pub fn cases() -> Vec<Case> {
    [
        extents(),
        descriptors(),
        headers(),
        tables(),
        packed(),
        esxi(),
    ]
    .into_iter()
    .flatten()
    .map(|case| case.met_by(&["info", "check", "full clone"]))
    .collect()
}

/// Lines of extents, of a file of 1 KiB.
fn extents() -> Vec<Case> {
    let lines = |name: &str, lines: &'static str| {
        case(format!("extents: {name}"), move |world| {
            world.write("small", [0; 1024]);
            world.describe(&format!(
                "parentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n{lines}"
            ));
        })
    };
    vec![
        lines("none", ""),
        lines("of 2^63 sectors", "RW 9223372036854775808 FLAT \"small\" 0"),
        lines(
            "of 2^64 - 1 sectors",
            "RW 18446744073709551615 FLAT \"small\" 0",
        ),
        lines(
            "of 10^20 sectors",
            "RW 100000000000000000000 FLAT \"small\" 0",
        ),
        lines("of no sectors", "RW 0 FLAT \"small\" 0"),
        lines("of -1 sectors", "RW -1 FLAT \"small\" 0"),
        lines("at 2^64 - 1", "RW 1 FLAT \"small\" 18446744073709551615"),
        lines("behind the file's end", "RW 2 FLAT \"small\" 1"),
        lines(
            "that overlap",
            "RW 2 FLAT \"small\" 0\nRW 1 FLAT \"small\" 1",
        ),
        lines(
            "twice the same",
            "RW 1 FLAT \"small\" 0\nRW 1 FLAT \"small\" 0",
        ),
        lines(
            "whose sum is too large",
            "RW 9223372036854775807 ZERO\nRW 9223372036854775807 ZERO\nRW 2 FLAT \"small\" 0",
        ),
        lines("of 2^62 zeros", "RW 4611686018427387904 ZERO"),
        lines("of a type that nobody knows", "RW 1 \x1b[2J \"small\" 0"),
        lines(
            "of a device of the host",
            "RW 1 FLAT \"\\\\.\\PhysicalDrive0\" 0",
        ),
        case("extents: a hundred thousand", |world| {
            world.write("small", [0; 1024]);
            let lines = "RW 1 FLAT \"small\" 0\n".repeat(100_000);
            world.describe(&format!(
                "parentCID=ffffffff\ncreateType=\"twoGbMaxExtentFlat\"\n{lines}"
            ));
        }),
        case("extents: larger than the header says", |world| {
            fs::copy(world.evil("evil.vmdk"), world.evil("ugly-s001.vmdk")).unwrap();
            world.describe("parentCID=ffffffff\ncreateType=\"twoGbMaxExtentSparse\"\nRW 1048576 SPARSE \"ugly-s001.vmdk\"");
        }),
    ]
}

fn descriptors() -> Vec<Case> {
    let bytes = |name: &str, bytes: &'static [u8]| {
        case(format!("descriptor: {name}"), move |world| {
            world.hang(bytes);
        })
    };
    let typed = |word: &'static str| {
        case(format!("descriptor: createType {word}"), move |world| {
            world.describe(&format!(
                "parentCID=ffffffff\ncreateType=\"{word}\"\nRW 1 FLAT \"/dev/sda\" 0"
            ));
        })
    };
    vec![
        bytes("empty", b""),
        bytes("one byte", b"K"),
        bytes("only its first line", b"# Disk DescriptorFile\n"),
        bytes("no text", &[0xff; 5000]),
        bytes("NULs in its midst", b"# Disk DescriptorFile\nversion=1\nCID=0badcafe\0parentCID=ffffffff\n\0\0createType=\"monolithicFlat\"\nRW 1 FLAT \"small\" 0\n"),
        bytes("an encoding that does not exist", b"# Disk DescriptorFile\nversion=1\nencoding=\"klingon\"\nCID=0badcafe\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 1 FLAT \"small\" 0\n"),
        typed("fullDevice"),
        typed("vmfsRDM"),
        typed("partitionedDevice"),
        typed("custom"),
        typed("\u{1b}[2J"),
        case("descriptor: a million lines", |world| {
            world.describe(&"ddb.x = \"y\"\n".repeat(1_000_000));
        }),
        case("descriptor: 1 GiB, hardly there", |world| {
            world.describe("createType=\"monolithicFlat\"");
            world.grow(BAD, 1 << 30);
        }),
        case("descriptor: of a child, and no parent is named", |world| {
            world.describe("parentCID=00000001\ncreateType=\"monolithicSparse\"\nRW 512 SPARSE \"evil.vmdk\"");
        }),
        case("descriptor: geometry that divides by nothing", |world| {
            fs::copy(world.evil("evil.vmdk"), world.evil("ugly-s001.vmdk")).unwrap();
            world.describe(&format!(
                "parentCID=ffffffff\ncreateType=\"twoGbMaxExtentSparse\"\nRW {SECTORS} SPARSE \"ugly-s001.vmdk\"\n\
                 ddb.geometry.cylinders = \"0\"\nddb.geometry.heads = \"0\"\nddb.geometry.sectors = \"99999999999999999999\"\n\
                 ddb.adapterType = \"none\"\nddb.virtualHWVersion = \"-1\"\nddb.uuid = \"none\""
            ));
        }),
    ]
}

/// Bytes to be put into a copy of the VM's first disk, a monolithic sparse one.
fn header(name: &str, at: usize, value: &'static [u8]) -> Case {
    case(format!("sparse header: {name}"), move |world| {
        world.patch("evil.vmdk", &[(at, value)]);
    })
}

fn headers() -> Vec<Case> {
    const FAR: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0x80];
    const NONE: &[u8] = &[0; 8];
    const ALL: &[u8] = &[0xff; 8];
    vec![
        header("version 99", 4, &[99]),
        header("flags that nobody knows", 8, &[0, 0, 0, 0x80]),
        header("compressed, without markers", 8, &[3, 0, 1, 0]),
        header("capacity 2^63", 12, FAR),
        header("capacity 2^64 - 1", 12, ALL),
        header("capacity 0", 12, NONE),
        header("capacity of 2 TiB", 12, &[0, 0, 0, 0, 1, 0, 0, 0]),
        header("grains of nothing", 20, NONE),
        header("grains of one sector", 20, &[1, 0, 0, 0, 0, 0, 0, 0]),
        header("grains of three sectors", 20, &[3, 0, 0, 0, 0, 0, 0, 0]),
        header("grains of 2^63 sectors", 20, FAR),
        header("a descriptor behind the end", 28, &[0, 0, 0, 0, 1, 0, 0, 0]),
        header("a descriptor at 2^63", 28, FAR),
        header("a descriptor of 2^63 sectors", 36, FAR),
        header(
            "a descriptor of 2^32 bytes",
            36,
            &[0, 0, 0x80, 0, 0, 0, 0, 0],
        ),
        header(
            "a descriptor that is the header",
            28,
            &[0, 0, 0, 0, 0, 0, 0, 0],
        ),
        header("tables without entries", 44, &[0; 4]),
        header("tables of 2^32 entries", 44, &[0xff; 4]),
        header(
            "both directories behind the end",
            48,
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        ),
        header(
            "both directories at 2^63",
            48,
            &[0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x80],
        ),
        header("both directories are the header", 48, &[0; 16]),
        header("a directory in the footer, and no footer", 56, ALL),
        header("line ends that a text transfer broke", 73, b"\n\n\r\n"),
        header("left open", 72, &[1]),
        header("nothing but ones", 4, &[0xff; 508]),
    ]
}

/// The number at a place, of so many bytes.
fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    bytes[at..at + len]
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// The offsets of the first table of each directory of a sparse disk.
fn first_tables(bytes: &[u8]) -> [usize; 2] {
    [48, 56].map(|at| number(bytes, number(bytes, at, 8) * 512, 4) * 512)
}

/// Entries to be put at the beginning of both tables, or of both directories.
fn entries(name: &str, of_directory: bool, values: &'static [u32]) -> Case {
    case(name, move |world| {
        let bytes = world.read("evil.vmdk");
        let places = match of_directory {
            true => [48, 56].map(|at| number(&bytes, at, 8) * 512),
            false => first_tables(&bytes),
        };
        let values: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        world.patch("evil.vmdk", &places.map(|place| (place, &values[..])));
    })
}

fn tables() -> Vec<Case> {
    vec![
        entries("grain tables: behind the end", true, &[0x7fff_ffff]),
        entries(
            "grain tables: at the last sector there can be",
            true,
            &[u32::MAX],
        ),
        entries("grain tables: in the header", true, &[0]),
        entries("grain tables: the directory itself", true, &[21]),
        entries("grains behind the end", false, &[0x7fff_ff00, 0x0fff_ff80]),
        entries(
            "grains at the last sector there can be",
            false,
            &[u32::MAX, u32::MAX - 1],
        ),
        entries("grains in the header and the descriptor", false, &[2, 1, 3]),
        entries("grains in one place", false, &[128, 128, 128, 128]),
        entries("grains that overlap", false, &[128, 129, 200, 255]),
        case("a disk cut off in its grains", |world| {
            let bytes = world.read("evil.vmdk");
            world.patch("evil.vmdk", &[]);
            world.write(BAD, &world.read(BAD)[..bytes.len() - 70_000]);
        }),
        case("a disk cut off in its header", |world| {
            let bytes = world.read("evil.vmdk");
            world.hang(&bytes[..300]);
        }),
    ]
}

/// A copy of the stream, with what `change` makes of its first grain: its marker stands at the offset.
fn stream(name: &str, change: fn(&mut Vec<u8>, usize)) -> Case {
    case(format!("compressed: {name}"), move |world| {
        let mut bytes = world.read("packed.vmdk");
        let first = number(&bytes, 64, 8) * 512;
        change(&mut bytes, first);
        world.hang(bytes);
    })
}

/// Zeros that take a thousandth of their room, as zlib has them.
fn bomb(len: usize) -> Vec<u8> {
    let zeros = vec![0; len];
    let mut compressor = Compressor::new(CompressionLvl::default());
    let mut out = vec![0; compressor.zlib_compress_bound(len)];
    let used = compressor.zlib_compress(&zeros, &mut out).unwrap();
    out.truncate(used);
    out
}

fn put(bytes: &mut Vec<u8>, at: usize, patch: &[u8]) {
    bytes.resize(bytes.len().max(at + patch.len()), 0);
    bytes[at..at + patch.len()].copy_from_slice(patch);
}

/// Moves the directory's place from the header to a footer, as VMware's tools do; returns where it is.
fn add_footer(bytes: &mut Vec<u8>) -> usize {
    let marker = bytes.len().next_multiple_of(512);
    let header = bytes[..512].to_vec();
    put(bytes, 56, &[0xff; 8]);
    put(bytes, marker, &[1]);
    put(bytes, marker + 12, &[3]);
    put(bytes, marker + 512, &header);
    put(bytes, marker + 1535, &[0]);
    marker + 512
}

fn packed() -> Vec<Case> {
    vec![
        stream("a grain of 2^32 - 1 bytes", |bytes, at| {
            put(bytes, at + 8, &[0xff; 4]);
        }),
        stream("a grain of no bytes", |bytes, at| {
            put(bytes, at + 8, &[0; 4]);
        }),
        stream("a grain of another place", |bytes, at| {
            put(bytes, at, &[0xff; 8]);
        }),
        stream("a grain of noise", |bytes, at| {
            put(bytes, at + 12, &[0xa5; 64]);
        }),
        stream("a bomb of 4 MiB in a grain of 64 KiB", |bytes, at| {
            let bomb = bomb(4 << 20);
            put(bytes, at + 8, &(bomb.len() as u32).to_le_bytes());
            put(bytes, at + 12, &bomb);
        }),
        case(
            "compressed: a bomb of 64 MiB, which is all of its disk",
            |world| {
                let mut bytes = world.read("packed.vmdk");
                let at = bytes.len().next_multiple_of(512);
                let bomb = bomb(64 << 20);
                let mut grain = 0_u64.to_le_bytes().to_vec();
                grain.extend((bomb.len() as u32).to_le_bytes());
                grain.extend(bomb);
                // It stands behind the end, where an entry of the table finds it.
                let table = number(&bytes, number(&bytes, 56, 8) * 512, 4) * 512;
                put(&mut bytes, table, &((at / 512) as u32).to_le_bytes());
                put(&mut bytes, at, &grain);
                world.hang(bytes);
            },
        ),
        stream("grains of 1 MiB with a bomb", |bytes, at| {
            put(bytes, 20, &2048_u64.to_le_bytes());
            let bomb = bomb(8 << 20);
            put(bytes, at + 8, &(bomb.len() as u32).to_le_bytes());
            put(bytes, at + 12, &bomb);
        }),
        stream("cut off in its grains", |bytes, at| {
            bytes.truncate(at + 1024);
        }),
        stream("a footer that is cut off", |bytes, _| {
            let footer = add_footer(bytes);
            bytes.truncate(footer + 512);
        }),
        stream("a footer that names itself", |bytes, _| {
            let footer = add_footer(bytes);
            let sector = (footer / 512) as u64;
            put(bytes, footer + 56, &sector.to_le_bytes());
        }),
        stream("a footer of another disk", |bytes, _| {
            let footer = add_footer(bytes);
            put(bytes, footer + 12, &[0, 0, 0, 0, 0, 0, 0, 0x40]);
        }),
    ]
}

/// A link of ESXi's whose extent is changed.
fn link(name: &str, format: Esxi, at: usize, value: &'static [u8]) -> Case {
    case(name, move |world: &World| {
        let link = EsxiLink {
            format,
            sectors: SECTORS,
            parent: None,
            grains: vec![
                (0, EsxiGrain::Data(vec![1; 512])),
                (3, EsxiGrain::Data(vec![2; 512])),
            ],
        };
        let extent = link.write(&world.evil(BAD));
        let mut bytes = world.read(&extent);
        put(&mut bytes, at, value);
        world.write(&extent, bytes);
        world.set("scsi0:0.fileName", BAD);
    })
}

fn esxi() -> Vec<Case> {
    const COWD: Esxi = Esxi::Cowd(8);
    const SE: Esxi = Esxi::SeSparse;
    const FAR: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0x80];
    vec![
        link("COWD: whole", COWD, 0, b"COWD"),
        link("COWD: capacity 2^32 - 1", COWD, 12, &[0xff; 4]),
        link("COWD: grains of nothing", COWD, 16, &[0; 4]),
        link("COWD: grains of 2^32 - 1 sectors", COWD, 16, &[0xff; 4]),
        link("COWD: its directory behind the end", COWD, 20, &[0xff; 4]),
        link("COWD: tables without number", COWD, 24, &[0xff; 4]),
        link("COWD: a table behind the end", COWD, 4 * 512, &[0xff; 4]),
        link(
            "COWD: a table that is the header",
            COWD,
            4 * 512,
            &[1, 0, 0, 0],
        ),
        link("seSparse: whole", SE, 0, &[0xbe]),
        link("seSparse: capacity 2^63", SE, 16, FAR),
        link("seSparse: grains of 2^63 sectors", SE, 24, FAR),
        link("seSparse: its directory at 2^63", SE, 128, FAR),
        link("seSparse: a directory of nothing", SE, 136, &[0; 8]),
        link("seSparse: tables at 2^63", SE, 144, FAR),
        link("seSparse: grains at 2^63", SE, 192, FAR),
        link(
            "seSparse: a table that is not there",
            SE,
            16 * 512,
            &[0xff, 0xff, 0, 0, 0, 0, 0, 0x10],
        ),
        link(
            "seSparse: a grain that is not there",
            SE,
            17 * 512,
            &[0xff, 0xff, 0xff, 0, 0, 0, 0xff, 0x3f],
        ),
    ]
}
