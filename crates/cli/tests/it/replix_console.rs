//! `replix console`: a running VM's serial port on a terminal or in a pipe, and where its screen is.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use replix_testkit::{DiskType, guest_file};

use crate::library::{Library, Program};
use crate::running::{Running, startable};

/// A guest on a loaded machine, emulated.
const PATIENCE: Duration = Duration::from_secs(120);

/// Adds the VM `talks`, which has a serial port of this kind and no disk.
fn with_port(library: &Library, lines: &[(&str, &str)]) {
    let builder = library.builder("talks").line("serial0.present", "TRUE");
    let add =
        |builder: replix_testkit::VmBuilder, (key, value): &(&str, &str)| builder.line(key, value);
    lines.iter().fold(builder, add).build();
}

/// Runs `replix console` on a terminal of its own, which answers to what is written to it.
fn on_terminal(library: &Library) -> Child {
    let replix = Program::Replix.path().display();
    library
        .command("script")
        .args(["-qec", &format!("{replix} console talks"), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until `look` finds something.
fn awaited<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn guest_is_spoken_to_through_pipes_and_its_file_has_all() {
    let Some(image) = guest_file("guest.vmdk") else {
        eprintln!("skipped: no test guests ($REPLIX_TEST_GUEST; cargo xtask guest)");
        return;
    };
    let Some(library) = startable() else { return };
    let vm = library
        .builder("talks")
        .disk_from("scsi0:0", DiskType::MonolithicSparse, &image, "vmdk")
        .line("memsize", "128")
        .line("serial0.present", "TRUE")
        .line("serial0.fileType", "file")
        .line("serial0.fileName", "serial.txt")
        .build();
    let _running = Running::start(&library, "talks/talks.vmx");
    let file = || std::fs::read_to_string(vm.file("serial.txt")).unwrap_or_default();
    awaited("guest", || file().contains("guest-ready").then_some(()));
    let mut console = library
        .program(Program::Replix)
        .args(["console", "talks", "--for", "120"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The end of the input is not the end of the console.
    let mut input = console.stdin.take().unwrap();
    input
        .write_all(b"echo sum-$((20+3)); poweroff -f\n")
        .unwrap();
    drop(input);
    let said = library.ended(console);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains("sum-23"), "{said}");
    assert_eq!(said.err, "\"/vms/talks/talks.vmx\" is off\n");
    let file = file();
    assert!(
        file.contains("hello from guest") && file.contains("sum-23"),
        "{file}"
    );
}

#[test]
fn terminal_is_left_by_its_key_and_shared_with_nobody() {
    let Some(library) = startable() else { return };
    with_port(&library, &[("serial0.fileName", "/dev/ttyS0")]);
    let _running = Running::watch(&library, "talks/talks.vmx");
    let started = library.replix(&["start", "talks"]);
    insta::assert_snapshot!(started, @r#"
    "/vms/talks/talks.vmx" runs
    --- stderr
    warning: serial0 is not connected; replix console is: only files and pipes are
    --- exit 0
    "#);
    let in_use = || library.json(&["console", "talks"]).1["serial"][0]["in_use"].as_bool();
    assert_eq!(in_use(), Some(false));
    let mut terminal = on_terminal(&library);
    awaited("console", || (in_use() == Some(true)).then_some(()));
    insta::assert_snapshot!(library.replix(&["console", "talks"]), @r#"
    --- stderr
    error: somebody is at serial0 already
    hint: leave the other console first
    --- exit 1
    "#);
    // On a terminal, Ctrl-C is the guest's.
    let mut keys = terminal.stdin.take().unwrap();
    keys.write_all(b"\x03").unwrap();
    for _ in 0..10 {
        assert_eq!(in_use(), Some(true));
    }
    keys.write_all(b"x\x1d").unwrap();
    let status = awaited("end", || terminal.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    let mut shown = String::new();
    terminal
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut shown)
        .unwrap();
    assert!(shown.contains("talks.vmx\": Ctrl-] leaves"), "{shown}");
    awaited("free port", || (in_use() == Some(false)).then_some(()));
    assert_eq!(library.json(&["info", "talks"]).1["state"], "on");
}

#[test]
fn console_leaves_when_its_time_is_up() {
    let Some(library) = startable() else { return };
    with_port(
        &library,
        &[("serial0.fileType", "pipe"), ("serial0.fileName", "s")],
    );
    let _running = Running::start(&library, "talks/talks.vmx");
    let said = library.replix(&["console", "talks", "--for", "1"]);
    assert_eq!((said.err.as_str(), said.code), ("", Some(0)));
}

#[test]
fn what_is_not_there_is_said_with_its_cure() {
    let Some(library) = startable() else { return };
    insta::assert_snapshot!(library.replix(&["console", "base"]), @r#"
    --- stderr
    error: "/vms/base/base.vmx" is not powered on
    hint: see what runs: replix list
    --- exit 1
    "#);
    let _running = Running::start(&library, "base/base.vmx");
    insta::assert_snapshot!(library.replix(&["console", "base"]), @r#"
    --- stderr
    error: it has no serial port serial0 for a console
    hint: set serial0.present = "TRUE" and start it again; a pipe whose other end is the server has no place for one
    --- exit 1
    "#);
    insta::assert_snapshot!(library.replix(&["console", "base", "--vnc"]), @r#"
    --- stderr
    error: its screen is not served
    hint: set RemoteDisplay.vnc.enabled, or use replix start --vnc, when it starts again
    --- exit 1
    "#);
}

#[test]
fn start_says_where_the_screen_is() {
    let Some(library) = startable() else { return };
    let _running = Running::watch(&library, "base/base.vmx");
    let secret = library.path("secret");
    std::fs::write(&secret, "squish\n").unwrap();
    let word = secret.to_str().unwrap();
    let (code, started) = library.json(&[
        "start",
        "base",
        "--vnc=127.0.0.1",
        "--vnc-password-file",
        word,
    ]);
    assert_eq!(code, Some(0), "{started}");
    assert_eq!(started["screen"]["protected"], true);
    let port = started["screen"]["port"].as_u64().unwrap();
    assert!(port > 0);
    let place = format!("127.0.0.1:{port}\n");
    assert_eq!(library.shown(&["console", "base", "--vnc"]), place);
}
