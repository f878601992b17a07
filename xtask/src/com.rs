//! `cargo xtask com`: VixCOM.dll, and a Wine prefix in which it is registered.
//!
//! The DLL is compiled by the compiler that Debian keeps for web browsers, with the library built from
//! its own sources: the target is the one for Windows 7, which nobody gives out built, and whose
//! library asks Wine for nothing that it lacks.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cached::Cached;
use crate::deps;
use crate::run::{Result, Run, command, fail, stage};
use crate::workspace::{Workspace, cargo};

/// The DLL's package: a workspace of its own.
pub const PACKAGE: &str = "crates/vix-com";
/// The C++ header of what the DLL has.
pub const HEADER: &str = "crates/vix-com/include/VixCOM.h";
const COMPILER: &str = "/usr/bin/rustc";
const CLIPPY: &str = "/usr/bin/cargo-clippy";
const TARGET: &str = "x86_64-win7-windows-gnu";

/// What would have cargo use another compiler, or this one otherwise.
const FOREIGN_SETTINGS: &[&str] = &[
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "LD_LIBRARY_PATH",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// Builds and registers the DLL; says where, in the last line.
///
/// # Errors
/// As [`build`] and [`register`].
pub fn run(workspace: &Workspace) -> Result {
    build(workspace)?;
    let prefix = register(workspace)?;
    println!("WINEPREFIX={}", prefix.display());
    Ok(())
}

/// Returns where the DLL is once it is built.
pub fn dll(workspace: &Workspace) -> PathBuf {
    target(workspace).join(TARGET).join("release/VixCOM.dll")
}

/// The compiler's own target folder: it does not share what others compiled.
fn target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("win")
}

/// Installs what is needed and builds the DLL.
///
/// # Errors
/// When apt or cargo fails.
pub fn build(workspace: &Workspace) -> Result {
    deps::install(&[deps::COM])?;
    stage("VixCOM.dll", || {
        for_windows(workspace, cargo(["build"])).run()
    })
}

/// Checks the DLL as the other crates are checked; it is built already.
///
/// # Errors
/// When clippy finds something.
pub fn check(workspace: &Workspace) -> Result {
    stage("clippy of VixCOM.dll", || {
        let clippy = command(CLIPPY, ["clippy", "-q"]);
        for_windows(workspace, clippy)
            .args(["--all-targets", "--", "-D", "warnings"])
            .run()
    })
}

/// Returns the command that runs the DLL's unit tests in a Wine prefix.
pub fn unit_tests(workspace: &Workspace, prefix: &Path) -> Command {
    let mut tests = for_windows(workspace, cargo(["test", "-q", "--lib"]));
    tests.env("CARGO_TARGET_X86_64_WIN7_WINDOWS_GNU_RUNNER", "wine");
    quietly(tests, prefix)
}

/// Has a command of cargo's work on the DLL, by its compiler.
fn for_windows(workspace: &Workspace, mut cargo: Command) -> Command {
    cargo
        .args(["--release", "--target", TARGET])
        .arg("-Zbuild-std=std,panic_unwind,test")
        .current_dir(workspace.root.join(PACKAGE));
    for name in FOREIGN_SETTINGS {
        cargo.env_remove(name);
    }
    cargo
        .env("RUSTC", COMPILER)
        // It is no nightly, and `build-std` is theirs.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target(workspace));
    cargo
}

/// Registers the DLL in a Wine prefix, which is made where there is none, and returns the prefix.
///
/// # Errors
/// When Wine fails, or the DLL does.
pub fn register(workspace: &Workspace) -> Result<PathBuf> {
    let version = command("wine", ["--version"]).text()?;
    let recipe: [&[u8]; 2] = [include_bytes!("com.rs"), version.as_bytes()];
    let cached = Cached::new(workspace.target.join("wine"), &recipe);
    let prefix = match cached.found() {
        Some(prefix) => prefix,
        None => cached.make("Wine prefix", |_, made| {
            wine(made, "wineboot", &["--init".as_ref()]).quiet()?;
            end(made)
        })?,
    };
    let dll = dll(workspace);
    if !wine(&prefix, "regsvr32", &["/s".as_ref(), dll.as_ref()]).succeeds() {
        return fail(format!("{} does not register itself", dll.display()));
    }
    end(&prefix)?;
    Ok(prefix)
}

/// Returns the command that runs a program of Wine's where nobody sees it.
fn wine(prefix: &Path, program: &str, args: &[&Path]) -> Command {
    let mut wine = command("wine", [program]);
    wine.args(args);
    quietly(wine, prefix)
}

/// Ends what runs in a prefix, which is whole on disk then.
///
/// # Errors
/// When it does not end.
pub fn end(prefix: &Path) -> Result {
    // It fails where nothing runs any more.
    quietly(command("wineserver", ["--kill"]), prefix).succeeds();
    quietly(command("wineserver", ["--wait"]), prefix).quiet()
}

fn quietly(mut command: Command, prefix: &Path) -> Command {
    command
        .env("WINEPREFIX", prefix)
        .env("WINEDEBUG", "-all")
        .env_remove("DISPLAY");
    command
}
