//! Whole calls of `replix` against a host that remembers.

use std::ffi::OsString;

use replix::Kind;

use super::{Exit, Terminal, run};
use crate::fake::Fake;

const VM: &str = "/vms/web/web.vmx";

/// What a call came to.
struct Ended {
    out: String,
    err: String,
    exit: Exit,
}

impl Ended {
    /// All of it, to be looked at.
    fn shown(&self) -> String {
        format!("{}--- {}--- {:?}", self.out, self.err, self.exit)
    }
}

/// Runs a call; `typed` is what a person types, where there is one.
fn call_with(fake: &Fake, words: &[&str], typed: Option<&str>) -> Ended {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut input = typed.map(str::as_bytes);
    let terminal = Terminal {
        out: &mut out,
        err: &mut err,
        input: input.as_mut().map(|input| input as _),
    };
    let words = std::iter::once("replix").chain(words.iter().copied());
    let exit = run(
        words.map(OsString::from).collect(),
        &fake.connect(),
        terminal,
    );
    Ended {
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
        exit,
    }
}

fn call(fake: &Fake, words: &[&str]) -> Ended {
    call_with(fake, words, None)
}

/// Runs a call that must succeed; returns what it asked the host to do.
fn asked(words: &[&str]) -> String {
    let fake = Fake::default();
    let ended = call(&fake, words);
    assert_eq!(ended.exit, Exit::Done, "{words:?}: {}", ended.err);
    fake.calls().join("\n")
}

/// Blanks the time that a clone took.
fn timeless(text: &str) -> String {
    let (before, rest) = text.split_once(" made in ").unwrap();
    let (_, after) = rest.split_once(',').unwrap();
    format!("{before} made in TIME,{after}")
}

