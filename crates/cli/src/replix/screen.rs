//! Where a call of `replix` is read: by a person, or as one JSON object by a program.

use std::io::{self, BufRead, Write};

use replix::error::escaped;
use replix::{Error, Kind};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::exit::Exit;
use super::failure::Failure;

/// Where a call reads and writes.
pub struct Terminal<'a> {
    /// Standard output: results.
    pub out: &'a mut dyn Write,
    /// Standard error: warnings, errors, questions.
    pub err: &'a mut dyn Write,
    /// Standard input, where a person can answer a question there.
    pub input: Option<&'a mut dyn BufRead>,
}

/// What a command comes to when it succeeds.
pub(super) struct Answer {
    document: Map<String, Value>,
    /// How the call ends.
    pub(super) exit: Exit,
}

impl Answer {
    /// Returns the answer whose JSON object is `value`.
    ///
    /// # Errors
    /// A path in it is not Unicode text.
    pub(super) fn new(value: impl Serialize) -> Result<Self, Failure> {
        let document = match to_json(value)? {
            Value::Object(document) => document,
            other => Map::from_iter([("value".to_string(), other)]),
        };
        Ok(Self {
            document,
            exit: Exit::Done,
        })
    }
}

/// Returns `value` as JSON.
///
/// # Errors
/// A path in it is not Unicode text.
pub(super) fn to_json(value: impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| {
        let text = format!("the answer cannot be written as JSON: {error}");
        Error::new(Kind::NotSupported, text).into()
    })
}

/// The output of one call, for a person or for a program.
pub(super) struct Screen<'a> {
    terminal: Terminal<'a>,
    json: bool,
    quiet: bool,
    warnings: Vec<String>,
    lost: Option<io::Error>,
}

impl<'a> Screen<'a> {
    /// Returns a screen; with `json` only the object at the end is written, with `quiet` no
    /// confirmation and no progress.
    pub(super) fn new(terminal: Terminal<'a>, json: bool, quiet: bool) -> Self {
        Self {
            terminal,
            json,
            quiet,
            warnings: Vec::new(),
            lost: None,
        }
    }

    /// Tells whether progress is to be shown, if there is a terminal to show it on.
    pub(super) fn shows_progress(&self) -> bool {
        !self.quiet
    }

    /// Shows what was asked for.
    pub(super) fn show(&mut self, text: &str) {
        if !self.json {
            self.print(text);
        }
    }

    /// Confirms what was done, in one line.
    pub(super) fn confirm(&mut self, line: &str) {
        if !self.quiet {
            self.show(&format!("{line}\n"));
        }
    }

    /// Tells whether the call is read by a program.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Says something beside the results, in one line.
    pub(super) fn remark(&mut self, line: &str) {
        if !self.quiet {
            self.tell(&format!("{line}\n"));
        }
    }

    /// Passes remarks on, each once.
    pub(super) fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.tell(&format!("warning: {}\n", escaped(&warning)));
                self.warnings.push(warning);
            }
        }
    }

    /// Asks a question that is answered by yes or no; `None` where nobody is there to answer.
    pub(super) fn ask(&mut self, question: &str) -> Option<bool> {
        if self.json {
            return None;
        }
        let input = self.terminal.input.as_mut()?;
        let _ = write!(self.terminal.err, "{question} [y/N] ");
        let _ = self.terminal.err.flush();
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        Some(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Ends the call: writes what is left to write and returns the exit code.
    pub(super) fn end(mut self, result: Result<Answer, Failure>) -> Exit {
        let exit = match &result {
            Ok(answer) => answer.exit,
            Err(failure) => {
                self.tell(&failure.text());
                failure.exit
            }
        };
        if self.json {
            let document = self.document(result);
            self.print(&format!("{document:#}\n"));
        }
        if let Err(error) = self.terminal.out.flush() {
            self.lose(error);
        }
        match self.lost.take() {
            Some(error) => {
                let _ = writeln!(self.terminal.err, "error: cannot write the output: {error}");
                Exit::Failed
            }
            None => exit,
        }
    }

    /// Ends a call that clap ended: by help, which was asked for, or by a complaint.
    pub(super) fn end_unparsed(mut self, error: &clap::Error) -> Exit {
        let text = error.render().to_string();
        if !error.use_stderr() {
            self.print(&text);
            return Exit::Done;
        }
        self.tell(&text);
        if self.json {
            let message = text.trim_start_matches("error: ").trim_end();
            let error = json!({"kind": "Usage", "message": message, "path": null, "hint": null});
            let document = json!({"error": error, "warnings": []});
            self.print(&format!("{document:#}\n"));
        }
        Exit::Usage
    }

    /// The JSON object of a call. It always has `warnings`, and `error` only after a failure.
    fn document(&mut self, result: Result<Answer, Failure>) -> Value {
        let mut document = match result {
            Ok(answer) => answer.document,
            Err(mut failure) => {
                let error = failure.json();
                failure.done.insert("error".into(), error);
                failure.done
            }
        };
        let mut warnings = match document.remove("warnings") {
            Some(Value::Array(warnings)) => warnings,
            _ => Vec::new(),
        };
        for warning in self.warnings.drain(..).map(Value::from) {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        document.insert("warnings".into(), Value::Array(warnings));
        Value::Object(document)
    }

    /// Says something on stderr, where people read it.
    fn tell(&mut self, text: &str) {
        if !self.json {
            let _ = self.terminal.err.write_all(text.as_bytes());
        }
    }

    fn print(&mut self, text: &str) {
        if let Err(error) = self.terminal.out.write_all(text.as_bytes()) {
            self.lose(error);
        }
    }

    /// Who closes our output early has read enough; else output that is lost is an error.
    fn lose(&mut self, error: io::Error) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.lost = Some(error);
        }
    }
}
