//! Installing and taking back, with small files in a temporary folder.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::contents::{Item, Source};
use super::manifest;
use super::place::Place;
use super::put::put;
use super::remove::{Removal, take_back};
use crate::run::Result;

/// Paths below a folder with what is there: bytes, a link's target, nothing for a folder.
pub type Tree = BTreeMap<String, String>;

/// A folder with a place in it, and the files to install.
pub struct Ground {
    folder: TempDir,
    /// Where to install.
    pub place: Place,
}

impl Ground {
    /// Makes a place of `prefix` with the destination `d`, which is not there yet.
    fn below_destination(prefix: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("d");
        let place = Place::new(Path::new(prefix), Some(&root)).unwrap();
        Self { folder, place }
    }

    /// Makes a place whose prefix is `d`.
    pub fn live() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(&folder.path().join("d"), None).unwrap();
        Self { folder, place }
    }

    fn path(&self, below_prefix: &str) -> PathBuf {
        self.place.on_disk(&self.place.prefix().join(below_prefix))
    }

    fn write(&self, below_prefix: &str, text: &str) {
        let path = self.path(below_prefix);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Returns an item whose text is read from a file, as a program's is.
    fn program(&self, below_prefix: &str, text: &str) -> Item {
        let from = self.folder.path().join(below_prefix.replace('/', "_"));
        fs::write(&from, text).unwrap();
        self.item(below_prefix, Source::Copy(from, 0o755))
    }

    fn item(&self, below_prefix: &str, source: Source) -> Item {
        Item {
            name: self.place.prefix().join(below_prefix),
            source,
        }
    }

    /// Returns a program, a library with a link and a text.
    pub fn items(&self, text: &str) -> Vec<Item> {
        vec![
            self.program("bin/vmrun", &format!("vmrun {text}")),
            self.program("lib/v/l.so", &format!("library {text}")),
            self.item("lib/l.so", Source::Link("v/l.so")),
            self.item("lib/v.pc", Source::Text(format!("text {text}"))),
        ]
    }

    fn is_free(&self, items: &[Item]) -> bool {
        super::put::is_free(&self.place, items).unwrap()
    }

    pub fn put(&self, items: &[Item]) -> Result<Vec<PathBuf>> {
        put(&self.place, items)
    }

    pub fn take_back(&self) -> Result<Removal> {
        take_back(&self.place)
    }

    /// Returns all that is at and below the destination.
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        add(self.folder.path(), Path::new("d"), &mut tree);
        tree
    }
}

fn add(root: &Path, name: &Path, tree: &mut Tree) {
    let path = root.join(name);
    let mut put = |what: String| tree.insert(name.display().to_string(), what);
    if let Ok(target) = fs::read_link(&path) {
        put(format!("-> {}", target.display()));
    } else if path.is_file() {
        put(fs::read_to_string(&path).unwrap());
    } else if path.is_dir() {
        put(String::new());
        for entry in fs::read_dir(&path).unwrap() {
            add(root, &name.join(entry.unwrap().file_name()), tree);
        }
    }
}

fn names(tree: &Tree) -> Vec<&str> {
    tree.keys().map(String::as_str).collect()
}

#[test]
fn everything_is_put_and_taken_back() {
    let ground = Ground::below_destination("/usr/local");
    let put = ground.put(&ground.items("1")).unwrap();
    assert_eq!(put[0], ground.path("bin/vmrun"));
    let tree = ground.tree();
    assert_eq!(
        names(&tree),
        [
            "d",
            "d/usr",
            "d/usr/local",
            "d/usr/local/bin",
            "d/usr/local/bin/vmrun",
            "d/usr/local/lib",
            "d/usr/local/lib/l.so",
            "d/usr/local/lib/v",
            "d/usr/local/lib/v.pc",
            "d/usr/local/lib/v/l.so",
            "d/usr/local/share",
            "d/usr/local/share/replix",
            "d/usr/local/share/replix/installed",
        ]
    );
    assert_eq!(tree["d/usr/local/lib/l.so"], "-> v/l.so");
    assert_eq!(fs::read(ground.path("lib/l.so")).unwrap(), b"library 1");
    let manifest = &tree["d/usr/local/share/replix/installed"];
    let root = ground.folder.path().to_str().unwrap();
    assert!(!manifest.contains(root), "{manifest}");
    assert!(manifest.contains("\nfolder /usr\n"), "{manifest}");

    let removal = ground.take_back().unwrap();
    assert!(removal.left.is_empty() && removal.missing.is_empty() && removal.folders.is_empty());
    assert_eq!(removal.removed.len(), tree.len());
    assert_eq!(names(&ground.tree()), [""; 0]);
}

