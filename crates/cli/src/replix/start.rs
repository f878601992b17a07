//! `replix start VMX`: powers a VM on.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use replix::error::quoted;
use replix::power::StartSpec;
use replix::vm::RemoteDisplay;
use replix::{Error, Kind};
use serde_json::json;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;

/// No line with a password is longer, in bytes.
const LONGEST_LINE: u64 = 4096;

/// Power a VM on, or resume it if it is suspended
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
    /// Show its screen in a window
    #[arg(long)]
    gui: bool,
    /// Serve its screen to VNC clients: at ADDRESS:PORT, ADDRESS or PORT; by itself, on this host
    /// alone and at a port that is free
    #[arg(long, value_name = "PLACE", num_args = 0..=1, require_equals = true, default_missing_value = "0", value_parser = place_of)]
    vnc: Option<(Option<IpAddr>, u16)>,
    /// A file whose first line VNC clients are asked for
    #[arg(long, value_name = "FILE", requires = "vnc")]
    vnc_password_file: Option<PathBuf>,
}

/// Reads where a screen is to be served.
fn place_of(text: &str) -> Result<(Option<IpAddr>, u16), String> {
    let place = text.parse::<SocketAddr>();
    let place = place.map(|place| (Some(place.ip()), place.port()));
    let address = || text.parse().map(|address| (Some(address), 0));
    let port = || text.parse().map(|port| (None, port));
    place
        .or_else(|_| address())
        .or_else(|_| port())
        .map_err(|_| "no IP address with a port".to_string())
}

/// Powers the VM on.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    let spec = StartSpec {
        gui: args.gui,
        vnc: remote_display(args)?,
        ..StartSpec::default()
    };
    start(&path, spec, session)?;
    session.screen.confirm(&format!("{} runs", quoted(&path)));
    if args.vnc.is_none() {
        return Answer::new(json!({"started": path}));
    }
    // A VM that has ended already was started all the same.
    let console = session.host().provider().console(&path).ok();
    let screen = console.and_then(|console| console.screen);
    if let Some(screen) = &screen {
        let place = SocketAddr::new(screen.address, screen.port);
        let line = format!("its screen is at {place}, for VNC clients");
        session.screen.confirm(&line);
    }
    Answer::new(json!({"started": path, "screen": screen}))
}

fn remote_display(args: &Args) -> Result<Option<RemoteDisplay>, Failure> {
    let Some((address, port)) = args.vnc else {
        return Ok(None);
    };
    let password = args.vnc_password_file.as_deref().map(first_line);
    Ok(Some(RemoteDisplay {
        address,
        port,
        password: password.transpose()?,
    }))
}

/// Reads the first line of a file; the command line is read by others.
fn first_line(file: &Path) -> Result<String, Error> {
    let open = File::open(file).map_err(|error| Error::io("open", file, error))?;
    let mut line = String::new();
    BufReader::new(open.take(LONGEST_LINE))
        .read_line(&mut line)
        .map_err(|error| Error::io("read", file, error))?;
    let line = line.trim_end_matches(['\r', '\n']);
    match line {
        "" => {
            let text = format!("the first line of {} is empty", quoted(file));
            Err(Error::new(Kind::Argument, text).at(file))
        }
        line => Ok(line.to_owned()),
    }
}

/// Powers the VM at `path` on.
///
/// # Errors
/// What the engine says.
pub(super) fn start(path: &Path, spec: StartSpec, session: &mut Session) -> Result<(), Failure> {
    let path = path.to_path_buf();
    session.run(move |host, job| {
        refuse_template(host.info(&path)?.template, &path)?;
        host.power_on(&path, &spec, job)
    })
}

/// A template is there to be cloned: what a running one wrote would be in every later clone.
fn refuse_template(is_template: bool, path: &Path) -> replix::Result<()> {
    if !is_template {
        return Ok(());
    }
    let text = format!("{} is a template", quoted(path));
    let hint = "clone it and start the clone, or take templateVM out of its configuration";
    Err(Error::new(Kind::Template, text).at(path).hint(hint))
}
