//! Calls by name: every object's one `IDispatch`, over the type library in the DLL.
//!
//! The type library does the calls. What it would refuse, but scripts do send, is put right before: script
//! objects as callbacks, nothing in all its forms, variables for results, and none.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Mutex, PoisonError};

use windows::Win32::Foundation::{
    DISP_E_BADINDEX, DISP_E_MEMBERNOTFOUND, DISP_E_TYPEMISMATCH, DISP_E_UNKNOWNNAME, E_NOINTERFACE,
    E_POINTER,
};
use windows::Win32::System::Com::*;
use windows::Win32::System::Variant::*;
use windows_core::{Error, GUID, Interface, PCWSTR, Result};

use crate::variant::{self, Payload, of_object, payload, resolve, vt};
use crate::{array, callback, module, script};

/// What an object is called with by its user when no name is given.
const ITSELF: i32 = 0;

/// What a method takes at one place.
#[derive(Clone, Copy, PartialEq)]
enum Parameter {
    /// An interface.
    Object,
    Text,
    /// The address of a variable of this type.
    Out(VARENUM),
    /// A plain value, which the type library converts.
    Plain,
}

/// An interface as the type library describes it.
pub(crate) struct Face {
    info: ITypeInfo,
    methods: BTreeMap<i32, Vec<Parameter>>,
}

// SAFETY: the system's type descriptions may be used by all threads; ATL's classes keep them so, too.
unsafe impl Send for Face {}
// SAFETY: as above.
unsafe impl Sync for Face {}

/// The interfaces that were asked for, kept as long as the process.
static FACES: Mutex<Vec<(GUID, Arc<Face>)>> = Mutex::new(Vec::new());

/// Returns an interface.
///
/// # Errors
/// What reading the type library ends with.
pub(crate) fn face(iid: &GUID) -> Result<Arc<Face>> {
    let mut faces = FACES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, face)) = faces.iter().find(|(of, _)| of == iid) {
        return Ok(Arc::clone(face));
    }
    let face = Arc::new(Face::read(iid)?);
    faces.push((*iid, Arc::clone(&face)));
    Ok(face)
}

impl Face {
    fn read(iid: &GUID) -> Result<Self> {
        // SAFETY: the library has this interface.
        let info = unsafe { module::type_library()?.GetTypeInfoOfGuid(iid)? };
        let mut methods = BTreeMap::new();
        // The end is told by an error.
        for index in 0.. {
            // SAFETY: any index may be asked for; what is returned is released below.
            let Ok(method) = (unsafe { info.GetFuncDesc(index) }) else {
                break;
            };
            // SAFETY: the description is whole until its release.
            unsafe {
                methods.insert((*method).memid, parameters(&*method));
                info.ReleaseFuncDesc(method);
            }
        }
        Ok(Self { info, methods })
    }

    pub(crate) fn info(&self) -> ITypeInfo {
        self.info.clone()
    }

    fn ids(&self, names: *const PCWSTR, count: u32, ids: *mut i32) -> Result<()> {
        // SAFETY: as for `ids` below.
        unsafe { self.info.GetIDsOfNames(names, count, ids) }
    }
}

/// # Safety
/// The description is whole.
unsafe fn parameters(method: &FUNCDESC) -> Vec<Parameter> {
    let count = usize::try_from(method.cParams).unwrap_or(0);
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: it has as many parameters.
    let parameters = unsafe { std::slice::from_raw_parts(method.lprgelemdescParam, count) };
    parameters.iter().map(|of| parameter(&of.tdesc)).collect()
}

