//! What is left of an operation when the power fails, or the disk does, at any moment of it.
//!
//! An operation runs once on a store that records each durable step: [`record`]. From the steps,
//! [`outage`] builds every state that a disk may have if the power fails after any of them; and each
//! step is made to fail in turn. [`operations`] names the operations and the world in which
//! they run; [`world`] says what a user sees of it. What must hold:
//!
//! - each VM is wholly as before, or wholly as the operation makes it;
//! - what others stand on has the same bytes;
//! - the operation, done again, succeeds;
//! - the next change of the snapshots takes away what the one before left;
//! - when all VMs are deleted then, nothing is left;
//! - `check` finds nothing, or `repair` mends what is wrong, and `gc` takes what nobody needs, and all of
//!   this holds of what they leave: [`library`].
//!
//! A run in the tests takes a few states of each step. With `REPLIX_CRASH_STATES=all`, all of them are
//! tried; each operation then adds a line to the file that `REPLIX_CRASH_TABLE` names.

#![expect(clippy::unwrap_used, reason = "a test may fail by a panic")]

mod library;
mod operations;
mod outage;
mod record;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::error::Kind;
use crate::format::vmdk::SECTOR;
use crate::library::Finding;
use crate::store::{Access, Mem, Store};
use operations::{OPERATIONS, Operation, delete};
use outage::{Image, Outage, files};
use record::{Fault, Recorder};
use world::{BASE, CLONE, Seen, env, look};

/// How many steps are looked at, and how many states of each, where not all are.
const FEW_STEPS: usize = 6;
const FEW_STATES: usize = 3;

/// Failures are shown up to this number.
const SHOWN: usize = 5;

/// An operation in its world, done once without any mishap.
struct Course {
    operation: &'static Operation,
    /// The disk before.
    image: Image,
    before: BTreeMap<PathBuf, Seen>,
    after: BTreeMap<PathBuf, Seen>,
    /// The files after it, and what is in them.
    made: BTreeMap<PathBuf, u64>,
    /// Disks that it must not change.
    untouched: BTreeMap<PathBuf, u64>,
    /// What is found before it, and after it.
    known: library::Known,
    outage: Outage,
}

fn disks(mem: &Mem, folder: &str) -> BTreeMap<PathBuf, u64> {
    let mut found = files(mem, Path::new(folder));
    found.retain(|path, _| path.extension().is_some_and(|ending| ending == "vmdk"));
    found
}

/// The names of files, but for what whoever works there next takes away: locks that name nobody, and
/// texts that were to be replaced, the list of a promotion.
fn names(files: &BTreeMap<PathBuf, u64>) -> BTreeSet<&PathBuf> {
    let is_passing = |path: &PathBuf| {
        let name = path.to_string_lossy();
        let hidden = [
            ".vmx.replix-",
            ".vmsd.replix-",
            ".nvram.replix-",
            "-promotion.replix-",
        ];
        name.ends_with(".lck") || hidden.iter().any(|part| name.contains(part))
    };
    files.keys().filter(|path| !is_passing(path)).collect()
}

impl Course {
    fn of(operation: &'static Operation) -> Self {
        let mem = Mem::new();
        (operation.world)(&mem);
        let (image, before) = (Image::of(&mem), look(&mem));
        let untouched = operation.untouched.map(|folder| disks(&mem, folder));
        let mut known = library::known(&mem);
        let recorder = Recorder::of(mem.clone());
        (operation.work)(&env(&recorder)).unwrap();
        known.extend(library::known(&mem));
        Self {
            operation,
            before,
            after: look(&mem),
            made: files(&mem, Path::new("/vms")),
            untouched: untouched.unwrap_or_default(),
            known,
            outage: Outage::new(image.clone(), recorder.steps()),
            image,
        }
    }

    /// Tells whether there is nothing of it afterwards.
    fn goes(&self, path: &Path) -> bool {
        self.before[path] != Seen::Nothing && self.after[path] == Seen::Nothing
    }

    /// Tells what is wrong with a disk as something left it, or whether some of it was to be mended. A lock
    /// that could not be removed `may_stay`.
    fn judge(&self, image: &Image, may_stay: bool) -> Result<bool, String> {
        self.judge_as_it_is(&image.to_mem(), may_stay)?;
        let mem = image.to_mem();
        let is_mended = library::mend(&mem, |finding| self.is_news(finding))?;
        if is_mended {
            self.judge_as_it_is(&mem, may_stay)
                .map_err(|what| format!("mended: {what}"))?;
        }
        Ok(is_mended)
    }

