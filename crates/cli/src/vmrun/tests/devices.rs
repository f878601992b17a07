//! Commands about power, devices, variables and the inventory: what the host is asked.

use std::time::Duration;

use super::{VM, call, failed, silent};
use crate::fake::Fake;

#[test]
fn power_commands_ask_and_print_nothing() {
    let asked = [
        silent(&["reset", VM]),
        silent(&["reset", VM, "hard"]),
        silent(&["suspend", VM, "SOFT"]),
        silent(&["suspend", VM, "hard nogui"]),
        silent(&["pause", VM]),
        silent(&["unpause", VM]),
        silent(&["upgradevm", VM]),
    ];
    insta::assert_snapshot!(asked.join("\n"), @"
    reset Soft
    reset Hard
    suspend Soft
    suspend Hard
    pause
    unpause
    upgrade
    ");
}

#[test]
fn vm_that_is_not_paused_cannot_go_on() {
    let fake = Fake::running(0);
    let line = failed(&fake, &["unpause", VM]);
    assert_eq!(
        line,
        "Error: The virtual machine is not paused: /vms/web/web.vmx\n"
    );
    assert!(fake.calls().is_empty());
}

#[test]
fn devices_are_named_as_they_were_typed() {
    let asked = [
        silent(&["connectNamedDevice", VM, "sata0:1"]),
        silent(&["disconnectNamedDevice", VM, "ethernet0"]),
        silent(&["typeKeystrokesInGuest", VM, "ls -l\n"]),
        silent(&["addNetworkAdapter", VM, "nat"]),
        silent(&["addNetworkAdapter", VM, "hostOnly"]),
        silent(&["addNetworkAdapter", VM, "custom", "vmnet2"]),
        silent(&["setNetworkAdapter", VM, "1", "bridged"]),
        silent(&["deleteNetworkAdapter", VM, "0"]),
    ];
    insta::assert_snapshot!(asked.join("\n"), @r#"
    Connect { device: "sata0:1", connected: true }
    Connect { device: "ethernet0", connected: false }
    Type { text: "ls -l\n" }
    AddAdapter { to: Nat }
    AddAdapter { to: HostOnly }
    AddAdapter { to: Custom("vmnet2") }
    SetAdapter { number: 1, to: Bridged }
    RemoveAdapter { number: 0 }
    "#);
}

#[test]
fn adapters_are_listed_in_columns() {
    let (text, status) = call(&Fake::default(), &["listNetworkAdapters", VM]);
    assert_eq!(status, 0);
    insta::assert_snapshot!(text, @"
    Total network adapters: 1
    INDEX  TYPE         VMNET
    0      nat          vmnet8
    ");
}

#[test]
fn variables_are_of_three_kinds() {
    let asked = [
        silent(&["writeVariable", VM, "guestVar", "ip", "10.0.0.7"]),
        silent(&["writeVariable", VM, "runtimeConfig", "annotation", ""]),
        silent(&["writeVariable", VM, "a", "b"]),
    ];
    insta::assert_snapshot!(asked.join("\n"), @r#"
    write Variable { kind: Guest, name: "ip" } "10.0.0.7"
    write Variable { kind: Config, name: "annotation" } ""
    write Variable { kind: Guest, name: "a" } "b"
    "#);
    let fake = Fake::default();
    let read = call(&fake, &["readVariable", VM, "RuntimeConfig", "memsize"]);
    assert_eq!(read, ("a value\n".into(), 0));
    let address = call(&fake, &["getGuestIPAddress", VM, "-wait"]);
    assert_eq!(address, ("a value\n".into(), 0));
    insta::assert_snapshot!(fake.calls().join("\n"), @r#"
    read Variable { kind: Config, name: "memsize" }
    read Variable { kind: Guest, name: "ip" }
    "#);
}

#[test]
fn inventory_is_kept_and_listed() {
    assert_eq!(silent(&["register", VM]), format!("register {VM}"));
    assert_eq!(silent(&["unregister", VM]), format!("unregister {VM}"));
    let list = call(&Fake::default(), &["listRegisteredVM"]);
    assert_eq!(list, (format!("Total registered VMs: 1\n{VM}\n"), 0));
}

#[test]
fn wrong_device_calls_are_told_so() {
    let fake = Fake::default();
    let lines = [
        failed(&fake, &["pause"]),
        failed(&fake, &["connectNamedDevice", VM]),
        failed(&fake, &["typeKeystrokesInGuest", VM]),
        failed(&fake, &["addNetworkAdapter", VM]),
        failed(&fake, &["addNetworkAdapter", VM, "wifi"]),
        failed(&fake, &["addNetworkAdapter", VM, "custom"]),
        failed(&fake, &["setNetworkAdapter", VM, "one", "nat"]),
        failed(&fake, &["setNetworkAdapter", VM, "256", "nat"]),
        failed(&fake, &["setNetworkAdapter", VM, "0"]),
        failed(&fake, &["deleteNetworkAdapter", VM]),
    ];
    insta::assert_snapshot!(lines.concat(), @"
    Error: No Vm name provided
    Error: The parameter DEVICE is missing
    Error: The parameter KEYS is missing
    Error: The parameter TYPE is missing
    Error: The adapter type must be nat, bridged, hostonly or custom, not 'wifi'
    Error: The parameter HOSTNETWORK is missing
    Error: 'one' is no index of a network adapter
    Error: '256' is no index of a network adapter
    Error: The parameter TYPE is missing
    Error: The parameter INDEX is missing
    ");
    assert!(fake.calls().is_empty());
}

#[test]
fn time_limit_ends_what_takes_longer() {
    let fake = Fake::slow();
    let begun = std::time::Instant::now();
    let line = failed(&fake, &["--timeout", "1", "stop", VM]);
    assert_eq!(line, "Error: The operation was not done within 1 seconds\n");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let help = failed(&fake, &[]);
    let wrong = failed(&fake, &["--timeout", "soon", "list"]);
    assert_eq!(wrong, format!("Invalid argument: --timeout\n{help}"));
}

#[test]
fn completions_are_those_of_a_shell() {
    let (text, status) = call(&Fake::default(), &["--completions", "bash"]);
    assert!(status == 0 && text.contains("complete "), "{text}");
    let line = failed(&Fake::default(), &["--completions", "csh"]);
    assert_eq!(
        line,
        "Error: There are completions for bash, zsh and fish\n"
    );
}
