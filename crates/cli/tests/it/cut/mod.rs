//! A library of VMs at which operations are cut off at random moments, and what must hold after each cut:
//! the VM is wholly as before or wholly as the operation makes it, every guest sees what it saw, the
//! operation done again succeeds; and in the end nothing is left that belongs to nobody.
//!
//! What is known of the VMs is written down after each round, so that a long run can be interrupted and
//! gone on with.

mod act;
mod look;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replix_testkit::{Content, DiskType, Random, peer};
use serde::{Deserialize, Serialize};

pub use act::Act;
use act::vmx;
use look::{Looker, Stamps};

use crate::library::Library;
use crate::said::Said;

/// What a process is taken to need that was never measured.
const UNKNOWN: Duration = Duration::from_millis(40);

/// The disk of each parent.
const BYTES: u64 = 2 << 20;

/// Disks grow up to this.
const LARGEST: u64 = 8 << 20;

/// A VM has no more named snapshots.
const SNAPSHOTS: usize = 4;

/// After so many rounds all VMs are looked at.
const INTERVAL: u64 = 50;

/// How an operation is cut off.
pub trait Cutter {
    /// Starts the process of `act`, cuts it off after `delay`, and returns what it said; the library can
    /// be looked at then. Without `delay` nothing is cut off.
    fn run(&self, library: &Library, act: &Act, delay: Option<Duration>) -> Said;

    /// Whether a file that seems unchanged after a cut has the bytes that were seen before.
    fn keeps_what_was_written(&self) -> bool;
}

/// The VMs, with what is known of them.
pub struct World<'a> {
    library: Library,
    looker: Looker,
    cutter: &'a dyn Cutter,
    file: PathBuf,
    state: State,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    seed: u64,
    /// How many VMs there are to be.
    size: usize,
    rounds: u64,
    /// Disks that deleted VMs left.
    #[serde(default)]
    left: u64,
    /// Numbers the names.
    last: u64,
    vms: BTreeMap<String, Model>,
    /// Milliseconds that each operation takes when it is not cut off.
    lengths: BTreeMap<String, f64>,
    figures: BTreeMap<String, Figures>,
}

/// What came of an operation that was tried again and again.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Times that it was cut off.
    pub cut: u64,
    /// Of these, times that it was found done.
    pub done: u64,
    /// Of these, times that files were changed, and it was not done.
    #[serde(default)]
    pub midway: u64,
    /// Times that it had ended before.
    pub ended: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Model {
    /// One of the VMs that were there first, whose contents never change.
    is_parent: bool,
    /// What its guest sees: SHA-256 of it, without the zeros at its end.
    content: String,
    /// The same at each snapshot.
    snapshots: BTreeMap<String, String>,
    /// The VM, and the snapshot, that a linked clone stands on.
    base: Option<(String, Option<String>)>,
}

impl<'a> World<'a> {
    /// Opens the library in `root`, or makes one there of `size` VMs.
    pub fn at(root: &Path, seed: u64, size: usize, cutter: &'a dyn Cutter) -> Self {
        let file = root.join("state.json");
        let library = Library::at(root);
        fs::create_dir_all(library.path("copies")).unwrap();
        let known = fs::read(&file).ok();
        let state = known.map_or(
            State {
                seed,
                size,
                ..State::default()
            },
            |bytes| serde_json::from_slice(&bytes).unwrap(),
        );
        let mut world = Self {
            looker: Looker::new(library.dir()),
            library,
            cutter,
            file,
            state,
        };
        println!("seed {}, round {}", world.state.seed, world.state.rounds);
        if world.state.vms.is_empty() {
            world.settle();
        }
        world
    }

