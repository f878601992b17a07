//! A program that strace watches: what it says, how it ends, and which files it opens.

use std::path::{Path, PathBuf};

use replix_testkit::folder;

use super::world::World;
use crate::library::Program;

/// The most private memory that it may have: 256 MiB.
const MOST_DATA: u64 = 256 << 20;

/// The longest that it may take, in seconds.
const MOST_SECONDS: u32 = 20;

/// What it opens of the system's: its libraries and their places, what the system tells of itself and of
/// this process, where it may put temporary files. Nothing in them is the VM's to name.
const SYSTEM: &[&str] = &[
    "/lib/",
    "/usr/lib/",
    "/etc/ld.so.cache",
    "/etc/machine-id",
    "/sys/",
    "/dev/null",
];

/// What it reads of processes: of its own, and whether those that hold locks still live.
const OF_PROCESSES: &[&str] = &[
    "maps",
    "cgroup",
    "stat",
    "status",
    "boot_id",
    "locks",
    "mountinfo",
    "fd",
    "overcommit_memory",
];

/// What came of it.
pub struct Traced {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
    /// The files that were opened, links resolved, and the programs that were run.
    opened: Vec<PathBuf>,
    faults: Vec<String>,
}

impl Traced {
    /// Runs a program in the library of a world.
    pub fn run(world: &World, program: Program, words: &[String]) -> Self {
        let traces = folder();
        let output = world
            .command("prlimit")
            .arg(format!("--data={MOST_DATA}"))
            .args(["strace", "-f", "-ff", "-y", "-qq", "--seccomp-bpf"])
            .args(["-e", "trace=%file,connect", "-e", "signal=none", "-o"])
            .arg(traces.path().join("trace"))
            // It is to start nothing.
            .args(["-E", "PATH=/nonexistent"])
            .args(["timeout", "--signal=KILL", &MOST_SECONDS.to_string()])
            .arg(program.path())
            .args(words)
            .output()
            .unwrap();
        let mut traced = Self {
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
            opened: Vec::new(),
            faults: Vec::new(),
        };
        let mut watched = false;
        for entry in std::fs::read_dir(traces.path()).unwrap() {
            let trace = std::fs::read(entry.unwrap().path()).unwrap();
            let trace = String::from_utf8_lossy(&trace);
            watched |= trace.contains(&format!("execve(\"{}\"", program.path().display()));
            trace
                .lines()
                .for_each(|line| traced.take(line, program.path()));
        }
        assert!(watched, "strace saw nothing: {}{}", traced.out, traced.err);
        traced.judge_output(program, &output.stdout, &output.stderr);
        traced
    }

    /// Takes what a line of strace tells: `openat(AT_FDCWD</a>, "b", O_RDONLY) = 3</a/b>`.
    fn take(&mut self, line: &str, program: &Path) {
        let call = line.trim_start_matches("<... ");
        let (call, _) = call.split_once(['(', ' ']).unwrap_or((call, ""));
        match call {
            "open" | "openat" | "openat2" | "creat" => {
                let result = line.rsplit_once(" = ").map_or("", |(_, result)| result);
                if let Some((_, path)) = result.split_once('<') {
                    let path = path.trim_end_matches("(deleted)").trim_end_matches('>');
                    self.opened.push(path.into());
                }
            }
            "execve" | "connect" => {
                let path = line.split('"').nth(1).unwrap_or_default();
                let own = Path::new(path) == program || path.ends_with("/timeout");
                let succeeds = !line.contains(" = -1 ");
                if succeeds && !own {
                    self.faults.push(format!("reached for something: {line}"));
                }
            }
            _ => {}
        }
    }

    fn judge_output(&mut self, program: Program, out: &[u8], err: &[u8]) {
        let right = match program {
            Program::Vmrun => [0, 255],
            _ => [0, 1],
        };
        if !self.code.is_some_and(|code| right.contains(&code)) {
            let last = self.err.lines().last().unwrap_or_default();
            let text = format!("ended with {:?}: {last}", self.code);
            self.faults.push(text);
        }
        if self.code != Some(0) && self.out.is_empty() && self.err.is_empty() {
            self.faults.push("refused without a word".into());
        }
        for bytes in [out, err] {
            if bytes.len() > super::MOST_OUTPUT {
                self.faults.push(format!("printed {} bytes", bytes.len()));
            }
            let text = std::str::from_utf8(bytes);
            let raw = |c: char| c.is_control() && c != '\n';
            if text.is_err() || text.is_ok_and(|text| text.contains(raw)) {
                let text = String::from_utf8_lossy(bytes);
                let line = text.lines().find(|line| line.contains(raw));
                self.faults.push(format!("printed raw: {line:?}"));
            }
            if String::from_utf8_lossy(bytes).contains(super::world::SECRET) {
                self.faults.push("printed the secret".into());
            }
        }
    }

    /// Tells what was wrong.
    pub fn faults(&self, world: &World, seen: &[&str]) -> Vec<String> {
        let is_seen = |path: &Path| seen.iter().any(|seen| path.ends_with(seen));
        let outside = self.opened.iter();
        let outside = outside.filter(|path| !is_own(path, world) && !is_seen(path));
        let mut faults = self.faults.clone();
        faults.extend(outside.map(|path| format!("opened {}", world.plain_path(path))));
        faults.sort();
        faults.dedup();
        faults
    }
}

/// Tells whether the file is one that the program may open.
fn is_own(path: &Path, world: &World) -> bool {
    // Names are looked for in whatever case, so folders are listed; nothing in them is opened by that.
    if path.is_dir() {
        return true;
    }
    let text = path.to_string_lossy();
    if let Some(rest) = text.strip_prefix("/proc/") {
        // The folder of a process is one, and has gone with it.
        let (process, file) = rest.split_once('/').unwrap_or((rest, "stat"));
        let name = file.rsplit('/').next().unwrap_or_default();
        let told = process.bytes().all(|byte| byte.is_ascii_digit()) || process == "sys";
        return told && OF_PROCESSES.contains(&name);
    }
    SYSTEM.iter().any(|place| text.starts_with(place)) || world.owns(path)
}
