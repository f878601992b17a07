//! Random lives of VMs whose disks stand on each other: written to by QEMU, snapshots taken, gone back to
//! and removed, cloned, consolidated, promoted, relinked, grown, deleted. Whatever was done, each state of
//! each VM reads as a plain array that the same was done to.
//!
//! As many as 200 of them, in half a minute; `REPLIX_PROPERTY_CASES=5000` makes it that many, however long
//! it takes. A seed that fails is printed and kept in
//! `chain_properties.seeds`, whose seeds every run tries first; `REPLIX_PROPERTY_SEED=N` tries that alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use replix::clone::{Base, CloneKind, CloneSpec, DeleteSpec, PromoteSpec, RelinkSpec};
use replix::disk::{DiskCall, check};
use replix::snapshot::{RevertSpec, Snapshot, SnapshotRef};
use replix::{Job, Kind, Vm};
use replix_testkit::{Content, DiskType, VmBuilder, peer};
use tempfile::TempDir;

use crate::tools::{opener, qemu_io, read_all};
use crate::vms::*;

const SEEDS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/it/chain_properties.seeds"
);

const SECTOR: usize = 512;

/// 24 grains, and a part of one.
const SMALLEST: u64 = (24 << 16) + 5 * SECTOR as u64;

const MOST_VMS: usize = 3;

/// How many seeds are tried where nobody says so, and for how long at most.
const CASES: u64 = 200;
const LIMIT: Duration = Duration::from_secs(30);

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = self.below(all.len());
        all.get(at)
    }
}

/// A VM, and what its states must read as.
struct Modelled {
    vm: Vm,
    present: Vec<u8>,
    snapshots: BTreeMap<u32, Vec<u8>>,
}

impl Modelled {
    fn disk(&self) -> PathBuf {
        disks(&self.vm).remove(0)
    }

    fn listed(&self) -> Vec<Snapshot> {
        self.vm.snapshots().unwrap().snapshots
    }

    /// Snapshots that were just taken hold the present state; those that are gone hold nothing.
    fn follow(&mut self) {
        let uids: Vec<u32> = self.listed().iter().map(|one| one.uid).collect();
        self.snapshots.retain(|uid, _| uids.contains(uid));
        for uid in uids {
            self.snapshots
                .entry(uid)
                .or_insert_with(|| self.present.clone());
        }
    }

    /// Whether living linked clones stand on one of its snapshots.
    fn has_clones(&self) -> bool {
        self.listed().iter().any(|one| !one.clones.is_empty())
    }
}

