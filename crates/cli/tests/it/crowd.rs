//! A crowd of processes at one parent: they clone it while others change it; thousands of clones are made
//! of it, find it again where it was renamed, and are deleted. All succeed, and in the end the parent is as it was.
//!
//! `REPLIX_TEST_CROWD=5000` makes it thousands, and says how long they took.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use replix_testkit::{Random, qemu_img, same_content, tree_of};

use crate::library::{Library, Program, changes};

const VMX: &str = "base/base.vmx";

/// Processes that clone at once.
const PROCESSES: usize = 64;

/// Processes that delete at once.
const DELETERS: usize = 8;

/// How many clones of one snapshot are made where nobody says.
const FEW: usize = 40;

/// How many of them lose their parent, and how long each may take then to be found out and mended.
const LOST: usize = 200;
const MENDED: Duration = Duration::from_millis(200);

/// A clone late in the row may take so many times what the first takes.
const MOST: f64 = 1.5;

/// The clones that are timed, each with those before it; the first one with those before this one.
const PLACES: [usize; 4] = [TURNS, 100, 1000, 5000];

/// So many: their median counts.
const TURNS: usize = 25;

fn start(library: &Library, program: Program, words: &[&str]) -> Child {
    let mut call = library.program(program);
    call.args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    call.spawn().unwrap()
}

/// Starts the process that makes clone `number`: by `vmrun` of the present state, by `replix` of the
/// snapshot.
fn cloning(library: &Library, number: usize) -> Child {
    let folder = format!("web{number:02}");
    let vmx = format!("{folder}/{folder}.vmx");
    match number % 2 {
        0 => start(library, Program::Vmrun, &["clone", VMX, &vmx, "linked"]),
        _ => {
            let mut words = vec!["clone", "base", &folder, "--linked", "--quiet"];
            words.extend(["--snapshot", "golden"]);
            start(library, Program::Replix, &words)
        }
    }
}

/// Takes and removes snapshots until it is told to stop; returns how many.
fn change_snapshots(library: &Library, stop: &AtomicBool) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let name = format!("passing{count}");
        library.silent(&["snapshot", VMX, &name]);
        library.silent(&["deleteSnapshot", VMX, &name]);
        count += 1;
    }
    count
}

/// The names in the library that no process should have left.
fn strays(library: &Library) -> Vec<String> {
    let names = library.tree().into_keys();
    let names = names.map(|path| path.to_string_lossy().into_owned());
    names
        .filter(|path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name.starts_with('.') || name.ends_with(".lck")
        })
        .collect()
}

#[test]
fn many_processes_clone_a_parent_whose_snapshots_come_and_go() {
    let library = golden();
    let frozen = library.tree().remove(Path::new("base/base.vmdk"));
    let stop = AtomicBool::new(false);
    let passing = std::thread::scope(|scope| {
        let changing = scope.spawn(|| change_snapshots(&library, &stop));
        let clones: Vec<Child> = (0..PROCESSES)
            .map(|number| cloning(&library, number))
            .collect();
        let ended: Vec<_> = clones
            .into_iter()
            .map(|child| library.ended(child))
            .collect();
        stop.store(true, Ordering::Relaxed);
        for said in ended {
            assert_eq!(
                (said.out.as_str(), said.err.as_str(), said.code),
                ("", "", Some(0))
            );
        }
        changing.join().unwrap()
    });
    println!("{passing} snapshots came and went");
    assert_eq!(library.tree().remove(Path::new("base/base.vmdk")), frozen);
    assert_eq!(strays(&library), [""; 0]);
    for number in 0..PROCESSES {
        let disk = library.path(format!("web{number:02}/base-cl1.vmdk"));
        library.shown(&["disk", "check", disk.to_str().unwrap()]);
        qemu_img(["check", "-f", "vmdk", disk.to_str().unwrap()]);
        assert!(
            same_content(&disk, &library.path("base/base.vmdk")),
            "{disk:?}"
        );
    }
    let (_, info) = library.json(&["info", "base"]);
    assert_eq!(info["clones"].as_array().unwrap().len(), PROCESSES);
    let (_, list) = library.json(&["snapshot", "list", "base"]);
    let snapshots = list["snapshots"].as_array().unwrap();
    let named = |name: &str| snapshots.iter().filter(|s| s["name"] == name).count();
    assert_eq!((named("golden"), named("Clone")), (1, PROCESSES / 2));
    assert_eq!(snapshots.len(), 1 + PROCESSES / 2);
}

/// Times of a clone in the crowd, and of the first clone of a parent in a library of its own, by turns:
/// what else the machine does is the same for both.
#[derive(Default)]
struct Turns {
    crowd: Vec<Duration>,
    alone: Vec<Duration>,
}

impl Turns {
    fn tell(&mut self, place: usize) {
        let (crowd, alone) = (median(&mut self.crowd), median(&mut self.alone));
        let ratio = self.ratio();
        println!("clone {place}: {crowd:?}, the first one of another parent {alone:?}: {ratio:.2}");
    }

