//! `replix promote`, `replix clone --now`: linked clones that become full ones.

use nix::sys::signal::Signal;
use replix_testkit::{Content, DiskType, same_content, ticking};

use crate::library::{Library, Program, changes, is_root};
use crate::mounted::Mounted;
use crate::paused::Paused;
use crate::running::{Running, startable};
use crate::said::plain_amounts;

#[test]
fn linked_clone_is_promoted() {
    let library = Library::with_base();
    library.shown(&["clone", "--linked", "base", "web"]);
    let mut all = String::new();
    for words in [
        &["promote", "web"][..],
        &["promote", "web"],
        &["promote", "none"],
        &["delete", "base", "--yes"],
        &["tree", "web"],
    ] {
        all += &plain_amounts(&library.replix(words).to_string());
    }
    insta::assert_snapshot!(all, @r#"
    "/vms/web/web.vmx" is independent: 1 disk copied, N of data written
    --- exit 0
    "/vms/web/web.vmx" stands on no other VM
    --- exit 0
    --- stderr
    error: "/vms/none": there is no virtual machine here
    --- exit 1
    "/vms/base/base.vmx" deleted
    --- exit 0
        OWN  SHARED
    web  N  -  /vms/web/web.vmx
    --- exit 0
    "#);
}

#[test]
fn instant_clone_leaves_its_source_as_it_was() {
    let library = Library::with_base();
    let all = plain_amounts(&library.shown(&["clone", "base", "web", "--full", "--now"]));
    insta::assert_snapshot!(all, @r#"
    linked clone of snapshot "Clone" made in N: /vms/web/web.vmx
    "/vms/web/web.vmx" is independent: 1 disk copied, N of data written
    "#);
    let (_, list) = library.json(&["snapshot", "list", "base"]);
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 0);
    let disk = |vm: &str| {
        let (_, info) = library.json(&["info", vm]);
        let path = info["disks"][0]["path"].as_str().unwrap().to_owned();
        library.path(path.trim_start_matches("/vms/"))
    };
    assert!(same_content(&disk("base"), &disk("web")));
    let (_, two) = library.json(&["clone", "base", "two", "--now", "--count", "2"]);
    assert_eq!(two["clones"].as_array().unwrap().len(), 2);
    assert_eq!(two["promoted"].as_array().unwrap().len(), 2);
    let (_, list) = library.json(&["snapshot", "list", "base"]);
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 0);
    library.shown(&["delete", "base", "--yes"]);
    assert!(same_content(&disk("two-1"), &disk("two-2")));
}

#[test]
fn instant_clone_runs_while_it_becomes_independent() {
    let Some(library) = startable() else { return };
    ticking(&library.dir(), "tick").build();
    let _running = Running::watch(&library, "web/web.vmx");
    let said = library.replix(&["clone", "tick", "web", "--now", "--start"]);
    insta::assert_snapshot!(plain_amounts(&said.to_string()), @r#"
    linked clone of snapshot "Clone" made in N: /vms/web/web.vmx
    "/vms/web/web.vmx" runs
    "/vms/web/web.vmx" is independent: 1 disk copied, N of data written
    --- stderr
    warning: the VM runs on disks of two links each: consolidate them once it is off
    --- exit 0
    "#);
    let ticks = || {
        std::fs::metadata(library.path("web/serial.txt"))
            .unwrap()
            .len()
    };
    let (_, state) = library.json(&["list"]);
    assert_eq!(state["vms"][0]["state"], "on", "{state}");
    library.shown(&["delete", "tick", "--yes"]);
    let before = ticks();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while ticks() <= before {
        assert!(
            std::time::Instant::now() < deadline,
            "the guest stands still"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    library.shown(&["stop", "web", "--hard"]);
    insta::assert_snapshot!(plain_amounts(&library.shown(&["consolidate", "web"])), @"1 disk merged, N moved");
    library.shown(&["start", "web"]);
    while ticks() == 0 {
        assert!(
            std::time::Instant::now() < deadline,
            "the guest does not boot"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The hidden things in the folder of a VM.
fn hidden(library: &Library, vm: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(library.path(vm)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_hidden =
        |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with('.');
    paths.filter(is_hidden).collect()
}

#[test]
fn killed_promotion_leaves_a_linked_clone() {
    let library = Library::new();
    library
        .builder("base")
        .disk(DiskType::MonolithicSparse, Content::Random(3), 64 << 20)
        .build();
    library.shown(&["clone", "--linked", "base", "web"]);
    let words = ["promote", "web"];
    let promoting = Paused::in_the_middle(&library, "web", Program::Replix, &words);
    promoting.send(Signal::SIGKILL);
    assert_eq!(promoting.go_on().code, None);
    let disks = [
        library.path("base/base.vmdk"),
        library.path("web/base-cl1.vmdk"),
    ];
    assert!(same_content(&disks[0], &disks[1]));
    assert_eq!(hidden(&library, "web").len(), 1);
    library.shown(&["promote", "web"]);
    assert_eq!(hidden(&library, "web").len(), 0);
    library.shown(&["delete", "web", "--yes"]);
    assert!(!library.path("web").exists());
}

#[test]
fn promotion_without_space_leaves_a_linked_clone() {
    if !is_root("mount a small file system") {
        return;
    }
    let library = Library::new();
    library
        .builder("base")
        .disk(DiskType::MonolithicSparse, Content::Random(3), 64 << 20)
        .build();
    let small = Mounted::at(&library.path("small"), "size=80M");
    library.shown(&["clone", "--linked", "base", "small/web"]);
    let before = library.tree();
    let filler = library.path("small/filler");
    std::fs::write(&filler, vec![1; 40 << 20]).unwrap();
    let said = plain_amounts(&library.replix(&["promote", "small/web"]).to_string());
    assert!(said.contains("are free at \"/vms/small/web\""), "{said}");
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
    small.freeze();
    let said = library.replix(&["promote", "small/web"]).to_string();
    assert!(said.contains("read-only"), "{said}");
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}

#[test]
fn space_taken_meanwhile_ends_a_promotion_without_a_trace() {
    if !is_root("mount a small file system") {
        return;
    }
    let library = Library::new();
    library
        .builder("base")
        .disk(DiskType::MonolithicSparse, Content::Random(3), 64 << 20)
        .build();
    let _small = Mounted::at(&library.path("small"), "size=80M");
    library.shown(&["clone", "--linked", "base", "small/web"]);
    let before = library.tree();
    let words = ["promote", "small/web"];
    let promoting = Paused::in_the_middle(&library, "small/web", Program::Replix, &words);
    let filler = library.path("small/filler");
    assert!(std::fs::write(&filler, vec![1; 80 << 20]).is_err());
    let said = promoting.go_on().to_string();
    assert!(said.contains("no space left on device"), "{said}");
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}
