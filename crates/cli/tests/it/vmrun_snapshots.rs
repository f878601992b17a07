//! `vmrun snapshot`, `listSnapshots`, `revertToSnapshot`, `deleteSnapshot`.

use replix_testkit::{qemu_io, same_content};

use crate::library::Library;

/// A library whose VM has this history: a, b below it, then back to a and c; the state is on c.
fn with_branches() -> Library {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "a"]);
    library.silent(&["snapshot", "base/base.vmx", "b"]);
    library.silent(&["revertToSnapshot", "base/base.vmx", "a"]);
    library.silent(&["snapshot", "base/base.vmx", "c"]);
    library
}

/// The file that the VM's only disk is in now.
fn disk(library: &Library) -> std::path::PathBuf {
    let config = std::fs::read_to_string(library.path("base/base.vmx")).unwrap();
    let line = config
        .lines()
        .find(|line| line.contains("fileName"))
        .unwrap();
    library.path("base").join(line.split('"').nth(1).unwrap())
}

#[test]
fn snapshots_are_listed_parents_first() {
    let library = Library::with_base();
    insta::assert_snapshot!(library.vmrun(&["listSnapshots", "base/base.vmx"]), @"
    Total snapshots: 0
    --- exit 0
    ");
    let library = with_branches();
    insta::assert_snapshot!(library.vmrun(&["listSnapshots", "base/base.vmx"]), @"
    Total snapshots: 3
    a
    b
    c
    --- exit 0
    ");
    let tree = library.vmrun(&["listSnapshots", "base/base.vmx", "showTree"]);
    assert_eq!(tree.out, "Total snapshots: 3\na\n\tb\n\tc\n");
    let ignored = library.vmrun(&["listSnapshots", "base/base.vmx", "showTree nogui", "more"]);
    assert_eq!(ignored, tree);
}

#[test]
fn snapshot_is_found_by_name_and_path() {
    let library = with_branches();
    for name in ["a", "b", "a/b", "a\\b", "/a/c"] {
        library.silent(&["revertToSnapshot", "base/base.vmx", name]);
    }
    let lines = [
        library.refused(&["revertToSnapshot", "base/base.vmx", "d"]),
        library.refused(&["revertToSnapshot", "base/base.vmx", "b/c"]),
        library.refused(&["revertToSnapshot", "base/base.vmx", "A"]),
        library.refused(&["deleteSnapshot", "base/base.vmx", "d"]),
        library.refused(&["deleteSnapshot", "base/base.vmx", "d", "andDeleteChildren"]),
    ];
    insta::assert_snapshot!(lines.concat(), @"
    Error: The snapshot does not exist
    Error: The snapshot does not exist
    Error: The snapshot does not exist
    Error: The snapshot does not exist
    Error: The snapshot does not exist
    ");
}

#[test]
fn name_of_several_snapshots_is_refused() {
    let library = with_branches();
    library.silent(&["snapshot", "base/base.vmx", "b"]);
    let lines = [
        library.refused(&["revertToSnapshot", "base/base.vmx", "b"]),
        library.refused(&["deleteSnapshot", "base/base.vmx", "b"]),
        library.refused(&["clone", "base/base.vmx", "web/web.vmx", "linked", "b"]),
    ];
    insta::assert_snapshot!(lines.concat(), @"
    Error: The name does not uniquely identify one snapshot
    Error: The name does not uniquely identify one snapshot
    Error: The name does not uniquely identify one snapshot
    ");
    library.silent(&["revertToSnapshot", "base/base.vmx", "a/c/b"]);
}

#[test]
fn any_text_names_a_snapshot() {
    let library = Library::with_base();
    for name in [
        "with blanks",
        "-snapshot",
        "快照",
        "a/b",
        "\"quoted\"",
        "#1",
        "é|22",
    ] {
        library.silent(&["snapshot", "base/base.vmx", name]);
        library.silent(&["revertToSnapshot", "base/base.vmx", name]);
    }
    insta::assert_snapshot!(library.vmrun(&["listSnapshots", "base/base.vmx"]), @r#"
    Total snapshots: 7
    with blanks
    -snapshot
    快照
    a/b
    "quoted"
    #1
    é|22
    --- exit 0
    "#);
    library.silent(&["snapshot", "base/base.vmx", "two\nlines\u{1b}"]);
    let list = library.vmrun(&["listSnapshots", "base/base.vmx"]);
    assert!(list.out.starts_with("Total snapshots: 8\n"));
    assert_eq!(list.out.lines().count(), 9);
}

#[test]
fn revert_brings_the_disk_back() {
    let library = Library::with_base();
    let was = library.path("was.vmdk");
    std::fs::copy(disk(&library), &was).unwrap();
    library.silent(&["snapshot", "base/base.vmx", "a"]);
    qemu_io(&disk(&library), "write -P 7 0 192k");
    assert!(!same_content(&disk(&library), &was));
    library.silent(&["revertToSnapshot", "base/base.vmx", "a"]);
    assert!(same_content(&disk(&library), &was));
}

#[test]
fn deleted_snapshot_leaves_the_state() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "a"]);
    qemu_io(&disk(&library), "write -P 7 0 192k");
    library.silent(&["snapshot", "base/base.vmx", "b"]);
    library.silent(&["clone", "base/base.vmx", "was/was.vmx", "full"]);
    library.silent(&["deleteSnapshot", "base/base.vmx", "a"]);
    let list = library.vmrun(&["listSnapshots", "base/base.vmx"]);
    assert_eq!(list.out, "Total snapshots: 1\nb\n");
    assert!(same_content(
        &disk(&library),
        &library.path("was/base-cl1.vmdk")
    ));
    library.silent(&["deleteSnapshot", "base/base.vmx", "b", "andDeleteChildren"]);
    assert!(same_content(
        &disk(&library),
        &library.path("was/base-cl1.vmdk")
    ));
    assert_eq!(disk(&library), library.path("base/base.vmdk"));
}

#[test]
fn children_are_deleted_only_when_asked() {
    let library = with_branches();
    library.silent(&["deleteSnapshot", "base/base.vmx", "a", "nogui"]);
    let list = library.vmrun(&["listSnapshots", "base/base.vmx"]);
    assert_eq!(list.out, "Total snapshots: 2\nb\nc\n");
    let library = with_branches();
    library.silent(&["deleteSnapshot", "base/base.vmx", "a", "ANDDELETECHILDREN"]);
    let list = library.vmrun(&["listSnapshots", "base/base.vmx"]);
    assert_eq!(list.out, "Total snapshots: 0\n");
}

#[test]
fn snapshot_that_clones_stand_on_stays() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "a"]);
    library.silent(&["snapshot", "base/base.vmx", "b"]);
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked", "b"]);
    let lines = [
        library.refused(&["deleteSnapshot", "base/base.vmx", "b"]),
        library.refused(&["deleteSnapshot", "base/base.vmx", "a", "andDeleteChildren"]),
    ];
    insta::assert_snapshot!(lines.concat(), @r#"
    Error: snapshot "b" is used by linked clones: "/vms/web/web.vmx" (delete those clones first)
    Error: snapshot "b" is used by linked clones: "/vms/web/web.vmx" (delete those clones first)
    "#);
}
