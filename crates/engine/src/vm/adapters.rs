//! Network adapters put into the configuration of a VM that is off, changed and taken out.

use std::path::Path;

use super::Connection;
use super::claim::Claim;
use super::config::VmConfig;
use super::env::Env;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::store::{LockMode, replace};

/// A VM has no more; source: the configuration maximums of Workstation.
const MOST: u8 = 10;

/// Gives the VM at `vmx` another adapter. Its address is made when the VM is next started.
///
/// # Errors
/// As [`Claim::require_off`]; `Argument` where there is no place left, or no such network.
pub fn add(env: &Env, vmx: &Path, to: &Connection, job: &Job) -> Result<()> {
    edit(env, vmx, job, |config| {
        let present = config.nics();
        let is_free = |number: &u8| present.iter().all(|nic| nic.number != *number);
        let Some(number) = (0..MOST).find(is_free) else {
            let text = format!("{} has {MOST} network adapters: no more fit", quoted(vmx));
            return Err(Error::new(Kind::Argument, text));
        };
        remove_entries(config, number);
        let device = format!("ethernet{number}");
        let dict = config.dict_mut();
        dict.set(&format!("{device}.present"), "TRUE");
        dict.set(&format!("{device}.addressType"), "generated");
        // The guest has the driver of the adapters that it knows already.
        if let Some(nic) = present.first() {
            dict.set(&format!("{device}.virtualDev"), &nic.model);
        }
        connect(config, &device, to)
    })
}

/// Connects an adapter of the VM at `vmx` to another network.
///
/// # Errors
/// As [`Claim::require_off`]; `Argument` where there is no such adapter or network.
pub fn set(env: &Env, vmx: &Path, number: u8, to: &Connection, job: &Job) -> Result<()> {
    edit(env, vmx, job, |config| {
        let device = require(config, vmx, number)?;
        connect(config, &device, to)
    })
}

/// Takes an adapter out of the VM at `vmx`.
///
/// # Errors
/// As [`Claim::require_off`]; `Argument` where there is no such adapter.
pub fn remove(env: &Env, vmx: &Path, number: u8, job: &Job) -> Result<()> {
    edit(env, vmx, job, |config| {
        require(config, vmx, number)?;
        remove_entries(config, number);
        Ok(())
    })
}

fn edit(
    env: &Env,
    vmx: &Path,
    job: &Job,
    change: impl FnOnce(&mut VmConfig) -> Result<()>,
) -> Result<()> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    claim.require_off()?;
    change(&mut claim.vm.config)?;
    replace(&*env.store, claim.vm.vmx(), &claim.vm.config.to_bytes())
}

fn require(config: &VmConfig, vmx: &Path, number: u8) -> Result<String> {
    let nics = config.nics();
    if let Some(nic) = nics.iter().find(|nic| nic.number == number) {
        return Ok(nic.device());
    }
    let text = format!("{} has no network adapter {number}", quoted(vmx));
    Err(Error::new(Kind::Argument, text).at(vmx))
}

fn connect(config: &mut VmConfig, device: &str, to: &Connection) -> Result<()> {
    let (word, vnet) = match to {
        Connection::Bridged => ("bridged", None),
        Connection::Nat => ("nat", None),
        Connection::HostOnly => ("hostonly", None),
        Connection::Custom(name) => ("custom", Some(device_of(name)?)),
    };
    let dict = config.dict_mut();
    dict.set(&format!("{device}.connectionType"), word);
    match vnet {
        Some(vnet) => dict.set(&format!("{device}.vnet"), &vnet),
        None => dict.remove(&format!("{device}.vnet")),
    }
    Ok(())
}

/// A virtual network as VMware for Linux writes it.
fn device_of(network: &str) -> Result<String> {
    let name = network.strip_prefix("/dev/").unwrap_or(network);
    let number = name.to_ascii_lowercase();
    let number = number.strip_prefix("vmnet").map(str::parse::<u8>);
    match number {
        Some(Ok(number)) => Ok(format!("/dev/vmnet{number}")),
        _ => {
            let text = format!("there is no virtual network \"{}\"", escaped(network));
            let hint = "they are called vmnet0 to vmnet255";
            Err(Error::new(Kind::Argument, text).hint(hint))
        }
    }
}

