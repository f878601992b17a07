//! The engine's one error: a stable kind, a sentence that names thing, place and cause, and what
//! the user can do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The result of every engine operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, in the terms in which callers decide what to do.
///
/// Each kind stands for one VIX error code; a door (VIX, HTTP, a program's exit code) maps kinds
/// by one table. New kinds come only with a new code to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// An argument has an unacceptable value.
    Argument,
    /// The operation is not possible with this object, format or host.
    NotSupported,
    /// The operation was cancelled by its caller.
    Cancelled,
    /// The operation did not end in time.
    Timeout,
    /// Another operation holds the object, or others depend on it.
    Busy,
    /// There is an object of this name already, which is no file.
    NameTaken,
    /// There is no object of this name, which is no file.
    NoSuchObject,
    /// A broken invariant of ours.
    Internal,
    /// The host, or its service, cannot be reached.
    HostUnreachable,
    /// The connection to the host was lost for good: what was asked for may be done or not.
    ConnectionLost,

    /// A file does not exist.
    FileNotFound,
    /// The file to be created exists already.
    FileExists,
    /// A file is held by somebody else.
    FileLocked,
    /// A file name is malformed or does not fit its place.
    FileName,
    /// The system, or our own rule about places, does not let us touch a file.
    Denied,
    /// The file or its file system is read-only.
    ReadOnly,
    /// No space (or quota) left on the file system.
    NoSpace,
    /// Reading or writing failed.
    Io,

    /// There is no virtual machine at this path.
    VmNotFound,
    /// A configuration file cannot be read or makes no sense.
    BadConfig,
    /// The VM (or the snapshot) is powered on, paused or suspended, and must not be.
    VmRunning,
    /// The VM is not powered on, and must be.
    VmNotRunning,
    /// The VM is a template.
    Template,
    /// The VM is encrypted.
    Encrypted,

    /// No snapshot fits.
    SnapshotNotFound,
    /// A name or path fits more than one snapshot.
    SnapshotAmbiguous,
    /// Linked clones stand on the snapshot.
    SnapshotLocked,
    /// A snapshot's own data is damaged or missing.
    SnapshotBroken,
    /// A snapshot has what another one would be taken of, and nothing else can have come since.
    SnapshotUnchanged,
    /// One disk hangs in two places of a VM.
    DiskTwice,
    /// The configuration forbids snapshots.
    SnapshotDisabled,
    /// The VM has as many snapshots as its configuration allows.
    SnapshotLimit,

    /// A disk file is damaged or is no disk.
    DiskInvalid,
    /// A disk of this type cannot be used (yet).
    DiskUnsupported,
    /// The parent of a disk is missing or cannot be opened.
    DiskParent,
    /// The parent was modified since the child was made: their content ids differ.
    DiskChanged,
    /// Parent and child differ in capacity.
    DiskCapacity,
    /// The parents of a disk form a loop or an impossible chain.
    DiskChain,
    /// A disk was not closed cleanly and needs a repair.
    DiskNeedsRepair,
    /// A position lies outside the disk.
    DiskRange,

    /// QEMU, or another program that the operation needs, is not installed.
    NoHypervisor,
    /// The VM could not be powered on.
    CannotStart,
    /// The guest runs no agent that could do this.
    ToolsNotRunning,
    /// The guest does not let this user in.
    GuestLogin,
    /// The user is not logged in at the guest's console.
    GuestSession,
    /// What should be a file of the guest is a folder or a device.
    NotAFile,
    /// What should be a folder of the guest is none.
    NotADirectory,
    /// There is no such process in the guest.
    NoSuchProcess,
    /// The user of the guest may not do that there.
    GuestPermission,
}

/// Why an operation failed.
///
/// One word wide. The text says what could not be done, where, and why; it is lower case and
/// without a final period.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    text: String,
    path: Option<PathBuf>,
    hint: Option<String>,
    source: Option<io::Error>,
}

