//! The one object model of the process, and its end.

use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

use vix::Library;

use crate::guard::guarded;

/// The object model, and the process that made it.
struct Owned {
    library: Library,
    process: u32,
}

/// The one in use, if there is one yet. Without a lock, which another thread might hold for ever in the
/// eyes of a forked process.
static OWNED: AtomicPtr<Owned> = AtomicPtr::new(std::ptr::null_mut());

fn owned() -> Option<&'static Owned> {
    // SAFETY: what is stored here is never freed.
    let owned = unsafe { OWNED.load(Ordering::Acquire).as_ref() }?;
    (owned.process == std::process::id()).then_some(owned)
}

/// Returns the object model of this process.
///
/// A forked process has none of its parent's threads and objects: it gets an object model of its own.
pub(crate) fn library() -> &'static Library {
    if let Some(owned) = owned() {
        return &owned.library;
    }
    let before = OWNED.load(Ordering::Acquire);
    // SAFETY: what is stored here is never freed.
    let library = match unsafe { before.as_ref() } {
        Some(parent) => parent.library.forked(),
        None => Library::new(replix::Host::local),
    };
    let process = std::process::id();
    let new = Box::into_raw(Box::new(Owned { library, process }));
    match OWNED.compare_exchange(before, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => stop_at_exit(),
        // SAFETY: another thread was quicker, so nobody has seen ours.
        Err(_) => drop(unsafe { Box::from_raw(new) }),
    }
    self::library()
}

fn stop_at_exit() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        // SAFETY: `stop` does not unwind, and stays where it is: the library is never unloaded.
        // A refusal costs running jobs their orderly end, and nothing else.
        unsafe { libc::atexit(stop) };
    });
}

/// Brings jobs to rest when the process exits.
extern "C" fn stop() {
    guarded((), || {
        if let Some(owned) = owned() {
            owned.library.stop();
        }
    });
}
