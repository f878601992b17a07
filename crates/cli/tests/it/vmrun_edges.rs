//! The table of power, asked of `vmrun` on a VM that really runs, is paused and is suspended.

use std::path::PathBuf;

use replix_testkit::{DiskType, Edge, Tree, edges, guest_file, skip, ticking};

use crate::guests::await_tools;
use crate::library::{Library, changes};
use crate::running::{Running, startable};
use crate::said::Said;

const VMX: &str = "base/base.vmx";
const CLONE: &str = "clone/clone.vmx";

/// A library with the VM that the table speaks of.
struct Subject(Library);

impl Subject {
    /// The VM runs, on its snapshot `live`. `None` where QEMU is missing.
    fn new() -> Option<Self> {
        let library = startable()?;
        std::fs::remove_dir_all(library.path("base")).unwrap();
        ticking(&library.dir(), "base").build();
        for words in [
            &["snapshot", VMX, "cold"][..],
            &["snapshot", VMX, "spare"],
            &["start", VMX, "nogui"],
            &["snapshot", VMX, "live"],
        ] {
            library.silent(words);
        }
        Some(Self(library))
    }

    fn bring_to(&self, state: &str) {
        let library = &self.0;
        while self.state() != state {
            match (self.state().as_str(), state) {
                ("off" | "suspended", _) => library.silent(&["start", VMX, "nogui"]),
                (_, "off") => library.silent(&["stop", VMX, "hard"]),
                ("paused", _) => library.silent(&["unpause", VMX]),
                (_, "paused") => library.silent(&["pause", VMX]),
                _ => library.silent(&["suspend", VMX]),
            }
        }
    }

    fn state(&self) -> String {
        if !self.0.path(VMX).exists() {
            return "gone".into();
        }
        let (_, info) = self.0.json(&["info", "base"]);
        info["state"].as_str().unwrap().into()
    }

    fn is_listed(&self) -> bool {
        let list = self.0.vmrun(&["list"]).out;
        list.lines().any(|line| line == "/vms/base/base.vmx")
    }

    fn tree(&self) -> Tree {
        let mut tree = self.0.tree();
        tree.retain(|path, _| !path.ends_with("vmware.log") && !path.ends_with("serial.txt"));
        tree
    }

    fn check(&self, edge: &Edge, (result, to): (&str, &str)) {
        let library = &self.0;
        let list = library.vmrun(&["listSnapshots", VMX]).out;
        if !list.lines().any(|name| name == "spare") {
            self.bring_to("off");
            library.silent(&["snapshot", VMX, "spare"]);
        }
        self.bring_to(edge.from);
        let before = self.tree();
        let said = library.vmrun(&words(edge.operation));
        assert_eq!(self.state(), to, "{edge:?}: {said}");
        assert_eq!(self.is_listed(), ["on", "paused"].contains(&to), "{edge:?}");
        assert!(is_told(&said, result), "{edge:?}: {said}");
        if result != "OK" {
            assert_eq!(changes(&before, &self.tree()), [""; 0], "{edge:?}");
        }
        if edge.operation.starts_with("clone") && result == "OK" {
            self.check_clone(edge);
        }
    }

    /// The clone is off, starts by itself, and is deleted.
    fn check_clone(&self, edge: &Edge) {
        let library = &self.0;
        let (_, info) = library.json(&["info", "clone"]);
        assert_eq!(info["state"], "off", "{edge:?}");
        let memory = |path: &PathBuf| path.extension().is_some_and(|end| end == "replixstate");
        assert!(
            !library
                .tree()
                .keys()
                .any(|path| path.starts_with("clone") && memory(path))
        );
        library.silent(&["start", CLONE, "nogui"]);
        library.silent(&["stop", CLONE, "hard"]);
        library.silent(&["deleteVM", CLONE]);
        // What the guest said is its user's.
        std::fs::remove_file(library.path("clone/serial.txt")).unwrap();
        std::fs::remove_dir(library.path("clone")).unwrap();
    }
}

