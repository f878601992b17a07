//! What a VM lacks by itself: bookkeeping, disks, states.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::link::Fact;
use super::member::{self, Member, Use};
use super::survey::{Look, snapshot_name};
use super::walk::{has_ending, is_unfinished};
use super::{Finding, Step, Trouble, rebuild};
use crate::error::{Error, Kind, escaped, quoted};
use crate::power;
use crate::store::{LockMode, Store};
use crate::vm::{Env, PowerState, kin, state as vm_state};

/// Files whose times differ by less were written together: microseconds.
const TOGETHER_US: i64 = 2_000_000;

/// Damages of one disk that are told one by one.
const TOLD: usize = 3;

pub(super) fn findings(look: &Look) -> Vec<Finding> {
    let mut found = Vec::new();
    for member in &look.members {
        let of_vm = [
            bookkeeping(look, member),
            member.uses.iter().filter_map(unusable).collect(),
            states(look.env, member),
            memory(look.env, member).into_iter().collect(),
            spare_memory(look.env, member),
            left(&*look.env.store, member).into_iter().collect(),
            out_of_step(&*look.env.store, member),
        ];
        let of_vm = of_vm.into_iter().flatten();
        found.extend(of_vm.map(|finding| finding.of(member.vmx())));
    }
    // What a change of snapshots left to nobody goes, whatever is in it.
    let left: BTreeSet<&PathBuf> = look.members.iter().flat_map(|one| &one.left).collect();
    let links = look.links.open.values();
    let links = links.filter(|fact| !left.contains(&fact.path));
    found.extend(links.filter_map(|fact| damaged(look, fact)));
    found
}

fn bookkeeping(look: &Look, member: &Member) -> Vec<Finding> {
    let path = member.vm.vmsd_path(&*look.env.store);
    let (trouble, text) = match &member.broken {
        Some(error) => {
            let text = format!("the bookkeeping of snapshots cannot be used: {error}");
            (Trouble::BookkeepingBroken, text)
        }
        None if rebuild::is_lost(look.env, &member.vm, &member.vmsd) => {
            let vmx = quoted(member.vmx());
            let text = format!(
                "{} is missing, and with it what it says of the snapshots of {vmx}",
                quoted(&path)
            );
            (Trouble::BookkeepingLost, text)
        }
        None => return Vec::new(),
    };
    let finding = Finding::damage(trouble, &path, text);
    let files =
        "put it back from a copy; until then take no snapshot, and delete no file of the VM";
    vec![
        match (&member.broken, rebuild::plan(look.env, &member.vm)) {
            (None, Ok(rebuilt)) => {
                let names: Vec<String> = rebuilt
                    .snapshots()
                    .iter()
                    .map(|entry| snapshot_name(&entry.display_name, entry.uid))
                    .collect();
                let cure = format!(
                    "the state files and the disks prove {}, but for their names and descriptions: put it back from a copy, or have it written anew",
                    kin::enumerate(&names)
                );
                let vm = member.vmx().to_path_buf();
                finding.cure(cure).step(Step::Rebuild { vm })
            }
            (None, Err(error)) => finding.cure(format!("{files} ({error})")),
            (Some(_), _) => finding.cure(files),
        },
    ]
}

/// A disk of which nothing can be opened.
fn unusable(used: &Use) -> Option<Finding> {
    let trouble = used.disk.as_ref().err()?;
    Some(told(trouble, &trouble.at))
}

/// Says what is wrong with a disk at `file`.
pub(super) fn told(trouble: &member::Trouble, file: &Path) -> Finding {
    let (sort, cure) = match trouble.kind {
        Kind::FileNotFound => (
            Trouble::DiskMissing,
            "put the file back from a copy: nothing here tells what it held",
        ),
        Kind::Denied => (
            Trouble::OutOfReach,
            "allow the folder only if you trust the VM",
        ),
        Kind::DiskUnsupported => (Trouble::DiskDamaged, "it can be used in VMware only"),
        _ => (
            Trouble::DiskDamaged,
            "put the file back from a copy, with all others of the same disk",
        ),
    };
    let text = escaped(&trouble.text);
    let cure = match (&trouble.advice, trouble.kind) {
        (Some(advice), Kind::Denied) => escaped(advice),
        _ => cure.to_string(),
    };
    Finding::damage(sort, file, text).cure(cure)
}

/// A disk whose tables are damaged.
fn damaged(look: &Look, fact: &Fact) -> Option<Finding> {
    let (first, rest) = fact.damage.split_at(fact.damage.len().min(TOLD));
    if first.is_empty() {
        return None;
    }
    let more = match rest.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let text = format!(
        "{} is damaged: {}{more}",
        quoted(&fact.path),
        escaped(&first.join("; "))
    );
    let disk = fact.path.clone();
    let finding = Finding::damage(Trouble::DiskDamaged, &fact.path, text)
        .cure("what the disk itself proves can be mended; for the rest, put it back from a copy, with all its files")
        .step(Step::MendDisk { disk });
    Some(match look.owners.get(&fact.path) {
        Some(owner) => finding.of(look.members[*owner].vmx()),
        None => finding,
    })
}

