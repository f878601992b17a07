//! What is left of a clone whose process was killed: taken back by who knows that it was being made.
//!
//! What is not certainly the clone's stays: a snapshot that does nothing is better than one that is
//! missed. Killed while it took the snapshot, the source may run on a longer chain, which is a whole
//! one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{BASE_DESCRIPTION, BASE_NAME};
use super::{CloneKind, CloneSpec, naming, stage};
use crate::error::Result;
use crate::format::Vmsd;
use crate::job::Job;
use crate::snapshot::{self, SnapshotRef};
use crate::store::{Local, LockMode, Store, folder_of, replace};
use crate::vm::{Claim, Env, Settings, Standing, clone_standing};

/// How long a VM is waited for that another process holds: that one may be at work for long.
const PATIENCE: Duration = Duration::from_secs(1);

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
    let settings = Settings {
        patience: PATIENCE,
        ..settings.clone()
    };
    let store = Arc::new(Local);
    clear(&Env { store, settings }, clone)
}

fn clear(env: &Env, clone: &Unfinished) -> Result<bool> {
    let store = &*env.store;
    let destination = naming::checked_destination(&clone.spec.destination)?;
    let destination = stage::resolved(store, &destination);
    let swept = sweep(store, &destination);
    // Taken also for a full clone: letting go of it takes away what the ended process held it by.
    let claim = Claim::take(env, &clone.vm, LockMode::Exclusive, &Job::new())?;
    if clone.spec.kind != CloneKind::Linked || store.exists(&destination) {
        return Ok(swept);
    }
    let entry = destination.to_string_lossy();
    let is_gone = swept || clone_standing(env, &claim.vm, &entry) == Standing::Gone;
    let mut vmsd = env.vmsd(&claim.vm)?;
    // On a disk that is not there now, the clone may be whole.
    let Some(uid) = vmsd.base_of_clone(&entry).filter(|_| is_gone) else {
        return Ok(swept);
    };
    vmsd.remove_clones(|path| path == entry);
    replace(store, &claim.vm.vmsd_path(store), &vmsd.to_bytes())?;
    drop(claim);
    if is_base(&vmsd, uid, clone) {
        snapshot::remove(env, &clone.vm, &SnapshotRef::Uid(uid), false, &Job::new())?;
    }
    Ok(true)
}

/// Removes hidden folders that nobody works on, in the two places where the clone's may be.
fn sweep(store: &dyn Store, destination: &Path) -> bool {
    let folder = folder_of(destination);
    let mut swept = false;
    for around in [folder, folder_of(folder)] {
        swept |= stage::sweep(store, around);
    }
    swept
}

/// Whether a snapshot was made for the clone, and nothing else stands on it.
fn is_base(vmsd: &Vmsd, uid: u32, clone: &Unfinished) -> bool {
    vmsd.snapshot(uid).is_some_and(|entry| {
        clone.spec.snapshot.is_none()
            && entry.display_name == BASE_NAME
            && entry.description == BASE_DESCRIPTION
            && entry.created_us >= clone.started_us
            && entry.clones.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clone::run;
    use crate::snapshot::{NewSnapshot, SnapshotTree};
    use crate::store::{Mem, create_dirs, remove_tree, write_new};

    const BASE: &str = "/vms/base/base.vmx";

    fn env() -> (Mem, Env) {
        let mem = Mem::new();
        create_dirs(&mem, Path::new("/vms/base")).unwrap();
        let vmx = b"config.version = \"8\"\nvirtualHW.version = \"19\"\n";
        write_new(&mem, Path::new(BASE), vmx).unwrap();
        let env = Env {
            store: Arc::new(mem.clone()),
            settings: Settings::default(),
        };
        (mem, env)
    }

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
        hide(&mem, "/vms/web", "/vms/.web.replix-00");
        assert!(clear(&env, &clone).unwrap());
        assert_eq!(names(&mem, "/vms"), ["base"]);
        assert_eq!(snapshots(&env), SnapshotTree::default());
        assert!(!clear(&env, &clone).unwrap());
    }

    #[test]
    fn killed_full_clone_leaves_nothing() {
        let (mem, env) = env();
        let clone = made(&env, CloneKind::Full, "/vms/web/web.vmx");
        hide(&mem, "/vms/web", "/vms/.web.replix-00");
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
        remove_tree(&mem, Path::new("/vms/web")).unwrap();
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
        remove_tree(&mem, Path::new("/vms/web")).unwrap();
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
        remove_tree(&mem, Path::new("/vms/web")).unwrap();
        assert!(clear(&env, &clone).unwrap());
        let left = snapshots(&env).snapshots;
        assert_eq!((left.len(), left[0].uid), (1, 1));
    }

    #[test]
    fn clone_out_of_sight_stays_listed() {
        let (mem, env) = env();
        create_dirs(&mem, Path::new("/mnt/usb")).unwrap();
        let clone = made(&env, CloneKind::Linked, "/mnt/usb/web/web.vmx");
        remove_tree(&mem, Path::new("/mnt/usb/web")).unwrap();
        remove_tree(&mem, Path::new("/mnt/usb")).unwrap();
        create_dirs(&mem, Path::new("/mnt/usb")).unwrap();
        assert!(!clear(&env, &clone).unwrap());
        assert_eq!(snapshots(&env).snapshots.len(), 1);
    }
}
