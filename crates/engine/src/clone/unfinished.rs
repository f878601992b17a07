//! What is left of a clone whose process was killed: taken back by who knows that it was being made.
//!
//! What is not certainly the clone's stays: a snapshot that does nothing is better than one that is
//! missed. As long as its hidden folder is there, the clone was not finished; without one nothing of
//! the source is touched.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan;
use super::{CloneKind, CloneSpec, naming, stage};
use crate::error::Result;
use crate::format::Vmsd;
use crate::job::Job;
use crate::snapshot::{self, SnapshotRef};
use crate::store::{
    Entry, FileKind, Local, LockMode, Store, folder_of, read_small, remove_tree, replace,
};
use crate::vm::firmware::VARIABLES_ENDING;
use crate::vm::{Claim, Env, Settings, VmConfig, files};

/// How long a VM is waited for that another process holds: that one may be at work for long.
const PATIENCE: Duration = Duration::from_secs(1);

/// No configuration that we wrote is larger.
const CONFIG_LIMIT: u64 = 16 << 20;

/// A clone that was being made when its process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The source.
    pub vm: PathBuf,
    /// What was wanted.
    pub spec: CloneSpec,
    /// When it began: microseconds since 1970 UTC.
    pub started_us: i64,
}

/// Takes back what is left of a clone whose process was killed: its hidden folder, its entry in the
/// parent, the snapshot that was made for it alone. One that was finished stays.
///
/// Returns whether there was something.
///
/// # Errors
/// `FileLocked` where another process holds the parent: it can be tried again. Those of removing a
/// snapshot.
pub fn clear_unfinished(settings: &Settings, clone: &Unfinished) -> Result<bool> {
    clear(&local(settings), clone)
}

/// Takes the linked clone `clone`, which was deleted, out of the bookkeeping of the VM at `parent`, in
/// which a process that was killed while it deleted it has left it. One that is there stays in.
///
/// Returns whether it was in.
///
/// # Errors
/// `FileLocked` where another process holds the parent: it can be tried again; `VmNotFound` where
/// the parent is gone.
pub fn forget_deleted(settings: &Settings, parent: &Path, clone: &Path) -> Result<bool> {
    forget(&local(settings), parent, clone)
}

fn local(settings: &Settings) -> Env {
    let settings = Settings {
        patience: PATIENCE,
        ..settings.clone()
    };
    let store = Arc::new(Local);
    Env { store, settings }
}

fn forget(env: &Env, parent: &Path, clone: &Path) -> Result<bool> {
    let store = &*env.store;
    let claim = Claim::take(env, parent, LockMode::Exclusive, &Job::new())?;
    if store.exists(clone) {
        return Ok(false);
    }
    let mut vmsd = env.vmsd(&claim.vm)?;
    let entry = clone.to_string_lossy();
    if vmsd.remove_clones(|path| path == entry) == 0 {
        return Ok(false);
    }
    replace(store, &claim.vm.vmsd_path(store), &vmsd.to_bytes())?;
    Ok(true)
}

pub(crate) fn clear(env: &Env, clone: &Unfinished) -> Result<bool> {
    let store = &*env.store;
    let destination = naming::checked_destination(&clone.spec.destination)?;
    let destination = stage::resolved(store, &destination);
    // Without its hidden folder the clone was finished, wherever it is now, or hardly begun.
    let is_unfinished = sweep(store, &destination, clone.started_us);
    // Taken also for a full clone: letting go of it takes away what the ended process held it by.
    let mut claim = Claim::take(env, &clone.vm, LockMode::Exclusive, &Job::new())?;
    if !is_unfinished || clone.spec.kind != CloneKind::Linked {
        return Ok(is_unfinished);
    }
    let entry = destination.to_string_lossy();
    let mut vmsd = env.vmsd(&claim.vm)?;
    let Some(uid) = vmsd.base_of_clone(&entry) else {
        snapshot::clear_unfinished(env, &mut claim, Some(clone.started_us))?;
        return Ok(true);
    };
    vmsd.remove_clones(|path| path == entry);
    replace(store, &claim.vm.vmsd_path(store), &vmsd.to_bytes())?;
    drop(claim);
    if is_base(&vmsd, uid, clone) {
        snapshot::remove(env, &clone.vm, &SnapshotRef::Uid(uid), false, &Job::new())?;
    }
    Ok(true)
}

