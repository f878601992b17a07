//! `replix clone`: plans, clones, counts, and answers for programs.

use nix::sys::signal::Signal;
use replix_testkit::{Content, DiskType, qemu_io, same_content};

use crate::library::{Library, Program, SMALL, changes, is_root};
use crate::mounted::Mounted;
use crate::paused::Paused;
use crate::said::plain_amounts;

#[test]
fn dry_run_prints_the_plan_and_changes_nothing() {
    let library = Library::new();
    library
        .builder("base")
        .disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL)
        .disk(DiskType::TwoGbMaxExtentFlat, Content::Random(2), SMALL)
        .line("scsi0:1.mode", "independent-persistent")
        .line("ethernet0.present", "TRUE")
        .line("ethernet0.addressType", "static")
        .line("ethernet0.address", "00:50:56:01:02:03")
        .build();
    let before = library.tree();
    let mut all = String::new();
    for words in [
        &["clone", "--dry-run", "base", "web"][..],
        &["clone", "--dry-run", "base", "web", "--linked"],
        &[
            "clone",
            "--dry-run",
            "base",
            "lab/web",
            "--linked",
            "--count",
            "3",
        ],
        &[
            "clone",
            "--dry-run",
            "base",
            "web",
            "--count",
            "2",
            "--quiet",
        ],
    ] {
        let said = library.replix(words);
        assert_eq!(said.code, Some(0));
        all += &plain_amounts(&said.to_string());
    }
    insta::assert_snapshot!(all, @r#"
    full clone (dry run)
      from  /vms/base/base.vmx
        its present state
      to  /vms/web/web.vmx
      scsi0:0  "base-cl1.vmdk", a copy of "base.vmdk": N, monolithicSparse
      scsi0:1  "base-0-cl1.vmdk", a copy of "base-0.vmdk": N, twoGbMaxExtentFlat
      files  "web.vmx", "web.vmxf", "web.vmsd"
      writes  at most N, in about N; N are free
    --- stderr
    warning: ethernet0 has the static address 00:50:56:01:02:03, which two VMs cannot share; the clone gets a generated one: adapt what the guest or the network expects
    --- exit 0
    linked clone (dry run)
      from  /vms/base/base.vmx
        its present state, kept as snapshot "Clone", which is taken first
      to  /vms/web/web.vmx
      scsi0:0  "base-cl1.vmdk", a child of "base.vmdk": N, monolithicSparse
      scsi0:1  "base-0-cl1.vmdk", a copy of "base-0.vmdk": N, twoGbMaxExtentFlat
      files  "web.vmx", "web.vmxf", "web.vmsd"
      writes  at most N, in about N; N are free
    --- stderr
    warning: scsi0:1 is independent of snapshots: the clone has a copy of it as it is now
    warning: ethernet0 has the static address 00:50:56:01:02:03, which two VMs cannot share; the clone gets a generated one: adapt what the guest or the network expects
    --- exit 0
    linked clone (dry run)
      from  /vms/base/base.vmx
        its present state, kept as snapshot "Clone", which is taken first
      to  /vms/lab/web-1/web-1.vmx
      scsi0:0  "base-cl1.vmdk", a child of "base.vmdk": N, monolithicSparse
      scsi0:1  "base-0-cl1.vmdk", a copy of "base-0.vmdk": N, twoGbMaxExtentFlat
      files  "web-1.vmx", "web-1.vmxf", "web-1.vmsd"
      writes  at most N, in about N; N are free
    likewise /vms/lab/web-2/web-2.vmx
    likewise /vms/lab/web-3/web-3.vmx
    at most N written in all
    --- stderr
    warning: scsi0:1 is independent of snapshots: the clone has a copy of it as it is now
    warning: ethernet0 has the static address 00:50:56:01:02:03, which two VMs cannot share; the clone gets a generated one: adapt what the guest or the network expects
    --- exit 0
    full clone (dry run)
      from  /vms/base/base.vmx
        its present state
      to  /vms/web-1/web-1.vmx
      scsi0:0  "base-cl1.vmdk", a copy of "base.vmdk": N, monolithicSparse
      scsi0:1  "base-0-cl1.vmdk", a copy of "base-0.vmdk": N, twoGbMaxExtentFlat
      files  "web-1.vmx", "web-1.vmxf", "web-1.vmsd"
      writes  at most N, in about N; N are free
    likewise /vms/web-2/web-2.vmx
    at most N written in all
    --- stderr
    warning: ethernet0 has the static address 00:50:56:01:02:03, which two VMs cannot share; the clone gets a generated one: adapt what the guest or the network expects
    --- exit 0
    "#);
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}

