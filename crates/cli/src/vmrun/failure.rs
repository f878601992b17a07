//! Why a command failed, in the one line that callers of `vmrun` compare.

use std::ffi::OsStr;

use replix::error::escaped;
use replix::{Error, Kind};

use super::call::absolute;
use super::words::Typed;

/// Why a command failed.
pub(super) enum Failure {
    /// The engine says so.
    Engine(Error),
    /// `vmrun` itself says so, in these words.
    Said(String),
    /// The command was done, and its answer is no good news: this line, and this exit status.
    Answer(String, u8),
}

impl Failure {
    /// Returns the failure with these words behind `Error: `.
    pub(super) fn said(words: impl Into<String>) -> Self {
        Self::Said(words.into())
    }

    /// Returns the line for stdout.
    pub(super) fn line(&self, typed: &Typed) -> String {
        let words = match self {
            Self::Answer(line, _) => return format!("{}\n", one_line(line)),
            Self::Said(words) => words.clone(),
            Self::Engine(error) => engine_words(error, typed),
        };
        format!("Error: {}\n", one_line(&words))
    }

    /// Returns the exit status.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Answer(_, status) => *status,
            Self::Said(_) | Self::Engine(_) => super::FAILED,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

/// How the words of a kind are completed.
enum Words {
    /// They are the whole line.
    Whole(&'static str),
    /// The VM's path ends the line.
    WithVm(&'static str),
    /// The VM could not be opened: its path, then these words, which end the line.
    CannotOpen(&'static str),
    /// The VM could not be opened: its path, these words, and our own cause.
    CannotOpenSince(&'static str),
    /// Our own cause follows.
    Since(&'static str),
    /// Our own cause is all there is.
    Cause,
}

/// The words for each kind of error.
///
/// Those of `Whole`, `WithVm` and `CannotOpen`, and what stands before a cause, are compared by
/// existing callers and are fixed. Those of `VmRunning` and `Encrypted` have full stops where the
/// original has them; every other line has none.
fn words_of(kind: Kind) -> Words {
    use Words::*;
    match kind {
        Kind::VmNotFound => CannotOpen("The virtual machine cannot be found"),
        Kind::BadConfig => CannotOpenSince("Cannot read the virtual machine configuration file"),
        // With its full stop: so it was captured.
        Kind::Encrypted => Whole("A password is required for this operation."),
        Kind::VmNotRunning => WithVm("The virtual machine is not powered on"),
        Kind::VmRunning => {
            Since("The virtual machine should not be powered on. It is already running.")
        }
        Kind::ToolsNotRunning => WithVm("The VMware Tools are not running in the virtual machine"),
        Kind::GuestLogin => Whole("Invalid user name or password for the guest OS"),
        Kind::GuestSession => Whole(
            "The specified guest user must be logged in interactively to perform this operation",
        ),
        Kind::SnapshotNotFound => Whole("The snapshot does not exist"),
        Kind::SnapshotAmbiguous => Whole("The name does not uniquely identify one snapshot"),
        Kind::Cancelled => Whole("The operation was canceled"),
        Kind::NotSupported => Since(NOT_SUPPORTED),
        Kind::FileNotFound => Since("A file was not found"),
        Kind::FileLocked => Since("The file is already in use"),
        Kind::FileExists => Since("The file already exists"),
        Kind::FileName => Since("The file name is not valid"),
        Kind::NoSpace => Since("There is not enough space for the operation"),
        Kind::Busy => Since("The virtual machine is busy or others depend on it"),
        Kind::Argument
        | Kind::Timeout
        | Kind::NameTaken
        | Kind::NoSuchObject
        | Kind::Internal
        | Kind::HostUnreachable
        | Kind::ConnectionLost
        | Kind::Denied
        | Kind::ReadOnly
        | Kind::Io
        | Kind::Template
        | Kind::SnapshotLocked
        | Kind::SnapshotBroken
        | Kind::SnapshotUnchanged
        | Kind::DiskTwice
        | Kind::SnapshotDisabled
        | Kind::SnapshotLimit
        | Kind::DiskInvalid
        | Kind::DiskUnsupported
        | Kind::DiskParent
        | Kind::DiskChanged
        | Kind::DiskCapacity
        | Kind::DiskChain
        | Kind::DiskNeedsRepair
        | Kind::DiskRange
        | Kind::NoHypervisor
        | Kind::CannotStart
        | Kind::NotAFile
        | Kind::NotADirectory
        | Kind::NoSuchProcess
        | Kind::GuestPermission => Cause,
    }
}

/// The words for what cannot be done here.
pub(super) const NOT_SUPPORTED: &str =
    "The operation is not supported for the specified parameters";

fn engine_words(error: &Error, typed: &Typed) -> String {
    let kind = match error.kind() {
        // With a password it is no password that is missing, but our ability to use it.
        Kind::Encrypted if typed.with_password => Kind::NotSupported,
        kind => kind,
    };
    let vm = || vm_path(typed);
    match words_of(kind) {
        Words::Whole(words) => words.to_string(),
        Words::WithVm(words) => format!("{words}: {}", vm()),
        Words::CannotOpen(words) => format!("Cannot open VM: {}, {words}", vm()),
        Words::CannotOpenSince(words) => {
            format!("Cannot open VM: {}, {words}: {}", vm(), cause(error))
        }
        Words::Since(words) if words.ends_with('.') => format!("{words} Cause: {}", cause(error)),
        Words::Since(words) => format!("{words}: {}", cause(error)),
        Words::Cause => cause(error),
    }
}

/// The engine's own text, with its advice.
fn cause(error: &Error) -> String {
    match error.advice() {
        Some(advice) => format!("{error} ({advice})"),
        None => error.to_string(),
    }
}

/// The VM as it was named, made absolute: callers compare it with their own absolute path.
fn vm_path(typed: &Typed) -> String {
    let word = typed.words.first().map_or(OsStr::new(""), |word| word);
    match absolute(word) {
        Ok(path) => path.to_string_lossy().into_owned(),
        Err(_) => word.to_string_lossy().into_owned(),
    }
}

/// Clients take a failure for one line.
fn one_line(words: &str) -> String {
    match words.contains(char::is_control) {
        true => escaped(words),
        false => words.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(error: Error, with_password: bool) -> String {
        let typed = Typed {
            words: vec!["/vms/a.vmx".into()],
            with_password,
            ..Typed::default()
        };
        Failure::from(error).line(&typed)
    }

    fn of(kind: Kind) -> String {
        line(Error::new(kind, "why").hint("cure"), false)
    }

    #[test]
    fn fixed_words_are_exact() {
        let lines = [
            of(Kind::VmNotFound),
            of(Kind::BadConfig),
            of(Kind::Encrypted),
            of(Kind::VmNotRunning),
            of(Kind::VmRunning),
            of(Kind::ToolsNotRunning),
            of(Kind::GuestLogin),
            of(Kind::GuestSession),
            of(Kind::SnapshotNotFound),
            of(Kind::SnapshotAmbiguous),
            of(Kind::Cancelled),
            of(Kind::FileLocked),
            of(Kind::NotSupported),
        ];
        insta::assert_snapshot!(lines.concat(), @"
        Error: Cannot open VM: /vms/a.vmx, The virtual machine cannot be found
        Error: Cannot open VM: /vms/a.vmx, Cannot read the virtual machine configuration file: why (cure)
        Error: A password is required for this operation.
        Error: The virtual machine is not powered on: /vms/a.vmx
        Error: The virtual machine should not be powered on. It is already running. Cause: why (cure)
        Error: The VMware Tools are not running in the virtual machine: /vms/a.vmx
        Error: Invalid user name or password for the guest OS
        Error: The specified guest user must be logged in interactively to perform this operation
        Error: The snapshot does not exist
        Error: The name does not uniquely identify one snapshot
        Error: The operation was canceled
        Error: The file is already in use: why (cure)
        Error: The operation is not supported for the specified parameters: why (cure)
        ");
    }

    #[test]
    fn other_kinds_say_why() {
        assert_eq!(of(Kind::DiskChanged), "Error: why (cure)\n");
        let plain = Error::new(Kind::Internal, "why");
        assert_eq!(line(plain, false), "Error: why\n");
    }

    #[test]
    fn password_that_cannot_be_used_is_not_called_missing() {
        let error = Error::new(Kind::Encrypted, "the VM is encrypted");
        assert_eq!(
            line(error, true),
            format!("Error: {NOT_SUPPORTED}: the VM is encrypted\n")
        );
    }

    #[test]
    fn hostile_text_stays_on_one_line() {
        let failure = Failure::said("a\nError: b\u{1b}[2J");
        let line = failure.line(&Typed::default());
        assert_eq!(line, "Error: a\\u{a}Error: b\\u{1b}[2J\n");
    }
}
