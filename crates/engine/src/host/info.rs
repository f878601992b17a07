//! Everything that can be said of a VM without starting it. What is missing is said, with its cure.

use std::path::Path;

use crate::error::{Error, Result, quoted};
use crate::format::Vmsd;
use crate::network;
use crate::power;
use crate::vm::{
    DiskInfo, DiskSlot, Env, MediumInfo, NicInfo, PortEnd, Standing, VmFolder, VmInfo, VmSummary,
    clone_standing, files, kin,
};

/// So many linked clones that are not where they were are looked for: each costs a search.
const MOST_ABSENT: usize = 100;

/// Describes the VM at `vmx`.
///
/// # Errors
/// Those of opening the `.vmx` itself.
pub(super) fn info(env: &Env, vmx: &Path) -> Result<VmInfo> {
    let vm = env.open(vmx)?;
    let config = &vm.config;
    let state = power::state(env, &vm);
    let mut warnings = config.warnings();
    warnings.extend(state.cure());
    let vmsd = env
        .vmsd(&vm)
        .map_err(|error| warnings.push(error.with_advice()))
        .ok();
    let mut obstacles = Vec::new();
    if let Some(reason) = config.encryption() {
        obstacles.push(format!(
            "the VM is encrypted ({reason}): it cannot be cloned or started here"
        ));
    }
    let disks: Vec<DiskInfo> = config
        .disks()
        .iter()
        .map(|slot| disk(env, &vm, slot, &mut warnings, &mut obstacles))
        .collect();
    warnings.extend(obstacles.iter().cloned());
    let media = media(env, &vm);
    let snapshots = vmsd.as_ref().map_or(&[][..], Vmsd::snapshots);
    let current = vmsd
        .as_ref()
        .and_then(|vmsd| vmsd.snapshot(vmsd.current()?));
    let clone_of = vmsd.as_ref().and_then(Vmsd::clone_of);
    let clones: Vec<String> = snapshots
        .iter()
        .flat_map(|entry| &entry.clones)
        .map(String::from)
        .collect();
    if vmsd.as_ref().is_some_and(Vmsd::needs_consolidation) {
        warnings
            .push("disks of snapshots that are gone wait to be merged: consolidate them".into());
    }
    warnings.extend(kin_warnings(env, &vm, clone_of.as_deref(), &clones));
    warnings.extend(place_warnings(env, &vm));
    let machine = power::preview(env, &vm, &obstacles);
    // A missing image is told already, with its cure.
    let missing = media.iter().filter(|medium| !medium.present);
    let told: Vec<String> = missing
        .map(|m| format!("{} is empty: ", m.device))
        .collect();
    let is_news = |remark: &String| !told.iter().any(|told| remark.starts_with(told));
    warnings.extend(machine.remarks.into_iter().filter(is_news));
    Ok(VmInfo {
        path: vm.vmx().to_path_buf(),
        display_name: vm.display_name(),
        guest_os: config.guest_os(),
        hardware_version: config.hardware_version(),
        memory_mib: config.memory_mib(),
        cpus: config.cpus(),
        firmware: config.firmware().as_str().to_owned(),
        uuid_bios: config.uuid_bios(),
        read_only: !env.is_writable(&vm),
        encrypted: config.encryption().is_some(),
        state: state.state,
        holder: state.holder(),
        disks,
        media,
        nics: nics(&vm),
        snapshots: snapshots.len(),
        current_snapshot: current.map(|entry| entry.display_name.clone()),
        clone_of,
        clones,
        template: config.is_template(),
        accelerator: machine.accelerator,
        boot: machine.boot,
        devices: machine.devices,
        warnings,
    })
}

/// Tells what the configuration of the VM at `vmx` says.
///
/// # Errors
/// Those of opening the `.vmx` itself.
pub(super) fn summary(env: &Env, vmx: &Path) -> Result<VmSummary> {
    let vm = env.open(vmx)?;
    Ok(VmSummary {
        display_name: vm.display_name(),
        guest_os: vm.config.guest_os(),
        memory_mib: vm.config.memory_mib(),
        cpus: vm.config.cpus(),
        read_only: !env.is_writable(&vm),
        encrypted: vm.config.encryption().is_some(),
        has_agent: power::knows_agent(env, &vm),
    })
}

/// Tells why disks of the VM at `vmx` cannot be used.
///
/// # Errors
/// Those of opening the `.vmx` itself.
pub(super) fn disk_problems(env: &Env, vmx: &Path) -> Result<Vec<String>> {
    let vm = env.open(vmx)?;
    let disks = vm.config.disks();
    let problem = |slot: &DiskSlot| disk(env, &vm, slot, &mut Vec::new(), &mut Vec::new()).problem;
    Ok(disks.iter().filter_map(problem).collect())
}

