//! `VixCOM.Constants.X` for scripts that have no type library at hand: `CreateObject("VixCOM")` has a property
//! `Constants`, and that has the numbers by name.

use vix::constants::{ALL, Row};
use windows::Win32::Foundation::{
    DISP_E_BADINDEX, DISP_E_MEMBERNOTFOUND, DISP_E_UNKNOWNNAME, E_POINTER,
};
use windows::Win32::System::Com::*;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{GUID, PCWSTR, Result, implement};

use crate::dispatch::give;
use crate::guard::guarded;
use crate::process::Use;
use crate::variant::{of_integer, of_object};

/// What answers the names.
#[implement(IDispatch)]
pub(crate) struct Names {
    what: What,
    _use: Use,
}

#[derive(Clone, Copy)]
enum What {
    /// The object that clients create.
    Library,
    /// The constants.
    Constants,
}

impl Names {
    /// Returns the object that clients create.
    pub(crate) fn library() -> Self {
        Self::new(What::Library)
    }

    fn new(what: What) -> Self {
        Self {
            what,
            _use: Use::new(),
        }
    }

    /// Returns the number of a name, from 1.
    fn id(&self, name: &str) -> Option<i32> {
        let place = match self.what {
            What::Library => name.eq_ignore_ascii_case("Constants").then_some(0),
            What::Constants => rows().position(|row| row.name.eq_ignore_ascii_case(name)),
        };
        i32::try_from(place?).ok()?.checked_add(1)
    }

    fn value(&self, id: i32) -> Option<VARIANT> {
        let place = usize::try_from(id).ok()?.checked_sub(1)?;
        match self.what {
            What::Library if place == 0 => Some(of_object(Some(Self::new(What::Constants).into()))),
            What::Library => None,
            // An HRESULT is a LONG to COM.
            What::Constants => rows().nth(place).map(|row| of_integer(row.value as i32)),
        }
    }
}

/// The constants that COM has.
fn rows() -> impl Iterator<Item = &'static Row> {
    ALL.iter().filter(|row| row.in_com)
}

impl IDispatch_Impl for Names_Impl {
    fn GetTypeInfoCount(&self) -> Result<u32> {
        Ok(0)
    }

    fn GetTypeInfo(&self, _index: u32, _locale: u32) -> Result<ITypeInfo> {
        Err(DISP_E_BADINDEX.into())
    }

    fn GetIDsOfNames(
        &self,
        _reserved: *const GUID,
        names: *const PCWSTR,
        count: u32,
        _locale: u32,
        ids: *mut i32,
    ) -> Result<()> {
        guarded(|| {
            if names.is_null() || ids.is_null() {
                return Err(E_POINTER.into());
            }
            if count != 1 {
                return Err(DISP_E_UNKNOWNNAME.into());
            }
            // SAFETY: by the contract of IDispatch, there are one name and room for its number.
            unsafe {
                let name = (*names).to_string().unwrap_or_default();
                *ids = self.id(&name).ok_or(DISP_E_UNKNOWNNAME)?;
            }
            Ok(())
        })
    }

    fn Invoke(
        &self,
        id: i32,
        _reserved: *const GUID,
        _locale: u32,
        flags: DISPATCH_FLAGS,
        _params: *const DISPPARAMS,
        result: *mut VARIANT,
        _exception: *mut EXCEPINFO,
        _argument: *mut u32,
    ) -> Result<()> {
        guarded(|| {
            let value = flags.contains(DISPATCH_PROPERTYGET).then(|| self.value(id));
            give(result, value.flatten().ok_or(DISP_E_MEMBERNOTFOUND)?)
        })
    }
}
