//! The library as a client sees it: handles, their properties, and jobs.
//!
//! What is done with hosts, VMs, snapshots and guests is in the modules of these names.

use std::sync::Arc;
use std::time::Duration;

use crate::argument::refuse;
use crate::constants::*;
use crate::error::{Fault, Result};
use crate::host::Host;
use crate::job::{Callback, Job, Jobs, Run};
use crate::pool::{Pool, Pump, Queue};
use crate::property::{List, Record, Value, type_of, type_on};
use crate::snapshot::Snapshot;
use crate::table::{Handle, Object};
use crate::vm::Vm;

/// How long the end of the process waits for jobs before it cancels them.
const GRACE: Duration = Duration::from_secs(3);

/// How long it then waits for them to clean up.
const CLEANUP: Duration = Duration::from_secs(10);

/// Connects to the engine behind a service provider.
type Connect = dyn Fn() -> replix::Result<replix::Host> + Send + Sync;

/// The object model of one client process.
///
/// No method blocks but [`Library::wait`], [`Library::pump_events`] and [`Library::stop`]; those that
/// return a handle start a job, and what is wrong is told by it.
pub struct Library {
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) connect: Arc<Connect>,
    pool: Arc<Pool>,
    /// Connections of clients that pump: their hosts have no queue of their own yet.
    connecting: Arc<Pump>,
}

impl Library {
    /// Returns a library whose hosts are connected to by `connect`.
    pub fn new(connect: impl Fn() -> replix::Result<replix::Host> + Send + Sync + 'static) -> Self {
        Self {
            jobs: Arc::default(),
            connect: Arc::new(connect),
            pool: Arc::default(),
            connecting: Arc::default(),
        }
    }

    /// Returns the library of a process that was forked from this one's: it has none of the objects, and
    /// their numbers are never given out in it. Takes no lock, which may be held by a thread that is
    /// not there any more.
    #[must_use]
    pub fn forked(&self) -> Self {
        Self {
            jobs: Arc::new(self.jobs.forked()),
            connect: Arc::clone(&self.connect),
            pool: Arc::default(),
            connecting: Arc::default(),
        }
    }

    /// Counts one more reference to a handle; an invalid one is passed over.
    pub fn add_ref(&self, handle: Handle) {
        self.jobs.table.add_ref(handle);
    }

    /// Takes back a reference to a handle; the last one ends the object. An invalid one is passed over.
    pub fn release(&self, handle: Handle) {
        self.jobs.table.release(handle);
    }

    /// Returns the `VIX_HANDLETYPE_*`, `VIX_HANDLETYPE_NONE` for an invalid handle.
    pub fn handle_type(&self, handle: Handle) -> i32 {
        let object = self.jobs.table.get(handle);
        object.map_or(VIX_HANDLETYPE_NONE, |object| object.handle_type())
    }

    /// Returns how many objects live, for tests of those who count.
    pub fn live_handles(&self) -> usize {
        self.jobs.table.len()
    }

    /// Returns the values of properties, in the order of `ids`.
    ///
    /// # Errors
    /// `VIX_E_INVALID_HANDLE`, `VIX_E_UNRECOGNIZED_PROPERTY`, `VIX_E_UNFINISHED_JOB`; for a VM, what is
    /// wrong with it now.
    pub fn read(&self, handle: Handle, ids: &[i32]) -> Result<Vec<Value>> {
        match self.jobs.table.get(handle)? {
            Object::Host(host) => ids.iter().map(|id| host.read(*id)).collect(),
            Object::Vm(vm) => vm.read(ids),
            Object::Job(job) => ids.iter().map(|id| job.read(0, *id)).collect(),
            Object::Snapshot(snapshot) => snapshot.read(ids),
            Object::List(list) => ids.iter().map(|id| list.read(*id)).collect(),
        }
    }

    /// Returns the type of a property of a handle.
    ///
    /// # Errors
    /// `VIX_E_INVALID_HANDLE`, `VIX_E_UNRECOGNIZED_PROPERTY`.
    pub fn property_type(&self, handle: Handle, id: i32) -> Result<PropertyType> {
        match self.jobs.table.get(handle)? {
            Object::Host(_) => type_on(Carrier::Host, id),
            Object::Vm(_) => type_on(Carrier::Vm, id),
            Object::Job(_) => type_on(Carrier::Job, id),
            Object::Snapshot(_) => type_on(Carrier::Snapshot, id),
            // A list holds what its maker put in.
            Object::List(list) => list.read(id).and_then(|_| type_of(id)),
        }
    }

