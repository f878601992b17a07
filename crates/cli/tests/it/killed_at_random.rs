//! Processes that are killed at random moments, of random operations on a library of VMs.
//!
//! Some seconds long, unless `REPLIX_KILL_SECONDS` says otherwise. With `REPLIX_KILL_FOLDER` some libraries
//! are kept there, worked on at once, and the next run goes on with them: that counts up to thousands of
//! kills.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use replix_testkit::folder;

use crate::cut::{Act, Cutter, World};
use crate::library::Library;
use crate::said::Said;

const SECONDS: u64 = 15;
const SEED: u64 = 1;

/// How many VMs there are, where it takes long, and where it does not.
const VMS: usize = 30;
const FEW_VMS: usize = 10;

/// So many libraries are worked on at once where they are kept: each waits for its disk most of the time.
const LIBRARIES: u64 = 4;

/// Kills the process itself; the system goes on.
struct Killer;

impl Cutter for Killer {
    fn run(&self, library: &Library, act: &Act, delay: Option<Duration>) -> Said {
        let (program, words) = act.call();
        let mut call = library.program(program);
        call.args(&words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = call.spawn().unwrap();
        if let Some(delay) = delay {
            std::thread::sleep(delay);
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
        }
        let said = library.ended(child);
        assert!(matches!(said.code, None | Some(0)), "{act:?}: {said}");
        said
    }

    fn keeps_what_was_written(&self) -> bool {
        true
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap())
}

#[test]
fn operations_killed_at_random_lose_nothing() {
    let seed = number("REPLIX_KILL_SEED").unwrap_or(SEED);
    match std::env::var_os("REPLIX_KILL_FOLDER") {
        None => run(folder().path(), seed, FEW_VMS).finish(),
        // One that something is lost in ends, and the others go on.
        Some(kept) => std::thread::scope(|scope| {
            for number in 0..LIBRARIES {
                let root = Path::new(&kept).join(number.to_string());
                scope.spawn(move || run(&root, seed + number, VMS).check_all_anew());
            }
        }),
    }
}

/// Kills for the time that is given, and says what came of it.
fn run(root: &Path, seed: u64, size: usize) -> World<'static> {
    let seconds = number("REPLIX_KILL_SECONDS").unwrap_or(SECONDS);
    fs::create_dir_all(root).unwrap();
    let mut world = World::at(root, seed, size, &Killer);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        world.round();
    }
    let mut text = format!("{}: {} kills\n", root.display(), world.cuts());
    for (name, of) in world.figures() {
        let (cut, midway, done, ended) = (of.cut, of.midway, of.done, of.ended);
        text += &format!("{name}: {cut} killed, {midway} midway, {done} done; {ended} had ended\n");
    }
    print!("{text}");
    let (left, most) = (world.left(), world.cuts() / 1000 + 1);
    assert!(left <= most, "{left} disks are left of deleted VMs");
    world
}
