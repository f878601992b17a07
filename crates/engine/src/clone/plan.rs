//! What a clone would do: names, sizes, space.

use std::path::{Path, PathBuf};

use super::source::{Source, SourceDisk};
use super::{CloneKind, ClonePlan, CloneSpec, PlannedDisk, naming, stage};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::SnapshotEntry;
use crate::format::vmdk::CreateType;
use crate::job::Job;
use crate::store::folder_of;
use crate::vm::firmware::VARIABLES_ENDING;
use crate::vm::{Env, files};

/// Name of the snapshot that a linked clone of the present state stands on. Source: `vmrun
/// listSnapshots` of VMs that were cloned so.
pub(super) const BASE_NAME: &str = "Clone";

/// Its description.
pub(super) const BASE_DESCRIPTION: &str = "Created by clone operation.";

/// Tells whether a snapshot is one that is made for a linked clone of the present state.
pub(crate) fn is_base(entry: &SnapshotEntry) -> bool {
    entry.display_name == BASE_NAME && entry.description == BASE_DESCRIPTION
}

/// Bytes that a disk copied without a common file system trick moves in a second: a cautious figure
/// for a plan, not a promise.
const BYTES_PER_SECOND: u64 = 300 << 20;

/// Space that a new VM's small files take, its lists of changes included.
const SMALL_FILES: u64 = 1 << 20;

/// A clone that can be carried out: the source held, the names chosen.
pub(super) struct Prepared<'a> {
    /// What is cloned.
    pub(super) source: Source<'a>,
    /// Where the clone's `.vmx` will be, resolved.
    pub(super) destination: PathBuf,
    /// The folders in which a linked clone searches what it stands on, the source's first.
    pub(super) search: Vec<PathBuf>,
    /// File names of the clone's disks, in the order of the source's.
    pub(super) disk_names: Vec<String>,
    /// The plan.
    pub(super) plan: ClonePlan,
}

impl Prepared<'_> {
    /// Returns the file name of the clone's `.vmx` without its ending.
    pub(super) fn stem(&self) -> String {
        stem_of(&self.destination)
    }
}

fn stem_of(vmx: &Path) -> String {
    let name = vmx.file_name().unwrap_or_default().to_string_lossy();
    files::stem(&name).to_owned()
}

/// Checks a clone and chooses its names; writes nothing.
///
/// # Errors
/// Those of the clone, as far as they can be seen beforehand.
pub(super) fn prepare<'a>(
    env: &'a Env,
    vmx: &Path,
    spec: &CloneSpec,
    job: &Job,
) -> Result<Prepared<'a>> {
    let destination = naming::checked_destination(&spec.destination)?;
    let destination = stage::resolved(&*env.store, &destination);
    stage::refuse_existing(&*env.store, &destination)?;
    let source = Source::open(env, vmx, spec, job)?;
    let linked = source.disks.iter().filter(|disk| disk.linked);
    let parents = linked.map(|disk| disk.chain.top().path());
    if spec.kind == CloneKind::Linked {
        let ends = [destination.as_path(), source.claim.vm.vmx()];
        ends.into_iter()
            .chain(parents)
            .try_for_each(naming::require_text)?;
    }
    let search = match spec.kind {
        CloneKind::Full => Vec::new(),
        CloneKind::Linked => search_folders(&source),
    };
    require_reach(env, &source, &destination, &search)?;
    let mut names = stage::taken_names(&*env.store, &destination);
    let disk_names: Vec<String> = source
        .disks
        .iter()
        .map(|disk| disk_name(disk, &mut names))
        .collect();
    let plan = plan_of(env, &source, spec, &destination, &disk_names)?;
    let needed = plan.bytes.saturating_add(SMALL_FILES);
    if needed > plan.free_bytes {
        let text = format!(
            "the clone needs {needed} bytes, and {} are free at {}",
            plan.free_bytes,
            quoted(&destination)
        );
        return Err(Error::new(Kind::NoSpace, text).at(&destination));
    }
    Ok(Prepared {
        source,
        destination,
        search,
        disk_names,
        plan,
    })
}

