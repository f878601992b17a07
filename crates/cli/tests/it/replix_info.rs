//! `replix info` and `replix list`: what is missing is a warning, not a failure.

use std::fs;

use crate::library::{Library, is_root};
use crate::mounted::Mounted;

/// The end of a test VM's uuid is its own.
fn plain_uuid(text: &str) -> String {
    let begin = "56 4d 01 02 03 04 05 06-";
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once('\n').unwrap();
    format!("{before}{begin}UNIQUE\n{after}")
}

#[test]
fn whole_vm_is_described() {
    let library = Library::new();
    library.set("power.accelerator = \"tcg\"\n");
    library.with_lines(
        "base",
        &[
            ("firmware", "efi"),
            ("ethernet0.present", "TRUE"),
            ("ethernet0.virtualDev", "e1000"),
            ("ethernet0.connectionType", "nat"),
            ("ethernet0.addressType", "generated"),
            ("ethernet0.generatedAddress", "00:0c:29:0c:0d:0e"),
        ],
    );
    library.silent(&["snapshot", "base/base.vmx", "golden"]);
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked", "golden"]);
    let shown = library.shown(&["info", "base"]);
    let shown = plain_uuid(&shown);
    let (facts, fitness) = shown.split_once("\nBoots here: ").unwrap();
    insta::assert_snapshot!(facts, @r#"
    base
      path       /vms/base/base.vmx
      state      off
      guest      other
      hardware   version 19, 1 CPU, 64 MiB, efi
      runs on    tcg (as the settings say)
      uuid       56 4d 01 02 03 04 05 06-UNIQUE
      snapshots  1, the state descends from "golden"
      cloned to  "/vms/web/web.vmx"

    Disks
      scsi0:0  5 MiB  monolithicSparse  12 KiB and 3.1 MiB in 1 parent  "base-000001.vmdk"

    Network
      ethernet0  e1000  nat  00:0c:29:0c:0d:0e  generated
    "#);
    // Which networks there are, the machine decides.
    let (fitness, _) = fitness.split_once("  ethernet0").unwrap();
    insta::assert_snapshot!(fitness, @r"
    perhaps
      firmware   efi      OVMF           in its place
      svga       SVGA II  VGA            in its place
      scsi0      pvscsi   ich9-ahci      in its place
    ");
    let (_, info) = library.json(&["info", "base"]);
    assert_eq!(info["boot"]["verdict"], "perhaps");
    let reason = info["boot"]["reasons"][0].as_str().unwrap();
    assert!(
        reason.starts_with("scsi0 becomes a SATA controller"),
        "{reason}"
    );
    assert_eq!(info["devices"][2]["counterpart"], "ich9-ahci");
    assert_eq!(info["devices"][2]["fit"], "substitute");
    let shown = library.shown(&["info", "web/web.vmx"]);
    let parent = shown.lines().find(|line| line.contains("clone of"));
    insta::assert_snapshot!(parent.unwrap(), @r#"  clone of  "/vms/base/base.vmx""#);
}

#[test]
fn what_is_missing_is_a_warning() {
    let library = Library::new();
    library.set("power.accelerator = \"tcg\"\n");
    library.with_lines(
        "base",
        &[
            ("scsi0:1.present", "TRUE"),
            ("scsi0:1.fileName", "lost.vmdk"),
            ("sata0:1.present", "TRUE"),
            ("sata0:1.deviceType", "cdrom-image"),
            ("sata0:1.fileName", "debian.iso"),
        ],
    );
    insta::assert_snapshot!(plain_uuid(&library.shown(&["info", "base/base.vmx"])), @r#"
    base
      path      /vms/base/base.vmx
      state     off
      guest     other
      hardware  version 19, 1 CPU, 64 MiB, bios
      runs on   tcg (as the settings say)
      uuid      56 4d 01 02 03 04 05 06-UNIQUE

    Disks
      scsi0:0  5 MiB  monolithicSparse  3.1 MiB   "base.vmdk"
      scsi0:1                           unusable  "lost.vmdk"

    Media
      sata0:1  cdrom-image  "debian.iso" (missing)

    Boots here: no
      firmware  bios     SeaBIOS    in its place
      svga      SVGA II  VGA        in its place
      scsi0     pvscsi   pvscsi
      sata0     ahci     ich9-ahci

    What stands in the way
      scsi0:1: disk "/vms/base/lost.vmdk" is missing: put the file back, or take the disk out of the configuration

    Warnings
      sata0:1 will be empty: image "/vms/base/debian.iso" is missing: put the image back, or disconnect the drive
    "#);
}

#[test]
fn missing_parent_is_a_warning() {
    let library = Library::with_base();
    library.set("power.accelerator = \"tcg\"\n");
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked"]);
    fs::rename(library.path("base"), library.path("../home/base")).unwrap();
    let shown = library.shown(&["info", "web"]);
    let (_, after) = shown.split_once("\n  clone of").unwrap();
    insta::assert_snapshot!(after, @r#"
      "/vms/base/base.vmx"

    Disks
      scsi0:0  5 MiB  monolithicSparse  unusable  "base-cl1.vmdk"

    Boots here: no
      firmware  bios     SeaBIOS  in its place
      svga      SVGA II  VGA      in its place
      scsi0     pvscsi   pvscsi

    What stands in the way
      scsi0:0: the parent of "/vms/web/base-cl1.vmdk" is missing: it is called "../base/base.vmdk", and is not in "/vms/web/../base", "/vms/web", "/vms/base": put the parent's folder beside this one, or say where it is: replix relink --parent

    Warnings
      the VM that this one is a linked clone of is not at "/vms/base/base.vmx": bring "base.vmx" and its disks back
    "#);
    let (code, info) = library.json(&["info", "web"]);
    assert_eq!(code, Some(0));
    let problem = info["disks"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("base.vmdk"), "{problem}");
    assert!(!info["warnings"].as_array().unwrap().is_empty());
}

#[test]
fn encrypted_vm_is_described_as_far_as_it_can_be() {
    let library = Library::new();
    library.with_lines(
        "base",
        &[
            ("encryption.keySafe", "vmware:key/list/x"),
            ("encryption.data", "y"),
        ],
    );
    let shown = library.shown(&["info", "base"]);
    assert!(shown.contains("the VM is encrypted"), "{shown}");
    let (_, info) = library.json(&["info", "base"]);
    assert_eq!(info["encrypted"], true);
}

#[test]
fn vm_that_cannot_be_changed_says_so() {
    if !is_root("mount a small file system") {
        return;
    }
    let library = Library::new();
    let mounted = Mounted::at(&library.path("base"), "size=8M");
    library.vm("base");
    let (_, info) = library.json(&["info", "base"]);
    assert_eq!(
        (&info["read_only"], &info["encrypted"]),
        (&false.into(), &false.into())
    );
    mounted.freeze();
    let (_, info) = library.json(&["info", "base"]);
    assert_eq!(info["read_only"], true);
    let shown = library.shown(&["info", "base"]);
    assert!(shown.contains("\n  read-only  yes\n"), "{shown}");
}

#[test]
fn many_clones_are_not_all_named() {
    let library = Library::with_base();
    let made = library.replix(&["clone", "--linked", "--count", "9", "base", "web"]);
    assert_eq!(made.code, Some(0));
    let shown = library.shown(&["info", "base"]);
    assert_eq!(shown.matches("cloned to").count(), 7);
    assert!(shown.contains("and 2 more: see replix tree"), "{shown}");
}

#[test]
fn what_is_no_vm_is_an_error() {
    let library = Library::with_base();
    fs::create_dir(library.path("empty")).unwrap();
    let mut all = String::new();
    for word in ["none", "none.vmx", "empty", "base/base.vmdk", "."] {
        all += &library.replix(&["info", word]).to_string();
    }
    insta::assert_snapshot!(all, @r#"
    --- stderr
    error: "/vms/none": there is no virtual machine here
    --- exit 1
    --- stderr
    error: "/vms/none.vmx": there is no virtual machine here
    --- exit 1
    --- stderr
    error: "/vms/empty": there is no virtual machine here
    --- exit 1
    --- stderr
    error: "/vms/base/base.vmdk" is no configuration: its name must end in .vmx
    --- exit 1
    --- stderr
    error: "/vms": there is no virtual machine here
    --- exit 1
    "#);
    insta::assert_snapshot!(library.replix(&["info", "none", "--json"]), @r#"
    {
      "error": {
        "hint": null,
        "kind": "VmNotFound",
        "message": "\"/vms/none\": there is no virtual machine here",
        "path": "/vms/none"
      },
      "warnings": []
    }
    --- exit 1
    "#);
}

#[test]
fn list_counts_nothing_that_is_off() {
    let library = Library::with_base();
    let (code, list) = library.json(&["list"]);
    assert_eq!(code, Some(0));
    let vms = list["vms"].as_array().unwrap();
    assert!(
        vms.iter().all(|vm| vm["path"] != "/vms/base/base.vmx"),
        "{list}"
    );
    let printed = library.vmrun(&["list"]);
    // A whole line: others may run VMs below a folder of this name.
    assert!(printed.out.lines().all(|line| line != "/vms/base/base.vmx"));
}
