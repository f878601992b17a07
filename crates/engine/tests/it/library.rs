//! Libraries in which something went wrong: each disaster is named, and mended, or left as it is with what
//! a person must decide. Nothing of the user's is lost by that.

use std::fs;
use std::path::{Path, PathBuf};

use replix::clone::{CloneKind, PromoteSpec};
use replix::library::{Library, LibraryReport, Step, Trouble};
use replix::store::{Local, LockMode, Store};
use replix::vm::Settings;
use replix::vm::lock::VmwareLock;
use replix::{Job, Vm};
use replix_testkit::{
    Content, DiskType, VmBuilder, folder, peer, qemu_img, qemu_io, same_content, tree_of,
};
use tempfile::TempDir;

use crate::vms::*;

/// base, with a snapshot `golden` of its user's and linked clones `web`, which was written to and has a
/// snapshot, and `db`; and what their disks read as.
struct Family {
    root: TempDir,
}

impl Family {
    fn new() -> Self {
        let family = Self { root: folder() };
        fs::create_dir(family.root.path().join("copies")).unwrap();
        let vms = family.vms();
        fs::create_dir(&vms).unwrap();
        let base = open(&simple(&vms, "base"));
        snapshot(&base, "golden");
        let web = clone(&base, CloneKind::Linked, &vms, "web");
        qemu_io(&disks(&web)[0], "write -P 7 1M 200k");
        snapshot(&web, "own");
        qemu_io(&disks(&web)[0], "write -P 8 2M 200k");
        let db = clone(&base, CloneKind::Linked, &vms, "db");
        for (vm, name) in [(&base, "base"), (&web, "web"), (&db, "db")] {
            let (disk, copy) = (&disks(vm)[0], family.copy(name));
            let (disk, copy) = (disk.to_str().unwrap(), copy.to_str().unwrap());
            qemu_img(["convert", "-O", "vmdk", disk, copy]);
        }
        family
    }

    fn vms(&self) -> PathBuf {
        self.root.path().join("vms")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.vms().join(path)
    }

    fn copy(&self, name: &str) -> PathBuf {
        self.root.path().join("copies").join(format!("{name}.vmdk"))
    }

    fn vm(&self, path: &str) -> Vm {
        host().open(self.at(path)).unwrap()
    }

    fn rename(&self, from: &str, to: &str) {
        let to = self.at(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(self.at(from), to).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.at(path);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.at(path)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.at(path), text.replace(from, to)).unwrap();
    }

    fn library(&self) -> Library {
        Library::open(Settings::default(), &[self.vms()]).unwrap()
    }

    fn check(&self) -> LibraryReport {
        self.library().check(&Job::new()).unwrap()
    }

    /// Carries out what is proven, as `replix repair` does, and returns what was not done.
    fn repair(&self) -> Vec<String> {
        self.carry_out(Library::repairs)
    }

    /// Gives back space, as `replix gc` does, and returns what was not done.
    fn give_back(&self) -> Vec<String> {
        self.carry_out(Library::savings)
    }

    fn carry_out(&self, wanted: fn(&LibraryReport) -> Vec<Step>) -> Vec<String> {
        let (library, mut tried) = (self.library(), Vec::new());
        let mut failed = Vec::new();
        loop {
            let mut steps = wanted(&self.check());
            steps.retain(|step| !tried.contains(step));
            if steps.is_empty() {
                return failed;
            }
            let outcomes = library.carry_out(&steps, &Job::new()).unwrap().into_iter();
            failed.extend(outcomes.filter(|one| !one.is_done).map(|one| one.text));
            tried.extend(steps);
        }
    }

    fn present(&self, vmx: &str) -> PathBuf {
        disks(&self.vm(vmx))[0].clone()
    }

    /// Adds a VM with a snapshot whose disk has two parts.
    fn add_big(&self) -> PathBuf {
        let big = VmBuilder::new(&self.vms(), "big")
            .disk(DiskType::TwoGbMaxExtentSparse, Content::Zero, 3 << 30)
            .build();
        snapshot(&open(&big), "before");
        big.dir
    }

