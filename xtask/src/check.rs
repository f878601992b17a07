//! `cargo xtask check`: what must hold before code is looked at, in a minute or two.

use std::fs;
use std::path::{Path, PathBuf};

use crate::com;
use crate::deny;
use crate::headers;
use crate::rules;
use crate::run::{Doing, Result, Run, fail, say, stage};
use crate::workspace::{Workspace, cargo};

/// Runs all checks, also after one has failed.
///
/// # Errors
/// When a check failed; each is named.
pub fn run(workspace: &Workspace) -> Result {
    let clippy = [
        "clippy",
        "-q",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    let checks = [
        ("house rules", house_rules(&workspace.root)),
        (
            "headers",
            stage("headers", || headers::check(&workspace.root)),
        ),
        (
            "formatting",
            stage("formatting", || formatting(&workspace.root)),
        ),
        (
            "dependencies",
            stage("dependencies", || deny::check(workspace)),
        ),
        ("clippy", stage("clippy", || cargo(clippy).run())),
        ("portable crates", stage("portable crates", portable_crates)),
    ];
    let failed = checks
        .into_iter()
        .filter_map(|(name, done)| Some((name, done.err()?)));
    let failed: Vec<_> = failed.map(|(name, why)| format!("{name}: {why}")).collect();
    if failed.is_empty() {
        Ok(())
    } else {
        fail(failed.join("\n       "))
    }
}

/// The COM library is a workspace of its own.
fn formatting(root: &Path) -> Result {
    let check = || cargo(["fmt", "--all", "--check"]);
    check().run()?;
    check().current_dir(root.join(com::PACKAGE)).run()
}

/// What runs on any operating system, on the engine without its feature `local`.
fn portable_crates() -> Result {
    let crates = ["-p", "replix", "-p", "replix-vix", "-p", "replix-remote"];
    cargo(["check", "-q", "--no-default-features"])
        .args(crates)
        .run()
}

fn house_rules(root: &Path) -> Result {
    stage("house rules", || {
        let mut files = Vec::new();
        for folder in ["crates", "xtask", "fuzz"] {
            collect(&root.join(folder), &mut files)?;
        }
        let mut count = 0;
        for file in files {
            let text = fs::read_to_string(&file).doing(file.display())?;
            for finding in rules::findings(file.strip_prefix(root).unwrap_or(&file), &text) {
                say(finding);
                count += 1;
            }
        }
        if count == 0 {
            Ok(())
        } else {
            fail(format!("{count} findings"))
        }
    })
}

/// Collects the Rust files of a folder, which may be absent, in order of their names.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result {
    if !folder.is_dir() {
        return Ok(());
    }
    let entries = fs::read_dir(folder).doing(folder.display())?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
