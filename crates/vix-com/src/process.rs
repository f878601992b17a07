//! The one object model of the process, and who keeps the DLL in it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use vix::Library;

use crate::module;

/// Its threads run our code, so the DLL stays once it is made.
static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    module::pin();
    Library::new(replix_remote::connect)
});

/// What is in use: objects, classes, locks, and callbacks that are still to come.
static USES: AtomicUsize = AtomicUsize::new(0);

/// Returns the object model.
pub(crate) fn library() -> &'static Library {
    &LIBRARY
}

/// Tells whether nothing of ours is in use.
pub(crate) fn is_unused() -> bool {
    USES.load(Ordering::Acquire) == 0
}

/// Counts a use up or down.
pub(crate) fn count(up: bool) {
    match up {
        true => USES.fetch_add(1, Ordering::AcqRel),
        false => USES.fetch_sub(1, Ordering::AcqRel),
    };
}

/// One use.
pub(crate) struct Use(());

impl Use {
    pub(crate) fn new() -> Self {
        count(true);
        Self(())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        count(false);
    }
}
