//! Descriptors made to do harm: nothing outside of the VM's places is opened, nothing is believed.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use replix::disk::create_child;
use replix::format::vmdk::CreateType;
use replix::store::Local;
use replix::{Error, Kind};

use crate::tools::{Content, chain_of, ok, open, small_disk};

/// Writes a descriptor with these lines between its head and its data base.
fn descriptor(dir: &Path, lines: &str) -> PathBuf {
    let path = dir.join("evil.vmdk");
    let text = format!("# Disk DescriptorFile\nversion=1\nCID=fffffffe\n{lines}\n#DDB\n");
    std::fs::write(&path, text).unwrap();
    path
}

fn refusal(disk: &Path) -> Error {
    match open(disk) {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

fn flat(dir: &Path, extent: &str) -> Error {
    let lines = format!("parentCID=ffffffff\ncreateType=\"monolithicFlat\"\n{extent}");
    refusal(&descriptor(dir, &lines))
}

fn child(dir: &Path, hint: &str) -> Error {
    if !dir.join("c.vmdk").exists() {
        small_disk(&dir.join("c.vmdk"), CreateType::SplitSparse);
    }
    let lines = (1..=3).map(|i| format!("RW 49024 SPARSE \"c-s00{i}.vmdk\"\n"));
    let lines: String = lines.collect();
    let lines = lines.replace("49024 SPARSE \"c-s003", "41240 SPARSE \"c-s003");
    let head = format!(
        "parentCID=00000001\ncreateType=\"twoGbMaxExtentSparse\"\nparentFileNameHint=\"{hint}\"\n"
    );
    refusal(&descriptor(dir, &format!("{head}{lines}")))
}

#[test]
fn extents_outside_the_folder_are_not_opened() {
    let outside = tempfile::tempdir().unwrap();
    let dir = outside.path().join("vm");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(outside.path().join("secret"), vec![7; 4096]).unwrap();
    symlink(outside.path().join("secret"), dir.join("link")).unwrap();
    symlink(outside.path(), dir.join("folder")).unwrap();
    let absolute = outside.path().join("secret");
    let absolute = absolute.to_str().unwrap();
    for name in [
        "../secret",
        absolute,
        "link",
        "folder/secret",
        "x/../../secret",
        "/etc/passwd",
    ] {
        let error = flat(&dir, &format!("RW 1 FLAT \"{name}\" 0"));
        assert!(
            matches!(error.kind(), Kind::Denied | Kind::FileNotFound),
            "{name}: {error}"
        );
    }
    let error = flat(&dir, "RW 1 FLAT \"../secret\" 0");
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.to_string().contains("evil.vmdk"), "{error}");
    assert!(error.advice().unwrap().contains("--allow"));
}

#[test]
fn only_regular_files_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    ok("mkfifo", &["pipe"], dir.path());
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    symlink("/dev/zero", dir.path().join("zero")).unwrap();
    symlink("/proc/self/mem", dir.path().join("mem")).unwrap();
    for name in [
        "pipe",
        "folder",
        "zero",
        "mem",
        "/dev/zero",
        "/proc/self/environ",
    ] {
        let error = flat(dir.path(), &format!("RW 1 FLAT \"{name}\" 0"));
        assert_eq!(error.kind(), Kind::Denied, "{name}: {error}");
        let error = child(dir.path(), name);
        assert_eq!(error.kind(), Kind::Denied, "{name}: {error}");
    }
    assert_eq!(refusal(&dir.path().join("pipe")).kind(), Kind::Denied);
}

