//! Work on pieces of a disk by several threads, its results taken in the order of the pieces.
//!
//! Whoever is free takes the next piece. A result that is ahead of its turn waits, and only so many of
//! them: memory is bounded, whatever the disk, and the outcome is the same whatever the threads.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::error::{Error, Kind, Result};
use crate::job::Job;

/// How much is done at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Team {
    /// Threads.
    pub threads: usize,
    /// The most results that wait for their turn.
    pub waiting: usize,
}

impl Team {
    /// Returns a team of a thread for each processor, at most `most`.
    pub fn of_all(most: usize, waiting: usize) -> Self {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            threads: threads.min(most),
            waiting,
        }
    }

    /// Takes pieces from `source` until it has none, works on each by what `worker` makes for each
    /// thread, and gives the results to `sink` in order.
    ///
    /// # Errors
    /// The first of source, worker and sink; `Cancelled`. Nothing is taken after it.
    pub fn run<P, R, W>(
        self,
        job: &Job,
        source: impl FnMut() -> Result<Option<P>> + Send,
        worker: impl Fn() -> W + Sync,
        sink: impl FnMut(R) -> Result<()> + Send,
    ) -> Result<()>
    where
        R: Send,
        W: FnMut(P) -> Result<R>,
    {
        let work = Work {
            job,
            source: Mutex::new(Source {
                take: source,
                next: 0,
            }),
            line: Mutex::new(Line {
                next: 0,
                waiting: BTreeMap::new(),
                sink,
                failure: None,
            }),
            moved: Condvar::new(),
            limit: self.waiting,
        };
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| work.live(worker()));
            }
        });
        let line = work
            .line
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        line.failure.map_or(Ok(()), Err)
    }
}

/// What the threads share.
struct Work<'a, F, R, S> {
    job: &'a Job,
    source: Mutex<Source<F>>,
    line: Mutex<Line<R, S>>,
    /// The line moved on, or broke.
    moved: Condvar,
    limit: usize,
}

struct Source<F> {
    take: F,
    /// Number of the next piece.
    next: u64,
}

/// The results, in turn.
struct Line<R, S> {
    /// Number of the piece whose turn it is.
    next: u64,
    /// Results that are ahead of theirs.
    waiting: BTreeMap<u64, R>,
    sink: S,
    failure: Option<Error>,
}

impl<P, R, F, S> Work<'_, F, R, S>
where
    F: FnMut() -> Result<Option<P>>,
    S: FnMut(R) -> Result<()>,
{
    /// The life of a thread.
    fn live(&self, worker: impl FnMut(P) -> Result<R>) {
        // Others must not wait for a result that never comes.
        let leaving = Leaving(&self.line, &self.moved);
        if let Err(error) = self.work(worker) {
            leaving.fail(error);
        }
    }

    fn work(&self, mut worker: impl FnMut(P) -> Result<R>) -> Result<()> {
        loop {
            self.job.check()?;
            let (number, piece) = {
                let mut source = locked(&self.source);
                let Some(piece) = (source.take)()? else {
                    return Ok(());
                };
                source.next += 1;
                (source.next - 1, piece)
            };
            let result = worker(piece)?;
            if !self.hand_in(number, result)? {
                return Ok(());
            }
        }
    }

    /// Puts a result in line, and gives on what has its turn; tells whether the work goes on.
    fn hand_in(&self, number: u64, result: R) -> Result<bool> {
        let mut line = locked(&self.line);
        while line.next != number && line.waiting.len() >= self.limit && line.failure.is_none() {
            line = self
                .moved
                .wait(line)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if line.failure.is_some() {
            return Ok(false);
        }
        line.waiting.insert(number, result);
        let Line {
            next,
            waiting,
            sink,
            ..
        } = &mut *line;
        while let Some(result) = waiting.remove(next) {
            *next += 1;
            sink(result)?;
        }
        self.moved.notify_all();
        Ok(true)
    }
}

/// Tells the others when a thread fails, or panics.
struct Leaving<'w, R, S>(&'w Mutex<Line<R, S>>, &'w Condvar);

impl<R, S> Leaving<'_, R, S> {
    fn fail(&self, error: Error) {
        locked(self.0).failure.get_or_insert(error);
        self.1.notify_all();
    }
}

impl<R, S> Drop for Leaving<'_, R, S> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.fail(Error::new(Kind::Internal, "a worker ended in a panic"));
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Squares of 0 to 99, each made after a time of its own; what fails is 0 for nothing.
    fn squares(team: Team, fails: [u64; 3]) -> (Vec<u64>, Result<()>) {
        let mut numbers = 0..100;
        let mut squares = Vec::new();
        let error = || Error::new(Kind::NoSpace, "as asked");
        let [source, worker, sink] = fails;
        let result = team.run(
            &Job::new(),
            || match numbers.next() {
                Some(number) if source > 0 && number == source => Err(error()),
                number => Ok(number),
            },
            || {
                |number: u64| {
                    thread::sleep(Duration::from_micros(number * 7919 % 300));
                    if worker > 0 && number == worker {
                        return Err(error());
                    }
                    Ok(number * number)
                }
            },
            |square| {
                if sink > 0 && square == sink * sink {
                    return Err(error());
                }
                squares.push(square);
                Ok(())
            },
        );
        (squares, result)
    }

    #[test]
    fn results_come_in_order() {
        let expected: Vec<u64> = (0..100).map(|number| number * number).collect();
        for (threads, waiting) in [(1, 0), (2, 1), (7, 3), (8, 0), (8, 100)] {
            let (squares, result) = squares(Team { threads, waiting }, [0; 3]);
            result.unwrap();
            assert_eq!(squares, expected, "{threads} {waiting}");
        }
    }

    #[test]
    fn first_failure_ends_the_work() {
        for fails in [[50, 0, 0], [0, 50, 0], [0, 0, 50]] {
            for (threads, waiting) in [(1, 0), (6, 2)] {
                let (squares, result) = squares(Team { threads, waiting }, fails);
                assert_eq!(result.unwrap_err().kind(), Kind::NoSpace);
                assert!(squares.len() <= 50, "{fails:?}: {squares:?}");
            }
        }
    }

    #[test]
    fn panic_of_one_thread_does_not_hang_the_others() {
        let mut numbers = 0..100;
        let team = Team {
            threads: 4,
            waiting: 1,
        };
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let worker = |number: u64| {
                assert!(number != 20, "as asked");
                Ok(number)
            };
            team.run(&Job::new(), || Ok(numbers.next()), || worker, |_| Ok(()))
        }));
        assert!(ended.is_err());
    }
}
