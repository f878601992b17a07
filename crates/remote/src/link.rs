//! Requests to the service: found, proven, asked, and found again when a connection is lost.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use replix::error::quoted;
use replix::{Error, Kind, Result};
use serde::de::DeserializeOwned;
use ureq::http::{Request, Response, StatusCode};
use ureq::{Agent, Body};

use crate::place::{self, unreachable};
use crate::start::start;
use crate::wire::{Failure, Hello, proof};

/// How long a service that starts, or was lost, is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is looked for in that time.
const PAUSE: Duration = Duration::from_millis(20);

/// No answer is longer.
const ANSWER_LIMIT_BYTES: u64 = 64 << 20;

/// A way to the service that is found anew when it is lost.
pub(crate) struct Link {
    agent: Agent,
    place: PathBuf,
    session: Mutex<Option<Arc<Session>>>,
}

/// One run of the service, which has proven that it knows the secret.
pub(crate) struct Session {
    base: String,
    secret: String,
    pub(crate) instance: String,
}

/// Something to be asked.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    /// `GET` and its kin.
    pub(crate) method: &'a str,
    /// Path and query, encoded.
    pub(crate) route: &'a str,
    /// JSON; empty for none.
    pub(crate) body: &'a [u8],
}

/// Why there is no answer.
pub(crate) enum Unanswered {
    /// The connection did not stand, or the service is another one by now: it may have got the
    /// question.
    Lost,
    /// The service, or the engine, says no.
    Refused(Error),
}

impl Link {
    pub(crate) fn new(place: PathBuf) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // The service is on this machine, whatever the environment says of proxies.
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(5)))
            .build();
        Self {
            agent: config.into(),
            place,
            session: Mutex::default(),
        }
    }

    /// Asks what may be asked twice, until it is answered.
    ///
    /// # Errors
    /// What the engine says; `HostUnreachable`.
    pub(crate) fn ask<T: DeserializeOwned>(&self, question: Question<'_>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let session = self.session(true)?;
            match self.ask_once(&session, question) {
                Ok(answer) => return Ok(answer),
                Err(Unanswered::Refused(error)) => return Err(error),
                Err(Unanswered::Lost) if Instant::now() < deadline => self.drop_session(&session),
                Err(Unanswered::Lost) => return Err(unreachable("it does not answer")),
            }
        }
    }

    /// Asks once.
    pub(crate) fn ask_once<T: DeserializeOwned>(
        &self,
        session: &Session,
        question: Question<'_>,
    ) -> std::result::Result<T, Unanswered> {
        let bytes = read_all(self.send(session, question)?)?;
        serde_json::from_slice(&bytes).map_err(|cause| {
            let text = format!("the host service answered what makes no sense: {cause}");
            Unanswered::Refused(Error::new(Kind::Internal, text))
        })
    }

    /// Asks once, and returns the answer before its body has come.
    pub(crate) fn send(
        &self,
        session: &Session,
        question: Question<'_>,
    ) -> std::result::Result<Response<Body>, Unanswered> {
        let request = Request::builder()
            .method(question.method)
            .uri(format!("{}{}", session.base, question.route))
            .header("authorization", format!("Bearer {}", session.secret));
        let answer = match question.body {
            [] => {
                // Else an end of the body is sent on its own, and a service that does not wait for
                // it closes the connection, under the next question.
                let request = request.header("content-length", "0");
                request.body(()).map(|request| self.agent.run(request))
            }
            body => {
                let request = request.header("content-type", "application/json");
                request.body(body).map(|request| self.agent.run(request))
            }
        };
        let answer = answer.map_err(|cause| {
            let text = format!("a request that cannot be made: {cause}");
            Unanswered::Refused(Error::new(Kind::Internal, text))
        })?;
        match answer {
            // Another service has taken the place of the one that was asked.
            Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED => Err(Unanswered::Lost),
            Ok(answer) if answer.status().is_success() => Ok(answer),
            Ok(answer) => Err(refusal(answer)),
            Err(_) => Err(Unanswered::Lost),
        }
    }

    /// Returns the present run of the service; where there is none, it is started, or, without
    /// `start`, waited for.
    ///
    /// # Errors
    /// `HostUnreachable`; `Denied` where its file is somebody else's.
    pub(crate) fn session(&self, may_start: bool) -> Result<Arc<Session>> {
        let mut known = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*known {
            return Ok(Arc::clone(session));
        }
        let deadline = Instant::now() + PATIENCE;
        let mut has_started = !may_start;
        loop {
            if let Some(session) = self.find()? {
                let session = Arc::new(session);
                *known = Some(Arc::clone(&session));
                return Ok(session);
            }
            if !has_started && !start() {
                return Err(unreachable(
                    "none runs, and the program replix is not found",
                ));
            }
            has_started = true;
            if Instant::now() >= deadline {
                let place = quoted(&self.place);
                return Err(unreachable(format!("none has written {place}")));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Forgets a run of the service that has not answered.
    pub(crate) fn drop_session(&self, lost: &Arc<Session>) {
        let mut known = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, lost)) {
            *known = None;
        }
        drop(known);
        std::thread::sleep(PAUSE);
    }

    /// Finds the service by its file, and has it prove that it wrote that.
    fn find(&self) -> Result<Option<Session>> {
        let Some(file) = place::read(&self.place)? else {
            return Ok(None);
        };
        let base = format!("http://127.0.0.1:{}", file.port);
        let nonce = format!("{:032x}", rand::random::<u128>());
        let hello = self.agent.get(format!("{base}/v1/hello?nonce={nonce}"));
        let Ok(answer) = hello.call() else {
            return Ok(None);
        };
        let hello = read_all(answer).ok();
        let hello = hello.and_then(|bytes| serde_json::from_slice::<Hello>(&bytes).ok());
        let is_proven = hello.is_some_and(|hello| {
            hello.proof == proof(&file.secret, &nonce) && hello.instance == file.instance
        });
        Ok(is_proven.then_some(Session {
            base,
            secret: file.secret,
            instance: file.instance,
        }))
    }
}

