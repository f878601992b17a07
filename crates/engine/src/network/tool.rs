//! The system's own programs, by which networks are made.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::error::{Error, Kind, Result, escaped};

/// Folders of administrators' programs, which are not in every user's path.
const ADMIN_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Returns the command `program args...`, found also where only administrators look.
pub(super) fn command(program: &str, args: &[&str]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command
        .args(args)
        .env("PATH", format!("{path}:{ADMIN_PATH}"));
    command
}

/// Runs a program; returns what it says on stdout.
///
/// # Errors
/// `NotSupported` where the program is not installed; `Io` with what it says where it fails.
pub(super) fn run(program: &str, args: &[&str]) -> Result<String> {
    feed(program, args, "")
}

/// The same with `input` on its stdin.
///
/// # Errors
/// As [`run`].
pub(super) fn feed(program: &str, args: &[&str], input: &str) -> Result<String> {
    let output = output(program, args, input).map_err(|error| missing(program, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = escaped(String::from_utf8_lossy(&output.stderr).trim());
    let text = format!("{program} {}: {said}", args.join(" "));
    Err(Error::new(Kind::Io, text))
}

/// Tells whether a program succeeds.
pub(super) fn succeeds(program: &str, args: &[&str]) -> bool {
    output(program, args, "").is_ok_and(|output| output.status.success())
}

fn output(program: &str, args: &[&str], input: &str) -> std::io::Result<Output> {
    let mut child = command(program, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not want it all says why by its exit.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

fn missing(program: &str, error: &std::io::Error) -> Error {
    let text = format!("{program} cannot be run: {error}");
    let hint = "virtual networks need the packages iproute2, dnsmasq-base and nftables";
    Error::new(Kind::NotSupported, text).hint(hint)
}
