//! `vmrun stop VMX [hard|soft]`.

use super::call::{Answer, Call, Lines};
use super::power::mode;

/// Powers a VM off, through the guest unless told otherwise; prints nothing.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    call.finish(|| vm.power_off(mode(call)))?;
    Ok(Lines::default())
}
