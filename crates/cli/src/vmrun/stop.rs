//! `vmrun stop VMX [hard|soft]`.

use replix::power::StopMode;

use super::call::{Answer, Call, Lines, finish};

/// Powers a VM off, through the guest unless told otherwise; prints nothing.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    let mode = match call.mode(1).as_str() {
        "hard" => StopMode::Hard,
        _ => StopMode::Soft,
    };
    finish(|| vm.power_off(mode))?;
    Ok(Lines::default())
}