    /// Returns a list of properties, with a reference for the client.
    ///
    /// `of` is any valid handle.
    ///
    /// # Errors
    /// `VIX_E_INVALID_HANDLE`, `VIX_E_UNRECOGNIZED_PROPERTY`, `VIX_E_PROPERTY_TYPE_MISMATCH`.
    pub fn new_list(&self, of: Handle, values: Record) -> Result<Handle> {
        self.jobs.table.get(of)?;
        for (id, value) in &values {
            if type_of(*id)? != value.kind() {
                return Err(VIX_E_PROPERTY_TYPE_MISMATCH.into());
            }
        }
        let list = Object::List(Arc::new(List::new(values)));
        Ok(self.jobs.table.insert(list)?.give())
    }

    /// Returns a value for a handle that a client puts into a list.
    ///
    /// # Errors
    /// `VIX_E_INVALID_HANDLE`.
    pub fn handle_value(&self, handle: Handle) -> Result<Value> {
        Ok(Value::Handle(match handle {
            VIX_INVALID_HANDLE => None,
            handle => Some(self.jobs.table.reference(handle)?),
        }))
    }

    /// Waits for the end of a job, and returns the values of `ids` of its first result.
    ///
    /// # Errors
    /// The job's own, or what keeps the values from being read.
    pub fn wait(&self, job: Handle, ids: &[i32]) -> Result<Vec<Value>> {
        let object = self.job(job)?;
        match object.wait(job)? {
            VIX_OK => ids.iter().map(|id| object.read(0, *id)).collect(),
            error => Err(error.into()),
        }
    }

    /// Returns what blocks until [`Library::wait`] on this thread would not, to be called on another one
    /// while this one serves its client.
    ///
    /// # Errors
    /// `VIX_E_INVALID_HANDLE`.
    pub fn waiter(&self, job: Handle) -> Result<impl FnOnce() + Send + use<>> {
        Ok(self.job(job)?.waiter(job))
    }

    /// Waits up to `limit` until whoever does the work of a job is at it: a host elsewhere then goes on
    /// with it whatever becomes of this process.
    pub fn await_begun(&self, job: Handle, limit: Duration) {
        if let Ok(job) = self.job(job) {
            job.await_begun(limit);
        }
    }

    /// Tells whether a job has ended.
    ///
    /// # Errors
    /// `VIX_E_INVALID_HANDLE`.
    pub fn is_done(&self, job: Handle) -> Result<bool> {
        Ok(self.job(job)?.is_done())
    }

    /// Returns the error of a job that has ended, `VIX_OK` for a good end.
    ///
    /// # Errors
    /// `VIX_E_INVALID_HANDLE`, `VIX_E_UNFINISHED_JOB`.
    pub fn error_of(&self, job: Handle) -> Result<u64> {
        self.job(job)?.error()
    }

    /// Returns how many results of a job have a property; 0 while it runs.
    ///
    /// # Errors
    /// `VIX_E_INVALID_HANDLE`.
    pub fn count(&self, job: Handle, id: i32) -> Result<usize> {
        Ok(self.job(job)?.count(id))
    }

    /// Returns the values of `ids` of one of a job's results.
    ///
    /// # Errors
    /// `VIX_E_INVALID_ARG` for a negative index, `VIX_E_UNFINISHED_JOB`, `VIX_E_UNRECOGNIZED_PROPERTY`.
    pub fn read_nth(&self, job: Handle, index: i32, ids: &[i32]) -> Result<Vec<Value>> {
        let job = self.job(job)?;
        let Ok(index) = usize::try_from(index) else {
            return refuse("an index is never negative");
        };
        ids.iter().map(|id| job.read(index, *id)).collect()
    }

    /// Does the work that waits for the client's thread, until none is left; with
    /// `VIX_INVALID_HANDLE`, that of connecting. A host that does not pump has none.
    pub fn pump_events(&self, host: Handle) {
        let pump = match self.host(host).map(|host| host.queue.clone()) {
            Ok(Queue::Pump(pump)) => pump,
            Err(_) if host == VIX_INVALID_HANDLE => Arc::clone(&self.connecting),
            _ => return,
        };
        while pump.run_one() {}
    }

