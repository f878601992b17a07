//! `replix clone VMX DEST`: one clone or many, or what they would come to.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replix::clone::{Base, CloneKind, ClonePlan, CloneReport, CloneSpec};
use replix::error::{escaped, quoted};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::screen::{Answer, to_json};
use super::session::Session;
use super::{place, start};
use crate::text::{columns, duration, size};

/// Clone a VM
///
/// A full clone is a copy that shares nothing with its source. A linked clone is made at once and
/// takes hardly any space, but stands on the disks of its source: it works only as long as they
/// are there. A linked clone of the present state needs a snapshot in the source; the current one
/// is used if nothing was written since it was taken, else one is made.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM to clone: its .vmx, or its folder
    vmx: PathBuf,
    /// Where the clone goes: DIR/NAME.vmx, or DIR/NAME for DIR/NAME/NAME.vmx
    dest: PathBuf,
    /// Make a linked clone instead of a full one
    #[arg(long)]
    linked: bool,
    /// Clone the VM as it was at this snapshot: its name, its path (a/b) or its number (#2)
    #[arg(long, value_name = "SNAPSHOT")]
    snapshot: Option<String>,
    /// The name that people see; as a rule the clone's file name
    #[arg(long)]
    name: Option<String>,
    /// Make N clones, each in its folder: DIR/NAME-1/NAME-1.vmx to DIR/NAME-N/NAME-N.vmx
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Power the clones on
    #[arg(long, conflicts_with = "dry_run")]
    start: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep the uuids and MAC addresses of the source
    #[arg(long)]
    keep_identity: bool,
    /// Clone a snapshot of a running VM without its memory, as after a power cut
    #[arg(long)]
    without_memory: bool,
}

/// Clones, or shows what cloning would do.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let vm = session.vm(&args.vmx)?.path().to_path_buf();
    let specs = specs(args)?;
    match args.dry_run {
        true => plan(&vm, &specs, session),
        false => clone(&vm, specs, args.start, session),
    }
}

/// The clones that are asked for.
fn specs(args: &Args) -> Result<Vec<CloneSpec>, Failure> {
    let kind = match args.linked {
        true => CloneKind::Linked,
        false => CloneKind::Full,
    };
    let destinations = place::clones(&args.dest, args.count)?;
    let spec = |(number, destination)| CloneSpec {
        snapshot: args.snapshot.as_deref().map(place::snapshot),
        name: args.name.as_deref().map(|name| match args.count {
            1 => name.to_string(),
            _ => numbered(name, number),
        }),
        keep_identity: args.keep_identity,
        without_memory: args.without_memory,
        base: Base::Reuse,
        ..CloneSpec::new(kind, destination)
    };
    Ok((1..).zip(destinations).map(spec).collect())
}

fn numbered(name: &str, number: u32) -> String {
    let name = place::numbered(OsStr::new(name), number);
    name.to_string_lossy().into_owned()
}

fn plan(vm: &Path, specs: &[CloneSpec], session: &mut Session) -> Result<Answer, Failure> {
    let mut plans: Vec<ClonePlan> = Vec::new();
    for spec in specs {
        let plan = session.host().provider().plan_clone(vm, spec)?;
        session.screen.warn(plan.warnings.iter().cloned());
        plans.push(plan);
    }
    session.screen.show(&render(&plans));
    Answer::new(json!({"plans": to_json(&plans)?}))
}

fn clone(
    vm: &Path,
    specs: Vec<CloneSpec>,
    start: bool,
    session: &mut Session,
) -> Result<Answer, Failure> {
    let mut clones = Vec::new();
    for spec in specs {
        let made = clone_one(vm, spec, start, session, &mut clones);
        if let Err(mut failure) = made {
            // What was made before stays, and is named.
            failure.done = object(clones);
            return Err(failure);
        }
    }
    Answer::new(object(clones))
}

fn object(clones: Vec<Value>) -> Map<String, Value> {
    Map::from_iter([("clones".to_string(), Value::Array(clones))])
}

fn clone_one(
    vm: &Path,
    spec: CloneSpec,
    start: bool,
    session: &mut Session,
    clones: &mut Vec<Value>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let source = vm.to_path_buf();
    let report = session.run(move |host, job| host.clone_vm(&source, &spec, job))?;
    session.screen.warn(report.warnings.iter().cloned());
    clones.push(to_json(&report)?);
    session.screen.confirm(&made(&report, begun.elapsed()));
    if start {
        start::start(&report.path, false, session)?;
        session
            .screen
            .confirm(&format!("{} runs", quoted(&report.path)));
    }
    Ok(())
}

fn made(report: &CloneReport, took: Duration) -> String {
    let of = match &report.snapshot {
        Some(name) => format!(" of snapshot {}", quoted(name)),
        None => String::new(),
    };
    format!(
        "{} clone{of} made in {}, {} of disk data written: {}",
        kind_name(report.kind),
        duration(took),
        size(report.bytes),
        escaped(&report.path.to_string_lossy()),
    )
}

fn kind_name(kind: CloneKind) -> &'static str {
    match kind {
        CloneKind::Full => "full",
        CloneKind::Linked => "linked",
    }
}

/// The first plan in full; its likes only by their place.
fn render(plans: &[ClonePlan]) -> String {
    let Some(first) = plans.first() else {
        return String::new();
    };
    let mut out = render_plan(first);
    for plan in &plans[1..] {
        let path = escaped(&plan.destination.to_string_lossy());
        out.push_str(&format!("likewise {path}\n"));
    }
    if plans.len() > 1 {
        let bytes = plans
            .iter()
            .fold(0_u64, |sum, plan| sum.saturating_add(plan.bytes));
        out.push_str(&format!("{} to be written in all\n", size(bytes)));
    }
    out
}

fn render_plan(plan: &ClonePlan) -> String {
    let state = match (&plan.snapshot, &plan.new_snapshot) {
        (_, Some(name)) => format!(
            "its present state, as snapshot {} to be taken",
            quoted(name)
        ),
        (Some(name), None) => format!("its snapshot {}", quoted(name)),
        (None, None) => "its present state".to_string(),
    };
    let mut rows = vec![
        vec!["from".into(), escaped(&plan.source.to_string_lossy())],
        vec![String::new(), state],
        vec!["to".into(), escaped(&plan.destination.to_string_lossy())],
    ];
    for disk in &plan.disks {
        let (from, to) = (quoted(&disk.from), quoted(&disk.to));
        let (node, action) = (escaped(&disk.node), escaped(&disk.action));
        rows.push(vec![node, format!("{action} {from}")]);
        let (capacity, kind) = (size(disk.capacity_bytes), escaped(&disk.create_type));
        rows.push(vec![
            String::new(),
            format!(
                "as {to}, {kind}, {capacity}, at most {} written",
                size(disk.bytes)
            ),
        ]);
    }
    let files = plan
        .files
        .iter()
        .map(|file| vec!["file".into(), quoted(file)]);
    rows.extend(files);
    let (bytes, free) = (size(plan.bytes), size(plan.free_bytes));
    let time = duration(Duration::from_secs(plan.seconds));
    rows.push(vec![
        "writes".into(),
        format!("{bytes} of {free} free, in about {time}"),
    ]);
    format!(
        "{} clone (dry run)\n{}",
        kind_name(plan.kind),
        columns(2, &rows)
    )
}
