//! Where things are: the workspace, its target folder and its programs, as cargo tells them.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::run::{Doing, Result, Run, command, fail};

/// What there is to know about this workspace.
pub struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target folder: `CARGO_TARGET_DIR`, the configuration's, or `target`.
    pub target: PathBuf,
    /// Whether a package has tests in its `tests` folder: cargo fails when asked to run none.
    pub has_integration_tests: bool,
}

impl Workspace {
    /// Asks cargo about the workspace.
    ///
    /// # Errors
    /// When `cargo metadata` fails.
    pub fn find() -> Result<Self> {
        let text = cargo(["metadata", "--no-deps", "--format-version=1"]).text()?;
        let facts: Value = serde_json::from_str(&text).doing("cargo metadata")?;
        let folder = |name: &str| match facts[name].as_str() {
            Some(path) => Ok(PathBuf::from(path)),
            None => fail(format!("cargo metadata tells no {name}")),
        };
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut targets = list(&facts["packages"])
            .into_iter()
            .flat_map(|package| list(&package["targets"]));
        Ok(Self {
            root: folder("workspace_root")?,
            target: folder("target_directory")?,
            has_integration_tests: targets.any(|target| target["kind"][0] == "test"),
        })
    }

    /// Returns the folder of the release programs.
    pub fn programs(&self) -> PathBuf {
        self.target.join("release")
    }

    /// Builds the release programs, and beside them the library `libvixAllProducts.so`: in one go,
    /// since cargo otherwise compiles the engine for each.
    ///
    /// # Errors
    /// When cargo fails.
    pub fn build_programs(&self) -> Result {
        let packages = ["-p", "replix-cli", "-p", "replix-vix-c"];
        cargo(["build", "--release"]).args(packages).run()
    }
}

/// Returns the command `cargo args...`, with the cargo that started this program.
pub fn cargo<const N: usize>(args: [&str; N]) -> Command {
    command(
        env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")),
        args,
    )
}
