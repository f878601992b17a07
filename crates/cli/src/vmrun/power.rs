//! `vmrun reset|suspend VMX [hard|soft]`, `pause VMX`, `unpause VMX`: a running VM, told to.

use replix::power::StopMode;
use replix::vm::PowerState;

use super::call::{Answer, Call, Lines};
use super::failure::Failure;

/// Reads the mode of the word at 1: through the guest unless told otherwise.
pub(super) fn mode(call: &Call) -> StopMode {
    match call.mode(1).as_str() {
        "hard" => StopMode::Hard,
        _ => StopMode::Soft,
    }
}

/// Resets a VM; prints nothing.
pub(super) fn reset(call: &Call) -> Answer {
    let vm = call.open()?;
    call.finish(|| vm.reset(mode(call)))?;
    Ok(Lines::default())
}

/// Suspends a VM; prints nothing.
pub(super) fn suspend(call: &Call) -> Answer {
    let vm = call.open()?;
    call.finish(|| vm.suspend(mode(call)))?;
    Ok(Lines::default())
}

/// Pauses a VM; prints nothing.
pub(super) fn pause(call: &Call) -> Answer {
    let vm = call.open()?;
    call.finish(|| vm.pause())?;
    Ok(Lines::default())
}

/// Lets a paused VM go on; prints nothing. One that is not paused is refused: callers try this
/// first, and start the VM where it fails.
pub(super) fn unpause(call: &Call) -> Answer {
    let vm = call.open()?;
    if vm.state()? == PowerState::On {
        let path = vm.path().display();
        return Err(Failure::said(format!(
            "The virtual machine is not paused: {path}"
        )));
    }
    call.finish(|| vm.unpause())?;
    Ok(Lines::default())
}