#[test]
fn commands_ask_for_what_they_say() {
    let asked = [
        asked(&["snapshot", VM, "base"]),
        asked(&["snapshot", "create", VM, "base", "--description", "x"]),
        asked(&["snapshot", "revert", VM, "#2"]),
        asked(&["snapshot", "remove", VM, "a/b", "--children"]),
        asked(&["consolidate", VM]),
        asked(&["promote", VM]),
        asked(&["relink", VM, "--parent", "/far/base"]),
        asked(&["start", VM, "--gui"]),
        asked(&["start", "--vnc", VM]),
        asked(&["start", "--vnc=0.0.0.0:5901", VM]),
        asked(&["stop", VM]),
        asked(&["stop", "--hard", VM]),
        asked(&["delete", "/clones/a.vmx", "--yes"]),
        asked(&["delete", VM, "--yes", "--force"]),
        asked(&["delete", VM, "--yes", "--keep-disks"]),
    ];
    insta::assert_snapshot!(asked.join("\n"), @r#"
    create NewSnapshot { name: "base", description: "", with_memory: true }
    create NewSnapshot { name: "base", description: "x", with_memory: true }
    revert RevertSpec { snapshot: Uid(2), without_memory: false, suspended: false, start: StartSpec { gui: false, paused: false, vnc: None } }
    remove Name("a/b"), children: true
    consolidate
    promote /vms/web/web.vmx PromoteSpec { remove_base: false }
    relink /vms/web/web.vmx RelinkSpec { parent: Some("/far/base") }
    start /vms/web/web.vmx StartSpec { gui: true, paused: false, vnc: None }
    start /vms/web/web.vmx StartSpec { gui: false, paused: false, vnc: Some(None:0 open) }
    start /vms/web/web.vmx StartSpec { gui: false, paused: false, vnc: Some(Some(0.0.0.0):5901 open) }
    stop Soft
    stop Hard
    delete DeleteSpec { disks: true, force: false }
    delete DeleteSpec { disks: true, force: true }
    delete DeleteSpec { disks: false, force: false }
    "#);
}

#[test]
fn work_on_chains_says_what_it_came_to() {
    let ended = call(&Fake::default(), &["promote", VM]);
    insta::assert_snapshot!(ended.shown(), @r#"
    "/vms/web/web.vmx" is independent: 1 disk copied, 64 KiB of data written
    --- warning: the weather is odd
    --- Done
    "#);
    let ended = call(&Fake::default(), &["relink", VM]);
    insta::assert_snapshot!(ended.shown(), @r#"
    "/vms/web/base-cl1.vmdk" stands on "/vms/base/base.vmdk", by its long content id
    --- warning: the weather is odd
    --- Done
    "#);
    let ended = call(&Fake::default(), &["consolidate", VM]);
    insta::assert_snapshot!(ended.shown(), @r"
    2 disks merged, 3 MiB moved
    --- warning: the weather is odd
    --- Done
    ");
}

#[test]
fn clone_says_what_it_made() {
    let fake = Fake::default();
    let words = [
        "clone",
        VM,
        "/clones/a",
        "--linked",
        "--start",
        "--snapshot",
        "base",
    ];
    let ended = call(&fake, &words);
    insta::assert_snapshot!(timeless(&ended.shown()), @r#"
    linked clone of snapshot "base" made in TIME, 64 KiB of disk data written: /clones/a/a.vmx
    "/clones/a/a.vmx" runs
    --- warning: the weather is odd
    warning: ethernet0 keeps its static address
    --- Done
    "#);
    insta::assert_snapshot!(fake.calls().join("\n"), @r#"
    clone CloneSpec { kind: Linked, destination: "/clones/a/a.vmx", snapshot: Some(Name("base")), name: None, keep_identity: false, without_memory: false, base: Reuse }
    start /clones/a/a.vmx StartSpec { gui: false, paused: false, vnc: None }
    "#);
}

#[test]
fn clone_that_is_wanted_now_begins_as_a_linked_one() {
    let fake = Fake::default();
    let words = [
        "clone",
        VM,
        "/clones/a",
        "--full",
        "--now",
        "--count",
        "2",
        "--start",
    ];
    assert_eq!(call(&fake, &words).exit, Exit::Done);
    insta::assert_snapshot!(fake.calls().join("\n"), @r#"
    clone CloneSpec { kind: Linked, destination: "/clones/a-1/a-1.vmx", snapshot: None, name: None, keep_identity: false, without_memory: false, base: Reuse }
    start /clones/a-1/a-1.vmx StartSpec { gui: false, paused: false, vnc: None }
    clone CloneSpec { kind: Linked, destination: "/clones/a-2/a-2.vmx", snapshot: None, name: None, keep_identity: false, without_memory: false, base: Reuse }
    start /clones/a-2/a-2.vmx StartSpec { gui: false, paused: false, vnc: None }
    promote /clones/a-1/a-1.vmx PromoteSpec { remove_base: false }
    promote /clones/a-2/a-2.vmx PromoteSpec { remove_base: true }
    "#);
    let failing = Fake::with_room_for(1);
    let ended = call(&failing, &["clone", VM, "/clones/a", "--now"]);
    insta::assert_snapshot!(timeless(&ended.shown()), @r#"
    linked clone of snapshot "base" made in TIME, 64 KiB of disk data written: /clones/a/a.vmx
    --- warning: the weather is odd
    warning: ethernet0 keeps its static address
    error: "/clones/a/a.vmx" is a linked clone still, which replix promote makes a full one: no space left
    hint: make some
    --- Failed
    "#);
}

#[test]
fn several_clones_are_numbered() {
    let words = ["clone", VM, "/clones/a", "--count", "2", "--name", "A"];
    insta::assert_snapshot!(asked(&words), @r#"
    clone CloneSpec { kind: Full, destination: "/clones/a-1/a-1.vmx", snapshot: None, name: Some("A-1"), keep_identity: false, without_memory: false, base: Reuse }
    clone CloneSpec { kind: Full, destination: "/clones/a-2/a-2.vmx", snapshot: None, name: Some("A-2"), keep_identity: false, without_memory: false, base: Reuse }
    "#);
}

#[test]
fn clones_made_before_a_failure_are_named() {
    let fake = Fake::with_room_for(1);
    let words = ["--json", "clone", VM, "/clones/a", "--count", "3"];
    insta::assert_snapshot!(call(&fake, &words).shown(), @r#"
    {
      "clones": [
        {
          "bytes": 65536,
          "kind": "full",
          "moved": {
            "handed_over": 0,
            "shared": 0,
            "written": 65536
          },
          "path": "/clones/a-1/a-1.vmx",
          "snapshot": "base",
          "warnings": [
            "ethernet0 keeps its static address"
          ]
        }
      ],
      "error": {
        "hint": "make some",
        "kind": "NoSpace",
        "message": "no space left",
        "path": null
      },
      "warnings": [
        "the weather is odd",
        "ethernet0 keeps its static address"
      ]
    }
    --- --- Failed
    "#);
}

#[test]
fn dry_run_only_shows_the_plan() {
    let fake = Fake::default();
    let words = [
        "clone",
        VM,
        "/clones/a",
        "--linked",
        "--dry-run",
        "--count",
        "2",
    ];
    insta::assert_snapshot!(call(&fake, &words).shown(), @r#"
    linked clone (dry run)
      from     /vms/web/web.vmx
               its present state, kept as snapshot "Clone", which is taken first
      to       /clones/a-1/a-1.vmx
      scsi0:0  "/clones/web1/web1.vmdk", a child of "web.vmdk": 40 GiB, monolithicSparse
      files    "/clones/web1/web1.vmx", "/clones/web1/web1.nvram"
      writes   at most 68.4 KiB, in about 1 s; 100 GiB are free
    likewise /clones/a-2/a-2.vmx
    at most 136.7 KiB written in all
    --- warning: ethernet0 keeps its static address
    --- Done
    "#);
    assert!(fake.calls().is_empty());
}

#[test]
fn disks_are_described() {
    let fake = Fake::default();
    insta::assert_snapshot!(call(&fake, &["disk", "info", "/vms/web/w.vmdk"]).shown(), @r#"
    capacity 40 GiB, 2 links

    /vms/web/web-000001.vmdk
      type        monolithicSparse
      allocated   3 MiB
      content id  1234abcd
      parent      "web.vmdk", content id ffffffff

    /vms/web/web.vmdk
      type        monolithicSparse
      allocated   3 MiB
      content id  1234abcd
    --- --- Done
    "#);
    insta::assert_snapshot!(call(&fake, &["disk", "map", "/vms/web/w.vmdk"]).shown(), @"
    OFFSET   LENGTH   DEPTH  AT        FILE
    0x0      0x10000  0      0x100000  /vms/web/w.vmdk
    0x10000  0x10000  -      -         zeros
    --- --- Done
    ");
    insta::assert_snapshot!(call(&fake, &["disk", "check", "/vms/web/w.vmdk"]).shown(), @"
    note: not closed cleanly
    no damage found, 48 grains in use
    --- warning: the weather is odd
    --- Done
    ");
}

#[test]
fn disk_calls_are_passed_on() {
    let fake = Fake::default();
    for words in [
        &[
            "create",
            "/d.vmdk",
            "20G",
            "--format",
            "monolithicflat",
            "--adapter",
            "IDE",
        ][..],
        &["convert", "/a.vmdk", "/b.vmdk", "--format", "vmfsThin"],
        &["grow", "/d.vmdk", "1024"],
        &["compact", "/d.vmdk"],
    ] {
        let words: Vec<&str> = ["disk"].into_iter().chain(words.iter().copied()).collect();
        assert_eq!(call(&fake, &words).exit, Exit::Done, "{words:?}");
    }
    insta::assert_snapshot!(fake.calls().join("\n"), @r#"
    disk /d.vmdk Create { format: MonolithicFlat, capacity_bytes: 21474836480, adapter: "ide" }
    disk /a.vmdk Convert { to: "/b.vmdk", format: VmfsThin }
    disk /d.vmdk Grow { capacity_bytes: 1024 }
    disk /d.vmdk Compact
    "#);
    let compared = call(&fake, &["disk", "compare", "/a.vmdk", "/b.vmdk"]).shown();
    insta::assert_snapshot!(compared, @"
    the disks have 42949672960 and 44023414784 bytes
    they differ from byte 65536 (0x10000) on
    --- warning: the weather is odd
    --- Failed
    ");
    let repaired = call(&fake, &["disk", "check", "--repair", "/a.vmdk"]).shown();
    insta::assert_snapshot!(repaired, @"
    no damage found, 0 grains in use
    repair: grain table 0 takes 2 entries from its redundant copy
    left: nothing proves which grain is right
    no damage found, 0 grains in use
    --- warning: the weather is odd
    --- Done
    ");
    // It cannot be told whether they differ.
    let failing = Fake::failing(Kind::DiskInvalid);
    let said = call(&failing, &["disk", "compare", "/a.vmdk", "/b.vmdk"]);
    assert_eq!(said.exit, Exit::Usage);
}

#[test]
fn damage_is_a_failure() {
    let fake = Fake::failing(Kind::DiskInvalid);
    insta::assert_snapshot!(call(&fake, &["disk", "check", "/vms/web/w.vmdk"]).shown(), @"
    damage: grain 7 lies outside the file
    note: not closed cleanly
    damage in 1 place, 48 grains in use
    --- warning: the weather is odd
    --- Failed
    ");
}

#[test]
fn running_vms_are_listed() {
    insta::assert_snapshot!(call(&Fake::default(), &["list"]).shown(), @r"
    running in VMware  /vms/web/web.vmx  Web \u{1b}[31mserver
    running in VMware  /vms/b c/b.vmx    Web \u{1b}[31mserver
    --- --- Done
    ");
    insta::assert_snapshot!(call(&Fake::default(), &["list", "--json"]).shown(), @r#"
    {
      "vms": [
        {
          "name": "Web \u001b[31mserver",
          "path": "/vms/web/web.vmx",
          "state": "foreign"
        },
        {
          "name": "Web \u001b[31mserver",
          "path": "/vms/b c/b.vmx",
          "state": "foreign"
        }
      ],
      "warnings": []
    }
    --- --- Done
    "#);
}

#[test]
fn warnings_are_part_of_the_json() {
    let ended = call(&Fake::default(), &["--json", "snapshot", VM, "base"]);
    insta::assert_snapshot!(ended.shown(), @r#"
    {
      "clones": [],
      "created_us": 1795422180000000,
      "description": "",
      "name": "base",
      "parent": 2,
      "uid": 3,
      "warnings": [
        "the weather is odd"
      ],
      "with_memory": false
    }
    --- --- Done
    "#);
}

#[test]
fn errors_have_their_exit_and_hint() {
    let fake = Fake::failing(Kind::ToolsNotRunning);
    insta::assert_snapshot!(call(&fake, &["stop", VM]).shown(), @"
    --- warning: the weather is odd
    error: why it failed
    hint: cut the power instead: replix stop VMX --hard
    --- Failed
    ");
    insta::assert_snapshot!(call(&fake, &["stop", VM, "--json"]).shown(), @r#"
    {
      "error": {
        "hint": "cut the power instead: replix stop VMX --hard",
        "kind": "ToolsNotRunning",
        "message": "why it failed",
        "path": "/vms/web/x"
      },
      "warnings": [
        "the weather is odd"
      ]
    }
    --- --- Failed
    "#);
    let fake = Fake::failing(Kind::Cancelled);
    assert_eq!(call(&fake, &["stop", VM]).exit, Exit::Cancelled);
}

#[test]
fn wrong_calls_are_usage_errors() {
    let fake = Fake::default();
    insta::assert_snapshot!(call(&fake, &["fly"]).shown(), @"
    --- error: unrecognized subcommand 'fly'

    Usage: replix [OPTIONS] <COMMAND>

    For more information, try '--help'.
    --- Usage
    ");
    insta::assert_snapshot!(call(&fake, &["start", "--json"]).shown(), @r#"
    {
      "error": {
        "hint": null,
        "kind": "Usage",
        "message": "the following required arguments were not provided:\n  <VMX>\n\nUsage: replix start --json <VMX>\n\nFor more information, try '--help'.",
        "path": null
      },
      "warnings": []
    }
    --- --- Usage
    "#);
    for words in [
        &["clone", VM, "/clones/a", "--count", "0"][..],
        &["clone", VM, "/"],
        &["snapshot", VM],
        &["snapshot"],
        &["delete", "/clones/a.vmx"],
    ] {
        assert_eq!(call(&fake, words).exit, Exit::Usage, "{words:?}");
    }
    assert!(fake.calls().is_empty());
}

#[test]
fn quiet_confirms_nothing() {
    let ended = call(&Fake::default(), &["-q", "stop", VM]);
    assert_eq!(ended.out, "");
    assert_eq!(ended.err, "warning: the weather is odd\n");
}

#[test]
fn parent_of_clones_is_not_deleted() {
    let fake = Fake::default();
    insta::assert_snapshot!(call(&fake, &["delete", VM, "--yes"]).shown(), @r#"
    --- error: cannot delete "/vms/web/web.vmx": 2 linked clones stand on its disks: "web1" ("/clones/web1/web1.vmx"), "web2" ("D:\web2\web2.vmx", not found)
    hint: delete the clones first, or give --force: they will not work any more
    --- Failed
    "#);
    assert!(fake.calls().is_empty());
}

#[test]
fn deleting_asks_and_names_the_clones() {
    let fake = Fake::default();
    let ended = call_with(&fake, &["delete", VM, "--force"], Some("n\n"));
    insta::assert_snapshot!(ended.shown(), @r#"
    --- 2 linked clones stand on it: "web1" ("/clones/web1/web1.vmx"), "web2" ("D:\web2\web2.vmx", not found)
    delete "/vms/web/web.vmx" with its disks, 6 GiB? [y/N] error: nothing was deleted
    --- Cancelled
    "#);
    assert!(fake.calls().is_empty());
    let ended = call_with(&fake, &["delete", "/clones/web1.vmx"], Some("Yes\n"));
    assert_eq!(ended.exit, Exit::Done);
    assert_eq!(fake.calls().len(), 1);
}

#[test]
fn help_names_commands_and_exit_codes() {
    let ended = call(&Fake::default(), &["--help"]);
    assert_eq!(ended.exit, Exit::Done);
    for word in ["snapshot", "clone", "--json", "--allow", "Exit codes:"] {
        assert!(ended.out.contains(word), "{word} in {}", ended.out);
    }
}

#[test]
fn plan_is_carried_out_only_where_the_user_says_yes() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join(".new-new.replix-0123456789abcdef");
    std::fs::create_dir(&left).unwrap();
    let path = folder.path().to_str().unwrap();
    for command in ["repair", "gc"] {
        let ended = call_with(&Fake::default(), &[command, path], Some("n\n"));
        assert_eq!(ended.exit, Exit::Cancelled, "{}", ended.err);
        assert!(ended.out.starts_with("plan: remove \""), "{}", ended.out);
        assert!(
            ended.err.contains("the plan was not carried out"),
            "{}",
            ended.err
        );
        let ended = call(&Fake::default(), &[command, path]);
        assert_eq!(ended.exit, Exit::Usage);
        assert!(left.exists());
    }
    let ended = call_with(&Fake::default(), &["repair", path], Some("yes\n"));
    assert_eq!(ended.exit, Exit::Done, "{}", ended.err);
    assert!(
        ended.out.contains("done: \"") && !left.exists(),
        "{}",
        ended.out
    );
}

#[test]
fn plan_of_many_steps_is_told_in_short() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..25 {
        let name = format!(".new-new.replix-{number:016x}");
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let each = call(&Fake::default(), &["repair", "--dry-run", "--each", path]);
    assert_eq!(each.out.matches("plan: remove \"").count(), 25);
    let ended = call(&Fake::default(), &["repair", "--yes", path]);
    insta::assert_snapshot!(ended.out, @r"
    plan: remove 25 unfinished files and folders
    done: remove 25 unfinished files and folders
    0 VMs: no damage found
    ");
}
