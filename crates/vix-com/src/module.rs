//! The DLL itself: where it is, and the type library in it.

use windows::Win32::Foundation::HMODULE;
use windows::Win32::System::Com::ITypeLib;
use windows::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
    GetModuleFileNameW, GetModuleHandleExW,
};
use windows::Win32::System::Ole::{LoadTypeLibEx, REGKIND_NONE};
use windows_core::{Error, HSTRING, PCWSTR, Result};

/// The longest path that there can be, in characters.
const LONGEST: usize = 1 << 15;

/// Returns the path of the DLL.
///
/// # Errors
/// What the system says.
pub(crate) fn path() -> Result<HSTRING> {
    let flags =
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    let (mut module, inside) = (HMODULE::default(), path as *const ());
    let mut path = vec![0; LONGEST];
    // SAFETY: the address is in this DLL, and all outputs are there.
    let length = unsafe {
        GetModuleHandleExW(flags, PCWSTR(inside.cast()), &raw mut module)?;
        GetModuleFileNameW(Some(module), &mut path)
    };
    match length {
        0 => Err(Error::from_thread()),
        length => Ok(HSTRING::from_wide(&path[..length as usize])),
    }
}

/// Returns the type library.
///
/// # Errors
/// What the system says.
pub(crate) fn type_library() -> Result<ITypeLib> {
    // SAFETY: a text that lives as long as the call.
    unsafe { LoadTypeLibEx(&path()?, REGKIND_NONE) }
}
