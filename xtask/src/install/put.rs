//! Putting files below a prefix: all of them or none, and nothing over files of others.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::contents::{Item, Source};
use super::manifest::{self, Form, Manifest, State, sha256};
use super::place::Place;
use super::undo::{Content, Undo, clear_beside};
use crate::run::{Doing, Result, fail, say};

/// Puts the items and notes them in the manifest; what an earlier installation has and `items` lacks
/// is removed. Returns the paths of what was put.
///
/// # Errors
/// When files are there that are not ours, or when the file system refuses; all is as before then.
pub fn put(place: &Place, items: &[Item]) -> Result<Vec<PathBuf>> {
    let old = refuse_foreign(place, items)?;
    let loaded = load(items)?;
    let mut installation = Installation {
        place,
        undo: Undo::default(),
    };
    let done = installation.replace(&old, &loaded)?;
    installation.undo.finish();
    for name in done.things.keys().chain(old.things.keys()) {
        clear_beside(&place.on_disk(name));
    }
    remove_unneeded_folders(place, &old, &done);
    Ok(loaded.iter().map(|(name, _)| place.on_disk(name)).collect())
}

/// Tells whether nothing that is not ours is where the items are to go.
///
/// # Errors
/// When that cannot be looked at.
pub fn is_free(place: &Place, items: &[Item]) -> Result<bool> {
    let old = Manifest::read(place)?.unwrap_or_default();
    for item in items {
        if old.state(place, &item.name)? == State::Foreign {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the manifest of what is installed, an empty one if nothing is.
///
/// # Errors
/// When something that is not ours is where an item or its folder is to go; all are named.
pub fn refuse_foreign(place: &Place, items: &[Item]) -> Result<Manifest> {
    let mut old = Manifest::read(place)?.unwrap_or_default();
    old.folders.retain(|folder| place.on_disk(folder).is_dir());
    let mut foreign = BTreeSet::new();
    for item in items {
        place.refuse_way_out(&item.name)?;
        foreign.extend(blocked_folder(&place.on_disk(&item.name)));
        if old.state(place, &item.name)? == State::Foreign {
            foreign.insert(place.on_disk(&item.name));
        }
    }
    foreign.extend(blocked_folder(&place.on_disk(&manifest::name(place))));
    if foreign.is_empty() {
        return Ok(old);
    }
    let list: String = foreign
        .iter()
        .map(|path| format!("\n  {}", path.display()))
        .collect();
    fail(format!(
        "these are there already and not from an installation of ours; nothing was installed:{list}"
    ))
}

/// Returns what stands where a folder above `path` is to be.
fn blocked_folder(path: &Path) -> Option<PathBuf> {
    let is_there = |folder: &&Path| fs::symlink_metadata(folder).is_ok();
    let lowest = path.ancestors().skip(1).find(is_there)?;
    (!lowest.is_dir()).then(|| lowest.to_path_buf())
}

/// What an item is, read and ready.
enum Loaded {
    File(Vec<u8>, u32),
    Link(&'static str),
}

impl Loaded {
    fn content(&self) -> Content<'_> {
        match self {
            Self::File(bytes, mode) => Content::File(bytes, *mode),
            Self::Link(target) => Content::Link(target),
        }
    }

    fn form(&self) -> Form {
        match self {
            Self::File(bytes, _) => Form::File(sha256(bytes)),
            Self::Link(target) => Form::Link((*target).to_string()),
        }
    }
}

fn load(items: &[Item]) -> Result<Vec<(PathBuf, Loaded)>> {
    let load = |item: &Item| {
        let loaded = match &item.source {
            Source::Copy(from, mode) => Loaded::File(fs::read(from).doing(from.display())?, *mode),
            Source::Text(text) => Loaded::File(text.clone().into_bytes(), 0o644),
            Source::Link(target) => Loaded::Link(target),
        };
        Ok((item.name.clone(), loaded))
    };
    items.iter().map(load).collect()
}

/// An installation that is going on.
struct Installation<'a> {
    place: &'a Place,
    undo: Undo,
}

impl Installation<'_> {
    /// Makes the installation that `old` tells of one of `items`; returns its manifest.
    fn replace(&mut self, old: &Manifest, items: &[(PathBuf, Loaded)]) -> Result<Manifest> {
        let mut new = Manifest::default();
        for (name, loaded) in items {
            new.add(name.clone(), loaded.form());
        }
        let own_name = manifest::name(self.place);
        let names: Vec<&Path> = items.iter().map(|(name, _)| name.as_path()).collect();
        let made = self.missing_folders(&[&names[..], &[&own_name]].concat());
        new.folders = made
            .iter()
            .filter_map(|path| self.place.name_of(path))
            .collect();
        new.folders.extend(old.folders.iter().cloned());

        // Noted before it is done: whatever a killed run leaves behind is known as ours.
        self.make_folders(&self.missing_folders(&[&own_name]))?;
        self.prepare_manifest(&new.with(old))?;
        self.undo.replace(&self.place.on_disk(&own_name))?;

        self.make_folders(&self.missing_folders(&names))?;
        for (name, loaded) in items {
            self.undo
                .prepare(&self.place.on_disk(name), &loaded.content())?;
        }
        for name in names {
            self.undo.replace(&self.place.on_disk(name))?;
        }
        self.remove_unlisted(old, &mut new)?;
        self.prepare_manifest(&new)?;
        self.undo.replace_again(&self.place.on_disk(&own_name))?;
        Ok(new)
    }

    /// Returns the folders that are missing for these names, the upper ones first.
    fn missing_folders(&self, names: &[&Path]) -> BTreeSet<PathBuf> {
        let paths = names.iter().map(|name| self.place.on_disk(name));
        let missing = |path: PathBuf| {
            let folders = path.ancestors().skip(1);
            let missing = folders.take_while(|folder| !folder.exists());
            missing.map(Path::to_path_buf).collect::<Vec<_>>()
        };
        paths.flat_map(missing).collect()
    }

    fn make_folders(&mut self, folders: &BTreeSet<PathBuf>) -> Result {
        folders
            .iter()
            .try_for_each(|folder| self.undo.make_folder(folder))
    }

    fn prepare_manifest(&mut self, manifest: &Manifest) -> Result {
        let text = manifest.text(self.place);
        let path = self.place.on_disk(&manifest::name(self.place));
        self.undo
            .prepare(&path, &Content::File(text.as_bytes(), 0o644))
    }

    /// Removes what `old` lists and `new` does not; `new` gets those that changed since and stay.
    fn remove_unlisted(&mut self, old: &Manifest, new: &mut Manifest) -> Result {
        for (name, forms) in &old.things {
            if new.things.contains_key(name) {
                continue;
            }
            let path = self.place.on_disk(name);
            match old.state(self.place, name)? {
                State::Absent => {}
                State::Ours => self.undo.remove(&path)?,
                State::Foreign => {
                    say(format_args!(
                        "left {}: changed since it was put",
                        path.display()
                    ));
                    new.things.insert(name.clone(), forms.clone());
                }
            }
        }
        Ok(())
    }
}

/// Removes the empty ones of the folders that an earlier installation made and this one has no use
/// for.
fn remove_unneeded_folders(place: &Place, old: &Manifest, new: &Manifest) {
    let own_name = manifest::name(place);
    let names: Vec<_> = new.things.keys().chain([&own_name]).collect();
    let is_needed = |folder: &&PathBuf| names.iter().any(|name| name.starts_with(folder));
    for folder in old.folders.iter().rev().filter(|folder| !is_needed(folder)) {
        // It stays where others have files in it.
        let _ = fs::remove_dir(place.on_disk(folder));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Ground;
    use super::*;

    /// Installs as far as a run that is killed when it has put `count` of the files of version 2 over
    /// those of version 1.
    fn kill_after(count: usize) -> Ground {
        let ground = Ground::live();
        ground.put(&ground.items("1")).unwrap();
        let old = refuse_foreign(&ground.place, &[]).unwrap();
        let mut items = ground.items("2");
        // It comes to its end at the second of two items of one name.
        items.insert(count, items[count - 1].clone());
        let loaded = load(&items).unwrap();
        let undo = Undo::default();
        let mut installation = Installation {
            place: &ground.place,
            undo,
        };
        assert!(installation.replace(&old, &loaded).is_err());
        // Nothing is taken back.
        std::mem::forget(installation);
        ground
    }

    #[test]
    fn killed_installation_is_taken_back() {
        for count in 1..=4 {
            let ground = kill_after(count);
            let removal = ground.take_back().unwrap();
            assert!(removal.left.is_empty(), "{removal:?}");
            assert_eq!(ground.tree().len(), 0, "{:?}", ground.tree());
        }
    }

    #[test]
    fn killed_installation_is_completed() {
        for count in 1..=4 {
            let ground = kill_after(count);
            let midway = ground.tree();
            assert!(
                midway.keys().any(|path| path.contains(".replix-")),
                "{midway:?}"
            );
            ground.put(&ground.items("2")).unwrap();
            let completed = ground.tree();
            ground.take_back().unwrap();
            ground.put(&ground.items("2")).unwrap();
            assert_eq!(completed, ground.tree());
        }
    }
}
