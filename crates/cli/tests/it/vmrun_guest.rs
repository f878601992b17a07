//! `vmrun`'s guest commands where no guest can be asked; answers of guests are in the unit tests.

use crate::library::Library;

const VMX: &str = "base/base.vmx";

/// One right call of each guest command, without flags and VM.
const CALLS: &[&[&str]] = &[
    &["runProgramInGuest", VMX, "/bin/ls"],
    &[
        "runProgramInGuest",
        VMX,
        "-noWait",
        "-activeWindow",
        "-interactive",
        "/bin/ls",
        "-l",
    ],
    &["runScriptInGuest", VMX, "/bin/sh", "ls"],
    &["runScriptInGuest", VMX, "-noWait", "", "dir"],
    &["fileExistsInGuest", VMX, "/etc/passwd"],
    &["directoryExistsInGuest", VMX, "/etc"],
    &["listProcessesInGuest", VMX],
    &["killProcessInGuest", VMX, "7"],
    &["deleteFileInGuest", VMX, "/tmp/a"],
    &["createDirectoryInGuest", VMX, "/tmp/a"],
    &["deleteDirectoryInGuest", VMX, "/tmp/a"],
    &["CreateTempfileInGuest", VMX],
    &["createTempFileInGuest", VMX],
    &["listDirectoryInGuest", VMX, "/"],
    &["CopyFileFromHostToGuest", VMX, "base/base.vmx", "/tmp/a"],
    &["copyFileFromGuestToHost", VMX, "/tmp/a", "a"],
    &["renameFileInGuest", VMX, "/tmp/a", "/tmp/b"],
    &["captureScreen", VMX, "a.png"],
    &["readVariable", VMX, "guestEnv", "PATH"],
    &["writeVariable", VMX, "guestEnv", "A", "b"],
    &["installTools", VMX],
    &["installtools", VMX],
];

/// The same of those that change what is shared with a guest, now or later.
const SHARING: &[&[&str]] = &[
    &["enableSharedFolders", VMX],
    &["disableSharedFolders", VMX],
    &["addSharedFolder", VMX, "-vagrant", "/srv"],
    &["setSharedFolderState", VMX, "-vagrant", "/srv", "readonly"],
    &["removeSharedFolder", VMX, "-vagrant"],
];

#[test]
fn guest_of_a_vm_that_is_off_is_not_asked() {
    let library = Library::with_base();
    let wanted = "Error: The virtual machine is not powered on: /vms/base/base.vmx\n";
    for words in CALLS {
        assert_eq!(library.refused(words), wanted, "{words:?}");
        let login = [&["-T", "ws", "-gu", "me", "-gp", "pw"], *words].concat();
        assert_eq!(library.refused(&login), wanted, "{words:?}");
    }
}

#[test]
fn guest_of_a_missing_vm_is_not_found() {
    let library = Library::new();
    for words in CALLS.iter().chain(SHARING) {
        let line = library.refused(words);
        let wanted = "/vms/base/base.vmx, The virtual machine cannot be found\n";
        assert_eq!(
            line,
            format!("Error: Cannot open VM: {wanted}"),
            "{words:?}"
        );
    }
}

#[test]
fn guest_commands_want_all_their_words() {
    let library = Library::with_base();
    let mut lines = String::new();
    for words in CALLS.iter().chain(SHARING) {
        if words[words.len() - 1] != VMX && !words.contains(&"runtime") && !words.contains(&"-l") {
            lines += &library.refused(&words[..words.len() - 1]);
        }
    }
    insta::assert_snapshot!(lines, @"
    Error: The parameter PROGRAM is missing
    Error: The parameter TEXT is missing
    Error: The parameter TEXT is missing
    Error: The parameter PATH is missing
    Error: The parameter PATH is missing
    Error: The parameter PID is missing
    Error: The parameter PATH is missing
    Error: The parameter PATH is missing
    Error: The parameter PATH is missing
    Error: The parameter PATH is missing
    Error: The parameter GUESTPATH is missing
    Error: The parameter HOSTPATH is missing
    Error: The parameter NEW is missing
    Error: The parameter HOSTPATH is missing
    Error: The parameter NAME is missing
    Error: The parameter VALUE is missing
    Error: The parameter HOSTPATH is missing
    Error: The parameter writable|readonly is missing
    Error: The parameter SHARE is missing
    ");
}
