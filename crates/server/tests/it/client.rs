//! A client of the service: requests, and a job's events as they come.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use replix::clone::{CloneKind, CloneSpec};
use replix_remote::wire::{JobReport, Operation, Outcome, ServiceFile};
use serde::de::DeserializeOwned;
use ureq::http::Request;

use crate::machine::LIMIT;

/// Who asks.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    bearer: String,
}

/// A status and a body.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: u16,
    pub body: String,
}

impl Said {
    /// The body, of an answer that is no failure.
    pub fn ok<T: DeserializeOwned>(&self) -> T {
        assert!((200..300).contains(&self.status), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// Status and kind of a failure.
    pub fn failure(&self) -> (u16, String) {
        let failure: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        let kind = failure["kind"]
            .as_str()
            .unwrap_or_else(|| panic!("{self:?}"));
        (self.status, kind.to_owned())
    }
}

impl Client {
    pub fn new(file: &ServiceFile) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(LIMIT))
            .build();
        Self {
            agent: config.into(),
            base: format!("http://127.0.0.1:{}", file.port),
            bearer: format!("Bearer {}", file.secret),
        }
    }

    /// Asks; an empty body is none.
    pub fn ask(&self, method: &str, route: &str, body: &str) -> Said {
        let mut answer = self.send(method, route, body);
        Said {
            status: answer.status().as_u16(),
            body: answer.body_mut().read_to_string().unwrap(),
        }
    }

    fn send(&self, method: &str, route: &str, body: &str) -> ureq::http::Response<ureq::Body> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{route}", self.base))
            .header("authorization", &self.bearer);
        match body {
            // Said, lest its end is sent on its own and comes after the answer: the service then
            // closes the connection.
            "" => {
                let request = request.header("content-length", "0");
                self.agent.run(request.body(()).unwrap()).unwrap()
            }
            body => self
                .agent
                .run(request.body(body.to_owned()).unwrap())
                .unwrap(),
        }
    }

    pub fn get(&self, route: &str) -> Said {
        self.ask("GET", route, "")
    }

    /// Asks for a job.
    pub fn put(&self, id: &str, operation: &Operation) -> Said {
        let body = serde_json::to_string(operation).unwrap();
        self.ask("PUT", &format!("/v1/jobs/{id}"), &body)
    }

    /// Starts a new job and returns its name.
    pub fn start(&self, operation: &Operation) -> String {
        let id = new_id();
        let said = self.put(&id, operation);
        assert_eq!(said.status, 201, "{said:?}");
        id
    }

    /// The events of a job, until the connection ends.
    pub fn events(&self, id: &str) -> impl Iterator<Item = Event> + use<> {
        let answer = self.send("GET", &format!("/v1/jobs/{id}/events"), "");
        assert_eq!(answer.status(), 200);
        let lines = BufReader::new(answer.into_body().into_reader()).lines();
        let mut lines = lines.map_while(Result::ok);
        std::iter::from_fn(move || {
            loop {
                let line = lines.next()?;
                if let Some(name) = line.strip_prefix("event: ") {
                    let data = lines.next()?;
                    let report = serde_json::from_str(data.strip_prefix("data: ")?).unwrap();
                    return Some(Event::Report(name.to_owned(), report));
                } else if line.starts_with(':') {
                    return Some(Event::Heartbeat);
                }
            }
        })
    }

    /// Waits until some of a job's bytes are done, and not all.
    pub fn midway(&self, id: &str) {
        let is_midway = |event| match event {
            Event::Report(name, report) => {
                assert_eq!(name, "progress", "{report:?}");
                (1..90).contains(&report.progress.percent())
            }
            Event::Heartbeat => false,
        };
        assert!(self.events(id).any(is_midway));
    }

    /// Waits for a job's end.
    pub fn end(&self, id: &str) -> Outcome {
        let last = self.events(id).last();
        match last {
            Some(Event::Report(name, report)) if name == "ended" => report.outcome.unwrap(),
            other => panic!("no end: {other:?}"),
        }
    }

    /// What the service says of a job.
    pub fn report(&self, id: &str) -> JobReport {
        self.get(&format!("/v1/jobs/{id}")).ok()
    }
}

/// What comes in the stream of a job.
#[derive(Debug)]
pub enum Event {
    Report(String, Box<JobReport>),
    Heartbeat,
}

/// A name for a job that no other has.
pub fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// A clone to be made.
pub fn clone(kind: CloneKind, from: &Path, to: &Path) -> Operation {
    Operation::Clone {
        vm: from.to_path_buf(),
        spec: CloneSpec::new(kind, to),
    }
}

/// Asserts that a job ended well.
pub fn assert_done(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
}

/// Sends bytes and returns all that comes back until the connection ends.
pub fn raw(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
