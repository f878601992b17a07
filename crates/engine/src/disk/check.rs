//! Checking a disk: every table of every link, in bounded memory; nothing is written.

pub(super) mod link;
pub(super) mod metadata;
pub(super) mod reader;
pub(super) mod sparse;

use std::path::Path;

use super::CheckReport;
use super::chain::{Opener, Survey};
use super::esxi;
use super::link::{ExtentData, Link};
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use sparse::{Checker, Redundant};

/// The most findings of one sort that are told one by one.
const MAX_FINDINGS: usize = 20;

/// Checks the disk at `path` with all its parents.
///
/// # Errors
/// Where the disk cannot be looked at: `FileNotFound`, `Denied`, `DiskUnsupported`, `Cancelled`,
/// what the system says. Damage is no error but a finding.
pub fn check(opener: &Opener, path: &Path, job: &Job) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let survey = match opener.survey(path) {
        // A missing part of the disk is damage; a missing disk is not.
        Err(error)
            if error.kind() == Kind::DiskInvalid
                || (error.kind() == Kind::FileNotFound && opener.store().exists(path)) =>
        {
            report.errors.push(error.to_string());
            return Ok(report);
        }
        survey => survey?,
    };
    check_links(&survey, &mut report, job)?;
    report
        .errors
        .extend(survey.problem.map(|problem| problem.to_string()));
    Ok(report)
}

fn check_links(survey: &Survey, report: &mut CheckReport, job: &Job) -> Result<()> {
    let mut parents = survey.links.iter().skip(1);
    for link in &survey.links {
        link::note_parent(link, parents.next(), report);
        check_link(link, report, job)?;
    }
    Ok(())
}

/// Checks one link by itself, whatever it stands on.
///
/// # Errors
/// `Cancelled`, what the system says. Damage is no error but a finding.
pub fn check_alone(link: &Link, job: &Job) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    check_link(link, &mut report, job)?;
    Ok(report)
}

/// Checks one link, without asking what it stands on.
pub(super) fn check_link(link: &Link, report: &mut CheckReport, job: &Job) -> Result<()> {
    link::check(link, report)?;
    for checker in checkers(link) {
        job.check()?;
        checker.check(report, job)?;
    }
    check_esxi(link, report, job)
}

/// Follows the tables of ESXi's extents.
fn check_esxi(link: &Link, report: &mut CheckReport, job: &Job) -> Result<()> {
    for extent in link.extents() {
        let mut damage = Findings::default();
        let grains = esxi::check(link, extent, job, |what| damage.add(|| what))?;
        report.allocated_grains += grains;
        // They name the file themselves.
        report.errors.extend(damage.into_told());
    }
    Ok(())
}

/// Refuses a link to which a write could do more harm: two of its grains share their place, or its
/// tables are broken. Tables that are merely out of step are put right by the write.
pub(super) fn require_sound(link: &Link, job: &Job) -> Result<()> {
    for checker in checkers(link) {
        let mut damage = Findings::default();
        let metadata =
            checker.check_directories(Redundant::Ignored, &mut damage, &mut Findings::default())?;
        checker.check_tables(&metadata, &mut damage, Redundant::Ignored, job)?;
        checker.check_overlap(&mut damage, job)?;
        if let Some(first) = damage.told.first() {
            let text = format!("{} is damaged: {first}", quoted(&checker.path));
            return Err(Error::new(Kind::DiskInvalid, text).at(&checker.path));
        }
    }
    Ok(())
}

/// Returns the sparse extents of a link, to be examined.
pub(super) fn checkers(link: &Link) -> impl Iterator<Item = Checker<'_>> {
    link.extents()
        .iter()
        .filter_map(|extent| match extent.data {
            ExtentData::Flat { .. } | ExtentData::Zero | ExtentData::Esxi { .. } => None,
            ExtentData::Sparse { header, file_len } => Some(Checker {
                pool: link.pool(),
                path: link.extent_path(extent),
                extent,
                header,
                embedded: link.embedded(),
                file_len,
            }),
        })
}

/// Findings of one sort, of which only the first are told.
#[derive(Default)]
pub(super) struct Findings {
    told: Vec<String>,
    count: usize,
}

impl Findings {
    fn add(&mut self, finding: impl FnOnce() -> String) {
        self.count += 1;
        if self.count <= MAX_FINDINGS {
            self.told.push(finding());
        }
    }

    fn into_lines(self, path: &Path) -> Vec<String> {
        let name = quoted(path);
        self.into_told()
            .into_iter()
            .map(|finding| format!("{name}: {finding}"))
            .collect()
    }

    fn into_told(mut self) -> Vec<String> {
        if self.count > MAX_FINDINGS {
            let more = self.count - MAX_FINDINGS;
            self.told.push(format!("and {more} more of this kind"));
        }
        self.told
    }
}
