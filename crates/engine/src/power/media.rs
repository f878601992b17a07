//! Which files outside of its disks a VM is started with: CD and floppy images, outputs of ports.
//!
//! A configuration may come from a stranger: an image that lies elsewhere must be one, and nothing is
//! written outside of the VM's folder and the places that the user allowed (docs/adr/0004).

use std::path::{Path, PathBuf};

use super::machine::{Image, Wire};
use super::runtime::Runtime;
use crate::error::{Kind, Result, quoted};
use crate::format::floppy;
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
            Ok(path) => {
                if drive.node.is_none() && !env.is_own_place(vm, &path) {
                    remarks.push(format!(
                        "{} is write-protected: {} lies outside the folder of its VM",
                        drive.device,
                        quoted(&path)
                    ));
                }
                Some(path)
            }
            Err(error) => {
                let is_out_of_reach = error.kind() == Kind::Denied;
                let cure = error.advice().filter(|_| is_out_of_reach);
                let cure = cure.unwrap_or("put the image back");
                remarks.push(format!(
                    "{} will be empty: {error}: {cure}, or disconnect the drive",
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
/// `FileNotFound`; `Denied` for what lies out of reach and is no image of a CD, or of a floppy disk.
pub(super) fn image(env: &Env, vm: &VmFolder, name: &str, is_cd: bool) -> Result<PathBuf> {
    let path = vm.require(&*env.store, "image", name)?;
    match env.own_file(vm, name) {
        // Images are kept in one place for all VMs: what is one may be read anywhere.
        Err(error) if error.kind() == Kind::Denied => {
            let real = env.store.canonical(&path)?;
            let is_image = match is_cd {
                true => is_cd_image(&*env.store, &real)?,
                false => is_floppy_image(&*env.store, &real)?,
            };
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

/// Whether a file is as large as a floppy disk, and begins as one.
fn is_floppy_image(store: &dyn Store, path: &Path) -> Result<bool> {
    let file = store.open(path, Access::Read)?;
    let mut sector = [0; floppy::SECTOR_BYTES];
    let is_whole = file.read_at(&mut sector, 0)? == sector.len();
    Ok(is_whole && floppy::is_image(&sector, file.len()?))
}

/// Returns the ports of a VM that are connected, with what is at their other end.
///
/// A serial port is in the machine even where nothing of this host can be at its end: its user's
/// console is.
///
/// # Errors
/// `Denied` for an output outside of the places that the VM may reach.
pub(super) fn ports(
    env: &Env,
    vm: &VmFolder,
    remarks: &mut Vec<String>,
) -> Result<Vec<(Port, Wire)>> {
    let ports = vm
        .config
        .serial_ports()
        .into_iter()
        .chain(vm.config.parallel_ports());
    let mut connected = Vec::new();
    for port in ports.filter(|port| port.start_connected) {
        let wire = match wire(env, vm, &port)? {
            Ok(wire) => Some(wire),
            Err(why) => {
                let console = port.is_serial();
                let rest = if console { "; replix console is" } else { "" };
                remarks.push(format!("{} is not connected{rest}: {why}", port.device));
                console.then(|| console_of(vm, &port, None))
            }
        };
        connected.extend(wire.map(|wire| (port, wire)));
    }
    Ok(connected)
}

/// What is at the other end of a port, or why nothing is.
fn wire(env: &Env, vm: &VmFolder, port: &Port) -> Result<std::result::Result<Wire, String>> {
    let name = match &port.end {
        PortEnd::File(name) | PortEnd::Pipe { name, .. } => name,
        PortEnd::Device(_) | PortEnd::Other(_) => {
            return Ok(Err("only files and pipes are".into()));
        }
    };
    if files::is_windows_path(name) {
        return Ok(Err(format!(
            "{} is a name of Windows: give {}.fileName one of this host",
            quoted(name),
            port.device
        )));
    }
    let wire = match port.end {
        PortEnd::Pipe { server: true, .. } => Wire::Server(socket(env, vm, name)?),
        PortEnd::Pipe { server: false, .. } => {
            let path = socket(env, vm, name)?;
            if !env.store.exists(&path) {
                return Ok(Err(format!("nobody listens at {}", quoted(&path))));
            }
            Wire::Client(path)
        }
        _ => {
            let path = env.own_output(vm, name)?;
            match port.is_serial() {
                true => console_of(vm, port, Some(path)),
                false => Wire::File(path),
            }
        }
    };
    Ok(Ok(wire))
}

fn console_of(vm: &VmFolder, port: &Port, log: Option<PathBuf>) -> Wire {
    let socket = Runtime::of(vm.vmx()).port_socket(&port.device);
    Wire::Console { socket, log }
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
