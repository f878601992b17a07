//! Where things are: the workspace, and its target folder, as cargo tells them.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::run::{Doing, Result, Run, command, fail};

/// The folders of this workspace.
pub struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target folder: `CARGO_TARGET_DIR`, the configuration's, or `target`.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo where the workspace and its target folder are.
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
        Ok(Self {
            root: folder("workspace_root")?,
            target: folder("target_directory")?,
        })
    }
}

/// Returns the command `cargo args...`, with the cargo that started this program.
pub fn cargo<const N: usize>(args: [&str; N]) -> Command {
    command(
        env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")),
        args,
    )
}
