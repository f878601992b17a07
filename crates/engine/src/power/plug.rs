//! Devices of a running VM plugged in and pulled: adapters' cables, CDs.

use std::path::Path;

use super::halted::Held;
use super::machine::drive_name;
use super::media;
use super::qmp::Control;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::vm::{Env, VmFolder, state};

/// Plugs a device of the VM at `vmx` in, or pulls it.
///
/// # Errors
/// `VmNotRunning`; `Argument` where there is no such device; `NotSupported` for one that stays as it
/// is while the VM runs.
pub(crate) fn connect(
    env: &Env,
    vmx: &Path,
    device: &str,
    connected: bool,
    job: &Job,
) -> Result<()> {
    job.check()?;
    let vm = env.open(vmx)?;
    state::read(env, &vm).require_on(vm.vmx())?;
    let name = device.to_ascii_lowercase();
    if let Some(nic) = vm.config.nics().iter().find(|nic| nic.device() == name) {
        if connected && !nic.start_connected {
            let why =
                "was started without a network: set its startConnected, and start the VM again";
            return Err(refusal(&vm, device, why));
        }
        return Held::take(env, &vm, job)?.ask(|control| control.set_link(&name, connected));
    }
    let drives = vm.config.cd_drives();
    let drive = drives.iter().find(|drive| drive.device == name);
    match drive.and_then(|drive| Some((drive, drive.node?))) {
        Some((drive, node)) => {
            let image = drive.image.as_deref().filter(|_| connected);
            if connected && image.is_none() {
                return Err(refusal(&vm, device, "has no image that could be put in"));
            }
            let image = image.map(|name| media::image(env, &vm, name, true));
            let image = image.transpose()?;
            let name = drive_name(node);
            Held::take(env, &vm, job)?.ask(|control| put_in(control, &name, image.as_deref()))
        }
        None if knows(&vm, &name) => Err(refusal(&vm, device, "stays as it is while the VM runs")),
        None => {
            let text = format!("{} has no device \"{}\"", quoted(vm.vmx()), escaped(device));
            Err(Error::new(Kind::Argument, text).at(vm.vmx()))
        }
    }
}

fn put_in(control: &mut Control, drive: &str, image: Option<&Path>) -> Result<()> {
    match image {
        Some(image) => control.insert(drive, image),
        None => control.eject(drive),
    }
}

fn knows(vm: &VmFolder, device: &str) -> bool {
    let prefix = format!("{device}.");
    let mut names = vm.config.dict().names();
    names.any(|name| name.to_ascii_lowercase().starts_with(&prefix))
}

fn refusal(vm: &VmFolder, device: &str, why: &str) -> Error {
    let text = format!("{}: {} {why}", quoted(vm.vmx()), escaped(device));
    Error::new(Kind::NotSupported, text).at(vm.vmx())
}
