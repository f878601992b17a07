//! `cargo xtask reliability`: the table of what was tried to make operations lose something. With `--kill`
//! or `--power`, real processes are cut off at random moments instead.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::run::{Doing, Result, Run, stage};
use crate::workspace::{Workspace, cargo};

/// What stands above the table.
const HEAD: &str = "# Reliability

Made by `cargo xtask reliability`; the tests try a part of it each time (`crates/engine/src/crash`).

Each operation is run on a store that records what becomes durable when. From its steps every state is built that a disk may be
left in where the power fails after any of them: what was synced is there; contents that were not are lost, kept or torn at
sectors, in any choice; names up to any change of their folder. Each is opened: every VM must be wholly as before or wholly as the
operation makes it, what others stand on must have the same bytes, and the operation done again must succeed. The next change of
the snapshots must take away what a removal, a revert or a consolidation left, and when all VMs are deleted then, nothing may be
left. A VM that is being deleted may be there in parts, until it is deleted again.

Then each step fails in turn: no space, with half of a write there, and none for what follows; no quota; an I/O error; no
permission. The operation must say so, leave everything as before, and succeed when it is done again.

After each of all these, `replix check` must find nothing that it does not find before or after the operation, or `replix repair`
must mend what is wrong, `replix gc` take what nobody needs, both saying what they did, and `check` find nothing then; and all of
the above is held of what they leave. \"To be mended\" are those after which they had something to do.

| operation | steps | states tried | faults tried | to be mended | lost or wedged |
|---|--:|--:|--:|--:|--:|
";

/// How long real processes are cut off.
#[derive(clap::Args)]
pub struct Args {
    /// Kill processes at random moments for so many minutes; the next run goes on with the same VMs
    #[arg(long, value_name = "MINUTES")]
    kill: Option<u64>,
    /// Shut file systems down below them for so many minutes each
    #[arg(long, value_name = "MINUTES")]
    power: Option<u64>,
}

/// Tries every state and every fault, and writes `docs/reliability.md`; or cuts off real processes, and
/// prints what came of it.
///
/// # Errors
/// Where something is lost.
pub fn run(workspace: &Workspace, args: &Args) -> Result {
    if let Some(minutes) = args.kill {
        let library = workspace.target.join("killed");
        fs::create_dir_all(&library).doing(library.display())?;
        cut_off("killed_at_random", |test| {
            test.env("REPLIX_KILL_SECONDS", (minutes * 60).to_string())
                .env("REPLIX_KILL_FOLDER", &library);
        })?;
    }
    if let Some(minutes) = args.power {
        cut_off("power_cut", |test| {
            test.env("REPLIX_POWER_SECONDS", (minutes * 60).to_string());
        })?;
    }
    match (args.kill, args.power) {
        (None, None) => every_state(workspace),
        _ => Ok(()),
    }
}

/// Runs the tests called `name` of the programs, with more in their surroundings.
fn cut_off(name: &str, more: impl FnOnce(&mut Command)) -> Result {
    stage(name, || {
        let mut test = cargo(["test", "--release", "-p", "replix-cli", "--test", "it"]);
        test.args([name, "--", "--nocapture", "--test-threads=1"]);
        more(&mut test);
        test.run()
    })
}

fn every_state(workspace: &Workspace) -> Result {
    let rows = workspace.target.join("reliability.rows");
    let _ = fs::remove_file(&rows);
    stage("every state and every fault", || {
        cargo(["test", "--release", "-p", "replix", "--lib", "crash::"])
            .current_dir(&workspace.root)
            .env("REPLIX_CRASH_STATES", "all")
            .env("REPLIX_CRASH_TABLE", &rows)
            .run()
    })?;
    let text = fs::read_to_string(&rows).doing(rows.display())?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let sum = |column: usize| -> u64 {
        let cells = lines.iter().filter_map(|line| line.split('|').nth(column));
        cells
            .filter_map(|cell| cell.trim().parse::<u64>().ok())
            .sum()
    };
    let mut page = HEAD.to_owned() + &lines.join("\n");
    let sums: Vec<String> = (2..=6).map(|column| sum(column).to_string()).collect();
    let _ = writeln!(page, "\n| **all** | {} |", sums.join(" | "));
    let path = workspace.root.join("docs/reliability.md");
    // What stands below the table was found by hand.
    let old = fs::read_to_string(&path).unwrap_or_default();
    if let Some(below) = old.find("\n## ") {
        page.push_str(&old[below..]);
    }
    fs::write(&path, page).doing(path.display())
}
