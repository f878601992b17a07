//! `replix relink VMX`: a linked clone finds its parent again.

use std::path::PathBuf;

use replix::clone::{RelinkSpec, Relinked, RelinkedDisk};
use replix::error::quoted;

use super::failure::Failure;
use super::place;
use super::screen::Answer;
use super::session::Session;

/// Hang a linked clone on its parent again, which was moved, renamed or copied
///
/// The parent's disks are known by what they hold. They are looked for where the clone's files lead and
/// in the folders of VMs beside it. Where none proves to be the right one, or several do, nothing is
/// changed.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The linked clone: its .vmx, or its folder
    vmx: PathBuf,
    /// The parent: its .vmx, its folder, or the disk that the clone was made on
    #[arg(long, value_name = "PATH")]
    parent: Option<PathBuf>,
}

/// Relinks.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    let parent = args.parent.as_deref().map(place::absolute).transpose()?;
    let spec = RelinkSpec { parent };
    let vm = path.clone();
    let done = session.run(move |host, job| host.relink(&vm, &spec, job))?;
    match done.disks.is_empty() {
        true => session
            .screen
            .confirm(&format!("{} stands on no other VM", quoted(&path))),
        false => session.screen.confirm(&told(&done)),
    }
    Answer::new(done)
}

fn told(done: &Relinked) -> String {
    let line = |disk: &RelinkedDisk| {
        let proof = match disk.by_long_id {
            true => "long content id",
            false => "content id and capacity",
        };
        format!(
            "{} stands on {}, by its {proof}",
            quoted(&disk.disk),
            quoted(&disk.parent)
        )
    };
    let lines: Vec<String> = done.disks.iter().map(line).collect();
    lines.join("\n")
}
