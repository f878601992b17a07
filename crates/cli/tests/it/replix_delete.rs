//! `replix delete`: asks, names the clones, never touches what is shared.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::library::{Library, Program, changes};
use crate::said::plain_amounts;

/// base with the clones web1 and web2, and a clone of web2.
fn family() -> Library {
    let library = Library::with_base();
    library.silent(&["clone", "base/base.vmx", "web1/web1.vmx", "linked"]);
    library.silent(&["clone", "base/base.vmx", "web2/web2.vmx", "linked"]);
    library.silent(&["clone", "web2/web2.vmx", "test/test.vmx", "linked"]);
    library
}

#[test]
fn parent_of_clones_is_refused() {
    let library = family();
    let before = library.tree();
    let mut all = String::new();
    for words in [
        &["delete", "base", "--yes"][..],
        &["delete", "web2", "--yes"],
        &["delete", "base", "--yes", "--json"],
    ] {
        all += &library.replix(words).to_string();
    }
    insta::assert_snapshot!(all, @r#"
    --- stderr
    error: cannot delete "/vms/base/base.vmx": 3 linked clones stand on its disks: "web1" ("/vms/web1/web1.vmx"), "web2" ("/vms/web2/web2.vmx"), "test" ("/vms/test/test.vmx")
    hint: delete the clones first, or give --force: they will not work any more
    --- exit 1
    --- stderr
    error: cannot delete "/vms/web2/web2.vmx": 1 linked clone stands on its disks: "test" ("/vms/test/test.vmx")
    hint: delete the clones first, or give --force: they will not work any more
    --- exit 1
    {
      "error": {
        "hint": "delete the clones first, or give --force: they will not work any more",
        "kind": "Busy",
        "message": "cannot delete \"/vms/base/base.vmx\": 3 linked clones stand on its disks: \"web1\" (\"/vms/web1/web1.vmx\"), \"web2\" (\"/vms/web2/web2.vmx\"), \"test\" (\"/vms/test/test.vmx\")",
        "path": "/vms/base/base.vmx"
      },
      "warnings": []
    }
    --- exit 1
    "#);
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}

#[test]
fn nobody_to_ask_is_a_wrong_call() {
    let library = family();
    let before = library.tree();
    insta::assert_snapshot!(library.replix(&["delete", "web1"]), @"
    --- stderr
    error: nobody is there to be asked: give --yes
    --- exit 2
    ");
    insta::assert_snapshot!(library.replix(&["delete", "web1", "--json"]), @r#"
    {
      "error": {
        "hint": null,
        "kind": "Argument",
        "message": "nobody is there to be asked: give --yes",
        "path": null
      },
      "warnings": []
    }
    --- exit 2
    "#);
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}

#[test]
fn clone_goes_and_its_parent_forgets_it() {
    let library = family();
    let before = library.tree();
    insta::assert_snapshot!(library.replix(&["delete", "web1", "--yes"]), @r#"
    "/vms/web1/web1.vmx" deleted
    --- exit 0
    "#);
    let mut changed = changes(&before, &library.tree());
    changed.retain(|line| !line.starts_with("web1"));
    assert_eq!(changed, ["base/base.vmsd: changed"]);
    assert!(!library.path("web1").exists());
    let (_, info) = library.json(&["info", "base"]);
    assert_eq!(info["clones"], serde_json::json!(["/vms/web2/web2.vmx"]));
}

#[test]
fn forced_delete_leaves_the_clones_files() {
    let library = family();
    let before = library.tree();
    insta::assert_snapshot!(library.replix(&["delete", "base", "--yes", "--force"]), @r#"
    "/vms/base/base.vmx" deleted
    --- exit 0
    "#);
    assert!(!library.path("base").exists());
    let mut changed = changes(&before, &library.tree());
    changed.retain(|line| !line.starts_with("base"));
    assert_eq!(changed, [""; 0]);
    // The clone cannot be used any more, but it can be looked at, and deleted.
    let (code, info) = library.json(&["info", "web1"]);
    assert_eq!(code, Some(0));
    assert!(info["disks"][0]["problem"].is_string());
    let said = library.replix(&["delete", "web1", "--yes"]);
    insta::assert_snapshot!(said, @r#"
    "/vms/web1/web1.vmx" deleted
    --- stderr
    warning: the parent still lists the deleted clone: "/vms/base/base.vmx" is not to be found
    --- exit 0
    "#);
    assert!(!library.path("web1").exists());
}

#[test]
fn disks_may_be_kept() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    insta::assert_snapshot!(library.replix(&["delete", "base", "--yes", "--keep-disks"]), @r#"
    "/vms/base/base.vmx" deleted
    --- exit 0
    "#);
    let left: Vec<_> = library.tree().into_keys().collect();
    insta::assert_debug_snapshot!(left, @r#"
    [
        "base",
        "base/base-000001.vmdk",
        "base/base.vmdk",
    ]
    "#);
}

#[test]
fn files_that_are_not_the_vms_stay() {
    let library = Library::with_base();
    std::fs::write(library.path("base/notes.txt"), "mine").unwrap();
    library.shown(&["delete", "base", "--yes"]);
    let left: Vec<_> = library.tree().into_keys().collect();
    insta::assert_debug_snapshot!(left, @r#"
    [
        "base",
        "base/notes.txt",
    ]
    "#);
}

/// What `replix` says to a person at a terminal who types `answer`; `None`, said, where no terminal
/// can be had.
fn asked(library: &Library, words: &str, answer: &str) -> Option<String> {
    let call = format!("{} {words}", Program::Replix.path().display());
    let mut script = library.command("script");
    script.args(["--quiet", "--return", "--command", &call, "/dev/null"]);
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = script.spawn() else {
        eprintln!("skipped: there is no `script` to make a terminal");
        return None;
    };
    let mut said = Vec::new();
    let mut byte = [0];
    let mut stdout = child.stdout.take().unwrap();
    while !said.ends_with(b"[y/N] ") {
        stdout.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    // The terminal shows what is typed.
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(answer.as_bytes())
        .unwrap();
    stdout.read_to_end(&mut said).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stdout = said;
    Some(library.said(&output).to_string().replace('\r', ""))
}

#[test]
fn person_is_asked_first() {
    let library = family();
    let before = library.tree();
    let Some(said) = asked(&library, "delete web1", "n\n") else {
        return;
    };
    insta::assert_snapshot!(plain_amounts(&said), @r#"
    delete "/vms/web1/web1.vmx" with its disks, N? [y/N] n
    error: nothing was deleted
    --- exit 130
    "#);
    let said = asked(&library, "delete base --force", "\n").unwrap();
    insta::assert_snapshot!(plain_amounts(&said), @r#"
    3 linked clones stand on it: "web1" ("/vms/web1/web1.vmx"), "web2" ("/vms/web2/web2.vmx"), "test" ("/vms/test/test.vmx")
    delete "/vms/base/base.vmx" with its disks, N? [y/N] 
    error: nothing was deleted
    --- exit 130
    "#);
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
    let said = asked(&library, "delete web1", "y\n").unwrap();
    insta::assert_snapshot!(plain_amounts(&said), @r#"
    delete "/vms/web1/web1.vmx" with its disks, N? [y/N] y
    "/vms/web1/web1.vmx" deleted
    --- exit 0
    "#);
    assert!(!library.path("web1").exists());
}
