//! What COM asks of the DLL: its classes, whether it may go, and its registration.

use std::ffi::c_void;

use windows::Win32::Foundation::{
    CLASS_E_CLASSNOTAVAILABLE, CLASS_E_NOAGGREGATION, E_POINTER, S_FALSE, S_OK,
};
use windows::Win32::System::Com::{IClassFactory, IClassFactory_Impl};
use windows_core::{BOOL, GUID, HRESULT, IUnknown, Interface, Ref, Result, implement};

use crate::guard::{done, guarded};
use crate::interfaces::IVixLib;
use crate::library::VixLib;
use crate::names::Names;
use crate::process::{Use, count, is_unused};
use crate::registry;

/// `VixCOM.VixLib`.
pub(crate) const VIX_LIB: GUID = GUID::from_u128(0x6874e949_7186_4308_a1b9_d55a91f60728);

/// `VixCOM`.
pub(crate) const VIX_NAMES: GUID = GUID::from_u128(0x6e1f3c0b_4b0b_4b57_9c55_6b7a0e7c2d51);

/// A class of ours.
#[implement(IClassFactory)]
struct Class {
    new: fn() -> IUnknown,
    _use: Use,
}

impl Class {
    fn find(class: &GUID) -> Result<Self> {
        let new: fn() -> IUnknown = match *class {
            VIX_LIB => || IVixLib::from(VixLib::new()).into(),
            VIX_NAMES => || Names::library().into(),
            _ => return Err(CLASS_E_CLASSNOTAVAILABLE.into()),
        };
        Ok(Self {
            new,
            _use: Use::new(),
        })
    }
}

impl IClassFactory_Impl for Class_Impl {
    fn CreateInstance(
        &self,
        outer: Ref<'_, IUnknown>,
        iid: *const GUID,
        object: *mut *mut c_void,
    ) -> Result<()> {
        guarded(|| {
            if object.is_null() {
                return Err(E_POINTER.into());
            }
            if !outer.is_null() {
                return Err(CLASS_E_NOAGGREGATION.into());
            }
            // SAFETY: by the contract of COM, there is an IID, and room for an interface.
            unsafe { (self.new)().query(iid, object) }.ok()
        })
    }

    fn LockServer(&self, more: BOOL) -> Result<()> {
        count(more.as_bool());
        Ok(())
    }
}

/// Returns the factory of a class.
///
/// # Safety
/// As COM calls it: the class and the interface are there, and so is room for the answer, unless null.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn DllGetClassObject(
    class: *const GUID,
    iid: *const GUID,
    object: *mut *mut c_void,
) -> HRESULT {
    done(|| {
        // SAFETY: by the contract.
        let (class, object) = unsafe { (class.as_ref(), object.as_mut()) };
        let (Some(class), Some(object)) = (class, object) else {
            return Err(E_POINTER.into());
        };
        *object = std::ptr::null_mut();
        let factory: IClassFactory = Class::find(class)?.into();
        // SAFETY: by the contract.
        unsafe { factory.query(iid, object) }.ok()
    })
}

/// Tells whether nothing of the DLL is in use.
#[unsafe(no_mangle)]
pub extern "system" fn DllCanUnloadNow() -> HRESULT {
    match guarded(|| Ok(is_unused())) {
        Ok(true) => S_OK,
        _ => S_FALSE,
    }
}

/// Makes the classes and the type library known.
#[unsafe(no_mangle)]
pub extern "system" fn DllRegisterServer() -> HRESULT {
    done(registry::register)
}

/// Takes back what [`DllRegisterServer`] did.
#[unsafe(no_mangle)]
pub extern "system" fn DllUnregisterServer() -> HRESULT {
    done(registry::unregister)
}
