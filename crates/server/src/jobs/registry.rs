//! The jobs that are known: which names are taken, what has ended, what is forgotten when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use replix::Kind;
use replix_remote::wire::Operation;

use super::entry::Entry;
use crate::answer::Refusal;
use crate::request::JobId;

/// The most jobs that run at once.
const MOST_RUNNING: usize = 512;

/// The most jobs of which the end is remembered, and for how long.
const MOST_ENDED: usize = 1000;
const MEMORY: Duration = Duration::from_secs(60 * 60);

/// The jobs.
#[derive(Default)]
pub(crate) struct Registry {
    jobs: BTreeMap<JobId, Arc<Entry>>,
    is_closed: bool,
}

/// What came of a request for a job.
pub(crate) enum Admitted {
    /// It is to be started.
    New(Arc<Entry>),
    /// It was there already.
    There(Arc<Entry>),
}

impl Registry {
    /// Takes in a job, unless it is there already.
    ///
    /// # Errors
    /// 409 where the name stands for another operation; 503 where too many jobs run, or the service
    /// ends.
    pub(crate) fn admit(&mut self, id: JobId, operation: &Operation) -> Result<Admitted, Refusal> {
        if let Some(entry) = self.jobs.get(&id) {
            if entry.does(operation) {
                return Ok(Admitted::There(Arc::clone(entry)));
            }
            let text = "another job has this name";
            return Err(Refusal::new(StatusCode::CONFLICT, Kind::Argument, text));
        }
        let busy = |text| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Busy, text);
        if self.is_closed {
            return Err(busy("the service ends"));
        }
        if self.running().count() >= MOST_RUNNING {
            return Err(busy("too many jobs run already"));
        }
        self.expire(Instant::now());
        let entry = Arc::new(Entry::new(id, operation));
        self.jobs.insert(id, Arc::clone(&entry));
        Ok(Admitted::New(entry))
    }

    /// Returns a job.
    ///
    /// # Errors
    /// 404.
    pub(crate) fn find(&self, id: JobId) -> Result<Arc<Entry>, Refusal> {
        let missing = || {
            let text = format!("there is no job {id}");
            Refusal::new(StatusCode::NOT_FOUND, Kind::Argument, text)
        };
        self.jobs.get(&id).map(Arc::clone).ok_or_else(missing)
    }

    /// Returns all jobs, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.jobs.values().map(Arc::clone).collect()
    }

    /// Returns the jobs that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.jobs
            .values()
            .filter(|entry| entry.ended_at().is_none())
    }

    /// Tells whether no job runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.running().next().is_none()
    }

    /// Forgets a job that has ended.
    ///
    /// # Errors
    /// 404; 409 while it runs.
    pub(crate) fn forget(&mut self, id: JobId) -> Result<(), Refusal> {
        if self.find(id)?.ended_at().is_none() {
            let text = format!("job {id} runs");
            return Err(Refusal::new(StatusCode::CONFLICT, Kind::Busy, text));
        }
        self.jobs.remove(&id);
        Ok(())
    }

    /// Forgets the jobs that ended too long before `now`, and the oldest where too many are left.
    pub(crate) fn expire(&mut self, now: Instant) {
        let ended = self.jobs.iter();
        let mut ended: Vec<(Instant, JobId)> = ended
            .filter_map(|(id, entry)| Some((entry.ended_at()?, *id)))
            .collect();
        ended.sort();
        let too_many = ended.len().saturating_sub(MOST_ENDED);
        for (nth, (at, id)) in ended.into_iter().enumerate() {
            if nth < too_many || now.saturating_duration_since(at) > MEMORY {
                self.jobs.remove(&id);
            }
        }
    }

    /// Takes in no job any more.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }
}

#[cfg(test)]
mod tests {
    use replix_remote::wire::Answer;

    use super::*;

    fn operation(vm: &str) -> Operation {
        Operation::Pause { vm: vm.into() }
    }

    fn id(number: usize) -> JobId {
        format!("{number:032x}").parse().unwrap()
    }

    fn admit(registry: &mut Registry, number: usize) -> Arc<Entry> {
        match registry.admit(id(number), &operation("/a")) {
            Ok(Admitted::New(entry)) => entry,
            Ok(Admitted::There(_)) => panic!("job {number} is there"),
            Err(refusal) => panic!("{refusal:?}"),
        }
    }

    #[test]
    fn same_name_is_the_same_job() {
        let mut registry = Registry::default();
        let first = admit(&mut registry, 1);
        for _ in 0..2 {
            let again = registry.admit(id(1), &operation("/a"));
            assert!(matches!(again, Ok(Admitted::There(entry)) if Arc::ptr_eq(&entry, &first)));
            first.end(Ok(Answer::Done));
        }
        let other = registry.admit(id(1), &operation("/b")).err().unwrap();
        assert_eq!(other.status, StatusCode::CONFLICT);
    }

    #[test]
    fn jobs_that_run_are_counted() {
        let mut registry = Registry::default();
        let entries: Vec<_> = (0..MOST_RUNNING).map(|n| admit(&mut registry, n)).collect();
        let refused = registry
            .admit(id(MOST_RUNNING), &operation("/a"))
            .err()
            .unwrap();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        entries[7].end(Ok(Answer::Done));
        admit(&mut registry, MOST_RUNNING);
    }

    #[test]
    fn only_ended_jobs_are_forgotten() {
        let mut registry = Registry::default();
        let entry = admit(&mut registry, 1);
        assert_eq!(
            registry.forget(id(1)).unwrap_err().status,
            StatusCode::CONFLICT
        );
        entry.end(Ok(Answer::Done));
        registry.forget(id(1)).unwrap();
        assert_eq!(
            registry.forget(id(1)).unwrap_err().status,
            StatusCode::NOT_FOUND
        );
        assert!(registry.all().is_empty());
    }

    #[test]
    fn ended_jobs_expire_and_running_stay() {
        let mut registry = Registry::default();
        admit(&mut registry, 0);
        admit(&mut registry, 1).end(Ok(Answer::Done));
        registry.expire(Instant::now() + MEMORY / 2);
        assert_eq!(registry.all().len(), 2);
        registry.expire(Instant::now() + MEMORY * 2);
        assert_eq!(registry.all().len(), 1);
    }

    #[test]
    fn oldest_ends_go_first() {
        let mut registry = Registry::default();
        for number in 0..MOST_ENDED + 5 {
            admit(&mut registry, number).end(Ok(Answer::Done));
        }
        registry.expire(Instant::now());
        assert_eq!(registry.all().len(), MOST_ENDED);
        assert!(registry.find(id(4)).is_err() && registry.find(id(5)).is_ok());
    }

    #[test]
    fn closed_registry_still_knows_its_jobs() {
        let mut registry = Registry::default();
        admit(&mut registry, 1);
        registry.close();
        assert!(registry.admit(id(1), &operation("/a")).is_ok());
        let refused = registry.admit(id(2), &operation("/a")).err().unwrap();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
