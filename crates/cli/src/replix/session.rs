//! What every command of `replix` works with: the host, the screen, and one way to run a job.

use std::path::{Path, PathBuf};

use replix::host::Provider;
use replix::vm::Settings;
use replix::{Error, Host, Job, Kind, Vm};

use super::failure::Failure;
use super::place;
use super::screen::Screen;
use crate::interrupt::Interrupt;
use crate::progress::Bar;
use crate::watch::follow;

/// One call of `replix` on a host.
pub(super) struct Session<'a, 'b> {
    host: Host,
    /// The folders that the call allows.
    allow: Vec<PathBuf>,
    /// Where results, remarks and questions go.
    pub(super) screen: &'a mut Screen<'b>,
}

impl<'a, 'b> Session<'a, 'b> {
    /// Returns the session of a call on `host`, whose files may also reach into the folders `allow`.
    pub(super) fn new(host: Host, allow: Vec<PathBuf>, screen: &'a mut Screen<'b>) -> Self {
        Self {
            host,
            allow,
            screen,
        }
    }

    /// Returns the settings of this user, with what the call allows: for what is done on this machine and
    /// no other.
    ///
    /// # Errors
    /// `BadConfig` where the settings make no sense.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings::load()?;
        settings.allow.extend_from_slice(&self.allow);
        Ok(settings)
    }

    /// Returns the host.
    pub(super) fn host(&self) -> &Host {
        &self.host
    }

    /// Opens the VM that a word names.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn vm(&self, word: &Path) -> Result<Vm, Failure> {
        Ok(self.host.open(place::absolute(&place::vmx(word))?)?)
    }

    /// Runs a job to its end: with a progress bar, cancelled by Ctrl-C, its remarks passed on.
    ///
    /// # Errors
    /// What the job ended with; `Cancelled` at once after an earlier Ctrl-C.
    pub(super) fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&dyn Provider, &Job) -> replix::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let interrupt = Interrupt::listen();
        if interrupt.requested() {
            return Err(Error::new(Kind::Cancelled, "the operation was cancelled").into());
        }
        let host = self.host.clone();
        let started = Job::spawn(move |job| work(host.provider(), job));
        let mut bar = Bar::new(self.screen.shows_progress());
        let ended = follow(started, &interrupt, |progress| bar.show(progress));
        drop(bar);
        self.screen.warn(ended.warnings);
        Ok(ended.result?)
    }
}
