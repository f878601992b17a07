//! Arrays: lists of property ids in all the forms that clients send, and results.

use std::ffi::c_void;
use std::ptr::null_mut;

use vix::Value;
use windows::Win32::Foundation::{DISP_E_TYPEMISMATCH, E_OUTOFMEMORY};
use windows::Win32::System::Com::{IDispatch, SAFEARRAY};
use windows::Win32::System::Ole::*;
use windows::Win32::System::Variant::*;
use windows_core::Result;

use crate::script;
use crate::variant::{self, Payload, integer, of_value, payload, resolve, vt};

/// The most ids in one call; more than there are properties.
const MOST: i32 = 4096;

/// Returns the property ids in a variant: an array of integers or of variants with such, a script's array
/// object, or one integer.
///
/// # Errors
/// `DISP_E_TYPEMISMATCH` for anything else.
pub(crate) fn ids(list: &VARIANT) -> Result<Vec<i32>> {
    let list = resolve(list);
    if let Some(object) = variant::object(list) {
        return ids_of_object(&object);
    }
    match array(list)? {
        Some(array) => ids_of_array(array),
        None => Ok(vec![integer(list)?]),
    }
}

/// Returns the array in a variant, `None` where it holds something else.
fn array(list: &VARIANT) -> Result<Option<*const SAFEARRAY>> {
    if vt(list).0 & VT_ARRAY.0 == 0 {
        return Ok(None);
    }
    // SAFETY: by the type, it is an array, or with VT_BYREF the address of one.
    let array = unsafe {
        match vt(list).0 & VT_BYREF.0 {
            0 => payload(list).parray,
            _ => *payload(list).pparray.as_ref().ok_or(DISP_E_TYPEMISMATCH)?,
        }
    };
    match array.is_null() {
        true => Err(DISP_E_TYPEMISMATCH.into()),
        false => Ok(Some(array)),
    }
}

fn ids_of_array(array: *const SAFEARRAY) -> Result<Vec<i32>> {
    // SAFETY: it is an array of the caller's, who keeps it as it is during the call.
    let (dimensions, first, last, of) = unsafe {
        let dimensions = SafeArrayGetDim(array);
        let (first, last) = (SafeArrayGetLBound(array, 1)?, SafeArrayGetUBound(array, 1)?);
        (dimensions, first, last, SafeArrayGetVartype(array)?)
    };
    if dimensions != 1 || last.checked_sub(first).is_none_or(|count| count >= MOST) {
        return Err(DISP_E_TYPEMISMATCH.into());
    }
    (first..=last)
        .map(|index| integer(&element(array, of, index)?))
        .collect()
}

/// Returns a copy of an element.
fn element(array: *const SAFEARRAY, of: VARENUM, index: i32) -> Result<VARIANT> {
    let copy = |to: *mut c_void| {
        // SAFETY: the index is within bounds, and there is room for an element of this type.
        unsafe { SafeArrayGetElement(array, &raw const index, to) }
    };
    match of {
        VT_VARIANT => {
            let mut element = VARIANT::default();
            copy((&raw mut element).cast())?;
            Ok(element)
        }
        VT_I1 | VT_I2 | VT_I4 | VT_I8 | VT_INT | VT_UI1 | VT_UI2 | VT_UI4 | VT_UI8 | VT_UINT => {
            let mut llVal = 0;
            copy((&raw mut llVal).cast())?;
            Ok(variant::new(of, Payload { llVal }))
        }
        _ => Err(DISP_E_TYPEMISMATCH.into()),
    }
}

/// Returns the ids in an array of JScript's: an object with a length and numbered members.
fn ids_of_object(object: &IDispatch) -> Result<Vec<i32>> {
    let length = script::get(object, "length").and_then(|length| integer(&length));
    let length = length.map_err(|_| DISP_E_TYPEMISMATCH)?;
    if !(0..MOST).contains(&length) {
        return Err(DISP_E_TYPEMISMATCH.into());
    }
    (0..length)
        .map(|index| integer(&script::get(object, &index.to_string())?))
        .collect()
}

/// Returns the elements of an array of variants.
pub(crate) fn elements(list: &VARIANT) -> Result<Vec<VARIANT>> {
    let Some(array) = array(list)? else {
        return Ok(Vec::new());
    };
    // SAFETY: it is an array.
    let last = unsafe { SafeArrayGetUBound(array, 1)? };
    (0..=last)
        .map(|index| element(array, VT_VARIANT, index))
        .collect()
}

/// Returns the values of properties as an array of variants, from 0.
///
/// # Errors
/// `E_OUTOFMEMORY`.
pub(crate) fn of_values(ids: &[i32], values: Vec<Value>) -> Result<VARIANT> {
    let results = new(VT_VARIANT, values.len())?;
    // SAFETY: it was just made, as an array.
    let array = unsafe { payload(&results).parray };
    for (index, (id, value)) in (0..).zip(ids.iter().zip(values)) {
        let value = of_value(*id, value)?;
        // SAFETY: the index is within bounds; the element becomes a copy of the variant.
        unsafe { SafeArrayPutElement(array, &raw const index, (&raw const value).cast())? };
    }
    Ok(results)
}

/// Returns bytes as an array of them.
///
/// # Errors
/// `E_OUTOFMEMORY`.
pub(crate) fn of_bytes(bytes: &[u8]) -> Result<VARIANT> {
    let variant = new(VT_UI1, bytes.len())?;
    // SAFETY: it was just made, as an array of as many bytes; nobody else has it.
    unsafe {
        let array = payload(&variant).parray;
        let mut start = null_mut();
        SafeArrayAccessData(array, &raw mut start)?;
        start
            .cast::<u8>()
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        SafeArrayUnaccessData(array)?;
    }
    Ok(variant)
}

/// Returns a new array, from 0, with nothing in it.
fn new(of: VARENUM, length: usize) -> Result<VARIANT> {
    let length = u32::try_from(length).map_err(|_| E_OUTOFMEMORY)?;
    // SAFETY: any type and length may be asked for; null is its refusal.
    let parray = unsafe { SafeArrayCreateVector(of, 0, length) };
    match parray.is_null() {
        true => Err(E_OUTOFMEMORY.into()),
        false => Ok(variant::new(VT_ARRAY | of, Payload { parray })),
    }
}
