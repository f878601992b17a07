//! The functions of variable length: how a call gets from a client to Rust, docs/adr/0008.
//!
//! A client calls `VixJob_Wait`; that is a jump, since only Rust's functions are exported, to
//! `replix_wait` in `variadic.c`; that one calls `replix_on_wait`, a jump as well, since what C can
//! name would otherwise be exported, to `property::on_wait`.

use std::arch::{global_asm, naked_asm};
use std::ffi::{c_int, c_void};
use std::marker::{PhantomData, PhantomPinned};

use crate::property;
use crate::types::{ClientText, Out, VixError, VixHandle, VixPropertyID};

/// An instruction that goes on at the given function, with arguments and stack as they are.
#[cfg(target_arch = "x86_64")]
macro_rules! jump {
    ($to:literal) => {
        concat!("jmp ", $to)
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! jump {
    ($to:literal) => {
        concat!("b ", $to)
    };
}

/// Makes a name for C out of a function of Rust, which the library does not export.
macro_rules! named {
    ($name:literal, $function:path) => {
        global_asm!(
            concat!(".pushsection .text.", $name, ",\"ax\",%progbits"),
            concat!(".hidden ", $name),
            concat!(".globl ", $name),
            concat!(".type ", $name, ",%function"),
            concat!($name, ":"),
            jump!("{function}"),
            concat!(".size ", $name, ", . - ", $name),
            ".popsection",
            function = sym $function,
        );
    };
}

named!("replix_on_get_properties", property::on_get_properties);
named!("replix_on_wait", property::on_wait);
named!(
    "replix_on_get_nth_properties",
    property::on_get_nth_properties
);
named!(
    "replix_on_alloc_property_list",
    property::on_alloc_property_list
);

// Called by way of a jump only, so without their arguments.
unsafe extern "C" {
    fn replix_get_properties();
    fn replix_wait();
    fn replix_get_nth_properties();
    fn replix_alloc_property_list();
}

unsafe extern "C" {
    fn replix_next_int(arguments: *mut Rest) -> c_int;
    fn replix_next_int64(arguments: *mut Rest) -> i64;
    fn replix_next_pointer(arguments: *mut Rest) -> *mut c_void;
}

/// `struct arguments` of `variadic.c`, of which Rust knows the address alone.
#[repr(C)]
struct Rest {
    opaque: [u8; 0],
    pinned: PhantomData<(*mut u8, PhantomPinned)>,
}

/// The arguments of a call that have no names. `variadic.c` alone makes one, for as long as the call
/// lasts; its client has passed what the ids before say.
#[repr(transparent)]
pub(crate) struct Arguments(*mut Rest);

impl Arguments {
    pub(crate) fn int(&mut self) -> c_int {
        // SAFETY: by the type, the list is there, and this is what comes next in it.
        unsafe { replix_next_int(self.0) }
    }

    pub(crate) fn int64(&mut self) -> i64 {
        // SAFETY: as for `int`.
        unsafe { replix_next_int64(self.0) }
    }

    fn pointer(&mut self) -> *mut c_void {
        // SAFETY: as for `int`.
        unsafe { replix_next_pointer(self.0) }
    }

    pub(crate) fn text(&mut self) -> ClientText {
        // SAFETY: a client passes a string here, or null.
        unsafe { ClientText::new(self.pointer().cast()) }
    }

    pub(crate) fn out<T: Copy>(&mut self) -> Out<T> {
        // SAFETY: a client passes the address of such a variable here, or null.
        unsafe { Out::new(self.pointer()) }
    }

    /// Returns a copy of a block of bytes; `None` where there is no such block.
    pub(crate) fn block(&mut self) -> Option<Vec<u8>> {
        let (length, start) = (self.int(), self.pointer().cast::<u8>());
        match usize::try_from(length).ok()? {
            0 => Some(Vec::new()),
            _ if start.is_null() => None,
            // SAFETY: a client passes the block's length, and then its address.
            length => Some(unsafe { std::slice::from_raw_parts(start, length) }.to_vec()),
        }
    }
}

/// Reads properties of an object.
///
/// # Safety
/// As `vix.h` says.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn Vix_GetProperties(
    handle: VixHandle,
    firstPropertyID: VixPropertyID,
) -> VixError {
    naked_asm!(jump!("{}"), sym replix_get_properties)
}

/// Makes a list of properties.
///
/// # Safety
/// As `vix.h` says.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn VixPropertyList_AllocPropertyList(
    hostHandle: VixHandle,
    resultHandle: Out<VixHandle>,
    firstPropertyID: c_int,
) -> VixError {
    naked_asm!(jump!("{}"), sym replix_alloc_property_list)
}

/// Waits for a job, then reads its properties.
///
/// # Safety
/// As `vix.h` says.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn VixJob_Wait(
    jobHandle: VixHandle,
    firstPropertyID: VixPropertyID,
) -> VixError {
    naked_asm!(jump!("{}"), sym replix_wait)
}

/// Reads properties of one of a job's results.
///
/// # Safety
/// As `vix.h` says.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn VixJob_GetNthProperties(
    jobHandle: VixHandle,
    index: c_int,
    propertyID: c_int,
) -> VixError {
    naked_asm!(jump!("{}"), sym replix_get_nth_properties)
}
