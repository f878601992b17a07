//! `cargo xtask test`: everything that CI runs, stage by stage, and one line of counts at the end.
//!
//! Tests find what they need in their environment: `REPLIX_TEST_GUEST` is the folder of the test
//! guests, `REPLIX_BIN` that of the release programs, `REPLIX_VIX_PREFIX` the prefix at which the
//! release library and programs are installed, `REPLIX_CLIENTS` that of the Python environments with the
//! clients that others wrote, `REPLIX_WINEPREFIX` the Wine prefix in which the COM library is registered. A test that finds that this machine lacks what it needs appends a line
//! `name: reason` to the file `REPLIX_SKIP_LOG` and returns; it then counts as skipped, and the
//! reason is told.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::run::{Result, Run, fail, seconds, stage};
use crate::tally::{Tally, run_counted};
use crate::workspace::{Workspace, cargo};
use crate::{check, clients, com, demo, deps, guest, install};

/// The package of the tests under Wine: a stage of its own.
const COM_TESTS: &str = "replix-vix-com-tests";

/// What `cargo xtask test` runs, in this order.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Stage {
    /// Formatting, lints and house rules
    Check,
    /// The unit tests of all crates
    Unit,
    /// The tests that use the engine and the programs from outside
    Integration,
    /// The COM library for Windows under Wine: builds and registers it first
    Com,
    /// The examples in the documentation, and that it builds
    Doc,
    /// `cargo xtask demo`
    Demo,
}

/// How a stage went.
struct Outcome {
    stage: Stage,
    time: Duration,
    tally: Tally,
    done: Result,
}

/// Runs the stages in `only`, or all; a failed stage does not keep the next ones from running.
///
/// # Errors
/// When a stage failed, or what the stages need cannot be built.
pub fn run(workspace: &Workspace, only: &[Stage]) -> Result {
    let is_wanted = |stage: &&Stage| only.is_empty() || only.contains(stage);
    let stages: Vec<_> = Stage::value_variants().iter().filter(is_wanted).collect();
    let runner = Runner::prepare(workspace, &stages)?;
    let outcomes: Vec<_> = stages
        .into_iter()
        .map(|stage| runner.outcome(*stage))
        .collect();

    let skipped = runner.skipped();
    println!("\n{}", table(&outcomes));
    for reason in &skipped {
        println!("skipped {reason}");
    }
    println!("{}", sum(&outcomes, skipped.len() as u32));
    if outcomes.iter().all(|outcome| outcome.done.is_ok()) {
        Ok(())
    } else {
        fail("tests failed")
    }
}

/// What the stages run with.
struct Runner<'a> {
    workspace: &'a Workspace,
    guests: PathBuf,
    clients: PathBuf,
    vix_prefix: PathBuf,
    skip_log: PathBuf,
}

impl<'a> Runner<'a> {
    /// Installs and builds what the stages need.
    fn prepare(workspace: &'a Workspace, stages: &[&Stage]) -> Result<Self> {
        let needs = |wanted: &[Stage]| stages.iter().any(|stage| wanted.contains(stage));
        stage("tools", || {
            deps::install(&[deps::GUEST, deps::QEMU, deps::NETWORK, deps::TESTS])?;
            if needs(&[Stage::Unit, Stage::Integration, Stage::Com]) {
                deps::install_nextest()
            } else {
                Ok(())
            }
        })?;
        let mut guests = PathBuf::new();
        if needs(&[Stage::Integration, Stage::Com, Stage::Demo]) {
            guests = guest::build(workspace)?;
            stage("release programs", || workspace.build_programs())?;
        }
        let mut clients = PathBuf::new();
        let vix_prefix = workspace.target.join("vix-prefix");
        if needs(&[Stage::Integration]) {
            clients = clients::build(workspace)?;
        }
        if needs(&[Stage::Integration, Stage::Com]) {
            install::anew(workspace, &vix_prefix)?;
        }
        let skip_log = workspace.target.join("skipped-tests.log");
        // Absent, as a rule.
        let _ = fs::remove_file(&skip_log);
        Ok(Self {
            workspace,
            guests,
            clients,
            vix_prefix,
            skip_log,
        })
    }

    fn outcome(&self, of: Stage) -> Outcome {
        let start = Instant::now();
        let mut tally = Tally::default();
        let done = stage(name(of), || self.run(of, &mut tally));
        if let (Err(failure), 0) = (&done, tally.failed) {
            // What failed was no test: so that no line tells of zero failures.
            crate::run::say(failure);
            tally.failed = 1;
        }
        Outcome {
            stage: of,
            time: start.elapsed(),
            tally,
            done,
        }
    }

