//! The disks of a VM, still for as long as something is done to their chains.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::job::Job;
use crate::power::Halted;
use crate::vm::{Claim, Env, PowerState, state};

/// Why a VM does not write to its disks.
pub(super) enum Still<'a> {
    /// It is off.
    Off,
    /// It is suspended to a memory of its own; `None` where that is missing.
    Suspended(Option<PathBuf>),
    /// It is suspended to the memory of a snapshot.
    AtSnapshot,
    /// It runs here, and its machine has let go of the disks.
    Halted(Halted<'a>),
}

impl Still<'_> {
    /// Lets a VM that was halted go on.
    ///
    /// # Errors
    /// Those of [`Halted::go_on`].
    pub(super) fn go_on(self) -> Result<()> {
        match self {
            Self::Halted(halted) => halted.go_on(),
            Self::Off | Self::Suspended(_) | Self::AtSnapshot => Ok(()),
        }
    }
}

/// Sees to it that the disks of a VM are still: those of one that runs here are let go of by its
/// machine until what is returned ends.
///
/// # Errors
/// Those of [`require`] where it does not run here; those of halting.
pub(super) fn hold<'a>(env: &'a Env, claim: &Claim, job: &Job) -> Result<Still<'a>> {
    if !matches!(claim.state.state, PowerState::On | PowerState::Paused) {
        return require(env, claim);
    }
    claim.require_plain()?;
    let halted = Halted::take(env, &claim.vm, job)?;
    halted.let_go()?;
    Ok(Still::Halted(halted))
}

/// Demands that a VM is off, or suspended to a memory of ours. That one fits the disks by their content
/// ids, which no change to their chains touches. What VMware's fits, is not known.
///
/// # Errors
/// Those of [`Claim::require_off`].
pub(super) fn require<'a>(env: &Env, claim: &Claim) -> Result<Still<'a>> {
    let vm = &claim.vm;
    let is_suspended = claim.state.state == PowerState::Suspended;
    let ours = |name: &String| is_suspended && state::is_our_memory(name);
    let Some(name) = vm.config.suspended_to().filter(ours) else {
        claim.require_off()?;
        return Ok(Still::Off);
    };
    claim.require_plain()?;
    let vmsd = env.vmsd(vm)?;
    let mut snapshots = vmsd.snapshots().iter();
    let is_memory_of = |file_name: &str| state::memory_beside(file_name) == Path::new(&name);
    match snapshots.any(|entry| is_memory_of(&entry.file_name)) {
        true => Ok(Still::AtSnapshot),
        false => Ok(Still::Suspended(env.own_file(vm, &name)?)),
    }
}