    /// Tells whether something is wrong that was not, and will not be; of what is being deleted, all is.
    fn is_news(&self, finding: &Finding) -> bool {
        let goes = [BASE, CLONE].map(Path::new).into_iter().any(|vmx| {
            let is_of_it = finding.vm.as_deref() == Some(vmx)
                || finding.file.starts_with(vmx.parent().unwrap());
            is_of_it && self.goes(vmx)
        });
        let key = (finding.trouble, finding.file.clone());
        !goes && !self.known.contains(&key)
    }

    /// The same of the disk `mem`, which is used up, without a look at the library.
    fn judge_as_it_is(&self, mem: &Mem, may_stay: bool) -> Result<(), String> {
        let env = env(mem);
        let seen = look(mem);
        for (path, seen) in &seen {
            // What is being deleted may be there in parts: deleting it again takes the rest.
            if !self.goes(path) && *seen != self.before[path] && *seen != self.after[path] {
                return Err(format!("{path:?} is neither old nor new: {seen:?}"));
            }
        }
        self.judge_untouched(mem)?;
        if seen != self.after {
            (self.operation.clear)(&env).map_err(|error| format!("cleared: {error:?}"))?;
        }
        if look(mem) != self.after {
            (self.operation.work)(&env).map_err(|error| format!("again: {error:?}"))?;
        }
        let seen = look(mem);
        if seen != self.after {
            return Err(format!("done again, it is not as it should: {seen:?}"));
        }
        self.judge_untouched(mem)?;
        if let Some(tidy) = self.operation.tidy {
            tidy(&env).map_err(|error| format!("tidied: {error:?}"))?;
            let found = files(mem, Path::new("/vms"));
            // Which of two disks takes the other one in depends on what was done before.
            if names(&found).len() != names(&self.made).len() {
                return Err(format!("left when tidied: {:?}", names(&found)));
            }
        }
        let is_clean = || names(&files(mem, Path::new("/vms"))) == names(&self.made);
        if seen[Path::new(BASE)] == Seen::Nothing && !is_clean() {
            // Whoever does the like next clears away.
            let _ = (self.operation.work)(&env);
        }
        if seen[Path::new(BASE)] == Seen::Nothing && !is_clean() {
            let found = files(mem, Path::new("/vms"));
            return Err(format!("left: {:?}", names(&found)));
        }
        for vmx in [CLONE, BASE] {
            if mem.exists(Path::new(vmx)) {
                delete(&env, vmx).map_err(|error| format!("deleted: {error:?}"))?;
            }
        }
        let left = files(mem, Path::new("/vms"));
        let is_empty = left.is_empty() || (may_stay && names(&left).is_empty());
        match is_empty || seen[Path::new(BASE)] == Seen::Nothing {
            true => Ok(()),
            false => Err(format!("left in the end: {:?}", left.keys())),
        }
    }

    fn judge_untouched(&self, mem: &Mem) -> Result<(), String> {
        let Some(folder) = self.operation.untouched else {
            return Ok(());
        };
        let now = disks(mem, folder);
        let changed = self
            .untouched
            .iter()
            .find(|(path, sum)| now.get(*path) != Some(sum));
        changed.map_or(Ok(()), |(path, _)| Err(format!("{path:?} was changed")))
    }

    /// The numbers of the steps after which something happens: all, or some over the whole course.
    fn steps(&self, all: bool) -> impl Iterator<Item = usize> {
        let steps = self.outage.steps();
        let stride = if all { 1 } else { steps / FEW_STEPS + 1 };
        (0..=steps).step_by(stride)
    }

    /// Tries the states that a failing power leaves.
    fn outages(&self, all: bool) -> Tried {
        let (mut seen, mut tried) = (HashSet::new(), Tried::default());
        let most = if all { usize::MAX } else { FEW_STATES };
        for done in self.steps(all) {
            for state in self.outage.states(done, most, &mut seen) {
                tried.add(self.judge(&state, false), || {
                    format!("power fails after {done} steps")
                });
            }
        }
        tried
    }

