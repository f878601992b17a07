//! `cargo xtask reliability`: the table of what was tried to make operations lose something.

use std::fmt::Write;
use std::fs;

use crate::run::{Doing, Result, Run, stage};
use crate::workspace::{Workspace, cargo};

/// What stands above the table.
const HEAD: &str = "# Reliability

Made by `cargo xtask reliability`; the tests try a part of it each time (`crates/engine/src/crash`).

Each operation is run on a store that records what becomes durable when. From its steps every state is built that a disk may be
left in where the power fails after any of them: what was synced is there; contents that were not are lost, kept or torn at
sectors, in any choice; names up to any change of their folder. Each is opened: every VM must be wholly as before or wholly as the
operation makes it, what others stand on must have the same bytes, the operation done again must succeed, and when all VMs are
deleted then, nothing may be left. A VM that is being deleted may be there in parts, until it is deleted again.

Then each step fails in turn: no space, with half of a write there, and none for what follows; no quota; an I/O error; no
permission. The operation must say so, leave everything as before, and succeed when it is done again.

| operation | steps | states tried | faults tried | lost or wedged |
|---|--:|--:|--:|--:|
";

/// Tries every state and every fault, and writes `docs/reliability.md`.
///
/// # Errors
/// Where something is lost.
pub fn run(workspace: &Workspace) -> Result {
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
    let (states, faults, lost) = (sum(3), sum(4), sum(5));
    let _ = writeln!(
        page,
        "\n| **all** | {} | {states} | {faults} | {lost} |",
        sum(2)
    );
    let path = workspace.root.join("docs/reliability.md");
    fs::write(&path, page).doing(path.display())
}
