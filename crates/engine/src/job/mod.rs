//! Long work: progress, warnings, cancelling, and running on a thread of its own.
//!
//! Engine operations are plain blocking functions that take `&Job`: they report progress to it and
//! ask it whether they should stop. [`Job::spawn`] runs one on a worker thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done now, for a person: "copying disk web.vmdk".
    pub phase: String,
    /// Bytes done so far.
    pub done_bytes: u64,
    /// Bytes to do in all; 0 while that is not known.
    pub total_bytes: u64,
}

impl Progress {
    /// Returns the share that is done, 0 to 100.
    pub fn percent(&self) -> u8 {
        match self.total_bytes {
            0 => 0,
            total => (self.done_bytes.min(total).saturating_mul(100) / total) as u8,
        }
    }
}

/// The control block of one operation: cheap to clone, shared between worker and watchers.
#[derive(Clone, Default)]
pub struct Job(Arc<Shared>);

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
    phase: Mutex<String>,
    warnings: Mutex<Vec<String>>,
}

impl Job {
    /// Returns a job that nobody watches yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `work` on a thread of its own and returns at once.
    pub fn spawn<T, F>(work: F) -> Started<T>
    where
        T: Send + 'static,
        F: FnOnce(&Job) -> Result<T> + Send + 'static,
    {
        let job = Job::new();
        let outcome = Arc::new(Outcome {
            slot: Mutex::new(Slot::Running),
            ended: Condvar::new(),
        });
        let (worker_job, worker_outcome) = (job.clone(), Arc::clone(&outcome));
        let run = move || {
            let caught =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&worker_job)));
            let result = caught.unwrap_or_else(|_| {
                Err(Error::new(Kind::Internal, "the operation ended in a panic"))
            });
            worker_outcome.end(result);
        };
        if let Err(error) = std::thread::Builder::new()
            .name("replix-job".into())
            .spawn(run)
        {
            let error = Error::new(Kind::Internal, format!("cannot start a thread: {error}"));
            outcome.end(Err(error));
        }
        Started { job, outcome }
    }

    /// Asks the operation to stop at its next step; it then ends with `Cancelled`.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
    }

    /// Fails with `Cancelled` once somebody asked to stop.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn check(&self) -> Result<()> {
        if self.0.cancelled.load(Ordering::Acquire) {
            return Err(Error::new(Kind::Cancelled, "the operation was cancelled"));
        }
        Ok(())
    }

    /// Says what is being done now.
    pub fn phase(&self, phase: impl Into<String>) {
        *locked(&self.0.phase) = phase.into();
    }

    /// Adds to the bytes that are to be done in all.
    pub fn expect_bytes(&self, bytes: u64) {
        self.0.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds to the bytes that are done.
    pub fn advance(&self, bytes: u64) {
        self.0.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Keeps a remark for the user, with its cure, that does not stop the operation.
    pub fn warn(&self, warning: impl Into<String>) {
        let (warning, mut warnings) = (warning.into(), locked(&self.0.warnings));
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Returns how far the job is.
    pub fn progress(&self) -> Progress {
        Progress {
            phase: locked(&self.0.phase).clone(),
            done_bytes: self.0.done.load(Ordering::Relaxed),
            total_bytes: self.0.total.load(Ordering::Relaxed),
        }
    }

    /// Returns the remarks kept so far.
    pub fn warnings(&self) -> Vec<String> {
        locked(&self.0.warnings).clone()
    }
}

/// A job that runs on its own thread and will have a result.
pub struct Started<T> {
    job: Job,
    outcome: Arc<Outcome<T>>,
}

struct Outcome<T> {
    slot: Mutex<Slot<T>>,
    ended: Condvar,
}

enum Slot<T> {
    Running,
    Ended(Result<T>),
    Taken,
}

impl<T> Started<T> {
    /// Returns the control block, to watch or cancel.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Tells whether the operation has ended, well or not.
    pub fn is_done(&self) -> bool {
        !matches!(*locked(&self.outcome.slot), Slot::Running)
    }

    /// Waits at most `limit` for the end and tells whether it has come.
    pub fn wait_for(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut slot = locked(&self.outcome.slot);
        while matches!(*slot, Slot::Running) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            slot = self
                .outcome
                .ended
                .wait_timeout(slot, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Waits for the end and returns the result.
    ///
    /// # Errors
    /// Whatever the operation ended with.
    pub fn wait(self) -> Result<T> {
        let mut slot = locked(&self.outcome.slot);
        loop {
            match std::mem::replace(&mut *slot, Slot::Taken) {
                Slot::Ended(result) => return result,
                running => *slot = running,
            }
            slot = self
                .outcome
                .ended
                .wait(slot)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Outcome<T> {
    fn end(&self, result: Result<T>) {
        *locked(&self.slot) = Slot::Ended(result);
        self.ended.notify_all();
    }
}

/// A panic while a lock was held leaves plain data behind: it stays usable.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spawned_job_gives_its_result() {
        let started = Job::spawn(|job| {
            job.expect_bytes(10);
            job.advance(5);
            Ok(job.progress().percent())
        });
        assert!(started.wait_for(Duration::from_secs(10)));
        assert_eq!(started.wait().unwrap(), 50);
    }

    #[test]
    fn cancelled_job_ends_with_cancelled() {
        let started = Job::spawn(|job| -> Result<()> {
            loop {
                job.check()?;
                std::thread::yield_now();
            }
        });
        assert!(!started.is_done());
        started.job().cancel();
        assert_eq!(started.wait().unwrap_err().kind(), Kind::Cancelled);
    }

    #[test]
    fn panic_ends_as_internal_error() {
        let started: Started<()> = Job::spawn(|_| panic!("as the test wants it"));
        assert_eq!(started.wait().unwrap_err().kind(), Kind::Internal);
    }
}