/// Returns what an answer that is no success says.
fn refusal(answer: Response<Body>) -> Unanswered {
    let status = answer.status();
    let Ok(bytes) = read_all(answer) else {
        return Unanswered::Lost;
    };
    Unanswered::Refused(match serde_json::from_slice::<Failure>(&bytes) {
        Ok(failure) => failure.into(),
        Err(_) => Error::new(
            Kind::Internal,
            format!("the host service answered {status}"),
        ),
    })
}

fn read_all(answer: Response<Body>) -> std::result::Result<Vec<u8>, Unanswered> {
    let body = answer.into_body().into_with_config();
    let bytes = body.limit(ANSWER_LIMIT_BYTES).read_to_vec();
    bytes.map_err(|_| Unanswered::Lost)
}

/// Returns a route with its arguments, encoded.
pub(crate) fn route(route: &str, arguments: &[(&str, &str)]) -> String {
    let mut text = route.to_string();
    for ((name, value), mark) in arguments.iter().zip("?".chars().chain("&".chars().cycle())) {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        // Writing to a text does not fail.
        let _ = write!(text, "{mark}{name}={value}");
    }
    text
}

/// Returns a path of the host as a text.
///
/// # Errors
/// `NotSupported` where it is none.
pub(crate) fn text_of(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        let text = format!(
            "the path {} is no UTF-8, which the host service needs",
            quoted(path)
        );
        Error::new(Kind::NotSupported, text).at(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_carry_any_text() {
        let arguments = [("vm", "/a b/ü&x=1.vmx"), ("which", "running")];
        assert_eq!(
            route("/v1/vm", &arguments),
            "/v1/vm?vm=%2Fa%20b%2F%C3%BC%26x%3D1%2Evmx&which=running"
        );
        assert_eq!(route("/v1/vms", &[]), "/v1/vms");
    }
}
