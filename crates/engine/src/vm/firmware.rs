//! The variables of a VM's UEFI firmware: boot entries, and what guests keep there.
//!
//! They lie in a file of their own beside the `.vmx`, in the form of the firmware here; VMware's
//! `.nvram` has another one and is left alone. A snapshot has a copy beside its state file.

use std::path::{Path, PathBuf};

use super::env::Env;
use super::open::VmFolder;
use crate::error::Result;

/// What the names of these files end in: programs that make images keep only files that end as VMware's do.
pub const VARIABLES_ENDING: &str = "efivars.nvram";

/// No such file is larger: those of 4 MiB firmware have half a MiB.
pub const VARIABLES_LIMIT: u64 = 16 << 20;

/// Returns the name of a VM's variables.
pub fn variables(vm: &VmFolder) -> String {
    format!("{}.{VARIABLES_ENDING}", vm.stem())
}

/// Returns where a snapshot has them, beside its state file.
pub fn variables_beside(state: impl AsRef<Path>) -> PathBuf {
    state.as_ref().with_extension(VARIABLES_ENDING)
}

/// Reads the variables of a VM, `None` where it has not been started with UEFI here.
///
/// # Errors
/// As [`Env::read_own`].
pub fn read(env: &Env, vm: &VmFolder) -> Result<Option<Vec<u8>>> {
    env.read_own(vm, &variables(vm), VARIABLES_LIMIT)
}

/// Reads the variables of the snapshot whose state file is called `state`, `None` where it has none.
///
/// # Errors
/// As [`Env::read_own`].
pub fn read_beside(env: &Env, vm: &VmFolder, state: &str) -> Result<Option<Vec<u8>>> {
    let name = variables_beside(state);
    env.read_own(vm, &name.to_string_lossy(), VARIABLES_LIMIT)
}
