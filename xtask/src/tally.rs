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
    /// Returns what a line of nextest's output counts: its summary only.
    ///
    /// The output of failed tests, which nextest repeats, has lines of the other form.
    pub fn of_nextest(line: &str) -> Self {
        match line.split_once("run: ") {
            Some((before, counts)) if before.contains("Summary [") => Self::of_counts(counts),
            _ => Self::default(),
        }
    }

    /// Returns what a line of `cargo test`'s output counts: a result only.
    pub fn of_cargo_test(line: &str) -> Self {
        let result = line.strip_prefix("test result: ");
        let counts = result.and_then(|result| result.split_once(". "));
        counts
            .map(|(_, counts)| Self::of_counts(counts))
            .unwrap_or_default()
    }

    fn of_counts(counts: &str) -> Self {
        let counts = without_brackets(counts);
        counts
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

/// Runs a command that runs tests: lets its output through, and adds to `tally` what `count` finds
/// in its lines.
///
/// # Errors
/// When it cannot be run or fails.
pub fn run_counted(command: &mut Command, count: fn(&str) -> Tally, tally: &mut Tally) -> Result {
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped
        .spawn()
        .doing(format_args!("cannot run {}", line(piped)))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let out = scope.spawn(|| out.map(|out| pass_on(out, count)).unwrap_or_default());
        *tally += err.map(|err| pass_on(err, count)).unwrap_or_default();
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
fn pass_on(stream: impl Read, count: fn(&str) -> Tally) -> Tally {
    let mut tally = Tally::default();
    for bytes in BufReader::new(stream)
        .split(b'\n')
        .map_while(std::result::Result::ok)
    {
        let text = String::from_utf8_lossy(&bytes);
        tally += count(&text);
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
            assert_eq!(Tally::of_nextest(line), expected, "{line}");
        }
    }

    #[test]
    fn cargo_test_results_count() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 5 filtered out; \
                    finished in 0.00s";
        assert_eq!(Tally::of_cargo_test(line), tally(3, 1, 2));
        assert_eq!(Tally::of_nextest(line), tally(0, 0, 0));
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in [
            "",
            "test run: 3 passed",
            "        PASS [   0.006s] x::y",
            "12 passed",
        ] {
            assert_eq!(Tally::of_nextest(line), tally(0, 0, 0), "{line}");
            assert_eq!(Tally::of_cargo_test(line), tally(0, 0, 0), "{line}");
        }
    }

    #[test]
    fn both_streams_of_a_run_count() {
        let script = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; \
                      echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored' >&2; exit 1";
        let mut counted = Tally::default();
        let mut command = Command::new("sh");
        let done = run_counted(
            command.args(["-c", script]),
            Tally::of_cargo_test,
            &mut counted,
        );
        assert!(done.is_err());
        assert_eq!(counted, tally(3, 2, 0));
        assert_eq!(counted.to_string(), "3 passed, 2 failed, 0 skipped");
    }
}
