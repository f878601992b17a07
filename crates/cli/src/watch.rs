//! Waiting for a job, with an eye on its progress and on Ctrl-C.

use std::time::Duration;

use replix::{Progress, Result, Started};

use crate::interrupt::Interrupt;

/// How often a running job is looked at, and so how soon an interruption cancels it. Its end is
/// waited for by event: a quick one costs no tick.
const TICK: Duration = Duration::from_millis(20);

/// How a job ended.
pub(crate) struct Ended<T> {
    /// Its result.
    pub(crate) result: Result<T>,
    /// Its remarks, whether it ended well or not.
    pub(crate) warnings: Vec<String>,
}

/// Waits for the end of a job; shows its progress meanwhile and cancels it when interrupted.
pub(crate) fn follow<T>(
    started: Started<T>,
    interrupt: &Interrupt,
    mut show: impl FnMut(&Progress),
) -> Ended<T> {
    while !started.wait_for(TICK) {
        if interrupt.requested() {
            started.job().cancel();
        }
        show(&started.job().progress());
    }
    let warnings = started.job().warnings();
    Ended {
        result: started.wait(),
        warnings,
    }
}

#[cfg(test)]
mod tests {
    use replix::{Job, Kind};

    use super::*;

    #[test]
    fn warnings_come_with_the_result() {
        let started = Job::spawn(|job| {
            job.warn("odd");
            Ok(7)
        });
        let ended = follow(started, &Interrupt::default(), |_| ());
        assert_eq!(ended.result.unwrap(), 7);
        assert_eq!(ended.warnings, ["odd"]);
    }

    #[test]
    fn interrupt_cancels_the_job() {
        let started = Job::spawn(|job| -> Result<()> {
            loop {
                job.check()?;
                std::thread::yield_now();
            }
        });
        let interrupt = Interrupt::default();
        interrupt.raise();
        let ended = follow(started, &interrupt, |_| ());
        assert_eq!(ended.result.unwrap_err().kind(), Kind::Cancelled);
    }
}
