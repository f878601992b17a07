//! What `check` finds of a disk that a failure left, and what `repair` and `gc` make of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::world::env;
use crate::error::Result;
use crate::job::Job;
use crate::library::{Finding, Library, LibraryReport, Step, Trouble};
use crate::store::Mem;
use crate::vm::Env;

/// What is found where nothing failed.
pub type Known = BTreeSet<(Trouble, PathBuf)>;

/// Each round may bring to light what the next one mends; there are no more.
const ROUNDS: usize = 6;

fn library(env: &Env) -> Result<Library> {
    Library::within(env, &["/vms".into()])
}

/// Returns what is found.
pub fn known(mem: &Mem) -> Known {
    let report = library(&env(mem)).unwrap().check(&Job::new()).unwrap();
    let findings = report.findings.into_iter();
    findings.map(|one| (one.trouble, one.file)).collect()
}

/// Does what `replix repair` or `replix gc` do, as long as there is something that `wanted` picks.
///
/// # Errors
/// Why a step was not done.
pub fn carry_out(env: &Env, wanted: fn(&LibraryReport) -> Vec<Step>) -> Result<()> {
    let library = library(env)?;
    let mut done: Vec<Step> = Vec::new();
    loop {
        let mut steps = wanted(&library.check(&Job::new())?);
        steps.retain(|step| !done.contains(step));
        if steps.is_empty() {
            return Ok(());
        }
        for step in steps {
            library.carry_out_one(&step, &Job::new())?;
            done.push(step);
        }
    }
}

/// Has all of it mended that `is_new`: what is wrong by `repair`, what takes space by `gc`. Returns whether
/// there was something.
///
/// # Errors
/// What no command mends, or does not say that it did.
pub fn mend(mem: &Mem, is_new: impl Fn(&Finding) -> bool) -> std::result::Result<bool, String> {
    let library = library(&env(mem)).map_err(|error| format!("{error:?}"))?;
    let mut done: Vec<Step> = Vec::new();
    for round in 0..ROUNDS {
        let report = library.check(&Job::new());
        let mut report = report.map_err(|error| format!("check: {error:?}"))?;
        report.findings.retain(|finding| is_new(finding));
        if report.findings.is_empty() {
            return Ok(round > 0);
        }
        let mut steps = Library::repairs(&report);
        if steps.is_empty() {
            steps = Library::savings(&report);
        }
        steps.retain(|step| !done.contains(step));
        if steps.is_empty() {
            return Err(format!("nothing mends {:?}", texts(&report)));
        }
        let outcomes = library.carry_out(&steps, &Job::new());
        for outcome in outcomes.map_err(|error| format!("repair: {error:?}"))? {
            if !outcome.is_done || outcome.text.is_empty() {
                return Err(format!("not mended, {:?}: {outcome:?}", texts(&report)));
            }
        }
        done.extend(steps);
    }
    Err("mending has no end".into())
}

fn texts(report: &LibraryReport) -> Vec<(Trouble, &str)> {
    let findings = report.findings.iter();
    findings.map(|one| (one.trouble, &*one.text)).collect()
}
