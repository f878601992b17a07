//! `replix start`, `stop`, `list`, and the four commands that the README begins with.

use crate::library::Library;
use crate::running::{Running, startable};
use crate::said::plain_amounts;

#[test]
fn four_commands_of_the_readme_work() {
    let Some(library) = startable() else { return };
    let _running = Running::watch(&library, "web1/web1.vmx");
    let mut all = String::new();
    for words in [
        &["snapshot", "base/base.vmx", "golden"][..],
        &["clone", "--linked", "--start", "base/base.vmx", "web1"],
        &["tree", "base/base.vmx"],
    ] {
        all += &plain_amounts(&library.replix(words).to_string());
    }
    insta::assert_snapshot!(all, @r#"
    snapshot "golden" (#1) taken
    --- exit 0
    linked clone of snapshot "golden" made in N: /vms/web1/web1.vmx
    "/vms/web1/web1.vmx" runs
    --- exit 0
        OWN  SHARED
    base  N  -  /vms/base/base.vmx
    ● golden (#1)  -  N  taken N
    ├── web1  N  N  /vms/web1/web1.vmx (running)
    ○ present state  N  -

    2 VMs take N; sharing nothing, they would take N
    --- exit 0
    "#);
}

#[test]
fn vm_is_started_listed_and_stopped() {
    let Some(library) = startable() else { return };
    let _running = Running::watch(&library, "base/base.vmx");
    let mut all = String::new();
    for words in [
        &["start", "base"][..],
        &["start", "base"],
        &["stop", "base", "--hard"],
        &["stop", "base", "--hard"],
    ] {
        all += &library.replix(words).to_string();
        let (_, list) = library.json(&["list"]);
        let mut vms = list["vms"].as_array().unwrap().iter();
        let state = vms
            .find(|vm| vm["path"] == "/vms/base/base.vmx")
            .map(|vm| &vm["state"]);
        all += &format!("--- listed: {state:?}\n");
    }
    insta::assert_snapshot!(all, @r#"
    "/vms/base/base.vmx" runs
    --- exit 0
    --- listed: Some(String("on"))
    --- stderr
    error: "/vms/base/base.vmx" is running
    hint: power it off first: replix stop VMX
    --- exit 1
    --- listed: Some(String("on"))
    "/vms/base/base.vmx" is off
    --- exit 0
    --- listed: None
    --- stderr
    error: "/vms/base/base.vmx" is not powered on
    hint: see what runs: replix list
    --- exit 1
    --- listed: None
    "#);
}

#[test]
fn parent_of_a_running_clone_can_be_cloned() {
    let Some(library) = startable() else { return };
    library.shown(&["clone", "--linked", "base", "web1"]);
    let _running = Running::start(&library, "web1/web1.vmx");
    library.shown(&["clone", "--linked", "base", "web2"]);
    let refused = library.replix(&["delete", "web1", "--yes"]);
    insta::assert_snapshot!(refused, @r#"
    --- stderr
    error: "/vms/web1/web1.vmx" is running
    hint: power it off first: replix stop VMX
    --- exit 1
    "#);
    let (_, tree) = library.json(&["tree", "base"]);
    let nodes = tree["nodes"].as_array().unwrap();
    let running: Vec<_> = nodes
        .iter()
        .filter(|node| node["running"] == true)
        .collect();
    assert_eq!(running.len(), 1);
    assert_eq!(running[0]["name"], "web1");
}

#[test]
fn template_is_cloned_but_not_started() {
    let library = Library::new();
    library.with_lines("base", &[("templateVM", "TRUE")]);
    insta::assert_snapshot!(library.replix(&["start", "base"]), @r#"
    --- stderr
    error: "/vms/base/base.vmx" is a template
    hint: clone it and start the clone, or take templateVM out of its configuration
    --- exit 1
    "#);
    library.shown(&["clone", "--linked", "base", "web"]);
    let (_, info) = library.json(&["info", "web"]);
    assert_eq!(info["template"], false);
}
