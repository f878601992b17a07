//! A suite more in apt's sources, derived from what is there: same mirror, same keys.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Result, Run, command, fail};

/// A file for apt's sources.
#[derive(Debug, PartialEq)]
pub struct Source {
    /// Where it goes.
    pub path: String,
    /// What it reads.
    pub text: String,
}

impl Source {
    /// Returns the file that is missing for apt to know `suite`, as `bookworm-backports`; nothing
    /// if apt knows it.
    ///
    /// # Errors
    /// When no entry for the suite's release is there to derive from.
    pub fn missing(suite: &str) -> Result<Option<Self>> {
        if command("apt-cache", ["policy"])
            .text()?
            .contains(&format!("/{suite}"))
        {
            return Ok(None);
        }
        let derived = source_files().into_iter().find_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            Self::derive(&path, &text, suite)
        });
        match derived {
            Some(source) => Ok(Some(source)),
            None => fail(format!(
                "no Debian entry in apt's sources to derive {suite} from"
            )),
        }
    }

    /// Makes a source from an entry for the suite's release in the file `path` that reads `text`.
    fn derive(path: &Path, text: &str, suite: &str) -> Option<Self> {
        let release = suite.strip_suffix("-backports")?;
        let extension = path.extension()?.to_str()?;
        let text = match extension {
            "sources" => derive_stanza(text, release, suite)?,
            "list" => derive_line(text, release, suite)?,
            _ => return None,
        };
        Some(Self {
            path: format!("/etc/apt/sources.list.d/{suite}.{extension}"),
            text,
        })
    }
}

/// The many-line form: one stanza of fields an entry.
fn derive_stanza(text: &str, release: &str, suite: &str) -> Option<String> {
    let is_wanted = |stanza: &&str| {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|row| row.strip_prefix(name))
                .unwrap_or("")
        };
        let has = |name, word| field(name).split_whitespace().any(|found| found == word);
        has("Types:", "deb") && has("Suites:", release) && field("Enabled:").trim() != "no"
    };
    let stanza = text.split("\n\n").find(is_wanted)?;
    let rows = stanza.lines().filter(|row| !row.starts_with('#'));
    let rows = rows.map(|row| match row.starts_with("Suites:") {
        true => format!("Suites: {suite}\n"),
        false => format!("{row}\n"),
    });
    Some(rows.collect())
}

/// The one-line form.
fn derive_line(text: &str, release: &str, suite: &str) -> Option<String> {
    let is_wanted =
        |row: &&str| row.starts_with("deb ") && row.split_whitespace().any(|word| word == release);
    let words = text.lines().find(is_wanted)?.split_whitespace();
    let words = words.map(|word| if word == release { suite } else { word });
    Some(words.collect::<Vec<_>>().join(" ") + "\n")
}

fn source_files() -> Vec<PathBuf> {
    let parts = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten();
    let mut files: Vec<PathBuf> = parts.map(|entry| entry.path()).collect();
    files.sort();
    files.push(PathBuf::from("/etc/apt/sources.list"));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: &str = "bookworm-backports";

    #[test]
    fn stanza_keeps_all_but_its_suites() {
        let text = "Types: deb-src\nURIs: http://mirror/debian\nSuites: bookworm\n\nTypes: deb\n# near\n\
                    URIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\
                    Signed-By: /k.gpg\n\nTypes: deb\nURIs: http://mirror/security\n\
                    Suites: bookworm-security\nComponents: main\n";
        let source = Source::derive(Path::new("/x/debian.sources"), text, SUITE).unwrap();
        assert_eq!(
            source.path,
            "/etc/apt/sources.list.d/bookworm-backports.sources"
        );
        assert_eq!(
            source.text,
            "Types: deb\nURIs: http://mirror/debian\nSuites: bookworm-backports\nComponents: main\n\
             Signed-By: /k.gpg\n"
        );
    }

    #[test]
    fn line_keeps_all_but_its_suite() {
        let text = "# main\ndeb-src http://m/debian bookworm main\n\
                    deb [trusted=yes] http://m/debian bookworm main\n";
        let source = Source::derive(Path::new("/x/sources.list"), text, SUITE).unwrap();
        assert_eq!(
            source.path,
            "/etc/apt/sources.list.d/bookworm-backports.list"
        );
        assert_eq!(
            source.text,
            "deb [trusted=yes] http://m/debian bookworm-backports main\n"
        );
    }

    #[test]
    fn foreign_and_disabled_entries_derive_nothing() {
        let derive = |path: &str, text: &str| Source::derive(Path::new(path), text, SUITE);
        let line = "deb https://example.org/apt bookworm-tool main\n";
        assert_eq!(derive("/x/a.list", line), None);
        assert_eq!(
            derive("/x/a.list.off", "deb http://m/debian bookworm main\n"),
            None
        );
        let stanza = "Types: deb\nEnabled: no\nSuites: bookworm\n";
        assert_eq!(derive("/x/a.sources", stanza), None);
    }
}
