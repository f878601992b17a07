//! Disks in several files whose type has names for one only, as tools that image or assemble disks write
//! them.

use std::fs;
use std::path::{Path, PathBuf};

use replix::Job;
use replix::disk::{ContentId, Copy, copy, create_child, grow};
use replix::format::vmdk::CreateType;
use replix::store::Local;

use crate::tools::{TYPES, assert_sound, child_of, ok, open, qemu_read_all, read_all};

const PIECE: usize = 3 << 20;

/// What the disks read as: two pieces.
fn content() -> Vec<u8> {
    let mut bytes = vec![0; 2 * PIECE];
    for at in (0..bytes.len()).step_by(70 << 10) {
        bytes[at] = (at >> 10) as u8 | 1;
    }
    bytes
}

/// Makes a disk of the type whose pieces are of these kinds.
fn disk(dir: &Path, word: &str, kinds: [&str; 2]) -> PathBuf {
    let mut lines = String::new();
    for (number, (bytes, kind)) in content().chunks(PIECE).zip(kinds).enumerate() {
        let name = format!("image.00{number}");
        fs::write(dir.join(&name), bytes).unwrap();
        if kind == "SPARSE" {
            let args = ["convert", "-O", "vmdk", &name, "part.vmdk"];
            ok("qemu-img", &args, dir);
            fs::rename(dir.join("part.vmdk"), dir.join(&name)).unwrap();
        }
        let offset = if kind == "FLAT" { " 0" } else { "" };
        lines += &format!("RW {} {kind} \"{name}\"{offset}\n", PIECE / 512);
    }
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nCID=11112222\nparentCID=ffffffff\ncreateType=\"{word}\"\n\n\
         # Extent description\n{lines}\n# The Disk Data Base\n#DDB\n\nddb.adapterType = \"lsilogic\"\n"
    );
    let path = dir.join("d.vmdk");
    fs::write(&path, text).unwrap();
    path
}

const KINDS: [(&str, [&str; 2]); 3] = [
    ("monolithicFlat", ["FLAT", "FLAT"]),
    ("vmfs", ["VMFS", "VMFS"]),
    ("custom", ["FLAT", "SPARSE"]),
];

#[test]
fn child_is_one_file() {
    for (word, kinds) in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let parent = disk(dir.path(), word, kinds);
        let child = child_of(&parent, "d-000001.vmdk");
        // QEMU does not know the last type.
        if word != "custom" {
            assert_sound(&child);
        }
        let chain = open(&child).unwrap();
        assert_eq!(chain.top().create_type(), CreateType::MonolithicSparse);
        assert!(read_all(&child) == content(), "{word}");
        let grandchild = dir.path().join("e.vmdk");
        create_child(&Local, &chain, &grandchild, "d-000001.vmdk").unwrap();
        assert!(read_all(&grandchild) == content(), "{word}");
    }
}

#[test]
fn copy_of_any_type_reads_the_same() {
    for (word, kinds) in KINDS {
        for to in TYPES.into_iter().map(Some).chain([None]) {
            let dir = tempfile::tempdir().unwrap();
            let source = disk(dir.path(), word, kinds);
            let path = dir.path().join("copy.vmdk");
            let spec = Copy {
                path: &path,
                create_type: to,
                preallocated: false,
                uuid: None,
                content_id: ContentId::Keep,
            };
            copy(&Local, &open(&source).unwrap(), &spec, &Job::new()).unwrap();
            assert!(qemu_read_all(&path) == content(), "{word} to {to:?}");
        }
    }
}

#[test]
fn last_piece_grows() {
    for (word, kinds) in &KINDS[..2] {
        let dir = tempfile::tempdir().unwrap();
        let path = disk(dir.path(), word, *kinds);
        let before = fs::read_dir(dir.path()).unwrap().count();
        let sectors = (5 * PIECE / 512) as u64;
        grow(&Local, &open(&path).unwrap(), sectors).unwrap();
        let mut grown = content();
        grown.resize(5 * PIECE, 0);
        assert!(qemu_read_all(&path) == grown, "{word}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before);
    }
}