fn parameter(of: &TYPEDESC) -> Parameter {
    // SAFETY: a pointer's description has that of what it points to.
    let target = |of: &TYPEDESC| (of.vt == VT_PTR).then(|| unsafe { *of.Anonymous.lptdesc });
    match (of.vt, target(of)) {
        (VT_BSTR, _) => Parameter::Text,
        (_, None) => Parameter::Plain,
        (_, Some(target)) if target.vt == VT_USERDEFINED => Parameter::Object,
        (_, Some(target)) if target.vt == VT_PTR => Parameter::Out(VT_DISPATCH),
        (_, Some(target)) => Parameter::Out(target.vt),
    }
}

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
        match face(iid)?.ids(names, count, ids) {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What a method is called with, besides its number.
pub(crate) struct Call {
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
pub(crate) fn invoke(faces: &[(GUID, IDispatch)], id: i32, call: &Call) -> Result<()> {
    // SAFETY: by the contract of IDispatch, it is null or the caller's arguments.
    let params = unsafe { call.params.as_ref() }.ok_or(E_POINTER)?;
    if id == ITSELF && params.cArgs == 0 && call.flags.contains(DISPATCH_PROPERTYGET) {
        let itself = faces.first().map(|(_, object)| object.clone());
        return give(call.result, of_object(itself));
    }
    for (iid, object) in faces {
        let face = face(iid)?;
        if let Some(parameters) = face.methods.get(&id) {
            return call_method(&face, object.as_raw(), id, parameters, params, call);
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
    face: &Face,
    object: *mut c_void,
    id: i32,
    parameters: &[Parameter],
    params: &DISPPARAMS,
    call: &Call,
) -> Result<()> {
    let given = arguments(params)?;
    // Positions count from the end; those before them have names, and are left to the type library.
    let named = params.cNamedArgs as usize;
    let replaced = given.iter().enumerate().map(|(place, argument)| {
        let position = given.len() - 1 - place;
        match parameters.get(position) {
            Some(parameter) if place >= named => Replaced::of(*parameter, argument),
            _ => None,
        }
    });
    let mut replaced: Vec<_> = replaced.collect();
    let passed = given.iter().zip(&mut replaced);
    let mut passed: Vec<_> = passed
        .map(|(argument, replaced)| match replaced {
            Some(replaced) => replaced.passed(),
            None => lent(argument),
        })
        .collect();
    let mut params = DISPPARAMS {
        rgvarg: passed.as_mut_ptr().cast(),
        ..*params
    };
    // SAFETY: the object has this interface, and the arguments are variants until the call returns.
    unsafe {
        let (result, exception, argument) = (call.result, call.exception, call.argument);
        let called = face.info.Invoke(
            object,
            id,
            call.flags,
            &raw mut params,
            result,
            exception,
            argument,
        );
        called.map_err(of_arguments)?;
    }
    for (argument, replaced) in given.iter().zip(replaced) {
        if let Some(replaced) = replaced {
            replaced.give_back(argument)?;
        }
    }
    Ok(())
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
            Parameter::Object if is_nothing(argument) => Some(Self::By(of_object(None))),
            Parameter::Object => {
                let script = variant::object(argument).and_then(callback::adapted)?;
                Some(Self::By(of_object(Some(script))))
            }
            Parameter::Text if is_nothing(argument) => {
                Some(Self::By(variant::new(VT_BSTR, Payload::default())))
            }
            Parameter::Out(of) if vt(argument) != VT_BYREF | of => {
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
        if vt(argument) == VT_BYREF | VT_VARIANT {
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
    let argument = resolve(argument);
    match vt(argument) {
        VT_EMPTY | VT_NULL | VT_ERROR => true,
        VT_I2 | VT_I4 => variant::integer(argument).is_ok_and(|number| number == 0),
        _ => false,
    }
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
                $crate::guard::guarded(|| $crate::dispatch::info(&[$(<$face as windows_core::Interface>::IID),+], index))
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
                let faces = [$((<$face as Interface>::IID, $crate::dispatch::by_name(&self.to_interface::<$face>()))),+];
                let call = $crate::dispatch::Call { flags, params, result, exception, argument };
                $crate::guard::guarded(|| $crate::dispatch::invoke(&faces, id, &call))
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
        (0, [main, ..]) => Ok(face(main)?.info()),
        _ => Err(DISP_E_BADINDEX.into()),
    }
}