    /// Asserts that each VM that is there, under whatever path, reads as it did.
    fn assert_same(&self, vms: &[(&str, &str)]) {
        for (vmx, copy) in vms {
            let disk = &disks(&self.vm(vmx))[0];
            assert!(same_content(disk, &self.copy(copy)), "{vmx}");
        }
    }
}

const ALL: [(&str, &str); 3] = [
    ("base/base.vmx", "base"),
    ("web/web.vmx", "web"),
    ("db/db.vmx", "db"),
];

fn copy_tree(from: &Path, to: &Path) {
    let copied = peer("cp", ["-r".as_ref(), from.as_os_str(), to.as_os_str()]);
    assert!(copied.status.success());
}

/// What becomes of a disaster.
enum End {
    /// It is mended, and these VMs read as before.
    Mended(&'static [(&'static str, &'static str)]),
    /// A person must decide; the words that say so.
    Person(&'static str),
}

struct Disaster {
    name: &'static str,
    happens: fn(&Family),
    named: Trouble,
    end: End,
}

use End::{Mended, Person};

const DISASTERS: &[Disaster] = &[
    Disaster {
        name: "parent's folder renamed",
        happens: |family| family.rename("base", "elsewhere"),
        named: Trouble::ParentMissing,
        end: Mended(&[
            ("elsewhere/base.vmx", "base"),
            ("web/web.vmx", "web"),
            ("db/db.vmx", "db"),
        ]),
    },
    Disaster {
        name: "parent moved into another folder of the library",
        happens: |family| family.rename("base", "old/templates/base"),
        named: Trouble::ParentMissing,
        end: Mended(&[
            ("old/templates/base/base.vmx", "base"),
            ("web/web.vmx", "web"),
            ("db/db.vmx", "db"),
        ]),
    },
    Disaster {
        name: "clone's folder renamed",
        happens: |family| family.rename("web", "shop"),
        named: Trouble::CloneUnlisted,
        end: Mended(&[
            ("base/base.vmx", "base"),
            ("shop/web.vmx", "web"),
            ("db/db.vmx", "db"),
        ]),
    },
    Disaster {
        name: "clone moved into another folder of the library",
        happens: |family| family.rename("web", "customers/one/web"),
        named: Trouble::OutOfReach,
        end: Mended(&[
            ("base/base.vmx", "base"),
            ("customers/one/web/web.vmx", "web"),
            ("db/db.vmx", "db"),
        ]),
    },
    Disaster {
        name: "parent's disk written to",
        happens: |family| {
            qemu_io(&family.at("base/base-000001.vmdk"), "write -P 9 0 64k");
        },
        named: Trouble::ParentChanged,
        end: Person("put the parent back as it was"),
    },
    Disaster {
        name: "parent's disk written to, a copy of it beside",
        happens: |family| {
            copy_tree(&family.at("base"), &family.at("backup"));
            qemu_io(&family.at("base/base-000001.vmdk"), "write -P 9 0 64k");
        },
        named: Trouble::ParentChanged,
        end: Person("put the parent back as it was"),
    },
    Disaster {
        name: "parent's bookkeeping lost",
        happens: |family| family.remove("base/base.vmsd"),
        named: Trouble::BookkeepingLost,
        end: Mended(&ALL),
    },
    Disaster {
        name: "bookkeeping lost of a clone with a snapshot",
        happens: |family| family.remove("web/web.vmsd"),
        named: Trouble::BookkeepingLost,
        end: Mended(&ALL),
    },
    Disaster {
        name: "bookkeeping lost of a clone without one",
        happens: |family| family.remove("db/db.vmsd"),
        named: Trouble::ParentMisnamed,
        end: Mended(&ALL),
    },
    Disaster {
        name: "bookkeeping overwritten with something else",
        happens: |family| {
            fs::write(
                family.at("base/base.vmsd"),
                "snapshot.numSnapshots = \"7\"\n",
            )
            .unwrap();
        },
        named: Trouble::BookkeepingBroken,
        end: Person("put it back from a copy"),
    },
    Disaster {
        name: "bookkeeping and a state file lost",
        happens: |family| {
            family.remove("base/base.vmsd");
            fs::write(family.at("base/base-Snapshot1.vmsn"), "").unwrap();
        },
        named: Trouble::BookkeepingLost,
        end: Person("take no snapshot"),
    },
    Disaster {
        name: "state file of a snapshot lost",
        happens: |family| family.remove("base/base-Snapshot1.vmsn"),
        named: Trouble::SnapshotStateMissing,
        end: Person("or remove the snapshot"),
    },
    Disaster {
        name: "disk of a snapshot lost",
        happens: |family| family.remove("base/base.vmdk"),
        named: Trouble::DiskMissing,
        end: Person("put the file back from a copy"),
    },
    Disaster {
        name: "present disk lost",
        happens: |family| fs::remove_file(family.present("web/web.vmx")).unwrap(),
        named: Trouble::DiskMissing,
        end: Person("put the file back from a copy"),
    },
    Disaster {
        name: "part of a split disk lost",
        happens: |family| {
            family.add_big();
            family.remove("big/big-s002.vmdk");
        },
        named: Trouble::DiskMissing,
        end: Person("put the file back from a copy"),
    },
    Disaster {
        name: "part of a split disk cut off",
        happens: |family| {
            let part = family.add_big().join("big-s001.vmdk");
            let part = fs::File::options().write(true).open(part).unwrap();
            part.set_len(part.metadata().unwrap().len() / 2).unwrap();
        },
        named: Trouble::DiskDamaged,
        end: Person("put it back from a copy"),
    },
    Disaster {
        name: "one part of a frozen disk put back from a copy",
        happens: |family| {
            let part = family.add_big().join("big-s002.vmdk");
            let late = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
            fs::File::options()
                .write(true)
                .open(part)
                .unwrap()
                .set_modified(late)
                .unwrap();
        },
        named: Trouble::PartsOutOfStep,
        end: Person("put all parts back from that copy"),
    },
    Disaster {
        name: "half of a disk put back from a copy, its descriptor with it",
        happens: |family| {
            let big = family.add_big();
            let (disk, text) = (
                big.join("big.vmdk"),
                fs::read_to_string(big.join("big.vmdk")).unwrap(),
            );
            let cid = text.lines().find(|line| line.starts_with("CID=")).unwrap();
            fs::write(disk, text.replace(cid, "CID=0badcafe")).unwrap();
        },
        named: Trouble::ParentChanged,
        end: Person("put the parent back as it was"),
    },
    Disaster {
        name: "configuration lost",
        happens: |family| family.remove("base/base.vmx"),
        named: Trouble::ConfigLost,
        end: Person("stand on its disks"),
    },
    Disaster {
        name: "configuration overwritten with something else",
        happens: |family| fs::write(family.at("db/db.vmx"), [0; 99]).unwrap(),
        named: Trouble::ConfigBroken,
        end: Person("put it back from a copy"),
    },
    Disaster {
        name: "parent deleted",
        happens: |family| family.remove("base"),
        named: Trouble::ParentMissing,
        end: Person("put the parent back"),
    },
    Disaster {
        name: "two VMs write to one disk",
        happens: |family| {
            let text = fs::read(family.at("web/web.vmx")).unwrap();
            fs::write(family.at("web/twin.vmx"), text).unwrap();
        },
        named: Trouble::TwoWriters,
        end: Person("never start both"),
    },
    Disaster {
        name: "parent put on the disk that its clones stand on",
        happens: |family| {
            let now = family.present("base/base.vmx");
            let now = now.file_name().unwrap().to_str().unwrap();
            family.edit("base/base.vmx", now, "base-000001.vmdk");
        },
        named: Trouble::WrittenParent,
        end: Person("take a snapshot"),
    },
    Disaster {
        name: "clone deleted with rm",
        happens: |family| family.remove("web"),
        named: Trouble::CloneGone,
        end: Mended(&[("base/base.vmx", "base"), ("db/db.vmx", "db")]),
    },
    Disaster {
        name: "clone made independent, and still listed",
        happens: |family| {
            let listing = fs::read(family.at("base/base.vmsd")).unwrap();
            family
                .vm("db/db.vmx")
                .promote(PromoteSpec::default())
                .wait()
                .unwrap();
            fs::write(family.at("base/base.vmsd"), listing).unwrap();
        },
        named: Trouble::CloneGone,
        end: Mended(&ALL),
    },
    Disaster {
        name: "clone copied by hand",
        happens: |family| copy_tree(&family.at("web"), &family.at("web3")),
        named: Trouble::CloneUnlisted,
        end: Mended(&[
            ("base/base.vmx", "base"),
            ("web/web.vmx", "web"),
            ("web3/web.vmx", "web"),
        ]),
    },
    Disaster {
        name: "clone of another machine listed",
        happens: |family| {
            let web = family.at("web/web.vmx");
            family.edit("base/base.vmsd", web.to_str().unwrap(), "D:\\far\\away.vmx");
            family.remove("web");
        },
        named: Trouble::CloneUnknown,
        end: Person("delete its line"),
    },
    Disaster {
        name: "work cut off",
        happens: |family| {
            fs::write(family.at("web/.web.vmx.replix-0123456789abcdef"), "x").unwrap();
            fs::create_dir(family.at(".new-new.replix-0123456789abcdef")).unwrap();
            fs::write(family.at(".new-new.replix-0123456789abcdef/new.vmdk"), "x").unwrap();
        },
        named: Trouble::Unfinished,
        end: Mended(&ALL),
    },
    Disaster {
        name: "removal of a snapshot cut off, a disk that it gave up torn",
        happens: |family| {
            let gone = family.at("web/gone.vmdk");
            fs::copy(&disks(&family.vm("web/web.vmx"))[0], &gone).unwrap();
            let file = fs::OpenOptions::new().write(true).open(gone).unwrap();
            file.set_len(64 << 10).unwrap();
            let text = fs::read_to_string(family.at("web/web.vmsd")).unwrap();
            let line = "replix.leaving0 = \"gone.vmdk\"\n";
            fs::write(family.at("web/web.vmsd"), text + line).unwrap();
        },
        named: Trouble::Unfinished,
        end: Mended(&ALL),
    },
    Disaster {
        name: "lock of a process that has ended",
        happens: |family| put_lock(family, |text| text.replacen('-', "-1", 9)),
        named: Trouble::StaleLock,
        end: Mended(&ALL),
    },
    Disaster {
        name: "lock of another machine",
        happens: |family| put_lock(family, |_| "uuid=00 5-6(vmware-vmx) 1 X 6".into()),
        named: Trouble::ForeignLock,
        end: Person("if no other machine has it open"),
    },
    Disaster {
        name: "memory of a suspended VM lost",
        happens: |family| {
            let line = "checkpoint.vmState = \"db-12345678.replixstate\"\n";
            let text = fs::read_to_string(family.at("db/db.vmx")).unwrap();
            fs::write(family.at("db/db.vmx"), text + line).unwrap();
        },
        named: Trouble::MemoryMissing,
        end: Person("give up what the guest had in memory"),
    },
    Disaster {
        name: "disk that nobody names",
        happens: |family| copy_tree(&family.copy("web"), &family.at("db/old.vmdk")),
        named: Trouble::Unclaimed,
        end: Person("nobody here can tell"),
    },
];

/// Leaves a lock of `web` behind whose holder is as `change` makes it of this process.
fn put_lock(family: &Family, change: fn(&str) -> String) {
    let vmx = family.at("web/web.vmx");
    let held = VmwareLock::take(&Local, &vmx, LockMode::Exclusive).unwrap();
    let folder = family.at("web/web.vmx.lck");
    let member = fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = String::from_utf8(fs::read(&member).unwrap()).unwrap();
    drop(held);
    let own = format!("{}-", std::process::id());
    assert!(text.contains(&own), "{text}");
    fs::create_dir(&folder).unwrap();
    let text = match change(&own) {
        // One of another time with this number is gone.
        start if start.starts_with(&own) => text.replace(&own, &start),
        other => other,
    };
    fs::write(member, text).unwrap();
}

fn is_named(report: &LibraryReport, trouble: Trouble) -> bool {
    report.findings.iter().any(|one| one.trouble == trouble)
}

/// What a disaster should have come to, and did not.
fn lived_through(disaster: &Disaster) -> Result<(), String> {
    let wrong = |what: &str, report: &LibraryReport| {
        Err(format!("{}: {what}: {:#?}", disaster.name, report.findings))
    };
    let family = Family::new();
    let sound = family.check();
    if !sound.findings.is_empty() {
        return wrong("found before", &sound);
    }
    (disaster.happens)(&family);
    let before = tree_of(&family.vms());
    let report = family.check();
    if tree_of(&family.vms()) != before {
        return wrong("a check changed something", &report);
    }
    let mut named = report
        .findings
        .iter()
        .filter(|one| one.trouble == disaster.named);
    if named.clone().next().is_none() {
        return wrong("not named", &report);
    }
    let failed = family.repair();
    let after = family.check();
    match disaster.end {
        Mended(vms) => {
            if !failed.is_empty() {
                return wrong(&format!("not done: {failed:?}"), &after);
            }
            family.assert_same(vms);
            let failed = family.give_back();
            let after = family.check();
            if !failed.is_empty() || !after.findings.is_empty() {
                return wrong(&format!("left: {failed:?}"), &after);
            }
            family.assert_same(vms);
        }
        Person(words) => {
            if !named.any(|one| one.cure.contains(words)) {
                return wrong("not explained", &report);
            }
            if !is_named(&after, disaster.named) {
                return wrong("named no more", &after);
            }
            let after = tree_of(&family.vms());
            let lost: Vec<_> = before
                .keys()
                .filter(|path| !after.contains_key(*path))
                .collect();
            if !lost.is_empty() {
                return Err(format!("{}: lost: {lost:?}", disaster.name));
            }
        }
    }
    Ok(())
}

fn live_through(disasters: &[Disaster]) {
    let wrong = disasters.iter().map(lived_through);
    let wrong: Vec<String> = wrong.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn disasters_of_kin_are_named_and_mended_or_explained() {
    assert!(DISASTERS.len() >= 25);
    live_through(&DISASTERS[..DISASTERS.len() / 2]);
}

#[test]
fn disasters_of_files_are_named_and_mended_or_explained() {
    live_through(&DISASTERS[DISASTERS.len() / 2..]);
}

#[test]
fn library_that_moves_as_a_whole_stays_sound() {
    let family = Family::new();
    let moved = family.root.path().join("moved");
    fs::rename(family.vms(), &moved).unwrap();
    let library = Library::open(Settings::default(), std::slice::from_ref(&moved)).unwrap();
    let report = library.check(&Job::new()).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.vms.len(), 3);
    for name in ["base", "web", "db"] {
        let vm = host().open(vmx(&moved, name)).unwrap();
        assert!(same_content(&disks(&vm)[0], &family.copy(name)));
    }
}

#[test]
fn copy_of_a_library_stands_on_itself_after_one_repair() {
    let family = Family::new();
    let copy = family.root.path().join("second");
    copy_tree(&family.vms(), &copy);
    let before = tree_of(&family.vms());
    let library = Library::open(Settings::default(), std::slice::from_ref(&copy)).unwrap();
    let report = library.check(&Job::new()).unwrap();
    assert!(is_named(&report, Trouble::CloneUnlisted), "{report:#?}");
    let outcomes = library
        .carry_out(&Library::repairs(&report), &Job::new())
        .unwrap();
    assert!(outcomes.iter().all(|one| one.is_done), "{outcomes:#?}");
    let report = library.check(&Job::new()).unwrap();
    assert!(report.is_sound(), "{report:#?}");
    assert_eq!(tree_of(&family.vms()), before);
    fs::remove_dir_all(family.vms()).unwrap();
    for name in ["base", "web", "db"] {
        let vm = host().open(vmx(&copy, name)).unwrap();
        assert!(same_content(&disks(&vm)[0], &family.copy(name)));
    }
    assert!(library.check(&Job::new()).unwrap().is_sound());
}

#[test]
fn space_is_given_back_and_nothing_else() {
    let family = Family::new();
    for clone in ["web/web.vmx", "db/db.vmx"] {
        family
            .vm(clone)
            .promote(PromoteSpec::default())
            .wait()
            .unwrap();
    }
    fs::write(family.at("base/base-0a1b2c3d.replixstate"), [1; 9000]).unwrap();
    fs::write(family.at("base/base-0a1b2c3d.vmem"), [1; 9000]).unwrap();
    fs::write(family.at("base/notes.txt"), "mine").unwrap();
    let before = family.check();
    assert!(
        before.is_sound() && before.reclaimable_bytes > 0,
        "{before:#?}"
    );
    for trouble in [
        Trouble::SpareSnapshot,
        Trouble::SpareMemory,
        Trouble::Unclaimed,
    ] {
        assert!(is_named(&before, trouble), "{trouble:?}");
    }
    assert_eq!(family.give_back(), [""; 0]);
    let after = family.check();
    assert_eq!(
        (after.reclaimable_bytes, after.findings.len()),
        (0, 1),
        "{after:#?}"
    );
    assert!(after.own_bytes < before.own_bytes);
    let left = family.vm("base/base.vmx").snapshots().unwrap().snapshots;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].name, "golden");
    family.assert_same(&ALL);
}

