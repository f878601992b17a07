//! A user of the COM library: a Wine prefix and a host service that no other test shares.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use replix_testkit::{User, folder, skip};

/// What tells of errors of scripts, which `cscript` itself swallows.
const CHANNELS: &str = "-all,fixme+wscript,fixme+vbscript,fixme+jscript";

/// A service on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the service's file is, below the user's folder.
const SERVICE: &str = "run/replix/service.json";

/// The folder on the drive `c:` in which this user's VMs are.
const MACHINES: &str = "Virtual Machines";

/// The user, whose Wine and service end with this value.
pub struct Wine {
    /// The user.
    pub user: User,
    programs: PathBuf,
    service: Option<Child>,
}

impl Wine {
    /// Sets all up; `None`, said, where this machine lacks something.
    pub fn new() -> Option<Self> {
        let mut wine = Self::without_service()?;
        wine.service = Some(wine.serve());
        Some(wine)
    }

    /// The same, but for the service.
    pub fn without_service() -> Option<Self> {
        let Some(registered) = folder_in("REPLIX_WINEPREFIX") else {
            skip("no VixCOM.dll in Wine ($REPLIX_WINEPREFIX; cargo xtask com)");
            return None;
        };
        let Some(programs) = folder_in("REPLIX_BIN") else {
            skip("no release programs ($REPLIX_BIN; cargo xtask test)");
            return None;
        };
        let user = User::new();
        share(&registered, &user.path("wine"));
        Some(Self {
            user,
            programs,
            service: None,
        })
    }

    /// Starts the user's service and waits until it can be found.
    fn serve(&self) -> Child {
        let mut command = Command::new(self.programs.join("replix"));
        command.arg("serve").stdout(Stdio::null());
        let mut service = self.surround(&mut command).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !self.user.path(SERVICE).exists() {
            let ended = service.try_wait().unwrap();
            assert_eq!(ended, None, "the service has ended");
            assert!(Instant::now() < deadline, "the service does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        service
    }

    fn surround<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        self.user
            .surround(command)
            .env("REPLIX_SERVICE", self.user.path(SERVICE))
            .env("REPLIX_PROGRAM", self.programs.join("replix"))
    }

    /// Where `c:\Virtual Machines` is.
    pub fn machines(&self) -> PathBuf {
        self.user.path("wine/drive_c").join(MACHINES)
    }

    /// How programs in Wine name what is at a path below [`Wine::machines`].
    pub fn name_of(&self, path: &Path) -> String {
        let below = path.strip_prefix(self.machines()).unwrap();
        let below = below.to_str().unwrap().replace('/', "\\");
        format!("C:\\{MACHINES}\\{below}")
    }

    /// A program, run in this user's Wine.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("wine");
        command
            .arg(program)
            .env("WINEPREFIX", self.user.path("wine"))
            .env("WINEDEBUG", CHANNELS);
        self.surround(&mut command);
        command
    }

    /// Runs `vmrun` as this user, well to its end; returns its lines.
    pub fn vmrun(&self, args: &[&str]) -> Vec<String> {
        let mut command = Command::new(self.programs.join("vmrun"));
        self.user.surround(&mut command);
        succeed(command.args(args))
    }

    /// Runs a script of `tests/scripts`, which must come to its end; returns the lines before that.
    pub fn script(&self, name: &str, args: &[&str]) -> Vec<String> {
        self.script_in(&sources().join("scripts"), name, args)
    }

    /// The same for a script in another folder.
    pub fn script_in(&self, folder: &Path, name: &str, args: &[&str]) -> Vec<String> {
        let mut command = self.command("cscript".as_ref());
        // By its name: what begins with `/` is a switch.
        command.current_dir(folder);
        let output = run(command.args(["//nologo", name]).args(args));
        let mut lines = lines_of(&output);
        let errors = String::from_utf8_lossy(&output.stderr);
        let came_to_its_end = lines.pop().is_some_and(|line| line == "END");
        assert!(
            came_to_its_end && !errors.contains("OnScriptError"),
            "{name}: {lines:#?}\n{errors}"
        );
        lines
    }

    /// Ends what runs in this user's Wine, whose registry is on disk then.
    pub fn end(&self) {
        for how in ["--kill", "--wait"] {
            let mut server = Command::new("wineserver");
            // Where none runs there is none to kill.
            let _ = server
                .arg(how)
                .env("WINEPREFIX", self.user.path("wine"))
                .status();
        }
    }

    /// The registry on disk.
    pub fn registry(&self) -> String {
        let files = ["system.reg", "user.reg"];
        let texts =
            files.map(|file| fs::read_to_string(self.user.path("wine").join(file)).unwrap());
        texts.concat()
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        self.end();
        if let Some(service) = &mut self.service {
            let _ = Command::new("kill").arg(service.id().to_string()).status();
            let _ = service.wait();
        }
    }
}

/// The sources of what the tests run.
pub fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The lines that a program of Windows said.
pub fn lines_of(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(String::from).collect()
}

/// A folder that `cargo xtask test` names.
fn folder_in(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).filter(|folder| !folder.is_empty());
    folder.map(PathBuf::from)
}

/// Makes the prefix `own` as `registered` is, of which it shares all big folders, with VMs of its own.
fn share(registered: &Path, own: &Path) {
    let drive = own.join("drive_c");
    fs::create_dir_all(drive.join(MACHINES)).unwrap();
    for entry in fs::read_dir(registered).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), own.join(entry.file_name())).unwrap();
        }
    }
    for entry in fs::read_dir(registered.join("drive_c")).unwrap().flatten() {
        symlink(entry.path(), drive.join(entry.file_name())).unwrap();
    }
    let devices = own.join("dosdevices");
    fs::create_dir(&devices).unwrap();
    symlink("../drive_c", devices.join("c:")).unwrap();
    symlink("/", devices.join("z:")).unwrap();
}

/// Runs a program to its end.
///
/// What Wine starts beside a program keeps its stderr for seconds or longer: the end of a file need not be
/// waited for, that of a pipe would.
fn run(command: &mut Command) -> Output {
    let folder = folder();
    let [out, err] = ["out", "err"].map(|name| folder.path().join(name));
    command.stdin(Stdio::null());
    command.stdout(File::create(&out).unwrap());
    command.stderr(File::create(&err).unwrap());
    Output {
        status: command.status().unwrap(),
        stdout: fs::read(out).unwrap(),
        stderr: fs::read(err).unwrap(),
    }
}

/// Runs a program to its end, which must be well; returns its lines.
pub fn succeed(command: &mut Command) -> Vec<String> {
    let output = run(command);
    let lines = lines_of(&output);
    let errors = String::from_utf8_lossy(&output.stderr);
    let program: &OsStr = command.get_program();
    assert!(
        output.status.success(),
        "{program:?}: {}\n{lines:#?}\n{errors}",
        output.status
    );
    lines
}
