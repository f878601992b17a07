//! Jobs: work that was asked for, its end, its results, and the events on the way.
//!
//! The rules that clients rely on are in docs/vix/conventions.md.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::constants::*;
use crate::error::{Fault, Result};
use crate::pool::Queue;
use crate::property::{Record, Value, value_of};
use crate::table::{Handle, Object, Reference, Table};

/// What a client wants to be called with: the job, the `VIX_EVENTTYPE_*`, and a property list that
/// lives as long as the call, or `VIX_INVALID_HANDLE`.
pub type Callback = Box<dyn FnMut(Handle, i32, Handle) + Send>;

thread_local! {
    /// The jobs whose callbacks this thread is in, the outermost first.
    static CALLING: RefCell<Vec<Handle>> = const { RefCell::new(Vec::new()) };
}

/// Does `call` as a callback of a job: in it, waiting for that job does not wait for its own end.
///
/// The object model does so itself; a face does where it calls back on another thread than the job's.
pub fn in_callback<T>(job: Handle, call: impl FnOnce() -> T) -> T {
    struct Call;
    impl Drop for Call {
        fn drop(&mut self) {
            CALLING.with_borrow_mut(Vec::pop);
        }
    }
    CALLING.with_borrow_mut(|calling| calling.push(job));
    let _call = Call;
    call()
}

/// An operation and what comes of it.
pub(crate) struct Job {
    queue: Queue,
    ended: OnceLock<Ended>,
    progress: Arc<Signal>,
}

/// How far a job is, for those who wait.
#[derive(Default)]
struct Signal {
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Started,
    /// The work has told of its progress: whoever does it is at it.
    Begun,
    /// The results are there.
    Ended,
    /// The completion event was delivered, or nobody wanted it.
    Told,
}

impl Signal {
    fn reach(&self, phase: Phase) {
        let mut now = lock(&self.phase);
        *now = phase.max(*now);
        drop(now);
        self.changed.notify_all();
    }

