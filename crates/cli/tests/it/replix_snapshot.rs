//! `replix snapshot`: take, list, go back, remove.

use crate::library::Library;
use crate::said::plain_amounts;

#[test]
fn snapshots_are_taken_and_gone_back_to() {
    let library = Library::with_base();
    let mut all = String::new();
    for words in [
        &["snapshot", "list", "base"][..],
        &["snapshot", "base", "golden"],
        &[
            "snapshot",
            "create",
            "base/base.vmx",
            "tools",
            "--description",
            "with tools",
        ],
        &["snapshot", "revert", "base", "#1"],
        &["snapshot", "revert", "base", "golden/tools"],
        &["snapshot", "revert", "base", "golden", "--quiet"],
        &["snapshot", "list", "base"],
    ] {
        all += &plain_amounts(&library.replix(words).to_string());
    }
    insta::assert_snapshot!(all, @r##"
    no snapshots
    --- exit 0
    snapshot "golden" (#1) taken
    --- exit 0
    snapshot "tools" (#2) taken
    --- exit 0
    back at snapshot "#1"
    --- exit 0
    back at snapshot "golden/tools"
    --- exit 0
    --- exit 0
    ● golden  #1  N
    ├─● tools  #2  N  "with tools"
    ○ present state
    --- exit 0
    "##);
}

#[test]
fn snapshot_is_json() {
    let library = Library::with_base();
    let (code, taken) = library.json(&["snapshot", "base", "golden"]);
    assert_eq!(
        (code, &taken["name"], &taken["uid"]),
        (Some(0), &"golden".into(), &1.into())
    );
    let (_, list) = library.json(&["snapshot", "list", "base"]);
    assert_eq!(list["current"], 1);
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn wrong_snapshots_are_told_with_a_hint() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "a"]);
    library.silent(&["snapshot", "base/base.vmx", "a"]);
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked", "a/a"]);
    let mut all = String::new();
    for words in [
        &["snapshot", "revert", "base", "b"][..],
        &["snapshot", "revert", "base", "a"],
        &["snapshot", "revert", "base", "#7"],
        &["snapshot", "remove", "base", "#2"],
        &["snapshot", "remove", "base", "#1", "--children"],
        &["snapshot", "base", ""],
    ] {
        let said = library.replix(words);
        assert!(said.code != Some(0), "{words:?}");
        all += &said.to_string();
    }
    insta::assert_snapshot!(all, @r#"
    --- stderr
    error: there is no snapshot "b"
    hint: see what there is: replix snapshot list VMX
    --- exit 1
    --- stderr
    error: 2 snapshots fit "a"
    hint: name one by its number (#1, #2) or by its path
    --- exit 1
    --- stderr
    error: there is no snapshot number 7
    hint: see what there is: replix snapshot list VMX
    --- exit 1
    --- stderr
    error: snapshot "a" is used by linked clones: "/vms/web/web.vmx"
    hint: delete those clones first
    --- exit 1
    --- stderr
    error: snapshot "a" is used by linked clones: "/vms/web/web.vmx"
    hint: delete those clones first
    --- exit 1
    --- stderr
    error: a value is required for '<NAME>' but none was supplied

    For more information, try '--help'.
    --- exit 2
    "#);
}

#[test]
fn snapshots_are_removed() {
    let library = Library::with_base();
    for name in ["a", "b", "c"] {
        library.silent(&["snapshot", "base/base.vmx", name]);
    }
    let mut all = String::new();
    for words in [
        &["snapshot", "remove", "base", "b"][..],
        &["snapshot", "list", "base"],
        &["snapshot", "remove", "base", "a", "--children"],
        &["snapshot", "list", "base"],
    ] {
        all += &plain_amounts(&library.replix(words).to_string());
    }
    insta::assert_snapshot!(all, @r#"
    snapshot "b" removed
    --- exit 0
    ● a  #1  N
    ● c  #3  N
    ○ present state
    --- exit 0
    snapshot "a" and all below it removed
    --- exit 0
    no snapshots
    --- exit 0
    "#);
}