#[test]
fn plan_is_json_too() {
    let library = Library::with_base();
    let (code, answer) = library.json(&["clone", "--dry-run", "base", "web", "--count", "2"]);
    assert_eq!(code, Some(0));
    let plan = &answer["plans"][1];
    assert_eq!(plan["destination"], "/vms/web-2/web-2.vmx");
    assert_eq!(plan["kind"], "full");
    assert_eq!(plan["disks"][0]["action"], "copy");
    assert!(plan["bytes"].as_u64().unwrap() > 1 << 20);
    assert!(plan["free_bytes"].as_u64().unwrap() > 0);
    assert!(!library.path("web-2").exists());
}

#[test]
fn clone_says_what_it_made() {
    let library = Library::with_base();
    let mut all = String::new();
    for words in [
        &["clone", "base", "copy"][..],
        &["clone", "base", "web1", "--linked"],
        &[
            "clone",
            "base",
            "lab/web2.vmx",
            "--linked",
            "--name",
            "Web two",
        ],
        &["clone", "base", "quiet", "--linked", "--quiet"],
    ] {
        all += &plain_amounts(&library.replix(words).to_string());
    }
    insta::assert_snapshot!(all, @r#"
    full clone made in N, N of disk data written: /vms/copy/copy.vmx
    --- exit 0
    linked clone of snapshot "Clone" made in N: /vms/web1/web1.vmx
    --- exit 0
    linked clone of snapshot "Clone" made in N: /vms/lab/web2.vmx
    --- exit 0
    --- exit 0
    "#);
    // Nothing was written in between, so one snapshot serves all.
    assert_eq!(
        library.vmrun(&["listSnapshots", "base/base.vmx"]).out,
        "Total snapshots: 1\nClone\n"
    );
}

#[test]
fn clone_is_of_the_snapshot_that_is_named() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "a"]);
    qemu_io(&library.path("base/base-000001.vmdk"), "write -P 7 0 192k");
    library.silent(&["snapshot", "base/base.vmx", "a"]);
    for (word, name, disk) in [
        ("#1", "one", "base.vmdk"),
        ("a/a", "two", "base-000001.vmdk"),
    ] {
        library.shown(&["clone", "--linked", "--snapshot", word, "base", name]);
        let clone = library.path(name).join("base-cl1.vmdk");
        assert!(
            same_content(&clone, &library.path("base").join(disk)),
            "{word}"
        );
    }
    let mut all = String::new();
    for word in ["a", "b", "#9", "a/b"] {
        all += &library
            .replix(&["clone", "--snapshot", word, "base", "web"])
            .to_string();
    }
    insta::assert_snapshot!(all, @r#"
    --- stderr
    error: 2 snapshots fit "a"
    hint: name one by its number (#1, #2) or by its path
    --- exit 1
    --- stderr
    error: there is no snapshot "b"
    hint: see what there is: replix snapshot list VMX
    --- exit 1
    --- stderr
    error: there is no snapshot number 9
    hint: see what there is: replix snapshot list VMX
    --- exit 1
    --- stderr
    error: there is no snapshot "a/b"
    hint: see what there is: replix snapshot list VMX
    --- exit 1
    "#);
}

#[test]
fn hundred_clones_are_made_at_once() {
    let library = Library::with_base();
    let (code, answer) = library.json(&["clone", "--linked", "--count", "100", "base", "lab/web"]);
    assert_eq!(code, Some(0));
    assert_eq!(answer["clones"].as_array().unwrap().len(), 100);
    let (_, info) = library.json(&["info", "base"]);
    let clones = info["clones"].as_array().unwrap();
    assert_eq!(clones.len(), 100);
    for number in [1, 50, 100] {
        let vmx = format!("/vms/lab/web-{number}/web-{number}.vmx");
        assert!(clones.iter().any(|clone| *clone == vmx.as_str()), "{vmx}");
        let disk = library.path(format!("lab/web-{number}/base-cl1.vmdk"));
        assert!(same_content(&disk, &library.path("base/base.vmdk")));
    }
    assert_eq!(
        library.vmrun(&["listSnapshots", "base/base.vmx"]).out,
        "Total snapshots: 1\nClone\n"
    );
}

#[test]
fn clones_before_a_failure_stay_and_are_named() {
    let library = Library::with_base();
    library.vm("web-3");
    let (code, answer) = library.json(&["clone", "--linked", "--count", "4", "base", "web"]);
    assert_eq!(code, Some(1));
    let made: Vec<_> = answer["clones"]
        .as_array()
        .unwrap()
        .iter()
        .map(|clone| clone["path"].clone())
        .collect();
    assert_eq!(made, ["/vms/web-1/web-1.vmx", "/vms/web-2/web-2.vmx"]);
    assert_eq!(answer["error"]["kind"], "FileExists");
    assert!(!library.path("web-4").exists());
}

#[test]
fn space_is_looked_at_for_all_clones() {
    if !is_root("mount a small file system") {
        return;
    }
    let library = Library::with_base();
    let _small = Mounted::at(&library.path("small"), "size=8M");
    let before = library.tree();
    let mut all = String::new();
    for words in [&["--dry-run"][..], &[], &["--json"]] {
        let words = [&["clone", "--count", "3", "base", "small/web"], words].concat();
        all += &library.replix(&words).to_string();
    }
    insta::assert_snapshot!(all, @r#"
    --- stderr
    error: the clones need 9.2 MiB, and 8 MiB are free at "/vms/small/web-1/web-1.vmx"
    --- exit 1
    --- stderr
    error: the clones need 9.2 MiB, and 8 MiB are free at "/vms/small/web-1/web-1.vmx"
    --- exit 1
    {
      "error": {
        "hint": null,
        "kind": "NoSpace",
        "message": "the clones need 9.2 MiB, and 8 MiB are free at \"/vms/small/web-1/web-1.vmx\"",
        "path": "/vms/small/web-1/web-1.vmx"
      },
      "warnings": []
    }
    --- exit 1
    "#);
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}

#[test]
fn identity_is_kept_on_request() {
    let library = Library::with_base();
    insta::assert_snapshot!(library.replix(&["clone", "--keep-identity", "base", "same"]).err, @"warning: uuids and MAC addresses are those of the source: do not run both on one network");
    library.shown(&["clone", "base", "other"]);
    let uuid = |vm: &str| library.json(&["info", vm]).1["uuid_bios"].clone();
    assert_eq!(uuid("same"), uuid("base"));
    assert_ne!(uuid("other"), uuid("base"));
}

#[test]
fn what_a_clone_loses_is_a_warning() {
    let library = Library::new();
    let vm = library.with_lines("base", &[("checkpoint.vmState", "base-1a2b3c4d.vmss")]);
    std::fs::write(vm.file("base-1a2b3c4d.vmss"), b"memory").unwrap();
    let said = library.replix(&["clone", "base", "web"]);
    insta::assert_snapshot!(plain_amounts(&said.to_string()), @"
    full clone made in N, N of disk data written: /vms/web/web.vmx
    --- stderr
    warning: the source is suspended: the clone is off, without its memory
    --- exit 0
    ");
    let (_, answer) = library.json(&["clone", "base", "web2"]);
    assert_eq!(answer["warnings"], answer["clones"][0]["warnings"]);
}

#[test]
fn interrupt_ends_a_row_of_clones() {
    let library = Library::new();
    library
        .builder("base")
        .disk(DiskType::MonolithicSparse, Content::Random(1), 192 << 20)
        .build();
    let before = library.tree();
    let words = ["clone", "base", "web", "--count", "3"];
    let clone = Paused::in_the_middle(&library, "", Program::Replix, &words);
    clone.send(Signal::SIGINT);
    insta::assert_snapshot!(clone.go_on(), @"
    --- stderr
    error: the operation was cancelled
    --- exit 130
    ");
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}
