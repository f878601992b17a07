//! `vmrun list`.

use super::call::{Answer, Call, Lines};

/// Prints the paths of the VMs that run here.
pub(super) fn run(call: &Call) -> Answer {
    let running = call.host()?.running()?;
    let mut lines = Lines::default();
    lines.push(format!("Total running VMs: {}", running.len()));
    for vm in running {
        lines.push(vm.path());
    }
    Ok(lines)
}
