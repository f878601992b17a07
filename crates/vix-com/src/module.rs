//! The DLL itself: where it is, that it stays, and the type library in it. Functions of other DLLs.

use std::ffi::c_void;

use windows::Win32::Foundation::HMODULE;
use windows::Win32::System::Com::ITypeLib;
use windows::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN,
    GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, GetModuleFileNameW, GetModuleHandleExW,
    GetModuleHandleW, GetProcAddress,
};
use windows::Win32::System::Ole::{LoadTypeLibEx, REGKIND_NONE};
use windows_core::{Error, HSTRING, PCSTR, PCWSTR, Result};

/// The longest path that there can be, in characters.
const LONGEST: usize = 1 << 15;

/// Returns the path of the DLL.
///
/// # Errors
/// What the system says.
pub(crate) fn path() -> Result<HSTRING> {
    let module = this(GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT)?;
    let mut path = vec![0; LONGEST];
    // SAFETY: there is room for a path.
    let length = unsafe { GetModuleFileNameW(Some(module), &mut path) };
    match length {
        0 => Err(Error::from_thread()),
        length => Ok(HSTRING::from_wide(&path[..length as usize])),
    }
}

/// Keeps the DLL in the process to its end.
pub(crate) fn pin() {
    // It fails for no DLL that is there.
    let _ = this(GET_MODULE_HANDLE_EX_FLAG_PIN);
}

fn this(flags: u32) -> Result<HMODULE> {
    let (mut module, inside) = (HMODULE::default(), this as *const ());
    let flags = flags | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
    // SAFETY: the address is in this DLL, and the output is there.
    unsafe { GetModuleHandleExW(flags, PCWSTR(inside.cast()), &raw mut module)? };
    Ok(module)
}

/// Returns a function of a DLL that is there already, `None` where it has none of that name.
pub(crate) fn export(library: PCWSTR, name: PCSTR) -> Option<*const c_void> {
    // SAFETY: names that live as long as the call.
    let function = unsafe { GetProcAddress(GetModuleHandleW(library).ok()?, name)? };
    Some(function as *const c_void)
}

/// Returns the type library.
///
/// # Errors
/// What the system says.
pub(crate) fn type_library() -> Result<ITypeLib> {
    // SAFETY: a text that lives as long as the call.
    unsafe { LoadTypeLibEx(&path()?, REGKIND_NONE) }
}
