//! Whole calls of `vmrun` against a host that remembers.

mod devices;
mod guest;

use std::ffi::OsString;

use replix::Kind;

use crate::fake::Fake;

const VM: &str = "/vms/web/web.vmx";

fn call(fake: &Fake, words: &[&str]) -> (String, u8) {
    let words = words.iter().map(OsString::from);
    let output = super::run(words, &fake.connect());
    (String::from_utf8(output.text).unwrap(), output.status)
}

/// Runs a call that must succeed and print nothing; returns what the host was asked to do.
fn silent(words: &[&str]) -> String {
    let fake = Fake::default();
    assert_eq!(call(&fake, words), (String::new(), 0), "{words:?}");
    fake.calls().join("\n")
}

/// Runs a call that must fail; returns its line.
fn failed(fake: &Fake, words: &[&str]) -> String {
    let (text, status) = call(fake, words);
    assert_eq!(status, 255, "{words:?}: {text}");
    text
}

#[test]
fn list_counts_its_lines() {
    let (text, status) = call(&Fake::default(), &["-T", "ws", "list"]);
    assert_eq!(status, 0);
    assert_eq!(
        text,
        "Total running VMs: 2\n/vms/web/web.vmx\n/vms/b c/b.vmx\n"
    );
}

#[test]
fn snapshots_are_listed_flat_and_as_tree() {
    let fake = Fake::default();
    let flat = call(&fake, &["listSnapshots", VM]).0;
    assert_eq!(flat, "Total snapshots: 2\nbase\nafter setup\n");
    let tree = call(&fake, &["listsnapshots", VM, "showTree"]).0;
    assert_eq!(tree, "Total snapshots: 2\nbase\n\tafter setup\n");
}

#[test]
fn commands_do_what_they_say_and_print_nothing() {
    let asked = [
        silent(&["snapshot", VM, "my base"]),
        silent(&["revertToSnapshot", VM, "a/b"]),
        silent(&["deleteSnapshot", VM, "a"]),
        silent(&["deleteSnapshot", VM, "a", "andDeleteChildren"]),
        silent(&["start", VM]),
        silent(&["start", VM, "nogui"]),
        silent(&["stop", VM]),
        silent(&["stop", VM, "hard nogui"]),
        silent(&["deleteVM", VM, "nogui"]),
        silent(&["unregister", VM]),
    ];
    insta::assert_snapshot!(asked.join("\n"), @r#"
    create NewSnapshot { name: "my base", description: "", with_memory: true }
    revert RevertSpec { snapshot: Name("a/b"), without_memory: false, suspended: true, start: StartSpec { gui: false, paused: false, vnc: None } }
    remove Name("a"), children: false
    remove Name("a"), children: true
    start /vms/web/web.vmx StartSpec { gui: true, paused: false, vnc: None }
    start /vms/web/web.vmx StartSpec { gui: false, paused: false, vnc: None }
    stop Soft
    stop Hard
    delete DeleteSpec { disks: true, force: false }
    unregister /vms/web/web.vmx
    "#);
}

#[test]
fn clone_is_full_or_linked() {
    let linked = ["linked", "-snapshot=base", "-cloneName=A b"];
    let linked = [&["clone", VM, "/clones/a/a.vmx"], &linked[..]].concat();
    insta::assert_snapshot!(silent(&linked), @r#"clone CloneSpec { kind: Linked, destination: "/clones/a/a.vmx", snapshot: Some(Name("base")), name: Some("A b"), keep_identity: false, without_memory: false, base: New }"#);
    insta::assert_snapshot!(silent(&["clone", VM, "/clones/a/a.vmx", "FULL"]), @r#"clone CloneSpec { kind: Full, destination: "/clones/a/a.vmx", snapshot: None, name: None, keep_identity: false, without_memory: false, base: New }"#);
}

#[test]
fn vm_is_named_as_it_was_given() {
    let fake = Fake::default();
    assert_eq!(
        failed(&fake, &["start", "/vms/none.vmx"]),
        "Error: Cannot open VM: /vms/none.vmx, The virtual machine cannot be found\n"
    );
    assert_eq!(
        failed(&fake, &["start", "nogui", VM]),
        "Error: Cannot open VM: nogui, unknown file suffix\n"
    );
    let off = Fake::failing(Kind::VmNotRunning);
    assert_eq!(
        failed(&off, &["stop", VM, "hard"]),
        "Error: The virtual machine is not powered on: /vms/web/web.vmx\n"
    );
    let here = std::env::current_dir().unwrap();
    assert_eq!(
        failed(&off, &["stop", "./web.vmx"]),
        format!(
            "Error: The virtual machine is not powered on: {}/web.vmx\n",
            here.display()
        )
    );
}

#[test]
fn unknown_snapshot_has_its_own_words_in_clone() {
    let fake = Fake::failing(Kind::SnapshotNotFound);
    assert_eq!(
        failed(
            &fake,
            &["clone", VM, "/clones/a.vmx", "full", "-snapshot=x y"]
        ),
        "Error: Invalid snapshot name 'x y'\n"
    );
    assert_eq!(
        failed(&fake, &["revertToSnapshot", VM, "x"]),
        "Error: The snapshot does not exist\n"
    );
}

#[test]
fn wrong_calls_are_told_so() {
    let fake = Fake::default();
    let lines = [
        failed(&fake, &["fly", VM]),
        failed(&fake, &["start"]),
        failed(&fake, &["start", ""]),
        failed(&fake, &["snapshot", VM]),
        failed(&fake, &["clone", VM, "/clones/a.vmx", "thin"]),
        failed(&fake, &["clone", VM, "/clones/a.vmx", "full", "-snapshot"]),
        failed(&fake, &["beginReplay", VM, "x"]),
        failed(&fake, &["-h", "esx1", "list"]),
    ];
    insta::assert_snapshot!(lines.concat(), @"
    Error: Unrecognized command: fly
    Error: No Vm name provided
    Error: No Vm name provided
    Error: The parameter NAME is missing
    Error: The clone type must be full or linked, not 'thin'
    Error: The value of -snapshot is missing
    Error: The operation is not supported for the specified parameters
    Error: The operation is not supported for the specified parameters: the host esx1 is not this machine
    ");
    assert!(fake.calls().is_empty());
}

#[test]
fn help_is_a_failure() {
    let fake = Fake::default();
    let help = failed(&fake, &[]);
    assert!(help.starts_with("vmrun version 1.17.0 build-"));
    assert_eq!(
        failed(&fake, &["--help"]),
        format!("Invalid argument: --help\n{help}")
    );
}
