//! Errors: the one table from the engine's kinds to VIX codes, and the texts.

use replix::{Error, Kind};

use crate::constants::*;

/// What a call of the object model comes to.
pub type Result<T> = std::result::Result<T, Fault>;

/// Why a call or a job failed: VIX's code, and what the engine says of it where it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A `VIX_E_*` code; the bits above the lower 16 are zero.
    pub code: u64,
    /// File, place and cause, for a person; without a final period.
    pub message: Option<String>,
}

impl Fault {
    /// Returns the error `code` with what a person should know.
    pub fn new(code: u64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: Some(message.into()),
        }
    }
}

impl From<u64> for Fault {
    fn from(code: u64) -> Self {
        Self {
            code,
            message: None,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = match error.advice() {
            Some(advice) => format!("{error} ({advice})"),
            None => error.to_string(),
        };
        Self::new(code_of(error.kind()), message)
    }
}

/// Returns VIX's code for a kind of the engine's errors.
pub fn code_of(kind: Kind) -> u64 {
    match kind {
        Kind::Argument => VIX_E_INVALID_ARG,
        Kind::NotSupported => VIX_E_NOT_SUPPORTED,
        Kind::Cancelled => VIX_E_CANCELLED,
        // The engine waits for nothing but the guest.
        Kind::Timeout => VIX_E_TIMEOUT_WAITING_FOR_TOOLS,
        Kind::Busy => VIX_E_OBJECT_IS_BUSY,
        Kind::NameTaken => VIX_E_ALREADY_EXISTS,
        Kind::NoSuchObject => VIX_E_OBJECT_NOT_FOUND,
        Kind::Internal => VIX_E_FAIL,
        Kind::HostUnreachable => VIX_E_CANNOT_CONNECT_TO_HOST,
        Kind::ConnectionLost => VIX_E_HOST_CONNECTION_LOST,
        Kind::FileNotFound => VIX_E_FILE_NOT_FOUND,
        Kind::FileExists => VIX_E_FILE_ALREADY_EXISTS,
        Kind::FileLocked => VIX_E_FILE_ALREADY_LOCKED,
        Kind::FileName => VIX_E_FILE_NAME_INVALID,
        Kind::Denied => VIX_E_FILE_ACCESS_ERROR,
        Kind::ReadOnly => VIX_E_FILE_READ_ONLY,
        Kind::NoSpace => VIX_E_DISK_FULL,
        Kind::Io => VIX_E_FILE_ERROR,
        Kind::VmNotFound => VIX_E_VM_NOT_FOUND,
        Kind::BadConfig => VIX_E_CANNOT_READ_VM_CONFIG,
        Kind::VmRunning => VIX_E_VM_IS_RUNNING,
        Kind::VmNotRunning => VIX_E_VM_NOT_RUNNING,
        Kind::Template => VIX_E_TEMPLATE_VM,
        Kind::Encrypted => VIX_E_CRYPTO_NEED_PASSWORD,
        Kind::SnapshotNotFound => VIX_E_SNAPSHOT_NOTFOUND,
        Kind::SnapshotAmbiguous => VIX_E_SNAPSHOT_NONUNIQUE_NAME,
        Kind::SnapshotLocked => VIX_E_SNAPSHOT_LOCKED,
        Kind::SnapshotBroken => VIX_E_SNAPSHOT_INCONSISTENT,
        Kind::SnapshotUnchanged => VIX_E_SNAPSHOT_NOCHANGE,
        // Told of clones and starts, too: no other code says what is wrong.
        Kind::DiskTwice => VIX_E_SNAPSHOT_DUPLICATEDDISK,
        Kind::SnapshotDisabled => VIX_E_SNAPSHOT_CONFIG,
        Kind::SnapshotLimit => VIX_E_SNAPSHOT_MAXSNAPSHOTS,
        Kind::DiskInvalid => VIX_E_DISK_INVALIDDISK,
        Kind::DiskUnsupported => VIX_E_DISK_NOTSUPPORTED,
        Kind::DiskParent => VIX_E_DISK_OPENPARENT,
        Kind::DiskChanged => VIX_E_DISK_CID_MISMATCH,
        Kind::DiskCapacity => VIX_E_DISK_CAPACITY_MISMATCH,
        Kind::DiskChain => VIX_E_DISK_INVALIDCHAIN,
        Kind::DiskNeedsRepair => VIX_E_DISK_NEEDSREPAIR,
        Kind::DiskRange => VIX_E_DISK_OUTOFRANGE,
        Kind::NoHypervisor => VIX_E_WRAPPER_RUNTIME_NOT_INSTALLED,
        Kind::CannotStart => VIX_E_CANNOT_POWER_ON_VM,
        Kind::ToolsNotRunning => VIX_E_TOOLS_NOT_RUNNING,
        Kind::GuestLogin => VIX_E_CANNOT_AUTHENTICATE_WITH_GUEST,
        Kind::GuestSession => VIX_E_INTERACTIVE_SESSION_NOT_PRESENT,
        Kind::NotAFile => VIX_E_NOT_A_FILE,
        Kind::NotADirectory => VIX_E_NOT_A_DIRECTORY,
        Kind::NoSuchProcess => VIX_E_NO_SUCH_PROCESS,
        Kind::GuestPermission => VIX_E_GUEST_USER_PERMISSIONS,
    }
}

/// Returns the text of an error; of bits that belong to no code, too. Only the lower 16 count.
pub fn text(error: u64) -> &'static str {
    let code = error & 0xffff;
    match ERRORS.binary_search_by_key(&code, |row| row.code) {
        Ok(index) => ERRORS[index].text,
        Err(_) => "Unknown error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_text_of_its_own() {
        for row in ERRORS {
            assert_eq!(text(row.code), row.text, "{}", row.name);
            assert_ne!(row.text, "Unknown error");
        }
        assert_eq!(text(0xffff), "Unknown error");
    }

    #[test]
    fn bits_above_the_code_do_not_count() {
        assert_eq!(
            text(0x5_0000_0000 | VIX_E_VM_IS_RUNNING),
            text(VIX_E_VM_IS_RUNNING)
        );
    }

    #[test]
    fn engine_errors_keep_their_words() {
        let error = Error::new(Kind::VmRunning, "the VM runs").hint("stop it");
        let fault = Fault::from(error);
        assert_eq!(fault.code, VIX_E_VM_IS_RUNNING);
        assert_eq!(fault.message.as_deref(), Some("the VM runs (stop it)"));
    }
}