#[test]
fn parents_outside_the_places_are_not_opened() {
    let root = tempfile::tempdir().unwrap();
    let (vm, other) = (root.path().join("vm"), root.path().join("other"));
    for folder in [&vm, &other] {
        std::fs::create_dir(folder).unwrap();
    }
    std::fs::write(other.join("secret"), "x").unwrap();
    symlink(other.join("secret"), vm.join("link")).unwrap();
    let absolute = other.join("secret");
    for hint in [
        absolute.to_str().unwrap(),
        "../other/secret",
        "link",
        "/etc/passwd",
    ] {
        let error = child(&vm, hint);
        assert_eq!(error.kind(), Kind::Denied, "{hint}: {error}");
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("small"), vec![0; 1024]).unwrap();
    for line in [
        "RW 9223372036854775808 FLAT \"small\" 0",
        "RW 18446744073709551615 FLAT \"small\" 0",
        "RW 99999999999999999999 FLAT \"small\" 0",
        "RW 0 FLAT \"small\" 0",
        "RW -1 FLAT \"small\" 0",
        "RW 1 FLAT \"small\" 18446744073709551615",
        "RW 2 FLAT \"small\" 1",
        "RW 3 FLAT \"small\" 0",
        "RW 1 FLAT \"small\" 0\nRW 1 FLAT \"small\" 0",
        "",
    ] {
        let error = flat(dir.path(), line);
        assert_eq!(error.kind(), Kind::DiskInvalid, "{line}: {error}");
    }
}

#[test]
fn unusable_types_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    for word in ["vmfsSparse", "seSparse", "fullDevice", "vmfsRDM", "made up"] {
        let lines = format!("parentCID=ffffffff\ncreateType=\"{word}\"\nRW 1 VMFS \"x\"");
        let error = refusal(&descriptor(dir.path(), &lines));
        assert_eq!(error.kind(), Kind::DiskUnsupported);
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn contradictions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), vec![0; 512]).unwrap();
    for lines in [
        "parentCID=00000001\ncreateType=\"monolithicFlat\"\nparentFileNameHint=\"p\"\nRW 1 FLAT \"x\" 0",
        "parentCID=ffffffff\ncreateType=\"monolithicSparse\"\nparentFileNameHint=\"p\"\nRW 1 SPARSE \"x\"",
        "parentCID=00000001\ncreateType=\"monolithicSparse\"\nRW 1 SPARSE \"x\"",
    ] {
        assert_eq!(
            refusal(&descriptor(dir.path(), lines)).kind(),
            Kind::DiskInvalid,
            "{lines}"
        );
    }
}

#[test]
fn what_is_no_disk_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let disk = chain_of(dir.path(), CreateType::SplitSparse, Content::Zeros, 1);
    let part = refusal(&disk.with_file_name("b-s001.vmdk"));
    assert_eq!(part.kind(), Kind::DiskInvalid);
    assert!(part.to_string().contains("only a part of a disk"), "{part}");
    for (name, content) in [
        ("empty", &b""[..]),
        ("text", b"hello"),
        ("binary", &[0; 4096]),
        ("cowd", b"COWD\x01\0\0\0"),
        ("head", b"KDMV"),
        ("sparse", &[b"KDMV".as_slice(), &[0xff; 600]].concat()),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        let error = refusal(&path);
        assert_eq!(error.kind(), Kind::DiskInvalid, "{name}: {error}");
    }
    let missing = refusal(&dir.path().join("none.vmdk"));
    assert_eq!(missing.kind(), Kind::FileNotFound);
}

#[test]
fn names_that_no_descriptor_can_hold_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let base = chain_of(dir.path(), CreateType::SplitSparse, Content::Zeros, 1);
    let before = std::fs::read_dir(dir.path()).unwrap().count();
    let chain = open(&base).unwrap();
    let long = "x".repeat(1024);
    for (name, hint) in [
        ("a\"b.vmdk", "b.vmdk"),
        ("a\nb.vmdk", "b.vmdk"),
        ("noending", "b.vmdk"),
        (".vmdk", "b.vmdk"),
        ("c.vmdk", "b\".vmdk"),
        ("c.vmdk", long.as_str()),
    ] {
        let error = create_child(&Local, &chain, &dir.path().join(name), hint).unwrap_err();
        assert_eq!(error.kind(), Kind::FileName, "{name:?} {hint:?}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), before);
}
