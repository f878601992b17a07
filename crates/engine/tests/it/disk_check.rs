//! A check names what is wrong with a disk, and finds nothing wrong with a sound one.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use replix::disk::{CheckReport, check, grow};
use replix::format::vmdk::CreateType;
use replix::store::Local;
use replix::{Job, Kind};

use crate::tools::{
    Content, SECTORS, TYPES, chain_of, fingerprints, open, opener, qemu_create, qemu_io,
};

fn report(disk: &Path) -> CheckReport {
    check(&opener(disk), disk, &Job::new()).unwrap()
}

/// Makes a disk of 100 MiB whose first two grains, and one in the third table, hold data.
pub fn disk(dir: &Path) -> PathBuf {
    let disk = qemu_create(dir, "d.vmdk", "monolithicSparse", "100M");
    qemu_io(&disk, &["write -P 1 0 128k", "write -P 2 70M 64k"]);
    disk
}

/// Writes `bytes` into a file.
pub fn patch(file: &Path, bytes: &[u8], offset: u64) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

/// Offsets in a disk of 100 MiB: four tables.
pub const RGD: u64 = 21 * 512;
pub const RGT: u64 = RGD + 512;
pub const GD: u64 = (21 + 1 + 4 * 4) * 512;
pub const GT: u64 = GD + 512;

/// Writes the same entry into both copies of the first table.
pub fn enter(disk: &Path, grain: u64, sector: u32) {
    for table in [GT, RGT] {
        patch(disk, &sector.to_le_bytes(), table + grain * 4);
    }
}

pub fn cut_to(file: &Path, len: impl FnOnce(u64) -> u64) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(len(file.metadata().unwrap().len())).unwrap();
}

