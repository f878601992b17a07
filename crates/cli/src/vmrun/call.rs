//! One call of a command: its words, the VM it is about, its host, its answer.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Instant;

use replix::guest::{GuestAnswer, GuestCall, Login};
use replix::{Error, Host, Kind, Started, Vm};

use super::failure::Failure;
use super::table::Command;
use super::words::Typed;
use crate::host::Connect;
use crate::interrupt::Interrupt;
use crate::watch::follow;

/// How a command answers: its lines, or one line that says why not.
pub(super) type Answer = Result<Lines, Failure>;

/// A command with the words that were typed behind it.
pub(super) struct Call<'a> {
    typed: &'a Typed,
    connect: &'a Connect,
    deadline: Option<Instant>,
}

impl<'a> Call<'a> {
    /// Returns the call of `command`, whose mandatory words are all there.
    ///
    /// # Errors
    /// A word is missing, or the host is to be another one.
    pub(super) fn new(
        command: &Command,
        typed: &'a Typed,
        connect: &'a Connect,
    ) -> Result<Self, Failure> {
        if let Some(host) = &typed.host
            && !is_this_machine(&host.to_string_lossy())
        {
            let text = format!("the host {} is not this machine", host.to_string_lossy());
            return Err(Error::new(Kind::NotSupported, text).into());
        }
        let call = Self {
            typed,
            connect,
            deadline: typed.timeout.map(|limit| Instant::now() + limit),
        };
        for (index, parameter) in command.mandatory().enumerate() {
            call.require(index, parameter)?;
        }
        Ok(call)
    }

    /// Demands the word at `index`, which the table calls `parameter`.
    ///
    /// # Errors
    /// It is not there, or is empty and must not be.
    pub(super) fn require(&self, index: usize, parameter: &str) -> Result<(), Failure> {
        let may_be_empty = parameter.contains('|')
            || matches!(parameter, "VALUE" | "KEYS" | "TEXT" | "INTERPRETER");
        let word = self.typed.words.get(index);
        if word.is_some_and(|word| may_be_empty || !word.is_empty()) {
            return Ok(());
        }
        Err(Failure::said(match parameter {
            "VMX" => "No Vm name provided".into(),
            _ => format!("The parameter {parameter} is missing"),
        }))
    }

    /// Returns the word at `index` (0 is the first behind the command) as text.
    pub(super) fn text(&self, index: usize) -> String {
        let word = self.typed.words.get(index).map(OsString::as_os_str);
        word.unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns the first token of the word at `index` in lower case: callers write `hard nogui`
    /// as one word.
    pub(super) fn mode(&self, index: usize) -> String {
        let text = self.text(index).to_ascii_lowercase();
        text.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_string()
    }

    /// Returns the word at `index` as an absolute path.
    ///
    /// # Errors
    /// It is empty, or there is no working directory.
    pub(super) fn path(&self, index: usize) -> Result<PathBuf, Failure> {
        let word = self.typed.words.get(index).map(OsString::as_os_str);
        absolute(word.unwrap_or_default())
    }

    /// Returns the words from `index` on.
    pub(super) fn rest(&self, index: usize) -> &'a [OsString] {
        self.typed.words.get(index..).unwrap_or_default()
    }

    /// Returns the host.
    ///
    /// # Errors
    /// Settings that make no sense. No VM is to blame for them, so none is named.
    pub(super) fn host(&self) -> Result<Host, Failure> {
        (self.connect)(&[]).map_err(|error| Failure::said(error.to_string()))
    }

    /// Opens the VM that the first word names.
    ///
    /// # Errors
    /// It is no `.vmx`, or what the engine says.
    pub(super) fn open(&self) -> Result<Vm, Failure> {
        let path = self.path(0)?;
        let suffix = path.extension().unwrap_or_default();
        if !suffix.eq_ignore_ascii_case("vmx") {
            let word = self.text(0);
            return Err(Failure::said(format!(
                "Cannot open VM: {word}, unknown file suffix"
            )));
        }
        Ok(self.host()?.open(path)?)
    }

