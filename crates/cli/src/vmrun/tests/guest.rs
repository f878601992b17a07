//! Commands about the guest: what the host is asked, and the answer's form.

use replix::Kind;

use super::{VM, call, failed, silent};
use crate::fake::Fake;

/// What is printed by a command with an account in the guest; it must succeed.
fn said(words: &[&str]) -> String {
    let words = [&["-gu", "me", "-gp", "secret"], words].concat();
    let (text, status) = call(&Fake::running(0), &words);
    assert_eq!(status, 0, "{words:?}: {text}");
    text
}

#[test]
fn silent_commands_ask_and_print_nothing() {
    let asked = [
        silent(&["deleteFileInGuest", VM, "/a b"]),
        silent(&["createDirectoryInGuest", VM, "/d"]),
        silent(&["deleteDirectoryInGuest", VM, "/d"]),
        silent(&["renameFileInGuest", VM, "/a", "/b"]),
        silent(&["killProcessInGuest", VM, "345"]),
        silent(&["copyFileFromHostToGuest", VM, "/h/a", "/g/a"]),
        silent(&["CopyFileFromGuestToHost", VM, "/g/a", "/h/a"]),
        silent(&["enableSharedFolders", VM, "runtime"]),
        silent(&["disableSharedFolders", VM]),
        silent(&["addSharedFolder", VM, "-vagrant", "/srv"]),
        silent(&["setSharedFolderState", VM, "s", "/srv", "readonly"]),
        silent(&["removeSharedFolder", VM, "-vagrant"]),
        silent(&["installtools", VM]),
        silent(&["writeVariable", VM, "guestEnv", "A", ""]),
    ];
    insta::assert_snapshot!(asked.join("\n"), @r#"
    DeleteFile { path: "/a b" } as None
    CreateDirectory { path: "/d" } as None
    DeleteDirectory { path: "/d" } as None
    Rename { from: "/a", to: "/b" } as None
    KillProcess { pid: 345 } as None
    CopyToGuest { from: "/h/a", to: "/g/a" } as None
    CopyFromGuest { from: "/g/a", to: "/h/a" } as None
    EnableSharedFolders { enabled: true, runtime: true } as None
    EnableSharedFolders { enabled: false, runtime: false } as None
    AddSharedFolder { name: "-vagrant", host_path: "/srv", writable: true } as None
    SetSharedFolder { name: "s", host_path: "/srv", writable: false } as None
    RemoveSharedFolder { name: "-vagrant" } as None
    InstallTools { auto_upgrade: false, return_immediately: true, arguments: None } as None
    WriteEnvironment { name: "A", value: "" } as None
    "#);
}

#[test]
fn answers_are_in_vmwares_words() {
    let answers = [
        said(&["fileExistsInGuest", VM, "/there"]),
        said(&["fileExistsInGuest", VM, "/gone"]),
        said(&["directoryExistsInGuest", VM, "/there"]),
        said(&["directoryExistsInGuest", VM, "/gone"]),
        said(&["createTempFileInGuest", VM]),
        said(&["listDirectoryInGuest", VM, "/"]),
        said(&["listProcessesInGuest", VM]),
        said(&["readVariable", VM, "guestEnv", "PATH"]),
        said(&["checkToolsState", VM]),
    ];
    insta::assert_snapshot!(answers.concat(), @r"
    The file exists.
    The file does not exist.
    The directory exists.
    The directory does not exist.
    /tmp/vmware-7
    Directory list: 2
    a b
    c\u{a}d
    Process list: 2
    pid=1, owner=root, cmd=/sbin/init
    pid=345, owner=me, cmd=odd\u{1b}[2J -D\u{a}x
    /bin:\u{1b}
    /usr/bin
    running
    ");
}

#[test]
fn programs_are_run_as_they_were_typed() {
    let asked = [
        silent(&["-gu", "me", "-gp", "pw", "runProgramInGuest", VM, "/bin/ls"]),
        silent(&[
            "runProgramInGuest",
            VM,
            "-noWait",
            "-interactive",
            "C:\\a b.exe",
            "/C dir",
        ]),
        silent(&[
            "-gu",
            "me",
            "runprograminguest",
            VM,
            "-interactive",
            "-activateWindow",
            "/x",
            "-c",
            "a b",
        ]),
        silent(&[
            "runScriptInGuest",
            VM,
            "-nowait",
            "/bin/sh",
            "echo $A\nexit 1",
        ]),
        silent(&["runScriptInGuest", VM, "", "dir"]),
    ];
    insta::assert_snapshot!(asked.join("\n"), @r#"
    RunProgram { program: "/bin/ls", arguments: "", return_immediately: false, activate_window: false } as Some(Login { user: "me", interactive: false, .. })
    RunProgram { program: "C:\\a b.exe", arguments: "/C dir", return_immediately: true, activate_window: false } as None
    RunProgram { program: "/x", arguments: "-c \"a b\"", return_immediately: false, activate_window: true } as Some(Login { user: "me", interactive: true, .. })
    RunScript { interpreter: Some("/bin/sh"), text: "echo $A\nexit 1", return_immediately: true, activate_window: false } as None
    RunScript { interpreter: None, text: "dir", return_immediately: false, activate_window: false } as None
    "#);
}

#[test]
fn exit_status_of_a_program_comes_through() {
    for (code, status) in [(1, 1), (255, 255), (256, 255), (-1, 255)] {
        let answer = call(
            &Fake::running(code),
            &["runProgramInGuest", VM, "/bin/false"],
        );
        let line = format!("Guest program exited with non-zero exit code: {code}\n");
        assert_eq!(answer, (line, status));
    }
}

#[test]
fn tools_of_a_vm_that_is_off_are_unknown() {
    let off = call(&Fake::default(), &["checkToolsState", VM]);
    assert_eq!(off, ("unknown\n".into(), 254));
}

#[test]
fn screen_is_written_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.png");
    silent(&["captureScreen", VM, file.to_str().unwrap()]);
    assert_eq!(std::fs::read(&file).unwrap(), b"PNG");
    let nowhere = folder.path().join("none/a.png");
    let line = failed(
        &Fake::default(),
        &["captureScreen", VM, nowhere.to_str().unwrap()],
    );
    assert!(line.starts_with("Error: A file was not found: "), "{line}");
}

#[test]
fn wrong_guest_calls_are_told_so() {
    let fake = Fake::default();
    let lines = [
        failed(&fake, &["runProgramInGuest"]),
        failed(&fake, &["runProgramInGuest", VM]),
        failed(&fake, &["runProgramInGuest", VM, "-noWait"]),
        failed(&fake, &["runScriptInGuest", VM, "-noWait"]),
        failed(&fake, &["runScriptInGuest", VM, "/bin/sh"]),
        failed(&fake, &["killProcessInGuest", VM, "init"]),
        failed(&fake, &["setSharedFolderState", VM, "s", "/srv"]),
        failed(&fake, &["setSharedFolderState", VM, "s", "/srv", "rw"]),
        failed(&fake, &["fileExistsInGuest", VM, ""]),
        failed(&fake, &["copyFileFromHostToGuest", VM, "/a"]),
        failed(&fake, &["readVariable", VM]),
        failed(&fake, &["readVariable", VM, "guestVar"]),
        failed(&fake, &["writeVariable", VM, "runtimeConfig", "a"]),
    ];
    insta::assert_snapshot!(lines.concat(), @"
    Error: No Vm name provided
    Error: The parameter PROGRAM is missing
    Error: The parameter PROGRAM is missing
    Error: The parameter INTERPRETER is missing
    Error: The parameter TEXT is missing
    Error: 'init' is no number of a process
    Error: The parameter writable|readonly is missing
    Error: A shared folder must be writable or readonly, not 'rw'
    Error: The parameter PATH is missing
    Error: The parameter GUESTPATH is missing
    Error: The parameter NAME is missing
    Error: The parameter NAME is missing
    Error: The parameter VALUE is missing
    ");
    assert!(fake.calls().is_empty());
}

#[test]
fn engines_refusals_are_in_vmwares_words() {
    let line = |kind| failed(&Fake::failing(kind), &["listProcessesInGuest", VM]);
    let kinds = [
        Kind::VmNotRunning,
        Kind::ToolsNotRunning,
        Kind::NotSupported,
    ];
    insta::assert_snapshot!(kinds.map(line).concat(), @"
    Error: The virtual machine is not powered on: /vms/web/web.vmx
    Error: The VMware Tools are not running in the virtual machine: /vms/web/web.vmx
    Error: The operation is not supported for the specified parameters: why it failed
    ");
}
