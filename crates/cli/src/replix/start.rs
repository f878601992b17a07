//! `replix start VMX`: powers a VM on.

use std::path::{Path, PathBuf};

use replix::error::quoted;
use replix::power::StartSpec;
use replix::{Error, Kind};
use serde_json::json;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;

/// Power a VM on, or resume it if it is suspended
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
    /// Show its screen in a window
    #[arg(long)]
    gui: bool,
}

/// Powers the VM on.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    start(&path, args.gui, session)?;
    session.screen.confirm(&format!("{} runs", quoted(&path)));
    Answer::new(json!({"started": path}))
}

/// Powers the VM at `path` on.
///
/// # Errors
/// What the engine says.
pub(super) fn start(path: &Path, gui: bool, session: &mut Session) -> Result<(), Failure> {
    let path = path.to_path_buf();
    let spec = StartSpec {
        gui,
        ..StartSpec::default()
    };
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
