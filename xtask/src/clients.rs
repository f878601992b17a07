//! Python environments with the clients that others wrote, each in one of its own, which the tests run
//! unmodified.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cached::Cached;
use crate::deps;
use crate::run::{Doing, Result, Run, command, fail};
use crate::workspace::Workspace;

/// Where the lists of packages are, from the workspace's root: `NAME.txt` is what the environment
/// `NAME` has, each package with its version, with what it needs.
const LISTS: [&str; 2] = ["crates/vix-c/tests/clients", "crates/cli/tests/clients"];

/// Makes the environments, unless they are there, and returns the folder that has them.
///
/// # Errors
/// When Python is missing, or the package index does not give the packages.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    deps::install(&[deps::CLIENTS])?;
    let lists = lists(&workspace.root)?;
    // An environment belongs to the Python that made it.
    let python = command("python3", ["-VV"]).text()?;
    let mut recipe = vec![include_bytes!("clients.rs").to_vec(), python.into_bytes()];
    for list in &lists {
        recipe.push(list.as_os_str().as_encoded_bytes().to_vec());
        recipe.push(fs::read(list).doing(list.display())?);
    }
    let recipe: Vec<&[u8]> = recipe.iter().map(Vec::as_slice).collect();
    let environments = Cached::new(workspace.target.join("clients"), &recipe);
    if let Some(folder) = environments.found() {
        return Ok(folder);
    }
    environments.make("clients in Python", |work, made| {
        let tool = work.join("pip");
        command("python3", ["-m", "venv"]).arg(&tool).quiet()?;
        let python = tool.join("bin/python");
        lists
            .iter()
            .try_for_each(|list| environment(&python, list, made))
    })
}

/// Makes the environment of a list in a folder. To have a pip in each would take longer than its packages.
fn environment(with_pip: &Path, list: &Path, made: &Path) -> Result {
    let folder = made.join(list.file_stem().unwrap_or_default());
    command("python3", ["-m", "venv", "--without-pip"])
        .arg(&folder)
        .quiet()?;
    let mut pip = command(with_pip, ["-m", "pip", "--python"]);
    pip.arg(folder.join("bin/python"));
    pip.args(["--no-input", "--disable-pip-version-check"]);
    pip.args(["install", "--requirement"]).arg(list).quiet()
}

fn lists(root: &Path) -> Result<Vec<PathBuf>> {
    let mut lists = Vec::new();
    for folder in LISTS.map(|folder| root.join(folder)) {
        let entries = fs::read_dir(&folder).doing(folder.display())?.flatten();
        lists.extend(entries.map(|entry| entry.path()));
    }
    lists.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    lists.sort();
    match lists.is_empty() {
        true => fail("there are no lists of clients"),
        false => Ok(lists),
    }
}
