//! Clients of the VIX library in C and C++: compiled as their authors would, run, and watched by
//! valgrind.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::peers::succeeded;
use crate::vms::folder;

/// The name of the library's file.
const LIBRARY: &str = "libvixAllProducts.so";

/// A compiler and the language that it is held to; each warning is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// gcc, C of 1989.
    C89,
    /// g++, C++ of 1998.
    Cxx,
}

impl Compiler {
    /// Both.
    pub const ALL: [Self; 2] = [Self::C89, Self::Cxx];

    fn command(self) -> Command {
        let (program, standard) = match self {
            Self::C89 => ("gcc", "-std=c89"),
            Self::Cxx => ("g++", "-std=c++98"),
        };
        let mut command = Command::new(program);
        command.arg(standard);
        command.args(["-pedantic", "-Wall", "-Wextra", "-Werror", "-g", "-pthread"]);
        command
    }
}

/// The VIX library, and how to compile clients for it.
#[derive(Clone, Debug)]
pub struct VixLibrary {
    compile: Vec<OsString>,
    link: Vec<OsString>,
    folder: PathBuf,
}

impl VixLibrary {
    /// Returns the library installed at the prefix `$REPLIX_VIX_PREFIX`, and where this is not set
    /// the one that cargo built with this test.
    pub fn find() -> Self {
        match std::env::var_os("REPLIX_VIX_PREFIX") {
            Some(prefix) if !prefix.is_empty() => Self::installed(Path::new(&prefix)),
            _ => Self::built(),
        }
    }

    /// Returns the library that is installed at a prefix; pkg-config tells how to use it.
    pub fn installed(prefix: &Path) -> Self {
        let ask = |what: &str| {
            let mut command = Command::new("pkg-config");
            command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
            let output = command.args([what, "vix"]).output();
            let output = output.expect("pkg-config starts");
            succeeded(&output);
            words(&output.stdout)
        };
        Self {
            compile: ask("--cflags"),
            link: ask("--libs"),
            folder: prefix.join("lib/vmware-vix"),
        }
    }

    /// Returns the library that cargo built with this test, of the test's own profile.
    fn built() -> Self {
        let test = std::env::current_exe().expect("a test knows its file");
        let folder = test.parent().expect("a file is in a folder").to_path_buf();
        let is_there = folder.join(LIBRARY).is_file();
        assert!(
            is_there,
            "{folder:?} has no {LIBRARY}: only tests of replix-vix-c may use it"
        );
        let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vix-c/include");
        let with = |option: &str, path: &Path| {
            let mut word = OsString::from(option);
            word.push(path);
            word
        };
        Self {
            compile: vec![with("-I", &include)],
            link: vec![
                with("-L", &folder),
                with("-Wl,-rpath,", &folder),
                "-lvixAllProducts".into(),
            ],
            folder,
        }
    }

    /// Returns what a compiler is told: where the headers are, and the library.
    pub fn flags(&self) -> impl Iterator<Item = &OsString> {
        self.compile.iter().chain(&self.link)
    }

    /// Returns the path of the library's file.
    pub fn path(&self) -> PathBuf {
        self.folder.join(LIBRARY)
    }
}

/// A client that has been compiled; its file goes with this value.
#[derive(Debug)]
pub struct CProgram {
    folder: TempDir,
}

impl CProgram {
    /// Compiles the client whose one source file is `source`, and links it with the library.
    pub fn compile(source: &Path, compiler: Compiler, library: &VixLibrary) -> Self {
        let program = Self { folder: folder() };
        let mut command = compiler.command();
        command
            .args(&library.compile)
            .arg("-o")
            .arg(program.path())
            .arg(source)
            .args(&library.link);
        let output = command.output().expect("the compiler starts");
        succeeded(&output);
        program
    }

    /// Returns the path of the program.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("client")
    }

    /// Returns the command that runs it with the library it was linked with.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.path());
        // Cargo names its own folders there, which would come before the one in the program.
        command.env_remove("LD_LIBRARY_PATH");
        command
    }
}

/// Runs a command to its end under valgrind; it exits with 99 where valgrind finds an error, or
/// memory that nobody can free any more. What it found is told on standard error.
pub fn valgrind(command: &Command) -> Output {
    let mut watched = Command::new("valgrind");
    watched
        .args(["--quiet", "--leak-check=full", "--error-exitcode=99"])
        // One thread runs at a time; taking turns, one that polls cannot starve those it waits for.
        .arg("--fair-sched=yes")
        .args(["--errors-for-leak-kinds=definite,indirect,possible"])
        .args(["--show-leak-kinds=definite,indirect,possible"])
        .arg(concat!(
            "--suppressions=",
            env!("CARGO_MANIFEST_DIR"),
            "/src/valgrind.supp"
        ))
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => watched.env(name, value),
            None => watched.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        watched.current_dir(folder);
    }
    watched.output().expect("valgrind starts")
}

/// Splits what pkg-config said as a shell does: at blanks, unless a backslash stands before them.
fn words(said: &[u8]) -> Vec<OsString> {
    let mut words = vec![Vec::new()];
    let mut bytes = said.iter().copied();
    while let Some(byte) = bytes.next() {
        let last = words.len() - 1;
        match byte {
            b'\\' => words[last].extend(bytes.next()),
            blank if blank.is_ascii_whitespace() => words.push(Vec::new()),
            byte => words[last].push(byte),
        }
    }
    words.retain(|word| !word.is_empty());
    words.into_iter().map(OsString::from_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_by_a_shell() {
        let said = b"-I/opt/a\\ b/include  -L/opt/\\\xc3\\\xbc \n";
        assert_eq!(words(said), ["-I/opt/a b/include", "-L/opt/ü"]);
        assert_eq!(words(b"\n"), [""; 0]);
    }
}
