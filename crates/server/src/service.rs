//! What every request is answered from: the host, the jobs, who the service is.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use replix::host::Provider;
use replix::{Error, Host, Kind};
use replix_remote::wire::{Hello, proof};
use serde::Serialize;
use subtle::ConstantTimeEq;

use crate::answer::{Answer, json};
use crate::jobs::Jobs;

/// A service; cheap to clone.
#[derive(Clone)]
pub(crate) struct Service(Arc<Shared>);

struct Shared {
    host: Host,
    jobs: Jobs,
    secret: String,
    instance: String,
    last_use: Mutex<Instant>,
}

impl Service {
    /// Returns the service that gives `host` to whoever knows `secret`.
    pub(crate) fn new(host: Host, jobs: Jobs, secret: String, instance: String) -> Self {
        Self(Arc::new(Shared {
            host,
            jobs,
            secret,
            instance,
            last_use: Mutex::new(Instant::now()),
        }))
    }

    /// Returns its jobs.
    pub(crate) fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// Returns which run of the service this is.
    pub(crate) fn instance(&self) -> &str {
        &self.0.instance
    }

    /// Tells whether `secret` is the service's, in a time that does not depend on how much of it is.
    pub(crate) fn is_known(&self, secret: &[u8]) -> bool {
        self.0.secret.as_bytes().ct_eq(secret).into()
    }

    /// Says who it is.
    pub(crate) fn hello(&self, nonce: &str) -> Hello {
        Hello {
            instance: self.0.instance.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            proof: proof(&self.0.secret, nonce),
        }
    }

    /// Asks the engine, on a thread that may wait, and answers with what it says.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) async fn ask<T: Serialize + Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Provider) -> replix::Result<T> + Send + 'static,
    ) -> Answer {
        let host = self.0.host.clone();
        let answer = tokio::task::spawn_blocking(move || question(host.provider()));
        let panicked = |_| Error::new(Kind::Internal, "the question ended in a panic");
        json(StatusCode::OK, &answer.await.map_err(panicked)??)
    }

    /// Notes that somebody uses it.
    pub(crate) fn touch(&self) {
        *self
            .0
            .last_use
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns once nobody has used it for `limit` and no job runs.
    pub(crate) async fn unused(&self, limit: Duration) {
        loop {
            if !self.jobs().is_idle() {
                self.touch();
            }
            let last = *self
                .0
                .last_use
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let left = limit.saturating_sub(last.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}
