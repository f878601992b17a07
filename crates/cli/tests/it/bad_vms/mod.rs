//! A hundred and more VMs that a stranger made to do harm, and the programs as they meet them.
//!
//! Each VM is made anew ([`texts`], [`disks`], [`names`]), in a library with an honest VM and beside
//! a folder with files of others. Each [`STEP`](STEPS) is a process of its own that strace watches:
//! it ends in bounded time with bounded memory, with a clear refusal or a success; it opens no file
//! that is neither the VM's, nor its clones', nor the program's own ([`traced`]); what it prints has
//! no control characters; what it refuses leaves everything as it was. What is said is kept as a table, a
//! snapshot to be reviewed.

mod disks;
mod names;
mod texts;
mod traced;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::library::Program;
use crate::said::plain_ids;
use traced::Traced;
use world::World;

/// A VM that does harm: what is wrong with it, and who makes it so.
struct Case {
    name: String,
    make: Box<dyn Fn(&World) + Send + Sync>,
    /// The steps that meet what is wrong.
    steps: &'static [&'static str],
    /// What else may be opened, as endings of paths.
    seen: &'static [&'static str],
}

impl Case {
    /// Does only this with it, unless everything is wanted.
    fn met_by(mut self, steps: &'static [&'static str]) -> Self {
        self.steps = steps;
        self
    }

    /// Lets the programs open these, too: what a rule of docs/adr/0004 says that they look at.
    fn seeing(mut self, seen: &'static [&'static str]) -> Self {
        self.seen = seen;
        self
    }
}

/// Names a case.
fn case(name: impl Into<String>, make: impl Fn(&World) + Send + Sync + 'static) -> Case {
    Case {
        name: name.into(),
        make: Box::new(make),
        steps: &[],
        seen: &[],
    }
}

/// What is done with each, in this order. `DISK` is the disk that is wrong, or the VM's.
const STEPS: [(&str, Program, &[&str]); 8] = [
    ("info", Program::Replix, &["info", "evil/evil.vmx"]),
    ("check", Program::Replix, &["disk", "check", "DISK"]),
    (
        "full clone",
        Program::Vmrun,
        &["clone", "evil/evil.vmx", "full/full.vmx", "full"],
    ),
    (
        "linked clone",
        Program::Replix,
        &["clone", "evil/evil.vmx", "linked", "--linked", "--quiet"],
    ),
    (
        "clone of s",
        Program::Vmrun,
        &["clone", "evil/evil.vmx", "of-s/of-s.vmx", "linked", "s"],
    ),
    (
        "snapshot",
        Program::Vmrun,
        &["snapshot", "evil/evil.vmx", "t"],
    ),
    (
        "revert",
        Program::Vmrun,
        &["revertToSnapshot", "evil/evil.vmx", "s"],
    ),
    ("delete", Program::Vmrun, &["deleteVM", "evil/evil.vmx"]),
];

/// The most that a program may print, in bytes.
const MOST_OUTPUT: usize = 256 << 10;

/// The most of a line that stands in the table.
const MOST_SHOWN: usize = 400;

/// Everything that is tried.
fn all() -> Vec<Case> {
    [texts::cases(), disks::cases(), names::cases()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn strangers_get_refusals_and_nothing_else() {
    let only = std::env::var("REPLIX_TEST_BAD_VM").ok();
    let everything = std::env::var_os("REPLIX_TEST_BAD_VM_STEPS").is_some();
    let mut cases = all();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    cases.retain(|case| only.as_ref().is_none_or(|only| case.name.contains(only)));
    let base = World::new();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let met = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        meet(case, &base.copy(), everything)
                    }));
                    let met = met.unwrap_or_else(|_| Err(vec!["its test panicked".into()]));
                    done.lock().unwrap().insert(case.name.clone(), met);
                }
            });
        }
    });
    let done = done.into_inner().unwrap();
    assert_eq!(done.len(), cases.len(), "two cases have one name");
    let mut faults = String::new();
    let mut table = String::new();
    for case in &cases {
        match &done[&case.name] {
            Ok(rows) => writeln!(table, "## {}\n{rows}", case.name).unwrap(),
            Err(found) => writeln!(faults, "## {}\n{}", case.name, found.join("\n")).unwrap(),
        }
    }
    assert!(faults.is_empty(), "{faults}");
    if only.is_some() || everything {
        println!("{table}");
    } else {
        insta::assert_snapshot!("refusals", table);
    }
}

/// Does everything with a bad VM. Returns what was said, a row for each different answer, or what is
/// wrong with the answers.
fn meet(case: &Case, world: &World, everything: bool) -> Result<String, Vec<String>> {
    (case.make)(world);
    let disk = world.bad_disk();
    let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
    let mut faults = Vec::new();
    let wanted = |step: &str| everything || case.steps.contains(&step);
    let mut before = world.look();
    for (step, program, words) in STEPS.into_iter().filter(|(step, ..)| wanted(step)) {
        let words = words.iter().map(|word| match *word {
            "DISK" => disk.clone(),
            word => word.to_owned(),
        });
        let words: Vec<String> = words.collect();
        let traced = Traced::run(world, program, &words);
        let after = world.look();
        let mut wrong = traced.faults(world, case.seen);
        if traced.code == Some(0) {
            wrong.extend(before.broken_outside(&after));
        } else {
            wrong.extend(before.changes(&after));
        }
        before = after;
        faults.extend(wrong.into_iter().map(|wrong| format!("{step}: {wrong}")));
        let said = row(world, program, &traced);
        match rows.iter_mut().find(|(other, _)| *other == said) {
            Some((_, steps)) => steps.push(step),
            None => rows.push((said, vec![step])),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let rows = rows.into_iter();
    Ok(rows
        .map(|(said, steps)| format!("{}: {said}\n", steps.join(", ")))
        .collect())
}

/// What stands in the table of an answer: a refusal's words, and what is warned of.
fn row(world: &World, program: Program, traced: &Traced) -> String {
    let text = match (program, traced.code) {
        (Program::Vmrun, _) => &traced.out,
        // Damage that a check found is an answer.
        (_, Some(1)) if traced.err.is_empty() => &traced.out,
        _ => &traced.err,
    };
    let text = plain_ids(&world.plain(text));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut lines: Vec<String> = lines
        .map(|line| match line.char_indices().nth(MOST_SHOWN) {
            Some((at, _)) => format!("{}... ({} bytes)", &line[..at], line.len()),
            None => line.to_owned(),
        })
        .collect();
    if lines.len() > 4 {
        lines.truncate(3);
        lines.push("...".into());
    }
    let verdict = if traced.code == Some(0) {
        "done"
    } else {
        "refused"
    };
    [&[verdict.to_owned()], &lines[..]].concat().join("\n    ")
}
