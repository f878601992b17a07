//! A job at the service: started once, followed to its end whatever happens to connections.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use replix::{Error, Job, Kind, Progress, Result};

use crate::link::{Link, Question, Session, Unanswered};
use crate::wire::{Answer, JobReport, Operation, Outcome};

/// How long a service that was lost is looked for.
const PATIENCE: Duration = Duration::from_secs(15);

/// No line of events is longer.
const LINE_LIMIT_BYTES: u64 = 64 << 20;

/// Has the service do something, and tells `job` how far it is.
///
/// # Errors
/// What the engine says; `HostUnreachable`; `ConnectionLost` where the service has ended meanwhile.
pub(crate) fn run(link: &Link, operation: &Operation, job: &Job) -> Result<Answer> {
    job.check()?;
    let remote = Remote {
        link,
        route: format!("/v1/jobs/{:032x}", rand::random::<u128>()),
        job,
    };
    let session = remote.start(operation)?;
    // From here on it is done, whatever becomes of this process.
    job.phase("begun by the host");
    let report = remote.follow(session)?;
    for warning in report.warnings {
        job.warn(warning);
    }
    match report.outcome {
        Some(Outcome::Done(answer)) => Ok(answer),
        Some(Outcome::Failed(failure)) => Err(failure.into()),
        None => Err(Error::new(
            Kind::Internal,
            "the last event of a job tells no end",
        )),
    }
}

/// A job at the service, and the one here that stands for it.
struct Remote<'a> {
    link: &'a Link,
    route: String,
    job: &'a Job,
}

impl Remote<'_> {
    /// Starts the job. Asked again by the same name, the service that was asked before does nothing
    /// new; another one must not be asked.
    fn start(&self, operation: &Operation) -> Result<Arc<Session>> {
        let body = serde_json::to_vec(operation).map_err(|cause| {
            let text = format!("this cannot be asked of the host service: {cause}");
            Error::new(Kind::NotSupported, text)
        })?;
        let question = Question {
            method: "PUT",
            route: &self.route,
            body: &body,
        };
        let mut session = self.link.session(true)?;
        loop {
            match self.link.ask_once::<JobReport>(&session, question) {
                Ok(_) => return Ok(session),
                Err(Unanswered::Refused(error)) => return Err(error),
                Err(Unanswered::Lost) => session = self.find_again(&session)?,
            }
        }
    }

    /// Listens to the events of the job until its end.
    fn follow(&self, mut session: Arc<Session>) -> Result<JobReport> {
        loop {
            match self.listen(&session) {
                Ok(report) => {
                    self.tell(&session, "DELETE", "");
                    return Ok(report);
                }
                Err(Unanswered::Refused(error)) => return Err(error),
                Err(Unanswered::Lost) => session = self.find_again(&session)?,
            }
        }
    }

    /// Listens as long as the connection stands.
    fn listen(&self, session: &Arc<Session>) -> std::result::Result<JobReport, Unanswered> {
        let route = format!("{}/events", self.route);
        let question = Question {
            method: "GET",
            route: &route,
            body: &[],
        };
        let mut events =
            BufReader::new(self.link.send(session, question)?.into_body().into_reader());
        let mut has_cancelled = false;
        let mut known = Progress::default();
        loop {
            // Comments come all the time, so that this is asked all the time.
            if !has_cancelled && self.job.check().is_err() {
                self.tell(session, "POST", "/cancel");
                has_cancelled = true;
            }
            let Some(report) = next_report(&mut events)? else {
                continue;
            };
            if report.outcome.is_some() {
                return Ok(report);
            }
            pass_on(&mut known, report.progress, self.job);
        }
    }

    /// Returns the same run of the service, with which the connection was lost.
    fn find_again(&self, lost: &Arc<Session>) -> Result<Arc<Session>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.link.drop_session(lost);
            let found = match self.link.session(false) {
                Ok(found) if found.instance == lost.instance => return Ok(found),
                found => found,
            };
            if found.is_ok() || Instant::now() >= deadline {
                let text = "the host service has ended while it worked";
                let hint = "what was left half done is taken back when it starts again";
                return Err(Error::new(Kind::ConnectionLost, text).hint(hint));
            }
        }
    }

    /// Tells the service something; whether it was heard does not matter.
    fn tell(&self, session: &Session, method: &str, what: &str) {
        let route = format!("{}{what}", self.route);
        let question = Question {
            method,
            route: &route,
            body: &[],
        };
        let _ = self.link.ask_once::<serde_json::Value>(session, question);
    }
}

/// Reads one line; the report that it carries, if it does.
fn next_report(events: &mut impl BufRead) -> std::result::Result<Option<JobReport>, Unanswered> {
    let mut line = String::new();
    let read = events.take(LINE_LIMIT_BYTES).read_line(&mut line);
    if read.is_err() || !line.ends_with('\n') {
        return Err(Unanswered::Lost);
    }
    let Some(data) = line.strip_prefix("data:") else {
        return Ok(None);
    };
    serde_json::from_str(data).map(Some).map_err(|cause| {
        let text = format!("an event of the host service makes no sense: {cause}");
        Unanswered::Refused(Error::new(Kind::Internal, text))
    })
}

/// Tells the job here what is new in the service's.
fn pass_on(known: &mut Progress, now: Progress, job: &Job) {
    if now.phase != known.phase {
        job.phase(now.phase.clone());
    }
    job.expect_bytes(now.total_bytes.saturating_sub(known.total_bytes));
    job.advance(now.done_bytes.saturating_sub(known.done_bytes));
    *known = now;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(done_bytes: u64) -> JobReport {
        JobReport {
            id: "0".repeat(32),
            operation: "clone".into(),
            target: "/a.vmx".into(),
            progress: Progress {
                phase: "copying".into(),
                done_bytes,
                total_bytes: 10,
            },
            warnings: Vec::new(),
            outcome: None,
        }
    }

    #[test]
    fn comments_and_names_carry_no_report() {
        let json = serde_json::to_string(&report(3)).unwrap();
        let stream = format!(": alive\n\nevent: progress\ndata: {json}\n\n");
        let mut events = stream.as_bytes();
        let mut found = Vec::new();
        while let Ok(next) = next_report(&mut events) {
            found.extend(next);
        }
        assert_eq!(found, [report(3)]);
    }

    #[test]
    fn torn_line_is_a_lost_connection() {
        let mut events: &[u8] = b"data: {\"id\"";
        assert!(matches!(next_report(&mut events), Err(Unanswered::Lost)));
    }

    #[test]
    fn progress_is_told_once() {
        let (job, mut known) = (Job::new(), Progress::default());
        for done in [3, 3, 7] {
            pass_on(&mut known, report(done).progress, &job);
        }
        assert_eq!(job.progress(), report(7).progress);
    }
}
