//! The types of `vix.h`. A client's pointers have types of their own, which only a call from C can
//! make: whoever holds one may rely on what `vix.h` asks of clients.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;

use vix::constants::*;
use vix::{Callback, Text};

use crate::process::library;

/// An object, or `VIX_INVALID_HANDLE`.
pub type VixHandle = c_int;
/// `VIX_HANDLETYPE_*`.
pub type VixHandleType = c_int;
/// `VIX_OK` or an error.
pub type VixError = u64;
/// `VIX_PROPERTYTYPE_*`.
pub type VixPropertyType = c_int;
/// `VIX_PROPERTY_*`.
pub type VixPropertyID = c_int;
/// `VIX_EVENTTYPE_*`.
pub type VixEventType = c_int;
/// `VIX_HOSTOPTION_*`.
pub type VixHostOptions = c_int;
/// `VIX_SERVICEPROVIDER_*`.
pub type VixServiceProvider = c_int;
/// `VIX_FIND_*`.
pub type VixFindItemType = c_int;
/// `VIX_VMOPEN_*`.
pub type VixVMOpenOptions = c_int;
/// `VIX_PUMPEVENTOPTION_*`.
pub type VixPumpEventsOptions = c_int;
/// `VIX_VMPOWEROP_*`.
pub type VixVMPowerOpOptions = c_int;
/// `VIX_VMDELETE_*`.
pub type VixVMDeleteOptions = c_int;
/// `VIX_POWERSTATE_*`.
pub type VixPowerState = c_int;
/// `VIX_TOOLSSTATE_*`.
pub type VixToolsState = c_int;
/// `VIX_RUNPROGRAM_*`.
pub type VixRunProgramOptions = c_int;
/// `VIX_SNAPSHOT_REMOVE_*`.
pub type VixRemoveSnapshotOptions = c_int;
/// `VIX_SNAPSHOT_INCLUDE_*`.
pub type VixCreateSnapshotOptions = c_int;
/// `VIX_SHAREDFOLDER_*`.
pub type VixMsgSharedFolderOptions = c_int;
/// `VIX_CLONETYPE_*`.
pub type VixCloneType = c_int;
/// One byte: `TRUE` or `FALSE`.
///
/// Some clients pass the address of a zeroed `int` and test the whole of it, others that of a byte;
/// writing one byte is right for both.
pub type Bool = c_char;

/// A `const char *` of a client: null, or a string that ends in a zero byte and is there until the
/// call returns.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct ClientText(*const c_char);

impl ClientText {
    /// # Safety
    /// `text` is as the type says.
    pub(crate) unsafe fn new(text: *const c_char) -> Self {
        Self(text)
    }

    /// Returns a copy.
    pub(crate) fn read(self) -> Text {
        if self.0.is_null() {
            return Text::Null;
        }
        // SAFETY: by the type, the string ends in a zero byte and is there.
        match unsafe { CStr::from_ptr(self.0) }.to_str() {
            Ok(text) => Text::Some(text.to_owned()),
            Err(_) => Text::Malformed,
        }
    }
}

/// A `T *` of a client: null, or the address of a variable that takes a result.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Out<T: Copy>(Option<NonNull<T>>);

impl<T: Copy> Out<T> {
    /// # Safety
    /// `variable` is as the type says, until the result is written.
    pub(crate) unsafe fn new(variable: *mut c_void) -> Self {
        Self(NonNull::new(variable.cast()))
    }

    /// Returns the variable.
    ///
    /// # Errors
    /// `VIX_E_INVALID_ARG` for a null pointer.
    pub(crate) fn variable(self) -> vix::Result<Variable<T>> {
        match self.0 {
            Some(variable) => Ok(Variable(variable)),
            None => Err(VIX_E_INVALID_ARG.into()),
        }
    }
}

/// A variable of a client's that takes a result.
pub(crate) struct Variable<T: Copy>(NonNull<T>);

impl<T: Copy> Variable<T> {
    pub(crate) fn set(self, value: T) {
        // SAFETY: by the type it was made from, the variable is there. It need not be aligned: other
        // languages pass addresses inside of buffers.
        unsafe { self.0.write_unaligned(value) };
    }
}

type Procedure = unsafe extern "C" fn(VixHandle, VixEventType, VixHandle, *mut c_void);

unsafe extern "C" {
    /// Calls the procedure and returns whether that has returned; `callback.c` tells why it may not.
    fn replix_call_back(
        procedure: Procedure,
        job: VixHandle,
        event: VixEventType,
        info: VixHandle,
        data: *mut c_void,
    ) -> c_int;
}

/// A `VixEventProc *` of a client, null for none: it may be called on any thread, until its job has
/// ended, with the `clientData` that came with it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct EventProc(Option<Procedure>);

/// A client's `clientData`: passed through untouched.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct ClientData(*mut c_void);

// SAFETY: we never look behind the pointer; the procedure that gets it back may be called on any
// thread, which `vix.h` tells clients.
unsafe impl Send for ClientData {}

impl ClientData {
    fn pointer(&self) -> *mut c_void {
        self.0
    }
}

impl EventProc {
    /// Returns the procedure with its data, for the object model to call.
    pub(crate) fn with(self, data: ClientData) -> Option<Callback> {
        let procedure = self.0?;
        Some(Box::new(move |job, event, info| {
            // SAFETY: by the type, it may be called here; the object model calls it for no job that
            // has ended.
            let returned = unsafe { replix_call_back(procedure, job, event, info, data.pointer()) };
            if returned == 0 {
                // Whoever ends our threads is shutting down: its code may be gone the next time.
                library().silence();
            }
        }))
    }
}
