//! `vmrun clone`: every spelling, every kind of destination, and what it leaves.

use std::path::Path;

use replix_testkit::{TestVm, qemu_io, same_content, tree_of};

use crate::library::Library;

fn value(vmx: &Path, key: &str) -> Option<String> {
    let vm = TestVm {
        dir: vmx.parent().unwrap().into(),
        vmx: vmx.into(),
    };
    vm.value(key)
}

/// The name of the VM's only disk.
fn disk_name(vmx: &Path) -> String {
    value(vmx, "scsi0:0.fileName").unwrap()
}

/// A library whose VM has the snapshots `my base` and `later`, with other content each.
fn with_snapshots() -> Library {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "my base"]);
    qemu_io(&library.path("base/base-000001.vmdk"), "write -P 7 0 192k");
    library.silent(&["snapshot", "base/base.vmx", "later"]);
    qemu_io(&library.path("base/base-000002.vmdk"), "write -P 8 1M 64k");
    library
}

#[test]
fn all_spellings_mean_the_same() {
    let library = with_snapshots();
    let spellings: [&[&str]; 8] = [
        &["-snapshot=my base", "-cloneName=Web 1"],
        &["-snapshot", "my base", "-cloneName", "Web 1"],
        &["my base", "-cloneName=Web 1"],
        &["-cloneName=Web 1", "my base"],
        &["-cloneName", "Web 1", "-snapshot=my base"],
        &["-SNAPSHOT=my base", "-clonename=Web 1"],
        &["-snapshot=my base", "-cloneName=Web 1", "superfluous"],
        &["-snapshot=my base", "-cloneName=old", "-cloneName=Web 1"],
    ];
    for (number, words) in spellings.iter().enumerate() {
        let mode = ["linked", "LINKED", "linked nogui"][number % 3];
        let vmx = format!("web{number}/web.vmx");
        library.silent(&[&["clone", "base/base.vmx", &vmx, mode][..], words].concat());
        let vmx = library.path(&vmx);
        assert_eq!(value(&vmx, "displayName").unwrap(), "Web 1", "{words:?}");
        let disk = vmx.with_file_name(disk_name(&vmx));
        assert!(
            same_content(&disk, &library.path("base/base.vmdk")),
            "{words:?}"
        );
    }
    let list = library.vmrun(&["listSnapshots", "base/base.vmx"]);
    assert_eq!(list.out, "Total snapshots: 2\nmy base\nlater\n");
}

#[test]
fn snapshot_of_a_clone_may_be_a_path() {
    let library = with_snapshots();
    library.silent(&[
        "clone",
        "base/base.vmx",
        "web/web.vmx",
        "linked",
        "-snapshot=my base/later",
    ]);
    assert!(same_content(
        &library.path("web/base-cl1.vmdk"),
        &library.path("base/base-000001.vmdk"),
    ));
}

#[test]
fn linked_clone_of_the_state_takes_a_snapshot() {
    let library = Library::with_base();
    library.silent(&["clone", "base/base.vmx", "web1/web1.vmx", "linked"]);
    library.silent(&[
        "clone",
        "base/base.vmx",
        "web2/web2.vmx",
        "linked",
        "-cloneName=Two",
    ]);
    let tree = library.vmrun(&["listSnapshots", "base/base.vmx", "showTree"]);
    assert_eq!(tree.out, "Total snapshots: 2\nClone\n\tClone\n");
    assert_eq!(
        value(&library.path("web1/web1.vmx"), "displayName").unwrap(),
        "web1"
    );
    assert_eq!(
        value(&library.path("web2/web2.vmx"), "displayName").unwrap(),
        "Two"
    );
}

#[test]
fn full_clone_shares_nothing() {
    let library = with_snapshots();
    library.silent(&["clone", "base/base.vmx", "now/now.vmx", "full"]);
    library.silent(&[
        "clone",
        "base/base.vmx",
        "then/then.vmx",
        "full",
        "-snapshot",
        "my base",
    ]);
    for (clone, source) in [("now", "base-000002.vmdk"), ("then", "base.vmdk")] {
        let disk = library.path(clone).join("base-cl1.vmdk");
        assert!(
            same_content(&disk, &library.path("base").join(source)),
            "{clone}"
        );
        let list = library.vmrun(&["listSnapshots", &format!("{clone}/{clone}.vmx")]);
        assert_eq!(list.out, "Total snapshots: 0\n");
    }
    library.silent(&["deleteVM", "base/base.vmx"]);
    library.silent(&["snapshot", "now/now.vmx", "own"]);
}

