//! `replix console VM`: the serial port of a running VM on this terminal, or where its screen is.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use replix::error::{escaped, quoted};
use replix::power::{Console, SerialConsole};
use replix::{Error, Kind};
use serde_json::json;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;
use crate::attach::{Ended, attach};

/// Be at the serial port of a running VM, or see where its screen is
///
/// On a terminal every key goes to the guest, Ctrl-C too; Ctrl-] leaves. Where input or output is
/// a pipe or a file, they are copied as they are, until the VM is off, the time is up, or the
/// output is closed. The end of the input alone ends nothing.
///
/// With --json, says where the serial ports and the screen are.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
    /// The serial port, where there are more than one
    #[arg(long, value_name = "NUMBER", conflicts_with = "vnc")]
    port: Option<u8>,
    /// Leave after so long
    #[arg(long = "for", value_name = "SECONDS", conflicts_with = "vnc")]
    limit: Option<u64>,
    /// Say where VNC clients see the screen
    #[arg(long)]
    vnc: bool,
}

/// Attaches the console, or says where the screen is.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let vm = session.vm(&args.vmx)?;
    let console = vm.console()?;
    let about = |error: Error| error.at(vm.path());
    if args.vnc {
        let place = screen(&console).map_err(about)?;
        session.screen.show(&format!("{place}\n"));
    } else if !session.screen.is_json() {
        let port = serial(&console, args.port).map_err(about)?;
        let failed = |error| Error::io("connect to", &port.socket, error);
        let stream = UnixStream::connect(&port.socket).map_err(failed)?;
        let greeting = format!("{} of {}: Ctrl-] leaves", port.device, quoted(vm.path()));
        let limit = args.limit.map(Duration::from_secs);
        let ended = attach(stream, limit, || session.screen.remark(&greeting)).map_err(failed)?;
        if ended == Ended::Off {
            let line = format!("{} is off", quoted(vm.path()));
            session.screen.remark(&line);
        }
    }
    Answer::new(json!({"vm": vm.path(), "serial": console.serial, "screen": console.screen}))
}

fn screen(console: &Console) -> replix::Result<SocketAddr> {
    let screen = console.screen.as_ref().ok_or_else(|| {
        let hint = "set RemoteDisplay.vnc.enabled, or use replix start --vnc, when it starts again";
        Error::new(Kind::NotSupported, "its screen is not served").hint(hint)
    })?;
    Ok(SocketAddr::new(screen.address, screen.port))
}

/// Chooses the port: the one that was asked for, else the first.
fn serial(console: &Console, number: Option<u8>) -> replix::Result<&SerialConsole> {
    let wanted = number.map(|number| format!("serial{number}"));
    let fits = |port: &&SerialConsole| wanted.as_ref().is_none_or(|name| *name == port.device);
    let Some(port) = console.serial.iter().find(fits) else {
        let name = wanted.as_deref().unwrap_or("serial0");
        let text = format!("it has no serial port {name} for a console");
        let hint = format!(
            "set {name}.present = \"TRUE\" and start it again; a pipe whose other end is the server has no place for one"
        );
        return Err(Error::new(Kind::NotSupported, text).hint(hint));
    };
    if port.in_use {
        let text = format!("somebody is at {} already", escaped(&port.device));
        let hint = "leave the other console first";
        return Err(Error::new(Kind::FileLocked, text).hint(hint));
    }
    Ok(port)
}
