//! Making a clone.
//!
//! A linked clone is entered in its parent's `.vmsd` before anything of it can be seen: a crash in
//! between leaves an entry without a clone, never a clone that nobody knows of.

use std::path::{Path, PathBuf};

use super::config::{self, Wanted};
use super::plan::{BASE_DESCRIPTION, BASE_NAME, Prepared, prepare};
use super::source::Source;
use super::stage::Stage;
use super::{CloneKind, ClonePlan, CloneReport, CloneSpec};
use crate::disk::{self, ContentId, Copy, Moved};
use crate::error::{Result, quoted};
use crate::format::{LineEnd, Vmsd, Vmxf};
use crate::job::Job;
use crate::snapshot::{self, NewSnapshot};
use crate::store::{Undo, folder_of, write_unsynced};
use crate::vm::firmware::VARIABLES_ENDING;
use crate::vm::identity::Uuid;
use crate::vm::{Consents, Env, VmFolder, files};

/// Returns what [`run`] would do.
///
/// # Errors
/// Those of the clone, as far as they can be seen beforehand.
pub(crate) fn plan(env: &Env, vmx: &Path, spec: &CloneSpec) -> Result<ClonePlan> {
    let mut ready = prepare(env, vmx, spec, &Job::new())?;
    ready.plan.warnings = rewrite_config(env, &mut ready, spec);
    Ok(ready.plan)
}

/// Clones the VM at `vmx`.
///
/// # Errors
/// As `host::Provider::clone_vm` says; nothing is left then.
pub(crate) fn run(env: &Env, vmx: &Path, spec: &CloneSpec, job: &Job) -> Result<CloneReport> {
    let mut ready = prepare(env, vmx, spec, job)?;
    let mut undo = Undo::new(env.store.clone());
    // The hidden folder comes first: as long as it is there, the clone is known to be unfinished.
    let stage = Stage::prepare(&env.store, &ready.destination, &mut undo)?;
    if spec.kind == CloneKind::Linked {
        enter_in_parent(env, &mut ready, &mut undo, job)?;
    }
    job.expect_bytes(ready.plan.bytes);
    // The disks come last: where they become durable, file systems with a journal take the others along.
    let mut warnings = make_small_files(env, &mut ready, spec, stage.dir())?;
    let moved = make_disks(env, &ready, stage.dir(), job)?;
    job.check()?;
    stage.publish(&mut undo)?;
    if let Err(error) = pass_on_consents(env, &ready, &mut undo) {
        warnings.push(format!("folders are not shared with the clone: {error}"));
    }
    undo.keep();
    Ok(CloneReport {
        path: ready.destination,
        kind: spec.kind,
        snapshot: ready.source.snapshot.map(|entry| entry.display_name),
        bytes: moved.bytes(),
        moved,
        warnings,
    })
}

/// Makes the snapshot to stand on, where none is given, and notes the clone in it.
fn enter_in_parent(env: &Env, ready: &mut Prepared, undo: &mut Undo, job: &Job) -> Result<()> {
    let source = &mut ready.source;
    let clone = ready.destination.to_string_lossy().into_owned();
    if let Some(base) = &source.snapshot {
        source.vmsd.add_clone(base.uid, &clone);
        let path = source.claim.vm.vmsd_path(&*env.store);
        return undo.replace(&path, &source.vmsd.to_bytes());
    }
    let new = NewSnapshot {
        name: BASE_NAME.into(),
        description: BASE_DESCRIPTION.into(),
        with_memory: false,
    };
    let made = snapshot::take(env, &mut source.claim, &new, None, vec![clone], undo, job)?;
    source.vmsd = env.vmsd(&source.claim.vm)?;
    source.snapshot = Some(snapshot::entry(&source.vmsd, made.uid)?);
    Ok(())
}

/// Makes the clone's disks in `dir` and returns how their data got there.
fn make_disks(env: &Env, ready: &Prepared, dir: &Path, job: &Job) -> Result<Moved> {
    let mut moved = Moved::default();
    for (disk, name) in ready.source.disks.iter().zip(&ready.disk_names) {
        job.check()?;
        let to = dir.join(name);
        if disk.linked {
            let hint = parent_hint(&ready.destination, disk.chain.top().path());
            disk::create_child(&*env.store, &disk.chain, &to, &hint)?;
        } else {
            job.phase(format!("copying {}", quoted(disk.chain.top().path())));
            let copy = Copy {
                path: &to,
                create_type: None,
                preallocated: false,
                uuid: Some(Uuid::new_disk()),
                content_id: ContentId::Fresh,
            };
            moved += disk::copy(&*env.store, &disk.chain, &copy, job)?.moved;
        }
    }
    Ok(moved)
}

/// How the clone's disk names its parent (docs/adr/0005): relative where the two VMs lie side by
/// side, absolute elsewhere.
pub(super) fn parent_hint(destination: &Path, parent: &Path) -> String {
    let (own, theirs) = (folder_of(destination), folder_of(parent));
    let name = parent.file_name().unwrap_or_default();
    let relative = if own == theirs {
        Some(PathBuf::from(name))
    } else if own.parent() == theirs.parent() {
        theirs
            .file_name()
            .map(|folder| Path::new("..").join(folder).join(name))
    } else {
        None
    };
    relative
        .unwrap_or_else(|| parent.to_path_buf())
        .to_string_lossy()
        .into_owned()
}

