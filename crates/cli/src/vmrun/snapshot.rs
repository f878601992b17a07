//! `vmrun snapshot VMX NAME`.

use replix::snapshot::NewSnapshot;

use super::call::{Answer, Call, Lines};

/// Takes a snapshot, of a running VM with its memory; prints nothing.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    let new = NewSnapshot {
        name: call.text(1),
        description: String::new(),
        with_memory: true,
    };
    call.finish(|| vm.create_snapshot(new))?;
    Ok(Lines::default())
}