    fn run(&self, stage: Stage, tally: &mut Tally) -> Result {
        let nextest = |tests: &[&str]| {
            let mut command = cargo(["nextest", "run", "--profile=ci", "--no-tests=pass"]);
            command.args(tests);
            command
        };
        let mut counted = |command: &mut Command, count: fn(&str) -> Tally| {
            run_counted(self.with_environment(command), count, tally)
        };
        match stage {
            Stage::Check => check::run(self.workspace),
            Stage::Unit => {
                let tests = ["--workspace", "--lib", "--bins"];
                counted(&mut nextest(&tests), Tally::of_nextest)
            }
            Stage::Integration if !self.workspace.has_integration_tests => Ok(()),
            Stage::Integration => {
                let tests = ["--workspace", "--exclude", COM_TESTS, "--test", "*"];
                counted(&mut nextest(&tests), Tally::of_nextest)
            }
            Stage::Com => {
                com::build(self.workspace)?;
                com::check(self.workspace)?;
                let prefix = com::register(self.workspace)?;
                let mut unit = com::unit_tests(self.workspace, &prefix);
                counted(&mut unit, Tally::of_cargo_test)?;
                com::end(&prefix)?;
                let mut tests = nextest(&["--package", COM_TESTS]);
                counted(tests.env("REPLIX_WINEPREFIX", prefix), Tally::of_nextest)
            }
            Stage::Doc => {
                let mut examples = cargo(["test", "-q", "--workspace", "--doc"]);
                counted(&mut examples, Tally::of_cargo_test)?;
                let mut pages = cargo(["doc", "-q", "--workspace", "--no-deps", "--lib"]);
                pages.env("RUSTDOCFLAGS", "-D warnings").run()
            }
            Stage::Demo => demo::run(self.workspace),
        }
    }

    fn with_environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("REPLIX_TEST_GUEST", &self.guests)
            .env("REPLIX_BIN", self.workspace.programs())
            .env("REPLIX_CLIENTS", &self.clients)
            .env("REPLIX_VIX_PREFIX", &self.vix_prefix)
            .env("REPLIX_SKIP_LOG", &self.skip_log)
    }

    /// Returns what tests said about why they did not run.
    fn skipped(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.skip_log).unwrap_or_default();
        let mut reasons: Vec<_> = text.lines().map(String::from).collect();
        reasons.sort();
        reasons
    }
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Check => "check",
        Stage::Unit => "unit tests",
        Stage::Integration => "integration tests",
        Stage::Com => "com",
        Stage::Doc => "documentation",
        Stage::Demo => "demo",
    }
}

fn table(outcomes: &[Outcome]) -> String {
    let mut rows = vec![format!(
        "{:<20}{:<8}{:>9}  tests",
        "stage", "result", "time"
    )];
    for Outcome {
        stage,
        time,
        tally,
        done,
    } in outcomes
    {
        let result = if done.is_ok() { "ok" } else { "FAILED" };
        let tests = if *tally == Tally::default() {
            String::new()
        } else {
            tally.to_string()
        };
        let row = format!(
            "{:<20}{result:<8}{:>9}  {tests}",
            name(*stage),
            seconds(*time)
        );
        rows.push(row.trim_end().to_string());
    }
    rows.join("\n")
}

/// Sums the counts up; tests that skipped themselves have been counted as passed.
fn sum(outcomes: &[Outcome], skipped: u32) -> Tally {
    let sum = outcomes
        .iter()
        .map(|outcome| outcome.tally)
        .fold(Tally::default(), |a, b| a + b);
    Tally {
        passed: sum.passed.saturating_sub(skipped),
        skipped: sum.skipped + skipped,
        ..sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(stage: Stage, tally: Tally, done: Result) -> Outcome {
        Outcome {
            stage,
            time: Duration::from_millis(1234),
            tally,
            done,
        }
    }

    #[test]
    fn table_and_sum_show_every_stage() {
        let counts = |passed, failed| Tally {
            passed,
            failed,
            skipped: 0,
        };
        let outcomes = [
            outcome(Stage::Check, counts(0, 0), Ok(())),
            outcome(Stage::Unit, counts(10, 0), Ok(())),
            outcome(Stage::Demo, counts(0, 1), fail("no luck")),
        ];
        assert_eq!(
            table(&outcomes),
            "stage               result       time  tests\n\
             check               ok          1.2 s\n\
             unit tests          ok          1.2 s  10 passed, 0 failed, 0 skipped\n\
             demo                FAILED      1.2 s  0 passed, 1 failed, 0 skipped"
        );
        assert_eq!(
            sum(&outcomes, 2).to_string(),
            "8 passed, 1 failed, 2 skipped"
        );
    }
}
