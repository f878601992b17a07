//! Files and folders of the guest, one at a time.

use super::GuestFile;
use super::session::Session;
use crate::error::{Error, Kind, Result, escaped, quoted};

/// Linux's own limit, its end included.
const PATH_MAX: usize = 4096;

/// Bits of a mode that tell what a file is, and what they are for a folder and a symbolic link.
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFREG: u32 = 0o100_000;
const S_IFLNK: u32 = 0o120_000;

const DELETE: &str = r#"
need "$1"
! is_folder "$1" || fail 'Is a directory'
exec rm -- "$1"
"#;

const RENAME: &str = r#"
need "$1"
! stands "$2" || fail 'File exists'
exec mv -- "$1" "$2"
"#;

const MAKE_FOLDER: &str = r#"
! stands "$1" || fail 'File exists'
exec mkdir -p -- "$1"
"#;

/// Some `rm` say nothing of a folder that they may not read; `rmdir` does.
const DELETE_FOLDER: &str = r#"
need "$1"
is_folder "$1" || fail 'Not a directory'
rm -r -- "$1" || { rmdir -- "$1"; exit 1; }
"#;

/// Names begin with "./" here, and a slash stands nowhere else: that is how they are told apart, since
/// a name may hold everything but a slash.
const LIST: &str = r#"
need "$1"
[ -d "$1" ] || fail 'Not a directory'
cd -- "$1" 2>/dev/null || fail 'Permission denied'
exec find . ! -name . -prune -exec stat -c '%f %s %Y %n' {} +
"#;

/// What the guest's `stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    mode: u32,
    /// Length, of a folder too.
    pub(super) bytes: u64,
    modified_s: i64,
}

impl Facts {
    pub(super) fn is_folder(self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }

    pub(super) fn is_file(self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }

    fn file(self, name: String) -> GuestFile {
        GuestFile {
            name,
            bytes: if self.is_folder() { 0 } else { self.bytes },
            directory: self.is_folder(),
            symlink: self.mode & S_IFMT == S_IFLNK,
            modified_s: self.modified_s,
        }
    }

    /// Reads "81a4 12 1700000000".
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let facts = Self {
            mode: u32::from_str_radix(words.next()?, 16).ok()?,
            bytes: words.next()?.parse().ok()?,
            modified_s: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(facts)
    }
}

/// Demands a path that the guest can take as it is.
///
/// # Errors
/// `Argument`.
pub(super) fn absolute(path: &str) -> Result<&str> {
    let fits = path.starts_with('/') && !path.contains('\0') && path.len() < PATH_MAX;
    fits.then_some(path).ok_or_else(|| {
        let shown = escaped(&path.chars().take(200).collect::<String>());
        Error::new(
            Kind::Argument,
            format!("\"{shown}\" is no absolute path of the guest"),
        )
    })
}

/// Deletes a file.
///
/// # Errors
/// `FileNotFound`, `NotAFile`, `Denied`.
pub(super) fn delete(session: &Session, path: &str) -> Result<()> {
    session.script(DELETE, &[absolute(path)?]).map(drop)
}

/// Gives a file or folder another name.
///
/// # Errors
/// `FileNotFound`, `FileExists`, `Denied`.
pub(super) fn rename(session: &Session, from: &str, to: &str) -> Result<()> {
    session
        .script(RENAME, &[absolute(from)?, absolute(to)?])
        .map(drop)
}

/// Makes a folder, and those above it.
///
/// # Errors
/// `FileExists`, `Denied`.
pub(super) fn make_folder(session: &Session, path: &str) -> Result<()> {
    session.script(MAKE_FOLDER, &[absolute(path)?]).map(drop)
}

/// Deletes a folder with all that is in it.
///
/// # Errors
/// `FileNotFound`, `NotADirectory`, `Denied`; `Argument` for the root of it all.
pub(super) fn delete_folder(session: &Session, path: &str) -> Result<()> {
    if path.split('/').all(|part| part.is_empty() || part == ".") {
        return Err(Error::new(
            Kind::Argument,
            "the root folder of a guest is not deleted",
        ));
    }
    session.script(DELETE_FOLDER, &[absolute(path)?]).map(drop)
}

/// Tells whether the guest's `test` says yes: "-f" for a regular file, "-d" for a folder.
///
/// # Errors
/// Those of [`Session::script`].
pub(super) fn test(session: &Session, what: &str, path: &str) -> Result<bool> {
    const TEST: &str = r#"if [ "$1" "$2" ]; then echo yes; fi"#;
    Ok(session.script(TEST, &[what, absolute(path)?])? == b"yes\n")
}

/// Makes an empty file with a name of its own and returns its path.
///
/// # Errors
/// Those of [`Session::script`]; `Io` where the answer is no path.
pub(super) fn make_temporary(session: &Session) -> Result<String> {
    let out = session.script("umask 077\nexec mktemp", &[])?;
    parse_temporary(out).ok_or_else(|| nonsense(session, "a temporary file"))
}

