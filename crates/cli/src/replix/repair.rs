//! `replix repair`: what `replix check` found is mended, after a plan that the user confirms.

use replix::library::{Finding, Library, LibraryReport, Outcome, Severity, Step};
use replix::{Error, Kind};
use serde_json::json;

use super::check::{self, Folders};
use super::exit::Exit;
use super::failure::Failure;
use super::screen::{Answer, to_json};
use super::session::Session;
use replix::error::escaped;

/// Mend what `check` found, where the files themselves prove what is right
///
/// The plan is shown, and asked about, before anything is done; what one step brings to light is planned
/// and asked about in turn. No file is removed that may be of use to anybody. What a person must decide is
/// left as it is, and told. The exit code is 1 while there is damage.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    library: Folders,
    #[command(flatten)]
    consent: Consent,
}

/// Whether it is to be done.
#[derive(clap::Args)]
pub(super) struct Consent {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Only show the plan
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// Mends.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let work = carry_out(&args.library, &args.consent, Library::repairs, session)?;
    let damage = |finding: &&Finding| finding.severity == Severity::Damage;
    let left: Vec<&Finding> = work.after.findings.iter().filter(damage).collect();
    if !args.consent.dry_run {
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

/// What was planned and done.
pub(super) struct Work {
    /// The steps of the plan that was not carried out.
    pub(super) plan: Vec<Step>,
    /// What became of the others.
    pub(super) outcomes: Vec<Outcome>,
    /// What was found before.
    pub(super) before: LibraryReport,
    /// What is found now.
    pub(super) after: LibraryReport,
}

/// Carries out the steps that `wanted` picks of what is found, round by round, until there are no new ones.
///
/// # Errors
/// `Cancelled` where the user says no; what the engine says.
pub(super) fn carry_out(
    library: &Folders,
    consent: &Consent,
    wanted: fn(&LibraryReport) -> Vec<Step>,
    session: &mut Session,
) -> Result<Work, Failure> {
    let before = library.look(session)?;
    let mut work = Work {
        plan: Vec::new(),
        outcomes: Vec::new(),
        after: before.clone(),
        before,
    };
    loop {
        let mut steps = wanted(&work.after);
        let is_new = |step: &Step| !work.outcomes.iter().any(|done| done.step == *step);
        steps.retain(is_new);
        let plan: Vec<String> = steps.iter().map(|step| format!("plan: {step}\n")).collect();
        session.screen.show(&plan.concat());
        if steps.is_empty() || consent.dry_run {
            if plan.is_empty() && work.outcomes.is_empty() {
                session.screen.confirm("there is nothing to do");
            }
            work.plan = steps;
            return Ok(work);
        }
        if !consent.yes {
            agree(session)?;
        }
        let outcomes = library.with(session, move |library, job| library.carry_out(&steps, job))?;
        let told: Vec<String> = outcomes.iter().map(told).collect();
        session.screen.show(&told.concat());
        work.outcomes.extend(outcomes);
        work.after = library.look(session)?;
    }
}

fn told(outcome: &Outcome) -> String {
    let word = if outcome.is_done { "done" } else { "not done" };
    format!("{word}: {}\n", escaped(&outcome.text))
}

fn agree(session: &mut Session) -> Result<(), Failure> {
    match session.screen.ask("carry out this plan?") {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(Kind::Cancelled, "the plan was not carried out").into()),
        None => Err(Failure::usage("nobody is there to be asked: give --yes")),
    }
}
