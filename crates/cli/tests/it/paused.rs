//! A clone that is stopped in the middle of its work, so that a test can do something to it then.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::library::{Library, Program};
use crate::said::Said;

/// A process that has written a part of a disk, and waits.
pub struct Paused<'a> {
    library: &'a Library,
    child: Child,
}

impl<'a> Paused<'a> {
    /// Starts a program and stops it once the unfinished clone in `folder` has some MiB of data.
    pub fn in_the_middle(
        library: &'a Library,
        folder: &str,
        program: Program,
        words: &[&str],
    ) -> Self {
        // On a busy machine the test, which looks for the right moment, comes first.
        let mut call = library.command("nice");
        call.args(["-n", "19"])
            .arg(program.path())
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = call.spawn().unwrap();
        let paused = Self { library, child };
        let deadline = Instant::now() + Duration::from_secs(30);
        while unfinished_bytes(&library.path(folder)) < 2 << 20 {
            assert!(Instant::now() < deadline, "no clone began in {folder}");
            std::thread::yield_now();
        }
        paused.send(Signal::SIGSTOP);
        let bytes = unfinished_bytes(&library.path(folder));
        assert!(bytes > 0, "the clone had ended before it was stopped");
        paused
    }

    /// Sends it a signal.
    pub fn send(&self, signal: Signal) {
        send(&self.child, signal);
    }

    /// Lets it go on, and returns what it says in the end.
    pub fn go_on(self) -> Said {
        self.send(Signal::SIGCONT);
        self.library.ended(self.child)
    }
}

/// Sends a process a signal.
pub fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    kill(pid, signal).unwrap();
}

/// The bytes of the files in the hidden folder that a clone in the making has in `folder`.
fn unfinished_bytes(folder: &Path) -> u64 {
    let files = |dir: PathBuf| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    };
    let hidden = files(folder.into()).filter(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().contains(".replix-"))
    });
    // What vanishes meanwhile has no bytes.
    let bytes = |path: PathBuf| path.metadata().map_or(0, |meta| meta.len());
    hidden.flat_map(files).map(bytes).sum()
}
