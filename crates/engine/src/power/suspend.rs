//! Suspending a VM.
//!
//! Order of what becomes durable: the memory, which nobody names yet; the `.vmx`, which then says
//! that the VM is suspended to it. Whatever happens before leaves a VM that goes on.

use std::path::Path;

use super::halted::{Halted, require_savable};
use super::runtime::require_running;
use crate::error::Result;
use crate::job::Job;
use crate::store::{LockMode, Undo};
use crate::vm::{Claim, Env, state};

/// Saves the memory of the VM at `vmx` in a file and powers it off.
///
/// # Errors
/// `VmNotRunning`, `Cancelled`, `NoSpace`; `NotSupported` naming a device that cannot be saved, `Busy`
/// a shared folder that the guest does not let go of. The VM then goes on.
pub(crate) fn suspend(env: &Env, vmx: &Path, job: &Job) -> Result<()> {
    require_running(&*env.store, &env.open(vmx)?)?;
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    require_savable(env, &claim.vm, job)?;
    let halted = Halted::take_to_save(env, &claim.vm, job)?;
    halted.let_go()?;
    let mut undo = Undo::new(env.store.clone());
    for stray in state::stray_memories(&*env.store, &claim.vm) {
        env.store.remove_file(&stray)?;
    }
    let name = state::new_memory(&claim.vm.stem());
    let (dir, vm) = (env.working_dir(&claim.vm)?, &mut claim.vm);
    let path = dir.join(&name);
    undo.made_file(&path);
    undo.made_file(&state::ram_beside(&path));
    // A VM that is suspended forgets that it was paused (VIX reference, `VixVM_Suspend`).
    halted.save(vm, &path, false, job)?;
    vm.config.suspend_to(&match dir == vm.dir() {
        true => name,
        false => path.to_string_lossy().into_owned(),
    });
    undo.replace(vm.vmx(), &vm.config.to_bytes())?;
    undo.keep();
    halted.end()
}
