//! Interfaces as the type library in the DLL describes them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use windows::Win32::System::Com::*;
use windows::Win32::System::Variant::*;
use windows_core::{GUID, Result};

use crate::module;

/// What a method takes at one place.
#[derive(Clone, Copy)]
pub(crate) enum Parameter {
    /// An interface.
    Object,
    /// A text.
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

/// Returns an interface of the type library.
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

    /// Returns the description that the system keeps.
    pub(crate) fn info(&self) -> &ITypeInfo {
        &self.info
    }

    /// Returns what a method takes; `None` where there is no such method.
    pub(crate) fn parameters(&self, method: i32) -> Option<&[Parameter]> {
        self.methods.get(&method).map(Vec::as_slice)
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
