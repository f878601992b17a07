//! VMs, as `IVM2` adds to them: pausing, clones, pictures of the screen, recordings.

use vix::constants::VIX_INVALID_HANDLE as NO_LIST;
use vix::{CloneRequest, GuestCall};
use windows_core::HRESULT;

use crate::handle::Vm_Impl;
use crate::interfaces::{ICallback, IJob, ISnapshot, IVM2_Impl, IVixHandle};
use crate::path::to_host;
use crate::types::{In, InText, OutObject};

impl IVM2_Impl for Vm_Impl {
    unsafe fn Pause(
        &self,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.pause(vm, options, list.number()?, callback))
        })
    }

    unsafe fn Unpause(
        &self,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.unpause(vm, options, list.number()?, callback))
        })
    }

    unsafe fn Clone(
        &self,
        snapshot: In<ISnapshot>,
        clone_type: i32,
        dest_config_path_name: InText,
        clone_options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let request = CloneRequest {
                snapshot: snapshot.number()?,
                kind: clone_type,
                destination: to_host(dest_config_path_name),
                options: clone_options,
                list: list.number()?,
            };
            Ok(library.clone_vm(vm, request, callback))
        })
    }

    unsafe fn BeginRecording(
        &self,
        _name: InText,
        _description: InText,
        _options: i32,
        _list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.refuse_removed(vm, callback))
        })
    }

    unsafe fn EndRecording(
        &self,
        _options: i32,
        _list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.refuse_removed(vm, callback))
        })
    }

    unsafe fn BeginReplay(
        &self,
        _recording: In<ISnapshot>,
        _options: i32,
        _list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.refuse_removed(vm, callback))
        })
    }

    unsafe fn EndReplay(
        &self,
        _options: i32,
        _list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.refuse_removed(vm, callback))
        })
    }

    unsafe fn GetFileInfoInGuest(
        &self,
        path_name: InText,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let make = |path| GuestCall::FileInfo { path };
            Ok(library.ask_of(vm, path_name.read(), 0, NO_LIST, make, callback))
        })
    }

    unsafe fn CaptureScreenImage(
        &self,
        capture_type: i32,
        additional_properties: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.capture_screen(vm, capture_type, additional_properties.number()?, callback))
        })
    }
}
