//! How answers are written: JSON, and the one table from the engine's kinds of errors to HTTP.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use replix::{Error, Kind};
use replix_remote::wire::Failure;
use serde::Serialize;

/// What a handler comes to.
pub(crate) type Answer = Result<Response, Refusal>;

/// Why a request is not answered by what it asked for.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    failure: Failure,
}

impl Refusal {
    /// Returns a refusal whose status says more than its kind.
    pub(crate) fn new(status: StatusCode, kind: Kind, text: impl Into<String>) -> Self {
        Self {
            status,
            failure: Failure::from(&Error::new(kind, text)),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            status: status_of(error.kind()),
            failure: Failure::from(&error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // A failure is made of texts, which can always be written.
        json(self.status, &self.failure).unwrap_or_else(|refusal| refusal.status.into_response())
    }
}

/// Answers with `value`.
///
/// # Errors
/// `NotSupported` where a path in it is no text.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| unwritable(&error))?;
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((status, kind, body).into_response())
}

/// Returns the error of an answer that JSON cannot hold.
pub(crate) fn unwritable(error: &serde_json::Error) -> Error {
    let text = format!("the answer cannot be written as JSON: {error}");
    Error::new(Kind::NotSupported, text)
}

/// Returns the status that stands for a kind of the engine's errors.
fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Argument | Kind::FileName | Kind::DiskRange => StatusCode::BAD_REQUEST,
        Kind::Denied | Kind::GuestLogin | Kind::GuestPermission | Kind::ReadOnly => {
            StatusCode::FORBIDDEN
        }
        Kind::FileNotFound
        | Kind::NoSuchObject
        | Kind::NoSuchProcess
        | Kind::SnapshotNotFound
        | Kind::VmNotFound => StatusCode::NOT_FOUND,
        Kind::Busy
        | Kind::NameTaken
        | Kind::Cancelled
        | Kind::FileExists
        | Kind::FileLocked
        | Kind::SnapshotAmbiguous
        | Kind::SnapshotLocked
        | Kind::SnapshotUnchanged
        | Kind::SnapshotDisabled
        | Kind::SnapshotLimit
        | Kind::Template
        | Kind::ToolsNotRunning
        | Kind::GuestSession
        | Kind::NotAFile
        | Kind::NotADirectory
        | Kind::VmNotRunning
        | Kind::VmRunning => StatusCode::CONFLICT,
        Kind::BadConfig
        | Kind::DiskCapacity
        | Kind::DiskChain
        | Kind::DiskChanged
        | Kind::DiskInvalid
        | Kind::DiskNeedsRepair
        | Kind::DiskParent
        | Kind::DiskTwice
        | Kind::Encrypted
        | Kind::SnapshotBroken => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Internal | Kind::Io => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::DiskUnsupported | Kind::NotSupported => StatusCode::NOT_IMPLEMENTED,
        Kind::CannotStart | Kind::NoHypervisor => StatusCode::SERVICE_UNAVAILABLE,
        Kind::ConnectionLost | Kind::HostUnreachable => StatusCode::BAD_GATEWAY,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All kinds; one that is missing here is missing in no other place: the table is checked when
    /// compiled.
    const KINDS: &[Kind] = &[
        Kind::Argument,
        Kind::NotSupported,
        Kind::Cancelled,
        Kind::Timeout,
        Kind::Busy,
        Kind::NameTaken,
        Kind::NoSuchObject,
        Kind::Internal,
        Kind::FileNotFound,
        Kind::FileExists,
        Kind::FileLocked,
        Kind::FileName,
        Kind::Denied,
        Kind::ReadOnly,
        Kind::NoSpace,
        Kind::Io,
        Kind::VmNotFound,
        Kind::BadConfig,
        Kind::VmRunning,
        Kind::VmNotRunning,
        Kind::Template,
        Kind::Encrypted,
        Kind::SnapshotNotFound,
        Kind::SnapshotAmbiguous,
        Kind::SnapshotLocked,
        Kind::SnapshotBroken,
        Kind::SnapshotUnchanged,
        Kind::DiskTwice,
        Kind::SnapshotDisabled,
        Kind::SnapshotLimit,
        Kind::DiskInvalid,
        Kind::DiskUnsupported,
        Kind::DiskParent,
        Kind::DiskChanged,
        Kind::DiskCapacity,
        Kind::DiskChain,
        Kind::DiskNeedsRepair,
        Kind::DiskRange,
        Kind::NoHypervisor,
        Kind::CannotStart,
        Kind::ToolsNotRunning,
        Kind::GuestLogin,
        Kind::GuestSession,
        Kind::NotAFile,
        Kind::NotADirectory,
        Kind::NoSuchProcess,
        Kind::GuestPermission,
        Kind::HostUnreachable,
        Kind::ConnectionLost,
    ];

    #[test]
    fn every_kind_is_an_error_of_its_own() {
        for &kind in KINDS {
            let refusal = Refusal::from(Error::new(kind, "why"));
            assert!(
                refusal.status.is_client_error() || refusal.status.is_server_error(),
                "{kind:?}"
            );
            // Only the guard says 401: a client takes it for a service that does not know it.
            assert_ne!(refusal.status, StatusCode::UNAUTHORIZED, "{kind:?}");
            assert_eq!(refusal.failure.kind, kind);
        }
    }

    #[test]
    fn path_that_is_no_text_is_not_supported() {
        use std::os::unix::ffi::OsStrExt;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(b"/a\xff"));
        let refusal = json(StatusCode::OK, &path).err().unwrap();
        assert_eq!(refusal.failure.kind, Kind::NotSupported);
        assert_eq!(refusal.status, StatusCode::NOT_IMPLEMENTED);
    }
}
