//! `vmrun deleteVM VMX`.

use replix::clone::DeleteSpec;

use super::call::{Answer, Call, Lines, finish};

/// Deletes a VM with its disks; prints nothing.
///
/// One that living linked clones stand on is refused.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    finish(|| {
        vm.delete(DeleteSpec {
            disks: true,
            force: false,
        })
    })?;
    Ok(Lines::default())
}