fn states(env: &Env, member: &Member) -> Vec<Finding> {
    let mut found = Vec::new();
    for entry in member.vmsd.snapshots() {
        let name = snapshot_name(&entry.display_name, entry.uid);
        let place = crate::vm::files::place_of(member.vm.dir(), &entry.file_name);
        let Some(error) = state_problem(env, member, &entry.file_name) else {
            continue;
        };
        let text = format!("{name} of {}: {error}", quoted(member.vmx()));
        let cure = match entry.with_memory {
            true => "put the file back from a copy; without it the guest's memory of then is lost, and the snapshot can be gone back to only without memory".to_string(),
            false => format!(
                "put the file back from a copy, or remove the snapshot, which keeps the present state: replix snapshot remove VMX '#{}'; its disks are there, and going back takes the hardware of now",
                entry.uid
            ),
        };
        found.push(Finding::damage(Trouble::SnapshotStateMissing, &place, text).cure(cure));
    }
    found
}

fn state_problem(env: &Env, member: &Member, name: &str) -> Option<Error> {
    // One of an older product, or of a VM that ran, may hold no configuration.
    match env.own_file(&member.vm, name) {
        Ok(Some(_)) => None,
        Ok(None) => env.read_state(&member.vm, name).err(),
        Err(error) => Some(error),
    }
}

fn memory(env: &Env, member: &Member) -> Option<Finding> {
    let name = member.vm.config.suspended_to()?;
    if member.state != PowerState::Suspended {
        return None;
    }
    let error = match vm_state::is_our_memory(&name) {
        true => power::suspended_memory(env, &member.vm).err()?,
        false => match env.own_file(&member.vm, &name) {
            Ok(Some(_)) => return None,
            Ok(None) => {
                let text = format!(
                    "the memory of {}, {}, is missing",
                    quoted(member.vmx()),
                    quoted(&name)
                );
                Error::new(Kind::SnapshotBroken, text)
            }
            Err(error) => error,
        },
    };
    let place = crate::vm::files::place_of(member.vm.dir(), &name);
    let cure = "put it back from a copy; or give up what the guest had in memory, as a power failure would: set checkpoint.vmState to \"\" in the configuration";
    Some(Finding::damage(Trouble::MemoryMissing, &place, error.to_string()).cure(cure))
}

fn spare_memory(env: &Env, member: &Member) -> Vec<Finding> {
    if !matches!(member.state, PowerState::Off | PowerState::Suspended) {
        return Vec::new();
    }
    let store = &*env.store;
    let strays: BTreeSet<PathBuf> = vm_state::stray_memories(store, &member.vm)
        .into_iter()
        .collect();
    // What lies beside one goes with it; of what is unfinished, there is a finding.
    let is_head =
        |path: &&PathBuf| has_ending(path, vm_state::MEMORY_ENDING) && !is_unfinished(path);
    let found = strays.iter().filter(is_head).map(|path| {
        let bytes = |path: &Path| store.meta(path).map_or(0, |meta| meta.allocated_bytes);
        let bytes = bytes(path) + bytes(&vm_state::ram_beside(path));
        let text = format!(
            "{} is memory of {}, which has gone on without it",
            quoted(path),
            quoted(member.vmx())
        );
        let vm = member.vmx().to_path_buf();
        Finding::note(Trouble::SpareMemory, path, text)
            .cure("it is of no use to anybody")
            .step(Step::RemoveMemory {
                vm,
                path: path.clone(),
            })
            .frees(bytes)
    });
    found.collect()
}

/// What a change of its snapshots left that was cut off.
fn left(store: &dyn Store, member: &Member) -> Option<Finding> {
    if member.left.is_empty() && member.vmsd.leavings().is_empty() {
        return None;
    }
    // Not what another process is making now.
    store
        .try_lock_dir(member.vm.dir(), LockMode::Shared)
        .ok()??;
    let names: Vec<String> = member.left.iter().map(quoted).collect();
    let text = format!(
        "a change of the snapshots of {} was cut off{}",
        quoted(member.vmx()),
        match names.is_empty() {
            true => String::new(),
            false => format!(": nothing needs {}", kin::enumerate(&names)),
        }
    );
    let metas = member.left.iter().map(|file| store.meta(file));
    let bytes = metas.map(|meta| meta.map_or(0, |meta| meta.allocated_bytes));
    let vm = member.vmx().to_path_buf();
    let file = member.vm.vmsd_path(store);
    let finding = Finding::note(Trouble::Unfinished, &file, text);
    Some(
        finding
            .cure("what it left can be put right")
            .step(Step::EndChanges { vm })
            .frees(bytes.sum()),
    )
}

/// Nothing is written to a disk that a snapshot froze: where some of its extents are newer than the
/// snapshot, and others are not, a part may have been put back from a copy.
fn out_of_step(store: &dyn Store, member: &Member) -> Vec<Finding> {
    let mut found = Vec::new();
    for used in &member.uses {
        let entry = used.uid.and_then(|uid| member.vmsd.snapshot(uid));
        let (Some(entry), Ok(part)) = (entry, &used.disk) else {
            continue;
        };
        let extents = &part.top().files[1..];
        let newer: Vec<&PathBuf> = extents
            .iter()
            .filter(|file| {
                let meta = store.meta(file);
                meta.is_ok_and(|meta| {
                    meta.modified_us > entry.created_us.saturating_add(TOGETHER_US)
                })
            })
            .collect();
        if newer.is_empty() || newer.len() == extents.len() {
            continue;
        }
        let names: Vec<String> = newer.iter().map(quoted).collect();
        let text = format!(
            "{} was frozen by {}, and yet a part of it was written later, and another part was not: {}",
            quoted(&part.top().path),
            snapshot_name(&entry.display_name, entry.uid),
            kin::enumerate(&names)
        );
        let cure = "if that part was put back from a copy by itself, put all parts back from that copy, with the disks that stand on them; if a snapshot before it was removed since, all is well";
        found.push(Finding::note(Trouble::PartsOutOfStep, &part.top().path, text).cure(cure));
    }
    found
}
