//! The table of power, asked of the C library on a VM that really runs, is paused and is suspended.

use replix_testkit::{
    DiskType, TestVm, Tree, VmBuilder, edges, guest_file, skip, ticking, tree_of,
};
use vix::constants::ALL;

use crate::program::Program;

/// The number of one of VIX's errors.
fn code(result: &str) -> i64 {
    let name = match result {
        "OK" => "VIX_OK".to_owned(),
        other => format!("VIX_E_{other}"),
    };
    let row = ALL.iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("{name}")).value
}

/// A program whose guests are emulated, as everywhere.
fn program() -> Program {
    let program = Program::new("power_edges");
    let settings = program.user.path("home/.config/replix/settings");
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    std::fs::write(settings, "power.accelerator = \"tcg\"\n").unwrap();
    program
}

/// All files but those that a running VM writes to all the time.
fn tree(vm: &TestVm) -> Tree {
    let mut tree = tree_of(&vm.dir);
    tree.retain(|path, _| !path.ends_with("vmware.log") && !path.ends_with("serial.txt"));
    tree
}

/// The rows of one state, by a VM that has no agent.
fn check_all(from: &str) {
    let program = program();
    let vm = ticking(&program.vms(), "base").build();
    program.run("prepare", &[&vm.vmx]);
    let clone = program.vms().join("clone/clone.vmx");
    let mut checked = 0;
    for edge in edges() {
        if edge.from != from || edge.needs_tools {
            continue;
        }
        program.run("bring", &[&vm.vmx, &from]);
        let before = tree(&vm);
        let said = program.run("ask", &[&vm.vmx, &edge.operation, &clone]);
        let expected = match edge.to {
            "gone" => code(edge.result).to_string(),
            to => format!("{} {to}", code(edge.result)),
        };
        assert_eq!(said.trim(), expected, "{edge:?}");
        assert_eq!(vm.vmx.exists(), edge.to != "gone", "{edge:?}");
        if edge.result != "OK" {
            assert_eq!(before, tree(&vm), "{edge:?}");
        }
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
    if vm.vmx.exists() {
        program.run("bring", &[&vm.vmx, &"off"]);
    }
}

replix_testkit::test_each_state!(check_all);

#[test]
fn guest_with_an_agent_is_asked() {
    let Some(image) = guest_file("guest.vmdk") else {
        return skip("no test guests");
    };
    let program = program();
    let vm = VmBuilder::new(&program.vms(), "base")
        .disk_from("scsi0:0", DiskType::MonolithicSparse, &image, "vmdk")
        .line("memsize", "128")
        .build();
    program.run("ask_guest", &[&vm.vmx]);
}
