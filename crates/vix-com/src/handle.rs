//! Objects that stand for one of the object model's: what all of them answer.

use std::sync::atomic::{AtomicBool, Ordering};

use vix::Handle;
use vix::constants::*;
use windows::Win32::Foundation::VARIANT_BOOL;
use windows::Win32::System::Com::IDispatch;
use windows_core::{HRESULT, Result, implement};

use crate::array;
use crate::dispatch::by_name;
use crate::guard::{self, answer, error, refusal};
use crate::interfaces::{
    IHeld, IHeld_Impl, IVixHandle, IVixHandle_Impl, IVixHandle2, IVixHandle2_Impl,
};
use crate::interfaces::{IHost2, IJob, ISnapshot, IVM2};
use crate::process::{Use, library};
use crate::types::{In, InVariant, Out, Results};

/// One reference to an object of the object model. The number stays after the end, and is then nobody's.
pub(crate) struct Held {
    handle: Handle,
    is_closed: AtomicBool,
    _use: Use,
}

impl Held {
    /// Takes over a reference.
    pub(crate) fn new(handle: Handle) -> Self {
        Self {
            handle,
            is_closed: AtomicBool::new(false),
            _use: Use::new(),
        }
    }

    /// Counts one more reference.
    pub(crate) fn shared(handle: Handle) -> Self {
        library().add_ref(handle);
        Self::new(handle)
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    /// Gives the reference back, once.
    fn close(&self) {
        if !self.is_closed.swap(true, Ordering::AcqRel) {
            library().release(self.handle);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.close();
    }
}

/// Returns the object of a handle, and takes over a reference.
pub(crate) fn object(handle: Handle) -> IDispatch {
    let held = Held::new(handle);
    match library().handle_type(handle) {
        VIX_HANDLETYPE_HOST => by_name(&IHost2::from(Host::new(held))),
        VIX_HANDLETYPE_VM => by_name(&IVM2::from(Vm::new(held))),
        VIX_HANDLETYPE_JOB => by_name(&IJob::from(Job::new(held))),
        VIX_HANDLETYPE_SNAPSHOT => by_name(&ISnapshot::from(Snapshot::new(held))),
        _ => by_name(&IVixHandle2::from(List::new(held))),
    }
}

/// Stores the values that `read` returns for a list of ids.
pub(crate) fn read(
    ids: &InVariant,
    results: Results,
    out: Out<u64>,
    read: impl FnOnce(&[i32]) -> vix::Result<Vec<vix::Value>>,
) -> HRESULT {
    error(out, || {
        let results = results.emptied()?;
        let ids = array::ids(ids.get())?;
        match read(&ids) {
            Ok(values) => results.set(array::of_values(&ids, values)?),
            Err(fault) => return Ok(Err(fault)),
        }
        Ok(Ok(()))
    })
}

/// Does what all objects answer, for one with these interfaces; the methods of the first are elsewhere.
macro_rules! class {
    ($name:ident, $outer:ident: $($face:ident),+) => {
        impl $name {
            pub(crate) fn new(held: Held) -> Self {
                Self(held)
            }

            pub(crate) fn handle(&self) -> Handle {
                self.0.handle()
            }
        }

        $crate::dispatch::dispatched!($outer: $($face),+);

        impl IHeld_Impl for $outer {
            unsafe fn Number(&self) -> i32 {
                self.handle()
            }
        }

        impl IVixHandle_Impl for $outer {
            unsafe fn GetHandleType(&self, handle_type: Out<i32>) -> HRESULT {
                answer(handle_type, || type_of(self.handle()))
            }

            unsafe fn GetProperties(&self, ids: InVariant, results: Results, error: Out<u64>) -> HRESULT {
                read(&ids, results, error, |ids| library().read(self.handle(), ids))
            }

            unsafe fn GetPropertyType(
                &self,
                property_id: i32,
                property_type: Out<i32>,
                error: Out<u64>,
            ) -> HRESULT {
                guard::store(property_type, error, || {
                    Ok(library().property_type(self.handle(), property_id)?.number())
                })
            }

            unsafe fn Equals(&self, handle: In<IVixHandle>, is_equal: Out<VARIANT_BOOL>) -> HRESULT {
                answer(is_equal, || {
                    type_of(self.handle())?;
                    Ok((handle.number()? == self.handle()).into())
                })
            }
        }

        impl IVixHandle2_Impl for $outer {
            unsafe fn Close(&self) -> HRESULT {
                guard::done(|| {
                    self.0.close();
                    Ok(())
                })
            }
        }
    };
}

/// Returns the type of a handle that has one.
fn type_of(handle: Handle) -> Result<i32> {
    match library().handle_type(handle) {
        VIX_HANDLETYPE_NONE => Err(refusal(VIX_E_INVALID_HANDLE.into())),
        handle_type => Ok(handle_type),
    }
}

/// A host.
#[implement(IHost2, IVixHandle2, IHeld)]
pub(crate) struct Host(Held);

class!(Host, Host_Impl: IHost2, IVixHandle2);

/// A VM.
#[implement(IVM2, IVixHandle2, IHeld)]
pub(crate) struct Vm(Held);

class!(Vm, Vm_Impl: IVM2, IVixHandle2);

/// A snapshot.
#[implement(ISnapshot, IVixHandle2, IHeld)]
pub(crate) struct Snapshot(Held);

class!(Snapshot, Snapshot_Impl: ISnapshot, IVixHandle2);

/// A job.
#[implement(IJob, IVixHandle2, IHeld)]
pub(crate) struct Job(Held);

class!(Job, Job_Impl: IJob, IVixHandle2);

/// A property list, such as what an event tells.
#[implement(IVixHandle2, IHeld)]
pub(crate) struct List(Held);

class!(List, List_Impl: IVixHandle2);
