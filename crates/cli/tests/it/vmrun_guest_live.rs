//! `vmrun`'s guest commands in a guest that answers: every one, right and wrong use, what is printed and
//! the exit status. One guest, booted once, answers all.

use std::fmt::Write;

use crate::guests::{await_tools, with_guest};
use crate::library::Library;
use crate::running::Running;

const VMX: &str = "base/base.vmx";

/// What everybody is told who is not let in.
const STRANGER: &str = "Error: Invalid user name or password for the guest OS\n";

/// What users typed and saw.
struct Transcript<'a> {
    library: &'a Library,
    text: String,
}

impl<'a> Transcript<'a> {
    fn new(library: &'a Library) -> Self {
        let text = String::new();
        Self { library, text }
    }

    /// Has a command done by a user of the guest, with its own password; returns what was printed.
    fn by(&mut self, user: &str, words: &[&str]) -> String {
        self.with(user, &format!("{user}-secret"), words)
    }

    /// The same with any password.
    fn with(&mut self, user: &str, password: &str, words: &[&str]) -> String {
        self.call(&["-T", "ws", "-gu", user, "-gp", password], words)
    }

    /// Has a command done, with flags before it and the VM behind it.
    fn call(&mut self, flags: &[&str], words: &[&str]) -> String {
        let call = [flags, &[words[0], VMX], &words[1..]].concat();
        let said = self.library.vmrun(&call);
        let shown = words.join(" ");
        // Rust's snapshots are indented by blanks.
        let out = said.out.replace('\t', "\\t");
        writeln!(self.text, "> {shown}\n{out}= {}", said.code.unwrap()).unwrap();
        said.out
    }