#[test]
fn nothing_is_taken_from_a_damaged_vm() {
    let family = Family::new();
    family.remove("web");
    family.remove("db");
    fs::remove_file(family.at("base/base-Snapshot1.vmsn")).unwrap();
    let report = family.check();
    assert!(is_named(&report, Trouble::SpareSnapshot));
    assert_eq!(Library::savings(&report), []);
}

#[test]
fn what_another_works_on_is_left_alone() {
    let family = Family::new();
    let work = family.at(".new-new.replix-0123456789abcdef");
    fs::create_dir(&work).unwrap();
    let held = Local.try_lock_dir(&work, LockMode::Exclusive).unwrap();
    assert_eq!(family.check().findings, []);
    let step = Step::Clear { path: work.clone() };
    let outcomes = family
        .library()
        .carry_out(std::slice::from_ref(&step), &Job::new())
        .unwrap();
    assert!(!outcomes[0].is_done && work.exists(), "{outcomes:?}");
    drop(held);
    let outcomes = family.library().carry_out(&[step], &Job::new()).unwrap();
    assert!(outcomes[0].is_done && !work.exists(), "{outcomes:?}");
}

#[test]
fn links_are_neither_followed_nor_cleared() {
    let family = Family::new();
    let outside = family.root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious.vmdk"), "x").unwrap();
    let names = [
        "web/.web.vmx.replix-0123456789abcdef",
        "web/.x.replix-0123456789abcdef",
        "far",
    ];
    for name in names {
        std::os::unix::fs::symlink(&outside, family.at(name)).unwrap();
    }
    assert_eq!(family.check().findings, []);
    let path = family.at(names[0]);
    let outcomes = family
        .library()
        .carry_out(&[Step::Clear { path }], &Job::new())
        .unwrap();
    assert!(!outcomes[0].is_done, "{outcomes:?}");
    assert!(outside.join("precious.vmdk").exists() && family.at(names[0]).exists());
}

