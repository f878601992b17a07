//! `vmrun`: VMware's command line, word for word, on this engine.
//!
//! A call: `words` takes the flags apart -> `table` knows the command -> its file runs it ->
//! text and status. A failure is one line on stdout that begins with `Error: ` and status 255;
//! stderr stays empty, as existing callers demand.

mod adapters;
mod address;
mod call;
mod clone;
mod completions;
mod delete_snapshot;
mod delete_vm;
mod devices;
mod failure;
mod guest;
mod help;
mod list;
mod list_snapshots;
mod networks;
mod power;
mod program;
mod registered;
mod revert;
mod shared_folders;
mod snapshot;
mod start;
mod stop;
mod table;
mod tools;
mod variables;
mod words;

use std::ffi::OsString;
use std::io::Write;

use crate::host::Connect;
use call::{Call, Lines};
use failure::Failure;
use words::{Invocation, Typed};

/// The exit status of every failure.
const FAILED: u8 = 255;

/// What a call of `vmrun` comes to.
pub struct Output {
    /// What goes to stdout. Bytes, since paths need not be text.
    pub text: Vec<u8>,
    /// The exit status.
    pub status: u8,
}

impl Output {
    /// Writes the text to stdout and returns the exit status.
    pub fn print(&self) -> u8 {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(&self.text).and_then(|()| out.flush());
        match written {
            Ok(()) => self.status,
            Err(_) => FAILED,
        }
    }

    fn failed(text: impl Into<Vec<u8>>) -> Self {
        Self {
            text: text.into(),
            status: FAILED,
        }
    }
}

/// Runs what was typed after the program's name.
pub fn run(words: impl IntoIterator<Item = OsString>, connect: &Connect) -> Output {
    match words::parse(words) {
        Invocation::Bare => Output::failed(help::text()),
        Invocation::BadFlag(word) => {
            let word = word.to_string_lossy();
            Output::failed(format!("Invalid argument: {word}\n{}", help::text()))
        }
        Invocation::Completions(shell) => match completions::of(&shell.to_string_lossy()) {
            Some(text) => Output {
                text: text.into_bytes(),
                status: 0,
            },
            None => Output::failed("Error: There are completions for bash, zsh and fish\n"),
        },
        Invocation::Command(typed) => match execute(&typed, connect) {
            Ok(lines) => Output {
                text: lines.into_bytes(),
                status: 0,
            },
            Err(failure) => Output {
                text: failure.line(&typed).into_bytes(),
                status: failure.status(),
            },
        },
    }
}

fn execute(typed: &Typed, connect: &Connect) -> Result<Lines, Failure> {
    let Some(command) = table::find(&typed.command) else {
        let word = typed.command.to_string_lossy();
        return Err(Failure::said(format!("Unrecognized command: {word}")));
    };
    let call = Call::new(command, typed, connect)?;
    (command.run)(&call)
}

#[cfg(test)]
mod tests;