    /// Starts a job, waits for it and returns its result; its remarks are not shown, the first
    /// interruption and the end of its time cancel it.
    ///
    /// # Errors
    /// What the job ended with.
    pub(super) fn finish<T>(&self, start: impl FnOnce() -> Started<T>) -> Result<T, Failure> {
        // Listening comes first: from its first file on, a job has something to clean up.
        let interrupt = Interrupt::listen();
        let started = start();
        let job = started.job().clone();
        let result = follow(started, &interrupt, |_| {
            if self.is_late() {
                job.cancel();
            }
        });
        match result.result {
            Err(error) if error.kind() == Kind::Cancelled && self.is_late() => Err(self.too_late()),
            result => Ok(result?),
        }
    }

    /// Does something in the guest of the VM, in the name of the account that was given; returns
    /// the answer.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn guest(&self, call: GuestCall) -> Result<GuestAnswer, Failure> {
        self.guest_as(self.login(false), call)
    }

    /// Does something in the guest in the name of `login`; returns the answer.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn guest_as(
        &self,
        login: Option<Login>,
        call: GuestCall,
    ) -> Result<GuestAnswer, Failure> {
        let vm = self.open()?;
        self.finish(|| vm.guest(login, call))
    }

    /// Returns the account in the guest, where one was given.
    pub(super) fn login(&self, interactive: bool) -> Option<Login> {
        let text = |word: &OsString| word.to_string_lossy().into_owned();
        Some(Login {
            user: self.typed.user.as_ref().map(text)?,
            password: self.typed.password.as_ref().map_or_else(String::new, text),
            interactive,
        })
    }

    /// Whether the time that `--timeout` gives is over.
    pub(super) fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The failure of what was not done in time.
    pub(super) fn too_late(&self) -> Failure {
        let seconds = self.typed.timeout.unwrap_or_default().as_secs();
        Failure::said(format!(
            "The operation was not done within {seconds} seconds"
        ))
    }
}

/// The failure of an answer that does not belong to its question.
pub(super) fn mismatched(answer: &GuestAnswer) -> Failure {
    let text = format!("the guest answered something else: {answer:?}");
    Error::new(Kind::Internal, text).into()
}

/// Returns `word` as an absolute path: nothing but the working directory is put before it.
pub(super) fn absolute(word: &OsStr) -> Result<PathBuf, Failure> {
    let path = Path::new(word);
    let absolute = std::path::absolute(path);
    Ok(absolute.map_err(|source| Error::io("find", path, source).as_kind(Kind::FileName))?)
}

/// Whether a value of `-h` (a name, an address, or `https://name:port/sdk`) means this machine.
fn is_this_machine(host: &str) -> bool {
    let host = host.split_once("://").map_or(host, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "" | "localhost" | "127.0.0.1" | "[::1]")
}

/// The lines that a command prints.
#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// Returns one line.
    pub(super) fn of(line: impl AsRef<OsStr>) -> Self {
        let mut lines = Self::default();
        lines.push(line);
        lines
    }

    /// Adds a line; a line feed inside it would be taken for its end and is replaced.
    pub(super) fn push(&mut self, line: impl AsRef<OsStr>) {
        let line = line.as_ref().as_encoded_bytes();
        let kept = line.iter().map(|&byte| match byte {
            b'\n' | b'\r' => b' ',
            other => other,
        });
        self.0.extend(kept);
        self.0.push(b'\n');
    }

    /// Returns all lines, each ended.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_this_machine() {
        for host in [
            "",
            "localhost",
            "https://127.0.0.1:8333/sdk",
            "https://[::1]:443",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["esx1", "https://localhost.example/sdk", "10.0.0.1:443"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn line_stays_one_line() {
        let mut lines = Lines::default();
        lines.push("a\nb");
        assert_eq!(lines.into_bytes(), b"a b\n");
    }
}