/// A library of such VMs.
struct World {
    library: TempDir,
    random: Random,
    vms: Vec<Modelled>,
    made: usize,
    /// What was done, for who looks into a failure.
    done: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        // In memory where there is room: nothing here depends on what is durable.
        let builder = || {
            let mut builder = tempfile::Builder::new();
            builder.prefix("replix-test-");
            builder
        };
        let shared = builder().tempdir_in("/dev/shm");
        let library = shared.or_else(|_| builder().tempdir()).unwrap();
        let mut world = Self {
            library,
            random: Random(seed),
            vms: Vec::new(),
            made: 0,
            done: Vec::new(),
        };
        let kind = *world.random.pick(&DiskType::ALL).unwrap();
        let test_vm = VmBuilder::new(world.library.path(), "base")
            .disk(kind, Content::Mixed(seed), SMALLEST)
            .build();
        let vm = open(&test_vm);
        let present = read_all(&disks(&vm)[0]);
        world.done.push(format!("base is {kind:?}"));
        world.vms.push(Modelled {
            vm,
            present,
            snapshots: BTreeMap::new(),
        });
        world
    }

    /// Does one thing.
    fn step(&mut self) {
        let at = self.random.below(self.vms.len());
        match self.random.below(30) {
            0..8 => self.write(at),
            8..10 => self.snapshot(at),
            10..14 => {
                self.write(at);
                self.snapshot(at);
            }
            14..16 => self.revert(at),
            16..21 => self.remove(at),
            21..23 => self.clone(at, CloneKind::Linked),
            23 => self.clone(at, CloneKind::Full),
            24..26 => self.consolidate(at),
            26 => self.promote(at),
            27 => self.relink(at),
            28 => self.grow(at),
            _ => self.delete(at),
        }
    }

    fn note(&mut self, at: usize, what: &str) {
        let name = self.vms[at].vm.path().file_stem().unwrap();
        self.done.push(format!("{}: {what}", name.display()));
    }

    fn write(&mut self, at: usize) {
        let sectors = self.vms[at].present.len() / SECTOR;
        let mut commands = Vec::new();
        for _ in 0..=self.random.below(3) {
            let longest = [1, 130, 1400][self.random.below(3)];
            let first = self.random.below(sectors);
            let count = (1 + self.random.below(longest)).min(sectors - first);
            let fill = [0, 1 + self.random.below(250) as u8][usize::from(self.random.below(5) > 0)];
            let range = first * SECTOR..(first + count) * SECTOR;
            commands.push(format!("write -P {fill} {} {}", range.start, range.len()));
            self.vms[at].present[range].fill(fill);
        }
        self.note(at, &commands.join(", "));
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        qemu_io(&self.vms[at].disk(), &commands);
    }

    fn snapshot(&mut self, at: usize) {
        self.note(at, "snapshot");
        let name = format!("s{}", self.done.len());
        snapshot(&self.vms[at].vm, &name);
        self.vms[at].follow();
    }

    fn any_snapshot(&mut self, at: usize) -> Option<Snapshot> {
        let listed = self.vms[at].listed();
        self.random.pick(&listed).cloned()
    }

    fn revert(&mut self, at: usize) {
        let Some(Snapshot { uid, .. }) = self.any_snapshot(at) else {
            return;
        };
        self.note(at, &format!("revert to #{uid}"));
        let spec = RevertSpec::from(SnapshotRef::Uid(uid));
        self.vms[at].vm.revert(spec).wait().unwrap();
        self.vms[at].present = self.vms[at].snapshots[&uid].clone();
    }

    fn remove(&mut self, at: usize) {
        let Some(Snapshot { uid, .. }) = self.any_snapshot(at) else {
            return;
        };
        let children = self.random.below(4) == 0;
        self.note(at, &format!("remove #{uid}, children: {children}"));
        let tree = self.vms[at].vm.snapshots().unwrap();
        let mut doomed = vec![uid];
        doomed.extend(
            children
                .then(|| descendants(&tree.snapshots, uid))
                .into_iter()
                .flatten(),
        );
        let is_locked = |one: &Snapshot| doomed.contains(&one.uid) && !one.clones.is_empty();
        let locked = tree.snapshots.iter().any(is_locked);
        let removing = self.vms[at]
            .vm
            .remove_snapshot(SnapshotRef::Uid(uid), children);
        match (locked, removing.wait()) {
            (true, Err(error)) => assert_eq!(error.kind(), Kind::SnapshotLocked, "{error}"),
            (false, Ok(())) => {}
            (_, ended) => panic!("locked: {locked}, and {ended:?}"),
        }
        self.vms[at].follow();
    }

    fn clone(&mut self, at: usize, kind: CloneKind) {
        if self.vms.len() == MOST_VMS {
            return;
        }
        self.made += 1;
        let name = format!("vm{}", self.made);
        let mut spec = CloneSpec::new(kind, vmx(self.library.path(), &name));
        let of = self
            .any_snapshot(at)
            .filter(|_| self.made.is_multiple_of(2));
        spec.snapshot = of.as_ref().map(|one| SnapshotRef::Uid(one.uid));
        spec.base = [Base::New, Base::Reuse][self.random.below(2)];
        let uid = of.map(|one| one.uid);
        self.note(at, &format!("{kind:?} clone {name} of {uid:?}"));
        let vm = self.vms[at].vm.clone_to(spec).wait().unwrap().vm;
        self.vms[at].follow();
        let present = match uid {
            Some(uid) => self.vms[at].snapshots[&uid].clone(),
            None => self.vms[at].present.clone(),
        };
        self.vms.push(Modelled {
            vm,
            present,
            snapshots: BTreeMap::new(),
        });
    }

    fn consolidate(&mut self, at: usize) {
        self.note(at, "consolidate");
        self.vms[at].vm.consolidate().wait().unwrap();
        // Then there is nothing more to merge.
        let again = self.vms[at].vm.consolidate().wait().unwrap();
        assert_eq!(again.links, 0);
    }

    fn promote(&mut self, at: usize) {
        self.note(at, "promote");
        let spec = PromoteSpec {
            remove_base: self.random.below(2) == 0,
        };
        self.vms[at].vm.promote(spec).wait().unwrap();
        // The snapshot that it stood on may be gone, in whichever VM that is.
        self.vms.iter_mut().for_each(Modelled::follow);
        let dir = self.vms[at].vm.path().parent().unwrap().to_path_buf();
        let chain = crate::tools::open(&self.vms[at].disk()).unwrap();
        let is_own = |link: &replix::disk::Link| link.path().starts_with(&dir);
        assert!(chain.links().iter().all(is_own));
        assert_eq!(self.vms[at].vm.info().unwrap().clone_of, None);
    }

    fn relink(&mut self, at: usize) {
        self.note(at, "relink");
        let clone_of = self.vms[at].vm.info().unwrap().clone_of;
        let done = self.vms[at]
            .vm
            .relink(RelinkSpec::default())
            .wait()
            .unwrap();
        assert_eq!(done.parent, clone_of.map(PathBuf::from));
    }

    fn grow(&mut self, at: usize) {
        let len = self.vms[at].present.len() + SECTOR * (1 + self.random.below(300));
        let disk = self.vms[at].disk();
        let is_lone = self.vms[at].snapshots.is_empty()
            && crate::tools::open(&disk).unwrap().links().len() == 1;
        self.note(at, &format!("grow to {len}, may: {is_lone}"));
        let call = DiskCall::Grow {
            capacity_bytes: len as u64,
        };
        let grown = host().provider().disk(&disk, &call, &Job::new());
        assert_eq!(grown.is_ok(), is_lone, "{grown:?}");
        if is_lone {
            self.vms[at].present.resize(len, 0);
        }
    }

    fn delete(&mut self, at: usize) {
        let may = !self.vms[at].has_clones();
        if self.vms.len() == 1 {
            return;
        }
        self.note(at, &format!("delete, may: {may}"));
        let dir = self.vms[at].vm.path().parent().unwrap().to_path_buf();
        let spec = DeleteSpec {
            disks: true,
            force: false,
        };
        match self.vms[at].vm.delete(spec).wait() {
            Ok(()) => assert!(may),
            Err(error) => assert!(!may && error.kind() == Kind::Busy, "{error}"),
        }
        if may {
            assert!(!dir.exists(), "{dir:?} is left");
            self.vms.remove(at);
        }
    }

    /// Asserts that the present state of each VM reads as it must.
    fn check_present(&self) {
        for one in &self.vms {
            let disk = one.disk();
            assert!(read_all(&disk) == one.present, "{disk:?}");
        }
    }

    /// Asserts it of all states, by QEMU too.
    fn check_all(&mut self) {
        let raw = self.library.path().join("model.raw");
        for one in &self.vms {
            let disk = one.disk();
            fs::write(&raw, &one.present).unwrap();
            let same = ["compare", "-f", "vmdk", "-F", "raw"].map(std::ffi::OsStr::new);
            let files = [disk.as_os_str(), raw.as_os_str()];
            let said = peer("qemu-img", same.into_iter().chain(files));
            assert!(said.status.success(), "{disk:?}: {said:?}");
            let report = check(&opener(&disk), &disk, &Job::new()).unwrap();
            assert_eq!(report.errors, [""; 0], "{disk:?}");
        }
        for at in 0..self.vms.len() {
            for (uid, content) in self.vms[at].snapshots.clone() {
                self.note(at, &format!("look at #{uid}"));
                let spec = RevertSpec::from(SnapshotRef::Uid(uid));
                self.vms[at].vm.revert(spec).wait().unwrap();
                let disk = self.vms[at].disk();
                assert!(read_all(&disk) == content, "{disk:?} at #{uid}");
                self.vms[at].present = content;
            }
        }
        self.check_present();
    }
}

