//! What programs of the guest say when something cannot be done, as kinds of errors.

use std::path::Path;

use crate::error::{Error, Kind, quoted};
use crate::power::shown;

/// Words of the C library in its plain locale, in lower case, and of shells that have their own.
const WORDS: [(&str, Kind); 15] = [
    ("no such file", Kind::FileNotFound),
    ("nonexistent", Kind::FileNotFound),
    ("file exists", Kind::FileExists),
    ("permission denied", Kind::Denied),
    ("not permitted", Kind::Denied),
    ("is a directory", Kind::NotAFile),
    ("not a directory", Kind::NotADirectory),
    ("no such process", Kind::NoSuchProcess),
    ("no space left", Kind::NoSpace),
    ("quota exceeded", Kind::NoSpace),
    ("read-only file system", Kind::ReadOnly),
    ("name too long", Kind::Argument),
    ("device or resource busy", Kind::FileLocked),
    ("illegal number", Kind::Argument),
    ("invalid number", Kind::Argument),
];

/// Returns the error for what a program in the guest of `vmx` said; `about` is what it was told to
/// work on.
pub(super) fn of(vmx: &Path, about: Option<&str>, said: &[u8]) -> Error {
    let said = String::from_utf8_lossy(said);
    let about = about.map_or(String::new(), |about| {
        format!(" about \"{}\"", shown(about))
    });
    let cause = match said.trim() {
        "" => "nothing".into(),
        said => shown(said),
    };
    let text = format!("the guest of {} says{about}: {cause}", quoted(vmx));
    Error::new(kind_of(&said), text).at(vmx)
}

/// The cause stands last: names before it may hold anything.
fn kind_of(said: &str) -> Kind {
    let said = said.to_ascii_lowercase();
    let last = WORDS
        .iter()
        .filter_map(|(words, kind)| Some((said.rfind(words)?, *kind)));
    last.max_by_key(|(place, _)| *place)
        .map_or(Kind::Io, |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cause_is_the_last_that_is_said() {
        let said = "rm: cannot remove '/a/Permission denied': No such file or directory\n";
        assert_eq!(kind_of(said), Kind::FileNotFound);
        assert_eq!(
            kind_of("mkdir: cannot create '/x': Not a directory"),
            Kind::NotADirectory
        );
        assert_eq!(kind_of("gibberish"), Kind::Io);
    }

    #[test]
    fn words_of_the_guest_are_bounded_and_plain() {
        let said = format!("\u{1b}[2J{}", "x".repeat(100_000));
        let text = of(Path::new("/a.vmx"), Some("/b\n"), said.as_bytes()).to_string();
        assert!(
            text.len() < 500 && !text.contains(['\u{1b}', '\n']),
            "{text}"
        );
    }
}
