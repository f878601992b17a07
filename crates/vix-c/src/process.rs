//! The one object model of the process, and its end.

use std::sync::LazyLock;

use vix::Library;

use crate::guard::guarded;

/// The object model, and the process that made it.
struct Owned {
    library: Library,
    process: u32,
}

static OWNED: LazyLock<Owned> = LazyLock::new(|| {
    // SAFETY: `stop` does not unwind, and stays where it is: the library is never unloaded.
    // A refusal costs running jobs their orderly end, and nothing else.
    unsafe { libc::atexit(stop) };
    Owned {
        library: Library::new(replix::Host::local),
        process: std::process::id(),
    }
});

/// Returns the object model of this process.
pub(crate) fn library() -> &'static Library {
    &OWNED.library
}

/// Brings jobs to rest when the process exits. A forked process has none of the threads: it would
/// wait for them in vain.
extern "C" fn stop() {
    if OWNED.process == std::process::id() {
        guarded((), || OWNED.library.stop());
    }
}
