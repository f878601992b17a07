//! `vmrun revertToSnapshot VMX NAME`.

use replix::snapshot::{RevertSpec, SnapshotRef};

use super::call::{Answer, Call, Lines};

/// Puts a VM back to a snapshot; prints nothing. One with memory leaves it suspended: the caller
/// starts it.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    let spec = RevertSpec {
        suspended: true,
        ..RevertSpec::from(SnapshotRef::Name(call.text(1)))
    };
    call.finish(|| vm.revert(spec))?;
    Ok(Lines::default())
}
