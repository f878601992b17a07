//! Clients in C++: one source, compiled for the COM library in two ways and for the C library.

use std::path::PathBuf;
use std::process::Command;

use replix_testkit::{VixLibrary, folder};
use tempfile::TempDir;

use crate::wine::{Wine, sources, succeed};

/// How a client reaches VIX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The COM library by the tables of functions.
    BySlot,
    /// The COM library through `IDispatch`.
    ByName,
    /// The C library.
    C,
}

/// A program that has been compiled; its file goes with this value.
pub struct Client {
    folder: TempDir,
    way: Way,
}

impl Client {
    /// Compiles the file `NAME.cpp` of `tests/cpp`.
    pub fn new(name: &str, way: Way) -> Self {
        let client = Self {
            folder: folder(),
            way,
        };
        let source = sources().join("cpp").join(name).with_extension("cpp");
        let mut compiler = match way {
            Way::BySlot => mingw("BY_SLOT"),
            Way::ByName => mingw("BY_NAME"),
            Way::C => Command::new("g++"),
        };
        compiler.args(["-std=c++20", "-Wall", "-Wextra", "-Werror"]);
        compiler.arg("-o").arg(client.path()).arg(source);
        if way == Way::C {
            compiler.args(VixLibrary::find().flags());
        } else {
            compiler.args(["-static", "-lole32", "-loleaut32", "-luuid"]);
        }
        succeed(&mut compiler);
        client
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("client.exe")
    }

    /// Runs the program as a user, well to its end; returns its lines.
    pub fn run(&self, wine: &Wine, args: &[&str]) -> Vec<String> {
        let mut command = if self.way == Way::C {
            let mut command = Command::new(self.path());
            wine.user.surround(&mut command);
            command
        } else {
            wine.command(&self.path())
        };
        succeed(command.args(args))
    }
}

fn mingw(way: &str) -> Command {
    let mut compiler = Command::new("x86_64-w64-mingw32-g++");
    let include = sources().join("../include");
    compiler.arg(format!("-D{way}")).arg("-I").arg(include);
    compiler
}
