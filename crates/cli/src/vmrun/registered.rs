//! `vmrun register VMX`, `unregister VMX`, `listRegisteredVM`: the inventory.

use super::call::{Answer, Call, Lines};

/// Puts a VM into the inventory; prints nothing.
pub(super) fn register(call: &Call) -> Answer {
    call.host()?.register(call.path(0)?)?;
    Ok(Lines::default())
}

/// Takes a VM out of the inventory, also one that is gone; prints nothing.
pub(super) fn unregister(call: &Call) -> Answer {
    call.host()?.unregister(call.path(0)?)?;
    Ok(Lines::default())
}

/// Prints the paths of the VMs in the inventory.
pub(super) fn list(call: &Call) -> Answer {
    let registered = call.host()?.registered()?;
    let mut lines = Lines::default();
    lines.push(format!("Total registered VMs: {}", registered.len()));
    for vm in registered {
        lines.push(vm.path());
    }
    Ok(lines)
}
