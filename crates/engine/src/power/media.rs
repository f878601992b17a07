//! Which files outside of its disks a VM is started with: CD and floppy images, outputs of ports.
//!
//! A configuration may come from a stranger: a CD image must be one, and nothing is written outside
//! of the VM's folder and the places that the user allowed (docs/adr/0004).

use std::path::{Path, PathBuf};

use super::machine::Image;
use crate::error::{Error, Kind, Result, quoted};
use crate::store::{Access, Store, folder_of};
use crate::vm::{Env, Port, PortEnd, VmFolder, files};

/// Where the first volume descriptor of a CD stands, and how far the recognition sequence goes.
const DESCRIPTORS: std::ops::Range<u64> = 16..32;

/// Returns the drives of a VM with the images that are there; what is not there is said.
pub(super) fn drives(env: &Env, vm: &VmFolder, remarks: &mut Vec<String>) -> Vec<Image> {
    let drives = vm
        .config
        .cd_drives()
        .into_iter()
        .chain(vm.config.floppy_drives());
    let mut images = Vec::new();
    for drive in drives {
        let wanted = drive.image.filter(|_| drive.start_connected);
        let path = wanted.and_then(|name| match image(env, vm, &name, drive.node.is_some()) {
            Ok(path) => Some(path),
            Err(error) => {
                remarks.push(format!("{} is empty: {error}", drive.device));
                None
            }
        });
        images.push(Image {
            node: drive.node,
            path,
        });
    }
    images
}

fn image(env: &Env, vm: &VmFolder, name: &str, is_cd: bool) -> Result<PathBuf> {
    let path = vm.require(&*env.store, "image", name)?;
    let real = env.store.canonical(&path)?;
    if is_allowed(env, vm, &real) || (is_cd && is_cd_image(&*env.store, &real)?) {
        return Ok(real);
    }
    Err(denied(
        &real,
        "lies outside the folder of the VM and is no CD image",
    ))
}

/// Whether a file begins as a CD does: ISO 9660 or UDF.
fn is_cd_image(store: &dyn Store, path: &Path) -> Result<bool> {
    let file = store.open(path, Access::Read)?;
    let mut sector = [0; 6];
    for number in DESCRIPTORS {
        if file.read_at(&mut sector, number * 2048)? < sector.len() {
            return Ok(false);
        }
        if matches!(&sector[1..], b"CD001" | b"NSR02" | b"NSR03") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the ports of a VM that are connected, with the host path at their other end.
///
/// # Errors
/// `Denied` for an output outside of the places that the VM may reach.
pub(super) fn ports(
    env: &Env,
    vm: &VmFolder,
    remarks: &mut Vec<String>,
) -> Result<Vec<(Port, PathBuf)>> {
    let ports = vm
        .config
        .serial_ports()
        .into_iter()
        .chain(vm.config.parallel_ports());
    let mut connected = Vec::new();
    for port in ports.filter(|port| port.start_connected) {
        let name = match &port.end {
            PortEnd::File(name) | PortEnd::Pipe { name, .. } => name.clone(),
            PortEnd::Device(_) | PortEnd::Other(_) => continue,
        };
        if files::is_windows_path(&name) {
            let text = format!(
                "{} is not connected: {} is a name of Windows",
                port.device,
                quoted(&name)
            );
            remarks.push(text);
            continue;
        }
        let path = output(env, vm, &name)?;
        let is_client = matches!(port.end, PortEnd::Pipe { server: false, .. });
        if is_client && !env.store.exists(&path) {
            remarks.push(format!(
                "{} is not connected: nobody listens at {}",
                port.device,
                quoted(&path)
            ));
            continue;
        }
        connected.push((port, path));
    }
    Ok(connected)
}

/// Where an output goes: its folder must be one that the VM may write to.
fn output(env: &Env, vm: &VmFolder, name: &str) -> Result<PathBuf> {
    let path = files::join(vm.dir(), name);
    let folder = env.store.canonical(folder_of(&path))?;
    let real = match env.store.canonical(&path) {
        Ok(real) => real,
        Err(_) => folder.join(path.file_name().unwrap_or_default()),
    };
    if is_allowed(env, vm, &real) {
        return Ok(real);
    }
    Err(denied(
        &real,
        "would be written to, outside the folder of the VM",
    ))
}

fn is_allowed(env: &Env, vm: &VmFolder, real: &Path) -> bool {
    let allowed = env
        .settings
        .allow
        .iter()
        .filter_map(|dir| env.store.canonical(dir).ok());
    real.starts_with(vm.dir()) || allowed.into_iter().any(|dir| real.starts_with(dir))
}

fn denied(path: &Path, why: &str) -> Error {
    let hint = format!(
        "allow it with --allow {0}, or \"places.allow\" in the settings",
        quoted(folder_of(path))
    );
    Error::new(Kind::Denied, format!("{} {why}", quoted(path)))
        .at(path)
        .hint(hint)
}
