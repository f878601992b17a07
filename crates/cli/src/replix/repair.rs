//! `replix repair`: what `replix check` found is mended, after a plan that the user confirms.

use replix::library::{Finding, Library, Severity};
use serde_json::json;

use super::check;
use super::exit::Exit;
use super::failure::Failure;
use super::plan::Plan;
use super::screen::{Answer, to_json};
use super::session::Session;

/// Mend what `check` found, where the files themselves prove what is right
///
/// The plan is shown, and asked about, before anything is done; what one step brings to light is planned
/// and asked about in turn. No file is removed that may be of use to anybody. What a person must decide is
/// left as it is, and told. The exit code is 1 while there is damage.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    plan: Plan,
}

/// Mends.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let work = args.plan.carry_out(Library::repairs, session)?;
    let damage = |finding: &&Finding| finding.severity == Severity::Damage;
    let left: Vec<&Finding> = work.after.findings.iter().filter(damage).collect();
    if !work.is_dry {
        let told: String = left.iter().map(|finding| check::told(finding)).collect();
        session.screen.show(&(told + &check::verdict(&work.after)));
    }
    let is_done = work.outcomes.iter().all(|outcome| outcome.is_done);
    let mut answer = Answer::new(json!({
        "plan": to_json(&work.plan)?,
        "steps": to_json(&work.outcomes)?,
        "left": to_json(&left)?,
    }))?;
    if !left.is_empty() || !is_done {
        answer.exit = Exit::Failed;
    }
    Ok(answer)
}
