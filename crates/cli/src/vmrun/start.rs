//! `vmrun start VMX [gui|nogui]`.

use replix::power::StartSpec;

use super::call::{Answer, Call, Lines};

/// Powers a VM on, with a window unless told otherwise; prints nothing.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    let spec = StartSpec {
        gui: call.mode(1) != "nogui",
        ..StartSpec::default()
    };
    call.finish(|| vm.power_on(spec))?;
    Ok(Lines::default())
}
