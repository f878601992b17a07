//! Mending a disk: only what the disk itself proves, told before it is done.
//!
//! Of two copies of a table that differ, one is taken where the other cannot be true; else a person
//! must decide, and both stay. Only the disk's own link is written to. What was there is put back
//! where a write fails; a repair that was killed is done again.

mod act;
mod tables;

use std::path::Path;

use super::chain::Opener;
use super::check::link::has_stale_long_id;
use super::check::sparse::Checker;
use super::check::{check_link, checkers};
use super::link::Link;
use super::{CheckReport, RepairReport, check, set_content_id};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::vmdk::sparse::{Header, UNCLEAN_OFFSET};
use crate::job::Job;
use act::{Step, Write};

/// How often a repair looks at the tables again: each time it mends a bounded number of them.
const ROUNDS: usize = 1024;

/// Mends the disk at `path`, or tells what it would do.
///
/// The caller guarantees that nobody uses the disk. `child` is a disk that stands on it, if one
/// does: what the guest sees is not changed then.
///
/// # Errors
/// Those of [`check()`]; `FileLocked`; `DiskUnsupported` for a disk that is not to be written;
/// `Cancelled`, and what the system says: the disk is as it was then.
pub fn repair(
    opener: &Opener,
    path: &Path,
    child: Option<&Path>,
    dry_run: bool,
    job: &Job,
) -> Result<RepairReport> {
    let mut report = RepairReport {
        found: check(opener, path, job)?,
        ..RepairReport::default()
    };
    let link = match opener.open_link(path) {
        Err(error) if matches!(error.kind(), Kind::DiskInvalid | Kind::FileNotFound) => {
            report.left.push(beyond_repair(&error));
            return Ok(report);
        }
        link => link?,
    };
    let repair = Repair {
        opener,
        child,
        job,
        is_wanted: !dry_run,
        primary_counts: false,
    };
    let is_sound = report.found.errors.is_empty();
    if !is_sound {
        repair.mend_tables(&link, &mut report)?;
    }
    let link = opener.open_link(path)?;
    repair.finish(&link, &mut report)?;
    if !is_sound {
        repair.tell_of_parents(path, &mut report)?;
    }
    report.after = match (dry_run, report.steps.is_empty()) {
        (true, _) => None,
        (false, true) => Some(report.found.clone()),
        (false, false) => Some(check(opener, path, job)?),
    };
    Ok(report)
}

/// Makes the redundant copies of tables say what the primary ones do: of a disk that a merge wrote to that was
/// cut off, where it reads the same whichever copy is right.
///
/// The caller guarantees that nobody uses the disk.
///
/// # Errors
/// As [`repair`].
pub fn even_tables(opener: &Opener, link: &Link, job: &Job) -> Result<()> {
    let repair = Repair {
        opener,
        child: None,
        job,
        is_wanted: true,
        primary_counts: true,
    };
    repair.mend_tables(link, &mut RepairReport::default())
}

fn beyond_repair(error: &Error) -> String {
    let cure = error
        .advice()
        .unwrap_or("put the file back from a copy: nothing here tells what it held");
    format!("{error}: {cure}")
}

/// Returns the extents whose tables may be written to: not those of streams, which nobody writes to,
/// nor those of which one directory is lost.
fn mendable(link: &Link) -> impl Iterator<Item = Checker<'_>> {
    let can_be = |header: &Header| header.packing.is_none() && !header.spared;
    checkers(link).filter(move |checker| can_be(&checker.header))
}

/// One repair.
struct Repair<'a> {
    opener: &'a Opener,
    child: Option<&'a Path>,
    job: &'a Job,
    is_wanted: bool,
    /// Which copy of a table is right where either can be.
    primary_counts: bool,
}