/// How `vmrun` is asked for an operation.
fn words(operation: &str) -> Vec<&'static str> {
    match operation {
        "power-on" => vec!["start", VMX, "nogui"],
        "power-off-hard" => vec!["stop", VMX, "hard"],
        "power-off-soft" => vec!["stop", VMX, "soft"],
        "reset-hard" => vec!["reset", VMX, "hard"],
        "reset-soft" => vec!["reset", VMX, "soft"],
        "suspend" => vec!["suspend", VMX],
        "pause" => vec!["pause", VMX],
        "unpause" => vec!["unpause", VMX],
        "upgrade" => vec!["upgradevm", VMX],
        "delete" => vec!["deleteVM", VMX],
        "snapshot-memory" => vec!["snapshot", VMX, "new"],
        "remove-snapshot" => vec!["deleteSnapshot", VMX, "spare"],
        "revert-live" => vec!["revertToSnapshot", VMX, "live"],
        "revert-cold" => vec!["revertToSnapshot", VMX, "cold"],
        "clone-full" => vec!["clone", VMX, CLONE, "full"],
        "clone-full-cold" => vec!["clone", VMX, CLONE, "full", "-snapshot=cold"],
        "clone-full-live" => vec!["clone", VMX, CLONE, "full", "-snapshot=live"],
        "clone-linked" => vec!["clone", VMX, CLONE, "linked"],
        "clone-linked-cold" => vec!["clone", VMX, CLONE, "linked", "-snapshot=cold"],
        "clone-linked-live" => vec!["clone", VMX, CLONE, "linked", "-snapshot=live"],
        other => panic!("{other}"),
    }
}

/// Whether `vmrun` said what it says of a result.
fn is_told(said: &Said, result: &str) -> bool {
    let line = match result {
        "OK" => return (said.out.as_str(), said.code) == ("", Some(0)),
        "VM_NOT_RUNNING" => "The virtual machine is not powered on: /vms/base/base.vmx\n",
        "VM_IS_RUNNING" => "The virtual machine should not be powered on. It is already running. ",
        "TOOLS_NOT_RUNNING" => {
            "The VMware Tools are not running in the virtual machine: /vms/base/base.vmx\n"
        }
        "NOT_PAUSED" => "The virtual machine is not paused: /vms/base/base.vmx\n",
        "SNAPSHOT_NOCHANGE" => {
            "\"/vms/base/base.vmx\" has been suspended since snapshot \"new\", which has the same"
        }
        other => panic!("{other}"),
    };
    said.code == Some(255) && said.out.starts_with(&format!("Error: {line}"))
}

/// The rows of one state, by a VM that has no agent.
fn check_all(from: &str) {
    let Some(subject) = Subject::new() else {
        return;
    };
    let _running = Running::watch(&subject.0, VMX);
    let mut checked = 0;
    for edge in edges() {
        if edge.from != from || edge.needs_tools {
            continue;
        }
        if let Some(expected) = edge.by_vmrun {
            subject.check(&edge, expected);
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
}

replix_testkit::test_each_state!(check_all);

#[test]
fn guest_with_an_agent_is_asked() {
    let Some(image) = guest_file("guest.vmdk") else {
        return skip("no test guests");
    };
    let Some(library) = startable() else { return };
    std::fs::remove_dir_all(library.path("base")).unwrap();
    library
        .builder("base")
        .disk_from("scsi0:0", DiskType::MonolithicSparse, &image, "vmdk")
        .line("memsize", "128")
        .build();
    let subject = Subject(library);
    let _running = Running::start(&subject.0, VMX);
    for edge in edges().iter().filter(|edge| edge.needs_tools) {
        await_tools(&subject.0, VMX);
        if edge.from == "paused" {
            subject.0.silent(&["pause", VMX]);
        }
        assert_eq!(edge.by_vmrun, Some(("OK", edge.to)));
        subject.0.silent(&words(edge.operation));
        assert_eq!(subject.state(), edge.to, "{edge:?}");
    }
    // It has had an agent since, which is not there yet.
    subject.0.silent(&["start", VMX, "nogui"]);
    let tools = subject.0.vmrun(&["checkToolsState", VMX]);
    assert_eq!(tools.out, "installed\n");
}
