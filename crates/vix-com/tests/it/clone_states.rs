//! How clones are refused: every error of the contract, through the COM library and through the C library.

use replix_testkit::{TestVm, Tree, qemu_io, tree_of};
use vix::constants::ALL;

use crate::client::{Client, Way};
use crate::fixtures::*;
use crate::wine::Wine;

const WORKSTATION: &str = "3";
const PLAYER: &str = "4";

/// The number of an error's code.
fn code(name: &str) -> i64 {
    let row = ALL.iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("{name}")).value
}

/// Clients of both libraries, and a folder with VMs.
struct Stage {
    wine: Wine,
    com: Client,
    c: Client,
}

impl Stage {
    fn new() -> Option<Self> {
        Some(Self {
            wine: Wine::new()?,
            com: Client::new("clone_cases", Way::BySlot),
            c: Client::new("clone_cases", Way::C),
        })
    }

    /// A VM with snapshots, in a folder of its own.
    fn vm(&self, state: &str, snapshots: &[&str]) -> TestVm {
        with_snapshots(&self.wine.machines().join(state), snapshots)
    }

    /// Tries cases, each with the error that it is to end with; both libraries say the same, and nothing
    /// changes. `VMS` is the folder with the VMs.
    fn refuses(&self, provider: &str, vm: &TestVm, cases: &[(&str, &str)]) {
        let machines = self.wine.machines();
        let unix = |case: &str| case.replace("VMS", machines.to_str().unwrap());
        let windows = |case: &str| {
            case.replace("VMS", "c:\\Virtual Machines")
                .replace('/', "\\")
        };
        let before = tree(vm);
        let (vmx, name) = (vm.vmx.to_str().unwrap(), self.wine.name_of(&vm.vmx));
        self.compare(&self.c, &[provider, vmx], cases, &unix);
        self.compare(&self.com, &[provider, &name], cases, &windows);
        assert_eq!(before, tree(vm));
    }

    fn compare(
        &self,
        client: &Client,
        args: &[&str],
        cases: &[(&str, &str)],
        named: &dyn Fn(&str) -> String,
    ) {
        let texts: Vec<_> = cases.iter().map(|(case, _)| named(case)).collect();
        let mut args = args.to_vec();
        args.extend(texts.iter().map(String::as_str));
        let errors = cases.iter().map(|(_, error)| code(error));
        let expected: Vec<_> = (texts.iter().zip(errors))
            .map(|(text, code)| format!("{text}: {code}, twice, result object 0"))
            .collect();
        assert_eq!(client.run(&self.wine, &args), expected);
    }

    /// Tries both types of clones of `snapshots`, which all end with `error`.
    fn refuses_all(&self, vm: &TestVm, snapshots: &[&str], error: &str) {
        let cases = snapshots.iter().flat_map(|snapshot| {
            ["0", "1"].map(|kind| (format!("{kind},{snapshot},0,VMS/no/no.vmx"), error))
        });
        let cases: Vec<_> = cases.collect();
        let cases: Vec<_> = cases
            .iter()
            .map(|(case, error)| (case.as_str(), *error))
            .collect();
        self.refuses(WORKSTATION, vm, &cases);
    }
}

/// A VM's folder, but for the diary of a running VM.
fn tree(vm: &TestVm) -> Tree {
    let mut tree = tree_of(&vm.dir);
    tree.retain(|path, _| !path.ends_with("vmware.log"));
    tree
}

#[test]
fn arguments_are_refused_as_in_c() {
    let Some(stage) = Stage::new() else { return };
    let vm = stage.vm("off", &["cold"]);
    stage.vm("other", &["cold"]);
    let cases = [
        ("0,-,0,new.vmx", "VIX_E_INVALID_ARG"),
        ("1,-,0,../new/new.vmx", "VIX_E_INVALID_ARG"),
        ("0,-,0,", "VIX_E_INVALID_ARG"),
        ("0,-,0,-", "VIX_E_INVALID_ARG"),
        ("0,-,0,VMS/new/new", "VIX_E_FILE_NAME_INVALID"),
        ("1,-,0,VMS/new/.vmx", "VIX_E_FILE_NAME_INVALID"),
        ("0,-,0,VMS/new/new.vmx/", "VIX_E_FILE_NAME_INVALID"),
        ("0,-,0,VMS/off/base/base.vmx", "VIX_E_FILE_ALREADY_EXISTS"),
        (
            "1,-,0,VMS//off//base//base.vmx",
            "VIX_E_FILE_ALREADY_EXISTS",
        ),
        ("2,-,0,VMS/new/new.vmx", "VIX_E_INVALID_ARG"),
        ("-1,-,0,VMS/new/new.vmx", "VIX_E_INVALID_ARG"),
        ("0,-,1,VMS/new/new.vmx", "VIX_E_INVALID_ARG"),
        ("1,cold,512,VMS/new/new.vmx", "VIX_E_INVALID_ARG"),
        (
            "1,of VMS/other/base/base.vmx,0,VMS/new/new.vmx",
            "VIX_E_INVALID_ARG",
        ),
        (
            "0,of VMS/other/base/base.vmx,0,VMS/new/new.vmx",
            "VIX_E_INVALID_ARG",
        ),
    ];
    stage.refuses(WORKSTATION, &vm, &cases);
    let player = [("0,-,0,VMS/new/new.vmx", "VIX_E_NOT_SUPPORTED")];
    stage.refuses(PLAYER, &vm, &player);
}

