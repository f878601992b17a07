//! `cargo xtask demo`: the product shown end to end on the test guest.

use crate::run::{Result, say, stage};
use crate::workspace::Workspace;
use crate::{deps, guest};

/// Installs what is missing, builds, and shows what the programs do with a VM.
///
/// # Errors
/// When a step fails; what it made is removed.
pub fn run(workspace: &Workspace) -> Result {
    stage("tools", || deps::install(&[deps::GUEST, deps::QEMU]))?;
    let guests = guest::build(workspace)?;
    stage("release programs", || workspace.build_programs())?;
    say(format_args!("test guests: {}", guests.display()));
    say("the demo itself comes with the programs");
    Ok(())
}
