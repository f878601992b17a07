//! Processes that are killed in the middle: `vmrun`, QEMU, and all at once as when the power goes. The
//! next command says what is, and works; in the end nothing is left.
//!
//! The moments are spread over the time that the whole takes, by chance that is always the same.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use replix_testkit::ticking;

use crate::library::{Library, Program};
use crate::running::{Running, startable};
use crate::said::Said;

const VMX: &str = "base/base.vmx";

/// How often each operation is killed.
const ROUNDS: u32 = 6;

/// What ends by itself has ended by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a process is in the middle of its work, between 0 and 1: one moment in each of [`ROUNDS`]
/// equal parts.
fn moments() -> impl Iterator<Item = f64> {
    let mut seed = 5_u32;
    (0..ROUNDS).map(move |round| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(round) + f64::from(seed >> 16) / 65536.0) / f64::from(ROUNDS)
    })
}

/// A library with the VM `base`, whose guest ticks.
struct Subject(Library);

impl Drop for Subject {
    fn drop(&mut self) {
        drop(Running::watch(&self.0, VMX));
    }
}

impl Subject {
    /// The VM is off, with the snapshot `cold`; `None` where QEMU is missing.
    fn new() -> Option<Self> {
        let library = startable()?;
        fs::remove_dir_all(library.path("base")).unwrap();
        ticking(&library.dir(), "base").build();
        library.silent(&["snapshot", VMX, "cold"]);
        Some(Self(library))
    }

    fn state(&self) -> String {
        let (_, info) = self.0.json(&["info", "base"]);
        info["state"].as_str().unwrap().into()
    }

    fn has_snapshot(&self, name: &str) -> bool {
        let list = self.0.vmrun(&["listSnapshots", VMX]).out;
        list.lines().skip(1).any(|line| line == name)
    }

