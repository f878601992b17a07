//! `vmrun revertToSnapshot VMX NAME`.

use replix::snapshot::SnapshotRef;

use super::call::{Answer, Call, Lines};

/// Puts a VM back to a snapshot; prints nothing.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    call.finish(|| vm.revert(SnapshotRef::Name(call.text(1))))?;
    Ok(Lines::default())
}
