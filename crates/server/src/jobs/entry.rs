//! One job: how far it is, and how it ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use replix::{Job, Result};
use replix_remote::wire::{Answer, Failure, JobReport, Operation, Outcome};
use tokio::sync::watch;

use crate::answer::unwritable;
use crate::request::JobId;

/// A job. What it does is remembered as a digest only: it may hold a password.
pub(crate) struct Entry {
    id: JobId,
    digest: blake3::Hash,
    operation: String,
    target: PathBuf,
    job: Job,
    /// Changes also when there is news of the progress.
    end: Arc<watch::Sender<Option<End>>>,
}

/// How a job ended, and when.
#[derive(Clone)]
pub(crate) struct End {
    at: Instant,
    outcome: Outcome,
}

impl Entry {
    /// Returns the job called `id`, which does not run yet.
    pub(crate) fn new(id: JobId, operation: &Operation) -> Self {
        let end = Arc::new(watch::Sender::new(None));
        let watched = Arc::clone(&end);
        Self {
            id,
            digest: digest(operation),
            operation: name(operation),
            target: target(operation).to_path_buf(),
            job: Job::observed(move |_| watched.send_modify(|_| {})),
            end,
        }
    }

    /// Returns its control block.
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }

    /// Tells whether it does exactly this.
    pub(crate) fn does(&self, operation: &Operation) -> bool {
        self.digest == digest(operation)
    }

    /// Returns when it ended; `None` while it runs.
    pub(crate) fn ended_at(&self) -> Option<Instant> {
        self.end.borrow().as_ref().map(|end| end.at)
    }

    /// Notes how it ended.
    pub(crate) fn end(&self, result: Result<Answer>) {
        let writable = result.and_then(|answer| match serde_json::to_vec(&answer) {
            Ok(_) => Ok(answer),
            Err(error) => Err(unwritable(&error).context("it is done")),
        });
        let outcome = match writable {
            Ok(answer) => Outcome::Done(answer),
            Err(error) => Outcome::Failed(Failure::from(&error)),
        };
        let at = Instant::now();
        self.end.send_replace(Some(End { at, outcome }));
    }

    /// Returns a receiver of its news, which has some from the start.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<End>> {
        let mut receiver = self.end.subscribe();
        receiver.mark_changed();
        receiver
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as this entry.
        let _ = self.end.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns what can be said of it now.
    pub(crate) fn report(&self) -> JobReport {
        let end = self.end.borrow().clone();
        self.report_with(end)
    }

    /// Returns what can be said of it where it ended so.
    pub(crate) fn report_with(&self, end: Option<End>) -> JobReport {
        JobReport {
            id: self.id.to_string(),
            operation: self.operation.clone(),
            target: self.target.clone(),
            progress: self.job.progress(),
            warnings: self.job.warnings(),
            outcome: end.map(|end| end.outcome),
        }
    }
}

fn digest(operation: &Operation) -> blake3::Hash {
    blake3::hash(&serde_json::to_vec(operation).expect("what came as JSON can be written as JSON"))
}

/// The name of an operation, as it is written.
fn name(operation: &Operation) -> String {
    let value = serde_json::to_value(operation).expect("what came as JSON can be written as JSON");
    let named = value.as_object().and_then(|object| object.keys().next());
    named.cloned().unwrap_or_default()
}

/// Returns the VM, or the disk, that an operation is done to.
pub(crate) fn target(operation: &Operation) -> &Path {
    match operation {
        Operation::CheckDisk { path } | Operation::Disk { path, .. } => path,
        Operation::Clone { vm, .. }
        | Operation::CreateSnapshot { vm, .. }
        | Operation::Revert { vm, .. }
        | Operation::RemoveSnapshot { vm, .. }
        | Operation::Consolidate { vm }
        | Operation::Promote { vm, .. }
        | Operation::Relink { vm, .. }
        | Operation::Delete { vm, .. }
        | Operation::PowerOn { vm, .. }
        | Operation::PowerOff { vm, .. }
        | Operation::Reset { vm, .. }
        | Operation::Pause { vm }
        | Operation::Unpause { vm }
        | Operation::Suspend { vm, .. }
        | Operation::UpgradeHardware { vm }
        | Operation::Device { vm, .. }
        | Operation::Guest { vm, .. } => vm,
    }
}

#[cfg(test)]
mod tests {
    use replix::clone::{CloneKind, CloneReport};
    use replix::{Error, Kind};

    use super::*;

    fn entry() -> Entry {
        let operation = Operation::UpgradeHardware { vm: "/a".into() };
        Entry::new("0".repeat(32).parse().unwrap(), &operation)
    }

    #[test]
    fn report_names_what_is_done() {
        let entry = entry();
        entry.job().warn("careful");
        entry.job().phase("working");
        let report = entry.report();
        assert_eq!(report.operation, "upgrade_hardware");
        assert_eq!(report.target, Path::new("/a"));
        assert_eq!(report.progress.phase, "working");
        assert_eq!(report.warnings, ["careful"]);
        assert_eq!(report.outcome, None);
    }

    #[test]
    fn watcher_hears_of_progress_and_end() {
        let entry = entry();
        let mut watch = entry.watch();
        for _ in 0..2 {
            assert!(watch.has_changed().unwrap());
            assert!(watch.borrow_and_update().is_none());
            assert!(!watch.has_changed().unwrap());
            entry.job().phase("working");
        }
        entry.end(Err(Error::new(Kind::Cancelled, "enough")));
        assert!(watch.borrow_and_update().is_some());
        let Some(Outcome::Failed(failure)) = entry.report().outcome else {
            panic!("it failed");
        };
        assert_eq!(failure.kind, Kind::Cancelled);
    }

    #[test]
    fn answer_that_cannot_travel_is_a_failure() {
        use std::os::unix::ffi::OsStrExt;
        let entry = entry();
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/\xff"));
        entry.end(Ok(Answer::Clone(CloneReport {
            path: path.to_path_buf(),
            kind: CloneKind::Full,
            snapshot: None,
            bytes: 0,
            moved: replix::disk::Moved::default(),
            warnings: Vec::new(),
        })));
        let Some(Outcome::Failed(failure)) = entry.report().outcome else {
            panic!("it failed");
        };
        assert_eq!(failure.kind, Kind::NotSupported);
        assert!(failure.text.starts_with("it is done: "), "{}", failure.text);
    }
}
