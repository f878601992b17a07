//! Hosts: the inventory, finding and opening VMs.

use vix::constants::{VIX_INVALID_HANDLE, VIX_VMOPEN_NORMAL};
use windows_core::HRESULT;

use crate::guard::{done, job, order};
use crate::handle::Host_Impl;
use crate::interfaces::{ICallback, IHost_Impl, IHost2_Impl, IJob, IVixHandle};
use crate::path::to_host;
use crate::process::library;
use crate::types::{In, InText, OutObject};

impl IHost_Impl for Host_Impl {
    unsafe fn OpenVM(
        &self,
        path: InText,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        job(callback, out, |library, callback| {
            let (path, options, list) = (to_host(path), VIX_VMOPEN_NORMAL, VIX_INVALID_HANDLE);
            Ok(library.open_vm(self.handle(), path, options, list, callback))
        })
    }

    unsafe fn Disconnect(&self) -> HRESULT {
        done(|| {
            // The object model takes back a reference with it, and the object keeps its own.
            library().add_ref(self.handle());
            library().disconnect(self.handle());
            Ok(())
        })
    }

    unsafe fn RegisterVM(
        &self,
        path: InText,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        order(callback, out, |library, callback| {
            Ok(library.register_vm(self.handle(), to_host(path), callback))
        })
    }

    unsafe fn UnregisterVM(
        &self,
        path: InText,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        order(callback, out, |library, callback| {
            Ok(library.unregister_vm(self.handle(), to_host(path), callback))
        })
    }

    unsafe fn FindItems(
        &self,
        search_type: i32,
        criteria: In<IVixHandle>,
        timeout: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        job(callback, out, |library, callback| {
            let criteria = criteria.number()?;
            Ok(library.find_items(self.handle(), search_type, criteria, timeout, callback))
        })
    }

    unsafe fn PumpEvents(&self, _options: i32) -> HRESULT {
        done(|| {
            library().pump_events(self.handle());
            Ok(())
        })
    }
}

impl IHost2_Impl for Host_Impl {
    unsafe fn OpenVMEx(
        &self,
        path: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        job(callback, out, |library, callback| {
            let list = list.number()?;
            Ok(library.open_vm(self.handle(), to_host(path), options, list, callback))
        })
    }
}
