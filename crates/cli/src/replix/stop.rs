//! `replix stop VMX`: powers a VM off.

use std::path::PathBuf;

use replix::error::quoted;
use replix::power::StopMode;
use serde_json::json;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;

/// Power a VM off: its guest is asked to shut down
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
    /// Cut the power instead of asking the guest
    #[arg(long)]
    hard: bool,
}

/// Powers the VM off.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    let mode = if args.hard {
        StopMode::Hard
    } else {
        StopMode::Soft
    };
    let vm = path.clone();
    session.run(move |host, job| host.power_off(&vm, mode, job))?;
    session.screen.confirm(&format!("{} is off", quoted(&path)));
    Answer::new(json!({"stopped": path}))
}
