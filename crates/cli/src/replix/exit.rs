//! The exit codes of `replix`, in one table.

use std::process::ExitCode;

use replix::Kind;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Done = 0,
    /// The operation failed, a check found damage, or disks that were compared differ.
    Failed = 1,
    /// The call itself was wrong, or disks could not be compared.
    Usage = 2,
    /// The user stopped it.
    Cancelled = 130,
}

/// The table as the help shows it.
pub(super) const HELP: &str = "\
Exit codes:
    0  done
    1  the operation failed, a check found damage, or disks compared differ
    2  the call was wrong, or disks could not be compared
  130  cancelled (Ctrl-C once: cleans up and ends; twice: ends at once)";

impl Exit {
    /// Returns the exit for an error of `kind`.
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Cancelled => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
