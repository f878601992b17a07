//! Taking an installation back: what its manifest lists, as long as it is as it was put.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::manifest::{self, Manifest, State};
use super::place::Place;
use super::undo::{Content, Undo, clear_beside};
use crate::run::{Doing, Result, fail};

/// What became of an installation, by the paths on disk.
#[derive(Debug, Default)]
pub struct Removal {
    /// What is gone now.
    pub removed: Vec<PathBuf>,
    /// What was gone before.
    pub missing: Vec<PathBuf>,
    /// Files and links that could not be removed.
    pub left: Vec<Left>,
    /// Folders that hold what is not ours.
    pub folders: Vec<PathBuf>,
}

/// A thing that stays where it is, and why.
#[derive(Debug)]
pub struct Left {
    path: PathBuf,
    why: String,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

/// Removes what the manifest of the place lists. If something has to be left, a manifest of that
/// stays too.
///
/// # Errors
/// When there is no manifest, or none of this place; nothing is removed then. When the manifest
/// itself cannot be removed or written.
pub fn take_back(place: &Place) -> Result<Removal> {
    let own_name = manifest::name(place);
    let own_path = place.on_disk(&own_name);
    let Some(manifest) = Manifest::read(place)? else {
        return fail(format!(
            "nothing is installed: there is no {}",
            own_path.display()
        ));
    };
    for name in manifest.things.keys() {
        place.refuse_way_out(name)?;
    }
    let mut removal = Removal::default();
    let mut rest = Manifest::default();
    for (name, forms) in &manifest.things {
        if !removal.remove(place, &manifest, name) {
            rest.things.insert(name.clone(), forms.clone());
        }
    }
    clear_beside(&own_path);
    if rest.things.is_empty() {
        fs::remove_file(&own_path).doing(own_path.display())?;
        removal.removed.push(own_path);
        removal.remove_folders(place, &manifest);
        return Ok(removal);
    }
    removal.remove_folders(place, &manifest);
    rest.folders = manifest.folders;
    rest.folders.retain(|folder| place.on_disk(folder).exists());
    let mut undo = Undo::default();
    undo.prepare(
        &own_path,
        &Content::File(rest.text(place).as_bytes(), 0o644),
    )?;
    undo.replace(&own_path)?;
    undo.finish();
    Ok(removal)
}

impl Removal {
    /// Removes the thing of this name, if it is ours; returns whether none is left.
    fn remove(&mut self, place: &Place, manifest: &Manifest, name: &Path) -> bool {
        let path = place.on_disk(name);
        clear_beside(&path);
        let why = match manifest.state(place, name) {
            Ok(State::Absent) => {
                self.missing.push(path);
                return true;
            }
            Ok(State::Ours) => match fs::remove_file(&path) {
                Ok(()) => {
                    self.removed.push(path);
                    return true;
                }
                Err(error) => error.to_string(),
            },
            Ok(State::Foreign) => "changed since it was put".to_string(),
            Err(failure) => failure.to_string(),
        };
        self.left.push(Left { path, why });
        false
    }

    /// Removes the folders that are empty now, the lower ones first.
    fn remove_folders(&mut self, place: &Place, manifest: &Manifest) {
        for folder in manifest.folders.iter().rev() {
            let path = place.on_disk(folder);
            match fs::remove_dir(&path) {
                Ok(()) => self.removed.push(path),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(_) => self.folders.push(path),
            }
        }
    }
}
