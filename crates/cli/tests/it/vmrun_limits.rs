//! `vmrun` at its limits: long chains with few file descriptors, little memory, interruption, readers
//! that leave.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use replix_testkit::{Content, DiskType, qemu_io, same_content};

use crate::library::{Library, Program, changes};
use crate::paused::{Paused, send};

/// Gives a VM `count` snapshots, in a line, as if each had been taken: the third and later ones are
/// made from the second's files, since a chain of hundreds takes long to be taken one by one.
fn with_line(library: &Library, count: u32) {
    let dir = library.path("base");
    library.silent(&["snapshot", "base/base.vmx", "s1"]);
    library.silent(&["snapshot", "base/base.vmx", "s2"]);
    let disk = |number: u32| format!("base-{number:06}.vmdk");
    let second = fs::read(dir.join(disk(2))).unwrap();
    let state = fs::read(dir.join("base-Snapshot2.vmsn")).unwrap();
    for number in 3..=count {
        // Both names are equally long, so that nothing else in the file moves.
        let link = replaced(&second, &disk(1), &disk(number - 1));
        fs::write(dir.join(disk(number)), link).unwrap();
        fs::write(dir.join(format!("base-Snapshot{number}.vmsn")), &state).unwrap();
    }
    let vmx = fs::read_to_string(dir.join("base.vmx")).unwrap();
    fs::write(dir.join("base.vmx"), vmx.replace(&disk(2), &disk(count))).unwrap();

    let vmsd = fs::read_to_string(dir.join("base.vmsd")).unwrap();
    let block: Vec<&str> = vmsd
        .lines()
        .filter(|line| line.starts_with("snapshot1."))
        .collect();
    let mut text = vmsd
        .replace("lastUID = \"2\"", &format!("lastUID = \"{count}\""))
        .replace("current = \"2\"", &format!("current = \"{count}\""))
        .replace(
            "numSnapshots = \"2\"",
            &format!("numSnapshots = \"{count}\""),
        );
    for number in 3..=count {
        for line in &block {
            let (key, value) = line.split_once(" = ").unwrap();
            let key = key.replacen("snapshot1", &format!("snapshot{}", number - 1), 1);
            let value = match key.rsplit('.').next().unwrap() {
                "uid" => format!("\"{number}\""),
                "parent" => format!("\"{}\"", number - 1),
                "displayName" => format!("\"s{number}\""),
                "filename" => format!("\"base-Snapshot{number}.vmsn\""),
                "fileName" => format!("\"{}\"", disk(number - 1)),
                _ => value.into(),
            };
            text += &format!("{key} = {value}\n");
        }
    }
    fs::write(dir.join("base.vmsd"), text).unwrap();
}

fn replaced(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at = bytes
        .windows(old.len())
        .position(|part| part == old.as_bytes());
    let mut bytes = bytes.to_vec();
    let at = at.unwrap();
    bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
    bytes
}

/// Runs `vmrun` with at most so many open files; it must succeed in silence.
fn silent_with_files(library: &Library, files: u32, words: &[&str]) {
    let mut call = library.command("sh");
    call.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\"")]);
    let said = library.run(call.arg(Program::Vmrun.path()).args(words));
    assert_eq!(
        (said.out.as_str(), said.err.as_str(), said.code),
        ("", "", Some(0)),
        "{words:?}"
    );
}

#[test]
fn line_of_three_hundred_snapshots_is_cloned() {
    let library = Library::with_base();
    with_line(&library, 300);
    qemu_io(&library.path("base/base-000300.vmdk"), "write -P 7 0 64k");
    let list = library.vmrun(&["listSnapshots", "base/base.vmx"]);
    assert!(list.out.starts_with("Total snapshots: 300\ns1\n"));
    let clone = |to: &str, words: &[&str]| {
        let vmx = format!("{to}/{to}.vmx");
        let call = [&["clone", "base/base.vmx", &vmx], words].concat();
        silent_with_files(&library, 256, &call);
        library.path(to).join("base-cl1.vmdk")
    };
    let linked = clone("linked", &["linked"]);
    let past = clone("past", &["linked", "-snapshot=s300"]);
    let full = clone("full", &["full"]);
    silent_with_files(&library, 256, &["snapshot", "base/base.vmx", "one more"]);
    // QEMU holds every link of a chain open at once, which is more than we allow ourselves.
    assert!(same_content(&full, &library.path("base/base-000300.vmdk")));
    assert!(same_content(&linked, &full));
    assert!(same_content(&past, &library.path("base/base.vmdk")));
    let (_, info) = library.json(&["info", "linked"]);
    assert_eq!(info["disks"][0]["depth"], 302);
    let shown = library.shown(&["tree", "base"]);
    assert_eq!(
        shown.lines().filter(|line| line.starts_with("● s")).count(),
        300
    );
}

/// Set in the process that measures; its children are only those that it is to measure.
const MEASURE: &str = "REPLIX_TEST_MEASURE";

