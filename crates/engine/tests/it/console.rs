//! A guest's serial port with somebody at it: what it says is read, and commands are sent.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use replix::Vm;
use replix_testkit::TestVm;

use crate::guests::{PATIENCE, guest, start};
use crate::running::Stopped;
use crate::vms::open;

/// The serial port of a running VM.
pub struct Console {
    stream: UnixStream,
    said: String,
}

/// A VM around a test guest's disk whose serial port is a socket.
pub fn talkative(library: &Path, image: &Path, node: &str, lines: &[(&str, &str)]) -> TestVm {
    let mut lines = lines.to_vec();
    lines.extend([
        ("serial0.fileType", "pipe"),
        ("serial0.fileName", "serial.socket"),
        ("serial0.pipe.endPoint", "server"),
    ]);
    guest(library, "base", image, node, &lines)
}

/// Starts the VM `base` on a test guest's disk, and waits until its guest takes commands. It ends with
/// the second value.
pub fn ready(
    library: &Path,
    image: &Path,
    node: &str,
    lines: &[(&str, &str)],
) -> (Vm, Stopped, Console) {
    let vm = open(&talkative(library, image, node, lines));
    start(&vm);
    let stopped = Stopped(vm.clone());
    let mut console = Console::of(&vm);
    console.wait_for("guest-ready");
    (vm, stopped, console)
}

impl Console {
    /// Connects to a VM that runs.
    pub fn of(vm: &Vm) -> Self {
        let socket = vm.path().with_file_name("serial.socket");
        let stream = UnixStream::connect(&socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        Self {
            stream,
            said: String::new(),
        }
    }

    /// Waits until the guest has said `wanted`; returns all that it said up to now.
    pub fn wait_for(&mut self, wanted: &str) -> &str {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        while !self.said.contains(wanted) {
            assert!(Instant::now() < deadline, "no {wanted:?}: {}", self.said);
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the VM ended before it said {wanted:?}: {}", self.said),
                Ok(got) => self.said += &String::from_utf8_lossy(&buffer[..got]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
        }
        &self.said
    }

    /// Has the guest run a command, and waits until it has said `wanted`.
    pub fn run(&mut self, command: &str, wanted: &str) -> String {
        self.said.clear();
        self.stream.write_all(command.as_bytes()).unwrap();
        self.stream.write_all(b"\n").unwrap();
        self.wait_for(wanted).to_owned()
    }
}
