//! Handles: references and types.

use vix::constants::VIX_HANDLETYPE_NONE;

use crate::guard::guarded;
use crate::process::library;
use crate::types::{VixHandle, VixHandleType};

/// Releases one reference of a handle.
#[unsafe(no_mangle)]
pub extern "C" fn Vix_ReleaseHandle(handle: VixHandle) {
    guarded((), || library().release(handle));
}

/// Adds one reference to a handle.
#[unsafe(no_mangle)]
pub extern "C" fn Vix_AddRefHandle(handle: VixHandle) {
    guarded((), || library().add_ref(handle));
}

/// Returns the type of a handle.
#[unsafe(no_mangle)]
pub extern "C" fn Vix_GetHandleType(handle: VixHandle) -> VixHandleType {
    guarded(VIX_HANDLETYPE_NONE, || library().handle_type(handle))
}