    fn ratio(&mut self) -> f64 {
        median(&mut self.crowd).as_secs_f64() / median(&mut self.alone).as_secs_f64()
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A library whose VM has the snapshot `golden`.
fn golden() -> Library {
    let library = Library::with_base();
    library.silent(&["snapshot", VMX, "golden"]);
    library
}

/// How long a linked clone of the snapshot takes.
fn timed_clone(library: &Library, vmx: &str) -> Duration {
    let begin = Instant::now();
    library.silent(&["clone", VMX, vmx, "linked", "-snapshot=golden"]);
    begin.elapsed()
}

/// Deletes clones in a random order, by several processes at once.
fn delete_all(library: &Library, count: usize) {
    let mut left: Vec<usize> = (1..=count).collect();
    Random::new(7).shuffle(&mut left);
    let left = Mutex::new(left);
    std::thread::scope(|scope| {
        for _ in 0..DELETERS {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().pop();
                    let Some(number) = next else { return };
                    library.silent(&["deleteVM", &format!("web{number}/web{number}.vmx")]);
                }
            });
        }
    });
}

/// How many clones are made: `REPLIX_TEST_CROWD`, or so many.
fn size(otherwise: usize) -> usize {
    let wanted = std::env::var("REPLIX_TEST_CROWD");
    wanted.map_or(otherwise, |count| count.parse().unwrap())
}

#[test]
fn many_clones_find_their_parent_which_was_renamed() {
    let (library, count) = (golden(), size(LOST));
    for number in 1..=count {
        timed_clone(&library, &format!("web{number}/web{number}.vmx"));
    }
    let of = |folder: &str| tree_of(&library.path(folder));
    let before = of("base");
    std::fs::rename(library.path("base"), library.path("elsewhere")).unwrap();
    let begin = Instant::now();
    let (code, report) = library.json(&["check"]);
    assert_eq!(code, Some(1));
    let findings = report["findings"].as_array().unwrap();
    let lost = findings
        .iter()
        .filter(|one| one["trouble"] == "parent-missing");
    assert_eq!(lost.count(), count);
    println!("{count} clones, looked at: {:?}", begin.elapsed());

    let whole =
        format!("hang {count} VMs on their parents in \"/vms/elsewhere\", each naming the other\n");
    let plan = |words: &[&str]| {
        let said = library.replix(&[&["repair", "--dry-run"], words].concat());
        assert_eq!((said.err.as_str(), said.code), ("", Some(1)));
        said.out
    };
    assert_eq!(plan(&[]), format!("plan: {whole}"));
    let each = plan(&["--each"]);
    assert_eq!(each.lines().count(), count);
    assert!(each.contains("/vms/web1/web1.vmx"), "{each}");
    let begin = Instant::now();
    let told = library.shown(&["repair", "--yes"]);
    let verdict = format!("{} VMs: no damage found\n", count + 1);
    assert_eq!(told, format!("plan: {whole}done: {whole}{verdict}"));
    let took = begin.elapsed();
    println!("{count} clones, mended: {took:?}");
    assert!(took < MENDED * count as u32, "{took:?} for {count} clones");

    assert_eq!(changes(&before, &of("elsewhere")), [""; 0]);
    for number in [1, count / 2, count] {
        let disk = library.path(format!("web{number}/base-cl1.vmdk"));
        let parent = library.path("elsewhere/base.vmdk");
        assert!(same_content(&disk, &parent), "{disk:?}");
    }
}

#[test]
fn many_clones_of_one_snapshot_come_and_go() {
    let is_timed = std::env::var_os("REPLIX_TEST_CROWD").is_some();
    let count = size(FEW);
    let (library, other) = (golden(), golden());
    let before = library.tree();
    let mut turns = Turns::default();
    for number in 1..=count {
        let vmx = format!("web{number}/web{number}.vmx");
        let crowd = timed_clone(&library, &vmx);
        let place = PLACES
            .iter()
            .find(|place| number <= **place && **place < number + TURNS);
        let Some(place) = place.filter(|_| is_timed) else {
            continue;
        };
        turns.crowd.push(crowd);
        turns.alone.push(timed_clone(&other, "web/web.vmx"));
        other.silent(&["deleteVM", "web/web.vmx"]);
        if number == *place {
            turns.tell(*place);
            let ratio = turns.ratio();
            assert!(ratio <= MOST, "clone {place} takes {ratio} of the first");
            turns = Turns::default();
        }
    }
    let (_, info) = library.json(&["info", "base"]);
    assert_eq!(info["clones"].as_array().unwrap().len(), count);
    let begin = Instant::now();
    delete_all(&library, count);
    println!(
        "deleted, {DELETERS} at once: {:?} each",
        begin.elapsed() / count as u32
    );
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}
