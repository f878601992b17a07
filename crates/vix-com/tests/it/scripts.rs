//! Scripts, on VMs without a system.

use replix_testkit::{TestVm, same_content};

use crate::fixtures::{open, with_snapshots};
use crate::wine::Wine;

/// A user, a VM with the snapshots `cold` and `golden`, and where a clone goes.
struct Stage {
    wine: Wine,
    vm: TestVm,
    /// Both, as scripts name them.
    args: [String; 2],
}

impl Stage {
    fn new() -> Option<Self> {
        let wine = Wine::new()?;
        let vm = with_snapshots(&wine.machines(), &["cold", "golden"]);
        let clone = wine.machines().join("clone/clone.vmx");
        let args = [wine.name_of(&vm.vmx), wine.name_of(&clone)];
        Some(Self { wine, vm, args })
    }

    fn run(&self, script: &str) -> Vec<String> {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.wine.script(script, &args)
    }
}

#[test]
fn objects_of_vbscript_are_called() {
    let Some(stage) = Stage::new() else { return };
    let found = format!("found {}", stage.args[0]);
    let expected = [
        "connect: 0",
        "default: 0",
        "register: 0",
        &found,
        "clone: 0",
        "clone again: 12",
    ];
    assert_eq!(stage.run("callbacks.vbs"), expected);
}

#[test]
fn functions_of_jscript_are_called() {
    let Some(stage) = Stage::new() else { return };
    let expected = ["connect: 0", "open: 0", "clone: 0", "clone again: 3"];
    assert_eq!(stage.run("callbacks.js"), expected);
}

#[test]
fn service_is_started_by_who_needs_it() {
    let Some(wine) = Wine::without_service() else {
        return;
    };
    let vm = with_snapshots(&wine.machines(), &["golden"]);
    let clone = wine.machines().join("clone/clone.vmx");
    let args = ["named", &wine.name_of(&vm.vmx), &wine.name_of(&clone)];
    assert_eq!(wine.script("snapshots.vbs", &args), [""; 0]);
    assert!(clone.exists());
}

#[test]
fn vbscript_may_leave_things_out() {
    let Some(stage) = Stage::new() else { return };
    let expected = [
        "open, Nothing: 0",
        "open, Null: 0",
        "open, Empty: 0",
        "open, 0: 0",
        "open, unset: 0",
        "open, no path: 3",
        "open, empty path: 3",
        "clone, no path: 3",
        "clone, no snapshot: 3",
        "snapshot, no name: 0",
        "variable, no name: 3",
        "ids: 0 0",
    ];
    assert_eq!(stage.run("nothing.vbs"), expected);
}

#[test]
fn vbscript_makes_full_clones() {
    let Some(stage) = Stage::new() else { return };
    for how in ["full", "now"] {
        let clone = stage.wine.machines().join(how).join("clone.vmx");
        let name = stage.wine.name_of(&clone);
        let said = stage
            .wine
            .script("snapshots.vbs", &[how, &stage.args[0], &name]);
        assert_eq!(said, [""; 0]);
        let disk = |vmx| open(vmx).info().unwrap().disks[0].path.clone().unwrap();
        assert!(same_content(&disk(&clone), &disk(&stage.vm.vmx)), "{how}");
        let parents = open(&clone).info().unwrap();
        assert_eq!(parents.disks.len(), 1, "{how}");
    }
}