    /// All of it since the last time.
    fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

#[test]
fn guest_commands_on_a_guest_that_answers() {
    let Some(library) = with_guest("nat") else {
        return;
    };
    let _running = Running::start(&library, VMX);
    let mut seen = Transcript::new(&library);

    // Before there is an agent.
    seen.by("bob", &["listProcessesInGuest"]);
    seen.by("bob", &["fileExistsInGuest", "/etc/passwd"]);
    seen.call(&[], &["getGuestIPAddress"]);
    seen.call(&[], &["checkToolsState"]);
    insta::assert_snapshot!(seen.take(), @"
    > listProcessesInGuest
    Error: The VMware Tools are not running in the virtual machine: /vms/base/base.vmx
    = 255
    > fileExistsInGuest /etc/passwd
    Error: The VMware Tools are not running in the virtual machine: /vms/base/base.vmx
    = 255
    > getGuestIPAddress
    Error: Unable to get the IP address
    = 255
    > checkToolsState
    unknown
    = 0
    ");
    await_tools(&library, VMX);

    logins(&mut seen);
    programs(&mut seen);
    files(&mut seen);
    copies(&mut seen);
    processes(&mut seen);
    rest(&mut seen);
}

/// Who is let in, and who is not: all of these in the same words.
fn logins(seen: &mut Transcript) {
    let words = ["directoryExistsInGuest", "/home"];
    for user in ["root", "alice", "bob", "carol", "dave"] {
        assert_eq!(seen.by(user, &words), "The directory exists.\n", "{user}");
    }
    let locked = ["locked", "expired", "stale", "aged", "nologin", "strange"];
    let locked = locked.map(|user| (user, "locked-secret"));
    let wrong = [
        ("bob", "wrong"),
        ("bob", ""),
        ("bob", "alice-secret"),
        ("nemo", "x"),
        ("empty", ""),
        ("star", "*"),
    ];
    for (user, password) in wrong.into_iter().chain(locked) {
        assert_eq!(seen.with(user, password, &words), STRANGER, "{user}");
    }
    let flags: [&[&str]; 4] = [
        &[],
        &["-gu", "bob"],
        &["-gp", "bob-secret"],
        &["-gu", "", "-gp", ""],
    ];
    for flags in flags {
        assert_eq!(seen.call(flags, &words), STRANGER, "{flags:?}");
    }
    assert!(seen.take().ends_with("= 255\n"));
}

fn programs(seen: &mut Transcript) {
    let program = "runProgramInGuest";
    seen.by("bob", &[program, "/bin/true"]);
    seen.by("bob", &[program, "/bin/false"]);
    seen.by("bob", &[program, "/bin/sh", "-c", "exit 42"]);
    seen.by("bob", &[program, "/bin/sh", "-c", "kill -9 $$"]);
    seen.by("bob", &[program, "/bin/sh", "-c 'test $(id -un) = bob'"]);
    seen.by("bob", &[program, "-activeWindow", "/bin/true"]);
    seen.by("bob", &[program, "-noWait", "/bin/sleep", "605"]);
    seen.by("bob", &[program, "-interactive", "/bin/true"]);
    seen.by("bob", &[program, "/no/such/program"]);
    seen.by("bob", &[program, "/etc/passwd"]);
    seen.by("bob", &[program, "/etc"]);
    seen.by("bob", &[program, "relative"]);
    seen.by("bob", &[program, "-noWait"]);
    let script = "runScriptInGuest";
    seen.by("bob", &[script, "/bin/sh", "echo said >/home/bob/said"]);
    seen.by("bob", &[script, "", "test -s /home/bob/said"]);
    seen.by("bob", &[script, "/bin/sh", "exit 3"]);
    seen.by("bob", &[script, "/no/such/shell", "exit 3"]);
    seen.by("bob", &[script, "-noWait", "/bin/sh", "sleep 606"]);
    seen.by("bob", &[script, "/bin/sh"]);
    insta::assert_snapshot!(seen.take(), @r#"
    > runProgramInGuest /bin/true
    = 0
    > runProgramInGuest /bin/false
    Guest program exited with non-zero exit code: 1
    = 1
    > runProgramInGuest /bin/sh -c exit 42
    Guest program exited with non-zero exit code: 42
    = 42
    > runProgramInGuest /bin/sh -c kill -9 $$
    Guest program exited with non-zero exit code: 137
    = 137
    > runProgramInGuest /bin/sh -c 'test $(id -un) = bob'
    = 0
    > runProgramInGuest -activeWindow /bin/true
    = 0
    > runProgramInGuest -noWait /bin/sleep 605
    = 0
    > runProgramInGuest -interactive /bin/true
    Error: The specified guest user must be logged in interactively to perform this operation
    = 255
    > runProgramInGuest /no/such/program
    Error: A file was not found: the guest of "/vms/base/base.vmx" says about "/no/such/program": stat: can't stat '/no/such/program': No such file or directory
    = 255
    > runProgramInGuest /etc/passwd
    Error: the guest of "/vms/base/base.vmx" says about "/etc/passwd": Permission denied
    = 255
    > runProgramInGuest /etc
    Error: the guest of "/vms/base/base.vmx" says about "/etc": Is a directory
    = 255
    > runProgramInGuest relative
    Error: "relative" is no absolute path of the guest
    = 255
    > runProgramInGuest -noWait
    Error: The parameter PROGRAM is missing
    = 255
    > runScriptInGuest /bin/sh echo said >/home/bob/said
    = 0
    > runScriptInGuest  test -s /home/bob/said
    = 0
    > runScriptInGuest /bin/sh exit 3
    Guest program exited with non-zero exit code: 3
    = 3
    > runScriptInGuest /no/such/shell exit 3
    Error: A file was not found: the guest of "/vms/base/base.vmx" says about "/no/such/shell": stat: can't stat '/no/such/shell': No such file or directory
    = 255
    > runScriptInGuest -noWait /bin/sh sleep 606
    = 0
    > runScriptInGuest /bin/sh
    Error: The parameter TEXT is missing
    = 255
    "#);
}

fn files(seen: &mut Transcript) {
    seen.by("bob", &["fileExistsInGuest", "/home/bob/said"]);
    seen.by("bob", &["fileExistsInGuest", "/home/bob"]);
    seen.by("bob", &["fileExistsInGuest", "/home/bob/none"]);
    seen.by("bob", &["fileExistsInGuest", "relative"]);
    seen.by("bob", &["directoryExistsInGuest", "/home/bob"]);
    seen.by("bob", &["directoryExistsInGuest", "/home/bob/said"]);
    seen.by("bob", &["directoryExistsInGuest", "/none"]);
    seen.by("bob", &["createDirectoryInGuest", "/home/bob/a/b"]);
    seen.by("bob", &["createDirectoryInGuest", "/home/bob/said"]);
    seen.by("bob", &["createDirectoryInGuest", "/etc/a"]);
    seen.by(
        "bob",
        &["renameFileInGuest", "/home/bob/said", "/home/bob/a/b c"],
    );
    seen.by(
        "bob",
        &["renameFileInGuest", "/home/bob/said", "/home/bob/x"],
    );
    seen.by("bob", &["renameFileInGuest", "/home/bob/a", "/etc/a"]);
    seen.by("bob", &["listDirectoryInGuest", "/home/bob"]);
    seen.by("bob", &["listDirectoryInGuest", "/none"]);
    seen.by("bob", &["listDirectoryInGuest", "/etc/passwd"]);
    seen.by("bob", &["listDirectoryInGuest", "/home/alice"]);
    seen.by("bob", &["deleteFileInGuest", "/home/bob/a/b c"]);
    seen.by("bob", &["deleteFileInGuest", "/home/bob/a/b c"]);
    seen.by("bob", &["deleteFileInGuest", "/home/bob/a"]);
    seen.by("bob", &["deleteFileInGuest", "/etc/passwd"]);
    seen.by("bob", &["deleteDirectoryInGuest", "/home/bob/a"]);
    seen.by("bob", &["deleteDirectoryInGuest", "/home/bob/a"]);
    seen.by("bob", &["deleteDirectoryInGuest", "/etc/passwd"]);
    seen.by("bob", &["deleteDirectoryInGuest", "/home/alice"]);
    insta::assert_snapshot!(seen.take(), @r#"
    > fileExistsInGuest /home/bob/said
    The file exists.
    = 0
    > fileExistsInGuest /home/bob
    The file does not exist.
    = 0
    > fileExistsInGuest /home/bob/none
    The file does not exist.
    = 0
    > fileExistsInGuest relative
    Error: "relative" is no absolute path of the guest
    = 255
    > directoryExistsInGuest /home/bob
    The directory exists.
    = 0
    > directoryExistsInGuest /home/bob/said
    The directory does not exist.
    = 0
    > directoryExistsInGuest /none
    The directory does not exist.
    = 0
    > createDirectoryInGuest /home/bob/a/b
    = 0
    > createDirectoryInGuest /home/bob/said
    Error: The file already exists: the guest of "/vms/base/base.vmx" says about "/home/bob/said": File exists
    = 255
    > createDirectoryInGuest /etc/a
    Error: the guest of "/vms/base/base.vmx" says about "/etc/a": mkdir: can't create directory '/etc/a': Permission denied
    = 255
    > renameFileInGuest /home/bob/said /home/bob/a/b c
    = 0
    > renameFileInGuest /home/bob/said /home/bob/x
    Error: A file was not found: the guest of "/vms/base/base.vmx" says about "/home/bob/said": stat: can't stat '/home/bob/said': No such file or directory
    = 255
    > renameFileInGuest /home/bob/a /etc/a
    Error: the guest of "/vms/base/base.vmx" says about "/home/bob/a": mv: can't rename '/home/bob/a': Permission denied
    = 255
    > listDirectoryInGuest /home/bob
    Directory list: 1
    a
    = 0
    > listDirectoryInGuest /none
    Error: A file was not found: the guest of "/vms/base/base.vmx" says about "/none": stat: can't stat '/none': No such file or directory
    = 255
    > listDirectoryInGuest /etc/passwd
    Error: the guest of "/vms/base/base.vmx" says about "/etc/passwd": Not a directory
    = 255
    > listDirectoryInGuest /home/alice
    Error: the guest of "/vms/base/base.vmx" says about "/home/alice": Permission denied
    = 255
    > deleteFileInGuest /home/bob/a/b c
    = 0
    > deleteFileInGuest /home/bob/a/b c
    Error: A file was not found: the guest of "/vms/base/base.vmx" says about "/home/bob/a/b c": stat: can't stat '/home/bob/a/b c': No such file or directory
    = 255
    > deleteFileInGuest /home/bob/a
    Error: the guest of "/vms/base/base.vmx" says about "/home/bob/a": Is a directory
    = 255
    > deleteFileInGuest /etc/passwd
    Error: the guest of "/vms/base/base.vmx" says about "/etc/passwd": rm: can't remove '/etc/passwd': Permission denied
    = 255
    > deleteDirectoryInGuest /home/bob/a
    = 0
    > deleteDirectoryInGuest /home/bob/a
    Error: A file was not found: the guest of "/vms/base/base.vmx" says about "/home/bob/a": stat: can't stat '/home/bob/a': No such file or directory
    = 255
    > deleteDirectoryInGuest /etc/passwd
    Error: the guest of "/vms/base/base.vmx" says about "/etc/passwd": Not a directory
    = 255
    > deleteDirectoryInGuest /home/alice
    Error: the guest of "/vms/base/base.vmx" says about "/home/alice": rmdir: '/home/alice': Permission denied
    = 255
    "#);

    let made = seen.by("bob", &["CreateTempfileInGuest"]);
    assert!(
        made.starts_with("/tmp/") && made.lines().count() == 1,
        "{made}"
    );
    seen.take();
    let made = made.trim();
    assert_eq!(
        seen.by("bob", &["fileExistsInGuest", made]),
        "The file exists.\n"
    );
    assert_eq!(seen.by("bob", &["deleteFileInGuest", made]), "");
    seen.take();
}

fn copies(seen: &mut Transcript) {
    let (into, out) = ("CopyFileFromHostToGuest", "CopyFileFromGuestToHost");
    let library = seen.library;
    std::fs::write(library.path("sent"), "from the host\n").unwrap();
    std::fs::create_dir_all(library.path("tree/deep")).unwrap();
    std::fs::write(library.path("tree/deep/leaf"), "a leaf\n").unwrap();
    seen.by("bob", &[into, "sent", "/home/bob/sent"]);
    seen.by("bob", &[out, "/home/bob/sent", "came"]);
    seen.by("bob", &[into, "tree", "/home/bob/tree"]);
    seen.by("bob", &[out, "/home/bob/tree", "forest"]);
    seen.by("bob", &[into, "none", "/home/bob/none"]);
    seen.by("bob", &[into, "sent", "/etc/sent"]);
    seen.by("bob", &[into, "sent", "/no/where"]);
    seen.by("bob", &[into, "sent", "/home/bob"]);
    seen.by("bob", &[out, "/home/bob/none", "none"]);
    seen.by("bob", &[out, "/home/alice/none", "none"]);
    seen.by("bob", &[out, "/etc/shadow", "none"]);
    seen.by("bob", &[out, "/home/bob/sent", "no/where"]);
    insta::assert_snapshot!(seen.take(), @r#"
    > CopyFileFromHostToGuest sent /home/bob/sent
    = 0
    > CopyFileFromGuestToHost /home/bob/sent came
    = 0
    > CopyFileFromHostToGuest tree /home/bob/tree
    = 0
    > CopyFileFromGuestToHost /home/bob/tree forest
    = 0
    > CopyFileFromHostToGuest none /home/bob/none
    Error: A file was not found: cannot find "/vms/none": no such file or directory
    = 255
    > CopyFileFromHostToGuest sent /etc/sent
    Error: the guest of "/vms/base/base.vmx" says about "/etc/sent": tee: /etc/sent: Permission denied
    = 255
    > CopyFileFromHostToGuest sent /no/where
    Error: A file was not found: the guest of "/vms/base/base.vmx" says about "/no/where": tee: /no/where: No such file or directory
    = 255
    > CopyFileFromHostToGuest sent /home/bob
    Error: the guest of "/vms/base/base.vmx" says about "/home/bob": tee: /home/bob: Is a directory
    = 255
    > CopyFileFromGuestToHost /home/bob/none none
    Error: A file was not found: the guest of "/vms/base/base.vmx" says about "/home/bob/none": stat: can't stat '/home/bob/none': No such file or directory
    = 255
    > CopyFileFromGuestToHost /home/alice/none none
    Error: the guest of "/vms/base/base.vmx" says about "/home/alice/none": stat: can't stat '/home/alice/none': Permission denied
    = 255
    > CopyFileFromGuestToHost /etc/shadow none
    Error: the guest of "/vms/base/base.vmx" says about "/etc/shadow": dd: can't open '/etc/shadow': Permission denied
    = 255
    > CopyFileFromGuestToHost /home/bob/sent no/where
    Error: A file was not found: cannot measure "/vms/no": no such file or directory
    = 255
    "#);
    let text = |name: &str| std::fs::read_to_string(library.path(name)).unwrap();
    assert_eq!(text("came"), "from the host\n");
    assert_eq!(text("forest/deep/leaf"), "a leaf\n");
    assert!(!library.path("none").exists());
}

fn processes(seen: &mut Transcript) {
    let list = seen.by("bob", &["listProcessesInGuest"]);
    let (first, rest) = list.split_once('\n').unwrap();
    assert_eq!(first, format!("Process list: {}", rest.lines().count()));
    assert!(rest.lines().all(|line| line.starts_with("pid=")), "{list}");
    let sleeps = |list: &str| -> Vec<String> {
        let mine = |line: &&str| line.contains(", owner=bob, cmd=") && line.ends_with("sleep 605");
        let pid = |line: &str| line[4..].split(',').next().unwrap().to_owned();
        list.lines().filter(mine).map(pid).collect()
    };
    let [pid] = &sleeps(&list)[..] else {
        panic!("{list}")
    };
    seen.take();
    assert_eq!(
        seen.by("alice", &["killProcessInGuest", pid])
            .find("Error: "),
        Some(0)
    );
    assert_eq!(seen.by("bob", &["killProcessInGuest", pid]), "");
    assert!(sleeps(&seen.by("bob", &["listProcessesInGuest"])).is_empty());
    seen.take();
    seen.by("bob", &["killProcessInGuest", "4000000"]);
    seen.by("bob", &["killProcessInGuest", "1"]);
    seen.by("bob", &["killProcessInGuest", "0"]);
    seen.by("bob", &["killProcessInGuest", "-1"]);
    seen.by("bob", &["killProcessInGuest", "sleep"]);
    insta::assert_snapshot!(seen.take(), @r#"
    > killProcessInGuest 4000000
    Error: the guest of "/vms/base/base.vmx" says about "4000000": sh: can't kill pid 4000000: No such process
    = 255
    > killProcessInGuest 1
    Error: the guest of "/vms/base/base.vmx" says about "1": sh: can't kill pid 1: Operation not permitted
    = 255
    > killProcessInGuest 0
    Error: no process has the number 0
    = 255
    > killProcessInGuest -1
    Error: '-1' is no number of a process
    = 255
    > killProcessInGuest sleep
    Error: 'sleep' is no number of a process
    = 255
    "#);
}

fn rest(seen: &mut Transcript) {
    seen.by("root", &["writeVariable", "guestEnv", "LAB", "blue"]);
    seen.by("bob", &["readVariable", "guestEnv", "LAB"]);
    seen.by("bob", &["readVariable", "guestEnv", "NONE"]);
    seen.by("bob", &["readVariable", "guestEnv", "USER"]);
    seen.by("bob", &["writeVariable", "guestEnv", "LAB", "red"]);
    seen.call(&[], &["readVariable", "guestEnv", "LAB"]);
    seen.call(&[], &["writeVariable", "guestVar", "said", "hello"]);
    seen.call(&[], &["readVariable", "guestVar", "said"]);
    seen.call(&[], &["readVariable", "guestVar", "none"]);
    seen.by("bob", &["typeKeystrokesInGuest", "a"]);
    seen.by("bob", &["captureScreen", "screen.png"]);
    seen.by("bob", &["captureScreen", "no/where.png"]);
    seen.call(&[], &["checkToolsState"]);
    seen.call(&[], &["getGuestIPAddress"]);
    seen.call(&[], &["getGuestIPAddress", "-wait"]);
    insta::assert_snapshot!(seen.take(), @r#"
    > writeVariable guestEnv LAB blue
    = 0
    > readVariable guestEnv LAB
    blue
    = 0
    > readVariable guestEnv NONE

    = 0
    > readVariable guestEnv USER
    bob
    = 0
    > writeVariable guestEnv LAB red
    Error: only the superuser of the guest changes the environment of all
    = 255
    > readVariable guestEnv LAB
    Error: Invalid user name or password for the guest OS
    = 255
    > writeVariable guestVar said hello
    = 0
    > readVariable guestVar said
    hello
    = 0
    > readVariable guestVar none

    = 0
    > typeKeystrokesInGuest a
    = 0
    > captureScreen screen.png
    = 0
    > captureScreen no/where.png
    Error: A file was not found: cannot create "/vms/no/.where.png.replix-*": no such file or directory
    = 255
    > checkToolsState
    running
    = 0
    > getGuestIPAddress
    unknown
    = 0
    > getGuestIPAddress -wait
    Error: Unable to get the IP address: it is on no network of this host (let root make one: replix network setup)
    = 255
    "#);
    let image = std::fs::read(seen.library.path("screen.png")).unwrap();
    assert_eq!(image[..8], *b"\x89PNG\r\n\x1a\n");
}