fn remove_entries(config: &mut VmConfig, number: u8) {
    let prefix = format!("ethernet{number}.");
    let belongs = |name: &str| name.to_ascii_lowercase().starts_with(&prefix);
    config.dict_mut().remove_matching(belongs);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Mem, create_dirs, read_small, write_new};
    use crate::vm::Settings;

    const VMX: &str = "/v/a.vmx";

    /// A VM with these lines in its configuration.
    struct Fixture {
        store: Mem,
        env: Env,
    }

    impl Fixture {
        fn with(lines: &str) -> Self {
            let store = Mem::new();
            create_dirs(&store, Path::new("/v")).unwrap();
            write_new(&store, Path::new(VMX), lines.as_bytes()).unwrap();
            let env = Env {
                store: Arc::new(store.clone()),
                settings: Settings::default(),
            };
            Self { store, env }
        }

        fn text(&self) -> String {
            String::from_utf8(read_small(&self.store, Path::new(VMX), 1 << 16).unwrap()).unwrap()
        }

        fn add(&self, to: &Connection) -> Result<()> {
            add(&self.env, Path::new(VMX), to, &Job::new())
        }

        fn set(&self, number: u8, to: &Connection) -> Result<()> {
            set(&self.env, Path::new(VMX), number, to, &Job::new())
        }

        fn remove(&self, number: u8) -> Result<()> {
            remove(&self.env, Path::new(VMX), number, &Job::new())
        }
    }

    const ONE: &str = "x = \"y\"\nethernet0.present = \"TRUE\"\nethernet0.virtualDev = \"vmxnet3\"\n\
                       ethernet0.connectionType = \"nat\"\n";

    #[test]
    fn adapter_takes_first_free_place() {
        let vm = Fixture::with(&format!("{ONE}ethernet1.address = \"old\"\n"));
        vm.add(&Connection::Custom("VMnet2".into())).unwrap();
        let added = "ethernet1.present = \"TRUE\"\nethernet1.addressType = \"generated\"\n\
                     ethernet1.virtualDev = \"vmxnet3\"\nethernet1.connectionType = \"custom\"\n\
                     ethernet1.vnet = \"/dev/vmnet2\"\n";
        assert_eq!(vm.text(), format!("{ONE}{added}"));
    }

    #[test]
    fn adapter_is_connected_elsewhere() {
        let vm = Fixture::with(ONE);
        vm.set(0, &Connection::Custom("vmnet7".into())).unwrap();
        assert!(vm.text().contains("ethernet0.vnet = \"/dev/vmnet7\""));
        vm.set(0, &Connection::HostOnly).unwrap();
        assert_eq!(vm.text(), ONE.replace("\"nat\"", "\"hostonly\""));
    }

    #[test]
    fn removed_adapter_leaves_nothing() {
        let vm = Fixture::with(&format!("{ONE}ETHERNET0.PRESENT = \"TRUE\"\n"));
        vm.remove(0).unwrap();
        assert_eq!(vm.text(), "x = \"y\"\n");
    }

    #[test]
    fn wrong_edits_change_nothing() {
        let full: String = (0..MOST)
            .map(|n| format!("ethernet{n}.present = \"TRUE\"\n"))
            .collect();
        let full = Fixture::with(&full);
        let one = Fixture::with(ONE);
        for refused in [
            full.add(&Connection::Nat),
            one.set(1, &Connection::Nat),
            one.remove(1),
            one.set(0, &Connection::Custom("eth0".into())),
            one.add(&Connection::Custom("vmnet256".into())),
        ] {
            assert_eq!(refused.unwrap_err().kind(), Kind::Argument);
        }
        assert_eq!(one.text(), ONE);
    }

    #[test]
    fn suspended_vm_keeps_its_adapters() {
        let vm = Fixture::with(&format!("{ONE}checkpoint.vmState = \"a.vmss\"\n"));
        for refused in [vm.add(&Connection::Nat), vm.remove(0)] {
            assert_eq!(refused.unwrap_err().kind(), Kind::VmRunning);
        }
    }
}
