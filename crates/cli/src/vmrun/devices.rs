//! `vmrun connectNamedDevice|disconnectNamedDevice VMX DEVICE`, `typeKeystrokesInGuest VMX KEYS`.

use replix::vm::DeviceCall;

use super::call::{Answer, Call, Lines};

/// Plugs a device in; prints nothing.
pub(super) fn connect(call: &Call) -> Answer {
    plug(call, true)
}

/// Unplugs a device; prints nothing.
pub(super) fn disconnect(call: &Call) -> Answer {
    plug(call, false)
}

fn plug(call: &Call, connected: bool) -> Answer {
    run(
        call,
        DeviceCall::Connect {
            device: call.text(1),
            connected,
        },
    )
}

/// Types on the VM's keyboard; prints nothing.
pub(super) fn type_keys(call: &Call) -> Answer {
    run(call, DeviceCall::Type { text: call.text(1) })
}

/// Does something to a device; prints nothing.
pub(super) fn run(call: &Call, what: DeviceCall) -> Answer {
    let vm = call.open()?;
    call.finish(|| vm.device(what))?;
    Ok(Lines::default())
}
