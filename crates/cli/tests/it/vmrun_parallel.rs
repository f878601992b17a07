//! Many processes on one VM at once: all succeed, and the bookkeeping loses nothing.

use std::process::{Child, Stdio};

use replix_testkit::same_content;

use crate::library::{Library, Program};

fn start(library: &Library, words: &[&str]) -> Child {
    let mut call = library.program(Program::Vmrun);
    call.args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    call.spawn().unwrap()
}

/// Waits for processes that must all succeed in silence.
fn all_silent(library: &Library, started: Vec<Child>) {
    for child in started {
        let said = library.ended(child);
        assert_eq!(
            (said.out.as_str(), said.err.as_str(), said.code),
            ("", "", Some(0))
        );
    }
}

/// The names that `listSnapshots` prints; its count must be theirs.
fn names(text: &str) -> Vec<&str> {
    let (count, names) = text.split_once('\n').unwrap();
    let names: Vec<&str> = names.lines().collect();
    assert_eq!(count, format!("Total snapshots: {}", names.len()));
    names
}

fn clones(library: &Library) -> Vec<String> {
    let (_, info) = library.json(&["info", "base"]);
    let clones = info["clones"].as_array().unwrap().iter();
    let mut clones: Vec<String> = clones.map(|clone| clone.as_str().unwrap().into()).collect();
    clones.sort();
    clones
}

fn path(number: usize) -> String {
    format!("/vms/web{number:02}/web{number:02}.vmx")
}

#[test]
fn sixteen_processes_clone_one_parent() {
    let library = Library::with_base();
    let started = (0..16).map(|number| {
        let vmx = format!("web{number:02}/web{number:02}.vmx");
        start(&library, &["clone", "base/base.vmx", &vmx, "linked"])
    });
    all_silent(&library, started.collect());
    let list = library.vmrun(&["listSnapshots", "base/base.vmx"]);
    assert_eq!(names(&list.out), ["Clone"; 16]);
    assert_eq!(clones(&library), (0..16).map(path).collect::<Vec<_>>());
    for number in 0..16 {
        let disk = library.path(format!("web{number:02}/base-cl1.vmdk"));
        assert!(
            same_content(&disk, &library.path("base/base.vmdk")),
            "{disk:?}"
        );
    }
    let (_, tree) = library.json(&["tree", "base"]);
    let nodes = tree["nodes"].as_array().unwrap().iter();
    assert_eq!(
        nodes
            .filter(|node| node["what"] == "vm" && node["found"] == true)
            .count(),
        17
    );
    let hidden = library
        .tree()
        .into_keys()
        .filter(|name| name.to_string_lossy().contains('.'));
    let mut hidden = hidden.filter(|name| {
        let name = name.file_name().unwrap().to_string_lossy();
        name.starts_with('.') || name.ends_with(".lck")
    });
    assert_eq!(hidden.next(), None);
}

#[test]
fn sixteen_processes_clone_one_snapshot() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "golden"]);
    let started = (0..16).map(|number| {
        let vmx = format!("web{number:02}/web{number:02}.vmx");
        let kind = if number % 4 == 0 { "full" } else { "linked" };
        start(
            &library,
            &["clone", "base/base.vmx", &vmx, kind, "-snapshot=golden"],
        )
    });
    all_silent(&library, started.collect());
    let linked = (0..16).filter(|number| number % 4 != 0).map(path);
    assert_eq!(clones(&library), linked.collect::<Vec<_>>());
    let list = library.vmrun(&["listSnapshots", "base/base.vmx"]);
    assert_eq!(names(&list.out), ["golden"]);
}

#[test]
fn same_destination_is_made_once() {
    let library = Library::with_base();
    let started: Vec<Child> = (0..8)
        .map(|_| {
            start(
                &library,
                &["clone", "base/base.vmx", "web/web.vmx", "linked"],
            )
        })
        .collect();
    let ended: Vec<_> = started
        .into_iter()
        .map(|child| library.ended(child))
        .collect();
    let (made, refused): (Vec<_>, Vec<_>) = ended.iter().partition(|said| said.code == Some(0));
    assert_eq!(made.len(), 1, "{ended:?}");
    for said in refused {
        assert!(
            said.out.starts_with("Error: The file already exists: "),
            "{said}"
        );
    }
    assert_eq!(clones(&library), ["/vms/web/web.vmx"]);
    let list = library.vmrun(&["listSnapshots", "base/base.vmx"]);
    assert_eq!(names(&list.out), ["Clone"]);
}

#[test]
fn snapshots_clones_and_lists_mix() {
    let library = Library::with_base();
    let mut writers = Vec::new();
    let mut lists = Vec::new();
    for number in 0..8 {
        let vmx = format!("web{number:02}/web{number:02}.vmx");
        let name = format!("s{number}");
        writers.push(start(&library, &["clone", "base/base.vmx", &vmx, "linked"]));
        writers.push(start(&library, &["snapshot", "base/base.vmx", &name]));
        lists.push(start(
            &library,
            &["listSnapshots", "base/base.vmx", "showTree"],
        ));
    }
    for child in lists {
        let said = library.ended(child);
        assert_eq!(said.code, Some(0), "{said}");
        names(&said.out);
    }
    all_silent(&library, writers);
    let list = library.vmrun(&["listSnapshots", "base/base.vmx"]);
    let mut all = names(&list.out);
    all.sort();
    let taken = (0..8).map(|number| format!("s{number}"));
    let expected: Vec<String> = (0..8).map(|_| "Clone".into()).chain(taken).collect();
    assert_eq!(all, expected);
    assert_eq!(clones(&library), (0..8).map(path).collect::<Vec<_>>());
    let tree = library.vmrun(&["listSnapshots", "base/base.vmx", "showTree"]);
    let depth = tree
        .out
        .lines()
        .map(|line| line.matches('\t').count())
        .max();
    assert_eq!(depth, Some(15), "one line of snapshots: {tree}");
}

#[test]
fn clones_are_deleted_while_others_are_made() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "golden"]);
    for number in 0..6 {
        let vmx = format!("old{number}/old{number}.vmx");
        library.silent(&["clone", "base/base.vmx", &vmx, "linked", "golden"]);
    }
    let mut started = Vec::new();
    for number in 0..6 {
        let old = format!("old{number}/old{number}.vmx");
        let new = format!("web{number:02}/web{number:02}.vmx");
        started.push(start(&library, &["deleteVM", &old]));
        started.push(start(
            &library,
            &["clone", "base/base.vmx", &new, "linked", "golden"],
        ));
    }
    all_silent(&library, started);
    assert_eq!(clones(&library), (0..6).map(path).collect::<Vec<_>>());
}
