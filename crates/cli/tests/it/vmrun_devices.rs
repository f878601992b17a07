//! `vmrun` and the parts of a VM: adapters, plugs, the keyboard, variables, its processors.
//!
//! The VM's disk holds no system: its firmware runs, which is all that these tests need.

use std::fs;

use crate::library::Library;
use crate::running::{Running, startable};

const VMX: &str = "base/base.vmx";

fn listed(library: &Library) -> String {
    library.vmrun(&["listNetworkAdapters", VMX]).out
}

#[test]
fn adapters_come_and_go() {
    let library = Library::with_base();
    let before = fs::read_to_string(library.path(VMX)).unwrap();
    assert_eq!(listed(&library), "Total network adapters: 0\n");
    library.silent(&["addNetworkAdapter", VMX, "nat"]);
    library.silent(&["addNetworkAdapter", VMX, "custom", "vmnet2"]);
    library.silent(&["addNetworkAdapter", VMX, "bridged"]);
    library.silent(&["setNetworkAdapter", VMX, "0", "hostonly"]);
    insta::assert_snapshot!(listed(&library), @"
    Total network adapters: 3
    INDEX  TYPE         VMNET
    0      hostonly     vmnet1
    1      custom       vmnet2
    2      bridged      vmnet0
    ");
    library.silent(&["deleteNetworkAdapter", VMX, "0"]);
    library.silent(&["setNetworkAdapter", VMX, "1", "nat"]);
    insta::assert_snapshot!(listed(&library), @"
    Total network adapters: 2
    INDEX  TYPE         VMNET
    1      nat          vmnet8
    2      bridged      vmnet0
    ");
    library.silent(&["deleteNetworkAdapter", VMX, "1"]);
    library.silent(&["deleteNetworkAdapter", VMX, "2"]);
    assert_eq!(fs::read_to_string(library.path(VMX)).unwrap(), before);
}

#[test]
fn wrong_adapters_are_refused() {
    let library = Library::with_base();
    let lines = [
        library.refused(&["addNetworkAdapter", VMX, "wifi"]),
        library.refused(&["addNetworkAdapter", VMX, "custom"]),
        library.refused(&["addNetworkAdapter", VMX, "custom", "eth0"]),
        library.refused(&["setNetworkAdapter", VMX, "0", "nat"]),
        library.refused(&["setNetworkAdapter", VMX, "x", "nat"]),
        library.refused(&["deleteNetworkAdapter", VMX, "0"]),
        library.refused(&["addNetworkAdapter", "none.vmx", "nat"]),
        library.refused(&["listNetworkAdapters", "none.vmx"]),
    ];
    insta::assert_snapshot!(lines.concat(), @r#"
    Error: The adapter type must be nat, bridged, hostonly or custom, not 'wifi'
    Error: The parameter HOSTNETWORK is missing
    Error: there is no virtual network "eth0" (they are called vmnet0 to vmnet255)
    Error: "/vms/base/base.vmx" has no network adapter 0
    Error: 'x' is no index of a network adapter
    Error: "/vms/base/base.vmx" has no network adapter 0
    Error: Cannot open VM: /vms/none.vmx, The virtual machine cannot be found
    Error: Cannot open VM: /vms/none.vmx, The virtual machine cannot be found
    "#);
}

#[test]
fn vm_that_is_off_has_nothing_to_plug() {
    let library = Library::with_base();
    for words in [
        &["reset", VMX][..],
        &["reset", VMX, "hard"],
        &["suspend", VMX],
        &["suspend", VMX, "hard"],
        &["pause", VMX],
        &["unpause", VMX],
        &["connectNamedDevice", VMX, "ethernet0"],
        &["disconnectNamedDevice", VMX, "sata0:1"],
        &["typeKeystrokesInGuest", VMX, "ls"],
        &["readVariable", VMX, "guestVar", "ip"],
        &["writeVariable", VMX, "guestVar", "a", "b"],
        &["writeVariable", VMX, "runtimeConfig", "a", "b"],
        &["getGuestIPAddress", VMX],
        &["getGuestIPAddress", VMX, "-wait"],
    ] {
        let line = library.refused(words);
        let wanted = "Error: The virtual machine is not powered on: /vms/base/base.vmx\n";
        assert_eq!(line, wanted, "{words:?}");
    }
    let value = library.vmrun(&["readVariable", VMX, "runtimeConfig", "displayName"]);
    assert_eq!((value.out.as_str(), value.code), ("base\n", Some(0)));
    let unset = library.vmrun(&["readVariable", VMX, "runtimeConfig", "none"]);
    assert_eq!((unset.out.as_str(), unset.code), ("\n", Some(0)));
    let tools = library.vmrun(&["checkToolsState", VMX]);
    assert_eq!((tools.out.as_str(), tools.code), ("unknown\n", Some(254)));
    library.silent(&["upgradevm", VMX]);
}

#[test]
fn running_vm_is_paused_and_goes_on() {
    let Some(library) = startable() else { return };
    let _running = Running::start(&library, VMX);
    library.silent(&["pause", VMX]);
    library.silent(&["pause", VMX]);
    assert_eq!(library.json(&["info", "base"]).1["state"], "paused");
    let list = library.vmrun(&["list"]).out;
    assert!(
        list.lines().any(|line| line == "/vms/base/base.vmx"),
        "{list}"
    );
    library.silent(&["unpause", VMX]);
    let lines = [
        library.refused(&["unpause", VMX]),
        library.refused(&["addNetworkAdapter", VMX, "nat"]),
        library.refused(&["deleteNetworkAdapter", VMX, "0"]),
        library.refused(&["upgradevm", VMX]),
        library.refused(&["getGuestIPAddress", VMX]),
        library.refused(&["getGuestIPAddress", VMX, "-wait"]),
    ];
    insta::assert_snapshot!(lines.concat(), @r#"
    Error: The virtual machine is not paused: /vms/base/base.vmx
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is running
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is running
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is running
    Error: Unable to get the IP address
    Error: Unable to get the IP address: it is on no network of this host (let root make one: replix network setup)
    "#);
    library.silent(&["reset", VMX, "hard"]);
    assert_eq!(library.json(&["info", "base"]).1["state"], "on");
}

#[test]
fn variables_last_while_the_vm_runs() {
    let Some(library) = startable() else { return };
    let running = Running::start(&library, VMX);
    let read = |kind, name| library.vmrun(&["readVariable", VMX, kind, name]).out;
    library.silent(&["writeVariable", VMX, "guestVar", "ip", "10.0.0.7"]);
    library.silent(&["writeVariable", VMX, "runtimeConfig", "annotation", "a b"]);
    assert_eq!(read("guestVar", "IP"), "10.0.0.7\n");
    assert_eq!(read("runtimeConfig", "guestinfo.ip"), "10.0.0.7\n");
    assert_eq!(read("runtimeConfig", "annotation"), "a b\n");
    let address = library.vmrun(&["getGuestIPAddress", VMX, "-wait"]).out;
    assert_eq!(address, "10.0.0.7\n");
    let lines = [
        library.refused(&["writeVariable", VMX, "guestVar", "a/b", "c"]),
        library.refused(&["writeVariable", VMX, "guestVar", "a", "b=c"]),
        library.refused(&["writeVariable", VMX, "guestVar", "a"]),
    ];
    insta::assert_snapshot!(lines.concat(), @r#"
    Error: no variable can be called "a/b"
    Error: a variable cannot be "b=c": it has a "="
    Error: The parameter VALUE is missing
    "#);
    drop(running);
    assert_eq!(read("runtimeConfig", "annotation"), "\n");
}

/// A VM with a CD and two adapters.
fn with_devices() -> Option<Library> {
    let library = startable()?;
    let lines = [
        ("sata0.present", "TRUE"),
        ("sata0:1.present", "TRUE"),
        ("sata0:1.deviceType", "cdrom-image"),
        ("sata0:1.fileName", "cd.iso"),
        ("sata0:2.present", "TRUE"),
        ("sata0:2.deviceType", "cdrom-raw"),
        ("ethernet0.present", "TRUE"),
        ("ethernet1.present", "TRUE"),
        ("ethernet1.startConnected", "FALSE"),
    ];
    library.with_lines("web", &lines);
    fs::write(library.path("web/cd.iso"), vec![0; 1 << 16]).unwrap();
    Some(library)
}

#[test]
fn devices_are_plugged_and_pulled() {
    let Some(library) = with_devices() else {
        return;
    };
    let vmx = "web/web.vmx";
    let _running = Running::start(&library, vmx);
    let log = fs::read_to_string(library.path("web/vmware.log")).unwrap();
    let pid = log
        .split(" pid=")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let has_cd = || {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let mut targets = open.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        targets.any(|target| target.ends_with("web/cd.iso"))
    };
    assert!(has_cd());
    library.silent(&["disconnectNamedDevice", vmx, "sata0:1"]);
    assert!(!has_cd());
    library.silent(&["disconnectNamedDevice", vmx, "sata0:1"]);
    library.silent(&["connectNamedDevice", vmx, "SATA0:1"]);
    assert!(has_cd());
    library.silent(&["disconnectNamedDevice", vmx, "ethernet0"]);
    library.silent(&["connectNamedDevice", vmx, "ethernet0"]);
    library.silent(&["typeKeystrokesInGuest", vmx, "Ab 1!?\n"]);
    let lines = [
        library.refused(&["connectNamedDevice", vmx, "sata0:2"]),
        library.refused(&["connectNamedDevice", vmx, "ethernet1"]),
        library.refused(&["connectNamedDevice", vmx, "ethernet2"]),
        library.refused(&["disconnectNamedDevice", vmx, "scsi0:0"]),
        library.refused(&["disconnectNamedDevice", vmx, "nonsense"]),
        library.refused(&["typeKeystrokesInGuest", vmx, "ls ü"]),
    ];
    insta::assert_snapshot!(lines.concat(), @r#"
    Error: The operation is not supported for the specified parameters: "/vms/web/web.vmx": sata0:2 has no image that could be put in
    Error: The operation is not supported for the specified parameters: "/vms/web/web.vmx": ethernet1 was started without a network: set its startConnected, and start the VM again
    Error: "/vms/web/web.vmx" has no device "ethernet2"
    Error: The operation is not supported for the specified parameters: "/vms/web/web.vmx": scsi0:0 stays as it is while the VM runs
    Error: "/vms/web/web.vmx" has no device "nonsense"
    Error: no key of an American keyboard writes \u{fc}
    "#);
}

/// A floppy disk of 1.44 MB as Packer makes it: as much of it as tells what it is.
fn floppy() -> Vec<u8> {
    let mut image = vec![0; 1_474_560];
    image[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
    image[11..24].copy_from_slice(&[0, 2, 1, 1, 0, 2, 0, 2, 0x40, 0x0b, 0xf8, 12, 0]);
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image
}

#[test]
fn floppy_from_elsewhere_is_read_if_it_is_one() {
    let Some(library) = startable() else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let [disk, text] = ["packer123", "text"].map(|name| elsewhere.path().join(name));
    fs::write(&disk, floppy()).unwrap();
    fs::write(&text, vec![b'x'; 1_474_560]).unwrap();
    let lines = [
        ("floppy0.fileType", "file"),
        ("floppy0.fileName", disk.to_str().unwrap()),
        ("floppy1.fileType", "file"),
        ("floppy1.fileName", text.to_str().unwrap()),
    ];
    library.with_lines("web", &lines);
    let vmx = "web/web.vmx";
    let running = Running::start(&library, vmx);
    let log = fs::read_to_string(library.path("web/vmware.log")).unwrap();
    let (_, from_pid) = log.split_once(" pid=").unwrap();
    let process = format!("/proc/{}", from_pid.split(' ').next().unwrap());
    let open = fs::read_dir(format!("{process}/fd")).unwrap().flatten();
    let mut open = open.map(|fd| (fd.file_name(), fs::read_link(fd.path()).unwrap_or_default()));
    let (fd, _) = open.find(|(_, target)| *target == disk).unwrap();
    let fd = format!("{process}/fdinfo/{}", fd.display());
    let flags = fs::read_to_string(fd).unwrap();
    let flags = flags.lines().find(|line| line.starts_with("flags:"));
    assert!(flags.unwrap().ends_with('0'), "{flags:?}");
    drop(running);
    let told = [
        format!("floppy0 is write-protected: {disk:?} lies outside the folder of its VM"),
        format!(
            "floppy1 will be empty: {text:?} lies outside the folder of its VM: if that is right, allow the folder "
        ),
    ];
    assert!(told.iter().all(|told| log.contains(told)), "{log}");
    let _running = Running::watch(&library, vmx);
    let started = library.replix(&["start", vmx]);
    assert_eq!(started.code, Some(0), "{started}");
    assert!(
        told.iter().all(|told| started.err.contains(told)),
        "{started}"
    );
}

#[test]
fn port_forwardings_belong_to_a_network() {
    let library = Library::new();
    let networks = library.vmrun(&["listHostNetworks"]);
    assert!(networks.out.starts_with("Total host networks: "));
    assert_eq!(networks.code, Some(0));
    let lines = [
        library.refused(&["listPortForwardings", "vmnet77"]),
        library.refused(&["listPortForwardings"]),
        library.refused(&["setPortForwarding", "vmnet8", "tcp", "80"]),
        library.refused(&[
            "setPortForwarding",
            "vmnet77",
            "tcp",
            "80",
            "10.0.0.7",
            "80",
        ]),
        library.refused(&["deletePortForwarding", "vmnet77", "tcp", "80"]),
    ];
    insta::assert_snapshot!(lines.concat(), @"
    Error: There is no host network 'vmnet77'
    Error: The parameter HOSTNETWORK is missing
    Error: The parameter GUESTIP is missing
    Error: There is no host network 'vmnet77'
    Error: There is no host network 'vmnet77'
    ");
}
