//! The interfaces, in the order of `VixCOM.idl`, which has what their methods are for.
//!
//! The types of the parameters are such that only a call from COM can make them, so what implements a
//! method does nothing unsafe itself.

#![expect(clippy::too_many_arguments, reason = "as clients call them")]

use windows::Win32::Foundation::VARIANT_BOOL;
use windows::Win32::System::Com::{IDispatch, IDispatch_Impl, IDispatch_Vtbl};
use windows_core::{BSTR, HRESULT, IUnknown, IUnknown_Vtbl, interface};

use crate::types::{In, InText, InVariant, Out, OutObject, Results};

/// The library: connecting, and what errors mean.
#[interface("94eaa428-2460-470d-8f66-2a4270aff20a")]
pub unsafe trait IVixLib: IDispatch {
    fn Connect(
        &self,
        api_version: i32,
        host_type: i32,
        host_name: InText,
        host_port: i32,
        user_name: InText,
        password: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn GetErrorText(&self, err: u64, locale: InText, error_string: Out<BSTR>) -> HRESULT;
    fn ErrorCode(&self, err: u64, error_code: Out<i16>) -> HRESULT;
    fn ErrorIndicatesSuccess(&self, err: u64, is_success: Out<VARIANT_BOOL>) -> HRESULT;
    fn ErrorIndicatesFailure(&self, err: u64, is_failure: Out<VARIANT_BOOL>) -> HRESULT;
}

/// Any object: its type and its properties.
#[interface("70aed194-6cfa-4ba3-8e63-d32a3573a171")]
pub unsafe trait IVixHandle: IDispatch {
    fn GetHandleType(&self, handle_type: Out<i32>) -> HRESULT;
    fn GetProperties(&self, ids: InVariant, results: Results, error: Out<u64>) -> HRESULT;
    fn GetPropertyType(
        &self,
        property_id: i32,
        property_type: Out<i32>,
        error: Out<u64>,
    ) -> HRESULT;
    fn Equals(&self, handle: In<IVixHandle>, is_equal: Out<VARIANT_BOOL>) -> HRESULT;
}

/// Any object: its end, before the last reference to it goes.
#[interface("2f5a88e5-e1be-4d51-9240-2fa39a69606f")]
pub unsafe trait IVixHandle2: IVixHandle {
    fn Close(&self) -> HRESULT;
}

/// What a client implements to be told of a job's events.
#[interface("82bf64c6-e21c-4b78-9665-6933e767b430")]
pub unsafe trait ICallback: IDispatch {
    pub fn OnVixEvent(
        &self,
        job: In<IJob>,
        event_type: i32,
        more_event_info: In<IVixHandle>,
    ) -> HRESULT;
}

/// An operation that was started.
#[interface("77a6b455-c303-4b67-810d-b9e6077e75ae")]
pub unsafe trait IJob: IDispatch {
    fn Wait(&self, ids: InVariant, results: Results, error: Out<u64>) -> HRESULT;
    fn WaitWithoutResults(&self, error: Out<u64>) -> HRESULT;
    fn CheckCompletion(&self, is_complete: Out<VARIANT_BOOL>, error: Out<u64>) -> HRESULT;
    fn GetError(&self, error: Out<u64>) -> HRESULT;
    fn GetNumProperties(&self, result_property_id: i32, num_properties: Out<i32>) -> HRESULT;
    fn GetNthProperties(
        &self,
        index: i32,
        ids: InVariant,
        results: Results,
        error: Out<u64>,
    ) -> HRESULT;
}

/// A snapshot of a VM, in its tree.
#[interface("89db37b8-ce29-4b14-aa05-6d5aeabe2fb0")]
pub unsafe trait ISnapshot: IDispatch {
    fn GetNumChildren(&self, num_child_snapshots: Out<i32>, error: Out<u64>) -> HRESULT;
    fn GetChild(
        &self,
        index: i32,
        child_snapshot: OutObject<ISnapshot>,
        error: Out<u64>,
    ) -> HRESULT;
    fn GetParent(&self, parent_snapshot: OutObject<ISnapshot>, error: Out<u64>) -> HRESULT;
}

/// A host of VMs.
#[interface("1305925c-b00e-443a-bb13-61d06cbdab97")]
pub unsafe trait IHost: IDispatch {
    fn OpenVM(
        &self,
        vmx_file_path: InText,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn Disconnect(&self) -> HRESULT;
    fn RegisterVM(
        &self,
        vmx_file_path: InText,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn UnregisterVM(
        &self,
        vmx_file_path: InText,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn FindItems(
        &self,
        search_type: i32,
        search_criteria: In<IVixHandle>,
        timeout: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn PumpEvents(&self, options: i32) -> HRESULT;
}

/// A host of VMs: opening with options.
#[interface("320645ad-dcb7-4843-86d4-abe15be5ceda")]
pub unsafe trait IHost2: IHost {
    fn OpenVMEx(
        &self,
        vmx_file_path: InText,
        open_vmoptions: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
}

/// A VM.
#[interface("11e879b1-7969-4654-be4b-3f05679f742e")]
pub unsafe trait IVM: IDispatch {
    fn PowerOn(
        &self,
        power_on_options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn PowerOff(
        &self,
        power_off_options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn Reset(&self, reset_options: i32, callback: In<ICallback>, job: OutObject<IJob>) -> HRESULT;
    fn Suspend(
        &self,
        suspend_options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn Delete(&self, delete_options: i32, callback: In<ICallback>, job: OutObject<IJob>)
    -> HRESULT;
    fn WaitForToolsInGuest(
        &self,
        timeout_in_seconds: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn LoginInGuest(
        &self,
        user_name: InText,
        password: InText,
        options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn LogoutFromGuest(&self, callback: In<ICallback>, job: OutObject<IJob>) -> HRESULT;
    fn RunProgramInGuest(
        &self,
        guest_program_name: InText,
        command_line_args: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn ListProcessesInGuest(
        &self,
        options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn KillProcessInGuest(
        &self,
        pid: u64,
        options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn RunScriptInGuest(
        &self,
        interrpeter: InText,
        script_text: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn OpenUrlInGuest(
        &self,
        url: InText,
        window_state: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn CopyFileFromHostToGuest(
        &self,
        host_path_name: InText,
        guest_path_name: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn CopyFileFromGuestToHost(
        &self,
        guest_path_name: InText,
        host_path_name: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn DeleteFileInGuest(
        &self,
        guest_path_name: InText,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn FileExistsInGuest(
        &self,
        guest_path_name: InText,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn RenameFileInGuest(
        &self,
        old_name: InText,
        new_name: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn CreateTempFileInGuest(
        &self,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn ListDirectoryInGuest(
        &self,
        path_name: InText,
        options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn CreateDirectoryInGuest(
        &self,
        path_name: InText,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn DeleteDirectoryInGuest(
        &self,
        path_name: InText,
        options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn DirectoryExistsInGuest(
        &self,
        path_name: InText,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn ReadVariable(
        &self,
        variable_type: i32,
        name: InText,
        options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn WriteVariable(
        &self,
        variable_type: i32,
        value_name: InText,
        value: InText,
        options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn GetNumRootSnapshots(&self, result: Out<i32>, error: Out<u64>) -> HRESULT;
    fn GetRootSnapshot(
        &self,
        index: i32,
        snapshot: OutObject<ISnapshot>,
        error: Out<u64>,
    ) -> HRESULT;
    fn GetCurrentSnapshot(&self, snapshot: OutObject<ISnapshot>, error: Out<u64>) -> HRESULT;
    fn GetNamedSnapshot(
        &self,
        name: InText,
        snapshot: OutObject<ISnapshot>,
        error: Out<u64>,
    ) -> HRESULT;
    fn RemoveSnapshot(
        &self,
        snapshot: In<ISnapshot>,
        options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn RevertToSnapshot(
        &self,
        snapshot: In<ISnapshot>,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn CreateSnapshot(
        &self,
        name: InText,
        description: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn EnableSharedFolders(
        &self,
        enabled: VARIANT_BOOL,
        options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn GetNumSharedFolders(&self, callback: In<ICallback>, job: OutObject<IJob>) -> HRESULT;
    fn GetSharedFolderState(
        &self,
        index: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn SetSharedFolderState(
        &self,
        share_name: InText,
        host_path_name: InText,
        flags: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn AddSharedFolder(
        &self,
        share_name: InText,
        host_path_name: InText,
        flags: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn RemoveSharedFolder(
        &self,
        share_name: InText,
        flags: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn UpgradeVirtualHardware(
        &self,
        options: i32,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn InstallTools(
        &self,
        options: i32,
        command_line_args: InText,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
}

/// A VM: pausing, cloning, pictures of its screen.
#[interface("f1d44d76-784d-44ff-8fea-d35a154825a0")]
pub unsafe trait IVM2: IVM {
    fn Pause(
        &self,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn Unpause(
        &self,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn Clone(
        &self,
        snapshot: In<ISnapshot>,
        clone_type: i32,
        dest_config_path_name: InText,
        clone_options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn BeginRecording(
        &self,
        name: InText,
        description: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn EndRecording(
        &self,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn BeginReplay(
        &self,
        recording: In<ISnapshot>,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn EndReplay(
        &self,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn GetFileInfoInGuest(
        &self,
        path_name: InText,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
    fn CaptureScreenImage(
        &self,
        capture_type: i32,
        additional_properties: In<IVixHandle>,
        callback: In<ICallback>,
        job: OutObject<IJob>,
    ) -> HRESULT;
}
/// What our objects alone answer: which of the object model's they stand for.
#[interface("0f0b7a0e-8d0c-4c55-8a53-8a5f5c6a9d11")]
pub unsafe trait IHeld: IUnknown {
    pub fn Number(&self) -> i32;
}
