//! Every method of every interface: the COM library answers as the C library does, by name and by slot.

use std::collections::BTreeSet;

use crate::client::{Client, Way};
use crate::fixtures::base;
use crate::wine::{Wine, sources};

/// The lines of the acts, in which the user's folder for VMs is called `VMS`.
fn lines(wine: &Wine, way: Way) -> Vec<String> {
    let library = wine.machines().join(format!("{way:?}"));
    std::fs::create_dir(&library).unwrap();
    let vm = base(&library);
    let (vmx, folder) = match way {
        Way::C => (
            vm.vmx.to_str().unwrap().into(),
            library.to_str().unwrap().into(),
        ),
        _ => (wine.name_of(&vm.vmx), wine.name_of(&library)),
    };
    let said = Client::new("acts", way).run(wine, &[&vmx, &folder]);
    let common = |line: &String| line.replace(&folder, "VMS").replace('\\', "/");
    said.iter().map(common).collect()
}

fn answers_as_c(way: Way) {
    let Some(wine) = Wine::new() else { return };
    let expected = lines(&wine, Way::C);
    let said = lines(&wine, way);
    let pairs = said.iter().zip(&expected);
    let different: Vec<_> = pairs.filter(|(com, c)| com != c).collect();
    assert!(different.is_empty(), "COM and C: {different:#?}");
    assert_eq!(said.len(), expected.len());
    let called: BTreeSet<_> = said
        .iter()
        .filter_map(|line| line.split(':').next())
        .collect();
    let called: BTreeSet<_> = called
        .iter()
        .map(|name| name.replace("host as ", ""))
        .collect();
    let missing: Vec<_> = methods()
        .into_iter()
        .filter(|name| !called.contains(name))
        .collect();
    assert!(missing.is_empty(), "not called: {missing:?}");
}

/// The methods that the interface definition declares, as `IHost.OpenVM`.
fn methods() -> Vec<String> {
    let text = std::fs::read_to_string(sources().join("../VixCOM.idl")).unwrap();
    let mut methods = Vec::new();
    let mut interface = "";
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("interface ") {
            interface = declared.split(" :").next().unwrap();
        }
        if let Some((_, method)) = line.split_once(" HRESULT ") {
            methods.push(format!("{interface}.{}", method.split('(').next().unwrap()));
        }
    }
    assert_eq!(methods.len(), 5 + 4 + 1 + 1 + 6 + 3 + 6 + 1 + 40 + 9);
    methods
}

#[test]
fn methods_answer_by_slot_as_in_c() {
    answers_as_c(Way::BySlot);
}

#[test]
fn methods_answer_by_name_as_in_c() {
    answers_as_c(Way::ByName);
}
