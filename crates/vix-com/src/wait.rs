//! Waiting, with the client's thread at the service of its apartment meanwhile.

use std::sync::Arc;
use std::thread;

use windows::Win32::Foundation::{CloseHandle, HANDLE};
use windows::Win32::System::Com::{
    APTTYPE, APTTYPE_MAINSTA, APTTYPE_STA, APTTYPEQUALIFIER, CoGetApartmentType,
    CoWaitForMultipleHandles,
};
use windows::Win32::System::Threading::{CreateEventW, INFINITE, SetEvent};
use windows_core::Result;

/// Blocks until `until` has returned. Calls from other threads into a single-threaded apartment, which
/// callbacks are, come through.
pub(crate) fn wait(until: impl FnOnce() + Send + 'static) {
    let event = match is_single_threaded() {
        true => Event::new(),
        false => return until(),
    };
    let Ok(event) = event.map(Arc::new) else {
        return until();
    };
    let set = Arc::clone(&event);
    let waiter = thread::spawn(move || {
        until();
        set.set();
    });
    event.wait();
    // It has nothing left to do; that it panicked is told to whoever asks for what was waited for.
    let _ = waiter.join();
}

fn is_single_threaded() -> bool {
    let (mut kind, mut qualifier) = (APTTYPE::default(), APTTYPEQUALIFIER::default());
    // SAFETY: both variables are there.
    let known = unsafe { CoGetApartmentType(&raw mut kind, &raw mut qualifier) };
    known.is_ok() && [APTTYPE_STA, APTTYPE_MAINSTA].contains(&kind)
}

/// An event of the system's, set once.
struct Event(HANDLE);

// SAFETY: the system's events are for all threads.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    fn new() -> Result<Self> {
        // SAFETY: an event without name and attributes.
        unsafe { CreateEventW(None, true, false, None) }.map(Self)
    }

    fn set(&self) {
        // SAFETY: the handle is ours. An event can be set.
        let _ = unsafe { SetEvent(self.0) };
    }

    fn wait(&self) {
        // SAFETY: the handle is ours. An error ends the wait, and the thread is joined at once.
        let _ = unsafe { CoWaitForMultipleHandles(0, INFINITE, &[self.0]) };
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and nobody uses it any more.
        let _ = unsafe { CloseHandle(self.0) };
    }
}
