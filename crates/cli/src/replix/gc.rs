//! `replix gc`: space is given back that nobody has any use for.

use replix::library::{Library, LibraryReport, Trouble};
use serde_json::json;

use super::exit::Exit;
use super::failure::Failure;
use super::plan::Plan;
use super::screen::{Answer, to_json};
use super::session::Session;
use crate::text::size;

/// Give back space: snapshots made for clones that are gone, disks and memory that nothing needs, unfinished
/// files
///
/// The plan is shown, and asked about, before anything is done. Nothing is taken from a VM that is damaged,
/// and no file that is not known to be of no use.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    plan: Plan,
}

/// Gives back.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let work = args.plan.carry_out(Library::savings, session)?;
    let freed = taken(&work.before).saturating_sub(taken(&work.after));
    if !work.outcomes.is_empty() {
        session.screen.confirm(&format!("{} freed", size(freed)));
    }
    let is_done = work.outcomes.iter().all(|outcome| outcome.is_done);
    let mut answer = Answer::new(json!({
        "plan": to_json(&work.plan)?,
        "steps": to_json(&work.outcomes)?,
        "freed_bytes": freed,
    }))?;
    if !is_done {
        answer.exit = Exit::Failed;
    }
    Ok(answer)
}

/// The space of the VMs, and of what is unfinished beside them.
fn taken(report: &LibraryReport) -> u64 {
    let unfinished = report
        .findings
        .iter()
        .filter(|finding| finding.trouble == Trouble::Unfinished && finding.vm.is_none());
    let beside: u64 = unfinished.map(|finding| finding.reclaimable_bytes).sum();
    report.own_bytes.saturating_add(beside)
}
