//! Commands about the folders of the host that the guest sees.

use replix::guest::GuestCall;

use super::call::{Answer, Call, Lines};
use super::failure::Failure;

fn silent(call: &Call, what: GuestCall) -> Answer {
    call.guest(what)?;
    Ok(Lines::default())
}

/// `enableSharedFolders VMX [runtime]`.
pub(super) fn enable(call: &Call) -> Answer {
    switch(call, true)
}

/// `disableSharedFolders VMX [runtime]`.
pub(super) fn disable(call: &Call) -> Answer {
    switch(call, false)
}

/// With `runtime`, until the VM is powered off.
fn switch(call: &Call, enabled: bool) -> Answer {
    let runtime = call.mode(1) == "runtime";
    silent(call, GuestCall::EnableSharedFolders { enabled, runtime })
}

/// `addSharedFolder VMX SHARE HOSTPATH`: one that the guest may write to, as its users expect.
pub(super) fn add(call: &Call) -> Answer {
    let what = GuestCall::AddSharedFolder {
        name: call.text(1),
        host_path: call.path(2)?,
        writable: true,
    };
    silent(call, what)
}

/// `removeSharedFolder VMX SHARE`.
pub(super) fn remove(call: &Call) -> Answer {
    silent(call, GuestCall::RemoveSharedFolder { name: call.text(1) })
}

/// `setSharedFolderState VMX SHARE HOSTPATH writable|readonly`.
pub(super) fn set(call: &Call) -> Answer {
    let writable = match call.mode(3).as_str() {
        "writable" => true,
        "readonly" => false,
        other => {
            let words = "A shared folder must be writable or readonly";
            return Err(Failure::said(format!("{words}, not '{other}'")));
        }
    };
    let what = GuestCall::SetSharedFolder {
        name: call.text(1),
        host_path: call.path(2)?,
        writable,
    };
    silent(call, what)
}