/// Replaces a text in a file, once.
fn reword(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// A split disk of three extents, `b.vmdk`, or a child of it.
fn split(dir: &Path, depth: u64) -> PathBuf {
    chain_of(dir, CreateType::SplitSparse, Content::Random, depth)
}

/// A flat disk of three extents, `b.vmdk`.
fn flat(dir: &Path) -> PathBuf {
    chain_of(dir, CreateType::SplitFlat, Content::Random, 1)
}

/// Damages the disk at a path.
pub type Patch = fn(&Path);

/// Damages a disk made in a folder and returns it.
type Damage = fn(&Path) -> PathBuf;

/// What is done to a sparse disk of one file, `d.vmdk`, and what is said about it.
const OF_TABLES: [(Patch, &str); 18] = [
    (
        |d| enter(d, 1, 128),
        "error d.vmdk: grain 1 at sector 128 is used twice",
    ),
    (
        |d| enter(d, 2, 0x0012_3480),
        "error d.vmdk: grain 2 at sector 1193088 lies beyond the end of the file",
    ),
    (
        |d| enter(d, 2, 21),
        "error d.vmdk: grain 2 at sector 21 lies among the tables",
    ),
    (
        |d| enter(d, 1, 257),
        "error d.vmdk: grain 1 at sector 257 is out of line",
    ),
    (
        |d| patch(d, &[0; 4], RGT),
        "error d.vmdk: grain table 0 and its redundant copy differ",
    ),
    (
        |d| patch(d, &[0; 4], GD),
        "error d.vmdk: grain table 0 is lost, of whose 2 grains its redundant copy tells\n\
         note d.vmdk: grain table 0 is missing: QEMU would destroy the file on a write\n\
         note d.vmdk: room for 2 grains is used by none: compacting gives it back",
    ),
    (
        |d| patch(d, &[0; 4], GD + 12),
        "note d.vmdk: grain table 3 is missing: QEMU would destroy the file on a write",
    ),
    (
        |d| patch(d, &[0xff; 4], GD + 4),
        "error d.vmdk: grain table 1 at sector 4294967295 lies beyond the end of the file",
    ),
    (
        |d| patch(d, &43u32.to_le_bytes(), GD + 12),
        "error d.vmdk: grain table 3 at sector 43 lies on grain table 1",
    ),
    (
        |d| patch(d, &14u32.to_le_bytes(), GD + 12),
        "error d.vmdk: grain table 3 at sector 14 lies on the header, the descriptor or a directory",
    ),
    (
        |d| patch(d, &[0xff; 4], RGD + 4),
        "error d.vmdk: redundant grain table 1 at sector 4294967295 lies beyond the end of the file",
    ),
    (
        |d| patch(d, &[0; 4], RGD + 4),
        "error d.vmdk: redundant grain table 1 is missing",
    ),
    (
        |d| patch(d, &[0xff; 4], 48),
        "error d.vmdk: its redundant directory at sector 4294967295 is not in the file",
    ),
    (
        |d| patch(d, &[0xff; 4], 56),
        "error d.vmdk: its grain directory is lost; the redundant one is used",
    ),
    (
        |d| patch(d, &[1], 72),
        "error d.vmdk was not closed cleanly",
    ),
    (
        |d| cut_to(d, |len| len - 512),
        "error d.vmdk: grain 1120 at sector 384 lies beyond the end of the file",
    ),
    (
        |d| {
            enter(d, 0, 0);
            cut_to(d, |len| len + (64 << 10));
        },
        "note d.vmdk: the last 65536 bytes of the file are used by none\n\
         note d.vmdk: room for 1 grains is used by none: compacting gives it back",
    ),
    (
        |d| patch(d, b"\r\n \r", 73),
        "error d.vmdk: byte 73: its line ends were changed: it was copied as text, not as data",
    ),
];

/// What makes no sense in a header, and what is said about it.
const OF_HEADERS: [(u64, u32, &str); 6] = [
    (20, 100, "byte 20: a grain of 100 sectors makes no sense"),
    (
        20,
        1 << 20,
        "byte 20: a grain of 1048576 sectors makes no sense",
    ),
    (
        44,
        4096,
        "byte 44: grain tables of 4096 entries make no sense",
    ),
    (
        12,
        0,
        "byte 12: a capacity of 0 sectors is not between 1 and 4294967296",
    ),
    (12, 2048, "d.vmdk holds 2048 sectors, but its descriptor"),
    (
        36,
        1 << 30,
        "byte 28: a descriptor of 1073741824 sectors at 1 makes no sense",
    ),
];

/// What is done to other disks, each with what is said about it.
const OF_LINKS: [(Damage, &str); 23] = [
    (
        |dir| {
            let disk = split(dir, 1);
            reword(
                &disk,
                "longContentID = \"",
                "longContentID = \"0123456789abcdef0123456789abcdef",
            );
            disk
        },
        "note b.vmdk: the long content id does not belong to *",
    ),
    (
        |dir| {
            let top = split(dir, 2);
            qemu_io(&dir.join("b.vmdk"), &["write -P 3 60M 64k"]);
            top
        },
        "error the parent was modified since the child was made: b.vmdk has content id *",
    ),
    (
        |dir| {
            let top = split(dir, 2);
            std::fs::remove_file(dir.join("b.vmdk")).unwrap();
            top
        },
        "error the parent of b-000001.vmdk is missing: it is called \"b.vmdk\", and is not in *",
    ),
    (
        |dir| {
            let top = split(dir, 3);
            reword(
                &dir.join("b-000001.vmdk"),
                "=\"b.vmdk\"",
                "=\"b-000002.vmdk\"",
            );
            top
        },
        "error b-000001.vmdk names b-000002.vmdk as its parent, which stands on it: the parents \
         form a loop",
    ),
    (
        |dir| {
            let top = split(dir, 2);
            let chain = open(&top).unwrap();
            grow(&Local, &open(&dir.join("b.vmdk")).unwrap(), SECTORS + 8).unwrap();
            drop(chain);
            top
        },
        "error b-000001.vmdk has 71315456 bytes, but its parent b.vmdk has 71319552",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            std::fs::remove_file(dir.join("b-s002.vmdk")).unwrap();
            disk
        },
        "error b-s002.vmdk is missing, a part of b.vmdk",
    ),
    (
        |dir| {
            let disk = flat(dir);
            cut_to(&dir.join("b-f002.vmdk"), |_| 512);
            disk
        },
        "error b-f002.vmdk has 512 bytes, but its descriptor b.vmdk needs 25100288",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            cut_to(&dir.join("b-s002.vmdk"), |_| 100);
            disk
        },
        "error b-s002.vmdk: it is too short for a sparse extent",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            qemu_create(dir, "b-s002.vmdk", "monolithicSparse", "1G");
            disk
        },
        "error b-s002.vmdk is no part of b.vmdk but a disk by itself, with content id *\n\
         note b-s002.vmdk holds 2097152 sectors, of which b.vmdk uses 49024: a growth was cut off",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            let [last, second] = ["b-s003.vmdk", "b-s002.vmdk"].map(|name| dir.join(name));
            let kept = std::fs::read(&second).unwrap();
            std::fs::rename(&last, second).unwrap();
            std::fs::write(last, kept).unwrap();
            disk
        },
        "error b-s002.vmdk holds 41240 sectors, but its descriptor b.vmdk says 49024",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            reword(&disk, "RW 49024 SPARSE \"b-s002.vmdk\"\n", "");
            disk
        },
        "error b.vmdk: extent 2 is \"b-s003.vmdk\", where \"b-s002.vmdk\" belongs: a line is \
         missing or in the wrong place",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            reword(&disk, "RW 41240 SPARSE \"b-s003.vmdk\"\n", "");
            disk
        },
        "note b.vmdk: no line names b-s003.vmdk, which stands beside it",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            reword(&disk, "b-s002.vmdk", "b-s001.vmdk");
            disk
        },
        "error b.vmdk: it uses b-s001.vmdk for two parts of the disk",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            let kept = std::fs::read(&disk).unwrap();
            grow(&Local, &open(&disk).unwrap(), SECTORS + 8).unwrap();
            std::fs::write(&disk, kept).unwrap();
            disk
        },
        "note b-s003.vmdk holds 41248 sectors, of which b.vmdk uses 41240: a growth was cut off",
    ),
    (
        |dir| {
            let disk = flat(dir);
            cut_to(&dir.join("b-f003.vmdk"), |len| len + 7);
            disk
        },
        "note b-f003.vmdk: its last 7 bytes are no part of b.vmdk",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            reword(&disk, "parentCID", "CID=12345678\nparentCID");
            disk
        },
        "error b.vmdk: CID stands in line 4 and again in line 5, with another value",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            reword(
                &disk,
                "\nddb.adapterType",
                "\nddb.uuid = \"1\"\nddb.uuid = \"2\"\nddb.adapterType",
            );
            disk
        },
        "note b.vmdk: ddb.uuid stands in line 16 and again in line 17",
    ),
    (
        |dir| {
            let disk = flat(dir);
            reword(&disk, "CID=", "CID=ffffffff\nx=");
            disk
        },
        "error b.vmdk: its content id is ffffffff, which stands for no disk at all\n\
         note b.vmdk: the long content id does not belong to ffffffff",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            std::fs::write(&disk, [1; 600]).unwrap();
            disk
        },
        "error b.vmdk: it is no VMware disk",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            reword(&disk, "RW 49024 SPARSE", "RW 4902x SPARSE");
            disk
        },
        "error b.vmdk: line 9: the extent makes no sense",
    ),
    (
        |dir| {
            let disk = split(dir, 1);
            reword(&disk, "createType=", "createTipe=");
            disk
        },
        "error no VMware disk: b.vmdk: it has no createType",
    ),
    (
        |dir| {
            let to = dir.join("renamed.vmdk");
            std::fs::rename(disk(dir), &to).unwrap();
            to
        },
        "note renamed.vmdk: it calls itself \"d.vmdk\": it was renamed",
    ),
    (
        |dir| {
            // Its new tables lie behind its grains.
            let disk = chain_of(dir, CreateType::MonolithicSparse, Content::Random, 1);
            grow(&Local, &open(&disk).unwrap(), 65536 * 9).unwrap();
            let bytes = std::fs::read(&disk).unwrap();
            let at = |offset: usize| bytes[offset..][..4].try_into().unwrap();
            let rgd = u32::from_le_bytes(at(48));
            for directory in [at(48), at(56)] {
                let directory = u32::from_le_bytes(directory) as usize * 512;
                let table = u32::from_le_bytes(at(directory));
                patch(&disk, &rgd.to_le_bytes(), u64::from(table) * 512 + 4);
            }
            disk
        },
        "error b.vmdk: grain 1 at sector 2048 lies among the tables",
    ),
];

