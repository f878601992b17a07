//! A host service for one test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use replix::Host;
use replix_remote::place;
use replix_testkit::{folder, skip};
use tempfile::TempDir;

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running service, its file in a folder of its own; it ends with this value.
pub struct Service {
    pub root: TempDir,
    process: Child,
}

/// The program under test; `None`, said, where it was not built.
pub fn program() -> Option<PathBuf> {
    let folder = std::env::var_os("REPLIX_BIN").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        skip("no release programs ($REPLIX_BIN)");
    }
    Some(Path::new(&folder?).join("replix"))
}

/// Gives a program a user's surroundings of its own below `root`.
pub fn surround<'c>(command: &'c mut Command, root: &Path) -> &'c mut Command {
    command
        .env(place::VARIABLE, root.join("run/service.json"))
        .env("HOME", root.join("home"))
        .env("XDG_RUNTIME_DIR", root.join("run"))
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_STATE_HOME")
        .env_remove("REPLIX_SETTINGS")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
}

/// A folder for a user.
pub fn home() -> TempDir {
    let root = folder();
    for name in ["home", "run", "vms"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(root.path().join("run"), private).unwrap();
    root
}

impl Service {
    /// Starts one; `None`, said, where the program was not built.
    pub fn start() -> Option<Self> {
        let program = program()?;
        let root = home();
        let process = serve(&program, root.path());
        Some(Self { root, process })
    }

    /// Starts another one in the place of one that has ended.
    pub fn restart(&mut self) {
        self.kill();
        self.process = serve(&program().unwrap(), self.root.path());
    }

    /// Ends it without any notice.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }

    /// Where it tells of itself.
    pub fn file(&self) -> PathBuf {
        self.root.path().join("run/service.json")
    }

    /// The folder for VMs.
    pub fn vms(&self) -> PathBuf {
        self.root.path().join("vms")
    }

    /// The host behind it.
    pub fn host(&self) -> Host {
        replix_remote::connect_by(self.file()).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(program: &Path, root: &Path) -> Child {
    let mut command = Command::new(program);
    command.arg("serve").stdout(Stdio::null());
    let before = instance(root);
    let process = surround(&mut command, root).spawn().unwrap();
    eventually("the service has written its file", || {
        let now = instance(root);
        now.is_some() && now != before
    });
    process
}

/// What tells the runs of the service apart.
fn instance(root: &Path) -> Option<String> {
    fs::read_to_string(root.join("run/service.json")).ok()
}

/// Waits until something holds.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
