//! Files that nobody needs any more, or that nobody knows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::survey::Look;
use super::walk::{Folder, has_ending, is_unfinished};
use super::{Finding, Step, Trouble};
use crate::error::quoted;
use crate::store::{FileKind, LockMode, Store};
use crate::vm::files;
use crate::vm::lock::{self, Life};

/// The endings of files that only a VM has.
const VM_ENDINGS: [&str; 7] = [
    "vmsd",
    "vmxf",
    "nvram",
    "vmsn",
    "vmss",
    "vmem",
    "replixstate",
];

pub(super) fn findings(look: &Look) -> Vec<Finding> {
    let mut found = Vec::new();
    for folder in &look.folders {
        let of_folder = look.by_folder.get(&folder.dir);
        let of_folder = of_folder.map_or(&[][..], Vec::as_slice);
        let own = unfinished(look, folder).chain(locks(look, folder));
        let others: Vec<Finding> = match of_folder.is_empty() {
            true => abandoned(look, folder),
            false => unclaimed(look, folder, of_folder),
        };
        let all = own.chain(others).map(|finding| match of_folder {
            [only] => finding.of(look.members[*only].vmx()),
            _ => finding,
        });
        found.extend(all);
    }
    found
}

/// What processes left that ended in the middle of their work; not what others are making now.
fn unfinished<'a>(look: &'a Look, folder: &'a Folder) -> impl Iterator<Item = Finding> + 'a {
    let store = &*look.env.store;
    let hidden = folder.files().chain(folder.folders());
    hidden
        .filter(|path| is_unfinished(path))
        .filter_map(move |path| {
            let is_dir = store
                .meta(&path)
                .is_ok_and(|meta| meta.kind == FileKind::Dir);
            // A folder is locked by who works in it, a file is replaced by who holds the folder alone.
            let held = if is_dir { &path } else { &folder.dir };
            store.try_lock_dir(held, LockMode::Shared).ok()??;
            let text = format!(
                "{} was left by a process that ended in the middle of its work",
                quoted(&path)
            );
            let bytes = bytes_in(store, &path, is_dir);
            let step = Step::Clear { path: path.clone() };
            let finding = Finding::note(Trouble::Unfinished, &path, text);
            Some(
                finding
                    .cure("nobody works on it: it can go")
                    .step(step)
                    .frees(bytes),
            )
        })
}

/// The space of a file, or of a folder with what is in it.
fn bytes_in(store: &dyn Store, path: &Path, is_dir: bool) -> u64 {
    let bytes = |path: &Path| store.meta(path).map_or(0, |meta| meta.allocated_bytes);
    match is_dir {
        false => bytes(path),
        true => {
            let entries = store.list(path).unwrap_or_default().into_iter();
            let files = entries.filter(|entry| entry.kind == FileKind::File);
            files.map(|entry| bytes(&path.join(entry.name))).sum()
        }
    }
}

fn locks<'a>(look: &'a Look, folder: &'a Folder) -> impl Iterator<Item = Finding> + 'a {
    let store = &*look.env.store;
    let locks = folder.folders().filter(|path| has_ending(path, "lck"));
    locks.filter_map(move |path| {
        let file = path.with_extension("");
        let holders = lock::holders(store, &file);
        if holders.iter().any(|holder| holder.life == Life::Lives) {
            return None;
        }
        match holders.iter().find(|holder| holder.life == Life::Elsewhere) {
            Some(holder) => {
                let text = format!("{} is held by {holder}", quoted(&file));
                let finding = Finding::note(Trouble::ForeignLock, &path, text);
                Some(finding.cure(lock::cure(&file)))
            }
            None if holders.is_empty() => None,
            None => {
                let text = format!("{} is a lock of processes that have ended", quoted(&path));
                let finding = Finding::note(Trouble::StaleLock, &path, text);
                Some(
                    finding
                        .cure("it locks nothing: it can go")
                        .step(Step::Unlock { file }),
                )
            }
        }
    })
}

/// Files beside VMs that none of them names.
fn unclaimed(look: &Look, folder: &Folder, of_folder: &[usize]) -> Vec<Finding> {
    let mut named = BTreeSet::new();
    for at in of_folder {
        let member = &look.members[*at];
        let values = member.vm.config.dict().iter().map(|(_, value)| value);
        named.extend(values.map(|value| files::last_part(&value).to_lowercase()));
    }
    let is_known = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        look.claimed.contains(path) || named.contains(&*name.to_lowercase()) || is_unfinished(path)
    };
    let unknown = folder.files().filter(|path| !is_known(path));
    // Of a configuration that cannot be used, there is a finding.
    let unknown = unknown.filter(|path| !has_ending(path, "vmx"));
    unknown.map(|path| stray(look, &path)).collect()
}

fn stray(look: &Look, path: &Path) -> Finding {
    let text = format!("{} belongs to no VM here", quoted(path));
    let on_it = look.links.open.get(path).and_then(|fact| fact.hint.clone());
    let cure = match on_it {
        Some(hint) => format!(
            "it is a disk that stands on {}, and no state of a VM uses it: keep it or delete it, nobody here can tell",
            quoted(&hint)
        ),
        None => "keep it or delete it: nobody here can tell".to_string(),
    };
    Finding::note(Trouble::Unclaimed, path, text).cure(cure)
}

/// Files of a VM in a folder without a configuration.
fn abandoned(look: &Look, folder: &Folder) -> Vec<Finding> {
    let is_new = |path: &PathBuf| !look.claimed.contains(path);
    if folder.with_ending("vmx").next().is_some() {
        // It cannot be used, and a finding says so.
        return Vec::new();
    }
    let mut of_vm = folder
        .files()
        .filter(|path| VM_ENDINGS.iter().any(|ending| has_ending(path, ending)));
    let first = of_vm.find(is_new);
    let Some(first) = first else {
        let disks = folder.with_ending("vmdk").filter(is_new);
        let disks = disks.filter(|path| {
            look.links.open.contains_key(path) || look.links.broken.contains_key(path)
        });
        return disks.map(|path| stray(look, &path)).collect();
    };
    let name = folder.with_ending("vmsd").next().unwrap_or(first);
    let vmx = name.with_extension("vmx");
    let text = format!(
        "{} are files of a VM, and its configuration is missing",
        quoted(&folder.dir)
    );
    let clones: BTreeSet<String> = folder
        .with_ending("vmdk")
        .filter_map(|disk| look.children.get(&disk))
        .flatten()
        .map(|(at, _)| quoted(look.members[*at].vmx()))
        .collect();
    let clones: Vec<String> = clones.into_iter().collect();
    let also = match clones.is_empty() {
        true => String::new(),
        false => format!("; delete nothing there: {} on its disks", stand(&clones)),
    };
    let cure = format!(
        "put {} back from a copy, or make a new VM with these disks; a state file (.vmsn) there holds the configuration of then{also}",
        quoted(&vmx)
    );
    vec![Finding::damage(Trouble::ConfigLost, &vmx, text).cure(cure)]
}

fn stand(clones: &[String]) -> String {
    let verb = if clones.len() == 1 { "stands" } else { "stand" };
    format!("{} {verb}", crate::vm::kin::enumerate(clones))
}