    /// Has each step fail in each way.
    fn faults(&self, all: bool) -> Tried {
        let mut tried = Tried::default();
        for (fault, kind) in FAULTS {
            for at in self.steps(all) {
                let recorder = Recorder::failing(self.image.to_mem(), at, *fault);
                let done = (self.operation.work)(&env(&recorder));
                if !recorder.has_failed() {
                    continue;
                }
                let said = match &done {
                    // A lock that could not be let go of is in its own way.
                    Err(error) if error.kind() == Kind::FileLocked => Ok(()),
                    Err(error) if error.kind() != *kind => Err(format!("it says {error:?}")),
                    _ => Ok(()),
                };
                let left = said.and_then(|()| self.judge_failed(&recorder.mem, done.is_ok()));
                // Its process ends, too.
                let image = Image::of(&recorder.mem);
                tried.add(left.and_then(|()| self.judge(&image, true)), || {
                    format!("step {at} fails with {fault:?}")
                });
            }
        }
        tried
    }

    /// Tells what is wrong with what an operation left that has failed or, after all, was `done`.
    fn judge_failed(&self, mem: &Mem, done: bool) -> Result<(), String> {
        let seen = look(mem);
        if done && seen != self.after {
            return Err(format!("it says that it is done: {seen:?}"));
        }
        let found = files(mem, Path::new("/vms"));
        let before = files(&self.image.to_mem(), Path::new("/vms"));
        let known: BTreeSet<_> = names(&before).union(&names(&self.made)).copied().collect();
        let goes = [BASE, CLONE].iter().any(|path| self.goes(Path::new(path)));
        let may_leave = goes || self.operation.takes_up;
        let is_fine = match seen == self.before && seen != self.after && !may_leave {
            true => names(&found) == names(&before),
            // What the operation no longer needs may be there still.
            false => names(&found).is_subset(&known),
        };
        match is_fine {
            true => Ok(()),
            false => Err(format!("files left by a failure: {:?}", names(&found))),
        }
    }
}

/// What was tried.
#[derive(Default)]
struct Tried {
    count: usize,
    /// In how many of them something was to be mended.
    mended: usize,
    wrong: Vec<String>,
}

impl Tried {
    fn add(&mut self, judged: Result<bool, String>, when: impl Fn() -> String) {
        self.count += 1;
        match judged {
            Ok(is_mended) => self.mended += usize::from(is_mended),
            Err(what) => self.wrong.push(format!("{}: {what}", when())),
        }
    }
}

/// How steps fail, and what the operation says then.
const FAULTS: &[(Fault, Kind)] = &[
    (fault(libc::ENOSPC, true, true), Kind::NoSpace),
    (fault(libc::EDQUOT, true, false), Kind::NoSpace),
    (fault(libc::EIO, false, false), Kind::Io),
    (fault(libc::EACCES, false, false), Kind::Denied),
];

const fn fault(errno: i32, stays: bool, short: bool) -> Fault {
    Fault {
        errno,
        stays,
        short,
    }
}

fn run(name: &str) {
    let operation = OPERATIONS
        .iter()
        .find(|operation| operation.name == name)
        .unwrap();
    let course = Course::of(operation);
    let all = std::env::var_os("REPLIX_CRASH_STATES").is_some_and(|states| states == "all");
    let (states, faults) = (course.outages(all), course.faults(all));
    if let Some(table) = std::env::var_os("REPLIX_CRASH_TABLE") {
        let steps = course.outage.steps();
        let mended = states.mended + faults.mended;
        let wrong = states.wrong.len() + faults.wrong.len();
        let (states, faults) = (states.count, faults.count);
        let line = format!("| {name} | {steps} | {states} | {faults} | {mended} | {wrong} |\n");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(table).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    let mut text = String::new();
    for Tried { wrong, .. } in [states, faults] {
        wrong
            .iter()
            .take(SHOWN)
            .for_each(|what| writeln!(text, "{what}").unwrap());
        if wrong.len() > SHOWN {
            writeln!(text, "... {} in all", wrong.len()).unwrap();
        }
    }
    assert!(text.is_empty(), "{name}:\n{text}");
}

macro_rules! tests {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            run($name);
        })*

        #[test]
        fn each_operation_has_a_test() {
            let known: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
            assert_eq!(known, [$($name),*]);
        }
    };
}