#[test]
fn stranger_gets_no_disk_by_its_short_content_id() {
    let family = Family::new();
    // It claims to have been made on a disk that it has never seen, out of its reach.
    let stranger = family.at("inbox/new/evil");
    copy_tree(&family.at("db"), &family.at("inbox"));
    fs::create_dir_all(&stranger).unwrap();
    for entry in fs::read_dir(family.at("inbox"))
        .unwrap()
        .map(Result::unwrap)
    {
        if entry.path().is_file() {
            let name = entry
                .file_name()
                .into_string()
                .unwrap()
                .replace("db.", "evil.");
            fs::rename(entry.path(), stranger.join(name)).unwrap();
        }
    }
    let report = family.check();
    assert!(is_named(&report, Trouble::OutOfReach), "{report:#?}");
    assert_eq!(Library::repairs(&report), [], "{report:#?}");
    let cures = report.findings.iter().map(|one| &one.cure);
    assert!(
        cures.clone().any(|cure| cure.contains("relink --parent")),
        "{report:#?}"
    );
}

#[test]
fn text_of_a_vm_is_fit_for_a_terminal() {
    let family = Family::new();
    family.edit("base/base.vmsd", "golden", "gold|1B[2Jen");
    family.remove("base/base-Snapshot1.vmsn");
    let report = family.check();
    assert!(
        is_named(&report, Trouble::SnapshotStateMissing),
        "{report:#?}"
    );
    for finding in report.findings {
        assert!(
            !finding
                .text
                .chars()
                .chain(finding.cure.chars())
                .any(char::is_control),
            "{finding:?}"
        );
    }
}
