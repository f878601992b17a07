//! `replix delete VMX`: deletes a VM's own files, after a question.

use std::path::{Path, PathBuf};

use replix::clone::{DeleteSpec, Lineage, LineageNode};
use replix::error::quoted;
use replix::{Error, Kind};
use serde_json::json;

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;
use crate::text::{count, size};

/// Delete a VM: its own files, never the disks that it shares
///
/// A VM with linked clones is refused: they stand on its disks.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
    /// Delete it even though linked clones stand on it; they will not work any more
    #[arg(long)]
    force: bool,
    /// Leave its disks where they are
    #[arg(long)]
    keep_disks: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Deletes the VM.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let path = session.vm(&args.vmx)?.path().to_path_buf();
    // What cannot be read must still be deletable; the engine itself refuses what it must.
    let lineage = session.host().provider().lineage(&path).ok();
    let clones = lineage.as_ref().map(clones_below).unwrap_or_default();
    let keeps = args.force || args.keep_disks;
    if !keeps && clones.iter().any(|clone| clone.found) {
        return Err(refusal(&path, &clones).into());
    }
    if !args.yes {
        agree(&question(&path, args, lineage.as_ref(), &clones), session)?;
    }
    let spec = DeleteSpec {
        disks: !args.keep_disks,
        force: args.force,
    };
    let vm = path.clone();
    session.run(move |host, job| host.delete(&vm, spec, job))?;
    session
        .screen
        .confirm(&format!("{} deleted", quoted(&path)));
    Answer::new(json!({"deleted": path}))
}

/// A linked clone below a VM.
struct Clone<'a> {
    name: &'a str,
    path: &'a Path,
    found: bool,
}

/// The linked clones below a VM, and theirs.
fn clones_below(lineage: &Lineage) -> Vec<Clone<'_>> {
    let mut clones = Vec::new();
    let mut open: Vec<&Lineage> = lineage.children.iter().rev().collect();
    while let Some(lineage) = open.pop() {
        if let LineageNode::Vm {
            name, path, found, ..
        } = &lineage.node
        {
            clones.push(Clone {
                name,
                path,
                found: *found,
            });
        }
        open.extend(lineage.children.iter().rev());
    }
    clones
}

fn named(clones: &[Clone]) -> String {
    let name = |clone: &Clone| {
        let lost = if clone.found { "" } else { ", not found" };
        format!("{} ({}{lost})", quoted(clone.name), quoted(clone.path))
    };
    clones.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn refusal(path: &Path, clones: &[Clone]) -> Error {
    let text = format!(
        "cannot delete {}: {} on its disks: {}",
        quoted(path),
        stand(clones),
        named(clones),
    );
    Error::new(Kind::Busy, text)
        .at(path)
        .hint("delete the clones first, or give --force: they will not work any more")
}

fn stand(clones: &[Clone]) -> String {
    let verb = if clones.len() == 1 { "stands" } else { "stand" };
    format!("{} {verb}", count(clones.len(), "linked clone"))
}

fn question(path: &Path, args: &Args, lineage: Option<&Lineage>, clones: &[Clone]) -> String {
    let mut question = String::new();
    if !clones.is_empty() {
        question = format!("{} on it: {}\n", stand(clones), named(clones));
    }
    let what = match (args.keep_disks, lineage) {
        (true, _) => " but not its disks".to_string(),
        (false, Some(lineage)) => format!(" with its disks, {}", size(lineage.own_bytes)),
        (false, None) => " with its disks".to_string(),
    };
    question.push_str(&format!("delete {}{what}?", quoted(path)));
    question
}

fn agree(question: &str, session: &mut Session) -> Result<(), Failure> {
    match session.screen.ask(question) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(Kind::Cancelled, "nothing was deleted").into()),
        None => Err(Failure::usage("nobody is there to be asked: give --yes")),
    }
}