impl Repair<'_> {
    fn mend_tables(&self, link: &Link, report: &mut RepairReport) -> Result<()> {
        let mut link = self.opener.open_link(link.path())?;
        for _ in 0..ROUNDS {
            let mut plan = tables::Plan::default();
            for checker in mendable(&link) {
                tables::plan(&checker, self.primary_counts, &mut plan, self.job)?;
            }
            let steps = self.allowed(plan.steps, report);
            self.apply(&link, &steps)?;
            let is_done = steps.is_empty() || !plan.is_cut_short || !self.is_wanted;
            report.steps.extend(steps.into_iter().map(|step| step.text));
            if plan.is_cut_short && !self.is_wanted {
                report.steps.push("and more of this kind".into());
            }
            if is_done {
                report.left.extend(plan.left);
                break;
            }
            link = self.opener.open_link(link.path())?;
        }
        Ok(())
    }

    /// What can be done to a disk whose tables are sound.
    fn finish(&self, link: &Link, report: &mut RepairReport) -> Result<()> {
        let mut own = CheckReport::default();
        if !report.found.errors.is_empty() {
            check_link(link, &mut own, self.job)?;
        }
        let unclean = usize::from(link.unclean().is_some());
        let is_sound = own.errors.len() == unclean;
        let is_expected = !self.is_wanted && !report.steps.is_empty() && report.left.is_empty();
        let mut steps = Vec::new();
        for checker in mendable(link).filter(|checker| checker.header.unclean) {
            let name = quoted(&checker.path);
            let text = match (is_sound, is_expected) {
                (true, _) => format!("{name}: the mark of a file left open is taken away"),
                (false, true) => format!(
                    "{name}: the mark of a file left open is taken away, if nothing else is found"
                ),
                (false, false) => {
                    report.left.push(format!(
                        "{name}: the mark of a file left open stays while there is other damage"
                    ));
                    continue;
                }
            };
            let write = Write::new(&checker.path, UNCLEAN_OFFSET, vec![1], vec![0]);
            steps.push(Step::harmless(text, vec![write]));
        }
        if is_sound {
            for checker in mendable(link) {
                let needed = checker.needed_bytes(self.job)?;
                if needed < checker.file_len {
                    steps.push(act::cut(&checker.path, checker.file_len, needed));
                }
            }
        }
        if !steps.is_empty() && self.is_wanted {
            self.apply(link, &steps)?;
        }
        report.steps.extend(steps.into_iter().map(|step| step.text));
        self.mend_long_id(link, report)
    }

    /// QEMU changes the short id alone; the long one of a content that is gone helps nobody.
    fn mend_long_id(&self, link: &Link, report: &mut RepairReport) -> Result<()> {
        if !has_stale_long_id(link) {
            return Ok(());
        }
        report.steps.push(format!(
            "{}: it gets a new long content id, which belongs to {:08x}",
            quoted(link.path()),
            link.cid()
        ));
        if self.is_wanted {
            let link = self.opener.open_link(link.path())?;
            let store = self.opener.store().as_ref();
            set_content_id(store, &link, link.cid(), None)?;
        }
        Ok(())
    }

    /// Returns the steps that may be done: none that changes what a child sees.
    fn allowed(&self, steps: Vec<Step>, report: &mut RepairReport) -> Vec<Step> {
        let Some(child) = self.child else {
            return steps;
        };
        let (refused, allowed): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|step| step.changes_content);
        let refused = refused.into_iter().map(|step| {
            let child = quoted(child);
            format!(
                "not done, since {child} stands on the disk: {}: make the child independent first",
                step.text
            )
        });
        report.left.extend(refused);
        allowed
    }

    fn apply(&self, link: &Link, steps: &[Step]) -> Result<()> {
        if !self.is_wanted || steps.is_empty() {
            return Ok(());
        }
        let store = self.opener.store().as_ref();
        link.require_unused(store)?;
        link.require_writable()?;
        link.require_unchanged()?;
        act::apply(store, steps, self.job)
    }

    fn tell_of_parents(&self, path: &Path, report: &mut RepairReport) -> Result<()> {
        let survey = self.opener.survey(path)?;
        for parent in survey.links.iter().skip(1) {
            let mut found = CheckReport::default();
            check_link(parent, &mut found, self.job)?;
            if !found.errors.is_empty() {
                let name = quoted(parent.path());
                report.left.push(format!(
                    "{name} is damaged itself: repair it by its own name"
                ));
            }
        }
        if let Some(problem) = survey.problem {
            report.left.push(match problem.advice() {
                Some(advice) => format!("{problem}: {advice}"),
                None => problem.to_string(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::super::testing::{LinkSpec, Sample, any_chain};
    use super::*;
    use crate::store::{Access, Store};

    #[test]
    fn repair_that_is_cut_off_anywhere_can_be_done_again() {
        let link = LinkSpec {
            cut: vec![16_000, 9_000],
            grain: 16,
            grains: (0..40u8).map(|i| (u16::from(i) * 1600, Some(i))).collect(),
        };
        let mut changes = 0;
        loop {
            let sample = Sample::new(std::slice::from_ref(&link));
            let store = &sample.store;
            for name in ["/vm/d0-s0.vmdk", "/vm/d0-s1.vmdk"] {
                let file = store.open(Path::new(name), Access::Write).unwrap();
                let len = file.len().unwrap();
                file.write_at(&[1], UNCLEAN_OFFSET).unwrap();
                let mut gd = [0; 4];
                file.read_exact_at(&mut gd, 56).unwrap();
                let gd = u64::from(u32::from_le_bytes(gd)) * 512;
                // A table that is nowhere, and one whose entries cannot be true.
                file.write_at(&[0xff; 4], gd).unwrap();
                file.write_at(&[0xfe; 64], gd + 512 + 2048).unwrap();
                file.set_len(len + 9000).unwrap();
            }
            let path: PathBuf = sample.top.clone();
            store.limit_changes(Some(changes));
            let done = repair(&sample.opener(), &path, None, false, &Job::new());
            store.limit_changes(None);
            let again = repair(&sample.opener(), &path, None, false, &Job::new()).unwrap();
            assert_eq!(again.left, [""; 0]);
            assert_eq!(
                again.after,
                Some(CheckReport {
                    allocated_grains: 40,
                    ..CheckReport::default()
                })
            );
            let mut content = vec![0; sample.content.len()];
            sample.open(&path).read(&mut content, 0).unwrap();
            assert!(content == sample.content, "{changes}");
            if done.is_ok() {
                break;
            }
            changes += 1;
        }
        assert!(changes > 6, "{changes}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever entries cannot be true, of whichever copy, in grains and extents of any length.
        #[test]
        fn entries_that_cannot_be_true_are_mended(
            links in any_chain(),
            damage in prop::collection::vec(any::<(u16, u8)>(), 1..20),
        ) {
            let sample = Sample::new(&links[..1]);
            let link = sample.opener().open_link(&sample.top).unwrap();
            for (place, file) in damage {
                let extent = &link.extents()[usize::from(file) % link.extents().len()];
                let header = extent.header().unwrap();
                let grains = extent.sectors.div_ceil(header.grain_sectors);
                // Each entry is damaged in one copy at most.
                let number = u64::from(place) % grains;
                let is_primary = number.is_multiple_of(2);
                let directory = match is_primary {
                    true => header.gd_offset,
                    false => header.rgd_offset.unwrap(),
                };
                let file = sample.store.open(&link.extent_path(extent), Access::Write).unwrap();
                let mut table = [0; 4];
                file.read_exact_at(&mut table, directory * 512 + number / 512 * 4).unwrap();
                let table = u64::from(u32::from_le_bytes(table)) * 512;
                let wrong = 0xf000_0000 + u32::from(place);
                file.write_at(&wrong.to_le_bytes(), table + number % 512 * 4).unwrap();
            }
            drop(link);
            let report = repair(&sample.opener(), &sample.top, None, false, &Job::new()).unwrap();
            prop_assert!(!report.found.errors.is_empty());
            prop_assert_eq!(report.left, Vec::<String>::new());
            prop_assert_eq!(report.after.unwrap().errors, Vec::<String>::new());
            let mut content = vec![1; sample.content.len()];
            sample.open(&sample.top).read(&mut content, 0).unwrap();
            prop_assert!(content == sample.content);
        }
    }
}
