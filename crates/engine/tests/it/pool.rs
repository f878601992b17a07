//! Pools through the library: what lies in their folder may be wrong, and nothing of others is lost.

use std::fs;
use std::path::{Path, PathBuf};

use replix::pool::{Booted, Filled, Keep, MemberState, Pool, PoolSpec, Ready};
use replix::vm::Settings;
use replix::{Host, Job, Kind};
use replix_testkit::{folder, tree_of};

use crate::vms::{host, open, simple, snapshot};

fn spec(of: &Path, size: u32) -> PoolSpec {
    PoolSpec {
        of: of.into(),
        snapshot: None,
        size,
        ready: Ready::Off,
        booted: Booted::Agent,
        boot_seconds: 1,
    }
}

/// A pool of `size` clones that are off.
fn filled(library: &Path, size: u32) -> (Host, PathBuf) {
    let base = simple(library, "base");
    snapshot(&open(&base), "golden");
    let (host, settings, dir) = (host(), Settings::default(), library.join("pool"));
    let provider = host.provider();
    let pool = Pool::create(provider, &settings, &dir, &spec(&base.vmx, size)).unwrap();
    let filled = pool.fill(&Job::new()).unwrap();
    assert_eq!((filled.made, filled.ready), (size, size));
    (host, dir)
}

/// Runs something on the pool; returns what it warned of.
fn with<T>(host: &Host, dir: &Path, work: impl FnOnce(&Pool, &Job) -> T) -> (T, Vec<String>) {
    let (settings, job) = (Settings::default(), Job::new());
    let pool = Pool::open(host.provider(), &settings, dir).unwrap();
    let result = work(&pool, &job);
    (result, job.warnings())
}

/// The configurations of the pool's VMs.
fn members(host: &Host, dir: &Path) -> Vec<PathBuf> {
    let (list, _) = with(host, dir, |pool, job| pool.list(job).unwrap());
    list.into_iter().map(|member| member.vm).collect()
}

/// Makes a VM one that a killed process left.
fn abandon(vm: &Path) {
    let record = vm.parent().unwrap().with_extension("json");
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.contains(r#""ready""#), "{text}");
    fs::write(
        &record,
        text.replace(r#""ready""#, r#""leaving", "by": null"#),
    )
    .unwrap();
}

#[test]
fn current_snapshot_is_pinned() {
    let library = folder();
    let (host, dir) = filled(library.path(), 1);
    let base = host.open(library.path().join("base/base.vmx")).unwrap();
    snapshot(&base, "later");
    abandon(&members(&host, &dir)[0]);
    let (again, warnings) = with(&host, &dir, |pool, job| pool.fill(job).unwrap());
    assert_eq!(warnings, [""; 0]);
    let wanted = Filled {
        made: 1,
        destroyed: 1,
        ready: 1,
        others: 0,
    };
    assert_eq!(again, wanted);
    let snapshots = base.snapshots().unwrap().snapshots;
    let clones: Vec<usize> = snapshots.iter().map(|one| one.clones.len()).collect();
    assert_eq!(clones, [1, 0]);
}

#[test]
fn record_of_no_sense_is_passed_over() {
    let library = folder();
    let (host, dir) = filled(library.path(), 2);
    let vms = members(&host, &dir);
    fs::write(vms[0].parent().unwrap().with_extension("json"), "{").unwrap();
    abandon(&vms[1]);
    let before = tree_of(vms[0].parent().unwrap());
    let (destroyed, warnings) = with(&host, &dir, |pool, job| pool.clean(job).unwrap());
    assert_eq!(destroyed, 1);
    assert!(warnings[0].contains("makes no sense"), "{warnings:?}");
    assert_eq!(tree_of(vms[0].parent().unwrap()), before);
    assert!(!vms[1].exists());
}

#[test]
fn link_in_the_place_of_a_vm_is_not_followed() {
    let library = folder();
    let (host, dir) = filled(library.path(), 1);
    let vm = members(&host, &dir).remove(0);
    let (place, name) = (vm.parent().unwrap(), vm.file_stem().unwrap());
    let mine = library.path().join(name);
    fs::rename(place, &mine).unwrap();
    std::os::unix::fs::symlink(&mine, place).unwrap();
    abandon(&vm);
    let before = tree_of(&mine);
    let (destroyed, warnings) = with(&host, &dir, |pool, job| pool.clean(job).unwrap());
    assert_eq!(destroyed, 0);
    assert!(
        warnings[0].contains("is not what the pool made"),
        "{warnings:?}"
    );
    assert_eq!(tree_of(&mine), before);
}

#[test]
fn file_that_says_pool_is_no_vm_of_it() {
    let library = folder();
    let (host, dir) = filled(library.path(), 1);
    fs::create_dir(dir.join("pool")).unwrap();
    let (given, _) = with(&host, &dir, |pool, job| pool.give(Path::new("pool"), job));
    assert_eq!(given.unwrap_err().kind(), Kind::Argument);
    let (given, _) = with(&host, &dir, |pool, job| {
        pool.give(&pool.list(job).unwrap()[0].vm, job)
    });
    // It was not handed out.
    assert_eq!(given.unwrap_err().kind(), Kind::Argument);
}

#[test]
fn owner_must_live() {
    let library = folder();
    let (host, dir) = filled(library.path(), 1);
    let (taken, _) = with(&host, &dir, |pool, job| {
        pool.take(Keep::Owner(u32::MAX), job)
    });
    assert_eq!(taken.unwrap_err().kind(), Kind::Argument);
    let (list, _) = with(&host, &dir, |pool, job| pool.list(job).unwrap());
    assert_eq!(list[0].state, MemberState::Ready);
}

#[test]
fn removed_pool_leaves_what_is_not_its_own() {
    let library = folder();
    let (host, dir) = filled(library.path(), 2);
    let notes = dir.join("notes");
    fs::write(&notes, "mine").unwrap();
    let own = members(&host, &dir)[0].with_file_name("serial.txt");
    fs::write(&own, "an output").unwrap();
    let (destroyed, _) = with(&host, &dir, |pool, job| pool.remove(false, job).unwrap());
    assert_eq!(destroyed, 2);
    let left: Vec<_> = tree_of(&dir).into_keys().collect();
    assert_eq!(left, [Path::new("notes")]);
}
