//! The one object model of the process, who uses it, and when it may end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use vix::Library;

/// How long the last object's end waits for jobs, so that what was asked for reaches the host though
/// the process ends next (docs/adr/0011).
const GRACE: Duration = Duration::from_secs(3);

static LIBRARY: Mutex<Option<Arc<Library>>> = Mutex::new(None);

/// The objects that clients hold.
static OBJECTS: AtomicUsize = AtomicUsize::new(0);

/// What else keeps the DLL: locks of its class factory, and callbacks that are still to come.
static LOCKS: AtomicUsize = AtomicUsize::new(0);

/// Returns the object model.
pub(crate) fn library() -> Arc<Library> {
    let mut library = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
    let library = library.get_or_insert_with(|| Arc::new(Library::new(replix_remote::connect)));
    Arc::clone(library)
}

/// Tells whether the DLL may go, and brings the object model to rest if so: its threads run our code.
pub(crate) fn rest() -> bool {
    let mut library = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
    let used = OBJECTS.load(Ordering::Acquire) + LOCKS.load(Ordering::Acquire) > 0;
    if used
        || library
            .as_ref()
            .is_some_and(|library| !library.settle(Duration::ZERO))
    {
        return false;
    }
    if let Some(library) = library.take() {
        library.stop();
    }
    true
}

/// Counts an object that a client holds.
pub(crate) struct Alive(());

impl Alive {
    pub(crate) fn new() -> Self {
        OBJECTS.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if OBJECTS.fetch_sub(1, Ordering::AcqRel) == 1 {
            library().settle(GRACE);
        }
    }
}

/// Keeps the DLL where it is.
pub(crate) struct Lock(());

impl Lock {
    pub(crate) fn new() -> Self {
        lock(true);
        Self(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        lock(false);
    }
}

/// Counts a lock up or down.
pub(crate) fn lock(more: bool) {
    match more {
        true => LOCKS.fetch_add(1, Ordering::AcqRel),
        false => LOCKS.fetch_sub(1, Ordering::AcqRel),
    };
}
