//! What a start would do, said before anybody tries.

use super::accelerator::Choice;
use super::machine::{Machine, Parts};
use super::media;
use super::runtime::Runtime;
use super::start::find_program;
use crate::network::Attachment;
use crate::vm::{Env, VmFolder};

/// What can be said about starting a VM here.
pub(crate) struct Preview {
    /// The accelerator and why it was chosen; `None` where no VM can be started.
    pub(crate) accelerator: Option<String>,
    /// What is substituted or missing.
    pub(crate) remarks: Vec<String>,
}

/// Says how `vm` would run here.
pub(crate) fn preview(env: &Env, vm: &VmFolder) -> Preview {
    let choice = Choice::of(&env.settings);
    let mut remarks = Vec::new();
    let ports = media::ports(env, vm, &mut remarks).unwrap_or_else(|error| {
        remarks.push(error.to_string());
        Vec::new()
    });
    remarks.extend(vm.config.remote_display().err());
    let mut nics = Vec::new();
    for nic in vm.config.nics() {
        match Attachment::of(&nic) {
            Ok(to) => nics.push((nic, to)),
            Err(error) => remarks.push(format!("{error}: {}", error.advice().unwrap_or_default())),
        }
    }
    let machine = Machine::of(&Parts {
        config: &vm.config,
        name: "",
        accelerator: choice.word(),
        resumed: None,
        display: "none",
        vnc: None,
        disks: vm
            .config
            .disks()
            .iter()
            .map(|slot| (slot.node, Vec::new()))
            .collect(),
        drives: media::drives(env, vm, &mut remarks),
        ports,
        nics,
        control: &Runtime::of(vm.vmx()).socket(),
        agent: &Runtime::of(vm.vmx()).agent_socket(),
        uefi: None,
    });
    remarks.extend(machine.remarks);
    let accelerator = match find_program("qemu-system-x86_64") {
        Ok(_) => Some(format!("{} ({})", choice.word(), choice.reason)),
        Err(error) => {
            remarks.push(format!("{error}: {}", error.advice().unwrap_or_default()));
            None
        }
    };
    Preview {
        accelerator,
        remarks,
    }
}