/// Writes everything but the disks to `dir`, not yet durable; returns what the user should know.
fn make_small_files(
    env: &Env,
    ready: &mut Prepared,
    spec: &CloneSpec,
    dir: &Path,
) -> Result<Vec<String>> {
    let store = &*env.store;
    let stem = ready.stem();
    let source = &ready.source;
    let vmx_name = ready
        .destination
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let write = |ending: &str, bytes: &[u8]| {
        write_unsynced(store, &dir.join(format!("{stem}.{ending}")), bytes)
    };
    if let Some(nvram) = &source.nvram {
        write("nvram", nvram)?;
    }
    if let Some(variables) = &source.variables {
        write(VARIABLES_ENDING, variables)?;
    }
    write("vmxf", &vmxf_of(source, &vmx_name).to_bytes())?;
    write("vmsd", &vmsd_of(ready, spec.kind))?;

    let warnings = rewrite_config(env, ready, spec);
    let config = ready.source.config.to_bytes();
    write_unsynced(store, &dir.join(&vmx_name), &config)?;
    Ok(warnings)
}

/// Turns the source's configuration into the clone's; returns what the user should know.
fn rewrite_config(env: &Env, ready: &mut Prepared, spec: &CloneSpec) -> Vec<String> {
    let stem = ready.stem();
    let source = &mut ready.source;
    let nodes = source.disks.iter().map(|disk| disk.slot.node);
    let wanted = Wanted {
        name: spec.name.as_deref().unwrap_or(&stem),
        stem: &stem,
        place_of: &|name| place_of(env, &source.claim.vm, name),
        disks: nodes.zip(ready.disk_names.iter().cloned()).collect(),
        search: ready.search.clone(),
        keep_identity: spec.keep_identity,
    };
    let mut warnings = source.warnings.clone();
    warnings.extend(config::rewrite(&mut source.config, &wanted));
    warnings
}

/// What its user shares with the source, as far as the clone names it, is shared with the clone.
fn pass_on_consents(env: &Env, ready: &Prepared, undo: &mut Undo) -> Result<()> {
    let store = &*env.store;
    let shares = ready.source.config.shares().into_iter();
    let named = shares.filter_map(|share| store.canonical(Path::new(&share.host_path)).ok());
    let named: Vec<PathBuf> = named.collect();
    let mut consents = Consents::of(store, ready.source.claim.vm.vmx());
    consents.retain(|folder| named.iter().any(|named| named == folder));
    let clone = store.canonical(&ready.destination)?;
    consents.pass_on(&clone).keep(store, undo)
}

/// Where a file is, or would be, that a VM's configuration names relative to itself.
fn place_of(env: &Env, vm: &VmFolder, name: &str) -> PathBuf {
    let found = vm.find(&*env.store, name).map(|found| found.path);
    found.unwrap_or_else(|| files::place_of(vm.dir(), name))
}

/// The clone's `.vmxf`: the source's with its own id and name, or a fresh one.
fn vmxf_of(source: &Source, vmx_name: &str) -> Vmxf {
    let id = Uuid::new_part().to_string();
    let old = source.vmxf.as_deref().map(Vmxf::parse);
    if let Some(Ok(mut vmxf)) = old
        && vmxf.set_vm_id(&id)
        && vmxf.set_vmx_name(vmx_name)
    {
        return vmxf;
    }
    // VMware's own end their lines so, also beside a `.vmx` that does not.
    Vmxf::new(&id, vmx_name, LineEnd::Lf)
}

/// The clone's `.vmsd`: empty for a full clone; a linked one's names its parent, and its own disks
/// that hang on the parent's, where deleting must stop.
fn vmsd_of(ready: &Prepared, kind: CloneKind) -> Vec<u8> {
    if kind == CloneKind::Full {
        return Vec::new();
    }
    let source = &ready.source;
    let disks = source.disks.iter().zip(&ready.disk_names);
    let sentinels: Vec<String> = disks
        .filter(|(disk, _)| disk.linked)
        .map(|(_, name)| name.clone())
        .collect();
    let parent = source.claim.vm.vmx().to_string_lossy();
    Vmsd::of_linked_clone(&parent, &sentinels, source.config.line_end()).to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_is_named_relative_to_a_neighbour() {
        let hint = |parent| parent_hint(Path::new("/vms/web/web.vmx"), Path::new(parent));
        assert_eq!(hint("/vms/base/d-000001.vmdk"), "../base/d-000001.vmdk");
        assert_eq!(hint("/vms/web/d.vmdk"), "d.vmdk");
        assert_eq!(hint("/srv/base/d.vmdk"), "/srv/base/d.vmdk");
        assert_eq!(hint("/vms/d.vmdk"), "/vms/d.vmdk");
    }
}
