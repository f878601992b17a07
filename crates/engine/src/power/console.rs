//! How a running VM is seen by its user: the screen, served to VNC clients.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a running VM is seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Console {
    /// The serial ports that a console can be connected to.
    pub serial: Vec<SerialConsole>,
    /// Where VNC clients see the screen; `None` where it is not served.
    pub screen: Option<ScreenServer>,
}

/// A serial port with a socket of the host at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialConsole {
    /// The port: `serial0`.
    pub device: String,
    /// The socket, on the host.
    pub socket: PathBuf,
    /// Whether somebody is connected; whoever comes next waits until they leave.
    pub in_use: bool,
}

/// A VNC server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScreenServer {
    /// The address that it listens at; an unspecified one is all of the host's.
    pub address: IpAddr,
    /// The TCP port.
    pub port: u16,
    /// Whether it asks for a password.
    pub protected: bool,
}

#[cfg(feature = "local")]
pub(crate) use local::console;
#[cfg(feature = "local")]
pub(super) use local::serve;

#[cfg(feature = "local")]
mod local {
    use std::path::Path;

    use super::super::halted::Held;
    use super::super::qmp::Control;
    use super::{Console, SerialConsole};
    use crate::error::{Error, Kind, Result, quoted};
    use crate::job::Job;
    use crate::vm::{Env, RemoteDisplay, VmFolder};

    /// Tells how the VM at `vmx` is seen.
    ///
    /// # Errors
    /// `VmNotRunning`; what QEMU says.
    pub(crate) fn console(env: &Env, vmx: &Path) -> Result<Console> {
        let vm = env.open(vmx)?;
        Held::take(env, &vm, &Job::new())?.ask(|control| {
            let mut serial = Vec::new();
            for (label, end) in control.chardevs()? {
                let port = label.starts_with("serial");
                serial.extend(port.then(|| serial_of(label, &end)).flatten());
            }
            serial.sort_by(|a, b| a.device.cmp(&b.device));
            let screen = control.screen_server()?;
            Ok(Console { serial, screen })
        })
    }

    /// Reads QEMU's words for the end of a port: `disconnected:unix:/run/x,server=on`.
    fn serial_of(device: String, end: &str) -> Option<SerialConsole> {
        let vacant = end.strip_prefix("disconnected:");
        let place = vacant.unwrap_or(end).strip_prefix("unix:")?;
        Some(SerialConsole {
            device,
            socket: place.strip_suffix(",server=on")?.into(),
            in_use: vacant.is_none(),
        })
    }

    /// Serves the screen of a machine that has begun, as `display` says.
    ///
    /// # Errors
    /// `CannotStart` where the port is taken, or the address none of this host's.
    pub(crate) fn serve(
        vm: &VmFolder,
        control: &mut Control,
        display: &RemoteDisplay,
    ) -> Result<()> {
        if let Some(password) = &display.password {
            control.set_screen_password(password)?;
        }
        let (address, port) = (display.listens_at(), display.port);
        control.serve_screen(address, port).map_err(|error| {
            let text = format!(
                "{} did not start: its screen cannot be served at {address}, port {port}: {error}",
                quoted(vm.vmx())
            );
            let hint = "another program or VM may have that port: give the VM another RemoteDisplay.vnc.port, or 0 for one that is free";
            Error::new(Kind::CannotStart, text).at(vm.vmx()).hint(hint)
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_sockets_of_our_own_are_consoles() {
            let of = |end: &str| {
                let port = serial_of("serial0".into(), end)?;
                Some((port.socket.to_str()?.to_owned(), port.in_use))
            };
            let vacant = of("disconnected:unix:/run/a,b:c,server=on");
            assert_eq!(vacant, Some(("/run/a,b:c".into(), false)));
            assert_eq!(of("unix:/run/x,server=on"), Some(("/run/x".into(), true)));
            for end in ["unix:/run/x", "file", "disconnected:tcp:[::1]:1,server=on"] {
                assert_eq!(of(end), None);
            }
        }
    }
}
