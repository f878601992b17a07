//! The Python environment with the VIX clients that others wrote, which the tests run unmodified.

use std::fs;
use std::path::PathBuf;

use crate::cached::Cached;
use crate::deps;
use crate::run::{Doing, Result, Run, command};
use crate::workspace::Workspace;

/// The packages, each with its version, with what they need; from the workspace's root.
const PACKAGES: &str = "crates/vix-c/tests/clients/requirements.txt";

/// Makes the environment, unless it is there, and returns its folder.
///
/// # Errors
/// When Python is missing, or the package index does not give the packages.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    deps::install(&[deps::CLIENTS])?;
    let list = workspace.root.join(PACKAGES);
    let packages = fs::read(&list).doing(list.display())?;
    // An environment belongs to the Python that made it.
    let python = command("python3", ["-VV"]).text()?;
    let recipe: [&[u8]; 3] = [include_bytes!("clients.rs"), &packages, python.as_bytes()];
    let environment = Cached::new(workspace.target.join("clients"), &recipe);
    if let Some(folder) = environment.found() {
        return Ok(folder);
    }
    environment.make("VIX clients", |_, made| {
        command("python3", ["-m", "venv"]).arg(made).quiet()?;
        let pip = ["-m", "pip", "--no-input", "install", "--requirement"];
        command(made.join("bin/python"), pip).arg(&list).quiet()
    })
}