    fn await_phase(&self, phase: Phase) {
        let waiting = lock(&self.phase);
        let woken = self.changed.wait_while(waiting, |now| *now < phase);
        drop(woken.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits no longer than `limit`, and tells whether the phase is reached.
    fn await_for(&self, phase: Phase, limit: Duration) -> bool {
        let is_before = |now: &mut Phase| *now < phase;
        let woken = (self.changed).wait_timeout_while(lock(&self.phase), limit, is_before);
        *woken.unwrap_or_else(PoisonError::into_inner).0 >= phase
    }
}

/// How a job ended.
struct Ended {
    error: u64,
    records: Vec<Record>,
}

/// What the work of a job has in hand while it runs.
pub(crate) struct Run {
    /// Progress and cancelling, for the engine.
    pub(crate) control: replix::Job,
    caller: Arc<Caller>,
}

/// Who is told of the events of a job.
struct Caller {
    jobs: Arc<Jobs>,
    job: Handle,
    callback: Mutex<Option<Callback>>,
}

impl Run {
    /// Tells the client of one found item, before the job ends.
    ///
    /// # Errors
    /// `VIX_E_TOO_MANY_HANDLES`.
    pub(crate) fn found(&self, item: Record) -> Result<()> {
        let info = Object::List(Arc::new(crate::property::List::new(item)));
        let info = self.caller.jobs.table.insert(info)?;
        self.caller.tell(VIX_EVENTTYPE_FIND_ITEM, info.handle());
        Ok(())
    }

    /// Returns the results of a job that made an object.
    ///
    /// # Errors
    /// `VIX_E_TOO_MANY_HANDLES`.
    pub(crate) fn made(&self, object: Object) -> Result<Vec<Record>> {
        let made = Value::Handle(Some(self.caller.jobs.table.insert(object)?));
        Ok(vec![vec![(VIX_PROPERTY_JOB_RESULT_HANDLE, made)]])
    }
}

impl Caller {
    /// Calls back. Whoever calls this holds no lock but the caller's own.
    fn tell(&self, event: i32, info: Handle) {
        let mut callback = lock(&self.callback);
        let callback = callback.as_mut();
        let is_heard = !self.jobs.silent.load(Ordering::Acquire);
        if let Some(callback) = callback.filter(|_| is_heard) {
            // What a client does in its callback is no reason to lose the job's end.
            let call = || callback(self.job, event, info);
            let _ = catch_unwind(AssertUnwindSafe(|| in_callback(self.job, call)));
        }
    }
}

/// What the jobs of a library share.
#[derive(Default)]
pub(crate) struct Jobs {
    /// The objects of the library.
    pub(crate) table: Arc<Table>,
    /// The work that runs now, to be cancelled when the process ends.
    running: Mutex<BTreeMap<Handle, replix::Job>>,
    /// The process ends: clients' code is not called any more.
    silent: AtomicBool,
}

impl Jobs {
    /// Returns what the jobs of a forked process share.
    pub(crate) fn forked(&self) -> Self {
        Self {
            table: Arc::new(self.table.successor()),
            ..Self::default()
        }
    }

    /// Starts a job: its handle, with a reference for the client, is returned at once.
    pub(crate) fn start(
        self: &Arc<Self>,
        queue: &Queue,
        callback: Option<Callback>,
        work: impl FnOnce(&Run) -> Result<Vec<Record>> + Send + 'static,
    ) -> Handle {
        let job = Arc::new(Job::new(queue.clone()));
        let Ok(own) = self.table.insert(Object::Job(Arc::clone(&job))) else {
            return VIX_INVALID_HANDLE;
        };
        let handle = own.give();
        let jobs = Arc::clone(self);
        queue.submit(Box::new(move || job.perform(&jobs, own, callback, work)));
        handle
    }

    /// Calls no client back from now on.
    pub(crate) fn silence(&self) {
        self.silent.store(true, Ordering::Release);
    }

    /// Tells whether any work runs; a callback after its end is none.
    pub(crate) fn work(&self) -> bool {
        !lock(&self.running).is_empty()
    }

    /// Asks all work that runs to stop.
    pub(crate) fn cancel(&self) {
        lock(&self.running).values().for_each(replix::Job::cancel);
    }
}

/// Returns a control block that tells of progress: those who wait, and then the caller.
fn control(progress: &Arc<Signal>, caller: &Arc<Caller>) -> replix::Job {
    let (progress, caller) = (Arc::clone(progress), Arc::downgrade(caller));
    replix::Job::observed(move |_| {
        progress.reach(Phase::Begun);
        if let Some(caller) = caller.upgrade() {
            caller.tell(VIX_EVENTTYPE_JOB_PROGRESS, VIX_INVALID_HANDLE);
        }
    })
}

impl Job {
    fn new(queue: Queue) -> Self {
        Self {
            queue,
            ended: OnceLock::new(),
            progress: Arc::default(),
        }
    }

    /// Does the work, publishes what comes of it, tells the client, and lets waiters go; in this order.
    ///
    /// `own` keeps the handle valid until nobody is told any more.
    fn perform(
        self: Arc<Self>,
        jobs: &Arc<Jobs>,
        own: Reference,
        callback: Option<Callback>,
        work: impl FnOnce(&Run) -> Result<Vec<Record>>,
    ) {
        let handle = own.handle();
        let caller = Arc::new(Caller {
            jobs: Arc::clone(jobs),
            job: handle,
            callback: Mutex::new(callback),
        });
        let control = control(&self.progress, &caller);
        lock(&jobs.running).insert(handle, control.clone());
        let run = Run { control, caller };
        let result = catch_unwind(AssertUnwindSafe(|| work(&run)));
        lock(&jobs.running).remove(&handle);
        let panicked = |_| Err(Fault::new(VIX_E_FAIL, "the operation ended in a panic"));
        self.end(result.unwrap_or_else(panicked), &run.control);
        run.caller
            .tell(VIX_EVENTTYPE_JOB_COMPLETED, VIX_INVALID_HANDLE);
        // What the callback holds goes before a waiter may free what it points to.
        drop(lock(&run.caller.callback).take());
        // So does our hold on the job: what the waiter releases is gone then, its results too.
        let progress = Arc::clone(&self.progress);
        drop(own);
        drop(self);
        progress.reach(Phase::Told);
    }

    /// Waits for the end and returns the job's error.
    ///
    /// Outside of callbacks, the completion event was delivered by then, so that a client may free
    /// what its callback uses. In a callback, the results alone are waited for.
    ///
    /// # Errors
    /// `VIX_E_UNFINISHED_JOB` in a callback of this very job before its end: it would never come.
    pub(crate) fn wait(&self, handle: Handle) -> Result<u64> {
        self.waiter(handle)();
        self.error()
    }

    /// Returns what blocks until [`Job::wait`] on this thread would not, on any thread. What this thread
    /// has to do itself is done by then.
    pub(crate) fn waiter(&self, handle: Handle) -> impl FnOnce() + Send + use<> {
        let (calling, own) = CALLING.with_borrow(|jobs| (!jobs.is_empty(), jobs.contains(&handle)));
        if let (Queue::Pump(pump), false) = (&self.queue, own) {
            while !self.is_done() && pump.run_one() {}
        }
        let phase = match (own, calling) {
            (true, _) => Phase::Started,
            (false, true) => Phase::Ended,
            (false, false) => Phase::Told,
        };
        let progress = Arc::clone(&self.progress);
        move || progress.await_phase(phase)
    }

    /// Waits up to `limit` for whoever does the work to be at it, and tells whether they are. Work that
    /// waits for the client's thread is not waited for.
    pub(crate) fn await_begun(&self, limit: Duration) -> bool {
        match self.queue {
            Queue::Pool(_) => self.progress.await_for(Phase::Begun, limit),
            Queue::Pump(_) => false,
        }
    }

    /// Tells whether the results are there.
    pub(crate) fn is_done(&self) -> bool {
        self.ended.get().is_some()
    }

    /// Returns the job's error.
    ///
    /// # Errors
    /// `VIX_E_UNFINISHED_JOB`.
    pub(crate) fn error(&self) -> Result<u64> {
        Ok(self.ended()?.error)
    }

    /// Returns a property of the n-th result.
    ///
    /// # Errors
    /// `VIX_E_UNFINISHED_JOB`; `VIX_E_UNRECOGNIZED_PROPERTY` where the result, or the property, is not
    /// there.
    pub(crate) fn read(&self, index: usize, id: i32) -> Result<Value> {
        let ended = self.ended()?;
        if id == VIX_PROPERTY_JOB_RESULT_ERROR_CODE {
            return Ok(Value::Int64(ended.error.cast_signed()));
        }
        if id == VIX_PROPERTY_JOB_RESULT_HANDLE && ended.error != VIX_OK {
            // Callbacks read it together with the error, which they must get.
            return Ok(Value::Handle(None));
        }
        let record = ended.records.get(index);
        let value = record.and_then(|record| value_of(record, id)).cloned();
        value.ok_or_else(|| VIX_E_UNRECOGNIZED_PROPERTY.into())
    }

    /// Returns how many results have this property.
    pub(crate) fn count(&self, id: i32) -> usize {
        match self.ended() {
            Ok(_) if id == VIX_PROPERTY_JOB_RESULT_ERROR_CODE => 1,
            Ok(ended) => {
                let with = ended
                    .records
                    .iter()
                    .filter(|record| value_of(record, id).is_some());
                with.count()
            }
            Err(_) => 0,
        }
    }

    fn ended(&self) -> Result<&Ended> {
        self.ended.get().ok_or_else(|| VIX_E_UNFINISHED_JOB.into())
    }

    /// Publishes the results.
    fn end(&self, result: Result<Vec<Record>>, control: &replix::Job) {
        let (error, mut records, message) = match result {
            Ok(records) => (VIX_OK, records, Some(control.warnings().join("\n"))),
            Err(fault) => (fault.code, Vec::new(), fault.message),
        };
        if let Some(message) = message.filter(|message| !message.is_empty()) {
            let message = (VIX_PROPERTY_JOB_RESULT_USER_MESSAGE, Value::Text(message));
            match records.first_mut() {
                Some(first) => first.push(message),
                None => records.push(vec![message]),
            }
        }
        // A job ends once.
        let _ = self.ended.set(Ended { error, records });
        self.progress.reach(Phase::Ended);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::pool::{Pool, Pump};

    fn threads() -> Queue {
        Queue::Pool(Arc::<Pool>::default())
    }

    fn job_of(jobs: &Jobs, handle: Handle) -> Arc<Job> {
        match jobs.table.get(handle) {
            Ok(Object::Job(job)) => job,
            _ => panic!("{handle} is no job"),
        }
    }

    fn text(text: &str) -> Vec<Record> {
        let value = Value::Text(text.into());
        vec![vec![(VIX_PROPERTY_JOB_RESULT_ITEM_NAME, value)]]
    }

    /// Returns a callback that sends the events it gets.
    fn listener() -> (Option<Callback>, Receiver<i32>) {
        let (sent, events) = channel();
        let callback: Callback = Box::new(move |_, event, _| sent.send(event).unwrap());
        (Some(callback), events)
    }

    fn gate() -> (Sender<()>, Receiver<()>) {
        channel()
    }

    #[test]
    fn job_is_unfinished_until_its_end() {
        let jobs = Arc::new(Jobs::default());
        let (open, gate) = gate();
        let handle = jobs.start(&threads(), None, move |_| {
            gate.recv().unwrap();
            Ok(text("result"))
        });
        let job = job_of(&jobs, handle);
        assert!(!job.is_done());
        assert_eq!(job.error().unwrap_err().code, VIX_E_UNFINISHED_JOB);
        let id = VIX_PROPERTY_JOB_RESULT_ITEM_NAME;
        assert_eq!(job.read(0, id).unwrap_err().code, VIX_E_UNFINISHED_JOB);
        assert_eq!(job.count(id), 0);
        open.send(()).unwrap();
        assert_eq!(job.wait(handle).unwrap(), VIX_OK);
        assert!(job.is_done());
        assert_eq!(job.count(id), 1);
        assert!(matches!(job.read(0, id), Ok(Value::Text(text)) if text == "result"));
        let past = job.read(1, id).unwrap_err();
        assert_eq!(past.code, VIX_E_UNRECOGNIZED_PROPERTY);
    }

    #[test]
    fn failed_job_has_its_error_and_no_result() {
        let jobs = Arc::new(Jobs::default());
        let why = || Fault::new(VIX_E_DISK_FULL, "no space on /vms");
        let handle = jobs.start(&threads(), None, move |_| Err(why()));
        let job = job_of(&jobs, handle);
        assert_eq!(job.wait(handle).unwrap(), VIX_E_DISK_FULL);
        let error = job.read(0, VIX_PROPERTY_JOB_RESULT_ERROR_CODE);
        assert!(matches!(error, Ok(Value::Int64(code)) if code == VIX_E_DISK_FULL as i64));
        let handle = job.read(0, VIX_PROPERTY_JOB_RESULT_HANDLE);
        assert!(matches!(handle, Ok(Value::Handle(None))));
        assert_eq!(job.count(VIX_PROPERTY_JOB_RESULT_HANDLE), 0);
        let message = job.read(0, VIX_PROPERTY_JOB_RESULT_USER_MESSAGE);
        assert!(matches!(message, Ok(Value::Text(text)) if text == "no space on /vms"));
    }

    #[test]
    fn events_come_in_order_and_the_last_one_once() {
        let jobs = Arc::new(Jobs::default());
        let (callback, events) = listener();
        let handle = jobs.start(&threads(), callback, |run| {
            run.control.expect_bytes(2);
            run.control.advance(1);
            run.found(Vec::new())?;
            Ok(Vec::new())
        });
        job_of(&jobs, handle).wait(handle).unwrap();
        let events: Vec<_> = events.try_iter().collect();
        let (last, before) = events.split_last().unwrap();
        assert_eq!(*last, VIX_EVENTTYPE_JOB_COMPLETED);
        assert_eq!(
            before,
            [VIX_EVENTTYPE_JOB_PROGRESS, VIX_EVENTTYPE_FIND_ITEM]
        );
    }

    #[test]
    fn waiter_goes_when_the_callback_has_returned() {
        let jobs = Arc::new(Jobs::default());
        let (open, gate) = gate();
        let (entered, inside) = channel();
        let (left, outside) = channel();
        let callback: Callback = Box::new(move |_, _, _| {
            entered.send(()).unwrap();
            gate.recv().unwrap();
            left.send(()).unwrap();
        });
        let handle = jobs.start(&threads(), Some(callback), |_| Ok(Vec::new()));
        let job = job_of(&jobs, handle);
        inside.recv().unwrap();
        assert!(job.is_done(), "results are visible in the callback");
        let waiter = std::thread::spawn(move || {
            job.wait(handle).unwrap();
            outside.try_recv().is_ok()
        });
        open.send(()).unwrap();
        assert!(waiter.join().unwrap());
    }

    #[test]
    fn handle_that_a_waiter_releases_is_gone() {
        let jobs = Arc::new(Jobs::default());
        for _ in 0..1000 {
            let result = Object::List(Arc::default());
            let handle = jobs.start(&threads(), None, |run| run.made(result));
            job_of(&jobs, handle).wait(handle).unwrap();
            jobs.table.release(handle);
            assert_eq!(jobs.table.len(), 0);
        }
    }

    #[test]
    fn callback_may_wait_for_its_own_job_and_release_it() {
        let jobs = Arc::new(Jobs::default());
        let (sent, answers) = channel();
        let inner = Arc::clone(&jobs);
        let callback: Callback = Box::new(move |handle, _, _| {
            let job = job_of(&inner, handle);
            let answer = job.wait(handle).unwrap();
            inner.table.release(handle);
            sent.send((answer, inner.table.get(handle).is_ok()))
                .unwrap();
        });
        jobs.start(&threads(), Some(callback), |_| Ok(Vec::new()));
        assert_eq!(answers.recv().unwrap(), (VIX_OK, true));
        while jobs.table.len() > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn callback_on_another_thread_may_wait_for_its_job() {
        let jobs = Arc::new(Jobs::default());
        let inner = Arc::clone(&jobs);
        let (sent, answers) = channel();
        // As a face does whose client has to be called on a thread of its own.
        let callback: Callback = Box::new(move |handle, _, _| {
            let job = job_of(&inner, handle);
            let wait = move || in_callback(handle, || job.wait(handle));
            let answer = std::thread::spawn(wait).join().unwrap();
            sent.send(answer.unwrap()).unwrap();
        });
        jobs.start(&threads(), Some(callback), |_| Ok(Vec::new()));
        assert_eq!(answers.recv().unwrap(), VIX_OK);
    }

    #[test]
    fn work_has_begun_with_its_first_progress() {
        let jobs = Arc::new(Jobs::default());
        let (open, gate) = gate();
        let handle = jobs.start(&threads(), None, move |run| {
            run.control.phase("at it");
            gate.recv().unwrap();
            Ok(Vec::new())
        });
        let job = job_of(&jobs, handle);
        let limit = Duration::from_secs(60);
        assert!(job.await_begun(limit));
        assert!(!job.is_done());
        open.send(()).unwrap();
        job.wait(handle).unwrap();
        let silent = jobs.start(&threads(), None, |_| Ok(Vec::new()));
        assert!(job_of(&jobs, silent).await_begun(limit));
    }

    #[test]
    fn callback_may_wait_for_another_job() {
        let jobs = Arc::new(Jobs::default());
        let queue = threads();
        let (sent, answers) = channel();
        let (inner, same) = (Arc::clone(&jobs), queue.clone());
        let callback: Callback = Box::new(move |_, _, _| {
            let (callback, _events) = listener();
            let other = inner.start(&same, callback, |_| Ok(Vec::new()));
            sent.send(job_of(&inner, other).wait(other).unwrap())
                .unwrap();
        });
        jobs.start(&queue, Some(callback), |_| Ok(Vec::new()));
        assert_eq!(answers.recv().unwrap(), VIX_OK);
    }

    #[test]
    fn wait_that_cannot_end_is_refused() {
        let jobs = Arc::new(Jobs::default());
        let (sent, answers) = channel();
        let inner = Arc::clone(&jobs);
        let callback: Callback = Box::new(move |handle, event, _| {
            if event == VIX_EVENTTYPE_FIND_ITEM {
                let answer = job_of(&inner, handle).wait(handle);
                sent.send(answer.unwrap_err().code).unwrap();
            }
        });
        jobs.start(&threads(), Some(callback), |run| {
            run.found(Vec::new())?;
            Ok(Vec::new())
        });
        assert_eq!(answers.recv().unwrap(), VIX_E_UNFINISHED_JOB);
    }

    #[test]
    fn panics_end_as_errors() {
        let jobs = Arc::new(Jobs::default());
        let callback: Callback = Box::new(|_, _, _| panic!("the client's own"));
        let handle = jobs.start(&threads(), Some(callback), |_| {
            panic!("as the test wants it")
        });
        assert_eq!(job_of(&jobs, handle).wait(handle).unwrap(), VIX_E_FAIL);
    }

    #[test]
    fn pumped_job_runs_in_the_thread_that_waits() {
        let jobs = Arc::new(Jobs::default());
        let pump = Arc::new(Pump::default());
        let queue = Queue::Pump(Arc::clone(&pump));
        let me = std::thread::current().id();
        let (sent, threads) = channel();
        let work = move |_: &Run| {
            sent.send(std::thread::current().id()).unwrap();
            Ok(Vec::new())
        };
        let first = jobs.start(&queue, None, work.clone());
        let second = jobs.start(&queue, None, work);
        let job = job_of(&jobs, first);
        assert!(!job.is_done());
        assert_eq!(job.wait(first).unwrap(), VIX_OK);
        let other = job_of(&jobs, second);
        assert!(!other.is_done(), "what was not waited for is still to do");
        assert!(pump.run_one() && other.is_done() && !pump.run_one());
        assert_eq!(threads.iter().collect::<Vec<_>>(), [me, me]);
    }

    #[test]
    fn silenced_library_calls_nobody() {
        let jobs = Arc::new(Jobs::default());
        jobs.silence();
        let (callback, events) = listener();
        let handle = jobs.start(&threads(), callback, |_| Ok(Vec::new()));
        job_of(&jobs, handle).wait(handle).unwrap();
        assert_eq!(events.try_iter().count(), 0);
    }

    #[test]
    fn cancelled_work_is_told() {
        let jobs = Arc::new(Jobs::default());
        let (entered, inside) = channel();
        let handle = jobs.start(&threads(), None, move |run| {
            entered.send(()).unwrap();
            loop {
                run.control.check()?;
                std::thread::yield_now();
            }
        });
        inside.recv().unwrap();
        jobs.cancel();
        assert_eq!(job_of(&jobs, handle).wait(handle).unwrap(), VIX_E_CANCELLED);
    }
}
