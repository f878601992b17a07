//! `replix`: wrong calls, help, and answers as JSON.

use crate::library::{Library, Program};

#[test]
fn wrong_calls_are_usage_errors() {
    let library = Library::with_base();
    let mut all = String::new();
    for words in [
        &["fly"][..],
        &["info"],
        &["clone", "base"],
        &["clone", "base", "web", "--count", "0"],
        &["clone", "base", "/"],
        &["clone", "base", "web", "--start", "--dry-run"],
        &["snapshot"],
        &["snapshot", "base"],
        &["disk"],
        &["info", "base", "--color"],
    ] {
        let said = library.replix(words);
        assert_eq!(said.code, Some(2), "{words:?}");
        assert_eq!(said.out, "");
        all += said.err.lines().next().unwrap();
        all += "\n";
    }
    insta::assert_snapshot!(all, @"
    error: unrecognized subcommand 'fly'
    error: the following required arguments were not provided:
    error: the following required arguments were not provided:
    error: invalid value '0' for '--count <N>': 0 is not in 1..=4294967295
    error: the destination must end in the name of a folder or a .vmx
    error: the argument '--start' cannot be used with '--dry-run'
    error: the following required arguments were not provided:
    error: the following required arguments were not provided:
    Look into virtual disks, make, change and mend them
    error: unexpected argument '--color' found
    ");
    insta::assert_snapshot!(library.replix(&["clone", "base", "--json"]), @r#"
    {
      "error": {
        "hint": null,
        "kind": "Usage",
        "message": "the following required arguments were not provided:\n  <DEST>\n\nUsage: replix clone --json <VMX> <DEST>\n\nFor more information, try '--help'.",
        "path": null
      },
      "warnings": []
    }
    --- exit 2
    "#);
}

#[test]
fn help_is_no_failure() {
    let library = Library::new();
    for words in [
        &["--help"][..],
        &["help", "clone"],
        &["clone", "-h"],
        &["--version"],
    ] {
        let said = library.replix(words);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{words:?}");
        assert!(!said.out.is_empty());
    }
    insta::assert_snapshot!(library.shown(&["--help"]), @"
    Opens VMware virtual machines as they lie on disk: clones them, takes snapshots of them, runs them
    on QEMU

    Usage: replix [OPTIONS] <COMMAND>

    Commands:
      info         Show what a VM is: hardware, disks, network, snapshots, state, and what is wrong with
                   it
      tree         Show a VM's snapshots and linked clones as a tree, with the disk space of each
      clone        Clone a VM
      promote      Make a linked clone independent of the VM that it stands on
      relink       Hang a linked clone on its parent again, which was moved, renamed or copied
      snapshot     Take, list, go back to or remove snapshots
      consolidate  Merge the disks of a VM that neither a state of it nor a linked clone needs
      disk         Look into virtual disks, make, change and mend them
      check        Look at the VMs of some folders together: what is lost, moved or changed, and whose
                   the space is
      repair       Mend what `check` found, where the files themselves prove what is right
      gc           Give back space: snapshots made for clones that are gone, disks and memory that
                   nothing needs, unfinished files
      start        Power a VM on, or resume it if it is suspended
      stop         Power a VM off: its guest is asked to shut down
      list         List the VMs that run here
      console      Be at the serial port of a running VM, or see where its screen is
      ip           Show the address that a VM's guest has on a network of this host
      network      Make, remove or list the networks that VMs share with this host
      pool         Keep linked clones ready, and hand them out one by one
      delete       Delete a VM: its own files, never the disks that it shares
      serve        Serve this user's programs that cannot use the engine themselves, VixCOM above all
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Options of all commands:
          --json         Print one JSON object on stdout, and nothing for people
      -q, --quiet        Show no progress and no confirmations; warnings and errors stay
          --allow <DIR>  A folder outside the VM's own that its files may reach into; may be repeated

    Exit codes:
        0  done
        1  the operation failed, a check found damage, or disks compared differ
        2  the call was wrong, or disks could not be compared
      130  cancelled (Ctrl-C once: cleans up and ends; twice: ends at once)
    ");
}

#[test]
fn empty_call_shows_help() {
    let library = Library::new();
    let said = library.replix(&[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("Usage: replix"));
}

#[test]
fn every_answer_is_one_json_object() {
    let library = Library::with_base();
    for words in [
        &["info", "base"][..],
        &["info", "none"],
        &["tree", "base"],
        &["snapshot", "base", "s"],
        &["snapshot", "list", "base"],
        &["snapshot", "revert", "base", "s"],
        &["snapshot", "revert", "base", "t"],
        &["consolidate", "base"],
        &["disk", "info", "base/base.vmdk"],
        &["disk", "map", "base/base.vmdk"],
        &["disk", "check", "base/base.vmdk"],
        &["disk", "info", "none.vmdk"],
        &["clone", "base", "web", "--linked"],
        &["clone", "base", "web", "--linked"],
        &["clone", "base", "web2", "--dry-run"],
        &["relink", "web"],
        &["promote", "web"],
        &["stop", "base"],
        &["list"],
        &["delete", "base", "--yes"],
        &["delete", "web", "--yes"],
        &["clone"],
    ] {
        let (code, answer) = library.json(words);
        assert!(answer["warnings"].is_array(), "{words:?}: {answer}");
        assert_eq!(
            answer["error"].is_object(),
            code != Some(0),
            "{words:?}: {answer}"
        );
    }
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let library = Library::with_base();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut call = library.program(Program::Replix);
    let status = call.args(["info", "base"]).stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let library = Library::with_base();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut call = library.program(Program::Replix);
    let output = call.args(["info", "base"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    insta::assert_snapshot!(err, @"error: cannot write the output: No space left on device (os error 28)");
}
