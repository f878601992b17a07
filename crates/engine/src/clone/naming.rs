//! How VMware names the files of a clone.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result, quoted};
use crate::snapshot::names::without_number;

/// Returns the stem of a clone's disk: the source's stem without its snapshot number, with `-cl1`
/// added or an existing `-clK` counted up.
///
/// Source: disks of real clones; `disk1-000002` gave `disk1-cl1`, `disk-cl1-000002` gave `disk-cl2`.
pub(crate) fn clone_disk_stem(source_stem: &str) -> String {
    let base = without_number(source_stem);
    match numbered(base, "-cl") {
        Some((stem, number)) => format!("{stem}-cl{}", number.saturating_add(1)),
        None => format!("{base}-cl1"),
    }
}

/// Tells whether a disk in a VM's folder is called as snapshots and clones call theirs.
pub(super) fn is_of_ours(stem: &str) -> bool {
    let base = without_number(stem);
    base != stem || numbered(base, "-cl").is_some()
}

/// Splits `stem` into what stands before `mark` and the number behind it.
fn numbered<'a>(stem: &'a str, mark: &str) -> Option<(&'a str, u32)> {
    let (base, digits) = stem.rsplit_once(mark)?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain
        .then(|| digits.parse().ok().map(|number| (base, number)))
        .flatten()
}

/// Hands out file names in one folder, each once, whatever the case of its letters.
#[derive(Default)]
pub(crate) struct Names(HashSet<String>);

impl Names {
    /// Says that `name` is taken.
    pub(crate) fn take(&mut self, name: &str) {
        self.0.insert(name.to_lowercase());
    }

    /// Returns `stem` + `ending`, with a number between them where that name is taken.
    pub(crate) fn unique(&mut self, stem: &str, ending: &str) -> String {
        let mut name = format!("{stem}{ending}");
        let mut number = 1;
        while !self.0.insert(name.to_lowercase()) {
            number += 1;
            name = format!("{stem}-{number}{ending}");
        }
        name
    }
}

/// Refuses a path that no text can hold: a linked clone and its parent name each other in theirs,
/// and what is written otherwise than it is leads nowhere.
///
/// # Errors
/// `FileName`.
pub(crate) fn require_text(path: &Path) -> Result<()> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => {
            let text = format!("the path {} is not UTF-8", quoted(path));
            let hint =
                "rename the folder or file, or make a full clone, which names nothing outside";
            Err(Error::new(Kind::FileName, text).at(path).hint(hint))
        }
    }
}

/// Checks where a clone shall be, and returns the path with doubled separators made single.
///
/// # Errors
/// `Argument` for an empty or relative path; `FileName` for one that does not end in `.vmx` or that
/// no host can store.
pub(crate) fn checked_destination(path: &Path) -> Result<PathBuf> {
    if !path.is_absolute() {
        let text = format!("the destination {} is no absolute path", quoted(path));
        return Err(Error::new(Kind::Argument, text).at(path));
    }
    let bad = |why: &str| {
        Error::new(
            Kind::FileName,
            format!("the destination {} {why}", quoted(path)),
        )
        .at(path)
    };
    let ends_well = path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("vmx"));
    if !ends_well || path.to_string_lossy().ends_with('/') {
        return Err(bad("does not end in .vmx"));
    }
    let Some(name) = path.file_name().unwrap_or_default().to_str() else {
        return Err(bad("has a name that is not UTF-8"));
    };
    if name.chars().any(|c| c.is_control() || c == '"') {
        return Err(bad("has characters that no VM file name may have"));
    }
    // The longest name made from it gets an ending of 20 bytes; file systems stop at 255.
    if name.len() > 230 {
        return Err(bad("is too long"));
    }
    // Taking it apart and putting it together drops doubled separators and single dots.
    Ok(path.components().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clone_disk_names_follow_vmware() {
        for (source, clone) in [
            ("kali-disk1", "kali-disk1-cl1"),
            ("disk1-000003", "disk1-cl1"),
            ("disk-cl1-000002", "disk-cl2"),
            ("disk-cl9", "disk-cl10"),
            ("my-cla", "my-cla-cl1"),
            ("-000001", "-000001-cl1"),
        ] {
            assert_eq!(clone_disk_stem(source), clone);
        }
    }

    #[test]
    fn equal_names_get_numbers() {
        let mut names = Names::default();
        assert_eq!(names.unique("a-cl1", ".vmdk"), "a-cl1.vmdk");
        assert_eq!(names.unique("A-cl1", ".vmdk"), "A-cl1-2.vmdk");
    }

    #[test]
    fn destination_must_be_an_absolute_vmx() {
        let kind = |path: &str| checked_destination(Path::new(path)).unwrap_err().kind();
        assert_eq!(kind(""), Kind::Argument);
        assert_eq!(kind("a/b.vmx"), Kind::Argument);
        assert_eq!(kind("/a/b"), Kind::FileName);
        assert_eq!(kind("/a/b.vmx/"), Kind::FileName);
        assert_eq!(kind("/a/b\n.vmx"), Kind::FileName);
        let plain = checked_destination(Path::new("/a//b/./c.VMX")).unwrap();
        assert_eq!(plain, Path::new("/a/b/c.VMX"));
    }
}
