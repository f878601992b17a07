//! The table of power, on a VM that really runs, is paused and is suspended.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replix::clone::{CloneKind, CloneSpec, DeleteSpec};
use replix::power::{StartSpec, StopMode};
use replix::snapshot::{NewSnapshot, RevertSpec, SnapshotRef};
use replix::vm::{Accelerator, PowerState, Settings};
use replix::{Host, Kind, Result, Vm};
use replix_testkit::{Edge, Tree, edges, folder, ticking, tree_of};

use crate::agent::{wait_for_tools, with_agent};
use crate::guests::{skip, start, state, stop};
use crate::running::Stopped;
use crate::vms::*;

const WHOLE: DeleteSpec = DeleteSpec {
    disks: true,
    force: false,
};

/// The VM of the table, in a library of its own.
struct Subject {
    library: PathBuf,
    vm: Vm,
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.vm.power_off(StopMode::Hard).wait();
    }
}

fn take(vm: &Vm, name: &str, with_memory: bool) -> Result<()> {
    let new = NewSnapshot {
        name: name.into(),
        with_memory,
        ..NewSnapshot::default()
    };
    vm.create_snapshot(new).wait().map(drop)
}

fn named(name: &str) -> SnapshotRef {
    SnapshotRef::Name(name.into())
}

impl Subject {
    /// The VM as the table says; it runs.
    fn new(library: &Path) -> Self {
        let settings = Settings {
            accelerator: Some(Accelerator::Tcg),
            ..Settings::default()
        };
        let test_vm = ticking(library, "base").build();
        let vm = Host::local_with(settings).open(&test_vm.vmx).unwrap();
        let subject = Self {
            library: library.into(),
            vm,
        };
        take(&subject.vm, "cold", false).unwrap();
        take(&subject.vm, "spare", false).unwrap();
        start(&subject.vm);
        assert!(subject.executes());
        take(&subject.vm, "live", true).unwrap();
        subject
    }

    /// Brings the VM to a state, by what the table says to work.
    fn bring_to(&self, state: &str) {
        let vm = &self.vm;
        while self.state() != state {
            match (self.state(), state) {
                ("off" | "suspended", _) => start(vm),
                (_, "off") => stop(vm),
                ("paused", _) => vm.unpause().wait().unwrap(),
                (_, "paused") => vm.pause().wait().unwrap(),
                _ => vm.suspend(StopMode::Hard).wait().unwrap(),
            }
        }
    }