#[test]
fn paths_may_be_relative() {
    let library = Library::with_base();
    std::fs::create_dir(library.path("work")).unwrap();
    let clone = |source: &str, to: &str| {
        let mut call = library.program(crate::library::Program::Vmrun);
        let words = ["clone", source, to, "linked"];
        let said = library.run(call.args(words).current_dir(library.path("work")));
        assert_eq!((said.out.as_str(), said.code), ("", Some(0)), "{to}");
    };
    clone("../base/base.vmx", "a.vmx");
    clone("./../base//base.vmx", "./b/b.vmx");
    clone("../base/../base/base.vmx", "../c/d/e/c.vmx");
    clone(&library.word("base/base.vmx"), "f/../g/g.VMX");
    for vmx in ["work/a.vmx", "work/b/b.vmx", "c/d/e/c.vmx", "work/g/g.VMX"] {
        let list = library.vmrun(&["listSnapshots", vmx]);
        assert_eq!(list.out, "Total snapshots: 0\n", "{vmx}");
        let disk = library
            .path(vmx)
            .with_file_name(disk_name(&library.path(vmx)));
        assert!(
            same_content(&disk, &library.path("base/base.vmdk")),
            "{vmx}"
        );
    }
}

#[test]
fn destination_folder_may_exist() {
    let library = Library::with_base();
    std::fs::create_dir(library.path("there")).unwrap();
    std::fs::write(library.path("there/notes.txt"), "mine").unwrap();
    std::fs::write(library.path("there/base-cl1.vmdk"), "mine too").unwrap();
    library.silent(&["clone", "base/base.vmx", "there/web.vmx", "linked"]);
    let names: Vec<_> = tree_of(&library.path("there")).into_keys().collect();
    insta::assert_debug_snapshot!(names, @r#"
    [
        "base-cl1-2.vmdk",
        "base-cl1.vmdk",
        "notes.txt",
        "web.vmsd",
        "web.vmx",
        "web.vmxf",
    ]
    "#);
    assert_eq!(
        std::fs::read(library.path("there/notes.txt")).unwrap(),
        b"mine"
    );
    assert_eq!(
        std::fs::read(library.path("there/base-cl1.vmdk")).unwrap(),
        b"mine too"
    );
}

#[test]
fn clone_may_lie_in_its_parents_folder() {
    let library = Library::with_base();
    library.silent(&["clone", "base/base.vmx", "base/web.vmx", "linked"]);
    let disk = library
        .path("base")
        .join(disk_name(&library.path("base/web.vmx")));
    assert!(same_content(&disk, &library.path("base/base.vmdk")));
    library.silent(&["deleteVM", "base/web.vmx"]);
    assert!(library.path("base/base.vmdk").exists());
    assert!(!disk.exists());
    library.silent(&["snapshot", "base/base.vmx", "s"]);
}

/// An image builder reads these of a clone, and fails without them.
#[test]
fn clients_find_what_they_read() {
    let library = Library::new();
    library.with_lines(
        "base",
        &[
            ("ethernet0.present", "TRUE"),
            ("ethernet0.connectionType", "nat"),
            ("ethernet0.addressType", "generated"),
            ("ethernet0.generatedAddress", "00:0c:29:01:02:03"),
        ],
    );
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "full"]);
    let vmx = library.path("web/web.vmx");
    assert!(library.path("web").join(disk_name(&vmx)).is_file());
    assert!(disk_name(&vmx).ends_with(".vmdk"));
    assert_eq!(value(&vmx, "displayName").unwrap(), "web");
    assert_eq!(value(&vmx, "ethernet0.connectionType").unwrap(), "nat");
    assert_ne!(
        value(&vmx, "uuid.bios"),
        value(&library.path("base/base.vmx"), "uuid.bios")
    );
    let text = std::fs::read_to_string(&vmx).unwrap();
    assert!(text.starts_with(".encoding = \"UTF-8\"\n"));
}
