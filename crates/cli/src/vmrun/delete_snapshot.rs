//! `vmrun deleteSnapshot VMX NAME [andDeleteChildren]`.

use replix::snapshot::SnapshotRef;

use super::call::{Answer, Call, Lines};

/// Removes a snapshot, with its children on request; prints nothing.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    let children = call.mode(2) == "anddeletechildren";
    call.finish(|| vm.remove_snapshot(SnapshotRef::Name(call.text(1)), children))?;
    Ok(Lines::default())
}
