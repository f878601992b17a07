//! How the service ends: signals, and the grace that running jobs have.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::jobs::Entry;

/// How long a cancelled job may take to clean up; then its journal is left for the next start.
const CLEANUP: Duration = Duration::from_secs(60);

/// The signals that ask the service to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Returns the signals, which kill no more from here on.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for jobs to end, for `grace` or until another signal; then cancels those that are left, and
/// waits until they have cleaned up.
pub(crate) async fn finish(jobs: &[Arc<Entry>], grace: Duration, signals: &mut Signals) {
    tokio::select! {
        () = ended(jobs) => return,
        () = tokio::time::sleep(grace) => {}
        () = signals.next() => {}
    }
    for entry in jobs {
        entry.job().cancel();
    }
    let _ = tokio::time::timeout(CLEANUP, ended(jobs)).await;
}

async fn ended(jobs: &[Arc<Entry>]) {
    for entry in jobs {
        entry.ended().await;
    }
}