    /// Calls no client back from now on, for a face whose client is gone. Jobs go on.
    pub fn silence(&self) {
        self.jobs.silence();
    }

    /// Brings the library to rest at the end of the process: no client is called any more, jobs get a
    /// moment to end, are then cancelled and clean up.
    pub fn stop(&self) {
        self.jobs.silence();
        let works = || self.jobs.work();
        self.pool.stop(GRACE, works);
        if works() {
            self.jobs.cancel();
            self.pool.stop(CLEANUP, works);
        }
    }

    /// Starts a job that belongs to no host yet.
    pub(crate) fn start(
        &self,
        pumped: bool,
        callback: Option<Callback>,
        work: impl FnOnce(&Run) -> Result<Vec<Record>> + Send + 'static,
    ) -> Handle {
        let queue = match pumped {
            true => Queue::Pump(Arc::clone(&self.connecting)),
            false => self.threads(),
        };
        self.jobs.start(&queue, callback, work)
    }

    /// Starts a job on a host.
    pub(crate) fn start_on_host(
        &self,
        host: Handle,
        callback: Option<Callback>,
        work: impl FnOnce(&Arc<Host>, &Run) -> Result<Vec<Record>> + Send + 'static,
    ) -> Handle {
        // As it is now: what was asked for before the client disconnected is done.
        let host = self.host(host).and_then(|host| {
            host.require_connection(VIX_E_HOST_NOT_CONNECTED)?;
            Ok(host)
        });
        let queue = self.queue_of(host.as_deref());
        self.jobs
            .start(&queue, callback, move |run| work(&host?, run))
    }

    /// Starts a job on a VM.
    pub(crate) fn start_on_vm(
        &self,
        vm: Handle,
        callback: Option<Callback>,
        work: impl FnOnce(&Arc<Vm>, &Run) -> Result<Vec<Record>> + Send + 'static,
    ) -> Handle {
        let vm = self.vm(vm).and_then(|vm| {
            vm.host.require_connection(VIX_E_VM_HOST_DISCONNECTED)?;
            Ok(vm)
        });
        let queue = self.queue_of(vm.as_ref().map(|vm| &*vm.host));
        self.jobs
            .start(&queue, callback, move |run| work(&vm?, run))
    }

    /// Returns where a job on a host runs; one that only tells an error runs on threads of ours.
    fn queue_of(&self, host: std::result::Result<&Host, &Fault>) -> Queue {
        host.map_or_else(|_| self.threads(), |host| host.queue.clone())
    }

    /// Returns the queue of a host that is connected to with or without an event pump.
    pub(crate) fn queue(&self, pumped: bool) -> Queue {
        match pumped {
            true => Queue::Pump(Arc::default()),
            false => self.threads(),
        }
    }

    fn threads(&self) -> Queue {
        Queue::Pool(Arc::clone(&self.pool))
    }

    pub(crate) fn host(&self, handle: Handle) -> Result<Arc<Host>> {
        match self.jobs.table.get(handle)? {
            Object::Host(host) => Ok(host),
            _ => Err(VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE.into()),
        }
    }

    pub(crate) fn vm(&self, handle: Handle) -> Result<Arc<Vm>> {
        match self.jobs.table.get(handle)? {
            Object::Vm(vm) => Ok(vm),
            _ => Err(VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE.into()),
        }
    }

    pub(crate) fn snapshot(&self, handle: Handle) -> Result<Arc<Snapshot>> {
        match self.jobs.table.get(handle)? {
            Object::Snapshot(snapshot) => Ok(snapshot),
            _ => Err(VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE.into()),
        }
    }

    pub(crate) fn list(&self, handle: Handle) -> Result<Arc<List>> {
        match self.jobs.table.get(handle)? {
            Object::List(list) => Ok(list),
            _ => Err(VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE.into()),
        }
    }

    fn job(&self, handle: Handle) -> Result<Arc<Job>> {
        match self.jobs.table.get(handle)? {
            Object::Job(job) => Ok(job),
            _ => Err(VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE.into()),
        }
    }

    /// Enters an object and returns it with a reference for the client.
    pub(crate) fn enter(&self, object: Object) -> Result<Handle> {
        Ok(self.jobs.table.insert(object)?.give())
    }
}