/// Reads the path of a file with a name of its own.
pub(super) fn parse_temporary(out: Vec<u8>) -> Option<String> {
    let mut path = String::from_utf8(out).ok()?;
    (path.pop() == Some('\n') && absolute(&path).is_ok() && !path.contains('\n')).then_some(path)
}

/// Describes a file or folder; of a symbolic link, the link.
///
/// # Errors
/// `FileNotFound`, `Denied`; `Io` where the answer makes no sense.
pub(super) fn describe(session: &Session, path: &str) -> Result<GuestFile> {
    let out = session.script("exec stat -c '%f %s %Y' -- \"$1\"", &[absolute(path)?])?;
    Ok(facts(session, &out)?.file(path.to_string()))
}

/// Returns facts about what stands at `path`, symbolic links followed.
///
/// # Errors
/// As [`describe`].
pub(super) fn look(session: &Session, path: &str) -> Result<Facts> {
    let out = session.script("exec stat -L -c '%f %s %Y' -- \"$1\"", &[absolute(path)?])?;
    facts(session, &out)
}

fn facts(session: &Session, out: &[u8]) -> Result<Facts> {
    parse_facts(out).ok_or_else(|| nonsense(session, "a file"))
}

/// Reads what `stat` says of one file.
pub(super) fn parse_facts(out: &[u8]) -> Option<Facts> {
    str::from_utf8(out).ok().and_then(Facts::parse)
}

/// Lists a folder.
///
/// # Errors
/// `FileNotFound`, `NotADirectory`, `Denied`; `Io` where the answer makes no sense.
pub(super) fn list(session: &Session, path: &str) -> Result<Vec<GuestFile>> {
    let entries = entries(session, path)?.into_iter();
    Ok(entries
        .map(|(name, facts)| facts.file(String::from_utf8_lossy(&name).into_owned()))
        .collect())
}

/// Returns the entries of a folder, each with a name that is one: no slash, no dots alone.
///
/// # Errors
/// As [`list`].
pub(super) fn entries(session: &Session, path: &str) -> Result<Vec<(Vec<u8>, Facts)>> {
    let out = session.script(LIST, &[absolute(path)?])?;
    parse_entries(&out).ok_or_else(|| nonsense(session, "a folder"))
}

/// Reads what is in a folder.
pub(super) fn parse_entries(out: &[u8]) -> Option<Vec<(Vec<u8>, Facts)>> {
    let mut parts = out.split(|&byte| byte == b'/');
    let mut head = parts.next()?;
    let mut entries = Vec::new();
    for part in parts {
        let end = part.iter().rposition(|&byte| byte == b'\n')?;
        let (name, next) = (&part[..end], &part[end + 1..]);
        let facts = Facts::parse(str::from_utf8(head).ok()?.strip_suffix(" .")?)?;
        if matches!(name, b"" | b"." | b"..") || name.contains(&0) {
            return None;
        }
        entries.push((name.to_vec(), facts));
        head = next;
    }
    head.is_empty().then_some(entries)
}

fn nonsense(session: &Session, what: &str) -> Error {
    let vmx = session.agent.vmx();
    let text = format!(
        "the guest of {} tells of {what} in no known form",
        quoted(vmx)
    );
    Error::new(Kind::Io, text).at(vmx)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(out: &str) -> Option<Vec<String>> {
        let entries = parse_entries(out.as_bytes())?.into_iter();
        Some(
            entries
                .map(|(name, _)| String::from_utf8(name).unwrap())
                .collect(),
        )
    }

    #[test]
    fn names_may_hold_anything_but_a_slash() {
        let out = "81a4 5 7 ./a\n81a4 5 7 ./b\n41ed 9 9 .\n41ed 4096 -3 ./c d\n";
        assert_eq!(names(out).unwrap(), ["a", "b\n41ed 9 9 .", "c d"]);
        assert_eq!(names("").unwrap(), [""; 0]);
        let entries = parse_entries(out.as_bytes()).unwrap();
        let folder = entries[2].1.file("c d".into());
        assert!(folder.directory && folder.bytes == 0 && folder.modified_s == -3);
        assert!(entries[0].1.is_file());
    }

    #[test]
    fn path_tricks_are_no_list() {
        for out in [
            "81a4 5 7 ./../../etc/passwd\n",
            "81a4 5 7 ./..\n",
            "81a4 5 7 ./.\n",
            "81a4 5 7 ./\n",
            "81a4 5 7 /etc/passwd\n",
            "81a4 5 7 ./a\0b\n",
            "81a4 -5 7 ./a\n",
            "81a4 99999999999999999999 7 ./a\n",
            "81a4 5 7 ./a",
            "81a4 5 7 ./a\nrest",
        ] {
            assert_eq!(names(out), None, "{out}");
        }
    }

    #[test]
    fn only_absolute_paths_go_to_the_guest() {
        assert!(absolute("/a b\n$(c)").is_ok());
        for path in [
            "",
            "a",
            "-rf",
            "/a\0b",
            &format!("/{}", "x".repeat(PATH_MAX)),
        ] {
            assert_eq!(absolute(path).unwrap_err().kind(), Kind::Argument);
        }
    }
}
