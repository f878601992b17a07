//! `replix check`, `repair` and `gc`: libraries in which something went wrong.

use replix_testkit::qemu_io;

use crate::library::Library;
use crate::said::plain_amounts;

fn family() -> Library {
    let library = Library::with_base();
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked"]);
    library.silent(&["clone", "base/base.vmx", "db/db.vmx", "linked"]);
    library
}

#[test]
fn sound_library_is_told_with_its_space() {
    let library = family();
    insta::assert_snapshot!(plain_amounts(&library.shown(&["check"])), @r#"
        OWN  SHARED  TO FREE  VM
    N  -  -  /vms/base/base.vmx
     N  N  -  /vms/db/db.vmx
     N  N  -  /vms/web/web.vmx
    N  N  -  all
    3 VMs: no damage found
    "#);
    let (code, answer) = library.json(&["check", "base", "web"]);
    assert_eq!(code, Some(0));
    assert_eq!(answer["findings"].as_array().map(Vec::len), Some(0));
    assert_eq!(answer["vms"].as_array().map(Vec::len), Some(2));
    insta::assert_snapshot!(library.shown(&["repair", "--yes"]), @r#"
    there is nothing to do
    3 VMs: no damage found
    "#);
    insta::assert_snapshot!(library.shown(&["gc", "--yes"]), @r#"
    there is nothing to do
    "#);
}

#[test]
fn clone_that_was_deleted_by_hand_leaves_nothing() {
    let library = family();
    std::fs::remove_dir_all(library.path("db")).unwrap();
    insta::assert_snapshot!(plain_amounts(&library.shown(&["check"])), @r#"
    note: "/vms/base/base.vmsd" lists the linked clone "/vms/db/db.vmx" of the snapshot "Clone" (#2), which is gone
      the entry is of no use (replix repair)
    note: the snapshot "Clone" (#2) of "/vms/base/base.vmx" was made for a linked clone, and none is left
      it can go, unless you want to go back to it (replix gc)

        OWN  SHARED  TO FREE  VM
    N  -  N  /vms/base/base.vmx
     N  N  -  /vms/web/web.vmx
    N  N  N  all
    2 VMs: no damage found, 2 notes
    "#);
    let before = library.tree();
    insta::assert_snapshot!(library.replix(&["repair", "--dry-run"]), @r#"
    plan: take "/vms/db/db.vmx" out of the bookkeeping of "/vms/base/base.vmx"
    --- exit 0
    "#);
    insta::assert_snapshot!(library.replix(&["repair"]), @r#"
    plan: take "/vms/db/db.vmx" out of the bookkeeping of "/vms/base/base.vmx"
    --- stderr
    error: nobody is there to be asked: give --yes
    --- exit 2
    "#);
    assert_eq!(library.tree(), before);
    insta::assert_snapshot!(library.replix(&["repair", "--yes"]), @r#"
    plan: take "/vms/db/db.vmx" out of the bookkeeping of "/vms/base/base.vmx"
    done: "/vms/base/base.vmx" lists "/vms/db/db.vmx" no more
    2 VMs: no damage found, 1 note
    --- exit 0
    "#);
    insta::assert_snapshot!(plain_amounts(&library.shown(&["gc", "--yes"])), @r#"
    plan: remove snapshot #2 of "/vms/base/base.vmx", and merge its disks
    done: snapshot #2 of "/vms/base/base.vmx" was removed
    N freed
    "#);
    insta::assert_snapshot!(plain_amounts(&library.shown(&["check"])), @r#"
        OWN  SHARED  TO FREE  VM
    N  -  -  /vms/base/base.vmx
     N  N  -  /vms/web/web.vmx
    N  N  -  all
    2 VMs: no damage found
    "#);
}

#[test]
fn moved_parent_is_found_and_a_changed_one_is_not_made_up() {
    let library = family();
    std::fs::rename(library.path("base"), library.path("elsewhere")).unwrap();
    assert_eq!(library.replix(&["check"]).code, Some(1));
    insta::assert_snapshot!(library.replix(&["repair", "--yes"]), @r#"
    plan: hang "/vms/db/db.vmx" on its parent in "/vms/elsewhere", each naming the other
    plan: hang "/vms/web/web.vmx" on its parent in "/vms/elsewhere", each naming the other
    done: "/vms/db/db.vmx" stands on "/vms/elsewhere/base-000001.vmdk"
    done: "/vms/web/web.vmx" stands on "/vms/elsewhere/base.vmdk"
    3 VMs: no damage found
    --- exit 0
    "#);
    qemu_io(&library.path("elsewhere/base.vmdk"), "write -P 9 0 64k");
    let said = library.replix(&["repair", "--yes", "."]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.starts_with("there is nothing to do\ndamage: "),
        "{said}"
    );
    assert!(said.out.contains("put the parent back as it was"), "{said}");
    assert!(said.out.ends_with("3 VMs: damage in 3 places\n"), "{said}");
    let (code, answer) = library.json(&["check"]);
    assert_eq!(code, Some(1));
    assert_eq!(answer["findings"][0]["trouble"], "parent-changed");
    assert_eq!(answer["findings"][0]["severity"], "damage");
}

#[test]
fn folder_that_is_not_there_is_an_error() {
    let library = family();
    insta::assert_snapshot!(library.replix(&["check", "nowhere"]), @r#"
    --- stderr
    error: cannot find "/vms/nowhere": no such file or directory
    --- exit 1
    "#);
}
