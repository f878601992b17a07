//! Removing snapshots of a VM, with consolidation of their disks. The guest of one that runs is
//! halted meanwhile: QEMU's own ways of merging disks end badly with VMDKs (docs/adr/0001).
//!
//! Order of what becomes durable: the `.vmsd` without the snapshots, which says what they leave; for each merge, that saved
//! memories fit what it comes to, the merged data, and re-pointing the disks above; the `.vmsd` and
//! the `.vmx` with the names that stay; then the files that nothing names any more go. Power may fail
//! between any two: the VM runs on a longer chain at worst.

use std::path::{Path, PathBuf};

use super::consolidate::carry_out;
use super::links::Links;
use super::local::hold_still;
use super::{SnapshotRef, leavings, take};
use crate::disk::Chain;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::format::{SnapshotEntry, Vmsd};
use crate::job::Job;
use crate::power::Halted;
use crate::store::{LockMode, replace};
use crate::vm::{Claim, Env, Standing, clone_standing, kin};

/// Removes the snapshot `wanted` of the VM at `vmx`, and with `children` all that descend from it.
///
/// # Errors
/// `VmRunning`, `SnapshotNotFound`, `SnapshotAmbiguous`; `SnapshotLocked` where linked clones stand
/// on one of them; what is wrong with a disk. After an error of merging, the snapshots are removed
/// and the disks of the VM are whole, on a longer chain.
pub(crate) fn remove(
    env: &Env,
    vmx: &Path,
    wanted: &SnapshotRef,
    children: bool,
    job: &Job,
) -> Result<()> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    let vmsd = env.vmsd(&claim.vm)?;
    let tree = take::shape_of(&vmsd);
    let uid = tree.find(wanted)?.uid;
    let mut doomed = vec![uid];
    if children {
        doomed.extend(tree.descendants(uid));
    }
    let entries = doomed
        .iter()
        .map(|uid| super::entry(&vmsd, *uid))
        .collect::<Result<Vec<_>>>()?;
    for entry in &entries {
        refuse_if_cloned(env, &claim, entry)?;
    }
    let halted = hold_still(env, &claim, false, job)?;
    leavings::clear(env, &mut claim, job);
    let mut vmsd = env.vmsd(&claim.vm)?;
    let mut links = Links::default();
    let mut freed = Vec::new();
    for entry in &entries {
        freed.extend(add_doomed(env, &claim, entry, &mut links, job));
        vmsd.remove_snapshot(entry.uid);
    }
    add_states(env, &claim, &vmsd, &mut links)?;
    let (steps, kept) = links.plan(&freed);
    for link in &kept {
        job.warn(format!(
            "{} stays: other disks or linked clones stand on it",
            quoted(link)
        ));
    }
    leavings::note(&mut vmsd, &claim.vm, &entries, &steps);
    replace(
        &*env.store,
        &claim.vm.vmsd_path(&*env.store),
        &vmsd.to_bytes(),
    )?;
    // What was merged is put to use even if the rest was not.
    let merged = carry_out(env, &mut claim, &mut vmsd, &steps, job)?;
    clean_up(env, &claim, &entries)?;
    if merged.ended.is_ok() {
        leavings::forget(env, &claim, &mut vmsd, job);
    }
    halted.map_or(Ok(()), Halted::go_on)?;
    merged.ended.map_err(|error| {
        error.context("the snapshot is removed, but not all of its disks could be merged")
    })
}

fn refuse_if_cloned(env: &Env, claim: &Claim, entry: &SnapshotEntry) -> Result<()> {
    let standing: Vec<&str> = entry
        .clones
        .iter()
        .filter(|clone| clone_standing(env, &claim.vm, clone) != Standing::Gone)
        .collect();
    if standing.is_empty() {
        return Ok(());
    }
    let name = escaped(&entry.display_name);
    let clones: Vec<String> = standing.iter().map(quoted).collect();
    let text = format!(
        "snapshot \"{name}\" is used by linked clones: {}",
        kin::enumerate(&clones)
    );
    Err(Error::new(Kind::SnapshotLocked, text)
        .at(claim.vm.vmx())
        .hint("delete those clones first"))
}

/// Adds the chains of a snapshot that goes; returns its own links. One that cannot be opened is
/// left where it is.
fn add_doomed(
    env: &Env,
    claim: &Claim,
    entry: &SnapshotEntry,
    links: &mut Links,
    job: &Job,
) -> Vec<PathBuf> {
    let mut tops = Vec::new();
    for disk in &entry.disks {
        match env.disk(&claim.vm, &disk.file_name) {
            Ok(chain) => tops.push(add(env, claim, &chain, links)),
            Err(error) => job.warn(format!("a disk of the snapshot is left as it is: {error}")),
        }
    }
    tops
}

/// Adds the states that stay: the snapshots of `vmsd`, and the present one.
pub(super) fn add_states(env: &Env, claim: &Claim, vmsd: &Vmsd, links: &mut Links) -> Result<()> {
    for slot in claim.vm.config.disks() {
        let chain = env.disk(&claim.vm, &slot.file_name)?;
        let top = add(env, claim, &chain, links);
        links.need(&top);
    }
    for entry in vmsd.snapshots() {
        let cloned = entry
            .clones
            .iter()
            .any(|c| clone_standing(env, &claim.vm, c) != Standing::Gone);
        for disk in &entry.disks {
            let path = claim.vm.require(&*env.store, "disk", &disk.file_name)?;
            if !links.contains(&path) {
                add(env, claim, &env.disk(&claim.vm, &disk.file_name)?, links);
            }
            links.need(&path);
            if cloned {
                links.pin_chain(&path);
            }
        }
    }
    Ok(())
}

/// Adds a chain and returns its top; links outside of the VM's folders are not ours to touch.
pub(super) fn add(env: &Env, claim: &Claim, chain: &Chain, links: &mut Links) -> PathBuf {
    let own = env.own_folders(&claim.vm);
    let paths: Vec<PathBuf> = chain
        .links()
        .iter()
        .map(|link| link.path().to_path_buf())
        .collect();
    links.add_chain(&paths);
    for link in chain.links() {
        if !own.hold_link(&*env.store, link) {
            links.pin(link.path());
        }
    }
    chain.top().path().to_path_buf()
}

/// Removes the files with the states of snapshots that are gone.
fn clean_up(env: &Env, claim: &Claim, entries: &[SnapshotEntry]) -> Result<()> {
    for entry in entries {
        for file in leavings::state_files(env, &claim.vm, &entry.file_name) {
            env.store.remove_file(&file)?;
        }
    }
    env.store.sync_dir(claim.vm.dir())
}

/// Removes the files of a link of the VM's own.
pub(super) fn delete_link(env: &Env, claim: &Claim, link: &Path) -> Result<()> {
    env.opener(&claim.vm)?.open_link(link)?.remove(&*env.store)
}
