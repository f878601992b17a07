//! `replix check`: the VMs of some folders, looked at together.

use std::path::PathBuf;

use replix::error::escaped;
use replix::library::{Finding, Library, LibraryReport, Severity, VmSpace};

use super::exit::Exit;
use super::failure::Failure;
use super::place;
use super::screen::Answer;
use super::session::Session;
use crate::text::{columns, count, right, size};

/// Look at the VMs of some folders together: what is lost, moved or changed, and whose the space is
///
/// Clones whose parents are gone, moved or changed; snapshots and files that nothing needs; disks that two
/// VMs write to; entries that lead nowhere. Each is told with its cure. Nothing is changed; the exit code is
/// 1 when damage is found.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    library: Folders,
}

/// Where the VMs are.
#[derive(clap::Args)]
pub(super) struct Folders {
    /// The folders, looked through with all below them; otherwise the working folder
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Folders {
    /// Looks at the VMs.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn look(&self, session: &mut Session) -> Result<LibraryReport, Failure> {
        self.with(session, |library, job| library.check(job))
    }

    /// Does something with the VMs.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn with<T: Send + 'static>(
        &self,
        session: &mut Session,
        work: impl FnOnce(&Library, &replix::Job) -> replix::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let here = [PathBuf::from(".")];
        let paths = if self.paths.is_empty() {
            &here[..]
        } else {
            &self.paths
        };
        let paths = paths.iter().map(|path| place::absolute(path));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        let settings = session.settings()?;
        session.run(move |_, job| work(&Library::open(settings, &paths)?, job))
    }
}

/// Looks, and tells.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let report = args.library.look(session)?;
    session.screen.show(&render(&report));
    let mut answer = Answer::new(&report)?;
    if !report.is_sound() {
        answer.exit = Exit::Failed;
    }
    Ok(answer)
}

fn render(report: &LibraryReport) -> String {
    let mut out: String = report.findings.iter().map(told).collect();
    if !report.findings.is_empty() && !report.vms.is_empty() {
        out.push('\n');
    }
    out.push_str(&space(report));
    out.push_str(&verdict(report));
    out
}

/// A finding, and what to do about it, in two lines.
pub(super) fn told(finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Damage => "damage",
        Severity::Note => "note",
    };
    let mut out = format!("{word}: {}\n", escaped(&finding.text));
    if !finding.cure.is_empty() {
        let command = finding.step.as_ref().map(|step| match step.is_for_space() {
            true => " (replix gc)",
            false => " (replix repair)",
        });
        out.push_str(&format!(
            "  {}{}\n",
            escaped(&finding.cure),
            command.unwrap_or_default()
        ));
    }
    out
}

fn space(report: &LibraryReport) -> String {
    if report.vms.is_empty() {
        return String::new();
    }
    let amount = |bytes: u64| match bytes {
        0 => "-".to_string(),
        bytes => size(bytes),
    };
    let row = |own, shared, free, vm| vec![amount(own), amount(shared), amount(free), vm];
    let heading = ["OWN", "SHARED", "TO FREE", "VM"];
    let mut rows = vec![heading.map(str::to_string).to_vec()];
    let of_vm = |vm: &VmSpace| {
        let path = escaped(&vm.vm.to_string_lossy());
        row(vm.own_bytes, vm.shared_bytes, vm.reclaimable_bytes, path)
    };
    rows.extend(report.vms.iter().map(of_vm));
    let all = "all".to_string();
    rows.push(row(
        report.own_bytes,
        report.shared_bytes,
        report.reclaimable_bytes,
        all,
    ));
    for column in 0..3 {
        right(&mut rows, column);
    }
    columns(0, &rows)
}

/// The last line.
pub(super) fn verdict(report: &LibraryReport) -> String {
    let damages = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Damage)
        .count();
    let notes = report.findings.len() - damages;
    let vms = count(report.vms.len(), "VM");
    let found = match damages {
        0 => "no damage found".to_string(),
        _ => format!("damage in {}", count(damages, "place")),
    };
    match notes {
        0 => format!("{vms}: {found}\n"),
        _ => format!("{vms}: {found}, {}\n", count(notes, "note")),
    }
}
