//! Suspending a VM.
//!
//! Order of what becomes durable: the memory, which nobody names yet; the `.vmx`, which then says
//! that the VM is suspended to it. Whatever happens before leaves a VM that goes on.

use std::path::Path;

use super::halted::{Halted, require_savable};
use super::runtime::{knows_agent, require_running};
use crate::error::Result;
use crate::job::Job;
use crate::store::{LockMode, Undo};
use crate::vm::{Claim, Env, VmFolder, files, state};

/// Saves the memory of the VM at `vmx` in a file and powers it off.
///
/// # Errors
/// `VmNotRunning`, `Cancelled`, `NoSpace`; `NotSupported` naming a device that cannot be saved, `Busy`
/// a shared folder that the guest does not let go of. The VM then goes on.
pub(crate) fn suspend(env: &Env, vmx: &Path, job: &Job) -> Result<()> {
    require_running(env, &env.open(vmx)?)?;
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    require_savable(env, &claim.vm, job)?;
    let halted = Halted::take_to_save(env, &claim.vm, job)?;
    halted.let_go()?;
    let name = state::new_memory(&claim.vm.stem());
    // A VM that is suspended forgets that it was paused (VIX reference, `VixVM_Suspend`).
    let save = |vm: &VmFolder, path: &Path| halted.save(vm, path, false, job);
    if knows_agent(env, &claim.vm) {
        claim.vm.config.note_agent();
    }
    record(env, &mut claim.vm, &name, save)?;
    halted.end()
}

/// Has `save` write the memory of a VM to the file `name`, and says in the VM's configuration that it is
/// suspended to that.
///
/// # Errors
/// Those of `save`; what the system says. The VM is as before then.
pub(crate) fn record(
    env: &Env,
    vm: &mut VmFolder,
    name: &str,
    save: impl FnOnce(&VmFolder, &Path) -> Result<()>,
) -> Result<()> {
    for stray in state::stray_memories(&*env.store, vm) {
        env.store.remove_file(&stray)?;
    }
    let mut undo = Undo::new(env.store.clone());
    let dir = env.working_dir(vm)?;
    let path = dir.join(name);
    undo.made_file(&path);
    undo.made_file(&state::ram_beside(&path));
    save(vm, &path)?;
    let name = files::name_from(vm.dir(), vm.dir(), &path);
    vm.config.suspend_to(&name);
    // Its keeper has nothing to add then, while we hold the VM.
    vm.config.end_run();
    undo.replace(vm.vmx(), &vm.config.to_bytes())?;
    undo.keep();
    Ok(())
}
