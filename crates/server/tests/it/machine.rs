//! A machine with VMs and one user, whose service is a process that can be killed.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use replix_remote::wire::ServiceFile;
use replix_testkit::{Content, DiskType, TestVm, VmBuilder, folder};
use tempfile::TempDir;

use crate::client::Client;

/// How long anything is waited for.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A disk of 80 grains: quick, and more than one of everything.
pub const SMALL: u64 = 5 << 20;

/// A disk that takes a fraction of a second to copy: long enough to be met in the middle.
pub const BIG: u64 = 256 << 20;

/// The user's folder.
pub struct Machine {
    root: TempDir,
}

impl Machine {
    pub fn new() -> Self {
        let root = folder();
        for name in ["vms", "home", "run"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        std::fs::write(
            root.path().join("settings"),
            "power.accelerator = \"tcg\"\n",
        )
        .unwrap();
        // Others may come as far as to the service's own folder.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(root.path(), open).unwrap();
        Self { root }
    }

    /// A machine with the VM `base`, whose only disk is small.
    pub fn with_base() -> Self {
        let machine = Self::new();
        let disk = machine.builder("base");
        disk.disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL)
            .build();
        machine
    }

    /// A machine with the VM `base`, which takes its time to be cloned, linked too: its second disk
    /// is independent, and so copied.
    pub fn with_big_base() -> Self {
        let machine = Self::new();
        let disks = machine
            .builder("base")
            .disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL)
            .disk(DiskType::MonolithicSparse, Content::Random(2), BIG);
        disks.line("scsi0:1.mode", "independent-persistent").build();
        machine
    }

    /// Begins a VM made to order.
    pub fn builder(&self, name: &str) -> VmBuilder {
        VmBuilder::new(&self.vms(), name)
    }

    /// The folder with the VMs.
    pub fn vms(&self) -> PathBuf {
        self.root.path().join("vms")
    }

    /// The `.vmx` of a VM.
    pub fn vmx(&self, name: &str) -> PathBuf {
        self.vms().join(format!("{name}/{name}.vmx"))
    }

    /// The VM `base`.
    pub fn base(&self) -> TestVm {
        TestVm {
            dir: self.vms().join("base"),
            vmx: self.vmx("base"),
        }
    }

    /// Holds the VM `base`, as an operation of another process does: jobs of it wait.
    pub fn hold_base(&self) -> File {
        let folder = File::open(self.base().dir).unwrap();
        folder.lock().unwrap();
        folder
    }

    /// The service's file.
    pub fn service_file(&self) -> PathBuf {
        self.root.path().join("run/replix/service.json")
    }

    /// The service's program, in this user's surroundings and nothing of the test's.
    pub fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serve-for-tests"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path().join("home"))
            .env("XDG_RUNTIME_DIR", self.root.path().join("run"))
            .env("REPLIX_SETTINGS", self.root.path().join("settings"))
            .env("REPLIX_SERVICE", self.service_file())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts the service, which ends only when it is told to.
    pub fn serve(&self) -> Served {
        self.serve_with(&[])
    }

    /// Starts it with other options than its own.
    pub fn serve_with(&self, words: &[&str]) -> Served {
        Served::begin(self.program().args(words), &self.service_file())
    }
}

/// A service that runs; killed in the end.
pub struct Served {
    child: Child,
    pub file: ServiceFile,
}

impl Served {
    fn begin(command: &mut Command, file: &Path) -> Self {
        let mut child = command.spawn().unwrap();
        let file = eventually(Instant::now() + LIMIT, || {
            assert_eq!(child.try_wait().unwrap(), None, "the service did not start");
            // One that was killed has left its own.
            let told: ServiceFile = serde_json::from_slice(&std::fs::read(file).ok()?).unwrap();
            (told.pid == child.id()).then_some(told)
        });
        Self { child, file }
    }

    /// A client that knows the secret.
    pub fn client(&self) -> Client {
        Client::new(&self.file)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for the end; returns how it ended and all that it said.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + LIMIT;
        let status = eventually(deadline, || self.child.try_wait().unwrap());
        let mut said = String::new();
        let out = self.child.stdout.as_mut().unwrap();
        out.read_to_string(&mut said).unwrap();
        let err = self.child.stderr.as_mut().unwrap();
        err.read_to_string(&mut said).unwrap();
        (status, said)
    }

    /// Kills it, as the system does that has no memory left; returns all that it said.
    pub fn crash(self) -> String {
        self.signal(Signal::SIGKILL);
        self.ended().1
    }

    /// What `/proc` tells of it.
    pub fn usage(&self) -> Usage {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = std::fs::read_to_string(folder.join("status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap()
                .split_whitespace()
                .next()
                .unwrap()
                .parse()
                .unwrap()
        };
        Usage {
            memory_kb: number("VmRSS:"),
            threads: number("Threads:"),
            files: std::fs::read_dir(folder.join("fd")).unwrap().count(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let ended = self.child.try_wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let mut said = String::new();
            let _ = self.child.stderr.take().unwrap().read_to_string(&mut said);
            eprintln!("the service had ended: {ended:?}; it said: {said}");
        }
    }
}

/// What a process has of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub memory_kb: u64,
    pub threads: u64,
    pub files: usize,
}

/// Waits until something is there.
pub fn eventually<T>(deadline: Instant, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}
