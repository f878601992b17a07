//! Variants: numbers and objects out of them, and the object model's values into them.

use std::mem::ManuallyDrop;

use vix::Value;
use windows::Win32::Foundation::{DISP_E_TYPEMISMATCH, VARIANT_BOOL};
use windows::Win32::System::Com::IDispatch;
use windows::Win32::System::Variant::*;
use windows_core::{BSTR, Interface, Result};

use crate::{array, handle, path};

/// What a variant holds, beside its type.
pub(crate) type Payload = VARIANT_0_0_0;

/// Returns a variant of this type. The payload must be one of it, and be the variant's own.
pub(crate) fn new(vt: VARENUM, payload: Payload) -> VARIANT {
    let mut variant = VARIANT::default();
    variant.Anonymous.Anonymous = ManuallyDrop::new(VARIANT_0_0 {
        vt,
        Anonymous: payload,
        ..Default::default()
    });
    variant
}

/// Returns the payload; which of its fields there is, the type tells.
pub(crate) fn payload(variant: &VARIANT) -> &Payload {
    // SAFETY: every variant but a decimal's has this form, and that one overlaps it by plain bytes.
    unsafe { &variant.Anonymous.Anonymous.Anonymous }
}

/// Returns the variant that one stands for: itself, or what it refers to.
pub(crate) fn resolve(variant: &VARIANT) -> &VARIANT {
    match variant.vt() == VT_BYREF | VT_VARIANT {
        // SAFETY: by the type, it is the address of a variant, or null.
        true => unsafe { payload(variant).pvarVal.as_ref() }.unwrap_or(variant),
        false => variant,
    }
}

/// Returns the object in a variant.
pub(crate) fn object(variant: &VARIANT) -> Option<IDispatch> {
    let (variant, held) = (resolve(variant), payload(resolve(variant)));
    // SAFETY: each field is read where the type tells that it is there; an address may be null.
    unsafe {
        match variant.vt() {
            VT_DISPATCH => (*held.pdispVal).clone(),
            VT_UNKNOWN => (*held.punkVal).as_ref().and_then(|it| it.cast().ok()),
            it if it == VT_BYREF | VT_DISPATCH => held.ppdispVal.as_ref().cloned().flatten(),
            _ => None,
        }
    }
}

/// Returns the number in a variant: an integer of any size, or a float without fraction.
///
/// # Errors
/// `DISP_E_TYPEMISMATCH`; `DISP_E_OVERFLOW` for a number that is too large.
pub(crate) fn integer(variant: &VARIANT) -> Result<i32> {
    let variant = resolve(variant);
    let (VT_I1 | VT_I2 | VT_I4 | VT_I8 | VT_INT | VT_UI1 | VT_UI2 | VT_UI4 | VT_UI8 | VT_UINT
    | VT_R4 | VT_R8) = VARENUM(variant.vt().0 & !VT_BYREF.0)
    else {
        return Err(DISP_E_TYPEMISMATCH.into());
    };
    let mut number = VARIANT::default();
    // SAFETY: both are variants.
    unsafe { VariantChangeType(&raw mut number, variant, VAR_CHANGE_FLAGS(0), VT_I4)? };
    // SAFETY: it was just made a 32-bit integer.
    Ok(unsafe { payload(&number).lVal })
}

/// Returns a variant with an object, or with none.
pub(crate) fn of_object(object: Option<IDispatch>) -> VARIANT {
    let pdispVal = ManuallyDrop::new(object);
    new(VT_DISPATCH, Payload { pdispVal })
}

/// Returns a variant with a 32-bit integer.
pub(crate) fn of_integer(number: i32) -> VARIANT {
    new(VT_I4, Payload { lVal: number })
}

/// Returns a variant with a text.
pub(crate) fn of_text(text: &str) -> VARIANT {
    let bstrVal = ManuallyDrop::new(BSTR::from(text));
    new(VT_BSTR, Payload { bstrVal })
}

/// Returns the value of a property as clients see it.
///
/// # Errors
/// `E_OUTOFMEMORY`.
pub(crate) fn of_value(id: i32, value: Value) -> Result<VARIANT> {
    Ok(match value {
        Value::Integer(number) => of_integer(number),
        Value::Text(text) => of_text(&path::property(id, text)),
        Value::Bool(flag) => new(
            VT_BOOL,
            Payload {
                boolVal: VARIANT_BOOL::from(flag),
            },
        ),
        Value::Int64(number) => new(VT_I8, Payload { llVal: number }),
        Value::Handle(object) => of_object(object.map(|object| handle::object(object.give()))),
        Value::Blob(bytes) => array::of_bytes(&bytes)?,
    })
}
