//! `replix clone VMX DEST`: one clone or many, or what they would come to.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replix::clone::{Base, CloneKind, ClonePlan, CloneReport, CloneSpec, PlannedDisk, PromoteSpec};
use replix::error::{escaped, quoted};
use replix::power::StartSpec;
use replix::{Error, Kind};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::screen::{Answer, to_json};
use super::session::Session;
use super::{place, promote, start};
use crate::text::{columns, duration, size};

/// Clone a VM
///
/// A full clone is a copy that shares nothing with its source. A linked clone is made at once and
/// takes hardly any space, but stands on the disks of its source: it works only as long as they
/// are there. A linked clone of the present state needs a snapshot in the source; the current one
/// is used if nothing was written since it was taken, else one is made. With --now, a full clone is
/// there as quickly as a linked one; until it is copied it needs its source.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM to clone: its .vmx, or its folder
    vmx: PathBuf,
    /// Where the clone goes: DIR/NAME.vmx, or DIR/NAME for DIR/NAME/NAME.vmx
    dest: PathBuf,
    /// Make a linked clone instead of a full one
    #[arg(long)]
    linked: bool,
    /// Make a full clone: what is made anyway
    #[arg(long, conflicts_with = "linked")]
    full: bool,
    /// Have the full clone ready at once: it begins as a linked one, and becomes independent while it
    /// runs or rests
    #[arg(long, conflicts_with_all = ["linked", "dry_run"])]
    now: bool,
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
    match (args.dry_run, args.now) {
        (true, _) => plan(&vm, &specs, session),
        (false, false) => clone(&vm, specs, args.start, session).and_then(Answer::new),
        (false, true) => clone_now(&vm, specs, args.start, session),
    }
}

/// The clones that are asked for.
fn specs(args: &Args) -> Result<Vec<CloneSpec>, Failure> {
    let kind = match args.linked || args.now {
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
    require_space(total_bytes(&plans), &plans[0])?;
    session.screen.show(&render(&plans));
    Answer::new(json!({"plans": to_json(&plans)?}))
}

/// The engine looks whether there is space for each clone; here it is seen whether for all.
fn require_space(needed: u64, plan: &ClonePlan) -> Result<(), Failure> {
    if needed <= plan.free_bytes {
        return Ok(());
    }
    let text = format!(
        "the clones need {}, and {} are free at {}",
        size(needed),
        size(plan.free_bytes),
        quoted(&plan.destination),
    );
    Err(Error::new(Kind::NoSpace, text).at(&plan.destination).into())
}

fn clone(
    vm: &Path,
    specs: Vec<CloneSpec>,
    start: bool,
    session: &mut Session,
) -> Result<Map<String, Value>, Failure> {
    if let [first, _, ..] = specs.as_slice() {
        let plan = session.host().provider().plan_clone(vm, first)?;
        require_space(plan.bytes.saturating_mul(specs.len() as u64), &plan)?;
    }
    let mut clones = Vec::new();
    for spec in specs {
        let made = clone_one(vm, spec, start, session, &mut clones);
        if let Err(mut failure) = made {
            // What was made before stays, and is named.
            failure.done = object(clones);
            return Err(failure);
        }
    }
    Ok(object(clones))
}

/// Makes linked clones, all of them before any is copied, then has each become independent.
fn clone_now(
    vm: &Path,
    specs: Vec<CloneSpec>,
    start: bool,
    session: &mut Session,
) -> Result<Answer, Failure> {
    let provider = session.host().provider();
    let base = provider.plan_clone(vm, &specs[0])?.new_snapshot;
    let mut paths: Vec<PathBuf> = specs.iter().map(|spec| spec.destination.clone()).collect();
    let mut answer = clone(vm, specs, start, session)?;
    let (last, mut promoted) = (paths.pop(), Vec::new());
    let clones = paths.into_iter().map(|path| (path, false));
    // The snapshot that was made for them goes with the last that stands on it.
    let clones = clones.chain(last.map(|path| (path, base.is_some())));
    for (path, remove_base) in clones {
        match promote::promote(&path, PromoteSpec { remove_base }, session) {
            Ok(done) => promoted.push(to_json(&done)?),
            Err(mut failure) => {
                failure.done = answer;
                failure.error = failure.error.context(format!(
                    "{} is a linked clone still, which replix promote makes a full one",
                    quoted(&path)
                ));
                return Err(failure);
            }
        }
    }
    answer.insert("promoted".into(), Value::Array(promoted));
    Answer::new(answer)
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
        start::start(&report.path, StartSpec::default(), session)?;
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
    let moved = &report.moved;
    let ways = [
        (moved.shared, "shared with the source"),
        (moved.handed_over, "copied by the file server"),
        (moved.written, "written"),
    ];
    let data = ways
        .iter()
        .filter(|(bytes, _)| *bytes > 0)
        .map(|(bytes, how)| format!(", {} of disk data {how}", size(*bytes)))
        .collect::<String>();
    format!(
        "{} clone{of} made in {}{data}: {}",
        kind_name(report.kind),
        duration(took),
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
    let bytes = total_bytes(plans);
    if plans.len() > 1 && bytes > 0 {
        out.push_str(&format!("at most {} written in all\n", size(bytes)));
    }
    out
}

fn total_bytes(plans: &[ClonePlan]) -> u64 {
    let bytes = plans.iter().map(|plan| plan.bytes);
    bytes.fold(0, u64::saturating_add)
}

fn render_plan(plan: &ClonePlan) -> String {
    let state = match (&plan.snapshot, &plan.new_snapshot) {
        (_, Some(name)) => format!(
            "its present state, kept as snapshot {}, which is taken first",
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
    rows.extend(plan.disks.iter().map(|disk| disk_row(plan, disk)));
    let files = plan
        .files
        .iter()
        .map(|file| name_in(&plan.destination, file));
    rows.push(vec!["files".into(), files.collect::<Vec<_>>().join(", ")]);
    rows.push(vec!["writes".into(), writes(plan)]);
    format!(
        "{} clone (dry run)\n{}",
        kind_name(plan.kind),
        columns(2, &rows)
    )
}

fn disk_row(plan: &ClonePlan, disk: &PlannedDisk) -> Vec<String> {
    let what = match disk.action.as_str() {
        "link" => "child of".to_string(),
        "copy" => "copy of".to_string(),
        other => escaped(other),
    };
    let from = name_in(&plan.source, &disk.from);
    let to = name_in(&plan.destination, &disk.to);
    let (capacity, kind) = (size(disk.capacity_bytes), escaped(&disk.create_type));
    vec![
        escaped(&disk.node),
        format!("{to}, a {what} {from}: {capacity}, {kind}"),
    ]
}

/// A file by its name where it lies beside the `.vmx`, else by its path.
fn name_in(vmx: &Path, file: &Path) -> String {
    match file.file_name() {
        Some(name) if file.parent() == vmx.parent() => quoted(name),
        _ => quoted(file),
    }
}

fn writes(plan: &ClonePlan) -> String {
    let free = size(plan.free_bytes);
    match plan.bytes {
        0 => format!("no disk data; {free} are free"),
        bytes => format!(
            "at most {}, in about {}; {free} are free",
            size(bytes),
            duration(Duration::from_secs(plan.seconds)),
        ),
    }
}