tests! {
    snapshot: "snapshot",
    snapshot_of_one_with_others: "snapshot of one with others",
    revert: "revert",
    remove_the_first_snapshot: "remove the first snapshot",
    remove_a_snapshot_in_the_middle: "remove a snapshot in the middle",
    remove_the_last_snapshot: "remove the last snapshot",
    remove_a_snapshot_with_its_children: "remove a snapshot with its children",
    remove_a_branch_of_snapshots: "remove a branch of snapshots",
    remove_a_snapshot_of_a_split_disk: "remove a snapshot of a split disk",
    consolidate: "consolidate",
    full_clone: "full clone",
    full_clone_of_a_snapshot: "full clone of a snapshot",
    linked_clone: "linked clone",
    linked_clone_of_a_snapshot: "linked clone of a snapshot",
    delete_a_vm: "delete a VM",
    delete_a_linked_clone: "delete a linked clone",
    promote_a_linked_clone: "promote a linked clone",
    raise_the_hardware_version: "raise the hardware version",
    add_a_network_adapter: "add a network adapter",
    suspend_but_for_qemu: "suspend, but for QEMU",
    snapshot_of_a_suspended_vm: "snapshot of a suspended VM",
    revert_to_a_snapshot_with_memory: "revert to a snapshot with memory",
    revert_of_a_suspended_vm: "revert of a suspended VM",
    remove_a_snapshot_with_memory: "remove a snapshot with memory",
    delete_a_suspended_vm: "delete a suspended VM",
    create_a_disk_that_grows: "create a disk that grows",
    create_a_split_disk: "create a split disk",
    copy_a_disk: "copy a disk",
    copy_a_disk_to_a_flat_one: "copy a disk to a flat one",
    export_a_disk: "export a disk",
    grow_a_disk: "grow a disk",
    compact_a_disk: "compact a disk",
    rename_a_disk: "rename a disk",
    delete_a_disk: "delete a disk",
    repair_a_disk: "repair a disk",
    relink_a_clone: "relink a clone",
    repair_a_library: "repair a library",
    write_lost_bookkeeping_anew: "write lost bookkeeping anew",
    gc_of_a_library: "gc of a library",
}

/// A disk that a killed removal left is in the way of the disk below it, and the user is told of the way out.
#[test]
fn disk_that_a_killed_removal_left_is_told_of_and_taken_away() {
    let mem = Mem::new();
    world::with_base(&mem);
    world::take(&env(&mem), "s").unwrap();
    let image = Image::of(&mem);
    let recorder = Recorder::of(mem);
    operations::remove(&env(&recorder), "s", false).unwrap();
    let outage = Outage::new(image, recorder.steps());
    let mut told = BTreeSet::new();
    for done in 0..=outage.steps() {
        for state in outage.states(done, 1, &mut HashSet::new()) {
            let mem = state.to_mem();
            let env = env(&mem);
            let vm = env.open(Path::new(BASE)).unwrap();
            let has_snapshot = !env.vmsd(&vm).unwrap().snapshots().is_empty();
            let Err(error) = operations::grow(&env, "/vms/base/base.vmdk") else {
                continue;
            };
            assert_eq!(error.kind(), Kind::DiskUnsupported, "{error:?}");
            let advice = error.advice().unwrap();
            let way = ["remove the snapshots", "replix consolidate", "replix gc"]
                .into_iter()
                .find(|way| advice.contains(way));
            told.insert(way.unwrap());
            assert_eq!(
                has_snapshot,
                way == Some("remove the snapshots"),
                "{advice}"
            );
            if !has_snapshot {
                operations::consolidate(&env).unwrap();
                operations::grow(&env, "/vms/base/base.vmdk").unwrap();
            }
        }
    }
    assert_eq!(told.len(), 3, "{told:?}");
}

/// A disk that a killed change of the snapshots was making may open before its tables are whole.
#[test]
fn new_disk_is_taken_away_however_much_of_it_there_is() {
    let world = Mem::new();
    world::with_snapshots(&world);
    let (image, before) = (Image::of(&world), files(&world, Path::new("/vms")));
    let new = Path::new("/vms/base/base-000009.vmdk");
    let made = || {
        let mem = image.to_mem();
        world::make_child(&mem, "/vms/base/base-000001.vmdk", new);
        mem
    };
    let whole = made().meta(new).unwrap().len;
    for len in (0..whole).step_by(SECTOR as usize) {
        // The end of the sector, and the first entry of a table in the next one.
        for len in [len, len + 4] {
            let mem = made();
            mem.open(new, Access::Write).unwrap().set_len(len).unwrap();
            operations::consolidate(&env(&mem)).unwrap();
            assert_eq!(files(&mem, Path::new("/vms")), before, "{len}");
        }
    }
}
