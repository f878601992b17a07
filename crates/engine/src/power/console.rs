//! How a running VM is seen by its user: the screen, served to VNC clients.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// How a running VM is seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Console {
    /// Where VNC clients see the screen; `None` where it is not served.
    pub screen: Option<ScreenServer>,
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
    use super::Console;
    use crate::error::{Error, Kind, Result, quoted};
    use crate::job::Job;
    use crate::vm::{Env, RemoteDisplay, VmFolder};

    /// Tells how the VM at `vmx` is seen.
    ///
    /// # Errors
    /// `VmNotRunning`; what QEMU says.
    pub(crate) fn console(env: &Env, vmx: &Path) -> Result<Console> {
        let vm = env.open(vmx)?;
        let screen = Held::take(env, &vm, &Job::new())?.ask(Control::screen_server)?;
        Ok(Console { screen })
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
}
