//! `vmrun`: how it is called, rightly and wrongly.

use crate::library::Library;

#[test]
fn help_is_printed_and_fails() {
    let library = Library::new();
    let help = library.vmrun(&[]);
    assert_eq!(help.code, Some(255));
    let mut lines = help.out.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("vmrun version 1.17.0 build-")
    );
    assert_eq!(lines.next(), Some(""));
    assert_eq!(
        lines.next(),
        Some("Usage: vmrun [AUTHENTICATION-FLAGS] COMMAND [PARAMETERS]")
    );
    for (words, said) in [
        (&["--help"][..], "Invalid argument: --help\n"),
        (&["-T", "ws", "-x", "list"], "Invalid argument: -x\n"),
        (&["-T", "ws"], ""),
    ] {
        let wrong = library.vmrun(words);
        assert_eq!(wrong.code, Some(255));
        assert_eq!(wrong.out, format!("{said}{}", help.out), "{words:?}");
    }
}

#[test]
fn wrong_words_are_told_in_one_line() {
    let library = Library::with_base();
    let lines = [
        library.refused(&["fly", "base/base.vmx"]),
        library.refused(&[""]),
        library.refused(&["list2"]),
        library.refused(&["snapshot"]),
        library.refused(&["snapshot", ""]),
        library.refused(&["snapshot", "base/base.vmx"]),
        library.refused(&["snapshot", "base/base.vmx", ""]),
        library.refused(&["revertToSnapshot", "base/base.vmx"]),
        library.refused(&["deleteSnapshot", "base/base.vmx"]),
        library.refused(&["listSnapshots"]),
        library.refused(&["deleteVM"]),
        library.refused(&["start"]),
        library.refused(&["stop"]),
        library.refused(&["clone"]),
        library.refused(&["clone", "base/base.vmx"]),
        library.refused(&["clone", "base/base.vmx", "", "full"]),
        library.refused(&["clone", "base/base.vmx", "web/web.vmx"]),
        library.refused(&["clone", "base/base.vmx", "web/web.vmx", "thin"]),
        library.refused(&["clone", "base/base.vmx", "web/web.vmx", ""]),
        library.refused(&["clone", "base/base.vmx", "web/web.vmx", "full", "-snapshot"]),
        library.refused(&[
            "clone",
            "base/base.vmx",
            "web/web.vmx",
            "full",
            "-cloneName",
        ]),
    ];
    insta::assert_snapshot!(lines.concat(), @"
    Error: Unrecognized command: fly
    Error: Unrecognized command: 
    Error: Unrecognized command: list2
    Error: No Vm name provided
    Error: No Vm name provided
    Error: The parameter NAME is missing
    Error: The parameter NAME is missing
    Error: The parameter NAME is missing
    Error: The parameter NAME is missing
    Error: No Vm name provided
    Error: No Vm name provided
    Error: No Vm name provided
    Error: No Vm name provided
    Error: No Vm name provided
    Error: The parameter DESTVMX is missing
    Error: The parameter DESTVMX is missing
    Error: The parameter full|linked is missing
    Error: The clone type must be full or linked, not 'thin'
    Error: The clone type must be full or linked, not ''
    Error: The value of -snapshot is missing
    Error: The value of -cloneName is missing
    ");
}

#[test]
fn word_that_is_no_vm_is_named() {
    let library = Library::with_base();
    for command in ["start", "stop", "listSnapshots", "deleteVM"] {
        let line = library.refused(&[command, "nogui", "base/base.vmx"]);
        assert_eq!(line, "Error: Cannot open VM: nogui, unknown file suffix\n");
    }
    let lines = [
        library.refused(&["listSnapshots", "base/base.vmdk"]),
        library.refused(&["listSnapshots", "base"]),
        library.refused(&["listSnapshots", "none.vmx"]),
        library.refused(&["listSnapshots", "/none/none.vmx"]),
        library.refused(&["snapshot", "base/../none.vmx", "s"]),
        library.refused(&["clone", "none.vmx", "web/web.vmx", "full"]),
        library.refused(&["listSnapshots", "base/base.vmdk/x.vmx"]),
    ];
    insta::assert_snapshot!(lines.concat(), @"
    Error: Cannot open VM: base/base.vmdk, unknown file suffix
    Error: Cannot open VM: base, unknown file suffix
    Error: Cannot open VM: /vms/none.vmx, The virtual machine cannot be found
    Error: Cannot open VM: /none/none.vmx, The virtual machine cannot be found
    Error: Cannot open VM: /vms/base/../none.vmx, The virtual machine cannot be found
    Error: Cannot open VM: /vms/none.vmx, The virtual machine cannot be found
    Error: Cannot open VM: /vms/base/base.vmdk/x.vmx, The virtual machine cannot be found
    ");
}

#[test]
fn flags_stand_before_the_command() {
    let library = Library::with_base();
    let list = "Total snapshots: 0\n";
    for flags in [
        &["-T", "ws"][..],
        &["-T", "player"],
        &["-T", "fusion"],
        &["-T", "nonsense"],
        &["-T", "ws", "-gu", "", "-gp", ""],
        &["-gu", "-gp"],
        &["-h", "localhost", "-P", "8333", "-u", "me", "-p", "pw"],
        &["-h", "https://127.0.0.1:8333/sdk", "-vp", "secret"],
    ] {
        let words = [flags, &["listSnapshots", "base/base.vmx"]].concat();
        assert_eq!(library.vmrun(&words).out, list, "{flags:?}");
    }
    let line = library.refused(&["-h", "esx1", "listSnapshots", "base/base.vmx"]);
    insta::assert_snapshot!(line, @"Error: The operation is not supported for the specified parameters: the host esx1 is not this machine");
}

#[test]
fn commands_are_known_in_any_case() {
    let library = Library::with_base();
    library.silent(&["SNAPSHOT", "base/base.vmx", "a"]);
    library.silent(&["reverttosnapshot", "base/base.vmx", "a"]);
    let list = library.vmrun(&["ListSnapshots", "base/base.vmx", "SHOWTREE"]);
    assert_eq!(list.out, "Total snapshots: 1\na\n");
}

#[test]
fn what_is_not_done_yet_says_so() {
    let library = Library::with_base();
    let line = "Error: The operation is not supported for the specified parameters\n";
    for words in [
        &["pause", "base/base.vmx"][..],
        &["suspend", "base/base.vmx", "soft"],
        &["reset", "base/base.vmx"],
        &["listProcessesInGuest", "base/base.vmx"],
        &["installTools", "base/base.vmx"],
        &["listHostNetworks"],
        &["beginReplay", "base/base.vmx", "x"],
        &["downloadPhotonVM", "/tmp"],
    ] {
        assert_eq!(library.refused(words), line, "{words:?}");
    }
    library.silent(&["register", "base/base.vmx"]);
    library.silent(&["unregister", "base/base.vmx"]);
}

#[test]
fn senseless_setting_is_not_passed_over() {
    let library = Library::with_base();
    library.set("lock.seconds = \"soon\"\n");
    insta::assert_snapshot!(library.refused(&["listSnapshots", "base/base.vmx"]), @r#"Error: "/settings": lock.seconds cannot be "soon""#);
}
