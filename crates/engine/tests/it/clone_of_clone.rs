//! Linked clones of linked clones whose names for their parents mean something to them alone.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use replix::clone::{CloneKind, CloneSpec};
use replix::disk;
use replix::store::Local;
use replix::vm::{Env, Settings};
use replix::{Kind, Vm};
use replix_testkit::{folder, qemu_io, same_content, tree_of};

use crate::vms::*;

/// A library with `base`, its linked clone `web`, and a full clone of that, which tells what it reads as.
struct Library {
    root: tempfile::TempDir,
    web: Vm,
}

impl Library {
    /// `parent` is the folder of `base`; the name of its disk, the folders that are searched for it, and the
    /// clone that `base` lists are as the others say.
    fn new(parent: &str, hint: &str, search: &str, listed: Option<&str>) -> Self {
        let root = folder();
        let library = root.path().join("lib");
        let base = simple(&library, parent);
        let web = clone(&open(&base), CloneKind::Linked, &library, "web");
        qemu_io(&disks(&web)[0], "write -P 5 1M 128k");
        clone(&web, CloneKind::Full, root.path(), "copy");
        let there = |text: &str| text.replace("BASE", base.dir.to_str().unwrap());
        let env = Env {
            store: Arc::new(Local),
            settings: Settings::default(),
        };
        let opened = env.open(web.path()).unwrap();
        let name = &opened.config.disks()[0].file_name;
        let chain = env.disk(&opened, name).unwrap();
        let cid = chain.links()[1].cid();
        disk::relink(&Local, chain.top(), &there(hint), cid).unwrap();
        let mut config = opened.config.clone();
        config.dict_mut().set("fileSearchPath", &there(search));
        fs::write(web.path(), config.to_bytes()).unwrap();
        if let Some(listed) = listed {
            let path = base.vmx.with_extension("vmsd");
            let text = fs::read_to_string(&path).unwrap();
            let text = text.replace(web.path().to_str().unwrap(), listed);
            assert!(text.contains(listed), "{text}");
            fs::write(path, text).unwrap();
        }
        Self { root, web }
    }

    /// Asserts that the linked clone at `lab/NAME`, and what is made of it, reads as the one it was made of.
    fn assert_usable(&self, name: &str) {
        let lab = self.root.path().join("lab");
        let copy = disks(&host().open(vmx(self.root.path(), "copy")).unwrap());
        let linked = clone(&self.web, CloneKind::Linked, &lab, name);
        let full = clone(&linked, CloneKind::Full, &lab, "full");
        assert!(same_content(&disks(&full)[0], &copy[0]));
        snapshot(&linked, "s");
        let third = clone(&linked, CloneKind::Linked, self.root.path(), "third");
        let full = clone(&third, CloneKind::Full, &lab, "full3");
        assert!(same_content(&disks(&full)[0], &copy[0]));
        for vm in [&linked, &third] {
            let info = vm.info().unwrap();
            assert!(info.disks.iter().all(|disk| disk.problem.is_none()));
        }
    }
}

#[test]
fn library_of_windows_is_cloned_out_of_its_folder() {
    let (hint, search) = (r"D:\VMs\base\base.vmdk", r".;D:\VMs\base");
    let library = Library::new("base", hint, search, Some(r"D:\VMs\web\web.vmx"));
    library.assert_usable("one");
}

#[test]
fn parent_found_by_the_search_path_alone_is_found_by_the_clone() {
    for (hint, search) in [
        ("base.vmdk", r".;..\base"),
        (r"D:\old\base.vmdk", ".;BASE"),
        ("/old/base.vmdk", ".;BASE"),
    ] {
        let library = Library::new("base", hint, search, None);
        library.assert_usable("one");
        let config = fs::read_to_string(vmx(&library.root.path().join("lab"), "one")).unwrap();
        let [web, base] = ["web", "base"].map(|name| library.root.path().join("lib").join(name));
        let folders = format!("fileSearchPath = \".;{};{}\"", text(&web), text(&base));
        assert!(config.contains(&folders), "{config}");
    }
}

/// What is beside a file.
fn names(file: &Path) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(file.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn clone_that_could_not_find_its_parents_is_not_made() {
    // No search path can name that folder otherwise than relative.
    let library = Library::new("a;b", "a;b.vmdk", ".;parents", None);
    let link = library.root.path().join("lib/web/parents");
    std::os::unix::fs::symlink("../a;b", &link).unwrap();
    assert!(library.web.info().unwrap().disks[0].problem.is_none());
    // The link is none that this could read.
    let web = library.web.path();
    let parts = || {
        (
            tree_of(&library.root.path().join("lib/a;b")),
            fs::read(web),
            names(web),
        )
    };
    let before = parts();
    let destination = vmx(&library.root.path().join("lab"), "one");
    let spec = CloneSpec::new(CloneKind::Linked, &destination);
    let error = library.web.clone_to(spec).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::DiskParent);
    assert!(error.to_string().contains("is missing"), "{error}");
    assert!(error.advice().unwrap().contains("relink"), "{error}");
    assert!(format!("{:?}", parts()) == format!("{before:?}"));
    assert!(!library.root.path().join("lab").exists());
}