impl Error {
    /// Returns an error of `kind` whose whole text is `text`.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            text: text.into(),
            path: None,
            hint: None,
            source: None,
        }))
    }

    /// Returns the error for `doing` ("read", "create", ...) something to the file at `path`.
    ///
    /// The kind follows from what the system said.
    pub fn io(doing: &str, path: &Path, source: io::Error) -> Self {
        let text = format!("cannot {doing} {}: {}", quoted(path), plain_cause(&source));
        let mut error = Self::new(kind_of(&source), text).at(path);
        error.0.source = Some(source);
        error
    }

    /// Names the file that the error is about.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_path_buf());
        self
    }

    /// Adds what the user can do about it: one sentence without a final period.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Gives the error another kind, where the caller knows better what it means.
    #[must_use]
    pub fn as_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Puts `context` and a colon before the text.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.text = format!("{context}: {}", self.0.text);
        self
    }

    /// Speaks of `to` where it speaks of the folder `from`: what is made out of sight is called as it will
    /// be.
    #[must_use]
    pub fn speaking_of(mut self, from: &Path, to: &Path) -> Self {
        let [old, new] = [from, to].map(|path| escaped(&path.to_string_lossy()));
        self.0.text = self.0.text.replace(&old, &new);
        let rest = self
            .0
            .path
            .as_deref()
            .and_then(|path| path.strip_prefix(from).ok());
        if let Some(path) = rest.map(|rest| to.join(rest)) {
            self.0.path = Some(path);
        }
        self
    }

    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Returns the file that the error is about, where there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Returns the text, with what the user can do about it where we know.
    pub fn with_advice(&self) -> String {
        match self.advice() {
            Some(cure) => format!("{self}: {cure}"),
            None => self.to_string(),
        }
    }

    /// Returns what the user can do about it, where we know.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// Returns `path` in double quotes, fit for a terminal or a log.
///
/// Names come from strangers' files: control characters are escaped.
pub fn quoted(path: impl AsRef<Path>) -> String {
    format!("\"{}\"", escaped(&path.as_ref().to_string_lossy()))
}

/// Returns `text` with its control characters escaped, fit for one line of a terminal or a log.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, and those that reorder or hide the text around them.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn kind_of(error: &io::Error) -> Kind {
    use io::ErrorKind as E;
    match error.kind() {
        E::NotFound | E::NotADirectory => Kind::FileNotFound,
        E::AlreadyExists => Kind::FileExists,
        E::PermissionDenied => Kind::Denied,
        E::ReadOnlyFilesystem => Kind::ReadOnly,
        E::StorageFull | E::QuotaExceeded | E::FileTooLarge => Kind::NoSpace,
        E::InvalidFilename => Kind::FileName,
        E::ResourceBusy | E::ExecutableFileBusy | E::WouldBlock => Kind::FileLocked,
        E::TimedOut => Kind::Timeout,
        E::Unsupported => Kind::NotSupported,
        _ => Kind::Io,
    }
}

/// The system's words without Rust's "(os error N)", and lower case like the rest of the line.
fn plain_cause(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_error_names_file_and_cause() {
        let cause = io::Error::from_raw_os_error(2);
        let error = Error::io("open", Path::new("/x/a.vmdk"), cause);
        assert_eq!(
            error.to_string(),
            "cannot open \"/x/a.vmdk\": no such file or directory"
        );
        assert_eq!(error.kind(), Kind::FileNotFound);
        assert_eq!(error.path(), Some(Path::new("/x/a.vmdk")));
    }

    #[test]
    fn disk_full_is_no_space() {
        let error = Error::io("write", Path::new("a"), io::Error::from_raw_os_error(28));
        assert_eq!(error.kind(), Kind::NoSpace);
    }

    #[test]
    fn hostile_names_are_escaped() {
        assert_eq!(quoted("a\u{1b}[2J\nb"), "\"a\\u{1b}[2J\\u{a}b\"");
        assert_eq!(escaped("a\u{202e}b"), "a\\u{202e}b");
    }
}
