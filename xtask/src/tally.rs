//! Counting tests: what nextest and `cargo test` say at the end of a run, summed up.

use std::io::{BufRead, BufReader, Read};
use std::ops::{Add, AddAssign};
use std::process::{Command, Stdio};
use std::{fmt, thread};

use crate::run::{Doing, Result, fail, line, say};

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Those that did what they promise.
    pub passed: u32,
    /// Those that did not, or took too long, or could not be run.
    pub failed: u32,
    /// Those that were left out, or found that this machine lacks what they need.
    pub skipped: u32,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

impl Tally {
    /// Returns what a line of nextest's or `cargo test`'s output counts; zero for other lines.
    fn of_line(line: &str) -> Self {
        let counts = match (line.split_once("run: "), line.split_once("test result: ")) {
            (Some((before, counts)), _) if before.contains("Summary [") => counts,
            (_, Some((_, counts))) => counts.split_once(". ").map_or("", |(_, counts)| counts),
            _ => return Self::default(),
        };
        let parts = without_brackets(counts);
        parts
            .split([',', ';'])
            .map(Self::of_part)
            .fold(Self::default(), Self::add)
    }

    /// Returns what `3 passed`, `1 timed out` and the like count.
    fn of_part(part: &str) -> Self {
        let (number, word) = part.trim().split_once(' ').unwrap_or_default();
        let number = number.parse().unwrap_or(0);
        match word {
            "passed" => Self {
                passed: number,
                ..Self::default()
            },
            "failed" | "timed out" | "exec failed" => Self {
                failed: number,
                ..Self::default()
            },
            "skipped" | "ignored" => Self {
                skipped: number,
                ..Self::default()
            },
            _ => Self::default(),
        }
    }
}

fn without_brackets(text: &str) -> String {
    let mut depth = 0;
    let outside = text.chars().filter(|c| {
        depth += i32::from(*c == '(');
        let keep = depth == 0;
        depth -= i32::from(*c == ')');
        keep
    });
    outside.collect()
}

/// Runs a command that runs tests: lets its output through, and adds to `tally` what that counts.
///
/// # Errors
/// When it cannot be run or fails.
pub fn run_counted(command: &mut Command, tally: &mut Tally) -> Result {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .doing(format_args!("cannot run {}", line(command)))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let out = scope.spawn(|| out.map(pass_on).unwrap_or_default());
        *tally += err.map(pass_on).unwrap_or_default();
        *tally += out.join().unwrap_or_default();
    });
    let status = child.wait().doing(line(command))?;
    if status.success() {
        Ok(())
    } else {
        fail(format!("{}: {status}", line(command)))
    }
}

/// Copies a stream to standard error line by line, and returns what its lines count.
fn pass_on(stream: impl Read) -> Tally {
    let mut tally = Tally::default();
    for bytes in BufReader::new(stream)
        .split(b'\n')
        .map_while(std::result::Result::ok)
    {
        let text = String::from_utf8_lossy(&bytes);
        tally += Tally::of_line(&text);
        say(text);
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u32, failed: u32, skipped: u32) -> Tally {
        Tally {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn nextest_summaries_count() {
        for (line, expected) in [
            (
                "     Summary [   0.091s] 23 tests run: 23 passed, 0 skipped",
                tally(23, 0, 0),
            ),
            (
                "     Summary [   1.5s] 1 test run: 1 passed (1 slow, 1 leaky), 4 skipped",
                tally(1, 0, 4),
            ),
            (
                "     Summary [   9.0s] 7/9 tests run: 3 passed, 2 failed, 1 timed out, 1 exec failed, 0 skipped",
                tally(3, 4, 0),
            ),
        ] {
            assert_eq!(Tally::of_line(line), expected, "{line}");
        }
    }

    #[test]
    fn cargo_test_results_count() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 5 filtered out; \
                    finished in 0.00s";
        assert_eq!(Tally::of_line(line), tally(3, 1, 2));
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in [
            "",
            "test run: 3 passed",
            "        PASS [   0.006s] x::y",
            "12 passed",
        ] {
            assert_eq!(Tally::of_line(line), tally(0, 0, 0), "{line}");
        }
    }

    #[test]
    fn both_streams_of_a_run_count() {
        let script = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; \
                      echo 'Summary [ 1s] 3 tests run: 1 passed, 2 failed, 0 skipped' >&2; exit 1";
        let mut counted = Tally::default();
        let done = run_counted(Command::new("sh").args(["-c", script]), &mut counted);
        assert!(done.is_err());
        assert_eq!(counted, tally(3, 2, 0));
        assert_eq!(counted.to_string(), "3 passed, 2 failed, 0 skipped");
    }
}