    /// Makes the first VMs.
    fn settle(&mut self) {
        for number in 0..(self.state.size / 5).max(2) {
            let name = format!("parent{number}");
            let kind = DiskType::ALL[number % 4];
            self.library
                .builder(&name)
                .disk(kind, Content::Mixed(number as u64 + 1), BYTES)
                .build();
            self.library.silent(&["snapshot", &vmx(&name), "golden"]);
            let content = self.looker.content_of(&self.looker.disk(&name));
            let model = Model {
                is_parent: true,
                content: content.clone(),
                snapshots: [("golden".to_owned(), content)].into(),
                base: None,
            };
            self.state.vms.insert(name, model);
        }
        self.save();
    }

    fn save(&self) {
        let bytes = serde_json::to_vec_pretty(&self.state).unwrap();
        let new = self.file.with_extension("new");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// How often operations were cut off until now.
    pub fn cuts(&self) -> u64 {
        self.state.figures.values().map(|of| of.cut).sum()
    }

    /// How many disks were left until now by VMs that were deleted.
    pub fn left(&self) -> u64 {
        self.state.left
    }

    /// What came of each operation.
    pub fn figures(&self) -> &BTreeMap<String, Figures> {
        &self.state.figures
    }

    /// Chooses an operation, cuts it off at a random moment, and holds what is left to the promises.
    pub fn round(&mut self) {
        let seed = self.state.seed.wrapping_add(self.state.rounds << 20);
        let mut random = Random::new(seed);
        self.state.rounds += 1;
        let act = self.choose(&mut random);
        let name = act.name();
        let whole = self.state.lengths.get(name);
        let whole = whole.map_or(UNKNOWN, |ms| Duration::from_secs_f64(ms / 1000.0));
        let delay = whole.mul_f64(random.part() * 1.05);
        let before = self.looker.files();
        let said = self.cutter.run(&self.library, &act, Some(delay));
        if !self.cutter.keeps_what_was_written() {
            self.looker.forget();
        }
        let is_touched = self.looker.files() != before;
        let round = self.state.rounds;
        let when = format!("round {round}, {act:?} cut off after {delay:?} of {whole:?}: {said}");
        let is_done = self.is_done(&act, &when);
        let figures = self.state.figures.entry(name.into()).or_default();
        match said.code {
            Some(0) => {
                assert_ne!(is_done, Some(false), "it is not there: {when}");
                figures.ended += 1;
            }
            _ => {
                figures.cut += 1;
                figures.done += u64::from(is_done == Some(true));
                figures.midway += u64::from(is_done != Some(true) && is_touched);
            }
        }
        if is_done != Some(true) {
            let begin = Instant::now();
            let again = self.cutter.run(&self.library, &act, None);
            let took = begin.elapsed().as_secs_f64() * 1000.0;
            assert_eq!(again.code, Some(0), "again: {again}\n{when}");
            let length = self.state.lengths.entry(name.into()).or_insert(took);
            *length = *length * 0.8 + took * 0.2;
            assert_ne!(self.is_done(&act, &when), Some(false), "again: {when}");
        }
        self.assert_others_untouched(&act, &before, &when);
        self.take_over(&act, &when, &mut random);
        self.save();
        if self.state.rounds.is_multiple_of(INTERVAL) {
            self.check_all();
        }
    }

    /// Whether an operation was done; `None` where it cannot be seen. Either way the VM is whole.
    fn is_done(&self, act: &Act, when: &str) -> Option<bool> {
        let vm = act.vm();
        if let Act::Delete { .. } = act {
            return Some(!self.library.path(vmx(vm)).exists());
        }
        let info = self.looker.opened(vm, when);
        let model = &self.state.vms[vm];
        if let Act::Revert { name, .. } = act {
            let now = self.content(vm);
            let then = &model.snapshots[name];
            assert!(now == *then || now == model.content, "torn: {when}");
            // Where both are the same it is done in any case.
            return (now != model.content).then_some(true);
        }
        assert_eq!(self.content(vm), model.content, "{when}");
        match act {
            Act::Clone { to, .. } => {
                let is_there = self.library.path(vmx(to)).exists();
                is_there.then(|| self.looker.opened(to, when));
                Some(is_there)
            }
            Act::Snapshot { name, .. } => Some(self.has_snapshot(vm, name)),
            Act::Remove { name, .. } => Some(!self.has_snapshot(vm, name)),
            Act::Grow { bytes, .. } => Some(info.disks[0].capacity_bytes == *bytes),
            Act::Convert { to, .. } => Some(self.library.path(to).exists()),
            _ => None,
        }
    }

    fn has_snapshot(&self, vm: &str, name: &str) -> bool {
        self.looker.snapshots(vm).iter().any(|one| one == name)
    }

    /// What the guest of a VM sees.
    fn content(&self, vm: &str) -> String {
        let mut line = vec![vm.to_owned()];
        while let Some((base, _)) = &self.state.vms[&line[line.len() - 1]].base {
            line.push(base.clone());
        }
        self.looker.content(&line)
    }

    /// Asserts that no operation changed a disk of a VM that it was not done to; a clone of a snapshot
    /// changes none at all.
    fn assert_others_untouched(&self, act: &Act, before: &Stamps, when: &str) {
        let now = self.looker.files();
        let may_change = match act {
            Act::Clone {
                snapshot: Some(_), ..
            } => "",
            _ => act.vm(),
        };
        for (path, stamp) in before {
            let folder = path.iter().next().unwrap().to_str().unwrap();
            let is_disk = path.extension().is_some_and(|ending| ending == "vmdk");
            if is_disk && folder != may_change && self.state.vms.contains_key(folder) {
                assert_eq!(now.get(path), Some(stamp), "{path:?} was changed: {when}");
            }
        }
    }

    /// Notes what an operation that is done has made, after a look at it.
    fn take_over(&mut self, act: &Act, when: &str, random: &mut Random) {
        let vm = act.vm().to_owned();
        match act {
            Act::Clone {
                snapshot,
                to,
                linked,
                ..
            } => {
                let source = &self.state.vms[&vm];
                let content = match snapshot {
                    Some(name) => source.snapshots[name].clone(),
                    None => source.content.clone(),
                };
                let model = Model {
                    is_parent: false,
                    content,
                    snapshots: BTreeMap::new(),
                    base: linked.then(|| (vm, snapshot.clone())),
                };
                self.state.vms.insert(to.clone(), model);
                self.assert_content(to, when);
                self.use_guest(to, random);
            }
            Act::Snapshot { name, .. } => {
                let model = self.state.vms.get_mut(&vm).unwrap();
                model.snapshots.insert(name.clone(), model.content.clone());
                self.use_guest(&vm, random);
            }
            Act::Revert { name, .. } => {
                let model = self.state.vms.get_mut(&vm).unwrap();
                model.content = model.snapshots[name].clone();
                self.assert_content(&vm, when);
            }
            Act::Remove { name, .. } => {
                let model = self.state.vms.get_mut(&vm).unwrap();
                model.snapshots.remove(name);
                self.assert_content(&vm, when);
            }
            Act::Promote { .. } => {
                self.state.vms.get_mut(&vm).unwrap().base = None;
                self.assert_content(&vm, when);
            }
            Act::Delete { .. } => {
                self.state.vms.remove(&vm);
                self.forget_folder(&vm, when);
            }
            Act::Convert { to, format, .. } => {
                let copy = self.library.path(to);
                if format != "streamOptimized" {
                    let content = &self.state.vms[&vm].content;
                    assert_eq!(self.looker.content_of(&copy), *content, "{when}");
                }
                self.empty_copies();
            }
            Act::Consolidate { .. }
            | Act::Relink { .. }
            | Act::Grow { .. }
            | Act::Compact { .. } => {
                self.assert_content(&vm, when);
            }
        }
    }

    fn assert_content(&self, vm: &str, when: &str) {
        self.looker.opened(vm, when);
        assert_eq!(self.content(vm), self.state.vms[vm].content, "{vm}: {when}");
    }

    /// A VM's guest writes something.
    fn use_guest(&mut self, vm: &str, random: &mut Random) {
        if self.state.vms[vm].is_parent || random.below(2) == 0 {
            return;
        }
        let (at, fill) = (random.below(24) * 64, random.below(255) + 1);
        let (disk, write) = (self.looker.disk(vm), format!("write -P {fill} {at}k 96k"));
        // What QEMU wrote need not outlive the machine; `Cutter::run` sees to it where it must.
        let words = ["-t", "unsafe", "-f", "vmdk", "-c", &write];
        let output = peer("qemu-io", [&words[..], &[disk.to_str().unwrap()]].concat());
        assert!(output.status.success(), "{output:?}");
        assert!(
            !output.stdout.windows(6).any(|part| part == b"failed"),
            "{output:?}"
        );
        let content = self.content(vm);
        self.state.vms.get_mut(vm).unwrap().content = content;
    }

    /// Where a VM was deleted nothing is left, but for a hold of the process that was cut off.
    fn forget_folder(&mut self, vm: &str, when: &str) {
        let folder = self.library.path(vm);
        let entries = fs::read_dir(&folder).into_iter().flatten();
        for entry in entries {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".vmdk") {
                // It holds nothing of anybody's any more, but nothing proves that it was this VM's.
                println!("{name} is left: {when}");
                self.state.left += 1;
                continue;
            }
            assert!(name.ends_with(".lck"), "{name} is left: {when}");
        }
        let _ = fs::remove_dir_all(folder);
    }

