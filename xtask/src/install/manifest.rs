//! The manifest of an installation: what was put, and how it looked when it was.
//!
//! A text file, a line for each thing, paths as the installed files name them:
//!
//! ```text
//! prefix /usr/local
//! folder /usr/local/lib/vmware-vix
//! file <SHA-256> /usr/local/bin/vmrun
//! link vmware-vix/libvixAllProducts.so /usr/local/lib/libvixAllProducts.so
//! ```
//!
//! While files are being put, a path may have two lines: it is then in one of the two forms.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::place::Place;
use crate::run::{Doing, Result, fail};

/// Where the manifest is, below the prefix.
const PATH: &str = "share/replix/installed";

/// How a thing looked when it was put.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A file with this SHA-256, in hex.
    File(String),
    /// A symbolic link to this target.
    Link(String),
}

/// What there is at a path, measured by a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Absent,
    /// What was put there.
    Ours,
    /// Something else.
    Foreign,
}

/// What was put.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// Each file and link by its name, with the forms in which it is ours.
    pub things: BTreeMap<PathBuf, BTreeSet<Form>>,
    /// The folders that were made.
    pub folders: BTreeSet<PathBuf>,
}

/// Returns the name of the manifest of a place.
pub fn name(place: &Place) -> PathBuf {
    place.prefix().join(PATH)
}

impl Manifest {
    /// Reads the manifest of a place; `None` where nothing is installed.
    ///
    /// # Errors
    /// When it cannot be read, is of another prefix, or names what lies outside of the place.
    pub fn read(place: &Place) -> Result<Option<Self>> {
        let path = place.on_disk(&name(place));
        place.refuse_way_out(&name(place))?;
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, place).doing(path.display()).map(Some),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error).doing(path.display()),
        }
    }

    fn parse(text: &str, place: &Place) -> Result<Self> {
        let mut found = Self::default();
        let mut prefix = None;
        for (index, line) in text.lines().enumerate() {
            let bad = |why: &str| fail(format!("line {}: {why}: {line:?}", index + 1));
            let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
            match kind {
                "#" => {}
                "prefix" => prefix = Some(Path::new(rest)),
                "folder" if place.may_make(Path::new(rest)) => {
                    found.folders.insert(PathBuf::from(rest));
                }
                "file" | "link" => {
                    let Some((mark, name)) = rest.split_once(' ') else {
                        return bad("no path");
                    };
                    if !place.holds(Path::new(name)) {
                        return bad("outside of the prefix");
                    }
                    let mark = mark.to_string();
                    let form = if kind == "file" {
                        Form::File(mark)
                    } else {
                        Form::Link(mark)
                    };
                    found.add(PathBuf::from(name), form);
                }
                "folder" => return bad("outside of the prefix"),
                _ => return bad("not a line of a manifest"),
            }
        }
        if prefix != Some(place.prefix()) {
            return fail(format!("not of the prefix {}", place.prefix().display()));
        }
        Ok(found)
    }

    /// Returns the text of the file.
    pub fn text(&self, place: &Place) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!(
            "# What Replix {version} put here, for `cargo xtask uninstall` and the next install.\n\
             prefix {}\n",
            place.prefix().display()
        );
        for folder in &self.folders {
            let _ = writeln!(text, "folder {}", folder.display());
        }
        for (name, forms) in &self.things {
            for form in forms {
                let _ = writeln!(text, "{form} {}", name.display());
            }
        }
        text
    }

    /// Adds a form in which the thing of this name is ours.
    pub fn add(&mut self, name: PathBuf, form: Form) {
        self.things.entry(name).or_default().insert(form);
    }

    /// Returns this and `other` in one: things are ours in the forms of either.
    pub fn with(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.folders.extend(other.folders.iter().cloned());
        for (name, forms) in &other.things {
            sum.things
                .entry(name.clone())
                .or_default()
                .extend(forms.iter().cloned());
        }
        sum
    }

    /// Returns what there is at a name.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn state(&self, place: &Place, name: &Path) -> Result<State> {
        let path = place.on_disk(name);
        let kind = match fs::symlink_metadata(&path) {
            Ok(facts) => facts.file_type(),
            Err(error) if is_absence(&error) => return Ok(State::Absent),
            Err(error) => return Err(error).doing(path.display()),
        };
        let Some(forms) = self.things.get(name) else {
            return Ok(State::Foreign);
        };
        let form = if kind.is_symlink() {
            let target = fs::read_link(&path).doing(path.display())?;
            Form::Link(target.to_string_lossy().into_owned())
        } else if kind.is_file() {
            let bytes = fs::read(&path).doing(path.display())?;
            Form::File(sha256(&bytes))
        } else {
            return Ok(State::Foreign);
        };
        Ok(if forms.contains(&form) {
            State::Ours
        } else {
            State::Foreign
        })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(sha256) => write!(f, "file {sha256}"),
            Self::Link(target) => write!(f, "link {target}"),
        }
    }
}

/// Returns the SHA-256 of bytes, in hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Tells whether an error says that nothing is at a path.
pub fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::new(Path::new("/opt/a b"), None).unwrap()
    }

    fn manifest() -> Manifest {
        let mut manifest = Manifest::default();
        manifest.add("/opt/a b/bin/x y".into(), Form::File(sha256(b"abc")));
        manifest.add("/opt/a b/bin/x y".into(), Form::File(sha256(b"")));
        manifest.add("/opt/a b/lib/l.so".into(), Form::Link("d/l.so".into()));
        manifest.folders = ["/opt", "/opt/a b", "/opt/a b/bin"]
            .map(PathBuf::from)
            .into();
        manifest
    }

    #[test]
    fn text_reads_back() {
        let text = manifest().text(&place());
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(
            text.contains(&format!("\nfile {sum} /opt/a b/bin/x y\n")),
            "{text}"
        );
        assert!(text.contains("\nlink d/l.so /opt/a b/lib/l.so\n"), "{text}");
        assert_eq!(Manifest::parse(&text, &place()).unwrap(), manifest());
    }

    #[test]
    fn lines_that_lead_outside_are_refused() {
        for line in [
            "file 00 /opt/a b/../../etc/passwd",
            "file 00 /etc/passwd",
            "file 00 bin/x",
            "file 00",
            "link /opt/a b",
            "link x /opt/a b",
            "folder /opt/a b/../c",
            "folder /etc",
            "folder",
            "files 00 /opt/a b/x",
            "",
        ] {
            let text = format!("prefix /opt/a b\n{line}\n");
            let failure = Manifest::parse(&text, &place()).unwrap_err().to_string();
            assert!(failure.starts_with("line 2: "), "{line}: {failure}");
        }
    }

    #[test]
    fn manifest_of_another_prefix_is_refused() {
        for text in ["", "prefix /opt\n"] {
            let failure = Manifest::parse(text, &place()).unwrap_err().to_string();
            assert_eq!(failure, "not of the prefix /opt/a b");
        }
    }
}
