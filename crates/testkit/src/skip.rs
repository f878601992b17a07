//! Tests that cannot run on this machine, and say so.

use std::fs::File;
use std::io::Write;

/// Tells that the calling test does not run, and why; the test returns then.
///
/// A line `name: reason` goes to the file that `$REPLIX_SKIP_LOG` names, which
/// `cargo xtask test` counts and shows.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {reason}\n", thread.name().unwrap_or("a test"));
    eprint!("skipped {line}");
    let Some(path) = std::env::var_os("REPLIX_SKIP_LOG") else {
        return;
    };
    let log = File::options().append(true).create(true).open(path);
    log.and_then(|mut log| log.write_all(line.as_bytes()))
        .expect("the log of skipped tests takes a line");
}
