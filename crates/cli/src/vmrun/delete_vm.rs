//! `vmrun deleteVM VMX`.

use replix::clone::DeleteSpec;

use super::call::{Answer, Call, Lines};

/// Deletes a VM with its disks; prints nothing.
///
/// One that living linked clones stand on is refused.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    call.finish(|| {
        vm.delete(DeleteSpec {
            disks: true,
            force: false,
        })
    })?;
    Ok(Lines::default())
}
