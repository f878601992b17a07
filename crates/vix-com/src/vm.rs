//! VMs, as `IVM` has them: power, the guest, variables, snapshots, shared folders.

use vix::constants::VIX_INVALID_HANDLE as NO_LIST;
use vix::{Callback, GuestCall, Handle, Library};
use windows::Win32::Foundation::VARIANT_BOOL;
use windows_core::{HRESULT, Result};

use crate::guard::{order, store};
use crate::handle::Vm_Impl;
use crate::interfaces::{ICallback, IJob, ISnapshot, IVM_Impl, IVixHandle};
use crate::path::to_host;
use crate::process::library;
use crate::snapshot::snapshot_of;
use crate::types::{In, InText, Out, OutObject};

impl Vm_Impl {
    /// Starts a job of this VM's.
    pub(crate) fn start(
        &self,
        client: In<ICallback>,
        out: OutObject<IJob>,
        start: impl FnOnce(&Library, Handle, Option<Callback>) -> Result<Handle>,
    ) -> HRESULT {
        order(client, out, |library, callback| {
            start(library, self.handle(), callback)
        })
    }
}

impl IVM_Impl for Vm_Impl {
    unsafe fn PowerOn(
        &self,
        power_on_options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.power_on(vm, power_on_options, list.number()?, callback))
        })
    }

    unsafe fn PowerOff(
        &self,
        power_off_options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.power_off(vm, power_off_options, callback))
        })
    }

    unsafe fn Reset(
        &self,
        reset_options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.reset(vm, reset_options, callback))
        })
    }

    unsafe fn Suspend(
        &self,
        suspend_options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.suspend(vm, suspend_options, callback))
        })
    }

    unsafe fn Delete(
        &self,
        delete_options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.delete(vm, delete_options, callback))
        })
    }

    unsafe fn WaitForToolsInGuest(
        &self,
        timeout_in_seconds: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.wait_for_tools(vm, timeout_in_seconds, callback))
        })
    }

    unsafe fn LoginInGuest(
        &self,
        user_name: InText,
        password: InText,
        options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.login(vm, (user_name.read(), password.read()), options, callback))
        })
    }

    unsafe fn LogoutFromGuest(&self, callback: In<ICallback>, out: OutObject<IJob>) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.logout(vm, callback))
        })
    }

    unsafe fn RunProgramInGuest(
        &self,
        guest_program_name: InText,
        command_line_args: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.run_program(
                vm,
                (guest_program_name.read(), command_line_args.read()),
                options,
                list.number()?,
                callback,
            ))
        })
    }

    unsafe fn ListProcessesInGuest(
        &self,
        options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.ask_plainly(vm, options, NO_LIST, GuestCall::ListProcesses, callback))
        })
    }

    unsafe fn KillProcessInGuest(
        &self,
        pid: u64,
        options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.ask_plainly(
                vm,
                options,
                NO_LIST,
                GuestCall::KillProcess { pid },
                callback,
            ))
        })
    }

    unsafe fn RunScriptInGuest(
        &self,
        interrpeter: InText,
        script_text: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.run_script(
                vm,
                (interrpeter.read(), script_text.read()),
                options,
                list.number()?,
                callback,
            ))
        })
    }

    unsafe fn OpenUrlInGuest(
        &self,
        _url: InText,
        _window_state: i32,
        _list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.refuse_removed(vm, callback))
        })
    }

    unsafe fn CopyFileFromHostToGuest(
        &self,
        host_path_name: InText,
        guest_path_name: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let paths = (to_host(host_path_name), guest_path_name.read());
            let make = |from: String, to| GuestCall::CopyToGuest {
                from: from.into(),
                to,
            };
            Ok(library.ask_of_two(vm, paths, options, list.number()?, make, callback))
        })
    }

    unsafe fn CopyFileFromGuestToHost(
        &self,
        guest_path_name: InText,
        host_path_name: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let paths = (guest_path_name.read(), to_host(host_path_name));
            let make = |from, to: String| GuestCall::CopyFromGuest {
                from,
                to: to.into(),
            };
            Ok(library.ask_of_two(vm, paths, options, list.number()?, make, callback))
        })
    }

    unsafe fn DeleteFileInGuest(
        &self,
        guest_path_name: InText,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let make = |path| GuestCall::DeleteFile { path };
            Ok(library.ask_of(vm, guest_path_name.read(), 0, NO_LIST, make, callback))
        })
    }

    unsafe fn FileExistsInGuest(
        &self,
        guest_path_name: InText,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let make = |path| GuestCall::FileExists { path };
            Ok(library.ask_of(vm, guest_path_name.read(), 0, NO_LIST, make, callback))
        })
    }

    unsafe fn RenameFileInGuest(
        &self,
        old_name: InText,
        new_name: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let make = |from, to| GuestCall::Rename { from, to };
            Ok(library.ask_of_two(
                vm,
                (old_name.read(), new_name.read()),
                options,
                list.number()?,
                make,
                callback,
            ))
        })
    }

    unsafe fn CreateTempFileInGuest(
        &self,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.ask_plainly(
                vm,
                options,
                list.number()?,
                GuestCall::CreateTempFile,
                callback,
            ))
        })
    }

    unsafe fn ListDirectoryInGuest(
        &self,
        path_name: InText,
        options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let make = |path| GuestCall::ListDirectory { path };
            Ok(library.ask_of(vm, path_name.read(), options, NO_LIST, make, callback))
        })
    }

    unsafe fn CreateDirectoryInGuest(
        &self,
        path_name: InText,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let make = |path| GuestCall::CreateDirectory { path };
            Ok(library.ask_of(vm, path_name.read(), 0, list.number()?, make, callback))
        })
    }

    unsafe fn DeleteDirectoryInGuest(
        &self,
        path_name: InText,
        options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let make = |path| GuestCall::DeleteDirectory { path };
            Ok(library.ask_of(vm, path_name.read(), options, NO_LIST, make, callback))
        })
    }

    unsafe fn DirectoryExistsInGuest(
        &self,
        path_name: InText,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let make = |path| GuestCall::DirectoryExists { path };
            Ok(library.ask_of(vm, path_name.read(), 0, NO_LIST, make, callback))
        })
    }

    unsafe fn ReadVariable(
        &self,
        variable_type: i32,
        name: InText,
        options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.read_variable(vm, variable_type, name.read(), options, callback))
        })
    }

    unsafe fn WriteVariable(
        &self,
        variable_type: i32,
        value_name: InText,
        value: InText,
        options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.write_variable(
                vm,
                variable_type,
                (value_name.read(), value.read()),
                options,
                callback,
            ))
        })
    }

    unsafe fn GetNumRootSnapshots(&self, result: Out<i32>, error: Out<u64>) -> HRESULT {
        store(result, error, || {
            library().num_root_snapshots(self.handle())
        })
    }

    unsafe fn GetRootSnapshot(
        &self,
        index: i32,
        snapshot: OutObject<ISnapshot>,
        error: Out<u64>,
    ) -> HRESULT {
        store(snapshot, error, || {
            library()
                .root_snapshot(self.handle(), index)
                .map(snapshot_of)
        })
    }

    unsafe fn GetCurrentSnapshot(
        &self,
        snapshot: OutObject<ISnapshot>,
        error: Out<u64>,
    ) -> HRESULT {
        store(snapshot, error, || {
            library().current_snapshot(self.handle()).map(snapshot_of)
        })
    }

    unsafe fn GetNamedSnapshot(
        &self,
        name: InText,
        snapshot: OutObject<ISnapshot>,
        error: Out<u64>,
    ) -> HRESULT {
        store(snapshot, error, || {
            library()
                .named_snapshot(self.handle(), name.read())
                .map(snapshot_of)
        })
    }

    unsafe fn RemoveSnapshot(
        &self,
        snapshot: In<ISnapshot>,
        options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.remove_snapshot(vm, snapshot.number()?, options, callback))
        })
    }

    unsafe fn RevertToSnapshot(
        &self,
        snapshot: In<ISnapshot>,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.revert(vm, snapshot.number()?, options, list.number()?, callback))
        })
    }

    unsafe fn CreateSnapshot(
        &self,
        name: InText,
        description: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.create_snapshot(
                vm,
                (name.read(), description.read()),
                options,
                list.number()?,
                callback,
            ))
        })
    }

    unsafe fn EnableSharedFolders(
        &self,
        enabled: VARIANT_BOOL,
        options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let call = GuestCall::EnableSharedFolders {
                enabled: enabled.as_bool(),
                runtime: false,
            };
            Ok(library.ask_plainly(vm, options, NO_LIST, call, callback))
        })
    }

    unsafe fn GetNumSharedFolders(&self, callback: In<ICallback>, out: OutObject<IJob>) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.ask_plainly(vm, 0, NO_LIST, GuestCall::CountSharedFolders, callback))
        })
    }

    unsafe fn GetSharedFolderState(
        &self,
        index: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.shared_folder(vm, index, callback))
        })
    }

    unsafe fn SetSharedFolderState(
        &self,
        share_name: InText,
        host_path_name: InText,
        flags: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.share_folder(
                vm,
                (share_name.read(), to_host(host_path_name)),
                flags,
                false,
                callback,
            ))
        })
    }

    unsafe fn AddSharedFolder(
        &self,
        share_name: InText,
        host_path_name: InText,
        flags: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.share_folder(
                vm,
                (share_name.read(), to_host(host_path_name)),
                flags,
                true,
                callback,
            ))
        })
    }

    unsafe fn RemoveSharedFolder(
        &self,
        share_name: InText,
        flags: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            let make = |name| GuestCall::RemoveSharedFolder { name };
            Ok(library.ask_of(vm, share_name.read(), flags, NO_LIST, make, callback))
        })
    }

    unsafe fn UpgradeVirtualHardware(
        &self,
        options: i32,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.upgrade_virtual_hardware(vm, options, callback))
        })
    }

    unsafe fn InstallTools(
        &self,
        options: i32,
        command_line_args: InText,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        self.start(callback, out, |library, vm, callback| {
            Ok(library.install_tools(vm, options, command_line_args.read(), callback))
        })
    }
}
