//! Whole lives of clones, one after the other: made, started, used, put back, stopped, deleted, through
//! the programs; and nothing left of them.
//!
//! `REPLIX_TEST_LIVES=50` makes it more than three.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::guests::{PATIENCE, await_tools, with_guest};
use crate::library::{Library, changes};
use crate::namespace::{NONE, difference, is_inside, surroundings};

const VMX: &str = "life/life.vmx";

/// A program that shows, in the memory of the guest, that it runs on.
const PROGRAM: &str =
    "echo $$ >/home/alice/pid; while :; do echo >>/home/alice/count; sleep 0.2; done";

/// That it does; the number of its process has not changed.
const RUNS_ON: &str = "
    kill -0 $(cat /home/alice/pid) || exit 11
    before=$(wc -c </home/alice/count); tries=0
    while [ $(wc -c </home/alice/count) -le $before ]; do
        tries=$((tries + 1)); [ $tries -lt 100 ] || exit 12
        sleep 0.2
    done";

/// Has a script done in the guest, which must succeed, by one of its users.
fn script(library: &Library, user: &str, text: &str) {
    let password = format!("{user}-secret");
    let words = [
        "-gu",
        user,
        "-gp",
        &password,
        "runScriptInGuest",
        VMX,
        "/bin/sh",
    ];
    library.silent(&[&words[..], &[text]].concat());
}

/// Copies a file as a plain user, by the command of that name.
fn copy(library: &Library, command: &str, from: &str, to: &str) {
    let words = [
        "-gu",
        "alice",
        "-gp",
        "alice-secret",
        command,
        VMX,
        from,
        to,
    ];
    library.silent(&words);
}

/// One life.
fn live(library: &Library, number: usize) {
    library.silent(&["clone", "base/base.vmx", VMX, "linked", "golden"]);
    library.silent(&["start", VMX, "nogui"]);
    let seconds = PATIENCE.as_secs().to_string();
    let address = library.shown(&["ip", "life", "--wait", &seconds]);
    assert!(address.starts_with("192.168.77."), "{address}");
    await_tools(library, VMX);

    script(
        library,
        "alice",
        "[ $(id -un):$(id -u) = alice:1000 ] || exit 9",
    );
    let (sent, back) = (library.path("sent"), library.path("back"));
    let text: Vec<u8> = (0..100_000).map(|at: usize| (at * number) as u8).collect();
    fs::write(&sent, &text).unwrap();
    let word = |path: &Path| path.to_str().unwrap().to_string();
    copy(
        library,
        "copyFileFromHostToGuest",
        &word(&sent),
        "/home/alice/file",
    );
    copy(
        library,
        "copyFileFromGuestToHost",
        "/home/alice/file",
        &word(&back),
    );
    assert!(
        fs::read(&back).unwrap() == text,
        "the file has changed on its way"
    );
    fs::remove_file(sent).unwrap();
    fs::remove_file(back).unwrap();

    let login = [
        "-gu",
        "alice",
        "-gp",
        "alice-secret",
        "runScriptInGuest",
        VMX,
    ];
    library.silent(&[&login[..], &["-noWait", "/bin/sh", PROGRAM]].concat());
    await_true("the program does not begin", || {
        let test = ["/bin/sh", "test -s /home/alice/count"];
        library.vmrun(&[&login[..], &test].concat()).code == Some(0)
    });
    library.silent(&["snapshot", VMX, "alive"]);
    script(
        library,
        "root",
        "echo changed >/disk/changed; sync; echo changed >/home/alice/changed",
    );
    script(
        library,
        "root",
        "kill -9 $(cat /home/alice/pid); test -s /disk/changed",
    );
    library.silent(&["revertToSnapshot", VMX, "alive"]);
    library.silent(&["start", VMX, "nogui"]);
    script(library, "alice", "[ ! -e /home/alice/changed ] || exit 10");
    script(
        library,
        "root",
        "echo 3 >/proc/sys/vm/drop_caches; [ ! -e /disk/changed ] || exit 10",
    );
    script(library, "alice", RUNS_ON);

    library.silent(&[
        "stop",
        VMX,
        if number.is_multiple_of(2) {
            "soft"
        } else {
            "hard"
        },
    ]);
    library.silent(&["deleteVM", VMX]);
}

fn await_true(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The processes of the namespace, but this one, by number.
fn processes() -> BTreeMap<u32, String> {
    let entries = fs::read_dir("/proc").unwrap();
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let name = |pid: u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        // The namespace's first process, which is this one, takes no notice of those that ended.
        (!words.is_empty()).then_some((pid, words))
    };
    numbers.filter_map(name).collect()
}

/// What a VM that runs has outside of the library: files, interfaces, rules.
fn outside() -> String {
    let text = surroundings();
    // In a long run, other programs of the machine are installed and removed.
    let own = ["replix", "vmware", "vmnet"];
    let is_own = |line: &&str| {
        !line.starts_with('/')
            || line.starts_with("/run/")
            || own.iter().any(|word| line.contains(word))
    };
    let lines: Vec<&str> = text.lines().filter(is_own).collect();
    lines.join("\n")
}

/// The same with processes, without what is the network's: leases end with it, or by themselves; so
/// does the address that the bridge gives itself once somebody is on it.
fn traces() -> String {
    let passing = [".leases", "dhcpd", " inet6 fe80:"];
    let kept = |line: &&str| !passing.iter().any(|word| line.contains(word));
    let outside = outside();
    let lines: Vec<&str> = outside.lines().filter(kept).collect();
    format!("{}\n{:#?}\n", lines.join("\n"), processes())
}

#[test]
fn clones_live_and_leave_nothing() {
    if !is_inside("lives::clones_live_and_leave_nothing") {
        return;
    }
    let Some(library) = with_guest("nat") else {
        return;
    };
    let all_before = outside();
    library.replix(&["network", "setup", "--nat", "192.168.77.0/24"]);
    let lives = std::env::var("REPLIX_TEST_LIVES").map_or(3, |lives| lives.parse().unwrap());
    let (files, before) = (library.tree(), traces());
    let mut times = Vec::new();
    for number in 1..=lives {
        let begin = Instant::now();
        live(&library, number);
        times.push(begin.elapsed());
        println!("life {number} took {:?}", begin.elapsed());
        let changed = changes(&files, &library.tree());
        assert_eq!(changed, [""; 0], "after life {number}");
        // What keeps QEMU ends a moment after it.
        let deadline = Instant::now() + Duration::from_secs(10);
        while difference(&before, &traces()) != NONE && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(difference(&before, &traces()), NONE, "after life {number}");
    }
    times.sort();
    println!(
        "{lives} lives: quickest {:?}, median {:?}, slowest {:?}",
        times[0],
        times[times.len() / 2],
        times[times.len() - 1]
    );
    library.shown(&["network", "remove"]);
    assert_eq!(difference(&all_before, &outside()), NONE);
}