/// Describes a disk; why it cannot be used, with the cure, is an obstacle.
fn disk(
    env: &Env,
    vm: &VmFolder,
    slot: &DiskSlot,
    warnings: &mut Vec<String>,
    obstacles: &mut Vec<String>,
) -> DiskInfo {
    let mut info = DiskInfo {
        node: slot.node.to_string(),
        file_name: slot.file_name.clone(),
        path: None,
        mode: slot.mode.as_str().to_owned(),
        create_type: None,
        capacity_bytes: 0,
        depth: 0,
        own_bytes: 0,
        shared_bytes: 0,
        problem: None,
    };
    let found = vm.find(&*env.store, &slot.file_name);
    warnings.extend(
        found
            .as_ref()
            .and_then(|found| VmFolder::remark(&slot.file_name, found)),
    );
    let problem = match slot.raw {
        true => Err(Error::new(
            crate::Kind::DiskUnsupported,
            format!("{} is a disk of the host, not a file", slot.node),
        )),
        false => read_disk(env, vm, slot, &mut info),
    };
    if let Err(error) = problem {
        obstacles.push(format!("{}: {}", slot.node, error.with_advice()));
        info.problem = Some(error.to_string());
    }
    info
}

/// Fills in what the disk's files say; the first thing wrong with them is the error.
fn read_disk(env: &Env, vm: &VmFolder, slot: &DiskSlot, info: &mut DiskInfo) -> Result<()> {
    let path = vm.require(&*env.store, "disk", &slot.file_name)?;
    info.path = Some(path.clone());
    let survey = env.opener(vm)?.survey(&path)?;
    for (depth, link) in survey.links.iter().enumerate() {
        let bytes = link.allocated_bytes(&*env.store).unwrap_or(0);
        match depth {
            0 => info.own_bytes = bytes,
            _ => info.shared_bytes += bytes,
        }
    }
    if let Some(top) = survey.links.first() {
        info.create_type = Some(top.create_type().word().to_owned());
        info.capacity_bytes = top.sectors() * 512;
    }
    match survey.problem {
        Some(problem) => Err(problem),
        None => {
            info.depth = survey.links.len();
            Ok(())
        }
    }
}

fn media(env: &Env, vm: &VmFolder) -> Vec<MediumInfo> {
    let mut media = Vec::new();
    let cds = vm
        .config
        .cd_drives()
        .into_iter()
        .map(|drive| (drive, "cdrom-image"));
    let floppies = vm
        .config
        .floppy_drives()
        .into_iter()
        .map(|drive| (drive, "floppy"));
    for (drive, kind) in cds.chain(floppies) {
        let Some(file_name) = drive.image else {
            continue;
        };
        let present = vm.find(&*env.store, &file_name).is_some();
        media.push(MediumInfo {
            device: drive.device,
            kind: kind.into(),
            file_name,
            present,
        });
    }
    let ports = vm
        .config
        .serial_ports()
        .into_iter()
        .chain(vm.config.parallel_ports());
    for port in ports {
        let kind = port
            .device
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .to_owned();
        if let PortEnd::File(file_name) = port.end {
            let kind = format!("{kind}-file");
            media.push(MediumInfo {
                device: port.device,
                kind,
                file_name,
                present: true,
            });
        }
    }
    media
}

fn nics(vm: &VmFolder) -> Vec<NicInfo> {
    let info = |nic: crate::vm::Nic| NicInfo {
        reachable: network::is_reachable(&nic),
        device: nic.device(),
        model: nic.model,
        connection: nic.connection,
        address_type: nic.address_type,
        mac: nic.mac,
    };
    vm.config.nics().into_iter().map(info).collect()
}

/// What lies where the VM may not reach, and will be refused when it is needed.
fn place_warnings(env: &Env, vm: &VmFolder) -> Vec<String> {
    let names = [vm.config.nvram(), vm.config.extended_config()];
    let files = names.into_iter().flatten();
    files
        .filter_map(|name| env.own_file(vm, &name).err())
        .chain(env.working_dir(vm).err())
        .map(|error| error.with_advice())
        .collect()
}

fn kin_warnings(env: &Env, vm: &VmFolder, parent: Option<&str>, clones: &[String]) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(parent) = parent.filter(|name| kin::locate(env, vm, name).is_none()) {
        let place = quoted(files::last_part(parent));
        warnings.push(format!(
            "the VM that this one is a linked clone of is not at {}: bring {place} and its disks back",
            quoted(parent)
        ));
    }
    let mut absent = 0;
    for (number, clone) in clones.iter().enumerate() {
        if absent == MOST_ABSENT {
            let rest = clones.len() - number;
            warnings.push(format!("{rest} more linked clones were not looked for"));
            break;
        }
        let standing = clone_standing(env, vm, clone);
        absent += usize::from(standing != Standing::Living);
        if standing == Standing::Gone {
            warnings.push(format!("the linked clone {} is gone", quoted(clone)));
        }
    }
    warnings
}
