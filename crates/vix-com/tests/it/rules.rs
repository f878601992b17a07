//! What COM asks of objects and of a library, and C has not.

use std::fmt::Write as _;

use vix::constants::ALL;

use crate::client::{Client, Way};
use crate::fixtures::with_snapshots;
use crate::wine::{Wine, succeed};

#[test]
fn objects_keep_the_rules_of_com() {
    let Some(wine) = Wine::new() else { return };
    let vm = with_snapshots(&wine.machines(), &["cold"]);
    let folder = wine.name_of(&vm.dir);
    let client = Client::new("rules", Way::BySlot);
    assert_eq!(
        client.run(&wine, &[&wine.name_of(&vm.vmx), &folder]),
        ["done"]
    );
}

#[test]
fn threads_share_objects_and_are_called_on_their_own() {
    let Some(wine) = Wine::new() else { return };
    let vm = with_snapshots(&wine.machines(), &[]);
    let folder = wine.name_of(&vm.dir);
    let client = Client::new("apartments", Way::BySlot);
    assert_eq!(
        client.run(&wine, &[&wine.name_of(&vm.vmx), &folder]),
        ["done"]
    );
}

#[test]
fn scripts_see_the_constants_of_the_table() {
    let Some(wine) = Wine::without_service() else {
        return;
    };
    let rows: Vec<_> = ALL.iter().filter(|row| row.in_com).collect();
    let mut script = String::from("Set VixCOM = CreateObject(\"VixCOM\")\r\n");
    for name in rows.iter().map(|row| row.name) {
        write!(script, "WScript.Echo VixCOM.Constants.{name}\r\n").unwrap();
    }
    script += "WScript.Echo \"END\"\r\n";
    let folder = wine.user.path("home");
    std::fs::write(folder.join("constants.vbs"), script).unwrap();
    let said = wine.script_in(&folder, "constants.vbs", &[]);
    // Scripts have 32 bits, with a sign.
    let expected = rows.iter().map(|row| (row.value as i32).to_string());
    assert_eq!(said, expected.collect::<Vec<_>>());
}

#[test]
fn registration_is_undone() {
    /// The class, the type library, the first and the last interface, and the names.
    const TRACES: &[&str] = &[
        "6874E949-7186-4308-A1B9-D55A91F60728",
        "7A474EE3-0062-4239-AE91-134AC9BD5FD3",
        "94EAA428-2460-470D-8F66-2A4270AFF20A",
        "F1D44D76-784D-44FF-8FEA-D35A154825A0",
        "VixCOM.VixLib",
        "VixCOM.dll",
    ];
    let Some(wine) = Wine::without_service() else {
        return;
    };
    let traces = |registry: &str| -> Vec<_> {
        let registry = registry.to_ascii_lowercase();
        let is_left = |trace: &&&str| registry.contains(&trace.to_ascii_lowercase());
        TRACES.iter().filter(is_left).copied().collect()
    };
    let registry = wine.registry();
    assert_eq!(traces(&registry), TRACES);
    let paths = registry
        .lines()
        .filter_map(|line| line.strip_prefix("@=\""));
    let mut dlls = paths.filter_map(|line| line.strip_suffix("VixCOM.dll\""));
    let dll = dlls.next().unwrap().replace("\\\\", "\\") + "VixCOM.dll";
    let mut regsvr32 = wine.command("regsvr32".as_ref());
    succeed(regsvr32.args(["/u", "/s", &dll]));
    wine.end();
    assert_eq!(traces(&wine.registry()), [""; 0]);
}
