//! The threads on which jobs run, and the queue of a client that lends its own.
//!
//! A job may wait for another from its callback, so a pool of a fixed size could stand still: it
//! grows when all threads are busy, and idle ones leave after a while.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long an idle thread stays.
const IDLE: Duration = Duration::from_secs(10);

/// How long a thread is waited for that has no work any more. It may be in a client's code, and
/// never come back.
const MOMENT: Duration = Duration::from_millis(200);

/// One job's work. It does not panic.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// Where the jobs of a host run.
#[derive(Clone)]
pub(crate) enum Queue {
    /// On threads of ours.
    Pool(Arc<Pool>),
    /// On the client's thread, while it pumps events or waits.
    Pump(Arc<Pump>),
}

impl Queue {
    pub(crate) fn submit(&self, task: Task) {
        match self {
            Self::Pool(pool) => pool.submit(task),
            Self::Pump(pump) => lock(&pump.tasks).push_back(task),
        }
    }
}

/// Work that waits for a client's thread.
#[derive(Default)]
pub(crate) struct Pump {
    tasks: Mutex<VecDeque<Task>>,
}

impl Pump {
    /// Does the oldest work and tells whether there was some.
    pub(crate) fn run_one(&self) -> bool {
        let task = lock(&self.tasks).pop_front();
        task.map(|task| task()).is_some()
    }
}

/// Threads that do jobs' work.
#[derive(Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    threads: Vec<JoinHandle<()>>,
    idle: usize,
    stopped: bool,
}

impl Pool {
    fn submit(self: &Arc<Self>, task: Task) {
        let mut state = lock(&self.state);
        state.tasks.push_back(task);
        if state.idle >= state.tasks.len() {
            self.changed.notify_one();
            return;
        }
        state.threads.retain(|thread| !thread.is_finished());
        let pool = Arc::clone(self);
        let thread = std::thread::Builder::new().name("vix-job".into());
        match thread.spawn(move || pool.work()) {
            Ok(thread) => state.threads.push(thread),
            // Whoever is there takes it later; without anybody, the caller does it.
            Err(_) if !state.threads.is_empty() => {}
            Err(_) => {
                let task = state.tasks.pop_back();
                drop(state);
                task.into_iter().for_each(|task| task());
            }
        }
    }

    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(task) = state.tasks.pop_front() {
                drop(state);
                task();
                state = lock(&self.state);
                continue;
            }
            if state.stopped {
                return;
            }
            state.idle += 1;
            let (next, waited) = self
                .changed
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            if waited.timed_out() && state.tasks.is_empty() {
                return;
            }
        }
    }

    /// Lets the threads end, and waits for them: for `limit` while there is work, which `works` tells,
    /// and no longer than a moment for threads that do none.
    pub(crate) fn stop(&self, limit: Duration, works: impl Fn() -> bool) {
        let mut deadline = Instant::now() + limit;
        let threads = {
            let mut state = lock(&self.state);
            state.stopped = true;
            std::mem::take(&mut state.threads)
        };
        self.changed.notify_all();
        for thread in threads {
            while !thread.is_finished() && Instant::now() < deadline {
                if lock(&self.state).tasks.is_empty() && !works() {
                    deadline = deadline.min(Instant::now() + MOMENT);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            match thread.is_finished() {
                // Tasks do not panic: the end is all that a thread has to tell.
                true => drop(thread.join()),
                false => lock(&self.state).threads.push(thread),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn busy_threads_do_not_hold_up_new_work() {
        let queue = Queue::Pool(Arc::default());
        let (go, gate) = mpsc::channel::<()>();
        let (done, ended) = mpsc::channel();
        let last = done.clone();
        queue.submit(Box::new(move || {
            gate.recv().unwrap();
            done.send(1).unwrap();
        }));
        queue.submit(Box::new(move || {
            last.send(2).unwrap();
            go.send(()).unwrap();
        }));
        assert_eq!(ended.iter().collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn stopping_waits_for_work_alone() {
        let pool = Arc::new(Pool::default());
        let (entered, inside) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        Queue::Pool(Arc::clone(&pool)).submit(Box::new(move || {
            entered.send(()).unwrap();
            gate.recv().unwrap();
        }));
        inside.recv().unwrap();
        let start = Instant::now();
        pool.stop(Duration::from_secs(600), || false);
        assert!(start.elapsed() < Duration::from_secs(60));
        assert!(start.elapsed() >= MOMENT);
        pool.stop(MOMENT * 2, || true);
        assert!(start.elapsed() >= MOMENT * 3);
        go.send(()).unwrap();
        pool.stop(Duration::from_secs(600), || true);
        assert_eq!(Arc::strong_count(&pool), 1);
    }

    #[test]
    fn stopped_pool_has_no_threads_left() {
        let pool = Arc::new(Pool::default());
        let queue = Queue::Pool(Arc::clone(&pool));
        let (done, ended) = mpsc::channel();
        for _ in 0..8 {
            let done = done.clone();
            queue.submit(Box::new(move || done.send(()).unwrap()));
        }
        drop(done);
        assert_eq!(ended.iter().count(), 8);
        pool.stop(Duration::from_secs(10), || false);
        assert_eq!(Arc::strong_count(&pool), 2, "ours and the queue's");
    }
}
