//! `vmrun deleteVM`: the VM's own files go, what others stand on stays.

use std::fs;

use crate::library::{Library, changes};

#[test]
fn vm_goes_with_its_folder() {
    let library = Library::with_base();
    library.vm("other");
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    library.silent(&["deleteVM", "base/base.vmx", "nogui"]);
    assert!(!library.path("base").exists());
    assert!(library.path("other/other.vmx").exists());
    let line = library.refused(&["deleteVM", "base/base.vmx"]);
    insta::assert_snapshot!(line, @"Error: Cannot open VM: /vms/base/base.vmx, The virtual machine cannot be found");
}

#[test]
fn linked_clone_leaves_its_parent_whole() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    let before = library.tree();
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked", "s"]);
    library.silent(&["deleteVM", "web/web.vmx"]);
    // The entry is gone; what a number of none leaves in the text does not matter.
    let mut changed = changes(&before, &library.tree());
    changed.retain(|line| line != "base/base.vmsd: changed");
    assert_eq!(changed, [""; 0]);
    let (_, info) = library.json(&["info", "base"]);
    assert_eq!(info["clones"].as_array().unwrap().len(), 0);
    library.silent(&["deleteVM", "base/base.vmx"]);
}

#[test]
fn parent_of_living_clones_is_refused() {
    let library = Library::with_base();
    library.silent(&["clone", "base/base.vmx", "web1/web1.vmx", "linked"]);
    library.silent(&["clone", "base/base.vmx", "web2/web2.vmx", "linked"]);
    insta::assert_snapshot!(library.refused(&["deleteVM", "base/base.vmx"]), @r#"Error: The virtual machine is busy or others depend on it: linked clones stand on "/vms/base/base.vmx": "/vms/web1/web1.vmx", "/vms/web2/web2.vmx" (delete those first; without its disks they are lost)"#);
    fs::remove_dir_all(library.path("web1")).unwrap();
    insta::assert_snapshot!(library.refused(&["deleteVM", "base/base.vmx"]), @r#"Error: The virtual machine is busy or others depend on it: linked clones stand on "/vms/base/base.vmx": "/vms/web2/web2.vmx" (delete those first; without its disks they are lost)"#);
    fs::remove_dir_all(library.path("web2")).unwrap();
    library.silent(&["deleteVM", "base/base.vmx"]);
}

#[test]
fn clone_out_of_sight_counts_as_living() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked", "s"]);
    fs::rename(library.path("web"), library.path("../home/web")).unwrap();
    let vmsd = library.path("base/base.vmsd");
    let text = fs::read_to_string(&vmsd).unwrap();
    let here = library.word("web/web.vmx");
    fs::write(&vmsd, text.replace(&here, "D:\\vms\\web\\web.vmx")).unwrap();
    insta::assert_snapshot!(library.refused(&["deleteVM", "base/base.vmx"]), @r#"Error: The virtual machine is busy or others depend on it: linked clones stand on "/vms/base/base.vmx": "D:\vms\web\web.vmx" (out of sight) (delete those first; without its disks they are lost)"#);
}

#[test]
fn setting_lets_parents_go() {
    let library = Library::with_base();
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked"]);
    library.set("delete.parents = \"allow\"\n");
    let before = library.tree();
    library.silent(&["deleteVM", "base/base.vmx"]);
    let mut changed = changes(&before, &library.tree());
    changed.retain(|line| !line.starts_with("base"));
    assert_eq!(changed, [""; 0]);
}

#[test]
fn vm_in_use_is_refused() {
    let library = Library::with_base();
    let lock = library.path("base/base.vmx.lck");
    fs::create_dir(&lock).unwrap();
    let member =
        "uuid=00-11-22-33-44-55-66-77-88-99-aa-bb-cc-dd-ee-ff 12-34(vmware-vmx) 1 X 34 lc=1 ";
    fs::write(lock.join("M12345.lck"), member).unwrap();
    insta::assert_snapshot!(library.refused(&["deleteVM", "base/base.vmx"]), @r#"Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is being run by vmware-vmx (process 12) on another machine (if no other machine has it open, as after copying it from there, remove "/vms/base/base.vmx.lck")"#);
}
