//! The one object model of the process, who uses it, and what happens to its jobs when the process ends
//! (docs/adr/0011).

use std::ffi::{c_int, c_void};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vix::Library;
use windows_core::{s, w};

use crate::guard::guarded;
use crate::module;
use crate::wait::wait;

/// How long jobs are waited for, so that what was asked for reaches the host though the process ends next.
const GRACE: Duration = Duration::from_secs(3);

/// Threads of ours run its code, so the DLL stays once it is made.
static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    module::pin();
    settle_at_exit();
    Library::new(replix_remote::connect)
});

/// The objects that clients hold.
static OBJECTS: AtomicUsize = AtomicUsize::new(0);

/// What else keeps the DLL: locks of its classes, and callbacks that are still to come.
static LOCKS: AtomicUsize = AtomicUsize::new(0);

/// Returns the object model.
pub(crate) fn library() -> &'static Library {
    &LIBRARY
}

/// Tells whether nothing of ours is in use.
pub(crate) fn is_unused() -> bool {
    OBJECTS.load(Ordering::Acquire) + LOCKS.load(Ordering::Acquire) == 0
}

/// Counts an object that a client holds. The end of the last one may be all that is seen of the end of the
/// process, so it gives jobs a moment.
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
            settle();
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

fn settle() {
    let Some(library) = LazyLock::get(&LIBRARY) else {
        return;
    };
    // In a callback, its own job cannot end, and whoever is called is there to see to the others.
    if !vix::is_in_callback() && !library.settle(Duration::ZERO) {
        // Callbacks are not to hold it up.
        wait(|| {
            library.settle(GRACE);
        });
    }
}

/// Has `exit` of the system's C libraries give jobs a moment, for programs that leave objects behind. When
/// the DLL is told of the end, its threads are gone already.
fn settle_at_exit() {
    type AtExit = unsafe extern "C" fn(extern "C" fn() -> c_int) -> *const c_void;
    let registers = [
        (w!("msvcrt.dll"), s!("_onexit")),
        (w!("ucrtbase.dll"), s!("_crt_atexit")),
    ];
    for register in registers
        .iter()
        .filter_map(|(library, name)| module::export(*library, *name))
    {
        // SAFETY: functions of these names take such a procedure; ours stays where it is.
        unsafe { std::mem::transmute::<*const c_void, AtExit>(register)(settle_in_exit) };
    }
}

extern "C" fn settle_in_exit() -> c_int {
    let _ = guarded(|| {
        settle();
        Ok(())
    });
    0
}
