//! The table of power, asked of the COM library on a VM that really runs, is paused and is suspended.

use replix_testkit::{edges, ticking};
use vix::constants::ALL;

use crate::client::{Client, Way};
use crate::wine::Wine;

/// The number of one of VIX's errors.
fn code(result: &str) -> i64 {
    let name = match result {
        "OK" => "VIX_OK".to_owned(),
        other => format!("VIX_E_{other}"),
    };
    let row = ALL.iter().find(|row| row.name == name);
    row.unwrap_or_else(|| panic!("{name}")).value
}

/// The rows of one state, by a VM that has no agent.
fn check_all(from: &str) {
    let Some(wine) = Wine::new() else { return };
    let vm = ticking(&wine.machines(), "base").build();
    let rows: Vec<_> = edges()
        .into_iter()
        .filter(|edge| edge.from == from && !edge.needs_tools)
        .collect();
    let (vmx, clone) = (wine.name_of(&vm.vmx), "C:\\Virtual Machines\\new\\new.vmx");
    let mut args = vec![vmx.as_str(), clone, from];
    args.extend(rows.iter().map(|edge| edge.operation));
    let said = Client::new("power_edges", Way::BySlot).run(&wine, &args);
    let expected: Vec<_> = rows
        .iter()
        .map(|edge| format!("{}: {} {}", edge.operation, code(edge.result), edge.to))
        .collect();
    assert_eq!(said, expected);
}

replix_testkit::test_each_state!(check_all);
