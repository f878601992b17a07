//! Handles: one table of counted objects.
//!
//! A handle is a number that is given out once: the next of a counter. So a stale one is unknown to
//! the table, and never another object (docs/adr/0009).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::constants::*;
use crate::error::Result;
use crate::host::Host;
use crate::job::Job;
use crate::property::List;
use crate::snapshot::Snapshot;
use crate::vm::Vm;

/// The number of an object, as clients see it; `VIX_INVALID_HANDLE` is none.
pub type Handle = i32;

/// What a handle stands for.
#[derive(Clone)]
pub(crate) enum Object {
    Host(Arc<Host>),
    Vm(Arc<Vm>),
    Job(Arc<Job>),
    Snapshot(Arc<Snapshot>),
    List(Arc<List>),
}

impl Object {
    /// Returns the `VIX_HANDLETYPE_*`.
    pub(crate) fn handle_type(&self) -> i32 {
        match self {
            Self::Host(_) => VIX_HANDLETYPE_HOST,
            Self::Vm(_) => VIX_HANDLETYPE_VM,
            Self::Job(_) => VIX_HANDLETYPE_JOB,
            Self::Snapshot(_) => VIX_HANDLETYPE_SNAPSHOT,
            Self::List(_) => VIX_HANDLETYPE_PROPERTY_LIST,
        }
    }
}

/// All live objects of a library.
#[derive(Default)]
pub(crate) struct Table {
    live: RwLock<Entries>,
    /// The number given out last. Beside the lock, so that a forked process can go on from it.
    last: AtomicI32,
}

type Entries = BTreeMap<Handle, Entry>;

/// An object lives as long as anybody counts on it. Clients' references are counted apart from ours,
/// so that a client which releases too often harms itself alone.
struct Entry {
    object: Object,
    clients: u32,
    ours: usize,
}

impl Table {
    /// Enters an object and returns the first of our references to it.
    ///
    /// # Errors
    /// `VIX_E_TOO_MANY_HANDLES` when every number is in use.
    pub(crate) fn insert(self: &Arc<Self>, object: Object) -> Result<Reference> {
        let mut entries = self.write();
        if entries.len() >= Handle::MAX as usize {
            return Err(VIX_E_TOO_MANY_HANDLES.into());
        }
        let handle = self.next(&entries);
        let entry = Entry {
            object,
            clients: 0,
            ours: 1,
        };
        entries.insert(handle, entry);
        let table = Arc::clone(self);
        Ok(Reference { table, handle })
    }

    /// Returns the object of a handle.
    ///
    /// # Errors
    /// `VIX_E_INVALID_HANDLE` where there is none.
    pub(crate) fn get(&self, handle: Handle) -> Result<Object> {
        match self.read().get(&handle) {
            Some(entry) => Ok(entry.object.clone()),
            None => Err(VIX_E_INVALID_HANDLE.into()),
        }
    }

    /// Returns one of our references to the object of a handle.
    ///
    /// # Errors
    /// `VIX_E_INVALID_HANDLE` where there is none.
    pub(crate) fn reference(self: &Arc<Self>, handle: Handle) -> Result<Reference> {
        let mut entries = self.write();
        let entry = entries.get_mut(&handle).ok_or(VIX_E_INVALID_HANDLE)?;
        entry.ours += 1;
        let table = Arc::clone(self);
        Ok(Reference { table, handle })
    }

    /// Counts one more reference of a client's; an unknown handle is passed over.
    pub(crate) fn add_ref(&self, handle: Handle) {
        if let Some(entry) = self.write().get_mut(&handle) {
            entry.clients = entry.clients.saturating_add(1);
        }
    }

    /// Takes back one reference of a client's; an unknown handle is passed over.
    pub(crate) fn release(&self, handle: Handle) {
        self.count_down(handle, |entry| {
            entry.clients = entry.clients.saturating_sub(1);
        });
    }

    /// Returns how many objects live.
    pub(crate) fn len(&self) -> usize {
        self.read().len()
    }

    fn count_down(&self, handle: Handle, count: impl FnOnce(&mut Entry)) {
        let mut entries = self.write();
        let Some(entry) = entries.get_mut(&handle) else {
            return;
        };
        count(entry);
        if entry.clients == 0 && entry.ours == 0 {
            let ended = entries.remove(&handle);
            // An object may hold references to others, which its end takes back: not under the lock.
            drop(entries);
            drop(ended);
        }
    }

    /// Returns an empty table whose numbers go on from this one's.
    pub(crate) fn successor(&self) -> Self {
        Self {
            live: RwLock::default(),
            last: AtomicI32::new(self.last.load(Ordering::Relaxed)),
        }
    }

    /// Returns the next number. After two billion the count begins anew and passes over live ones.
    fn next(&self, live: &Entries) -> Handle {
        let mut next = self.last.load(Ordering::Relaxed);
        loop {
            next = next.checked_add(1).unwrap_or(1);
            if !live.contains_key(&next) {
                // Numbers are given out under the lock of the table.
                self.last.store(next, Ordering::Relaxed);
                return next;
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of our references to an object of a table, taken back when dropped.
pub struct Reference {
    table: Arc<Table>,
    handle: Handle,
}

impl Reference {
    /// Returns the number, without counting.
    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    /// Returns the number with a reference for the client, who is to release it.
    pub fn give(&self) -> Handle {
        self.table.add_ref(self.handle);
        self.handle
    }
}

impl Clone for Reference {
    fn clone(&self) -> Self {
        if let Some(entry) = self.table.write().get_mut(&self.handle) {
            entry.ours += 1;
        }
        Self {
            table: Arc::clone(&self.table),
            handle: self.handle,
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        self.table.count_down(self.handle, |entry| entry.ours -= 1);
    }
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "handle {}", self.handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(table: &Arc<Table>) -> Reference {
        table.insert(Object::List(Arc::default())).unwrap()
    }

    #[test]
    fn object_lives_until_its_last_reference() {
        let table = Arc::new(Table::default());
        let ours = entered(&table);
        let handle = ours.give();
        table.add_ref(handle);
        drop(ours);
        table.release(handle);
        assert!(table.get(handle).is_ok());
        table.release(handle);
        assert!(table.get(handle).is_err());
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn client_that_releases_too_often_harms_nobody_else() {
        let table = Arc::new(Table::default());
        let ours = entered(&table);
        table.release(ours.handle());
        table.release(ours.handle());
        let second = ours.clone();
        drop(ours);
        assert!(table.get(second.handle()).is_ok());
    }

    #[test]
    fn number_is_given_out_once() {
        let table = Arc::new(Table::default());
        let first = entered(&table).handle();
        let others: Vec<_> = (0..1000).map(|_| entered(&table).handle()).collect();
        assert!(!others.contains(&first));
        assert!(table.get(first).is_err());
    }

    #[test]
    fn successor_gives_out_other_numbers() {
        let table = Arc::new(Table::default());
        let first = entered(&table).handle();
        let child = Arc::new(table.successor());
        assert!(entered(&child).handle() > first && child.get(first).is_err());
    }

    #[test]
    fn counter_that_ran_over_skips_live_numbers() {
        let table = Arc::new(Table::default());
        let first = entered(&table);
        table.last.store(Handle::MAX - 1, Ordering::Relaxed);
        let last = entered(&table);
        let next = entered(&table);
        let numbers = [first.handle(), last.handle(), next.handle()];
        assert_eq!(numbers, [1, Handle::MAX, 2]);
    }
}
