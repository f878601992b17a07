//! `replix tree`: snapshots and clones as a graph, and whose the space is.

use replix_testkit::qemu_io;
use serde_json::Value;

use crate::library::Library;
use crate::said::plain_amounts;

/// base: golden -> tools -> present; a side branch at golden; clones of golden and tools, one of
/// them with a clone of its own.
fn family() -> Library {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "golden"]);
    library.silent(&["snapshot", "base/base.vmx", "experiment"]);
    library.silent(&["revertToSnapshot", "base/base.vmx", "golden"]);
    library.silent(&["snapshot", "base/base.vmx", "tools"]);
    library.silent(&[
        "clone",
        "base/base.vmx",
        "web1/web1.vmx",
        "linked",
        "golden",
    ]);
    library.silent(&[
        "clone",
        "base/base.vmx",
        "web2/web2.vmx",
        "linked",
        "golden",
    ]);
    library.silent(&["clone", "web2/web2.vmx", "test/test.vmx", "linked"]);
    library.silent(&["clone", "base/base.vmx", "db/db.vmx", "linked", "tools"]);
    library
}

#[test]
fn family_is_drawn() {
    let library = family();
    insta::assert_snapshot!(plain_amounts(&library.shown(&["tree", "base"])), @"
        OWN  SHARED
    base  N  -  /vms/base/base.vmx
    ● golden (#1)  -  N  taken N
    ├── web1  N  N  /vms/web1/web1.vmx
    ├── web2  N  N  /vms/web2/web2.vmx
    │   ● Clone (#1)  -  N  taken N
    │   ├── test  N  N  /vms/test/test.vmx
    │   ○ present state  N  -
    ├─● experiment (#2)  N  -  taken N
    ● tools (#3)  -  N  taken N
    ├── db  N  N  /vms/db/db.vmx
    ○ present state  N  -

    5 VMs take N; sharing nothing, they would take N
    ");
    insta::assert_snapshot!(plain_amounts(&library.shown(&["tree", "web1"])), @"
        OWN  SHARED
    web1  N  N  /vms/web1/web1.vmx
    ");
    insta::assert_snapshot!(plain_amounts(&library.shown(&["tree", "test"])), @"
        OWN  SHARED
    test  N  N  /vms/test/test.vmx
    ");
}

#[test]
fn list_of_snapshots_is_drawn_alike() {
    let library = family();
    insta::assert_snapshot!(plain_amounts(&library.shown(&["snapshot", "list", "base"])), @"
    ● golden  #1  N  2 linked clones
    ├─● experiment  #2  N
    ● tools  #3  N  1 linked clone
    ○ present state
    ");
}

#[test]
fn long_line_stays_in_one_column() {
    let library = Library::with_base();
    for number in 1..=12 {
        library.silent(&["snapshot", "base/base.vmx", &format!("day {number}")]);
    }
    for words in [&["tree", "base"][..], &["snapshot", "list", "base"]] {
        let shown = library.shown(words);
        let days = shown.lines().filter(|line| line.starts_with("● day "));
        assert_eq!(days.count(), 12, "{shown}");
        assert!(shown.contains("\n○ present state"), "{shown}");
    }
}

fn nodes(library: &Library, vm: &str) -> Vec<Value> {
    let (code, tree) = library.json(&["tree", vm]);
    assert_eq!(code, Some(0));
    tree["nodes"].as_array().unwrap().clone()
}

fn named<'a>(nodes: &'a [Value], name: &str) -> &'a Value {
    nodes.iter().find(|node| node["name"] == name).unwrap()
}

fn bytes(node: &Value, key: &str) -> u64 {
    node[key].as_u64().unwrap()
}

#[test]
fn space_of_parents_is_not_the_clones_own() {
    let library = family();
    qemu_io(&library.path("web1/base-cl1.vmdk"), "write -P 7 0 1M");
    let nodes = nodes(&library, "base");
    let base = named(&nodes, "base");
    assert!(bytes(base, "own_bytes") > 1 << 20);
    assert_eq!(bytes(base, "shared_bytes"), 0);
    let web1 = named(&nodes, "web1");
    assert!((1 << 20..2 << 20).contains(&bytes(web1, "own_bytes")));
    assert!(bytes(web1, "shared_bytes") > 1 << 20);
    for clone in ["web2", "test", "db"] {
        let clone = named(&nodes, clone);
        assert!(bytes(clone, "own_bytes") < 1 << 18, "{clone}");
        assert!(bytes(clone, "shared_bytes") > 1 << 20, "{clone}");
    }
    // What stands on a state shares it; a state that nothing stands on is its VM's own.
    let golden = named(&nodes, "golden");
    assert_eq!(bytes(golden, "own_bytes"), 0);
    assert_eq!(bytes(golden, "shared_bytes"), bytes(web1, "shared_bytes"));
    assert!(bytes(named(&nodes, "experiment"), "own_bytes") > 0);
}

#[test]
fn clone_in_its_parents_folder_owns_only_its_disk() {
    let library = Library::with_base();
    library.silent(&["clone", "base/base.vmx", "base/web.vmx", "linked"]);
    let nodes = nodes(&library, "base/web.vmx");
    assert!(bytes(&nodes[0], "own_bytes") < 1 << 18);
    assert!(bytes(&nodes[0], "shared_bytes") > 1 << 20);
}

#[test]
fn clone_that_is_gone_is_named() {
    let library = family();
    std::fs::remove_dir_all(library.path("web2")).unwrap();
    insta::assert_snapshot!(plain_amounts(&library.shown(&["tree", "base"])), @"
        OWN  SHARED
    base  N  -  /vms/base/base.vmx
    ● golden (#1)  -  N  taken N
    ├── web1  N  N  /vms/web1/web1.vmx
    ├── web2  -  -  /vms/web2/web2.vmx (not found)
    ├─● experiment (#2)  N  -  taken N
    ● tools (#3)  -  N  taken N
    ├── db  N  N  /vms/db/db.vmx
    ○ present state  N  -

    3 VMs take N; sharing nothing, they would take N
    ");
}
