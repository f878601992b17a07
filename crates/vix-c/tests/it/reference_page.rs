//! The reference page's example, in C and in C++, in every way that clients do it: the clone boots
//! and greets.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replix_testkit::{
    Compiler, DiskType, TestVm, VmBuilder, guest_file, set_marker, skip, tree_of,
};

use crate::fixtures::{open, take};
use crate::program::Program;

/// A guest on a loaded machine, emulated.
const PATIENCE: Duration = Duration::from_secs(120);

/// A VM that boots, greets with its disk's marker and its address, and stays up. Its snapshot
/// `golden`, below another, has the marker `golden`; its present state `now`.
fn guest(library: &Path, image: &Path) -> TestVm {
    let vm = VmBuilder::new(library, "ubuntu")
        .disk_from("scsi0:0", DiskType::MonolithicSparse, image, "vmdk")
        .line("memsize", "128")
        .line("serial0.present", "TRUE")
        .line("serial0.fileType", "file")
        .line("serial0.fileName", "serial.txt")
        .line("ethernet0.present", "TRUE")
        .line("ethernet0.virtualDev", "vmxnet3")
        .line("ethernet0.connectionType", "nat")
        .line("ethernet0.addressType", "generated")
        .build();
    take(&vm, "first");
    mark(&vm, "golden");
    take(&vm, "golden");
    mark(&vm, "now");
    vm
}

/// Writes a marker to the disk that a VM runs on.
fn mark(vm: &TestVm, marker: &str) {
    let disk = open(&vm.vmx).info().unwrap().disks[0].path.clone();
    set_marker(&disk.unwrap(), marker);
}

/// Waits until the VM at `vmx` says on its serial port that it is up; returns all that it said.
fn greeting(vmx: &Path) -> String {
    let file = vmx.with_file_name("serial.txt");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read(&file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        if text.contains("guest-ready") {
            return text;
        }
        assert!(Instant::now() < deadline, "{file:?}: {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Clones and powers on in these ways, all at once; the guests then say what they ought to.
fn greets(compiler: Compiler, ways: &[&str]) {
    let Some(image) = guest_file("guest.vmdk") else {
        skip("no test guests ($REPLIX_TEST_GUEST; cargo xtask guest)");
        return;
    };
    let program = Program::compiled_by(compiler, "reference_page");
    let vm = guest(&program.vms(), &image);
    let original = open(&vm.vmx).info().unwrap().nics[0].mac.clone();
    let clones: Vec<(&str, PathBuf)> = ways
        .iter()
        .map(|way| (*way, clone(&program, &vm, way)))
        .collect();
    let before = tree_of(&vm.dir);
    for (way, clone) in &clones {
        let text = greeting(clone);
        let marker = match *way {
            "named" | "tree" => "golden",
            _ => "now",
        };
        let greeting = format!("hello from guest marker={marker} boots=1 ");
        assert!(text.contains(&greeting), "{way}: {text}");
        let mac = open(clone).info().unwrap().nics[0].mac.clone().unwrap();
        assert!(
            text.contains(&format!("mac={mac} ")),
            "{way}, {mac}: {text}"
        );
        assert_ne!(Some(&mac), original.as_ref());
    }
    assert_eq!(
        before,
        tree_of(&vm.dir),
        "running clones changed their parent"
    );
}

/// Runs the program; checks the snapshot that is left, or not, and returns the clone's path.
fn clone(program: &Program, vm: &TestVm, way: &str) -> PathBuf {
    let names = || -> Vec<String> {
        let tree = open(&vm.vmx).snapshots().unwrap();
        tree.snapshots.into_iter().map(|found| found.name).collect()
    };
    let mut expected = names();
    if !["named", "tree", "full"].contains(&way) {
        expected.push("Clone".into());
    }
    let clone = program
        .vms()
        .join(format!("vm2-{way}"))
        .join("ubuntuClone.vmx");
    program.run(way, &[&vm.vmx, &clone]);
    assert_eq!(names(), expected);
    clone
}

#[test]
fn example_of_the_page_in_c() {
    greets(Compiler::C89, &["wait", "gui", "full"]);
}

#[test]
fn example_of_the_page_in_cxx() {
    greets(Compiler::Cxx, &["wait", "poll", "callback"]);
}

#[test]
fn example_with_callbacks() {
    greets(Compiler::C89, &["callback", "both"]);
}

#[test]
fn example_with_polling() {
    greets(Compiler::C89, &["poll"]);
}

#[test]
fn example_with_a_snapshot() {
    greets(Compiler::C89, &["named", "tree"]);
}
