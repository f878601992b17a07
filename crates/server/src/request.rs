//! What requests are made of: paths, numbers of jobs, bodies; each checked before it is used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use replix::{Error, Kind};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::answer::Refusal;

/// No body is larger, in bytes.
pub(crate) const MOST_BODY: usize = 1 << 20;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What stands behind the `?` of an address.
pub(crate) struct Asked<T>(pub(crate) T);

/// `?vm=PATH`.
#[derive(Deserialize)]
pub(crate) struct OfVm {
    pub(crate) vm: HostPath,
}

/// `?path=PATH`.
#[derive(Deserialize)]
pub(crate) struct OfDisk {
    pub(crate) path: HostPath,
}

/// A path that can be one of the host's.
#[derive(Deserialize)]
#[serde(try_from = "PathBuf")]
pub(crate) struct HostPath(pub(crate) PathBuf);

/// A name of a job: 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobId(u128);

/// A body of JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let read = Query::try_from_uri(&parts.uri);
        let Query(asked) = read.map_err(|error| Error::new(Kind::Argument, error.body_text()))?;
        Ok(Self(asked))
    }
}

impl TryFrom<PathBuf> for HostPath {
    type Error = Error;

    fn try_from(path: PathBuf) -> Result<Self, Error> {
        check(&path).map(|()| Self(path))
    }
}

/// Checks that a path can be one of the host's.
///
/// # Errors
/// `Argument` where it is empty or relative, or holds what no path can, or what stands for bytes that
/// were no text.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let wrong = |what| Err(Error::new(Kind::Argument, what));
    let is_bad = |byte: char| matches!(byte, '\0' | char::REPLACEMENT_CHARACTER);
    if !path.is_absolute() {
        return wrong("the path is not absolute");
    }
    if path.to_string_lossy().contains(is_bad) {
        return wrong("the path holds what is no text");
    }
    Ok(())
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for JobId {
    type Err = Error;

    /// # Errors
    /// `Argument`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_id);
        let wrong = || Error::new(Kind::Argument, "the name of a job has 32 hex digits");
        number.map(Self).ok_or_else(wrong)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for JobId {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state);
        let axum::extract::Path(text) = path
            .await
            .map_err(|error| Error::new(Kind::Argument, error.body_text()))?;
        Ok(text.parse()?)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        if request.body().size_hint().lower() > MOST_BODY as u64 {
            let text = "the body is too large";
            return Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Kind::Argument,
                text,
            ));
        }
        let late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, Kind::Timeout, "no body came");
        let read = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, state));
        let body = read.await.map_err(late)?.map_err(|error| {
            // 413 where it is too large.
            Refusal::new(error.status(), Kind::Argument, error.body_text())
        })?;
        let value = serde_json::from_slice(&body)
            .map_err(|error| Error::new(Kind::Argument, format!("the body: {error}")))?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_paths_of_text_are_taken() {
        assert!(check(Path::new("/vms/ü/a+b.vmx")).is_ok());
        for path in ["", "a.vmx", "../a.vmx", "/a\0b", "/a\u{fffd}"] {
            assert_eq!(
                check(Path::new(path)).unwrap_err().kind(),
                Kind::Argument,
                "{path:?}"
            );
        }
    }

    #[test]
    fn job_has_thirty_two_digits() {
        let text = "00ff0000000000000000000000000a0B";
        let id: JobId = text.parse().unwrap();
        assert_eq!(id.to_string(), text.to_lowercase());
        for text in ["", "+0ff0000000000000000000000000a0B", &text[1..], "x"] {
            assert!(text.parse::<JobId>().is_err(), "{text:?}");
        }
    }
}
