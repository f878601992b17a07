//! `cargo xtask install` and `uninstall`: the programs and the VIX library, put where clients look
//! for them, and taken back.
//!
//! What was put is noted in a manifest below the prefix. Only what it lists, and only while it is as
//! it was put, is ever replaced or removed: an installation of VMware's has files of the same names.

mod contents;
mod manifest;
mod place;
mod put;
mod remove;
#[cfg(test)]
mod tests;
mod undo;

use std::fs;
use std::path::{Path, PathBuf};

use crate::com;
use crate::run::{Doing, Result, fail, say, stage};
use crate::workspace::Workspace;
use place::Place;

/// Where to install.
#[derive(clap::Args)]
pub struct Args {
    /// The folder that gets `bin`, `include`, `lib` and `share`; an absolute path
    #[arg(long, value_name = "P", default_value = "/usr/local")]
    prefix: PathBuf,
    /// Put everything below this folder, as if it were `/`
    #[arg(long, value_name = "D")]
    destdir: Option<PathBuf>,
}

impl Args {
    fn place(&self) -> Result<Place> {
        Place::new(&self.prefix, self.destdir.as_deref())
    }
}

/// Builds the release programs and library and puts them below the prefix, the COM library too
/// where it is asked for.
///
/// # Errors
/// When files are there that are not ours: nothing is written then, and all are named. When a build
/// or the file system fails: what was put by then is taken back.
pub fn run(workspace: &Workspace, args: &Args, with_com: bool) -> Result {
    let place = args.place()?;
    let mut items = contents::of(workspace, &place)?;
    if with_com {
        items.extend(contents::of_com(workspace, &place));
    }
    let companions = contents::companions(workspace, &place);
    if put::is_free(&place, &companions)? {
        items.extend(companions);
    } else {
        say("vmware and the programs beside it are here already: they stay as they are");
    }
    // Before the build, which takes minutes; `put` looks again.
    put::refuse_foreign(&place, &items)?;
    stage("release programs and library", || {
        workspace.build_programs()
    })?;
    if with_com {
        com::build(workspace)?;
    }
    for path in put::put(&place, &items)? {
        say(format_args!("put {}", path.display()));
    }
    if place.is_live() {
        say(format_args!(
            "programs that load the library by its name alone find it once `ldconfig` has run, if \
             {} is a folder of the loader's",
            place.prefix().join("lib").display()
        ));
    }
    Ok(())
}

/// Puts what has been built into `prefix`, which is emptied first.
///
/// # Errors
/// When something is not built, or the file system refuses.
pub fn anew(workspace: &Workspace, prefix: &Path) -> Result {
    if prefix.exists() {
        fs::remove_dir_all(prefix).doing(prefix.display())?;
    }
    let place = Place::new(prefix, None)?;
    let mut items = contents::of(workspace, &place)?;
    items.extend(contents::companions(workspace, &place));
    put::put(&place, &items).map(drop)
}

/// Takes back what was installed below the prefix.
///
/// # Errors
/// When nothing is installed there, or when something had to be left; the rest is gone then.
pub fn take_back(args: &Args) -> Result {
    let done = remove::take_back(&args.place()?)?;
    for path in &done.removed {
        say(format_args!("removed {}", path.display()));
    }
    for path in &done.missing {
        say(format_args!("{} was gone already", path.display()));
    }
    if done.left.is_empty() {
        for path in &done.folders {
            say(format_args!(
                "left the folder {}: it holds other files",
                path.display()
            ));
        }
        return Ok(());
    }
    for left in &done.left {
        say(format_args!("left {left}"));
    }
    fail("some of what was installed is still there")
}
