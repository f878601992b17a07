//! The tests in `tests/c`: each file compiled, and its tests run on VMs that were made for them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use replix_testkit::{CProgram, Compiler, User, VixLibrary, valgrind};

/// A file of C tests, compiled, and a user who runs them.
pub struct Program {
    client: CProgram,
    /// The user.
    pub user: User,
}

impl Program {
    /// Compiles the file `NAME.c` of `tests/c`, as C.
    pub fn new(name: &str) -> Self {
        Self::compiled_by(Compiler::C89, name)
    }

    /// Compiles the file `NAME.c` of `tests/c`.
    pub fn compiled_by(compiler: Compiler, name: &str) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c");
        let source = source.join(name).with_extension("c");
        Self {
            client: CProgram::compile(&source, compiler, &VixLibrary::find()),
            user: User::new(),
        }
    }

    /// The folder of the user's VMs.
    pub fn vms(&self) -> PathBuf {
        self.user.vms()
    }

    /// The command that runs a test; the arguments mean what its file says.
    pub fn command(&self, test: &str, args: &[&dyn AsRef<OsStr>]) -> Command {
        let mut command = self.client.command();
        self.user.surround(&mut command).arg(test).args(args);
        command
    }

    /// Runs a test, which must end well; returns what it said.
    pub fn run(&self, test: &str, args: &[&dyn AsRef<OsStr>]) -> String {
        succeeded(test, &self.command(test, args).output().unwrap())
    }

    /// Runs a test under valgrind, which must end well and leave memory sound.
    pub fn watch(&self, test: &str, args: &[&dyn AsRef<OsStr>]) -> String {
        succeeded(test, &valgrind(&self.command(test, args)))
    }
}

fn succeeded(test: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    assert!(status.success(), "{test}: {status}\n{said}{errors}");
    said
}