/// What is said about a disk: a line for each finding, files by their names.
fn said(dir: &Path, disk: &Path) -> String {
    let found = report(disk);
    let errors = found.errors.iter().map(|text| format!("error {text}"));
    let notes = found.notes.iter().map(|text| format!("note {text}"));
    let lines: Vec<String> = errors.chain(notes).collect();
    let folder = std::fs::canonicalize(dir).unwrap();
    let mut text = lines.join("\n");
    for name in std::fs::read_dir(dir).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        let path = format!("\"{}\"", folder.join(&name).display());
        text = text.replace(&path, &name);
    }
    text.replace(
        &format!("\"{}/b-s002.vmdk\"", folder.display()),
        "b-s002.vmdk",
    )
}

/// Asserts that each disk that is damaged is told of as is wanted: line by line, in any order; `*`
/// stands for any text.
fn assert_told<'a>(told: impl Iterator<Item = (String, &'a str)>) {
    let fits = |line: &str, wanted: &str| match wanted.split_once('*') {
        Some((start, end)) => line.starts_with(start) && line.ends_with(end),
        None => line == wanted,
    };
    // Whatever QEMU wrote to has one of these.
    let is_usual = |line: &str| line.contains("the long content id does not belong to");
    let is_wrong = |said: &str, wanted: &str| {
        let is_asked = |line: &&str| !is_usual(line) || wanted.lines().any(is_usual);
        let said: Vec<&str> = said.lines().filter(is_asked).collect();
        let mut left: Vec<&str> = wanted.lines().collect();
        for line in &said {
            left.retain(|wanted| !fits(line, wanted));
        }
        !left.is_empty() || said.len() != wanted.lines().count()
    };
    let wrong: Vec<String> = told
        .filter(|(said, wanted)| is_wrong(said, wanted))
        .map(|(said, wanted)| format!("{said}\n--- wanted\n{wanted}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn damage_of_tables_is_named() {
    assert_told(OF_TABLES.iter().map(|(damage, wanted)| {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path());
        damage(&disk);
        (said(dir.path(), &disk), *wanted)
    }));
}

#[test]
fn damage_of_headers_is_named() {
    for (offset, value, wanted) in OF_HEADERS {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path());
        patch(&disk, &value.to_le_bytes(), offset);
        let said = said(dir.path(), &disk);
        assert!(said.starts_with("error d.vmdk"), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn damage_of_links_is_named() {
    assert_told(OF_LINKS.iter().map(|(damage, wanted)| {
        let dir = tempfile::tempdir().unwrap();
        let disk = damage(dir.path());
        (said(dir.path(), &disk), *wanted)
    }));
}

#[test]
fn sound_disks_have_no_errors() {
    for create_type in TYPES {
        let dir = tempfile::tempdir().unwrap();
        let disk = chain_of(dir.path(), create_type, Content::Mixed, 3);
        let report = report(&disk);
        assert_eq!(report.errors, [""; 0]);
        assert!(report.allocated_grains > 40);
    }
}

#[test]
fn checking_changes_nothing() {
    for (damage, _) in OF_LINKS {
        let dir = tempfile::tempdir().unwrap();
        let disk = damage(dir.path());
        let before = fingerprints(dir.path());
        report(&disk);
        assert_eq!(before, fingerprints(dir.path()));
    }
}

#[test]
fn missing_disk_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("d.vmdk");
    let error = check(&opener(&disk), &disk, &Job::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::FileNotFound);
}
