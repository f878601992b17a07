//! Which files outside of its disks a VM is started with: CD and floppy images, outputs of ports.
//!
//! A configuration may come from a stranger: a CD image must be one, and nothing is written outside
//! of the VM's folder and the places that the user allowed (docs/adr/0004).

use std::path::{Path, PathBuf};

use super::machine::Image;
use crate::error::{Kind, Result, quoted};
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
                remarks.push(format!(
                    "{} will be empty: {error}: put the image back, or disconnect the drive",
                    drive.device
                ));
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

/// Returns the image of a drive.
///
/// # Errors
/// `FileNotFound`; `Denied` for what lies out of reach and is no image of a CD.
pub(super) fn image(env: &Env, vm: &VmFolder, name: &str, is_cd: bool) -> Result<PathBuf> {
    let path = vm.require(&*env.store, "image", name)?;
    match env.own_file(vm, name) {
        // Images are kept in one place for all VMs: what is one may be read anywhere.
        Err(error) if error.kind() == Kind::Denied && is_cd => {
            let real = env.store.canonical(&path)?;
            let is_image = is_cd_image(&*env.store, &real)?;
            if is_image { Ok(real) } else { Err(error) }
        }
        found => found.map(|found| found.unwrap_or(path)),
    }
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
                "{0} is not connected: {1} is a name of Windows: give {0}.fileName one of this host",
                port.device,
                quoted(&name)
            );
            remarks.push(text);
            continue;
        }
        let path = match port.end {
            PortEnd::File(_) => env.own_output(vm, &name)?,
            _ => socket(env, vm, &name)?,
        };
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

/// Where a named pipe is: a socket in a folder that the VM may write to.
fn socket(env: &Env, vm: &VmFolder, name: &str) -> Result<PathBuf> {
    let path = files::join(vm.dir(), name);
    // A link would have the guest speak to whoever listens at its end.
    let path = env.store.canonical(&path).unwrap_or(path);
    // What stands there is no regular file; its folder is what counts.
    let folder = env.own_folder(vm, folder_of(&path))?;
    Ok(folder.join(path.file_name().unwrap_or_default()))
}
