//! Where an installation goes: a prefix, and the folder that stands for `/` while it is put there.
//!
//! A path as the installed files name it, without that folder, is called a name here.

use std::fs;
use std::path::{Component, Path, PathBuf, absolute};

use crate::run::{Doing, Result, fail};

/// What a prefix may have besides letters and digits. The flags that pkg-config tells have no other
/// character come through whole: a comma ends an argument of the linker, a colon a folder of its.
const SAFE: &str = "/ -_.+~@%=";

/// A prefix below a folder that stands for `/`.
#[derive(Debug)]
pub struct Place {
    prefix: PathBuf,
    root: PathBuf,
}

impl Place {
    /// Returns the place of `prefix`, below `destdir` if there is one.
    ///
    /// # Errors
    /// When the prefix is not absolute, has `..`, or has characters that compilers' flags cannot.
    pub fn new(prefix: &Path, destdir: Option<&Path>) -> Result<Self> {
        let refuse = |why: &str| fail(format!("the prefix {prefix:?} {why}"));
        let Some(text) = prefix.to_str() else {
            return refuse("is not UTF-8");
        };
        if !is_plain(prefix) {
            return refuse("is not an absolute path without `..`");
        }
        let odd = |c: &char| !c.is_alphanumeric() && !SAFE.contains(*c);
        if let Some(c) = text.chars().find(odd) {
            return refuse(&format!(
                "has {c:?}, which the flags of compilers cannot carry"
            ));
        }
        let root = match destdir {
            Some(folder) if !folder.as_os_str().is_empty() => {
                absolute(folder).doing(folder.display())?
            }
            _ => PathBuf::from("/"),
        };
        Ok(Self {
            prefix: prefix.components().collect(),
            root,
        })
    }

    /// Returns the prefix, as the installed files name it.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Tells whether files go where they are to be used.
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns where the file of this name is now.
    pub fn on_disk(&self, name: &Path) -> PathBuf {
        let below_root = name.strip_prefix("/").unwrap_or(name);
        // Not `join` of an empty path, which leaves a slash behind.
        self.root
            .components()
            .chain(below_root.components())
            .collect()
    }

    /// Returns the name of a path on disk; `None` for the folders above the one that stands for `/`.
    pub fn name_of(&self, on_disk: &Path) -> Option<PathBuf> {
        let below_root = on_disk.strip_prefix(&self.root).ok()?;
        Some(
            Path::new("/")
                .components()
                .chain(below_root.components())
                .collect(),
        )
    }

    /// Tells whether a name is of something below the prefix.
    pub fn holds(&self, name: &Path) -> bool {
        is_plain(name) && name.starts_with(&self.prefix) && name != self.prefix
    }

    /// Tells whether a name is of a folder that an installation here may have made.
    pub fn may_make(&self, name: &Path) -> bool {
        is_plain(name) && (name.starts_with(&self.prefix) || self.prefix.starts_with(name))
    }

    /// Fails when links lead the path of this name out of the folder that stands for `/`.
    pub fn refuse_way_out(&self, name: &Path) -> Result {
        let path = self.on_disk(name);
        let folder = path.ancestors().skip(1).find(|folder| folder.exists());
        let (Some(folder), true) = (folder, self.root.exists()) else {
            return Ok(());
        };
        let real = |path: &Path| fs::canonicalize(path).doing(path.display());
        if real(folder)?.starts_with(real(&self.root)?) {
            Ok(())
        } else {
            let (folder, root) = (folder.display(), self.root.display());
            fail(format!("{folder} is, through links, not below {root}"))
        }
    }
}

/// Tells whether a path is absolute and goes down only.
fn is_plain(path: &Path) -> bool {
    let mut parts = path.components();
    parts.next() == Some(Component::RootDir)
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(prefix: &str, destdir: Option<&str>) -> Result<Place> {
        Place::new(Path::new(prefix), destdir.map(Path::new))
    }

    #[test]
    fn prefix_must_be_plain() {
        for bad in [
            "usr",
            "",
            "/usr/../etc",
            "/a\"b",
            "/a$b",
            "/a,b",
            "/a\nb",
            "/a#b",
        ] {
            let failure = place(bad, None).unwrap_err().to_string();
            assert!(failure.contains("the prefix"), "{failure}");
        }
        for good in ["/", "/usr/local", "/opt/a b", "/opt/größe-1.0_x+y"] {
            assert!(place(good, None).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_become_paths_and_back() {
        let staged = place("/usr//local/", Some("/d/")).unwrap();
        assert_eq!(staged.prefix().as_os_str(), "/usr/local");
        assert_eq!(staged.on_disk(Path::new("/usr/x")).as_os_str(), "/d/usr/x");
        assert_eq!(staged.on_disk(Path::new("/")).as_os_str(), "/d");
        assert_eq!(
            staged.name_of(Path::new("/d/usr")).unwrap().as_os_str(),
            "/usr"
        );
        assert_eq!(staged.name_of(Path::new("/d")).unwrap().as_os_str(), "/");
        assert_eq!(staged.name_of(Path::new("/")), None);
        assert!(!staged.is_live());

        let live = place("/usr", Some("")).unwrap();
        assert_eq!(live.on_disk(Path::new("/usr/x")).as_os_str(), "/usr/x");
        assert!(live.is_live());
    }

    #[test]
    fn names_outside_are_not_ours() {
        let place = place("/usr/local", None).unwrap();
        for outside in [
            "/usr/local",
            "/usr/bin/x",
            "/usr/local/../bin/x",
            "bin/x",
            "/usr/localx/y",
        ] {
            assert!(!place.holds(Path::new(outside)), "{outside}");
        }
        assert!(place.holds(Path::new("/usr/local/bin/x")));
        for folder in ["/", "/usr", "/usr/local", "/usr/local/bin"] {
            assert!(place.may_make(Path::new(folder)), "{folder}");
        }
        assert!(!place.may_make(Path::new("/etc")));
        assert!(!place.may_make(Path::new("/usr/local/../../etc")));
    }

    #[test]
    fn links_out_of_the_destination_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (folder.path().join("d"), folder.path().join("elsewhere"));
        fs::create_dir_all(root.join("usr/lib64")).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink("lib64", root.join("usr/lib")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.join("usr/bin")).unwrap();
        let place = Place::new(Path::new("/usr"), Some(&root)).unwrap();
        assert!(place.refuse_way_out(Path::new("/usr/lib/x/y")).is_ok());
        let failure = place.refuse_way_out(Path::new("/usr/bin/x")).unwrap_err();
        assert!(
            failure.to_string().contains("d/usr/bin is, through links"),
            "{failure}"
        );
    }
}