/// Removes the hidden folders of a clone at `destination` that nobody works on, and what was moved out of
/// them if there is no such clone.
pub(crate) fn clear_hidden(store: &dyn Store, destination: &Path) {
    sweep(store, destination, i64::MIN);
}

/// Removes the hidden folder of the clone, if nobody works on it, and what had been moved out of it;
/// tells whether there was one and the clone was not finished.
fn sweep(store: &dyn Store, destination: &Path, since_us: i64) -> bool {
    let is_finished = store.exists(destination);
    let mut found = false;
    for stage in stage::hidden_folders(store, destination) {
        let Ok(Some(_lock)) = store.try_lock_dir(&stage, LockMode::Exclusive) else {
            continue;
        };
        if !is_finished {
            for path in moved(store, &stage, destination, since_us) {
                // What stays is without its configuration: nothing runs on it.
                let _ = store.remove_file(&path);
            }
        }
        found |= remove_tree(store, &stage).is_ok();
    }
    found && !is_finished
}

/// The files that were moved from the hidden folder `stage` to the folder of the clone, whose
/// configuration, which names them, would have been the last.
fn moved(store: &dyn Store, stage: &Path, destination: &Path, since_us: i64) -> Vec<PathBuf> {
    let name = destination.file_name().unwrap_or_default();
    let config = read_small(store, &stage.join(name), CONFIG_LIMIT);
    let Some(config) = config.ok().and_then(|bytes| VmConfig::parse(&bytes).ok()) else {
        return Vec::new();
    };
    let folder = folder_of(destination);
    let is_moved = |entry: &Entry| {
        let meta = store.meta(&folder.join(&entry.name));
        entry.kind == FileKind::File
            && is_part(&config, name, &entry.name.to_string_lossy())
            && !store.exists(&stage.join(&entry.name))
            && meta.is_ok_and(|meta| meta.modified_us >= since_us)
    };
    let entries = store.list(folder).unwrap_or_default().into_iter();
    let moved = entries.filter(is_moved);
    moved.map(|entry| folder.join(entry.name)).collect()
}

/// Whether a file is called as one of the clone whose configuration is called `vmx`.
fn is_part(config: &VmConfig, vmx: &OsStr, name: &str) -> bool {
    let vmx = vmx.to_string_lossy();
    let small = ["nvram", "vmsd", "vmxf", VARIABLES_ENDING];
    let small = small.map(|ending| format!("{}.{ending}", files::stem(&vmx)));
    let is_of = |disk: &str| {
        // "web-cl1-flat.vmdk" of "web-cl1.vmdk"
        let rest = name.strip_prefix(files::stem(disk));
        name == disk || rest.is_some_and(|rest| rest.starts_with('-') && rest.ends_with(".vmdk"))
    };
    let mut disks = config.disks().into_iter();
    small.iter().any(|own| own == name) || disks.any(|slot| is_of(&slot.file_name))
}

