//! The Python environment with the VIX clients that others wrote, which the tests run unmodified.

use std::fs;
use std::path::PathBuf;

use crate::cached::Cached;
use crate::deps;
use crate::run::{Doing, Result, Run, command};
use crate::workspace::Workspace;

/// The lists of packages, each with its version, from the workspace's root: those to install with
/// what they need, and those whose sources the tests compile against our headers.
const INSTALLED: &str = "crates/vix-c/tests/clients/requirements.txt";
const COMPILED: &str = "crates/vix-c/tests/clients/compiled.txt";

/// The folder of the environment with those sources.
const SOURCES: &str = "sources";

/// Makes the environment, unless it is there, and returns its folder.
///
/// # Errors
/// When Python is missing, or the package index does not give the packages.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    deps::install(&[deps::CLIENTS])?;
    let [installed, compiled] = [INSTALLED, COMPILED].map(|list| workspace.root.join(list));
    let packages = fs::read(&installed).doing(installed.display())?;
    let sources = fs::read(&compiled).doing(compiled.display())?;
    // An environment belongs to the Python that made it.
    let python = command("python3", ["-VV"]).text()?;
    let recipe: [&[u8]; 4] = [
        include_bytes!("clients.rs"),
        &packages,
        &sources,
        python.as_bytes(),
    ];
    let environment = Cached::new(workspace.target.join("clients"), &recipe);
    if let Some(folder) = environment.found() {
        return Ok(folder);
    }
    environment.make("VIX clients", |_, made| {
        command("python3", ["-m", "venv"]).arg(made).quiet()?;
        let pip = |args: &[&str]| {
            let mut pip = command(made.join("bin/python"), ["-m", "pip", "--no-input"]);
            pip.args(args);
            pip
        };
        pip(&["install", "--requirement"]).arg(&installed).quiet()?;
        let download = ["download", "--no-deps", "--no-binary=:all:"];
        pip(&[&download[..], &["--no-build-isolation", "--requirement"]].concat())
            .arg(&compiled)
            .arg("--dest")
            .arg(made.join(SOURCES))
            .quiet()
    })
}
