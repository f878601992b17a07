//! Clients' callbacks: whatever form they have, called in the apartment that they came from.
//!
//! ```text
//! client's object <- Adapter, if it is a script's <- Listener, in the client's apartment
//!     <- global interface table <- vix::Callback, on the thread of the job
//! ```

use std::cell::RefCell;

use vix::constants::{VIX_EVENTTYPE_JOB_COMPLETED, VIX_INVALID_HANDLE};
use vix::{Callback, Handle};
use windows::Win32::Foundation::{DISP_E_BADPARAMCOUNT, E_NOTIMPL};
use windows::Win32::System::Com::*;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{GUID, HRESULT, Interface, PCWSTR, Result, implement};

use crate::guard::{done, guarded};
use crate::handle::{Held, Job, List};
use crate::interfaces::{ICallback, ICallback_Impl, IHeld, IJob, IVixHandle, IVixHandle2};
use crate::process::Use;
use crate::types::In;
use crate::variant::{integer, of_integer, of_object};
use crate::{dispatch, script};

/// The name that a script's object has the procedure under; without it, the object itself is called.
const NAME: &str = "OnVixEvent";

/// The number of the default member of a script's object.
const ITSELF: i32 = 0;

/// The system's global interface table.
const GLOBAL_INTERFACE_TABLE: GUID = GUID::from_u128(0x00000323_0000_0000_c000_000000000046);

/// Returns a client's callback for the object model to call, on any thread.
///
/// # Errors
/// What COM says when it cannot be reached from other threads.
pub(crate) fn of(client: In<ICallback>) -> Result<Option<Callback>> {
    let Some(client) = client.get() else {
        return Ok(None);
    };
    let cookie = Cookie::new(Listener {
        client: RefCell::new(Some(client)),
        _use: Use::new(),
    })?;
    Ok(Some(Box::new(move |job, event, info| {
        // A client that is gone, or its apartment, is told nothing.
        let _ = cookie.tell(job, event, info);
    })))
}

/// Returns a script's object as a callback, `None` for what can be one itself, or is ours.
pub(crate) fn adapted(object: IDispatch) -> Option<IDispatch> {
    if object.cast::<ICallback>().is_ok() || object.cast::<IHeld>().is_ok() {
        return None;
    }
    Some(dispatch::by_name(&ICallback::from(Adapter(object))))
}

/// A script's object, called by name.
#[implement(ICallback, Agile = false)]
struct Adapter(IDispatch);

dispatch::dispatched!(Adapter_Impl: ICallback);

impl ICallback_Impl for Adapter_Impl {
    unsafe fn OnVixEvent(&self, job: In<IJob>, event_type: i32, info: In<IVixHandle>) -> HRESULT {
        done(|| {
            let info = info.get().map(|info| dispatch::by_name(&info));
            let job = job.get().map(|job| dispatch::by_name(&job));
            let mut arguments = [of_object(info), of_integer(event_type), of_object(job)];
            let id = script::id(&self.0, NAME).unwrap_or(ITSELF);
            script::call(&self.0, id, &mut arguments)
        })
    }
}

/// A client's callback in the client's apartment. It is called by numbers, so that nothing but plain
/// `IDispatch` has to cross from one apartment to another.
#[implement(IDispatch, Agile = false)]
struct Listener {
    /// Until it was told of the job's end, which is the last event.
    client: RefCell<Option<ICallback>>,
    _use: Use,
}

impl Listener {
    fn tell(&self, job: Handle, event: i32, info: Handle) -> Result<()> {
        let client = match event {
            VIX_EVENTTYPE_JOB_COMPLETED => self.client.take(),
            _ => self.client.borrow().clone(),
        };
        let Some(client) = client else {
            return Ok(());
        };
        vix::in_callback(job, || {
            let info = (info != VIX_INVALID_HANDLE).then(|| List::new(Held::shared(info)));
            let info = info.map(IVixHandle2::from);
            let shared = IJob::from(Job::new(Held::shared(job)));
            let (shared, info) = (In::lend(Some(&shared)), In::lend(info.as_deref()));
            // SAFETY: what is lent lives as long as the call.
            unsafe { client.OnVixEvent(shared, event, info) }.ok()
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It was told of no end: its apartment is gone, and this is another one.
        std::mem::forget(self.client.take());
    }
}

impl IDispatch_Impl for Listener_Impl {
    fn GetTypeInfoCount(&self) -> Result<u32> {
        Ok(0)
    }

    fn GetTypeInfo(&self, _index: u32, _locale: u32) -> Result<ITypeInfo> {
        Err(E_NOTIMPL.into())
    }

    fn GetIDsOfNames(
        &self,
        _reserved: *const GUID,
        _names: *const PCWSTR,
        _count: u32,
        _locale: u32,
        _ids: *mut i32,
    ) -> Result<()> {
        Err(E_NOTIMPL.into())
    }

    fn Invoke(
        &self,
        _id: i32,
        _reserved: *const GUID,
        _locale: u32,
        _flags: DISPATCH_FLAGS,
        params: *const DISPPARAMS,
        _result: *mut VARIANT,
        _exception: *mut EXCEPINFO,
        _argument: *mut u32,
    ) -> Result<()> {
        guarded(|| match dispatch::arguments(params)? {
            [info, event, job] => self.tell(integer(job)?, integer(event)?, integer(info)?),
            _ => Err(DISP_E_BADPARAMCOUNT.into()),
        })
    }
}

/// A listener's number in the global interface table.
struct Cookie(u32);

impl Cookie {
    fn new(listener: Listener) -> Result<Self> {
        let listener: IDispatch = listener.into();
        // SAFETY: the object has this interface.
        unsafe { table()?.RegisterInterfaceInGlobal(&listener, &IDispatch::IID) }.map(Self)
    }

    fn tell(&self, job: Handle, event: i32, info: Handle) -> Result<()> {
        let _apartment = Apartment::enter();
        let mut listener = None::<IDispatch>;
        // SAFETY: there is room for a pointer to this interface.
        unsafe {
            let out = (&raw mut listener).cast();
            table()?.GetInterfaceFromGlobal(self.0, &IDispatch::IID, out)?;
        }
        let mut arguments = [info, event, job].map(of_integer);
        listener.map_or(Ok(()), |listener| {
            script::call(&listener, ITSELF, &mut arguments)
        })
    }
}

impl Drop for Cookie {
    fn drop(&mut self) {
        let _apartment = Apartment::enter();
        // SAFETY: the number is ours. Where it fails, a few bytes stay.
        let _ = table().and_then(|table| unsafe { table.RevokeInterfaceFromGlobal(self.0) });
    }
}

fn table() -> Result<IGlobalInterfaceTable> {
    // SAFETY: the system has this class.
    unsafe { CoCreateInstance(&GLOBAL_INTERFACE_TABLE, None, CLSCTX_INPROC_SERVER) }
}

/// The use of COM by a thread of ours.
struct Apartment(HRESULT);

impl Apartment {
    /// Enters the multithreaded apartment; a client's thread stays in its own.
    fn enter() -> Self {
        // SAFETY: undone by drop, on the same thread.
        Self(unsafe { CoInitializeEx(None, COINIT_MULTITHREADED) })
    }
}

impl Drop for Apartment {
    fn drop(&mut self) {
        if self.0.is_ok() {
            // SAFETY: it was entered.
            unsafe { CoUninitialize() };
        }
    }
}
