//! `replix ip VM`: the address of its guest.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use replix::error::quoted;
use replix::vm::{Variable, VariableKind};
use replix::{Error, Kind};
use serde_json::json;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;

/// Show the address that a VM's guest has on a network of this host
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
    /// Wait so long for the guest to ask for one
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// How often a guest's address is looked for.
const PAUSE: Duration = Duration::from_millis(100);

/// Shows the address; that of the first adapter that has one.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    let (vm, wait) = (path.clone(), Duration::from_secs(args.wait));
    let variable = Variable {
        kind: VariableKind::Guest,
        name: "ip".into(),
    };
    let address = session.run(move |host, job| {
        let begin = Instant::now();
        loop {
            job.check()?;
            let address = host.read_variable(&vm, &variable)?;
            if !address.is_empty() || begin.elapsed() >= wait {
                return Ok(address);
            }
            std::thread::sleep(PAUSE);
        }
    })?;
    if address.is_empty() {
        let text = format!("{} has no address that is known here", quoted(&path));
        let hint = "its guest may still boot (--wait SECONDS), or be on no network of this host: replix info VMX";
        return Err(Error::new(Kind::Timeout, text).at(&path).hint(hint).into());
    }
    session.screen.show(&format!("{address}\n"));
    Answer::new(json!({"vm": path, "address": address}))
}
