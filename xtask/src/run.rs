//! Running commands and stages: what ran, how long it took, and one error that says what failed.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Why a command of `xtask` failed, in words.
#[derive(Debug)]
pub struct Failure(String);

/// What every step of `xtask` returns.
pub type Result<T = ()> = std::result::Result<T, Failure>;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns a failure that says `what`.
pub fn fail<T>(what: impl Into<String>) -> Result<T> {
    Err(Failure(what.into()))
}

/// Says what was being done when an error of another kind came up.
pub trait Doing<T> {
    /// Turns the error into a [`Failure`] that reads `what: error`.
    fn doing(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}

/// Returns the command `program args...`, with nothing to read on its standard input.
///
/// It is searched for in the administrator's folders too, where Debian keeps `mkfs.vfat` and the
/// like out of a user's path.
pub fn command<I>(program: impl AsRef<OsStr>, args: I) -> Command
where
    I: IntoIterator<Item: AsRef<OsStr>>,
{
    let mut command = Command::new(program);
    let path = env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin";
    command.args(args).env("PATH", path).stdin(Stdio::null());
    command
}

/// The ways `xtask` runs a command; all but [`Run::succeeds`] fail when the command does.
pub trait Run {
    /// Runs it and lets its output through.
    fn run(&mut self) -> Result;
    /// Runs it and shows its output only when it fails.
    fn quiet(&mut self) -> Result;
    /// Runs it and returns its standard output.
    fn text(&mut self) -> Result<String>;
    /// Runs it with `input` on its standard input, otherwise as [`Run::quiet`].
    fn feed(&mut self, input: &[u8]) -> Result;
    /// Returns whether it can be run and succeeds; shows nothing.
    fn succeeds(&mut self) -> bool;
}

impl Run for Command {
    fn run(&mut self) -> Result {
        let status = self
            .status()
            .doing(format_args!("cannot run {}", line(self)))?;
        if status.success() {
            Ok(())
        } else {
            fail(format!("{}: {status}", line(self)))
        }
    }

    fn quiet(&mut self) -> Result {
        captured(self).map(drop)
    }

    fn text(&mut self) -> Result<String> {
        let output = captured(self)?;
        String::from_utf8(output.stdout).doing(format_args!("output of {}", line(self)))
    }

    fn feed(&mut self, input: &[u8]) -> Result {
        let piped = self.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = piped
            .spawn()
            .doing(format_args!("cannot run {}", line(piped)))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin
                .write_all(input)
                .doing(format_args!("input of {}", line(self)))?;
        }
        let status = child.wait().doing(line(self))?;
        if status.success() {
            Ok(())
        } else {
            fail(format!("{}: {status}", line(self)))
        }
    }

    fn succeeds(&mut self) -> bool {
        self.output().is_ok_and(|output| output.status.success())
    }
}

fn captured(command: &mut Command) -> Result<Output> {
    let output = command
        .output()
        .doing(format_args!("cannot run {}", line(command)))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let also = String::from_utf8_lossy(&output.stdout);
    fail(format!(
        "{}: {}\n{also}{said}",
        line(command),
        output.status
    ))
}

/// Returns the command as one would type it, near enough to paste.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| {
        let word = word.to_string_lossy();
        if word.contains([' ', '*', '$', '\'']) {
            format!("{word:?}")
        } else {
            word.into_owned()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Says a line about what is going on.
pub fn say(what: impl fmt::Display) {
    eprintln!("{what}");
}

/// Runs one named stage of a command; says its name before and its time after.
///
/// # Errors
/// Whatever `stage` returns; the time is told all the same.
pub fn stage<T>(name: &str, stage: impl FnOnce() -> Result<T>) -> Result<T> {
    say(format_args!("== {name}"));
    let start = Instant::now();
    let done = stage();
    let verdict = if done.is_ok() { "done" } else { "FAILED" };
    say(format_args!(
        "== {name}: {verdict} in {}",
        seconds(start.elapsed())
    ));
    done
}

/// Returns a duration as `12.3 s`.
pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_command_and_output() {
        let failure = command("sh", ["-c", "echo no such luck >&2; exit 3"])
            .quiet()
            .unwrap_err();
        let text = failure.to_string();
        assert!(
            text.contains("sh -c") && text.contains("no such luck"),
            "{text}"
        );
    }

    #[test]
    fn missing_program_is_named() {
        let failure = command("no-such-program", ["x"]).run().unwrap_err();
        assert!(
            failure
                .to_string()
                .starts_with("cannot run no-such-program x: ")
        );
    }
}
