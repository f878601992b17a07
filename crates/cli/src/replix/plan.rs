//! Plans: what `replix repair` and `replix gc` do to a library is shown, asked about, and then done, round by
//! round.

use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};
use std::path::Path;

use replix::error::{escaped, quoted};
use replix::library::{LibraryReport, Outcome, Step};
use replix::{Error, Kind};

use super::check::Folders;
use super::failure::Failure;
use super::session::Session;

/// So many steps that do the same are told one by one.
const FEW: usize = 20;

/// More are not carried out before the library is looked at again.
const MOST_STEPS: usize = 10_000;

/// What steps bring to light is planned in turn, so many times.
const MOST_ROUNDS: usize = 16;

/// Where it is done, and whether.
#[derive(clap::Args)]
pub(super) struct Plan {
    #[command(flatten)]
    library: Folders,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Only show the plan
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Name each step, also where thousands do the same
    #[arg(long)]
    each: bool,
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
    /// Whether only the plan was wanted.
    pub(super) is_dry: bool,
}

impl Plan {
    /// Carries out the steps that `wanted` picks of what is found, round by round, until there are no new ones.
    ///
    /// # Errors
    /// `Cancelled` where the user says no; what the engine says.
    pub(super) fn carry_out(
        &self,
        wanted: fn(&LibraryReport) -> Vec<Step>,
        session: &mut Session,
    ) -> Result<Work, Failure> {
        let before = self.library.look(session)?;
        let mut work = Work {
            plan: Vec::new(),
            outcomes: Vec::new(),
            after: before.clone(),
            before,
            is_dry: self.dry_run,
        };
        let mut done = HashSet::new();
        for round in 0.. {
            let mut steps = wanted(&work.after);
            steps.retain(|step| !done.contains(step));
            let is_last = steps.is_empty() || self.dry_run || round == MOST_ROUNDS;
            if !is_last {
                steps.truncate(MOST_STEPS);
            }
            session.screen.show(&self.told_plan(&steps));
            if is_last {
                if steps.is_empty() && work.outcomes.is_empty() {
                    session.screen.confirm("there is nothing to do");
                } else if !steps.is_empty() && !self.dry_run {
                    session
                        .screen
                        .remark("there is still more to do: give the command again");
                }
                work.plan = steps;
                break;
            }
            if !self.yes {
                agree(session)?;
            }
            done.extend(steps.iter().cloned());
            let outcomes = self
                .library
                .with(session, move |library, job| library.carry_out(&steps, job))?;
            session.screen.show(&self.told_outcomes(&outcomes));
            work.outcomes.extend(outcomes);
            work.after = self.library.look(session)?;
        }
        Ok(work)
    }

    fn told_plan(&self, steps: &[Step]) -> String {
        let mut out = String::new();
        for alike in families(steps, |step| step) {
            match self.is_short(&alike) {
                true => out.extend(alike.iter().map(|step| format!("plan: {step}\n"))),
                false => out.push_str(&format!("plan: {}\n", all_of(alike[0], alike.len()))),
            }
        }
        out
    }

    /// What was done, then what was not, with why.
    fn told_outcomes(&self, outcomes: &[Outcome]) -> String {
        let mut out = String::new();
        for alike in families(outcomes, |outcome| &outcome.step) {
            let (done, failed): (Vec<_>, Vec<_>) =
                alike.into_iter().partition(|outcome| outcome.is_done);
            match self.is_short(&done) {
                true => out.extend(done.iter().map(|one| line("done", one))),
                false => out.push_str(&format!("done: {}\n", all_of(&done[0].step, done.len()))),
            }
            let shown = match self.is_short(&failed) {
                true => failed.len(),
                false => FEW,
            };
            out.extend(failed[..shown].iter().map(|one| line("not done", one)));
            if let Some(more) = failed.get(shown..).filter(|more| !more.is_empty()) {
                let all = all_of(&more[0].step, more.len());
                out.push_str(&format!("not done: {all} (--each names them)\n"));
            }
        }
        out
    }

    fn is_short<T>(&self, alike: &[T]) -> bool {
        self.each || alike.len() <= FEW
    }
}

fn line(word: &str, outcome: &Outcome) -> String {
    format!("{word}: {}\n", escaped(&outcome.text))
}

/// Puts together what does the same, to the same VM or in the same folder, in the order of the first of each.
fn families<T>(all: &[T], step: impl Fn(&T) -> &Step) -> Vec<Vec<&T>> {
    let mut places: HashMap<(Discriminant<Step>, Option<&Path>), usize> = HashMap::new();
    let mut families: Vec<Vec<&T>> = Vec::new();
    for one in all {
        let of = match step(one) {
            Step::Relink { parent, .. } => parent.as_deref(),
            Step::Forget { vm, .. } | Step::RemoveSnapshot { vm, .. } => Some(vm.as_path()),
            _ => None,
        };
        let key = (discriminant(step(one)), of);
        let place = *places.entry(key).or_insert(families.len());
        if place == families.len() {
            families.push(Vec::new());
        }
        families[place].push(one);
    }
    families
}

/// What `count` steps like this one do, in a sentence that is fit for a terminal.
fn all_of(step: &Step, count: usize) -> String {
    match step {
        Step::Clear { .. } => format!("remove {count} unfinished files and folders"),
        Step::Unlock { .. } => {
            format!("remove the locks of ended processes from {count} files")
        }
        Step::EndChanges { .. } => {
            format!("put right what changes of the snapshots of {count} VMs left")
        }
        Step::Rebuild { .. } => {
            format!("write the bookkeeping of snapshots of {count} VMs anew")
        }
        Step::Relink { parent: None, .. } => {
            format!("hang {count} VMs on their parents, each naming the other")
        }
        Step::Relink {
            parent: Some(folder),
            ..
        } => format!(
            "hang {count} VMs on their parents in {}, each naming the other",
            quoted(folder)
        ),
        Step::Forget { vm, .. } => {
            format!(
                "take {count} linked clones out of the bookkeeping of {}",
                quoted(vm)
            )
        }
        Step::MendDisk { .. } => format!("mend what {count} disks themselves prove"),
        Step::RemoveSnapshot { vm, .. } => {
            format!(
                "remove {count} snapshots of {}, and merge their disks",
                quoted(vm)
            )
        }
        Step::Consolidate { .. } => {
            format!("merge the disks of {count} VMs that nothing needs")
        }
        Step::RemoveMemory { .. } => {
            format!("remove {count} files with memory that no VM is suspended to")
        }
    }
}

fn agree(session: &mut Session) -> Result<(), Failure> {
    match session.screen.ask("carry out this plan?") {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(Kind::Cancelled, "the plan was not carried out").into()),
        None => Err(Failure::usage("nobody is there to be asked: give --yes")),
    }
}
