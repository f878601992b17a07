//! The reference page's example, in every language and in every way that clients do it: the clone boots
//! and greets.

use std::path::PathBuf;

use replix_testkit::TestVm;

use crate::client::{Client, Way};
use crate::guest::{assert_greets, guest, image};
use crate::wine::Wine;

/// A user, and a VM that greets, where the page has it.
struct Stage {
    wine: Wine,
    vm: TestVm,
}

impl Stage {
    fn new() -> Option<Self> {
        let image = image()?;
        let wine = Wine::new()?;
        let vm = guest(&wine.machines().join("vm1"), &image);
        Some(Self { wine, vm })
    }

    /// Where a clone goes.
    fn clone(&self, folder: &str) -> PathBuf {
        self.wine.machines().join(folder).join("ubuntuClone.vmx")
    }

    /// The names of the VM's snapshots, as `vmrun` tells them.
    fn snapshots(&self) -> Vec<String> {
        let vmx = self.vm.vmx.to_str().unwrap();
        let mut lines = self.wine.vmrun(&["listSnapshots", vmx]);
        let names = lines.split_off(1);
        assert_eq!(lines, [format!("Total snapshots: {}", names.len())]);
        names
    }

    /// Runs a client with a way, the VM and a clone; the clone then greets.
    fn greets(&self, how: &str, run: impl FnOnce(&[&str])) {
        let clone = self.clone(how);
        let (vm, name) = (self.wine.name_of(&self.vm.vmx), self.wine.name_of(&clone));
        let mut expected = self.snapshots();
        let of_now = ["wait", "called", "script"].contains(&how);
        expected.extend(of_now.then(|| "Clone".to_string()));
        run(&[how, &vm, &name]);
        assert_eq!(self.snapshots(), expected, "{how}");
        let is_golden = ["named", "tree"].contains(&how);
        assert_greets(&clone, if is_golden { "golden" } else { "now" });
    }
}

#[test]
fn example_of_the_page_in_vbscript() {
    let Some(stage) = Stage::new() else { return };
    assert_eq!(stage.wine.script("reference_page.vbs", &[]), [""; 0]);
    assert_eq!(stage.snapshots(), ["first", "golden", "Clone"]);
    assert_greets(&stage.clone("vm2"), "now");
}

#[test]
fn example_in_jscript() {
    let Some(stage) = Stage::new() else { return };
    stage.greets("script", |args| {
        assert_eq!(stage.wine.script("reference_page.js", &args[1..]), [""; 0]);
    });
    stage.greets("named", |args| {
        let args = [args[1], args[2], "golden"];
        assert_eq!(stage.wine.script("reference_page.js", &args), [""; 0]);
    });
}

#[test]
fn example_with_snapshots_in_vbscript() {
    let Some(stage) = Stage::new() else { return };
    for how in ["named", "tree"] {
        stage.greets(how, |args| {
            assert_eq!(stage.wine.script("snapshots.vbs", args), [""; 0]);
        });
    }
}

#[test]
fn example_in_cxx_by_slot() {
    let Some(stage) = Stage::new() else { return };
    let client = Client::new("reference_page", Way::BySlot);
    for how in ["wait", "called", "tree", "full"] {
        stage.greets(how, |args| {
            assert_eq!(client.run(&stage.wine, args), [""; 0]);
        });
    }
}

#[test]
fn example_in_cxx_by_name() {
    let Some(stage) = Stage::new() else { return };
    let client = Client::new("reference_page", Way::ByName);
    for how in ["wait", "called", "named"] {
        stage.greets(how, |args| {
            assert_eq!(client.run(&stage.wine, args), [""; 0]);
        });
    }
}
