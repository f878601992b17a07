//! A library of VMs in a folder of its own, and the programs run in it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use replix_testkit::{Content, DiskType, TestVm, Tree, VmBuilder, folder, tree_of};
use tempfile::TempDir;

use crate::said::Said;

/// A disk of 80 grains: quick, and more than one of everything.
pub const SMALL: u64 = 5 << 20;

/// One of the programs under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Vmrun,
    Replix,
    DiskManager,
}

impl Program {
    /// Where cargo built it.
    pub fn path(self) -> &'static Path {
        Path::new(match self {
            Self::Vmrun => env!("CARGO_BIN_EXE_vmrun"),
            Self::Replix => env!("CARGO_BIN_EXE_replix"),
            Self::DiskManager => env!("CARGO_BIN_EXE_vmware-vdiskmanager"),
        })
    }
}

/// A folder with VMs, and beside it the settings and the state of their user.
pub struct Library {
    root: PathBuf,
    /// Where it is for one test only: it goes with this.
    _temporary: Option<TempDir>,
}

impl Library {
    /// An empty library, with empty settings.
    pub fn new() -> Self {
        let temporary = folder();
        let library = Self::at(temporary.path());
        Self {
            _temporary: Some(temporary),
            ..library
        }
    }

    /// The library in the folder `root`, which stays; what is missing of it is made, with empty settings.
    pub fn at(root: &Path) -> Self {
        for folder in ["vms", "home", "run"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        let library = Self {
            root: root.into(),
            _temporary: None,
        };
        library.set("");
        library
    }

    /// A library with one VM, `base`, whose only disk has some data.
    pub fn with_base() -> Self {
        let library = Self::new();
        library.vm("base");
        library
    }

    /// Replaces the settings.
    pub fn set(&self, settings: &str) {
        std::fs::write(self.root.join("settings"), settings).unwrap();
    }

    /// The folder that holds the VMs, in which the programs run.
    pub fn dir(&self) -> PathBuf {
        self.root.join("vms")
    }

    /// The names of what lies directly in it, in order.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The path of something in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir().join(name)
    }

    /// The same as text, for the command line.
    pub fn word(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Makes the VM `NAME/NAME.vmx` with one small disk.
    pub fn vm(&self, name: &str) -> TestVm {
        self.with_lines(name, &[])
    }

    /// The same with more lines in its configuration.
    pub fn with_lines(&self, name: &str, lines: &[(&str, &str)]) -> TestVm {
        let disk = self
            .builder(name)
            .disk(DiskType::MonolithicSparse, Content::Mixed(1), SMALL);
        lines
            .iter()
            .fold(disk, |builder, (key, value)| builder.line(key, value))
            .build()
    }

    /// Begins a VM made to order.
    pub fn builder(&self, name: &str) -> VmBuilder {
        VmBuilder::new(&self.dir(), name)
    }

    /// Every file of the library with its hash.
    pub fn tree(&self) -> Tree {
        tree_of(&self.dir())
    }

    /// A program, to be run in the library without anything of its surroundings.
    pub fn program(&self, program: Program) -> Command {
        self.command(program.path())
    }

    /// Any program, in the same surroundings.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.dir())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.join("home"))
            .env("XDG_RUNTIME_DIR", self.root.join("run"))
            .env("REPLIX_SETTINGS", self.root.join("settings"))
            .stdin(Stdio::null());
        command
    }

    /// Runs `vmrun`, which must say nothing on stderr, whatever it comes to.
    pub fn vmrun(&self, words: &[&str]) -> Said {
        let said = self.run(self.program(Program::Vmrun).args(words));
        assert_eq!(said.err, "", "vmrun {words:?}");
        said
    }

    /// Runs `vmrun`, which must succeed in silence.
    pub fn silent(&self, words: &[&str]) {
        let said = self.vmrun(words);
        assert_eq!((said.out.as_str(), said.code), ("", Some(0)), "{words:?}");
    }

    /// Runs `vmrun`, which must fail by one line and leave every file as it was; returns the line.
    pub fn refused(&self, words: &[&str]) -> String {
        let before = self.tree();
        let said = self.vmrun(words);
        assert_eq!(said.code, Some(255), "{words:?}: {}", said.out);
        assert!(said.out.starts_with("Error: "), "{}", said.out);
        assert_eq!(said.out.find('\n'), Some(said.out.len() - 1), "{words:?}");
        assert_eq!(changes(&before, &self.tree()), [""; 0], "{words:?}");
        said.out
    }

    /// Runs `replix`.
    pub fn replix(&self, words: &[&str]) -> Said {
        self.run(self.program(Program::Replix).args(words))
    }

    /// Runs `replix`, which must succeed and say nothing on stderr; returns its output.
    pub fn shown(&self, words: &[&str]) -> String {
        let said = self.replix(words);
        assert_eq!((said.err.as_str(), said.code), ("", Some(0)), "{words:?}");
        said.out
    }

    /// Runs `replix` with `--json`; returns its exit code and its answer.
    pub fn json(&self, words: &[&str]) -> (Option<i32>, serde_json::Value) {
        let said = self.run(self.program(Program::Replix).args(words).arg("--json"));
        assert_eq!(said.err, "", "{words:?}");
        (said.code, serde_json::from_str(&said.out).unwrap())
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &mut Command) -> Said {
        self.said(&command.output().unwrap())
    }

    /// What a command that was started has come to.
    pub fn ended(&self, child: Child) -> Said {
        self.said(&child.wait_with_output().unwrap())
    }

    /// What the system kept of a command.
    pub fn said(&self, output: &Output) -> Said {
        Said::of(output, &self.root)
    }
}

/// What differs between two trees, a line for each file.
pub fn changes(before: &Tree, after: &Tree) -> Vec<String> {
    let names = before
        .keys()
        .chain(after.keys().filter(|name| !before.contains_key(*name)));
    let change = |name| match (before.get(name), after.get(name)) {
        (Some(old), Some(new)) => (old != new).then_some("changed"),
        (Some(_), None) => Some("gone"),
        _ => Some("new"),
    };
    names
        .filter_map(|name| Some(format!("{}: {}", name.display(), change(name)?)))
        .collect()
}

/// Tells whether the test may do what only root may; says that it does not, else.
pub fn is_root(what: &str) -> bool {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        eprintln!("skipped: only root can {what}");
    }
    root
}
