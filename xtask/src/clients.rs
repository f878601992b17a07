//! The Python environment with the VIX clients that others wrote, which the tests run unmodified.

use std::fs;
use std::path::PathBuf;

use crate::cached::Cached;
use crate::deps;
use crate::run::{Doing, Result, Run, command};
use crate::workspace::Workspace;

/// The clients' packages and those they need, each with its version, from the workspace's root.
const PACKAGES: &str = "crates/vix-c/tests/clients/requirements.txt";

/// Makes the environment, unless it is there, and returns its folder.
///
/// # Errors
/// When Python is missing, or the package index does not give the packages.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    deps::install(&[deps::CLIENTS])?;
    let packages = workspace.root.join(PACKAGES);
    let list = fs::read(&packages).doing(packages.display())?;
    // An environment belongs to the Python that made it.
    let python = command("python3", ["-VV"]).text()?;
    let recipe = [
        include_bytes!("clients.rs").as_slice(),
        &list,
        python.as_bytes(),
    ];
    let environment = Cached::new(workspace.target.join("clients"), &recipe);
    if let Some(folder) = environment.found() {
        return Ok(folder);
    }
    environment.make("VIX clients", |_, made| {
        command("python3", ["-m", "venv"]).arg(made).quiet()?;
        let install = ["-m", "pip", "install", "--no-input", "--requirement"];
        command(made.join("bin/python"), install)
            .arg(&packages)
            .quiet()
    })
}
