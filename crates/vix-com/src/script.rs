//! Objects of scripts, used by the names of their members.

use std::ptr::null_mut;

use windows::Win32::System::Com::*;
use windows::Win32::System::Ole::{DISPID_PROPERTYPUT, IDispatchEx};
use windows::Win32::System::Variant::VARIANT;
use windows_core::{BSTR, GUID, HSTRING, Interface, PCWSTR, Result};

/// `fdexNameEnsure`: a member that is not there is made.
const ENSURE: u32 = 2;

/// `fdexNameCaseInsensitive`.
const IN_ANY_CASE: u32 = 8;

const NO_LOCALE: u32 = 0;

/// Returns the number of a member.
///
/// # Errors
/// `DISP_E_UNKNOWNNAME` where there is none.
pub(crate) fn id(object: &IDispatch, name: &str) -> Result<i32> {
    // Wine's VBScript knows the members of its objects in this way only.
    if let Ok(id) = id_as(object, name, IN_ANY_CASE) {
        return Ok(id);
    }
    let name = HSTRING::from(name);
    let (name, mut id) = (PCWSTR(name.as_ptr()), 0);
    // SAFETY: one name and room for one number.
    unsafe { object.GetIDsOfNames(&GUID::zeroed(), &raw const name, 1, NO_LOCALE, &raw mut id)? };
    Ok(id)
}

fn id_as(object: &IDispatch, name: &str, how: u32) -> Result<i32> {
    let object: IDispatchEx = object.cast()?;
    // SAFETY: a text that lives as long as the call.
    unsafe { object.GetDispID(&BSTR::from(name), how) }
}

/// Calls a member. The arguments are in the order of `IDispatch`, the last one first.
///
/// # Errors
/// What the script says.
pub(crate) fn call(object: &IDispatch, id: i32, arguments: &mut [VARIANT]) -> Result<()> {
    invoke(object, id, DISPATCH_METHOD, arguments, &mut []).map(drop)
}

/// Returns the value of a member.
///
/// # Errors
/// `DISP_E_UNKNOWNNAME` where there is none; what the script says.
pub(crate) fn get(object: &IDispatch, name: &str) -> Result<VARIANT> {
    invoke(
        object,
        id(object, name)?,
        DISPATCH_PROPERTYGET,
        &mut [],
        &mut [],
    )
}

/// Gives a member a value; one that is not there is made.
///
/// # Errors
/// What the script says.
pub(crate) fn put(object: &IDispatch, name: &str, value: VARIANT) -> Result<()> {
    let id = id_as(object, name, ENSURE)?;
    let (mut value, mut target) = ([value], [DISPID_PROPERTYPUT]);
    invoke(object, id, DISPATCH_PROPERTYPUT, &mut value, &mut target).map(drop)
}

fn invoke(
    object: &IDispatch,
    id: i32,
    flags: DISPATCH_FLAGS,
    arguments: &mut [VARIANT],
    names: &mut [i32],
) -> Result<VARIANT> {
    let pointer = |slice: &mut [i32]| match slice {
        [] => null_mut(),
        slice => slice.as_mut_ptr(),
    };
    let params = DISPPARAMS {
        rgvarg: arguments.as_mut_ptr(),
        rgdispidNamedArgs: pointer(names),
        cArgs: count(arguments.len()),
        cNamedArgs: count(names.len()),
    };
    let mut result = VARIANT::default();
    let out = Some(&raw mut result);
    // SAFETY: arguments, names and result live as long as the call.
    unsafe {
        let params = &raw const params;
        object.Invoke(
            id,
            &GUID::zeroed(),
            NO_LOCALE,
            flags,
            params,
            out,
            None,
            None,
        )?;
    }
    Ok(result)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("a handful of arguments")
}
