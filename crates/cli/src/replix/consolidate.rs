//! `replix consolidate VMX`: merges the disks that nothing needs.

use std::path::PathBuf;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;
use crate::text::{count, size};

/// Merge the disks of a VM that neither a state of it nor a linked clone needs
///
/// Removing a snapshot does so already. Disks are left where that was cut off, where a linked clone
/// that stood on them is gone, and where VMware says that disks need consolidation.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
}

/// Merges.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    let done = session.run(move |host, job| host.consolidate(&path, job))?;
    let told = match done.links {
        0 => "there is nothing to merge".to_string(),
        links => format!(
            "{} merged, {} moved",
            count(links as usize, "disk"),
            size(done.bytes)
        ),
    };
    session.screen.confirm(&told);
    Answer::new(done)
}
