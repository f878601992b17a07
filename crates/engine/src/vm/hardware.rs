//! The version of a VM's hardware.

use std::path::Path;

use super::claim::Claim;
use super::env::Env;
use crate::error::Result;
use crate::job::Job;
use crate::store::{LockMode, replace};

/// The newest version that is known: that of Workstation 25H2.
pub const NEWEST: u32 = 22;

/// Raises the hardware version of the VM at `vmx` to the newest that is known. One that has it, or a
/// newer one, stays as it is.
///
/// # Errors
/// As [`Claim::require_off`].
pub fn upgrade(env: &Env, vmx: &Path, job: &Job) -> Result<()> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    claim.require_off()?;
    let config = &mut claim.vm.config;
    if config.hardware_version() >= NEWEST {
        return Ok(());
    }
    config.set_hardware_version(NEWEST);
    let bytes = config.to_bytes();
    replace(&*env.store, claim.vm.vmx(), &bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::Kind;
    use crate::store::{Mem, Store, create_dirs, read_small, write_new};
    use crate::vm::Settings;

    /// The configuration after an upgrade of a VM with these lines in it.
    fn upgraded(lines: &str) -> Result<String> {
        let store = Mem::new();
        let vmx = Path::new("/v/a.vmx");
        create_dirs(&store, Path::new("/v")).unwrap();
        write_new(&store, vmx, lines.as_bytes()).unwrap();
        let env = Env {
            store: Arc::new(store.clone()),
            settings: Settings::default(),
        };
        let done = upgrade(&env, vmx, &Job::new());
        let left = store.list(Path::new("/v")).unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
        done.map(|()| String::from_utf8(read_small(&store, vmx, 1 << 10).unwrap()).unwrap())
    }

    #[test]
    fn version_is_raised_to_the_newest() {
        let line = |version| format!("virtualHW.version = \"{version}\"\nx = \"y\"\n");
        assert_eq!(upgraded(&line("10")).unwrap(), line("22"));
        assert_eq!(upgraded(&line("22")).unwrap(), line("22"));
        assert_eq!(upgraded(&line("23")).unwrap(), line("23"));
    }

    #[test]
    fn suspended_vm_is_not_upgraded() {
        let lines = "virtualHW.version = \"10\"\ncheckpoint.vmState = \"a.vmss\"\n";
        assert_eq!(upgraded(lines).unwrap_err().kind(), Kind::VmRunning);
    }
}
