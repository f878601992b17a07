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
use crate::variant::{self, Payload, integer, of_value, payload, resolve};

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
    if list.vt().0 & VT_ARRAY.0 == 0 {
        return Ok(None);
    }
    // SAFETY: by the type, it is an array, or with VT_BYREF the address of one.
    let array = unsafe {
        match list.vt().0 & VT_BYREF.0 {
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

/// Returns the elements of an array of variants; of anything else, itself, and of nothing, none.
pub(crate) fn elements(list: &VARIANT) -> Result<Vec<VARIANT>> {
    let Some(array) = array(list)? else {
        let one = (!list.is_empty()).then(|| list.clone());
        return Ok(one.into_iter().collect());
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

#[cfg(test)]
mod tests {
    use windows::Win32::System::Com::SAFEARRAYBOUND;
    use windows_core::BSTR;

    use super::*;
    use crate::variant::{of_integer, of_text};

    /// Returns an array of one dimension, from any index on, of values that lie one after the other.
    fn array_of<T>(of: VARENUM, first: i32, values: &[T]) -> VARIANT {
        let bound = SAFEARRAYBOUND {
            cElements: values.len() as u32,
            lLbound: first,
        };
        // SAFETY: one dimension, with its bound.
        let parray = unsafe { SafeArrayCreate(of, 1, &raw const bound) };
        for (index, value) in (first..).zip(values) {
            // SAFETY: the index is within bounds, and the value is of the array's type.
            unsafe { SafeArrayPutElement(parray, &raw const index, (&raw const *value).cast()) }
                .unwrap();
        }
        variant::new(VT_ARRAY | of, Payload { parray })
    }

    fn referring_to(variant: &mut VARIANT) -> VARIANT {
        let pvarVal = &raw mut *variant;
        variant::new(VT_BYREF | VT_VARIANT, Payload { pvarVal })
    }

    #[test]
    fn ids_come_in_every_form() {
        let mixed = [
            of_integer(3010),
            variant::new(VT_I2, Payload { iVal: 4010 }),
            variant::new(VT_R8, Payload { dblVal: 7.0 }),
        ];
        let mut variants = array_of(VT_VARIANT, 1, &mixed);
        assert_eq!(ids(&variants).unwrap(), [3010, 4010, 7]);
        assert_eq!(ids(&referring_to(&mut variants)).unwrap(), [3010, 4010, 7]);
        // SAFETY: it is an array.
        let mut parray = unsafe { payload(&variants).parray };
        let pparray = &raw mut parray;
        let by_address = variant::new(VT_BYREF | VT_ARRAY | VT_VARIANT, Payload { pparray });
        assert_eq!(ids(&by_address).unwrap(), [3010, 4010, 7]);
        assert_eq!(ids(&array_of(VT_I4, -2, &[1, 2])).unwrap(), [1, 2]);
        assert_eq!(ids(&array_of(VT_I2, 0, &[1_i16, 2])).unwrap(), [1, 2]);
        assert!(ids(&array_of::<i32>(VT_I4, 0, &[])).unwrap().is_empty());
        let mut number = of_integer(3);
        assert_eq!(ids(&number).unwrap(), [3]);
        assert_eq!(ids(&referring_to(&mut number)).unwrap(), [3]);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let text = array_of(VT_VARIANT, 0, &[of_text("3010")]);
        let texts = array_of(VT_BSTR, 0, &[0_usize; 0]);
        let bounds = [SAFEARRAYBOUND {
            cElements: 1,
            lLbound: 0,
        }; 2];
        // SAFETY: two dimensions, with their bounds.
        let parray = unsafe { SafeArrayCreate(VT_I4, 2, bounds.as_ptr()) };
        let square = variant::new(VT_ARRAY | VT_I4, Payload { parray });
        let none = variant::new(VT_ARRAY | VT_I4, Payload::default());
        let long = array_of(VT_UI1, 0, &[0_u8; 5000]);
        let large = of_value(0, Value::Int64(1 << 40)).unwrap();
        for wrong in [
            text,
            square,
            none,
            long,
            large,
            of_text("3010"),
            VARIANT::default(),
        ] {
            assert!(ids(&wrong).is_err(), "{:?}", wrong.vt());
        }
        assert!(ids(&texts).unwrap().is_empty());
    }

    #[test]
    fn results_have_the_types_of_their_properties() {
        let values = vec![
            Value::Integer(-1),
            Value::Text("ü".into()),
            Value::Bool(true),
            Value::Int64(1 << 40),
            Value::Handle(None),
            Value::Blob(vec![1, 2, 3]),
        ];
        let results = of_values(&[0; 6], values).unwrap();
        let elements = elements(&results).unwrap();
        let types: Vec<_> = elements.iter().map(VARIANT::vt).collect();
        let bytes = VT_ARRAY | VT_UI1;
        assert_eq!(types, [VT_I4, VT_BSTR, VT_BOOL, VT_I8, VT_DISPATCH, bytes]);
        assert_eq!(ids(&elements[5]).unwrap(), [1, 2, 3]);
        // SAFETY: the types are as they were just seen.
        unsafe {
            assert_eq!(*payload(&elements[1]).bstrVal, BSTR::from("ü"));
            assert_eq!(payload(&elements[2]).boolVal.0, -1);
            assert_eq!(payload(&elements[3]).llVal, 1 << 40);
        }
    }
}