    fn empty_copies(&self) {
        let folder = self.library.path("copies");
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(folder).unwrap();
    }

    /// Looks at all VMs.
    pub fn check_all(&self) {
        for (vm, model) in &self.state.vms {
            let when = format!("after round {}", self.state.rounds);
            self.assert_content(vm, &when);
            let names = self.looker.snapshots(vm);
            for name in model.snapshots.keys() {
                assert!(names.contains(name), "{vm} has lost {name}, {when}");
            }
        }
    }

    /// The same, and reads every disk again.
    pub fn check_all_anew(&self) {
        self.looker.forget();
        self.check_all();
    }

    /// Deletes all VMs, clones first: nothing may be left of them.
    pub fn finish(mut self) {
        self.check_all_anew();
        while let Some(vm) = self.leaves(|_| true).pop() {
            self.library.silent(&["deleteVM", &vmx(&vm)]);
            self.state.vms.remove(&vm);
            self.forget_folder(&vm, "in the end");
        }
        self.empty_copies();
        let left: Vec<_> = fs::read_dir(self.library.dir()).unwrap().collect();
        let left = left.into_iter().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["copies"]);
    }

    /// The VMs that no other stands on, and that `wanted` picks.
    fn leaves(&self, wanted: impl Fn(&Model) -> bool) -> Vec<String> {
        let vms = &self.state.vms;
        let bears = |name: &String| {
            let mut bases = vms.values().filter_map(|model| model.base.as_ref());
            bases.any(|(vm, _)| vm == name)
        };
        let leaves = vms
            .iter()
            .filter(|(name, model)| !bears(name) && wanted(model));
        leaves.map(|(name, _)| name.clone()).collect()
    }
}

