//! `vmrun revertToSnapshot VMX NAME`.

use replix::snapshot::SnapshotRef;

use super::call::{Answer, Call, Lines, finish};

/// Puts a VM back to a snapshot; prints nothing.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    finish(|| vm.revert(SnapshotRef::Name(call.text(1))))?;
    Ok(Lines::default())
}