#[test]
fn states_are_refused_as_in_c() {
    let Some(stage) = Stage::new() else { return };
    let with_memory = |state: &str| with_memory_snapshot(&stage.wine.machines().join(state));
    let linked_of = |snapshot| format!("1,{snapshot},0,VMS/no/no.vmx");

    let vm = with_memory("off");
    stage.refuses_all(&vm, &["live"], "VIX_E_VM_IS_RUNNING");

    let vm = with_memory("suspended");
    suspend(&vm);
    for snapshot in ["-", "cold", "live"] {
        let case = linked_of(snapshot);
        stage.refuses(WORKSTATION, &vm, &[(&case, "VIX_E_VM_IS_RUNNING")]);
    }

    let vm = with_memory("foreign");
    let disk = vm.value("scsi0:0.fileName").unwrap();
    for file in ["base.vmx", &disk] {
        hold(&vm, file, "vmware-vmx");
    }
    stage.refuses_all(&vm, &["-", "cold", "live"], "VIX_E_VM_IS_RUNNING");

    let vm = with_memory("locked");
    hold(&vm, "base.vmx", "vmware");
    stage.refuses_all(&vm, &["-", "cold", "live"], "VIX_E_FILE_ALREADY_LOCKED");
}

#[test]
fn running_vm_is_refused_as_in_c() {
    let Some(stage) = Stage::new() else { return };
    let vm = with_memory_snapshot(&stage.wine.machines().join("on"));
    let vmx = vm.vmx.to_str().unwrap();
    stage.wine.vmrun(&["start", vmx, "nogui"]);
    let cases = [
        ("0,-,0,VMS/no/no.vmx", "VIX_E_VM_IS_RUNNING"),
        ("0,cold,0,VMS/no/no.vmx", "VIX_E_VM_IS_RUNNING"),
        ("1,-,0,VMS/no/no.vmx", "VIX_E_VM_IS_RUNNING"),
        ("1,live,0,VMS/no/no.vmx", "VIX_E_VM_IS_RUNNING"),
    ];
    stage.refuses(WORKSTATION, &vm, &cases);
    stage.wine.vmrun(&["stop", vmx, "hard"]);
}

#[test]
fn encrypted_vm_is_refused_as_in_c() {
    let Some(stage) = Stage::new() else { return };
    let vm = stage.vm("encrypted", &[]);
    set(&vm, "encryption.keySafe", "vmware:key/list");
    set(&vm, "encryption.data", "AAAA");
    let expected = [format!("open: {}", code("VIX_E_CRYPTO_NEED_PASSWORD"))];
    let (vmx, name) = (vm.vmx.to_str().unwrap(), stage.wine.name_of(&vm.vmx));
    assert_eq!(stage.c.run(&stage.wine, &[WORKSTATION, vmx]), expected);
    assert_eq!(stage.com.run(&stage.wine, &[WORKSTATION, &name]), expected);
}

#[test]
fn unfit_disks_are_refused_as_in_c() {
    let Some(stage) = Stage::new() else { return };
    let both = ["-", "later"];

    let vm = stage.vm("touched", &["cold", "later"]);
    qemu_io(&vm.file("base.vmdk"), "write -P 3 1M 64k");
    stage.refuses_all(&vm, &both, "VIX_E_DISK_CID_MISMATCH");

    let vm = stage.vm("orphaned", &["cold", "later"]);
    std::fs::remove_file(vm.file("base.vmdk")).unwrap();
    stage.refuses_all(&vm, &both, "VIX_E_DISK_OPENPARENT");

    let vm = stage.vm("undoable", &["cold", "later"]);
    set(&vm, "scsi0:0.mode", "undoable");
    set(&vm, "scsi0:0.redo", "./base.vmdk.REDO_a1");
    stage.refuses_all(&vm, &both, "VIX_E_NOT_SUPPORTED");

    let vm = stage.vm("raw", &["cold", "later"]);
    set(&vm, "scsi0:0.deviceType", "rawDisk");
    stage.refuses_all(&vm, &["-"], "VIX_E_DISK_NOTSUPPORTED");
}
