//! Calls by name: every object's one `IDispatch`, over the type library in the DLL.
//!
//! The type library does the calls. What it would refuse, but scripts do send, is put right before: script
//! objects as callbacks, nothing in all its forms, variables for results, and none.

use std::mem::ManuallyDrop;

use windows::Win32::Foundation::{
    DISP_E_BADINDEX, DISP_E_MEMBERNOTFOUND, DISP_E_TYPEMISMATCH, DISP_E_UNKNOWNNAME, E_NOINTERFACE,
    E_POINTER,
};
use windows::Win32::System::Com::*;
use windows::Win32::System::Variant::*;
use windows_core::{Error, GUID, Interface, PCWSTR, Result};

use crate::face::{Parameter, face};
use crate::variant::{self, Payload, of_object, payload, resolve};
use crate::{array, callback, script};

/// What an object is called with by its user when no name is given.
const ITSELF: i32 = 0;

/// Stores the numbers of names, as the first of the faces has them that knows them.
///
/// # Errors
/// `DISP_E_UNKNOWNNAME`.
pub(crate) fn ids(faces: &[GUID], names: *const PCWSTR, count: u32, ids: *mut i32) -> Result<()> {
    if names.is_null() || ids.is_null() {
        return Err(E_POINTER.into());
    }
    let mut last = DISP_E_UNKNOWNNAME.into();
    for iid in faces {
        // SAFETY: by the contract of IDispatch, there are as many names, and room for their numbers.
        match unsafe { face(iid)?.info().GetIDsOfNames(names, count, ids) } {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A call of a method.
pub(crate) struct Call {
    pub(crate) id: i32,
    pub(crate) flags: DISPATCH_FLAGS,
    pub(crate) params: *const DISPPARAMS,
    pub(crate) result: *mut VARIANT,
    pub(crate) exception: *mut EXCEPINFO,
    pub(crate) argument: *mut u32,
}

/// Calls a method of one of an object's faces.
///
/// # Errors
/// Those of `IDispatch::Invoke`.
pub(crate) fn invoke(faces: &[(GUID, IDispatch)], call: &Call) -> Result<()> {
    let given = arguments(call.params)?;
    if call.id == ITSELF && given.is_empty() && call.flags.contains(DISPATCH_PROPERTYGET) {
        let itself = faces.first().map(|(_, object)| object.clone());
        return give(call.result, of_object(itself));
    }
    for (iid, object) in faces {
        let face = face(iid)?;
        if let Some(parameters) = face.parameters(call.id) {
            return call_method(face.info(), object, parameters, given, call);
        }
    }
    Err(DISP_E_MEMBERNOTFOUND.into())
}

/// Stores a result where one is wanted.
pub(crate) fn give(result: *mut VARIANT, value: VARIANT) -> Result<()> {
    if !result.is_null() {
        // SAFETY: by the contract of IDispatch, it is a variable without a value.
        unsafe { result.write(value) };
    }
    Ok(())
}

fn call_method(
    info: &ITypeInfo,
    object: &IDispatch,
    parameters: &[Parameter],
    given: &[VARIANT],
    call: &Call,
) -> Result<()> {
    // SAFETY: by the contract of IDispatch, the arguments are there.
    let mut params = unsafe { *call.params };
    let mut replaced = replacements(parameters, given, params.cNamedArgs as usize);
    let pairs = given.iter().zip(&mut replaced);
    let passed = pairs.map(|(argument, replaced)| match replaced {
        Some(replaced) => replaced.passed(),
        None => lent(argument),
    });
    let mut passed: Vec<_> = passed.collect();
    params.rgvarg = passed.as_mut_ptr().cast();
    let (object, params) = (object.as_raw(), &raw mut params);
    let (result, exception, argument) = (call.result, call.exception, call.argument);
    // SAFETY: the object has this interface, and the arguments are variants until the call returns.
    let called = unsafe {
        info.Invoke(
            object, call.id, call.flags, params, result, exception, argument,
        )
    };
    called.map_err(of_arguments)?;
    for (argument, replaced) in given.iter().zip(replaced) {
        if let Some(replaced) = replaced {
            replaced.give_back(argument)?;
        }
    }
    Ok(())
}

/// Returns what is passed instead of arguments. Those with names, which come first, are left to the type
/// library; the others count from the end.
fn replacements(
    parameters: &[Parameter],
    given: &[VARIANT],
    named: usize,
) -> Vec<Option<Replaced>> {
    let replacement = |(place, argument)| match parameters.get(given.len() - 1 - place) {
        Some(parameter) if place >= named => Replaced::of(*parameter, argument),
        _ => None,
    };
    given.iter().enumerate().map(replacement).collect()
}

/// Returns the error for arguments that cannot be coerced: Wine's type library says of an object of another
/// kind only that it lacks an interface, which no method of ours says.
fn of_arguments(error: Error) -> Error {
    match error.code() {
        E_NOINTERFACE => DISP_E_TYPEMISMATCH.into(),
        _ => error,
    }
}

/// Returns the arguments of a call, the last one first.
///
/// # Errors
/// `E_POINTER` for null.
pub(crate) fn arguments<'a>(params: *const DISPPARAMS) -> Result<&'a [VARIANT]> {
    // SAFETY: by the contract of IDispatch, it is null or the caller's arguments, as many as they say,
    // and they are there until the call returns.
    unsafe {
        let params = params.as_ref().ok_or(E_POINTER)?;
        Ok(match params.cArgs {
            0 => &[],
            count => std::slice::from_raw_parts(params.rgvarg, count as usize),
        })
    }
}

/// Returns a variant's bytes, whose content stays the variant's.
fn lent(variant: &VARIANT) -> ManuallyDrop<VARIANT> {
    // SAFETY: a variant is plain bytes; this one drops nothing.
    unsafe { std::mem::transmute_copy(variant) }
}

/// What is passed instead of an argument.
enum Replaced {
    /// Another value.
    By(VARIANT),
    /// A variable of ours, which has what the method stores.
    Variable(Box<VARIANT>, VARENUM),
}

impl Replaced {
    /// Returns what to pass instead, `None` to pass the argument itself.
    fn of(parameter: Parameter, argument: &VARIANT) -> Option<Self> {
        match parameter {
            Parameter::Object if is_nothing(argument) || is_zero(argument) => {
                Some(Self::By(of_object(None)))
            }
            Parameter::Object => {
                let script = variant::object(argument).and_then(callback::adapted)?;
                Some(Self::By(of_object(Some(script))))
            }
            Parameter::Text if is_nothing(argument) => {
                Some(Self::By(variant::new(VT_BSTR, Payload::default())))
            }
            Parameter::Out(of) if argument.vt() != VT_BYREF | of => {
                let variable = match of {
                    VT_VARIANT => VARIANT::default(),
                    of => variant::new(of, Payload::default()),
                };
                Some(Self::Variable(Box::new(variable), of))
            }
            _ => None,
        }
    }

    fn passed(&mut self) -> ManuallyDrop<VARIANT> {
        match self {
            Self::By(value) => lent(value),
            Self::Variable(variable, of) => {
                let address = match *of {
                    VT_VARIANT => (&raw mut **variable).cast(),
                    // SAFETY: the payload is where a variant has it.
                    _ => unsafe { (&raw mut (*variable.Anonymous.Anonymous).Anonymous).cast() },
                };
                ManuallyDrop::new(variant::new(VT_BYREF | *of, Payload { byref: address }))
            }
        }
    }

    /// Stores what a variable of ours got, where the caller gave a variant, or an array object of a
    /// script's. By value, there is nowhere to store it.
    fn give_back(self, argument: &VARIANT) -> Result<()> {
        let Self::Variable(variable, _) = self else {
            return Ok(());
        };
        if argument.vt() == VT_BYREF | VT_VARIANT {
            // SAFETY: by the type, it is the address of a variant of the caller's, for us to replace.
            if let Some(target) = unsafe { payload(argument).pvarVal.as_mut() } {
                *target = *variable;
            }
        } else if let Some(object) = variant::object(argument) {
            for (index, element) in array::elements(&variable)?.into_iter().enumerate() {
                script::put(&object, &index.to_string(), element)?;
            }
        }
        Ok(())
    }
}

/// Tells whether a script means no object, or no text.
fn is_nothing(argument: &VARIANT) -> bool {
    matches!(resolve(argument).vt(), VT_EMPTY | VT_NULL | VT_ERROR)
}

fn is_zero(argument: &VARIANT) -> bool {
    variant::integer(argument).is_ok_and(|number| number == 0)
}

/// Returns an interface as what it is derived from.
pub(crate) fn by_name(face: &IDispatch) -> IDispatch {
    face.clone()
}

/// Implements `IDispatch` for an object with these interfaces, the main one first.
macro_rules! dispatched {
    ($outer:ident: $($face:ident),+) => {
        impl windows::Win32::System::Com::IDispatch_Impl for $outer {
            fn GetTypeInfoCount(&self) -> windows_core::Result<u32> {
                Ok(1)
            }

            fn GetTypeInfo(
                &self,
                index: u32,
                _locale: u32,
            ) -> windows_core::Result<windows::Win32::System::Com::ITypeInfo> {
                let faces = [$(<$face as windows_core::Interface>::IID),+];
                $crate::guard::guarded(|| $crate::dispatch::info(&faces, index))
            }

            fn GetIDsOfNames(
                &self,
                _reserved: *const windows_core::GUID,
                names: *const windows_core::PCWSTR,
                count: u32,
                _locale: u32,
                ids: *mut i32,
            ) -> windows_core::Result<()> {
                let faces = [$(<$face as windows_core::Interface>::IID),+];
                $crate::guard::guarded(|| $crate::dispatch::ids(&faces, names, count, ids))
            }

            fn Invoke(
                &self,
                id: i32,
                _reserved: *const windows_core::GUID,
                _locale: u32,
                flags: windows::Win32::System::Com::DISPATCH_FLAGS,
                params: *const windows::Win32::System::Com::DISPPARAMS,
                result: *mut windows::Win32::System::Variant::VARIANT,
                exception: *mut windows::Win32::System::Com::EXCEPINFO,
                argument: *mut u32,
            ) -> windows_core::Result<()> {
                use windows_core::{IUnknownImpl, Interface};
                let faces = [$({
                    let face = self.to_interface::<$face>();
                    (<$face as Interface>::IID, $crate::dispatch::by_name(&face))
                }),+];
                let call =
                    $crate::dispatch::Call { id, flags, params, result, exception, argument };
                $crate::guard::guarded(|| $crate::dispatch::invoke(&faces, &call))
            }
        }
    };
}
pub(crate) use dispatched;

/// Returns the description of an object's main interface.
///
/// # Errors
/// `DISP_E_BADINDEX` for any other.
pub(crate) fn info(faces: &[GUID], index: u32) -> Result<ITypeInfo> {
    match (index, faces) {
        (0, [main, ..]) => Ok(face(main)?.info().clone()),
        _ => Err(DISP_E_BADINDEX.into()),
    }
}
