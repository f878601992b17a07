//! Serial and parallel ports.

use std::path::{Path, PathBuf};

use super::super::agent::CHARDEV;
use super::{Machine, Parts, escape};
use crate::vm::{DeviceInfo, Port};

/// What a port is connected to on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// The user's console; a file collects what the guest says, if there is one.
    Console {
        /// Where the console connects to.
        socket: PathBuf,
        /// The file.
        log: Option<PathBuf>,
    },
    /// A file that collects what the guest says.
    File(PathBuf),
    /// A socket that QEMU makes.
    Server(PathBuf),
    /// A socket that somebody else has.
    Client(PathBuf),
}

impl Machine {
    pub(super) fn ports(&mut self, parts: &Parts) {
        for (port, wire) in &parts.ports {
            self.port(port, wire);
        }
        let config = parts.config;
        for port in config.serial_ports().iter().chain(&config.parallel_ports()) {
            let wire = parts
                .ports
                .iter()
                .find(|(other, _)| other.device == port.device);
            let device = if port.is_serial() {
                "isa-serial"
            } else {
                "isa-parallel"
            };
            let (name, kind) = (&port.device, port.end.as_str());
            self.found(match wire {
                None => DeviceInfo::missing(name, kind),
                Some((_, Wire::Console { log: None, .. })) => {
                    DeviceInfo::substitute(name, kind, device)
                }
                Some(_) => DeviceInfo::same(name, kind, device),
            });
        }
    }

    /// The port of the agent in the guest, on a bus of its own, after all devices of the VM's: their
    /// places on the board do not depend on it.
    pub(super) fn agent(&mut self, socket: &Path) {
        let path = escape(&socket.to_string_lossy());
        let end = format!("socket,id={CHARDEV},path={path},server=on,wait=off");
        self.arg("-chardev", end);
        self.arg("-device", "virtio-serial-pci,id=channels,max_ports=2");
        let port =
            format!("virtserialport,bus=channels.0,chardev={CHARDEV},name=org.qemu.guest_agent.0");
        self.arg("-device", port);
    }

    fn port(&mut self, port: &Port, wire: &Wire) {
        let name = &port.device;
        let text = |path: &Path| escape(&path.to_string_lossy());
        let end = match wire {
            Wire::Console { socket, log } => {
                // What an earlier run wrote is the user's.
                self.written.extend(log.clone());
                let log = log.as_deref().map(text);
                let log = log.map_or(String::new(), |log| format!(",logfile={log},logappend=on"));
                let path = text(socket);
                format!("socket,id={name},path={path},server=on,wait=off{log}")
            }
            Wire::File(path) => {
                self.written.push(path.clone());
                format!("file,id={name},path={},append=on", text(path))
            }
            Wire::Server(path) => {
                let path = text(path);
                format!("socket,id={name},path={path},server=on,wait=off")
            }
            Wire::Client(path) => {
                let path = text(path);
                format!("socket,id={name},path={path},server=off,reconnect=1")
            }
        };
        self.arg("-chardev", end);
        let kind = if port.is_serial() {
            "isa-serial"
        } else {
            "isa-parallel"
        };
        self.arg(
            "-device",
            format!("{kind},chardev={name},index={}", port.number),
        );
    }
}