    /// Whether the guest executes, within `limit`.
    fn ticks(&self, limit: Duration) -> bool {
        let file = self.0.path("base/serial.txt");
        let len = || file.metadata().map_or(0, |meta| meta.len());
        let (before, since) = (len(), Instant::now());
        while since.elapsed() < limit {
            if len() != before {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// QEMU's process, which runs or ran; `None` where the VM was never started.
    fn pid(&self) -> Option<i32> {
        let log = fs::read_to_string(self.0.path("base/vmware.log")).ok()?;
        log.split(" pid=").nth(1)?.split(' ').next()?.parse().ok()
    }

    /// Whether the VM is said to be what it is: its process, its guest, and all that tell of it.
    fn assert_told_truly(&self, when: &str) {
        let state = self.state();
        let list = self.0.vmrun(&["list"]).out;
        let is_listed = list.lines().any(|line| line == "/vms/base/base.vmx");
        let runs = self.pid().is_some_and(is_alive);
        assert_eq!(
            is_listed,
            ["on", "paused"].contains(&state.as_str()),
            "{when}: {state}"
        );
        assert_eq!(is_listed, runs, "{when}: {state}");
        match state.as_str() {
            "on" => assert!(self.ticks(PATIENCE), "{when}"),
            "paused" => assert!(!self.ticks(Duration::from_millis(200)), "{when}"),
            "off" | "suspended" => {}
            other => panic!("{when}: {other}"),
        }
    }

    /// Brings the VM to a state, by commands that must succeed.
    fn bring_to(&self, state: &str) {
        let library = &self.0;
        while self.state() != state {
            match (self.state().as_str(), state) {
                ("off" | "suspended", _) => library.silent(&["start", VMX, "nogui"]),
                (_, "off") => library.silent(&["stop", VMX, "hard"]),
                ("paused", _) => library.silent(&["unpause", VMX]),
                (_, "paused") => library.silent(&["pause", VMX]),
                _ => library.silent(&["suspend", VMX]),
            }
        }
    }

    /// Starts `vmrun`, does something to the processes after `delay`, and returns what it said.
    fn disturbed(&self, words: &[&str], delay: Duration, disturb: impl FnOnce(i32)) -> Said {
        let mut call = self.0.program(Program::Vmrun);
        call.args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = call.spawn().unwrap();
        std::thread::sleep(delay);
        disturb(child.id().try_into().unwrap());
        self.0.ended(child)
    }

    /// Kills `vmrun` in the middle of a command, again and again; the VM is in the state `from` each
    /// time. `check` looks at what is left, and brings it to its end.
    fn kill_vmrun(&self, from: &str, words: &[&str], check: impl Fn(&Self, &str)) {
        self.bring_to(from);
        let since = Instant::now();
        self.0.silent(words);
        let whole = since.elapsed();
        check(self, "not killed");
        for moment in moments() {
            self.bring_to(from);
            let delay = whole.mul_f64(moment);
            let said = self.disturbed(words, delay, end);
            let when = format!("{words:?} killed after {delay:?} of {whole:?}: {said}");
            assert!(said.code.is_none() || said.code == Some(0), "{when}");
            self.settle();
            if self.0.path(VMX).exists() {
                self.assert_told_truly(&when);
            }
            check(self, &when);
        }
    }

    /// Waits until nothing changes by itself: a start that was killed ends QEMU, whose lock then goes.
    fn settle(&self) {
        let lock = self.0.path("base/base.vmx.lck");
        let now = || {
            let pid = self.pid().filter(|pid| is_alive(*pid));
            (pid, lock.exists())
        };
        let until = Instant::now() + PATIENCE;
        let (mut before, mut since) = (now(), Instant::now());
        while since.elapsed() < Duration::from_millis(250) {
            assert!(Instant::now() < until, "it does not settle");
            std::thread::sleep(Duration::from_millis(10));
            if now() != before {
                (before, since) = (now(), Instant::now());
            }
        }
    }

    /// Everything ends well: the VM runs, stops, and is deleted whole.
    fn finish(self) {
        self.bring_to("on");
        assert!(self.ticks(PATIENCE));
        self.bring_to("off");
        self.0.silent(&["deleteVM", VMX]);
        assert_eq!(self.left(), ["serial.txt"]);
    }

    /// The names in the VM's folder.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path("base")).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

/// Kills a process.
fn end(pid: i32) {
    // It may have ended by itself.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

fn is_alive(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

/// As [`Subject::kill_vmrun`], on a VM that is deleted in the end.
fn kill_vmrun(from: &str, words: &[&str], check: impl Fn(&Subject, &str)) {
    let Some(subject) = Subject::new() else {
        return;
    };
    subject.kill_vmrun(from, words, check);
    subject.finish();
}

#[test]
fn start() {
    kill_vmrun("off", &["start", VMX, "nogui"], |subject, _| {
        subject.bring_to("on");
        assert!(subject.ticks(PATIENCE));
    });
}

#[test]
fn start_of_a_suspended_vm() {
    kill_vmrun("suspended", &["start", VMX, "nogui"], |subject, when| {
        assert_ne!(subject.state(), "off", "{when}: the memory is lost");
        subject.bring_to("on");
        assert!(subject.ticks(PATIENCE));
    });
}

#[test]
fn stop() {
    kill_vmrun("on", &["stop", VMX, "hard"], |subject, _| {
        subject.bring_to("off");
    });
}

#[test]
fn suspend() {
    kill_vmrun("on", &["suspend", VMX], |subject, when| {
        assert_ne!(subject.state(), "off", "{when}");
        subject.bring_to("on");
        assert!(subject.ticks(PATIENCE), "{when}");
        subject.bring_to("suspended");
    });
}

/// Whatever became of the snapshot `new`, another is taken, and both are removed.
fn check_snapshot(subject: &Subject, when: &str) {
    let library = &subject.0;
    library.silent(&["snapshot", VMX, "other"]);
    assert!(subject.has_snapshot("other"), "{when}");
    library.silent(&["deleteSnapshot", VMX, "other"]);
    if subject.has_snapshot("new") {
        library.silent(&["deleteSnapshot", VMX, "new"]);
    }
}

#[test]
fn snapshot_of_a_vm_that_is_off() {
    kill_vmrun("off", &["snapshot", VMX, "new"], check_snapshot);
}

#[test]
fn snapshot_of_a_vm_that_runs() {
    kill_vmrun("on", &["snapshot", VMX, "new"], |subject, when| {
        assert!(
            ["on", "paused"].contains(&subject.state().as_str()),
            "{when}"
        );
        check_snapshot(subject, when);
        subject.bring_to("on");
        assert!(subject.ticks(PATIENCE), "{when}");
    });
}

#[test]
fn snapshot_of_a_suspended_vm() {
    kill_vmrun("suspended", &["snapshot", VMX, "new"], |subject, when| {
        assert_eq!(subject.state(), "suspended", "{when}");
        subject.bring_to("on");
        assert!(subject.ticks(PATIENCE), "{when}");
        check_snapshot(subject, when);
    });
}

#[test]
fn revert_of_a_vm_that_runs() {
    kill_vmrun("on", &["revertToSnapshot", VMX, "cold"], |subject, _| {
        subject.bring_to("on");
        assert!(subject.ticks(PATIENCE));
        subject.0.silent(&["revertToSnapshot", VMX, "cold"]);
        assert_eq!(subject.state(), "off");
    });
}

#[test]
fn removal_of_a_snapshot() {
    for from in ["off", "on"] {
        let Some(subject) = Subject::new() else {
            return;
        };
        let library = &subject.0;
        library.silent(&["snapshot", VMX, "new"]);
        subject.kill_vmrun(from, &["deleteSnapshot", VMX, "new"], |subject, when| {
            if subject.has_snapshot("new") {
                library.silent(&["deleteSnapshot", VMX, "new"]);
            }
            subject.bring_to("on");
            assert!(subject.ticks(PATIENCE), "{when}");
            library.silent(&["snapshot", VMX, "new"]);
        });
        subject.finish();
    }
}

#[test]
fn clone() {
    for kind in ["full", "linked"] {
        let vmx = "web/web.vmx";
        kill_vmrun("off", &["clone", VMX, vmx, kind], |subject, when| {
            let library = &subject.0;
            if !library.path(vmx).exists() {
                library.silent(&["clone", VMX, vmx, kind]);
            }
            library.silent(&["start", vmx, "nogui"]);
            library.silent(&["stop", vmx, "hard"]);
            library.silent(&["deleteVM", vmx]);
            fs::remove_file(library.path("web/serial.txt")).unwrap();
            fs::remove_dir(library.path("web")).unwrap();
            let hidden = fs::read_dir(library.dir()).unwrap();
            let names = hidden.map(|entry| entry.unwrap().file_name());
            assert_eq!(names.collect::<Vec<_>>(), ["base"], "{when}");
            while subject.has_snapshot("Clone") {
                library.silent(&["revertToSnapshot", VMX, "cold"]);
                library.silent(&["deleteSnapshot", VMX, "cold", "andDeleteChildren"]);
                library.silent(&["snapshot", VMX, "cold"]);
            }
        });
    }
}

#[test]
fn deletion() {
    let Some(subject) = Subject::new() else {
        return;
    };
    let library = &subject.0;
    let check = |subject: &Subject, when: &str| {
        if library.path(VMX).exists() {
            library.silent(&["deleteVM", VMX]);
        }
        let mut left = subject.left();
        // Where nothing but its own hold on the VM was left, that is.
        left.retain(|name| name != "base.vmx.lck");
        assert_eq!(left, [""; 0], "{when}");
        let _ = fs::remove_dir_all(library.path("base"));
        ticking(&library.dir(), "base").build();
        for name in ["a", "b", "c"] {
            library.silent(&["snapshot", VMX, name]);
        }
    };
    subject.kill_vmrun("off", &["deleteVM", VMX], check);
}

/// QEMU's process; it runs.
fn machine_of(subject: &Subject) -> i32 {
    let pid = subject.pid().unwrap();
    assert!(is_alive(pid));
    pid
}

/// What the log of the VM that ran last says of its end.
fn log(subject: &Subject) -> String {
    fs::read_to_string(subject.0.path("base/vmware.log")).unwrap()
}

#[test]
fn machine_of_a_vm_that_runs_or_is_paused() {
    let Some(subject) = Subject::new() else {
        return;
    };
    for from in ["on", "paused"] {
        subject.bring_to(from);
        end(machine_of(&subject));
        subject.settle();
        subject.assert_told_truly(from);
        assert_eq!(subject.state(), "off");
        assert!(
            log(&subject).contains("QEMU ended with status 137"),
            "{}",
            log(&subject)
        );
        assert!(!subject.0.path("base/base.vmx.lck").exists());
        let line = subject.0.refused(&["stop", VMX, "hard"]);
        assert_eq!(
            line,
            "Error: The virtual machine is not powered on: /vms/base/base.vmx\n"
        );
    }
    subject.finish();
}

/// Kills QEMU in the middle of a command on a VM that runs.
fn kill_machine(words: &[&str], check: impl Fn(&Subject, &Said, &str)) {
    let Some(subject) = Subject::new() else {
        return;
    };
    subject.bring_to("on");
    let since = Instant::now();
    subject.0.silent(words);
    let whole = since.elapsed();
    for moment in moments() {
        if subject.has_snapshot("new") {
            subject.0.silent(&["deleteSnapshot", VMX, "new"]);
        }
        subject.bring_to("on");
        let (delay, machine) = (whole.mul_f64(moment), machine_of(&subject));
        let said = subject.disturbed(words, delay, |_| end(machine));
        let when = format!("{words:?}, QEMU killed after {delay:?} of {whole:?}: {said}");
        subject.settle();
        subject.assert_told_truly(&when);
        assert!(matches!(said.code, Some(0 | 255)), "{when}");
        check(&subject, &said, &when);
    }
    subject.finish();
}

#[test]
fn machine_that_is_being_suspended() {
    kill_machine(&["suspend", VMX], |subject, said, when| {
        let state = subject.state();
        match said.code {
            Some(0) => assert_eq!(state, "suspended", "{when}"),
            // It was saved already, or not yet.
            _ => assert!(
                ["off", "suspended"].contains(&state.as_str()),
                "{when}: {state}"
            ),
        }
    });
}

#[test]
fn machine_whose_snapshot_is_taken() {
    kill_machine(&["snapshot", VMX, "new"], |subject, said, when| {
        assert_eq!(subject.state(), "off", "{when}");
        let done = said.code == Some(0);
        assert!(!done || subject.has_snapshot("new"), "{when}");
        if subject.has_snapshot("new") {
            subject.0.silent(&["revertToSnapshot", VMX, "new"]);
            let state = subject.state();
            // The machine may have been gone before the snapshot was begun: of a VM that is off, then.
            let is_known = ["off", "suspended"].contains(&state.as_str());
            assert!(is_known, "{when}: {state}");
            subject.bring_to("on");
            assert!(subject.ticks(PATIENCE), "{when}");
        }
    });
}

/// The shell that keeps QEMU: its parent.
fn keeper_of(machine: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{machine}/stat")).unwrap();
    let after = stat.rsplit(") ").next().unwrap();
    after.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Removes what the system forgets when the power goes: the folder of the running VM.
fn forget(library: &Library) {
    let vmx = library.word(VMX);
    for root in [library.path("../run/replix"), "/run/replix".into()] {
        for entry in fs::read_dir(root).into_iter().flatten().flatten() {
            let record = fs::read_to_string(entry.path().join("record"));
            if record.is_ok_and(|record| record.contains(&vmx)) {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }
    }
}

#[test]
fn power_of_the_host() {
    let Some(subject) = Subject::new() else {
        return;
    };
    for (words, from) in [
        (&["suspend", VMX][..], "on"),
        (&["snapshot", VMX, "new"], "on"),
        (&["deleteSnapshot", VMX, "new"], "paused"),
        (&["revertToSnapshot", VMX, "cold"], "on"),
        (&["pause", VMX], "on"),
    ] {
        subject.bring_to(from);
        if words[0] == "deleteSnapshot" && !subject.has_snapshot("new") {
            subject.0.silent(&["snapshot", VMX, "new"]);
        }
        for millis in [0, 40, 120] {
            subject.bring_to(from);
            let machine = machine_of(&subject);
            let keeper = keeper_of(machine);
            subject.disturbed(words, Duration::from_millis(millis), |vmrun| {
                [vmrun, keeper, machine].into_iter().for_each(end);
            });
            forget(&subject.0);
            subject.settle();
            let when = format!("power cut {millis} ms into {words:?}");
            subject.assert_told_truly(&when);
            let state = subject.state();
            assert!(
                ["off", "suspended"].contains(&state.as_str()),
                "{when}: {state}"
            );
            subject.bring_to("on");
            assert!(subject.ticks(PATIENCE), "{when}");
            subject.0.silent(&["snapshot", VMX, "other"]);
            subject.0.silent(&["deleteSnapshot", VMX, "other"]);
            if words[0] == "deleteSnapshot" && !subject.has_snapshot("new") {
                subject.0.silent(&["snapshot", VMX, "new"]);
            }
        }
    }
    subject.finish();
}
