//! Strings and blocks of bytes that clients take over.
//!
//! They come from `malloc`, since some clients call `free`. All others call `Vix_FreeBuffer`, and some
//! of them with addresses that are not ours; so it is known which ones are.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use vix::constants::VIX_E_OUT_OF_MEMORY;

use crate::guard::guarded;

/// The addresses that clients have and have not given back.
static HANDED_OUT: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

fn with_handed_out<T>(act: impl FnOnce(&mut BTreeSet<usize>) -> T) -> T {
    act(&mut HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Bytes from `malloc`, freed when dropped.
pub(crate) struct Buffer(NonNull<u8>);

impl Buffer {
    /// Returns a copy of `bytes`.
    ///
    /// # Errors
    /// `VIX_E_OUT_OF_MEMORY`.
    pub(crate) fn new(bytes: &[u8]) -> vix::Result<Self> {
        // SAFETY: any size may be asked for. An empty block gets an address of its own as well.
        let start = unsafe { libc::malloc(bytes.len().max(1)) };
        let start = NonNull::new(start.cast()).ok_or(VIX_E_OUT_OF_MEMORY)?;
        // SAFETY: the new block is as long as `bytes`, and nobody else's.
        unsafe { start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Ok(Self(start))
    }

    /// Returns a copy of `text` as a C string. What follows a zero byte is lost to C.
    ///
    /// # Errors
    /// `VIX_E_OUT_OF_MEMORY`.
    pub(crate) fn text(text: String) -> vix::Result<Self> {
        let mut bytes = text.into_bytes();
        bytes.push(0);
        Self::new(&bytes)
    }

    /// Hands the bytes over to the client.
    pub(crate) fn hand_out(self) -> *mut u8 {
        let start = ManuallyDrop::new(self).0.as_ptr();
        with_handed_out(|handed_out| handed_out.insert(start.addr()));
        start
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the block is from `malloc`, and was not handed out.
        unsafe { libc::free(self.0.as_ptr().cast()) };
    }
}

/// Frees what a property was read into; passes over null and what is not ours.
#[unsafe(no_mangle)]
pub extern "C" fn Vix_FreeBuffer(p: *mut c_void) {
    guarded((), || {
        if with_handed_out(|handed_out| handed_out.remove(&p.addr())) {
            // SAFETY: the address was handed out, is from `malloc`, and was not given back yet.
            unsafe { libc::free(p) };
        }
    });
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::ptr::{from_mut, null_mut};

    use super::*;

    fn is_known(start: *mut u8) -> bool {
        with_handed_out(|handed_out| handed_out.contains(&start.addr()))
    }

    #[test]
    fn what_was_handed_out_is_freed_once() {
        let start = Buffer::text("text".into()).unwrap().hand_out();
        // SAFETY: it was made as a C string, and is ours until it is freed.
        assert_eq!(unsafe { CStr::from_ptr(start.cast()) }, c"text");
        assert!(is_known(start));
        Vix_FreeBuffer(start.cast());
        assert!(!is_known(start));
        Vix_FreeBuffer(start.cast());
    }

    #[test]
    fn addresses_of_others_are_passed_over() {
        let mut local = 7_u64;
        Vix_FreeBuffer(from_mut(&mut local).cast());
        Vix_FreeBuffer(null_mut());
        assert_eq!(local, 7);
    }

    #[test]
    fn an_empty_block_has_an_address() {
        let start = Buffer::new(&[]).unwrap().hand_out();
        assert!(!start.is_null());
        Vix_FreeBuffer(start.cast());
    }
}
