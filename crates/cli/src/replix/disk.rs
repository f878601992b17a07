//! `replix disk`: a virtual disk by itself.

mod change;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use replix::disk::{
    CheckReport, Comparison, DiskAnswer, DiskCall, DiskReport, MapEntry, RepairReport,
};
use replix::error::{escaped, quoted};
use replix::{Error, Kind};
use serde_json::json;

use super::exit::Exit;
use super::failure::Failure;
use super::place;
use super::screen::{Answer, to_json};
use super::session::Session;
use crate::text::{columns, count, size};

/// Look into virtual disks, make, change and mend them
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show the links of the disk, itself first, its base last
    Info(Disk),
    /// Check all links; the exit code is 1 when damage is found
    Check(Check),
    /// Show where each stretch of the disk is stored
    Map(Disk),
    /// Compare what a guest sees of two disks; exit code 0: the same, 1: not, 2: it cannot be told
    Compare(Compare),
    /// Make an empty disk
    Create(change::Create),
    /// Copy what a guest sees of a disk, all links made one, in any format
    Convert(change::Convert),
    /// Make one file of compressed grains of a disk, for ESXi and OVF tools
    Export(change::Export),
    /// Make a disk of a stream, or of a raw image
    Import(change::Import),
    /// Make a disk larger
    Grow(change::Grow),
    /// Write a growing disk anew, in order and without what reads as zeros
    Compact(Disk),
}

#[derive(clap::Args)]
struct Disk {
    /// The disk: its .vmdk
    file: PathBuf,
}

#[derive(clap::Args)]
struct Check {
    #[command(flatten)]
    disk: Disk,
    /// Mend what the disk itself proves, and say what is left for a person to decide
    #[arg(long)]
    repair: bool,
    /// Only say what a repair would do
    #[arg(long, requires = "repair")]
    dry_run: bool,
}

#[derive(clap::Args)]
struct Compare {
    /// A disk: its .vmdk
    file: PathBuf,
    /// The other one
    with: PathBuf,
}

/// Does what is asked for.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    match &args.action {
        Action::Info(disk) => info(disk, session),
        Action::Check(args) if args.repair => repair(args, session),
        Action::Check(args) => check(&args.disk, session),
        Action::Map(disk) => map(disk, session),
        Action::Compare(args) => compare(args, session).map_err(untold),
        Action::Create(args) => change::create(args, session),
        Action::Convert(args) => change::convert(args, session),
        Action::Export(args) => change::export(args, session),
        Action::Import(args) => change::import(args, session),
        Action::Grow(args) => change::grow(args, session),
        Action::Compact(disk) => change::compact(&disk.file, session),
    }
}

fn info(disk: &Disk, session: &mut Session) -> Result<Answer, Failure> {
    let report = session
        .host()
        .provider()
        .disk_info(&place::absolute(&disk.file)?)?;
    session.screen.show(&render_info(&report));
    Answer::new(&report)
}

fn check(disk: &Disk, session: &mut Session) -> Result<Answer, Failure> {
    let file = place::absolute(&disk.file)?;
    let report = session.run(move |host, job| host.disk_check(&file, job))?;
    session.screen.show(&render_check(&report));
    let mut answer = Answer::new(&report)?;
    if !report.errors.is_empty() {
        answer.exit = Exit::Failed;
    }
    Ok(answer)
}

/// Says what will be done before it is done.
fn repair(args: &Check, session: &mut Session) -> Result<Answer, Failure> {
    let file = place::absolute(&args.disk.file)?;
    let planned = repaired(&file, true, session)?;
    session.screen.show(&render_plan(&planned));
    if args.dry_run || planned.steps.is_empty() {
        let errors = planned.found.errors.len();
        return answer_repair(&planned, errors);
    }
    let report = repaired(&file, false, session)?;
    let after = report.after.clone().unwrap_or_default();
    session.screen.show(&render_check(&after));
    answer_repair(&report, after.errors.len())
}

fn repaired(file: &Path, dry_run: bool, session: &mut Session) -> Result<RepairReport, Failure> {
    match asked(file, DiskCall::Repair { dry_run }, session)? {
        DiskAnswer::Repaired(report) => Ok(report),
        answer => Err(unexpected(&answer)),
    }
}

fn asked(file: &Path, call: DiskCall, session: &mut Session) -> Result<DiskAnswer, Failure> {
    let file = file.to_path_buf();
    session.run(move |host, job| host.disk(&file, &call, job))
}

/// Does what has nothing to tell.
fn done(file: &Path, call: DiskCall, session: &mut Session) -> Result<(), Failure> {
    match asked(file, call, session)? {
        DiskAnswer::Done => Ok(()),
        answer => Err(unexpected(&answer)),
    }
}

fn unexpected(answer: &DiskAnswer) -> Failure {
    let text = format!("the host answered something else than was asked: {answer:?}");
    Error::new(Kind::Internal, text).into()
}

