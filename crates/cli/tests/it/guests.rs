//! The test guest as a VM that the programs run.

use std::time::{Duration, Instant};

use replix_testkit::{DiskType, guest_file, skip};

use crate::library::Library;

/// A guest on a loaded machine, emulated, among its brothers.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A library with the test guest on the network `connection`, a snapshot to clone; none where there
/// is no guest.
pub fn with_guest(connection: &str) -> Option<Library> {
    let Some(image) = guest_file("guest.vmdk") else {
        skip("no test guests ($REPLIX_TEST_GUEST)");
        return None;
    };
    let library = Library::new();
    library.set("power.accelerator = \"tcg\"\n");
    let lines = [
        // With less, the guest has no room for its agent.
        ("memsize", "128"),
        ("serial0.present", "TRUE"),
        ("serial0.fileType", "pipe"),
        ("serial0.fileName", "serial.sock"),
        ("serial0.pipe.endPoint", "server"),
        ("ethernet0.present", "TRUE"),
        ("ethernet0.virtualDev", "vmxnet3"),
        ("ethernet0.connectionType", connection),
        ("ethernet0.addressType", "generated"),
    ];
    let builder =
        library
            .builder("base")
            .disk_from("scsi0:0", DiskType::MonolithicSparse, &image, "vmdk");
    let builder = lines
        .iter()
        .fold(builder, |builder, (key, value)| builder.line(key, value));
    builder.build();
    library.shown(&["snapshot", "base", "golden"]);
    Some(library)
}

/// Waits until the agent in the guest of a running VM answers.
pub fn await_tools(library: &Library, vmx: &str) {
    let deadline = Instant::now() + PATIENCE;
    while library.vmrun(&["checkToolsState", vmx]).out != "running\n" {
        assert!(Instant::now() < deadline, "no agent answers");
        std::thread::sleep(Duration::from_millis(200));
    }
}
