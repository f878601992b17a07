//! Serial and parallel ports.

use std::path::Path;

use super::super::agent::CHARDEV;
use super::{Machine, Parts, escape};
use crate::vm::{Port, PortEnd};

impl Machine {
    pub(super) fn ports(&mut self, parts: &Parts) {
        for (port, path) in &parts.ports {
            self.port(port, &escape(&path.to_string_lossy()));
        }
        for port in parts
            .config
            .serial_ports()
            .iter()
            .chain(&parts.config.parallel_ports())
        {
            if let PortEnd::Device(_) | PortEnd::Other(_) = port.end {
                self.remark(format!(
                    "{} is not connected: only files and pipes are",
                    port.device
                ));
            }
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

    fn port(&mut self, port: &Port, path: &str) {
        let name = &port.device;
        let end = match &port.end {
            // What an earlier run wrote is the user's.
            PortEnd::File(_) => format!("file,id={name},path={path},append=on"),
            PortEnd::Pipe { server: true, .. } => {
                format!("socket,id={name},path={path},server=on,wait=off")
            }
            PortEnd::Pipe { server: false, .. } => {
                format!("socket,id={name},path={path},server=off,reconnect=1")
            }
            PortEnd::Device(_) | PortEnd::Other(_) => return,
        };
        self.arg("-chardev", end);
        let kind = if name.starts_with("serial") {
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
