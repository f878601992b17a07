//! Processes that are killed at random moments, of random operations on a library of VMs.
//!
//! Some seconds long, unless `REPLIX_KILL_SECONDS` says otherwise. With `REPLIX_KILL_FOLDER` the library
//! is kept there, and the next run goes on with it: that counts up to thousands of kills.

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
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap())
}

#[test]
fn operations_killed_at_random_lose_nothing() {
    let seconds = number("REPLIX_KILL_SECONDS").unwrap_or(SECONDS);
    let seed = number("REPLIX_KILL_SEED").unwrap_or(SEED);
    let kept = std::env::var_os("REPLIX_KILL_FOLDER");
    let temporary = folder();
    let root = kept
        .as_ref()
        .map_or(temporary.path(), |kept| Path::new(kept));
    let size = if kept.is_some() { VMS } else { FEW_VMS };
    let mut world = World::at(root, seed, size, &Killer);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        world.round();
    }
    println!("{} kills:", world.cuts());
    for (name, of) in world.figures() {
        let (cut, done, ended) = (of.cut, of.done, of.ended);
        println!("{name}: {cut} killed, {done} of them done, {ended} had ended");
    }
    match kept {
        Some(_) => world.check_all(),
        None => world.finish(),
    }
}
