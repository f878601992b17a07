//! `replix disk`: info, map, check.

use std::fs;
use std::os::unix::fs::FileExt;

use replix_testkit::{Content, DiskType, qemu_img, qemu_io};

use crate::library::{Library, SMALL, changes};
use crate::said::{plain_amounts, plain_ids};

#[test]
fn links_are_described() {
    let library = Library::new();
    library
        .builder("base")
        .disk(DiskType::TwoGbMaxExtentSparse, Content::Mixed(1), SMALL)
        .build();
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked"]);
    let shown = library.shown(&["disk", "info", "web/base-cl1.vmdk"]);
    insta::assert_snapshot!(plain_ids(&plain_amounts(&shown)), @r#"
    capacity N, 2 links

    /vms/web/base-cl1.vmdk
      type  twoGbMaxExtentSparse
      allocated  N
      content id  id-1
      parent  "../base/base.vmdk", content id id-1
      extent  "/vms/web/base-cl1-s001.vmdk"

    /vms/base/base.vmdk
      type  twoGbMaxExtentSparse
      allocated  N
      content id  id-1
      extent  "/vms/base/base-s001.vmdk"
    "#);
}

#[test]
fn map_says_where_data_is() {
    let library = Library::new();
    library
        .builder("base")
        .disk(DiskType::MonolithicSparse, Content::Zero, SMALL)
        .build();
    qemu_io(&library.path("base/base.vmdk"), "write -P 7 1M 128k");
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    qemu_io(&library.path("base/base-000001.vmdk"), "write -P 8 2M 64k");
    let shown = library.shown(&["disk", "map", "base/base-000001.vmdk"]);
    insta::assert_snapshot!(shown, @"
    OFFSET    LENGTH    DEPTH  AT       FILE
    0x0       0x100000  -      -        zeros
    0x100000  0x20000   1      0x10000  /vms/base/base.vmdk
    0x120000  0xe0000   -      -        zeros
    0x200000  0x10000   0      0x10000  /vms/base/base-000001.vmdk
    0x210000  0x2f0000  -      -        zeros
    ");
    let (_, answer) = library.json(&["disk", "map", "base/base-000001.vmdk"]);
    let covered: u64 = answer["map"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["length"].as_u64().unwrap())
        .sum();
    assert_eq!(covered, SMALL);
}

#[test]
fn disk_that_cannot_be_used_is_told() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    qemu_io(&library.path("base/base.vmdk"), "write -P 7 1M 64k");
    fs::write(library.path("base/text.vmdk"), "some text").unwrap();
    let mut all = String::new();
    for word in [
        "none.vmdk",
        "base/base-000001.vmdk",
        "base/text.vmdk",
        "base",
    ] {
        all += &library.replix(&["disk", "info", word]).to_string();
    }
    insta::assert_snapshot!(plain_ids(&all), @r#"
    --- stderr
    error: cannot find "/vms/none.vmdk": no such file or directory
    --- exit 1
    --- stderr
    error: the parent was modified since the child was made: "/vms/base/base.vmdk" has content id id-1, but "/vms/base/base-000001.vmdk" stands on id-2
    hint: put back the parent as it was when the child was made; changing the ids instead would hide damage
    --- exit 1
    --- stderr
    error: no VMware disk: "/vms/base/text.vmdk": it has no createType
    --- exit 1
    --- stderr
    error: "/vms/base" is no regular file
    --- exit 1
    "#);
}

#[test]
fn parent_elsewhere_must_be_allowed() {
    let library = Library::with_base();
    let disks = library.path("store/disks");
    fs::create_dir_all(&disks).unwrap();
    fs::create_dir(library.path("far")).unwrap();
    fs::rename(library.path("base/base.vmdk"), disks.join("base.vmdk")).unwrap();
    let (parent, child) = (
        library.word("store/disks/base.vmdk"),
        library.word("far/child.vmdk"),
    );
    qemu_img([
        "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", &parent, &child,
    ]);
    insta::assert_snapshot!(library.replix(&["disk", "info", "far/child.vmdk"]), @r#"
    --- stderr
    error: "/vms/far/child.vmdk" names "/vms/store/disks/base.vmdk" as its parent, which lies outside the folders that its VM may reach
    hint: if that is right, allow the folder with --allow "/vms/store/disks" or in the setting places.allow
    --- exit 1
    "#);
    let allowed = library.shown(&["--allow", "store", "disk", "info", "far/child.vmdk"]);
    assert!(
        allowed.contains("\n/vms/store/disks/base.vmdk\n"),
        "{allowed}"
    );
    library.set(&format!(
        "places.allow = \"{}\"\n",
        library.word("store/disks")
    ));
    assert_eq!(library.shown(&["disk", "info", "far/child.vmdk"]), allowed);
}

#[test]
fn whole_disk_is_clean() {
    let library = Library::with_base();
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked"]);
    qemu_io(&library.path("web/base-cl1.vmdk"), "write -P 7 0 128k");
    insta::assert_snapshot!(library.replix(&["disk", "check", "web/base-cl1.vmdk"]), @"
    no damage found, 51 grains in use
    --- exit 0
    ");
    let (code, report) = library.json(&["disk", "check", "base/base.vmdk"]);
    assert_eq!(code, Some(0));
    assert_eq!(report["errors"], serde_json::json!([]));
}

#[test]
fn check_finds_damage() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    let disk = library.path("base/base.vmdk");
    let length = fs::metadata(&disk).unwrap().len();
    let file = fs::File::options().write(true).open(&disk).unwrap();
    file.set_len(length - (1 << 20)).unwrap();
    let before = library.tree();
    let said = library.replix(&["disk", "check", "base/base-000001.vmdk"]);
    assert_eq!(said.code, Some(1));
    let lines: Vec<&str> = said.out.lines().collect();
    insta::assert_snapshot!([lines[0], lines[lines.len() - 1]].join("\n"), @r#"
    damage: "/vms/base/base.vmdk": grain 56 at sector 4352 lies beyond the end of the file
    damage in 16 places, 49 grains in use
    "#);
    let (code, report) = library.json(&["disk", "check", "base/base-000001.vmdk"]);
    assert_eq!(code, Some(1));
    assert!(!report["errors"].as_array().unwrap().is_empty());
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}

#[test]
fn check_names_what_does_not_belong_together() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    qemu_io(&library.path("base/base.vmdk"), "write -P 7 1M 64k");
    let said = library.replix(&["disk", "check", "base/base-000001.vmdk"]);
    insta::assert_snapshot!(plain_ids(&said.to_string()), @r#"
    damage: the parent was modified since the child was made: "/vms/base/base.vmdk" has content id id-1, but "/vms/base/base-000001.vmdk" stands on id-2
    damage in 1 place, 0 grains in use
    --- exit 1
    "#);
}

#[test]
fn damage_is_mended_as_far_as_it_can_be() {
    let library = Library::with_base();
    let disk = library.path("base/base.vmdk");
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(&disk)
        .unwrap();
    // The first entry of the only table, and the mark of a file left open.
    let original = library.tree();
    file.write_all_at(&[0xff; 4], 27 * 512).unwrap();
    file.write_all_at(&[1], 72).unwrap();
    let damaged = library.tree();
    let planned = library.replix(&["disk", "check", "base/base.vmdk", "--repair", "--dry-run"]);
    insta::assert_snapshot!(planned, @r#"
    damage: "/vms/base/base.vmdk" was not closed cleanly
    damage: "/vms/base/base.vmdk": grain table 0 and its redundant copy differ
    damage: "/vms/base/base.vmdk": grain 0 at sector 4294967295 lies beyond the end of the file
    damage in 3 places, 49 grains in use
    repair: "/vms/base/base.vmdk": grain table 0 takes 1 entry from its redundant copy: its own cannot be true
    repair: "/vms/base/base.vmdk": the mark of a file left open is taken away, if nothing else is found
    --- exit 1
    "#);
    assert_eq!(changes(&damaged, &library.tree()), [""; 0]);
    let (code, _) = library.json(&["disk", "check", "base/base.vmdk"]);
    assert_eq!(code, Some(1));
    let done = library.replix(&["disk", "check", "base/base.vmdk", "--repair"]);
    assert!(done.out.starts_with(&planned.out), "{done}");
    insta::assert_snapshot!(done.out[planned.out.len()..], @"no damage found, 49 grains in use");
    assert_eq!(done.code, Some(0));
    assert_eq!(changes(&original, &library.tree()), [""; 0]);
    let (code, report) = library.json(&["disk", "check", "base/base.vmdk", "--repair"]);
    assert_eq!(code, Some(0));
    assert_eq!(report["steps"], serde_json::json!([]));
}

#[test]
fn disks_are_made_changed_and_compared() {
    let library = Library::with_base();
    let mut all = String::new();
    for words in [
        &["disk", "create", "a.vmdk", "64M", "--format", "splitsparse"][..],
        &["disk", "create", "a.vmdk", "64M"],
        &[
            "disk",
            "create",
            "b.vmdk",
            "5G",
            "--format",
            "monolithicSparse",
            "--adapter",
            "ide",
        ],
        &[
            "disk",
            "convert",
            "base/base.vmdk",
            "c.vmdk",
            "--format",
            "monolithicFlat",
        ],
        &["disk", "compare", "base/base.vmdk", "c.vmdk"],
        &["disk", "grow", "c.vmdk", "8M"],
        &["disk", "compare", "base/base.vmdk", "c.vmdk"],
        &["disk", "grow", "c.vmdk", "1M"],
        &["disk", "compact", "a.vmdk"],
        &["disk", "compare", "none.vmdk", "c.vmdk"],
    ] {
        all += &format!("$ {}\n{}", words[1..].join(" "), library.replix(words));
    }
    insta::assert_snapshot!(plain_amounts(&all), @r#"
    $ create a.vmdk 64M --format splitsparse
    disk made, N, twoGbMaxExtentSparse: /vms/a.vmdk
    --- exit 0
    $ create a.vmdk 64M
    --- stderr
    error: "/vms/a.vmdk" is there already
    hint: choose another destination
    --- exit 1
    $ create b.vmdk 5G --format monolithicSparse --adapter ide
    disk made, N, monolithicSparse: /vms/b.vmdk
    --- exit 0
    $ convert base/base.vmdk c.vmdk --format monolithicFlat
    disk made, monolithicFlat: /vms/c.vmdk
    --- exit 0
    $ compare base/base.vmdk c.vmdk
    they read the same
    --- exit 0
    $ grow c.vmdk 8M
    grown to N: /vms/c.vmdk
    --- exit 0
    $ compare base/base.vmdk c.vmdk
    the disks have 5242880 and 8388608 bytes
    they read the same up to the end of the smaller one
    --- exit 1
    $ grow c.vmdk 1M
    --- stderr
    error: "/vms/c.vmdk" has 8388608 bytes and cannot grow to 1048576
    --- exit 1
    $ compact a.vmdk
    compacted from N to N: /vms/a.vmdk
    --- exit 0
    $ compare none.vmdk c.vmdk
    --- stderr
    error: cannot find "/vms/none.vmdk": no such file or directory
    --- exit 2
    "#);
    qemu_io(&library.path("a.vmdk"), "write -P 7 1M 128k");
    library.shown(&[
        "disk", "convert", "a.vmdk", "d.vmdk", "--format", "vmfsThin",
    ]);
    qemu_io(&library.path("a.vmdk"), "write -P 8 1049088 512");
    let (code, answer) = library.json(&["disk", "compare", "a.vmdk", "d.vmdk"]);
    assert_eq!(code, Some(1));
    assert_eq!(answer["first_difference"], 1_049_088);
    library.shown(&["disk", "convert", "a.vmdk", "a.img", "--format", "raw"]);
    library.shown(&[
        "disk",
        "convert",
        "a.img",
        "e.vmdk",
        "--from-raw",
        "--format",
        "vmfs",
    ]);
    assert_eq!(
        library
            .replix(&["disk", "compare", "a.vmdk", "e.vmdk"])
            .code,
        Some(0)
    );
    let (code, answer) = library.json(&["disk", "compare", "a.vmdk", "a.vmdk"]);
    assert_eq!((code, &answer["same"]), (Some(0), &serde_json::json!(true)));
}

#[test]
fn sizes_and_formats_that_make_no_sense_are_usage_errors() {
    let library = Library::new();
    for words in [
        &["disk", "create", "a.vmdk", "64X"][..],
        &["disk", "create", "a.vmdk", "0"],
        &["disk", "create", "a.vmdk", "1G", "--format", "qcow2"],
        &["disk", "convert", "a.vmdk", "b.vmdk"],
        &["disk", "create", "a.img", "1M", "--format", "raw"],
        &[
            "disk",
            "convert",
            "a.img",
            "b.img",
            "--from-raw",
            "--format",
            "raw",
        ],
        &["disk", "check", "a.vmdk", "--dry-run"],
    ] {
        assert_eq!(library.replix(words).code, Some(2), "{words:?}");
    }
    let said = library.replix(&["disk", "create", "a.qcow2", "1M"]);
    insta::assert_snapshot!(said, @r#"
    --- stderr
    error: "/vms/a.qcow2" is no name for a disk: it must end in .vmdk
    --- exit 1
    "#);
    let said = library.replix(&["disk", "create", "a.vmdk", "3T"]);
    insta::assert_snapshot!(said, @r#"
    --- stderr
    error: "/vms/a.vmdk": a sparse file cannot hold 6442450944 sectors, at most 2 TiB fit
    --- exit 1
    "#);
}

#[test]
fn disks_are_exported_and_imported() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    qemu_io(&library.path("base/base-000001.vmdk"), "write -P 8 2M 64k");
    let source = "base/base-000001.vmdk";
    library.shown(&["disk", "export", source, "out.vmdk", "--level", "9"]);
    library.shown(&[
        "disk",
        "convert",
        source,
        "same.vmdk",
        "--format",
        "streamoptimized",
    ]);
    for stream in ["out.vmdk", "same.vmdk"] {
        assert_eq!(library.replix(&["disk", "check", stream]).code, Some(0));
        assert_eq!(
            library.replix(&["disk", "compare", source, stream]).code,
            Some(0)
        );
        let qemu = library.word(stream);
        qemu_img(["compare", "-q", &library.word(source), &qemu]);
    }
    let import = [
        "disk",
        "import",
        "out.vmdk",
        "in.vmdk",
        "--format",
        "twoGbMaxExtentSparse",
    ];
    library.shown(&import);
    assert_eq!(
        library.replix(&["disk", "compare", source, "in.vmdk"]).code,
        Some(0)
    );
    // What is in a stream stays as it is.
    let before = library.tree();
    let repaired = library.json(&["disk", "check", "--repair", "out.vmdk"]);
    assert_eq!(repaired.1["left"], serde_json::json!([]));
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
    for words in [
        &["disk", "export", source, "x.vmdk", "--level", "10"][..],
        &[
            "disk",
            "create",
            "x.vmdk",
            "1M",
            "--format",
            "streamOptimized",
        ],
        &[
            "disk", "convert", source, "x.vmdk", "--format", "vmfs", "--level", "3",
        ],
    ] {
        assert_eq!(library.replix(words).code, Some(2), "{words:?}");
    }
}