/// Whether a snapshot was made for the clone, and nothing else stands on it.
fn is_base(vmsd: &Vmsd, uid: u32, clone: &Unfinished) -> bool {
    vmsd.snapshot(uid).is_some_and(|entry| {
        clone.spec.snapshot.is_none()
            && plan::is_base(entry)
            && entry.created_us >= clone.started_us
            && entry.clones.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::clone::plan::BASE_NAME;
    use crate::clone::run;
    use crate::clone::testing::{BASE, base_in_memory as env};
    use crate::disk::set_content_id;
    use crate::snapshot::{NewSnapshot, SnapshotTree};
    use crate::store::{Mem, create_dirs, write_new};

    /// Makes a clone; what is left of it when its process is killed is the caller's.
    fn made(env: &Env, kind: CloneKind, destination: &str) -> Unfinished {
        let clone = Unfinished {
            vm: BASE.into(),
            spec: CloneSpec::new(kind, destination),
            started_us: 0,
        };
        run(env, Path::new(BASE), &clone.spec, &Job::new()).unwrap();
        clone
    }

    /// Puts the clone in `folder` back to where it was before anybody saw it.
    fn hide(mem: &Mem, folder: &str, hidden: &str) {
        mem.rename_new(Path::new(folder), Path::new(hidden))
            .unwrap();
    }

    fn snapshots(env: &Env) -> SnapshotTree {
        snapshot::list(env, Path::new(BASE)).unwrap()
    }

    fn names(mem: &Mem, dir: &str) -> Vec<String> {
        let entries = mem.list(Path::new(dir)).unwrap().into_iter();
        entries
            .map(|entry| entry.name.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn killed_linked_clone_leaves_nothing() {
        let (mem, env) = env();
        let clone = made(&env, CloneKind::Linked, "/vms/web/web.vmx");
        hide(&mem, "/vms/web", "/vms/.web-web.replix-00");
        assert!(clear(&env, &clone).unwrap());
        assert_eq!(names(&mem, "/vms"), ["base"]);
        assert_eq!(snapshots(&env), SnapshotTree::default());
        assert!(!clear(&env, &clone).unwrap());
    }

    #[test]
    fn deleted_clone_is_forgotten_and_a_living_one_is_not() {
        let (mem, env) = env();
        let clone = made(&env, CloneKind::Linked, "/vms/web/web.vmx");
        let (parent, path) = (Path::new(BASE), Path::new("/vms/web/web.vmx"));
        assert!(!forget(&env, parent, path).unwrap());
        assert_eq!(snapshots(&env).snapshots[0].clones, ["/vms/web/web.vmx"]);
        mem.remove_file(&clone.spec.destination).unwrap();
        assert!(forget(&env, parent, path).unwrap());
        assert_eq!(snapshots(&env).snapshots[0].clones, [""; 0]);
        assert!(!forget(&env, parent, path).unwrap());
    }

    #[test]
    fn killed_full_clone_leaves_nothing() {
        let (mem, env) = env();
        let clone = made(&env, CloneKind::Full, "/vms/web/web.vmx");
        hide(&mem, "/vms/web", "/vms/.web-web.replix-00");
        assert!(clear(&env, &clone).unwrap());
        assert_eq!(names(&mem, "/vms"), ["base"]);
    }

    #[test]
    fn finished_clone_stays() {
        let (mem, env) = env();
        let clone = made(&env, CloneKind::Linked, "/vms/web/web.vmx");
        assert!(!clear(&env, &clone).unwrap());
        assert_eq!(names(&mem, "/vms"), ["base", "web"]);
        assert_eq!(snapshots(&env).snapshots[0].clones, ["/vms/web/web.vmx"]);
    }

    #[test]
    fn snapshot_that_was_there_before_stays() {
        let (mem, env) = env();
        let mut clone = made(&env, CloneKind::Linked, "/vms/web/web.vmx");
        hide(&mem, "/vms/web", "/vms/.web-web.replix-00");
        clone.started_us = i64::MAX;
        assert!(clear(&env, &clone).unwrap());
        let left = snapshots(&env).snapshots;
        assert_eq!((left.len(), left[0].clones.len()), (1, 0));
    }

    #[test]
    fn snapshot_of_another_clone_stays() {
        let (mem, env) = env();
        let clone = made(&env, CloneKind::Linked, "/vms/web/web.vmx");
        let mut second = CloneSpec::new(CloneKind::Linked, "/vms/db/db.vmx");
        second.snapshot = Some(SnapshotRef::Uid(1));
        run(&env, Path::new(BASE), &second, &Job::new()).unwrap();
        hide(&mem, "/vms/web", "/vms/.web-web.replix-00");
        assert!(clear(&env, &clone).unwrap());
        assert_eq!(snapshots(&env).snapshots[0].clones, ["/vms/db/db.vmx"]);
    }

    #[test]
    fn users_snapshot_of_that_name_stays() {
        let (mem, env) = env();
        let new = NewSnapshot {
            name: BASE_NAME.into(),
            ..NewSnapshot::default()
        };
        snapshot::create(&env, Path::new(BASE), &new, &Job::new()).unwrap();
        let clone = made(&env, CloneKind::Linked, "/vms/web/web.vmx");
        hide(&mem, "/vms/web", "/vms/.web-web.replix-00");
        assert!(clear(&env, &clone).unwrap());
        let left = snapshots(&env).snapshots;
        assert_eq!((left.len(), left[0].uid), (1, 1));
    }

    #[test]
    fn finished_clone_may_be_anywhere_by_now() {
        let (mem, env) = env();
        let clone = made(&env, CloneKind::Linked, "/vms/web/web.vmx");
        hide(&mem, "/vms/web", "/vms/moved");
        assert!(!clear(&env, &clone).unwrap());
        assert_eq!(snapshots(&env).snapshots[0].clones, ["/vms/web/web.vmx"]);
    }

    /// Every file, but locks and the bookkeeping, which remembers the numbers of snapshots.
    fn tree(mem: &Mem, dir: &Path) -> BTreeSet<PathBuf> {
        let mut tree = BTreeSet::new();
        for entry in mem.list(dir).unwrap() {
            let path = dir.join(entry.name);
            match entry.kind {
                FileKind::Dir => tree.extend(self::tree(mem, &path)),
                _ if path.ends_with("base.vmsd") => {}
                _ => drop(tree.insert(path)),
            }
        }
        tree
    }

    /// A linked clone that is killed when it has made so many changes; `None` where it was faster.
    fn killed(changes: usize, destination: &str) -> Option<(Mem, Env, Unfinished)> {
        let (mem, env) = env();
        create_dirs(&mem, Path::new("/vms/full")).unwrap();
        write_new(&mem, Path::new("/vms/full/new-notes"), b"mine").unwrap();
        let clone = Unfinished {
            vm: BASE.into(),
            spec: CloneSpec::new(CloneKind::Linked, destination),
            started_us: 0,
        };
        mem.limit_changes(Some(changes));
        let done = run(&env, Path::new(BASE), &clone.spec, &Job::new());
        mem.limit_changes(None);
        // It says that this process holds the VM, which it does no more.
        let _ = remove_tree(&mem, Path::new("/vms/base/base.vmx.lck"));
        done.is_err().then_some((mem, env, clone))
    }

    /// Kills a linked clone at each of its changes in turn; returns how many there are.
    fn kill_at_each_change(destination: &str) -> usize {
        let (untouched, ..) = killed(0, destination).unwrap();
        let before = tree(&untouched, Path::new("/"));
        let mut changes = 0;
        while let Some((mem, env, clone)) = killed(changes, destination) {
            changes += 1;
            clear(&env, &clone).unwrap();
            if mem.exists(Path::new(destination)) {
                // All that was left to do is to remove the empty hidden folder.
                assert_eq!(snapshots(&env).snapshots[0].clones, [destination]);
                continue;
            }
            assert_eq!(tree(&mem, Path::new("/")), before, "change {changes}");
            assert_eq!(disk_of_base(&env), "base.vmdk");
            assert_eq!(snapshots(&env), SnapshotTree::default());
            run(&env, Path::new(BASE), &clone.spec, &Job::new()).unwrap();
        }
        changes
    }

    fn disk_of_base(env: &Env) -> String {
        let vm = env.open(Path::new(BASE)).unwrap();
        vm.config.disks()[0].file_name.clone()
    }

    #[test]
    fn linked_clone_may_be_killed_at_any_change() {
        assert!(kill_at_each_change("/vms/web/web.vmx") > 20);
    }

    #[test]
    fn clone_in_a_full_folder_may_be_killed_too() {
        assert!(kill_at_each_change("/vms/full/new.vmx") > 20);
    }

    #[test]
    fn disk_that_was_written_to_stays() {
        let mut met = 0;
        for changes in 0.. {
            let Some((mem, env, clone)) = killed(changes, "/vms/web/web.vmx") else {
                break;
            };
            if disk_of_base(&env) == "base.vmdk" || !snapshots(&env).snapshots.is_empty() {
                continue;
            }
            // It went on to new disks, and nobody knows of a snapshot: then its user started it.
            let vm = env.open(Path::new(BASE)).unwrap();
            let disk = Path::new("/vms/base/base-000001.vmdk");
            let link = env.opener(&vm).unwrap().open_link(disk).unwrap();
            set_content_id(&mem, &link, 77, None).unwrap();
            clear(&env, &clone).unwrap();
            assert_eq!(disk_of_base(&env), "base-000001.vmdk");
            assert!(mem.exists(disk));
            met += 1;
        }
        assert!(met > 0);
    }
}
