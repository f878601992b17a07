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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vix::constants::ALL;
    use windows::Win32::System::Com::{ITypeInfo, TKIND_MODULE, VAR_CONST, VARDESC};
    use windows_core::BSTR;

    use super::*;
    use crate::variant::integer;

    /// Returns the type library that the build has made; a program of tests has it not inside.
    fn built() -> ITypeLib {
        let path = HSTRING::from(concat!(env!("OUT_DIR"), "/VixCOM.tlb"));
        // SAFETY: a text that lives as long as the call.
        unsafe { LoadTypeLibEx(&path, REGKIND_NONE) }.unwrap()
    }

    fn name(of: &ITypeInfo, member: i32) -> String {
        let mut name = BSTR::new();
        // SAFETY: there is room for the name.
        unsafe {
            of.GetDocumentation(
                member,
                Some(&raw mut name),
                None,
                std::ptr::null_mut(),
                None,
            )
        }
        .unwrap();
        name.to_string()
    }

    fn constant(of: &ITypeInfo, variable: &VARDESC) -> (String, i32) {
        assert_eq!(variable.varkind, VAR_CONST);
        // SAFETY: by its kind, it has a value.
        let value = unsafe { &*variable.Anonymous.lpvarValue };
        (name(of, variable.memid), integer(value).unwrap())
    }

    #[test]
    fn constants_are_a_module_of_the_type_library() {
        let library = built();
        // SAFETY: the indexes are within the numbers that are told; descriptions are released.
        let found: BTreeMap<_, _> = unsafe {
            let all =
                (0..library.GetTypeInfoCount()).map(|index| library.GetTypeInfo(index).unwrap());
            let modules = all.filter(|of| {
                let attributes = of.GetTypeAttr().unwrap();
                let kind = (*attributes).typekind;
                of.ReleaseTypeAttr(attributes);
                kind == TKIND_MODULE
            });
            let modules: Vec<_> = modules.collect();
            assert_eq!(modules.len(), 1);
            assert_eq!(name(&modules[0], -1), "Constants");
            let variables = (0..).map_while(|index| modules[0].GetVarDesc(index).ok());
            let constants = variables.map(|variable| {
                let constant = constant(&modules[0], &*variable);
                modules[0].ReleaseVarDesc(variable);
                constant
            });
            constants.collect()
        };
        let wanted = ALL.iter().filter(|row| row.in_com);
        let wanted: BTreeMap<_, _> = wanted
            .map(|row| (row.name.to_owned(), row.value as i32))
            .collect();
        assert_eq!(found, wanted);
    }
}
