//! Why a command failed, as text and as JSON.

use replix::error::escaped;
use replix::{Error, Kind};
use serde_json::{Map, Value, json};

use super::exit::Exit;

/// Why a command failed, and what it had done before.
pub(super) struct Failure {
    /// Why.
    pub(super) error: Error,
    /// How the call ends.
    pub(super) exit: Exit,
    /// What was done before, for the JSON object.
    pub(super) done: Map<String, Value>,
}

impl Failure {
    /// Returns the failure of a call that is wrong in itself.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Error::new(Kind::Argument, text).into()
        }
    }

    /// Returns the lines for stderr.
    pub(super) fn text(&self) -> String {
        let mut text = format!("error: {}\n", lines(&self.error.to_string()));
        if let Some(hint) = self.hint() {
            text.push_str(&format!("hint: {}\n", lines(hint)));
        }
        text
    }

    /// Returns the value of `error` in the JSON object.
    pub(super) fn json(&self) -> Value {
        json!({
            "kind": self.error.kind(),
            "message": self.error.to_string(),
            "path": self.error.path().map(|path| path.to_string_lossy()),
            "hint": self.hint(),
        })
    }

    /// The engine's advice; else what can be said without knowing the case.
    fn hint(&self) -> Option<&str> {
        self.error.advice().or_else(|| advice(self.error.kind()))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            exit: Exit::of(error.kind()),
            error,
            done: Map::new(),
        }
    }
}

/// What to do about an error of `kind`, in terms of this program's own commands.
fn advice(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::VmRunning => "power it off first: replix stop VMX",
        Kind::VmNotRunning => "see what runs: replix list",
        Kind::SnapshotNotFound => "see what there is: replix snapshot list VMX",
        Kind::SnapshotAmbiguous => {
            "name it by its path (a/b) or number (#2): replix snapshot list VMX"
        }
        Kind::SnapshotLocked => "see what stands on it: replix tree VMX",
        Kind::ToolsNotRunning => "cut the power instead: replix stop VMX --hard",
        Kind::FileExists => "choose another destination",
        _ => return None,
    })
}

/// Text with what a terminal would take for a command escaped; its own line breaks stay.
fn lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(escaped).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn engine_advice_wins() {
        let error = Error::new(Kind::VmRunning, "\"a\" is on").at(Path::new("/a"));
        let failure = Failure::from(error);
        assert_eq!(
            failure.text(),
            "error: \"a\" is on\nhint: power it off first: replix stop VMX\n"
        );
        let failure = Failure::from(failure.error.hint("wait"));
        assert_eq!(failure.text(), "error: \"a\" is on\nhint: wait\n");
        assert_eq!(
            failure.json().to_string(),
            r#"{"hint":"wait","kind":"VmRunning","message":"\"a\" is on","path":"/a"}"#
        );
    }

    #[test]
    fn only_cancelling_has_its_own_exit() {
        let exit = |kind| Failure::from(Error::new(kind, "x")).exit;
        assert_eq!(exit(Kind::Cancelled), Exit::Cancelled);
        assert_eq!(exit(Kind::NoSpace), Exit::Failed);
        assert_eq!(Failure::usage("x").exit, Exit::Usage);
    }
}