fn descendants(all: &[Snapshot], uid: u32) -> Vec<u32> {
    let children = all.iter().filter(|one| one.parent == Some(uid));
    let below = children.flat_map(|one| {
        let mut below = descendants(all, one.uid);
        below.push(one.uid);
        below
    });
    below.collect()
}

fn live(world: &mut World) {
    for _ in 0..16 + world.random.below(24) {
        world.step();
        world.check_present();
    }
    world.check_all();
}

/// Tries one seed; what was done before it failed is printed, and the seed kept.
fn try_seed(seed: u64) -> bool {
    let mut world = World::new(seed);
    let ended = catch_unwind(AssertUnwindSafe(|| live(&mut world)));
    if ended.is_err() {
        println!("seed {seed} failed after\n  {}", world.done.join("\n  "));
        keep(seed);
    }
    ended.is_ok()
}

fn keep(seed: u64) {
    static KEEPING: Mutex<()> = Mutex::new(());
    let _one = KEEPING.lock();
    if kept().contains(&seed) {
        return;
    }
    let file = fs::OpenOptions::new().append(true).create(true).open(SEEDS);
    if file.and_then(|mut file| writeln!(file, "{seed}")).is_err() {
        println!("the seed could not be kept in {SEEDS}");
    }
}

fn kept() -> Vec<u64> {
    let text = fs::read_to_string(Path::new(SEEDS)).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
    )
}

#[test]
fn every_state_reads_as_what_was_done_to_it() {
    let wanted = number("REPLIX_PROPERTY_CASES");
    let seeds = match number("REPLIX_PROPERTY_SEED") {
        Some(seed) => vec![seed],
        None => {
            let cases = wanted.unwrap_or(CASES);
            // Other lives each time where somebody looks for faults, the same ones in each test run.
            let first = if wanted.is_some() { now() } else { 1 };
            let fresh = (0..cases).map(|case| first.wrapping_add(case));
            kept().into_iter().chain(fresh).collect()
        }
    };
    println!("{} seeds, from {:?} on", seeds.len(), seeds.first());
    let [next, tried, failed] = std::array::from_fn(|_| AtomicUsize::new(0));
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let in_time = || wanted.is_some() || begun.elapsed() < LIMIT;
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed))
                    && in_time()
                {
                    tried.fetch_add(1, Ordering::Relaxed);
                    if !try_seed(*seed) {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    println!("{} tried in {:?}", tried.into_inner(), begun.elapsed());
    assert_eq!(failed.into_inner(), 0, "their seeds are in {SEEDS}");
}

/// Another number in each run.
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_nanos() as u64
}
