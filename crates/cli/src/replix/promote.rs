//! `replix promote VMX`: makes a linked clone a full one.

use std::path::{Path, PathBuf};

use replix::clone::{PromoteSpec, Promoted};
use replix::error::quoted;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;
use crate::text::{count, size};

/// Make a linked clone independent of the VM that it stands on
///
/// What it shares is copied, also while it runs. Its snapshots stay. Until all is copied it is a linked
/// clone as before, and so it stays if this is cancelled.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The linked clone: its .vmx, or its folder
    vmx: PathBuf,
}

/// Promotes.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    let done = promote(&path, PromoteSpec::default(), session)?;
    Answer::new(done)
}

/// Makes the linked clone at `path` independent, and says so.
pub(super) fn promote(
    path: &Path,
    spec: PromoteSpec,
    session: &mut Session,
) -> Result<Promoted, Failure> {
    let vm = path.to_path_buf();
    let done = session.run(move |host, job| host.promote(&vm, spec, job))?;
    session.screen.confirm(&told(path, &done));
    Ok(done)
}

fn told(path: &Path, done: &Promoted) -> String {
    match done.disks {
        0 => format!("{} stands on no other VM", quoted(path)),
        disks => format!(
            "{} is independent: {} copied, {} of data written",
            quoted(path),
            count(disks as usize, "disk"),
            size(done.bytes),
        ),
    }
}
