//! Jobs: asked for, run each on a thread of its own, watched, cancelled, forgotten.

mod entry;
mod events;
mod registry;
mod work;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::StatusCode;
use replix::{Error, Host, Kind};
use replix_remote::wire::{JobReport, Operation};

pub(crate) use entry::Entry;
pub(crate) use events::events;
use registry::{Admitted, Registry};

use crate::answer::Refusal;
use crate::journal::Journal;
use crate::memory::give_back;
use crate::request::JobId;

/// The jobs of a service.
pub(crate) struct Jobs {
    host: Host,
    journal: Arc<Journal>,
    registry: Arc<Mutex<Registry>>,
}

impl Jobs {
    /// Returns no jobs, on `host`.
    pub(crate) fn new(host: Host, journal: Journal) -> Self {
        Self {
            host,
            journal: Arc::new(journal),
            registry: Arc::default(),
        }
    }

    /// Starts a job unless it is there; the status tells which.
    ///
    /// # Errors
    /// `Argument` for a path that can be none; those of [`Registry::admit`].
    pub(crate) fn start(
        &self,
        id: JobId,
        operation: Operation,
    ) -> Result<(StatusCode, JobReport), Refusal> {
        work::check_paths(&operation)?;
        let admitted = self.registry().admit(id, &operation)?;
        Ok(match admitted {
            Admitted::There(entry) => (StatusCode::OK, entry.report()),
            Admitted::New(entry) => {
                self.launch(&entry, id, operation);
                (StatusCode::CREATED, entry.report())
            }
        })
    }

    fn launch(&self, entry: &Arc<Entry>, id: JobId, operation: Operation) {
        let (host, journal) = (self.host.clone(), Arc::clone(&self.journal));
        let (own, registry) = (Arc::clone(entry), Arc::clone(&self.registry));
        let work = move || {
            let work = || {
                let _page = journal.note(id, &operation)?;
                work::run(host.provider(), &operation, own.job())
            };
            let panicked = |_| Err(Error::new(Kind::Internal, "the operation ended in a panic"));
            own.end(catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked));
            if locked(&registry).is_idle() {
                give_back();
            }
        };
        let thread = std::thread::Builder::new().name("replix-job".into());
        if let Err(error) = thread.spawn(work) {
            let text = format!("cannot start a thread: {error}");
            entry.end(Err(Error::new(Kind::Internal, text)));
        }
    }

    /// Returns a job.
    ///
    /// # Errors
    /// 404.
    pub(crate) fn find(&self, id: JobId) -> Result<Arc<Entry>, Refusal> {
        self.registry().find(id)
    }

    /// Returns what can be said of all jobs.
    pub(crate) fn reports(&self) -> Vec<JobReport> {
        let all = self.registry().all();
        all.iter().map(|entry| entry.report()).collect()
    }

    /// Forgets a job that has ended.
    ///
    /// # Errors
    /// 404; 409 while it runs.
    pub(crate) fn forget(&self, id: JobId) -> Result<(), Refusal> {
        self.registry().forget(id)
    }

    /// Forgets what has been kept for long enough.
    pub(crate) fn expire(&self) {
        self.registry().expire(Instant::now());
    }

    /// Tells whether no job runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.registry().is_idle()
    }

    /// Starts no job any more; returns those that run.
    pub(crate) fn close(&self) -> Vec<Arc<Entry>> {
        let mut registry = self.registry();
        registry.close();
        registry.running().map(Arc::clone).collect()
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        locked(&self.registry)
    }
}

fn locked(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