#[test]
fn full_clone_takes_little_memory() {
    const LIMIT_KIB: i64 = 32 << 10;
    if let Some(dir) = std::env::var_os(MEASURE) {
        let mut call = Command::new(Program::Vmrun.path());
        call.current_dir(dir)
            .args(["clone", "base/base.vmx", "copy/copy.vmx", "full"]);
        assert!(call.status().unwrap().success());
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
        assert!(
            peak < LIMIT_KIB,
            "{peak} KiB at most, more than {LIMIT_KIB}"
        );
        return;
    }
    let library = Library::new();
    let disk = library.path("raw");
    Content::Random(1).write_raw(&disk, 300 << 20);
    // Data at both ends of a disk of 20 GiB.
    let file = fs::File::options().write(true).open(&disk).unwrap();
    file.set_len(20 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"the end", (20 << 30) - 512).unwrap();
    let builder = library.builder("base");
    builder
        .disk_from("scsi0:0", DiskType::MonolithicSparse, &disk, "raw")
        .build();
    fs::remove_file(&disk).unwrap();
    let name = "vmrun_limits::full_clone_takes_little_memory";
    let mut measure = library.command(std::env::current_exe().unwrap());
    let said = library.run(measure.args(["--exact", name]).env(MEASURE, library.dir()));
    assert_eq!(said.code, Some(0), "{said}");
    assert!(same_content(
        &library.path("base/base.vmdk"),
        &library.path("copy/base-cl1.vmdk")
    ));
}

fn with_large_disk() -> Library {
    let library = Library::new();
    library
        .builder("base")
        .disk(DiskType::MonolithicSparse, Content::Random(1), 192 << 20)
        .build();
    library
}

#[test]
fn interrupted_clone_leaves_nothing() {
    let library = with_large_disk();
    let before = library.tree();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let words = ["clone", "base/base.vmx", "web/web.vmx", "full"];
        let clone = Paused::in_the_middle(&library, "", Program::Vmrun, &words);
        clone.send(signal);
        let said = clone.go_on();
        assert_eq!(
            said.to_string(),
            "Error: The operation was canceled\n--- exit 255\n"
        );
        assert_eq!(changes(&before, &library.tree()), [""; 0]);
    }
}

#[test]
fn waiting_for_others_can_be_interrupted() {
    let library = Library::with_base();
    let before = library.tree();
    let folder = fs::File::open(library.path("base")).unwrap();
    folder.lock().unwrap();
    let mut call = library.program(Program::Vmrun);
    call.args(["clone", "base/base.vmx", "web/web.vmx", "linked"]);
    let child = call
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !catches(child.id(), Signal::SIGINT) {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
    send(&child, Signal::SIGINT);
    let said = library.ended(child);
    assert_eq!(
        said.to_string(),
        "Error: The operation was canceled\n--- exit 255\n"
    );
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}

/// Whether a process has a handler for a signal.
fn catches(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .unwrap();
    let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
    mask & (1 << (signal as i32 - 1)) != 0
}

#[test]
fn killed_clone_is_cleared_away_by_the_next() {
    let library = with_large_disk();
    let before = library.tree();
    let words = ["clone", "base/base.vmx", "web/web.vmx", "full"];
    let clone = Paused::in_the_middle(&library, "", Program::Vmrun, &words);
    clone.send(Signal::SIGKILL);
    assert_eq!(clone.go_on().code, None);
    assert_ne!(changes(&before, &library.tree()), [""; 0]);
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "full"]);
    let mut changed = changes(&before, &library.tree());
    changed.retain(|line| !line.starts_with("web"));
    assert_eq!(changed, [""; 0]);
}

#[test]
fn output_that_nobody_reads_fails_in_silence() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut call = library.program(Program::Vmrun);
    let output = call
        .args(["listSnapshots", "base/base.vmx"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(255));
    assert_eq!(output.stderr, b"");
    // What prints nothing does not notice.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut call = library.program(Program::Vmrun);
    let output = call
        .args(["snapshot", "base/base.vmx", "t"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn closed_stdout_and_stdin_do_no_harm() {
    let library = Library::with_base();
    let mut call = library.command("sh");
    call.args(["-c", "exec \"$0\" \"$@\" <&- >&- 2>&-"]);
    call.arg(Program::Vmrun.path());
    let said = library.run(call.args(["clone", "base/base.vmx", "web/web.vmx", "linked"]));
    assert_eq!(said.code, Some(0));
    assert!(same_content(
        &library.path("web/base-cl1.vmdk"),
        &library.path("base/base.vmdk")
    ));
}

#[test]
fn place_of_a_terabyte_costs_nothing() {
    let library = Library::new();
    let mut sizes = Vec::new();
    for (name, bytes) in [("small", 1_u64 << 30), ("large", 1 << 40)] {
        let raw = library.path("raw");
        fs::File::create(&raw).unwrap().set_len(bytes).unwrap();
        library
            .builder(name)
            .disk_from("scsi0:0", DiskType::MonolithicFlat, &raw, "raw")
            .build();
        let (vmx, clone) = (format!("{name}/{name}.vmx"), format!("{name}-1/c.vmx"));
        library.silent(&["clone", &vmx, &clone, "linked"]);
        sizes.push(allocated(&library.path(format!("{name}-1"))));
    }
    // What grows is the list of tables: eight bytes for every 32 MiB of the disk.
    assert!(sizes[1] < sizes[0] + (300 << 10), "{sizes:?}");
}

/// The space that the files of a folder take.
fn allocated(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap();
    let blocks = entries.map(|entry| {
        let meta = entry.unwrap().metadata().unwrap();
        std::os::unix::fs::MetadataExt::blocks(&meta)
    });
    blocks.sum::<u64>() * 512
}