fn answer_repair(report: &RepairReport, errors: usize) -> Result<Answer, Failure> {
    let mut answer = Answer::new(report)?;
    if errors > 0 {
        answer.exit = Exit::Failed;
    }
    Ok(answer)
}

fn compare(args: &Compare, session: &mut Session) -> Result<Answer, Failure> {
    let file = place::absolute(&args.file)?;
    let with = place::absolute(&args.with)?;
    let found = match asked(&file, DiskCall::Compare { with }, session)? {
        DiskAnswer::Compared(found) => found,
        answer => return Err(unexpected(&answer)),
    };
    session.screen.show(&render_comparison(&found));
    let [one, other] = found.capacity_bytes;
    let mut answer = Answer::new(json!({
        "same": found.is_same(),
        "first_difference": found.first_difference,
        "capacity_bytes": [one, other],
    }))?;
    if !found.is_same() {
        answer.exit = Exit::Failed;
    }
    Ok(answer)
}

/// A comparison that failed is told from one that found a difference.
fn untold(failure: Failure) -> Failure {
    let exit = match failure.exit {
        Exit::Failed => Exit::Usage,
        other => other,
    };
    Failure { exit, ..failure }
}

fn render_comparison(found: &Comparison) -> String {
    let [one, other] = found.capacity_bytes;
    let sizes = match one == other {
        true => String::new(),
        false => format!("the disks have {one} and {other} bytes\n"),
    };
    let verdict = match found.first_difference {
        Some(at) => format!("they differ from byte {at} ({at:#x}) on\n"),
        None if one == other => "they read the same\n".to_string(),
        None => "they read the same up to the end of the smaller one\n".to_string(),
    };
    sizes + &verdict
}

fn map(disk: &Disk, session: &mut Session) -> Result<Answer, Failure> {
    let entries = session
        .host()
        .provider()
        .disk_map(&place::absolute(&disk.file)?)?;
    session.screen.show(&render_map(&entries));
    Answer::new(json!({"map": to_json(&entries)?}))
}

fn render_info(report: &DiskReport) -> String {
    let links = count(report.links.len(), "link");
    let mut out = format!("capacity {}, {links}\n", size(report.capacity_bytes));
    for link in &report.links {
        let mut facts = vec![
            ("type", escaped(&link.create_type)),
            ("allocated", size(link.allocated_bytes)),
            ("content id", escaped(&link.cid)),
        ];
        if let Some(hint) = &link.parent_hint {
            let id = escaped(&link.parent_cid);
            facts.push(("parent", format!("{}, content id {id}", quoted(hint))));
        }
        let others = link.extents.iter().filter(|extent| **extent != link.path);
        facts.extend(others.map(|extent| ("extent", quoted(extent))));
        facts.extend(link.notes.iter().map(|note| ("note", escaped(note))));
        let row = |(name, value): (&str, String)| vec![name.to_string(), value];
        let rows: Vec<_> = facts.into_iter().map(row).collect();
        out.push_str(&format!("\n{}\n", escaped(&link.path.to_string_lossy())));
        out.push_str(&columns(2, &rows));
    }
    out
}

fn render_check(report: &CheckReport) -> String {
    let mut out = String::new();
    for error in &report.errors {
        out.push_str(&format!("damage: {}\n", escaped(error)));
    }
    for note in &report.notes {
        out.push_str(&format!("note: {}\n", escaped(note)));
    }
    let verdict = match report.errors.len() {
        0 => "no damage found".to_string(),
        places => format!("damage in {}", count(places, "place")),
    };
    out.push_str(&format!(
        "{verdict}, {} grains in use\n",
        report.allocated_grains
    ));
    out
}

/// What was found, what is mended of it, and what is not.
fn render_plan(report: &RepairReport) -> String {
    let mut out = render_check(&report.found);
    for step in &report.steps {
        out.push_str(&format!("repair: {}\n", escaped(step)));
    }
    for left in &report.left {
        out.push_str(&format!("left: {}\n", escaped(left)));
    }
    if report.steps.is_empty() {
        out.push_str("nothing to repair\n");
    }
    out
}

fn render_map(entries: &[MapEntry]) -> String {
    let heading = ["OFFSET", "LENGTH", "DEPTH", "AT", "FILE"];
    let mut rows = vec![heading.map(String::from).to_vec()];
    rows.extend(entries.iter().map(|entry| {
        let (depth, at, file) = match &entry.file {
            Some(file) => (
                entry.depth.to_string(),
                format!("{:#x}", entry.file_offset),
                match entry.compressed {
                    true => format!("{} (compressed)", escaped(&file.to_string_lossy())),
                    false => escaped(&file.to_string_lossy()),
                },
            ),
            None => ("-".into(), "-".into(), "zeros".into()),
        };
        let span = [entry.offset, entry.length].map(|bytes| format!("{bytes:#x}"));
        let mut row = span.to_vec();
        row.extend([depth, at, file]);
        row
    }));
    columns(0, &rows)
}