/// Choosing.
impl World<'_> {
    fn choose(&mut self, random: &mut Random) -> Act {
        loop {
            let names: Vec<String> = self.state.vms.keys().cloned().collect();
            let vm = random.pick(&names).unwrap().clone();
            let few = names.len() < self.state.size;
            let chosen = match random.below(if few { 24 } else { 14 }) {
                0 | 1 => self.snapshot(vm),
                2 => self.revert(vm, random),
                3..6 => self.removal(vm, random),
                6 => Some(Act::Consolidate { vm }),
                7 => self.of_clone(vm, |vm| Act::Promote { vm }),
                8 => self.of_clone(vm, |vm| Act::Relink { vm }),
                9 => self.change(vm, random),
                10 => self.copy(vm, random),
                11..14 if few => None,
                11..14 => self.deletion(random),
                _ => self.clone_of(vm, random),
            };
            if let Some(act) = chosen {
                return act;
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.state.last += 1;
        self.state.last
    }

    fn clone_of(&mut self, from: String, random: &mut Random) -> Option<Act> {
        let model = &self.state.vms[&from];
        let names: Vec<String> = model.snapshots.keys().cloned().collect();
        let named = random.pick(&names).cloned();
        // A parent gets no snapshots besides its own.
        let snapshot = named.filter(|_| model.is_parent || random.below(3) > 0);
        Some(Act::Clone {
            linked: random.below(3) > 0,
            to: format!("vm{}", self.number()),
            from,
            snapshot,
        })
    }

    fn snapshot(&mut self, vm: String) -> Option<Act> {
        let few = self.state.vms[&vm].snapshots.len() < SNAPSHOTS;
        few.then(|| Act::Snapshot {
            name: format!("s{}", self.number()),
            vm,
        })
    }

    fn revert(&self, vm: String, random: &mut Random) -> Option<Act> {
        let names: Vec<&String> = self.state.vms[&vm].snapshots.keys().collect();
        let name = random.pick(&names)?.to_string();
        Some(Act::Revert { vm, name })
    }

    /// A snapshot that no linked clone stands on.
    fn removal(&self, vm: String, random: &mut Random) -> Option<Act> {
        let bases = self
            .state
            .vms
            .values()
            .filter_map(|model| model.base.as_ref());
        let borne: Vec<&String> = bases
            .filter(|(base, _)| *base == vm)
            .filter_map(|(_, name)| name.as_ref())
            .collect();
        let names = self.state.vms[&vm].snapshots.keys();
        let free: Vec<&String> = names
            .filter(|name| *name != "golden" && !borne.contains(name))
            .collect();
        let name = random.pick(&free)?.to_string();
        Some(Act::Remove { vm, name })
    }

    fn of_clone(&self, vm: String, act: impl Fn(String) -> Act) -> Option<Act> {
        let is_clone = self.state.vms[&vm].base.is_some();
        is_clone.then(|| act(vm))
    }

    fn deletion(&self, random: &mut Random) -> Option<Act> {
        let vm = random.pick(&self.leaves(|model| !model.is_parent))?.clone();
        Some(Act::Delete { vm })
    }

    /// A change of a disk that has neither snapshots nor a parent, and on which nothing stands that the
    /// removal of a snapshot left when it was cut off.
    fn change(&self, vm: String, random: &mut Random) -> Option<Act> {
        let info = self.looker.opened(&vm, "before a change of its disk");
        let disk = &info.disks[0];
        let names = fs::read_dir(self.library.path(&vm)).unwrap();
        let is_child = |name: String| name.contains("-00000") && name.ends_with(".vmdk");
        let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        if info.snapshots != 0 || disk.depth != 1 || names.any(is_child) {
            return None;
        }
        let bytes = disk.capacity_bytes + (1 << 20);
        let path = self.looker.disk(&vm);
        let is_sparse = disk.create_type.as_deref() == Some("monolithicSparse");
        let disk = path.to_str().unwrap().to_owned();
        match random.below(2) {
            0 if bytes <= LARGEST => Some(Act::Grow { vm, disk, bytes }),
            _ => is_sparse.then_some(Act::Compact { vm, disk }),
        }
    }

    fn copy(&mut self, vm: String, random: &mut Random) -> Option<Act> {
        let formats = [
            "monolithicSparse",
            "twoGbMaxExtentSparse",
            "monolithicFlat",
            "streamOptimized",
        ];
        let disk = self.looker.disk(&vm).to_str().unwrap().to_owned();
        Some(Act::Convert {
            vm,
            disk,
            to: format!("copies/copy{}.vmdk", self.number()),
            format: (*random.pick(&formats)?).to_owned(),
        })
    }
}
