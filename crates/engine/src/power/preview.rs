//! What a start would do, said before anybody tries.

use super::accelerator::Choice;
use super::machine::{Machine, Parts};
use super::present::require_runs;
use super::runtime::Runtime;
use super::shares::Shares;
use super::start::{find_firmware, find_program};
use super::{media, saved};
use crate::error::Error;
use crate::network::Attachment;
use crate::vm::{Boot, DeviceInfo, Env, Firmware, VmFolder};

/// What can be said about starting a VM here.
pub(crate) struct Preview {
    /// The accelerator and why it was chosen; `None` where no VM can be started.
    pub(crate) accelerator: Option<String>,
    /// Whether the VM boots.
    pub(crate) boot: Boot,
    /// What its devices become.
    pub(crate) devices: Vec<DeviceInfo>,
    /// What is substituted or missing, what the devices tell included.
    pub(crate) remarks: Vec<String>,
}

/// Says how `vm` would run here; `known` stands in its way and is told already.
pub(crate) fn preview(env: &Env, vm: &VmFolder, known: &[String]) -> Preview {
    let choice = Choice::of(&env.settings);
    let config = &vm.config;
    let mut errors = Vec::new();
    let mut remarks = Vec::new();
    let ports = media::ports(env, vm, &mut remarks).unwrap_or_else(|error| {
        errors.push(error);
        Vec::new()
    });
    let mut nics = Vec::new();
    for nic in config.nics() {
        match Attachment::of(&nic) {
            Ok(to) => nics.push((nic, to)),
            Err(error) => errors.push(error),
        }
    }
    if let Firmware::Efi { .. } = config.firmware() {
        errors.extend(find_firmware(&*env.store, vm).err());
    }
    errors.extend(saved::suspended_memory(env, vm).err());
    errors.extend(env.require_each_once(vm, config).err());
    // A disk that does not open is known already.
    let disks = config.disks();
    let chains = disks
        .iter()
        .filter_map(|slot| env.disk(vm, &slot.file_name).ok());
    errors.extend(chains.filter_map(|chain| require_runs(&chain).err()));
    let program = find_program("qemu-system-x86_64");
    let accelerator = program.is_ok();
    errors.extend(program.err());
    let shares = Shares::of(env, vm).unwrap_or_else(|error| {
        errors.push(error);
        Shares::default()
    });
    let mut obstacles = known.to_vec();
    obstacles.extend(errors.iter().map(Error::with_advice));
    obstacles.extend(config.remote_display().err());
    let runtime = Runtime::of(vm.vmx());
    let machine = Machine::of(&Parts {
        config,
        name: "",
        accelerator: choice.word(),
        resumed: None,
        display: "none",
        vnc: None,
        disks: config
            .disks()
            .iter()
            .map(|slot| (slot.node, Vec::new()))
            .collect(),
        drives: media::drives(env, vm, &mut remarks),
        ports,
        nics,
        shares: &shares,
        share_links: &|slot, writable| runtime.share_link(slot, writable),
        control: &runtime.socket(),
        agent: &runtime.agent_socket(),
        uefi: None,
    });
    obstacles.extend(machine.obstacles);
    let devices = machine.devices.iter();
    let told = devices.filter_map(|device| device.remark.as_ref());
    for remark in obstacles.iter().chain(told) {
        if !remarks.contains(remark) && !known.contains(remark) {
            remarks.push(remark.clone());
        }
    }
    Preview {
        accelerator: accelerator.then(|| format!("{} ({})", choice.word(), choice.reason)),
        boot: Boot::of(obstacles, machine.doubts),
        devices: machine.devices,
        remarks,
    }
}