#[test]
fn permissions_do_not_depend_on_the_mask() {
    let ground = Ground::live();
    ground.put(&ground.items("1")).unwrap();
    let mode = |path: &str| {
        fs::metadata(ground.path(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(mode("bin/vmrun"), 0o755);
    assert_eq!(mode("lib/v"), 0o755);
    assert_eq!(mode("lib/v.pc"), 0o644);
    assert_eq!(mode("share/replix/installed"), 0o644);
}

#[test]
fn prefix_with_a_space_works() {
    let ground = Ground::below_destination("/opt/a b");
    ground.put(&ground.items("1")).unwrap();
    ground.put(&ground.items("2")).unwrap();
    ground.take_back().unwrap();
    assert_eq!(names(&ground.tree()), [""; 0]);
}

#[test]
fn folders_and_files_of_others_stay() {
    let ground = Ground::live();
    ground.write("bin/other", "");
    fs::create_dir_all(ground.path("share")).unwrap();
    let before = ground.tree();
    ground.put(&ground.items("1")).unwrap();
    ground.write("lib/v/other", "");
    let removal = ground.take_back().unwrap();
    assert_eq!(removal.folders, [ground.path("lib/v"), ground.path("lib")]);
    fs::remove_dir_all(ground.path("lib")).unwrap();
    assert_eq!(ground.tree(), before);
}

#[test]
fn files_of_others_are_named_and_nothing_is_written() {
    let ground = Ground::live();
    ground.write("bin/vmrun", "vmrun 1");
    fs::create_dir_all(ground.path("lib")).unwrap();
    symlink("v/l.so", ground.path("lib/l.so")).unwrap();
    fs::create_dir_all(ground.path("lib/v.pc")).unwrap();
    ground.write("share/replix", "a file where a folder is to be");
    let before = ground.tree();
    let failure = ground.put(&ground.items("1")).unwrap_err().to_string();
    let named: Vec<_> = failure.lines().skip(1).map(str::trim).collect();
    let expected = ["bin/vmrun", "lib/l.so", "lib/v.pc", "share/replix"];
    assert_eq!(
        named,
        expected.map(|name| ground.path(name).display().to_string())
    );
    assert_eq!(ground.tree(), before);
}

#[test]
fn newer_installation_replaces_ours() {
    let ground = Ground::live();
    let mut items = ground.items("1");
    items.push(ground.program("libexec/r/gone", "1"));
    ground.put(&items).unwrap();
    ground.put(&ground.items("2")).unwrap();
    let replaced = ground.tree();
    assert_eq!(replaced["d/bin/vmrun"], "vmrun 2");
    let names = names(&replaced).join("\n");
    assert!(
        !names.contains("gone") && !names.contains("libexec"),
        "{names}"
    );
    assert!(!names.contains(".replix-"), "{names}");

    ground.take_back().unwrap();
    ground.put(&ground.items("2")).unwrap();
    let mut anew = ground.tree();
    // The older one made one folder more.
    let manifest = anew.get_mut("d/share/replix/installed").unwrap();
    let folder = |name| format!("folder {}\n", ground.path(name).display());
    let line = folder("libexec") + &folder("libexec/r");
    let share = folder("share");
    *manifest = manifest.replace(&share, &(line + &share));
    assert_eq!(replaced, anew);
}

#[test]
fn changed_file_stops_the_next_installation() {
    let ground = Ground::live();
    ground.put(&ground.items("1")).unwrap();
    ground.write("bin/vmrun", "mine");
    let before = ground.tree();
    let failure = ground.put(&ground.items("2")).unwrap_err().to_string();
    assert!(failure.ends_with(&format!("\n  {}", ground.path("bin/vmrun").display())));
    assert_eq!(ground.tree(), before);
}

#[test]
fn changed_file_that_is_no_longer_wanted_stays() {
    let ground = Ground::live();
    let mut items = ground.items("1");
    items.push(ground.program("libexec/gone", "1"));
    ground.put(&items).unwrap();
    ground.write("libexec/gone", "mine");
    ground.put(&ground.items("2")).unwrap();
    assert_eq!(ground.tree()["d/libexec/gone"], "mine");
    let left = ground.take_back().unwrap().left;
    assert!(
        left[0].to_string().contains("/libexec/gone: changed since"),
        "{left:?}"
    );
}

#[test]
fn failure_before_the_first_file_is_in_place_changes_nothing() {
    for ground in [Ground::live(), Ground::below_destination("/opt/x")] {
        let before = ground.tree();
        let mut items = ground.items("1");
        items.push(ground.item("bin/absent", Source::Copy("/no/such/file".into(), 0o755)));
        assert!(ground.put(&items).is_err());
        assert_eq!(ground.tree(), before);
    }
}

#[test]
fn failure_in_the_middle_takes_all_back() {
    let ground = Ground::live();
    let mut items = ground.items("1");
    items.push(ground.program("bin/gone", "1"));
    ground.put(&items).unwrap();
    let before = ground.tree();
    let mut items = ground.items("2");
    // A file cannot be where a folder has to be: known only once the others are in place.
    items.push(ground.program("new/x", ""));
    items.push(ground.program("new/x/y", ""));
    assert!(ground.put(&items).is_err());
    assert_eq!(ground.tree(), before);
    ground.take_back().unwrap();
    assert_eq!(names(&ground.tree()), [""; 0]);
}

#[test]
fn changed_files_are_left_and_the_rest_goes() {
    let ground = Ground::live();
    ground.put(&ground.items("1")).unwrap();
    ground.write("bin/vmrun", "mine");
    fs::remove_file(ground.path("lib/v.pc")).unwrap();
    fs::remove_file(ground.path("lib/l.so")).unwrap();
    symlink("elsewhere", ground.path("lib/l.so")).unwrap();
    let removal = ground.take_back().unwrap();
    let left: Vec<_> = removal.left.iter().map(ToString::to_string).collect();
    let why = "changed since it was put";
    assert_eq!(
        left,
        ["bin/vmrun", "lib/l.so"].map(|name| format!("{}: {why}", ground.path(name).display()))
    );
    assert_eq!(removal.missing, [ground.path("lib/v.pc")]);
    let tree = ground.tree();
    let stays = [
        "d",
        "d/bin",
        "d/bin/vmrun",
        "d/lib",
        "d/lib/l.so",
        "d/share",
        "d/share/replix",
        "d/share/replix/installed",
    ];
    assert_eq!(names(&tree), stays);

    // The manifest of the rest lets a second try finish the work.
    fs::remove_file(ground.path("bin/vmrun")).unwrap();
    fs::remove_file(ground.path("lib/l.so")).unwrap();
    assert!(ground.take_back().unwrap().left.is_empty());
    assert_eq!(names(&ground.tree()), [""; 0]);
}

#[test]
fn nothing_installed_is_an_error() {
    let ground = Ground::live();
    let failure = ground.take_back().unwrap_err().to_string();
    assert!(
        failure.starts_with("nothing is installed: there is no "),
        "{failure}"
    );
}

#[test]
fn manifest_that_leads_outside_removes_nothing() {
    let ground = Ground::live();
    ground.put(&ground.items("1")).unwrap();
    let victim = ground.folder.path().join("victim");
    fs::write(&victim, "abc").unwrap();
    let path = ground.path("share/replix/installed");
    let text = fs::read_to_string(&path).unwrap();
    let line = format!(
        "file {} {}/../victim\n",
        manifest::sha256(b"abc"),
        ground.path("").display()
    );
    fs::write(&path, text + &line).unwrap();
    let before = ground.tree();
    for failure in [
        ground.take_back().unwrap_err().to_string(),
        ground.put(&ground.items("2")).unwrap_err().to_string(),
    ] {
        assert!(failure.contains("outside of the prefix"), "{failure}");
    }
    assert_eq!(ground.tree(), before);
    assert!(victim.exists());
}

#[test]
fn linked_folder_is_used_as_it_is() {
    let ground = Ground::live();
    fs::create_dir_all(ground.path("lib64")).unwrap();
    symlink("lib64", ground.path("lib")).unwrap();
    let before = ground.tree();
    ground.put(&ground.items("1")).unwrap();
    assert_eq!(fs::read(ground.path("lib64/l.so")).unwrap(), b"library 1");
    ground.take_back().unwrap();
    assert_eq!(ground.tree(), before);
}

#[test]
fn folder_that_leads_out_of_the_destination_is_refused() {
    let ground = Ground::below_destination("/usr");
    let elsewhere = ground.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::create_dir_all(ground.path("")).unwrap();
    symlink(&elsewhere, ground.path("lib")).unwrap();
    let before = ground.tree();
    let failure = ground.put(&ground.items("1")).unwrap_err().to_string();
    assert!(failure.contains("through links, not below"), "{failure}");
    assert_eq!(ground.tree(), before);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn installed_program_may_be_read_only() {
    let ground = Ground::live();
    ground.put(&ground.items("1")).unwrap();
    fs::set_permissions(ground.path("bin/vmrun"), Permissions::from_mode(0o400)).unwrap();
    ground.put(&ground.items("2")).unwrap();
    assert_eq!(ground.tree()["d/bin/vmrun"], "vmrun 2");
}

#[test]
fn only_foreign_files_are_in_the_way() {
    let ground = Ground::live();
    let items = ground.items("1");
    assert!(ground.is_free(&items));
    ground.put(&items).unwrap();
    assert!(ground.is_free(&items));
    ground.write("bin/vmrun", "another's");
    assert!(!ground.is_free(&items));
}
