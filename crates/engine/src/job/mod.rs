//! Long work: progress, warnings, cancelling, and running on a thread of its own.
//!
//! Engine operations are plain blocking functions that take `&Job`: they report progress to it and
//! ask it whether they should stop. [`Job::spawn`] runs one on a worker thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
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
        percent(self.done_bytes, self.total_bytes)
    }
}

fn percent(done_bytes: u64, total_bytes: u64) -> u8 {
    match total_bytes {
        0 => 0,
        total => (done_bytes.min(total).saturating_mul(100) / total) as u8,
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
    observer: Option<Observer>,
}

/// Who is told of progress, and what was told last.
struct Observer {
    tell: Box<dyn Fn(&Progress) + Send + Sync>,
    /// The phase last told; locked while the observer is being called.
    phase: Mutex<String>,
    /// The percentage last told.
    percent: AtomicU8,
    /// Something may have changed since the observer was called.
    has_news: AtomicBool,
}

impl Job {
    /// Returns a job that nobody watches yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a job whose `observer` is called when the phase or the whole percentage changes.
    ///
    /// It is called on the thread that does the work, never by two threads at once; a panic in it
    /// does not matter to the work.
    pub fn observed(observer: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        let observer = Observer {
            tell: Box::new(observer),
            phase: Mutex::default(),
            percent: AtomicU8::new(0),
            has_news: AtomicBool::new(false),
        };
        Self(Arc::new(Shared {
            observer: Some(observer),
            ..Shared::default()
        }))
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
            let caught = catch_unwind(AssertUnwindSafe(|| work(&worker_job)));
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
        if let Some(observer) = &self.0.observer {
            self.tell(observer);
        }
    }

    /// Adds to the bytes that are to be done in all.
    pub fn expect_bytes(&self, bytes: u64) {
        self.0.total.fetch_add(bytes, Ordering::Relaxed);
        self.tell_percent();
    }

    /// Adds to the bytes that are done.
    pub fn advance(&self, bytes: u64) {
        self.0.done.fetch_add(bytes, Ordering::Relaxed);
        self.tell_percent();
    }

    /// Calls the observer if the percentage is another than the one it knows.
    fn tell_percent(&self) {
        let Some(observer) = &self.0.observer else {
            return;
        };
        let total = self.0.total.load(Ordering::Relaxed);
        let now = percent(self.0.done.load(Ordering::Relaxed), total);
        if now != observer.percent.load(Ordering::Relaxed) {
            self.tell(observer);
        }
    }

    /// Calls the observer if there is news for it. Who finds it being called leaves the news to the
    /// thread that calls it.
    fn tell(&self, observer: &Observer) {
        observer.has_news.store(true, Ordering::SeqCst);
        while observer.has_news.load(Ordering::SeqCst) {
            let mut told = match observer.phase.try_lock() {
                Ok(told) => told,
                Err(TryLockError::Poisoned(told)) => told.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            observer.has_news.store(false, Ordering::SeqCst);
            let now = self.progress();
            let old = observer.percent.swap(now.percent(), Ordering::Relaxed);
            if old != now.percent() || *told != now.phase {
                told.clone_from(&now.phase);
                let _ = catch_unwind(AssertUnwindSafe(|| (observer.tell)(&now)));
            }
        }
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

    /// Phases and percentages, as told.
    type Told = Arc<Mutex<Vec<(String, u8)>>>;

    /// A job that writes down what its observer is told.
    fn watched() -> (Job, Told) {
        let told = Told::default();
        let writer = Arc::clone(&told);
        let job = Job::observed(move |progress| {
            locked(&writer).push((progress.phase.clone(), progress.percent()));
        });
        (job, told)
    }

    #[test]
    fn observer_is_told_of_each_phase_and_percent_once() {
        let (job, told) = watched();
        job.phase("a");
        job.phase("a");
        job.expect_bytes(1000);
        for _ in 0..1000 {
            job.advance(1);
        }
        job.phase("b");
        let told = locked(&told);
        let percents = (0..=100).map(|percent| ("a".to_string(), percent));
        let expected: Vec<_> = percents.chain([("b".to_string(), 100)]).collect();
        assert_eq!(*told, expected);
    }

    #[test]
    fn observer_is_called_by_one_thread_at_a_time() {
        #[derive(Default)]
        struct Seen {
            inside: AtomicBool,
            overlaps: AtomicU64,
            calls: AtomicU64,
            percent: AtomicU8,
        }
        let seen = Arc::new(Seen::default());
        let own = Arc::clone(&seen);
        let job = Job::observed(move |progress| {
            let overlaps = own.inside.swap(true, Ordering::SeqCst);
            own.overlaps
                .fetch_add(u64::from(overlaps), Ordering::SeqCst);
            own.calls.fetch_add(1, Ordering::SeqCst);
            own.percent.store(progress.percent(), Ordering::SeqCst);
            std::thread::yield_now();
            own.inside.store(false, Ordering::SeqCst);
        });
        job.expect_bytes(8 * 50_000);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50_000).for_each(|_| job.advance(1)));
            }
        });
        assert_eq!(seen.overlaps.load(Ordering::SeqCst), 0);
        assert_eq!(seen.percent.load(Ordering::SeqCst), 100);
        assert!(seen.calls.load(Ordering::SeqCst) <= 100);
    }

    #[test]
    fn observer_may_panic_and_may_ask_its_job() {
        let own: Arc<Mutex<Option<Job>>> = Arc::default();
        let calls = Arc::new(AtomicU64::new(0));
        let (inner, counter) = (Arc::clone(&own), Arc::clone(&calls));
        let job = Job::observed(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            let job = locked(&inner).clone().unwrap();
            job.advance(1);
            job.warn("seen");
            panic!("as the test wants it");
        });
        *locked(&own) = Some(job.clone());
        job.phase("a");
        job.phase("b");
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert_eq!(job.progress().done_bytes, 2);
        assert_eq!(job.warnings(), ["seen"]);
        locked(&own).take();
    }
}