    /// The state as the VM's own word, which is the table's.
    fn state(&self) -> &'static str {
        if !self.vm.path().exists() {
            return "gone";
        }
        match state(&self.vm) {
            PowerState::Off => "off",
            PowerState::On => "on",
            PowerState::Paused => "paused",
            PowerState::Suspended => "suspended",
            other => panic!("{other:?}"),
        }
    }

    /// Whether the guest does something, within a time in which it would.
    fn executes(&self) -> bool {
        let file = self.vm.path().with_file_name("serial.txt");
        let ticks = || file.metadata().map_or(0, |meta| meta.len());
        let (before, since) = (ticks(), Instant::now());
        // One that was just started has its firmware before it.
        let limit = match state(&self.vm) {
            PowerState::On => Duration::from_secs(60),
            _ => Duration::from_millis(200),
        };
        while since.elapsed() < limit {
            if ticks() > before {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// All files but those that a running VM writes to all the time.
    fn tree(&self) -> Tree {
        let mut tree = tree_of(&self.library);
        tree.retain(|path, _| !path.ends_with("vmware.log") && !path.ends_with("serial.txt"));
        tree
    }

    fn check(&self, edge: &Edge) {
        if self.vm.snapshots().unwrap().find(&named("spare")).is_err() {
            self.bring_to("off");
            take(&self.vm, "spare", false).unwrap();
        }
        self.bring_to(edge.from);
        let before = self.tree();
        let came = match self.ask(edge.operation) {
            Ok(()) => "OK",
            Err(error) => code(error.kind()),
        };
        assert_eq!((came, self.state()), (edge.result, edge.to), "{edge:?}");
        if edge.result != "OK" {
            assert_eq!(before, self.tree(), "{edge:?}");
        }
        if edge.to != "gone" {
            assert_eq!(self.executes(), edge.to == "on", "{edge:?}");
        }
    }

    fn ask(&self, operation: &str) -> Result<()> {
        let vm = &self.vm;
        let start = |paused| {
            let spec = StartSpec {
                paused,
                ..StartSpec::default()
            };
            vm.power_on(spec).wait()
        };
        let revert = |name, without_memory| {
            let spec = RevertSpec {
                without_memory,
                ..RevertSpec::from(named(name))
            };
            vm.revert(spec).wait()
        };
        match operation {
            "power-on" => start(false),
            "power-on-paused" => start(true),
            "power-off-hard" => vm.power_off(StopMode::Hard).wait(),
            "power-off-soft" => vm.power_off(StopMode::Soft).wait(),
            "reset-hard" => vm.reset(StopMode::Hard).wait(),
            "reset-soft" => vm.reset(StopMode::Soft).wait(),
            "suspend" => vm.suspend(StopMode::Hard).wait(),
            "pause" => vm.pause().wait(),
            "unpause" => vm.unpause().wait(),
            "upgrade" => vm.upgrade_hardware().wait(),
            "delete" => vm.delete(WHOLE).wait(),
            "snapshot" => take(vm, "new", false),
            "snapshot-memory" => take(vm, "new", true),
            "remove-snapshot" => vm.remove_snapshot(named("spare"), false).wait(),
            "revert-live-off" => revert("live", true),
            "revert-live" => revert("live", false),
            "revert-cold" => revert("cold", false),
            "clone-full" => self.clone(CloneKind::Full, None),
            "clone-full-cold" => self.clone(CloneKind::Full, Some("cold")),
            "clone-full-live" => self.clone(CloneKind::Full, Some("live")),
            "clone-linked" => self.clone(CloneKind::Linked, None),
            "clone-linked-cold" => self.clone(CloneKind::Linked, Some("cold")),
            "clone-linked-live" => self.clone(CloneKind::Linked, Some("live")),
            other => panic!("{other}"),
        }
    }

    /// Makes a clone, which is off, and says so where that is no matter of course; and deletes it.
    fn clone(&self, kind: CloneKind, snapshot: Option<&str>) -> Result<()> {
        let spec = CloneSpec {
            snapshot: snapshot.map(named),
            ..CloneSpec::new(kind, vmx(&self.library, "clone"))
        };
        let from = self.state();
        let cloned = self.vm.clone_to(spec).wait()?;
        assert_eq!(state(&cloned.vm), PowerState::Off);
        let told = cloned.report.warnings.join("\n");
        assert_eq!(told.contains("suspended"), from == "suspended", "{told}");
        let memories = replix::vm::state::MEMORY_ENDING;
        let has_memory = |path: &PathBuf| path.extension().is_some_and(|end| end == memories);
        let files = tree_of(&self.library.join("clone"));
        assert!(!files.keys().any(has_memory), "{files:?}");
        start(&cloned.vm);
        stop(&cloned.vm);
        cloned.vm.delete(WHOLE).wait()
    }
}

/// The name of VIX's error for a kind, as far as the table has it.
fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::VmRunning => "VM_IS_RUNNING",
        Kind::VmNotRunning => "VM_NOT_RUNNING",
        Kind::ToolsNotRunning => "TOOLS_NOT_RUNNING",
        Kind::SnapshotUnchanged => "SNAPSHOT_NOCHANGE",
        other => panic!("{other:?}"),
    }
}

/// The rows of one state, by a VM that has no agent.
fn check_all(from: &str) {
    let library = folder();
    let rows = edges().into_iter();
    let rows: Vec<Edge> = rows
        .filter(|edge| edge.from == from && !edge.needs_tools)
        .collect();
    assert!(rows.len() > 20, "{}", rows.len());
    let subject = Subject::new(library.path());
    for edge in &rows {
        subject.check(edge);
    }
}

replix_testkit::test_each_state!(check_all);

#[test]
fn guest_with_an_agent_is_asked() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let Stopped(vm) = &with_agent(library.path(), &image);
    let rows: Vec<Edge> = edges()
        .into_iter()
        .filter(|edge| edge.needs_tools)
        .collect();
    assert!(rows.len() > 1);
    for edge in rows {
        wait_for_tools(vm);
        if edge.from == "paused" {
            vm.pause().wait().unwrap();
        }
        assert_eq!(edge.result, "OK");
        match edge.operation {
            "reset-soft" => vm.reset(StopMode::Soft).wait().unwrap(),
            "power-off-soft" => vm.power_off(StopMode::Soft).wait().unwrap(),
            other => panic!("{other}"),
        }
        let state = state(vm);
        let expected = match edge.to {
            "on" => PowerState::On,
            _ => PowerState::Off,
        };
        assert_eq!(state, expected, "{edge:?}");
    }
}