/// The folders in which a linked clone is to search: the source's, and those where what it stands on itself
/// was found, which its own names of them need not say.
fn search_folders(source: &Source) -> Vec<PathBuf> {
    let mut folders = vec![source.claim.vm.dir().to_path_buf()];
    let linked = source.disks.iter().filter(|disk| disk.linked);
    for link in linked.flat_map(|disk| disk.chain.links()) {
        let folder = folder_of(link.path());
        let is_writable = |text: &str| !text.contains(';') && text.trim() == text;
        if folder.to_str().is_some_and(is_writable) && !folders.iter().any(|f| f == folder) {
            folders.push(folder.to_path_buf());
        }
    }
    folders
}

/// Refuses a linked clone that could not open what it is to stand on.
fn require_reach(env: &Env, source: &Source, vmx: &Path, search: &[PathBuf]) -> Result<()> {
    let opener = env.opener_to_be(folder_of(vmx), search.to_vec());
    let mut linked = source.disks.iter().filter(|disk| disk.linked);
    linked.try_for_each(|disk| opener.require_parents(&disk.chain))
}

fn disk_name(disk: &SourceDisk, names: &mut naming::Names) -> String {
    let path = disk.chain.top().path().to_string_lossy();
    let stem = naming::clone_disk_stem(files::stem(files::last_part(&path)));
    names.unique(&stem, ".vmdk")
}

fn plan_of(
    env: &Env,
    source: &Source,
    spec: &CloneSpec,
    destination: &Path,
    names: &[String],
) -> Result<ClonePlan> {
    let dir = destination.parent().unwrap_or(Path::new("/"));
    let stem = stem_of(destination);
    let mut disks = Vec::new();
    for (disk, name) in source.disks.iter().zip(names) {
        disks.push(planned(disk, dir.join(name))?);
    }
    let bytes = disks.iter().map(|disk| disk.bytes).sum();
    let new_base = spec.kind == CloneKind::Linked && source.snapshot.is_none();
    let nvram = source.nvram.is_some().then_some("nvram");
    let variables = source.variables.is_some().then_some(VARIABLES_ENDING);
    let endings = ["vmx", "vmxf", "vmsd"].into_iter();
    let endings = endings.chain(nvram).chain(variables);
    Ok(ClonePlan {
        source: source.claim.vm.vmx().to_path_buf(),
        destination: destination.to_path_buf(),
        kind: spec.kind,
        snapshot: source
            .snapshot
            .as_ref()
            .map(|entry| entry.display_name.clone()),
        new_snapshot: new_base.then(|| BASE_NAME.to_owned()),
        disks,
        files: endings
            .map(|ending| dir.join(format!("{stem}.{ending}")))
            .collect(),
        bytes,
        free_bytes: free_bytes(env, dir)?,
        seconds: bytes.div_ceil(BYTES_PER_SECOND),
        warnings: source.warnings.clone(),
    })
}

fn planned(disk: &SourceDisk, to: PathBuf) -> Result<PlannedDisk> {
    let own_type = disk.chain.own_type();
    let (create_type, bytes): (CreateType, u64) = match disk.linked {
        // A child of a disk is sparse, and has no data yet.
        true => (own_type.of_child(), 0),
        false => (
            own_type.of_copy(disk.chain.sectors()),
            disk.chain.data_bytes()?,
        ),
    };
    Ok(PlannedDisk {
        node: disk.slot.node.to_string(),
        from: disk.chain.top().path().to_path_buf(),
        to,
        action: if disk.linked { "link" } else { "copy" }.into(),
        create_type: create_type.word().into(),
        capacity_bytes: disk.chain.capacity_bytes(),
        bytes,
    })
}

/// The space at the nearest folder that exists.
fn free_bytes(env: &Env, dir: &Path) -> Result<u64> {
    let there = dir
        .ancestors()
        .find(|dir| env.store.exists(dir))
        .unwrap_or(Path::new("/"));
    env.store.free_bytes(there)
}
