//! `vmrun start`, `stop` and `list`: a machine that outlives the command and leaves nothing.
//!
//! The VM's disk holds no system: its firmware runs, which is all that these tests need.

use std::fs;
use std::path::Path;

use replix_testkit::qemu_io;

use crate::library::{Library, Program, changes};
use crate::running::{Running, startable};

fn is_listed(library: &Library, vmx: &str) -> bool {
    let list = library.vmrun(&["list"]).out;
    let (count, paths) = list.split_once('\n').unwrap();
    assert_eq!(
        count,
        format!("Total running VMs: {}", paths.lines().count())
    );
    paths.lines().any(|line| line == format!("/vms/{vmx}"))
}

/// The process of a VM, as the first line of its log tells.
fn log_pid(library: &Library, folder: &str) -> String {
    let log = fs::read_to_string(library.path(folder).join("vmware.log")).unwrap();
    let first = log.lines().next().unwrap();
    let told = first.split(" pid=").nth(1).unwrap();
    told.split(' ').next().unwrap().into()
}

#[test]
fn vm_runs_until_it_is_stopped() {
    let Some(library) = startable() else { return };
    let vmx = "base/base.vmx";
    let before = library.tree();
    assert!(!is_listed(&library, vmx));
    let running = Running::start(&library, vmx);
    assert!(is_listed(&library, vmx));
    let pid = &log_pid(&library, "base");
    assert!(Path::new("/proc").join(pid).exists());
    let (_, info) = library.json(&["info", "base"]);
    assert_eq!(info["state"], "on");
    library.silent(&["stop", vmx, "hard"]);
    assert!(!is_listed(&library, vmx));
    assert!(!Path::new("/proc").join(pid).exists());
    drop(running);
    let left = changes(&before, &library.tree());
    // It says that this run ended in order.
    assert_eq!(left, ["base/base.vmx: changed", "base/vmware.log: new"]);
}

#[test]
fn vm_whose_folder_is_gone_can_be_stopped() {
    let Some(library) = startable() else { return };
    let vmx = "gone/gone.vmx";
    let make = || library.silent(&["clone", "base/base.vmx", vmx, "full"]);
    make();
    let _running = Running::start(&library, vmx);
    let process = log_pid(&library, "gone");
    fs::remove_dir_all(library.path("gone")).unwrap();
    assert!(is_listed(&library, vmx));
    let lines = [
        library.refused(&["stop", vmx, "soft"]),
        library.refused(&["deleteVM", vmx]),
        library.refused(&["start", vmx]),
        library
            .run(library.program(Program::Replix).args(["stop", vmx]))
            .to_string(),
    ];
    insta::assert_snapshot!(lines.concat(), @r#"
    Error: Cannot open VM: /vms/gone/gone.vmx, The virtual machine cannot be found
    Error: The virtual machine should not be powered on. It is already running. Cause: the VM at "/vms/gone/gone.vmx" lost its files while it ran (its machine still runs, and a hard stop ends it)
    Error: Cannot open VM: /vms/gone/gone.vmx, The virtual machine cannot be found
    --- stderr
    error: "/vms/gone/gone.vmx": there is no virtual machine here
    hint: its machine still runs, and a hard stop ends it
    --- exit 1
    "#);
    library.silent(&["stop", vmx, "hard"]);
    assert!(!is_listed(&library, vmx));
    assert!(!Path::new("/proc").join(process).exists());
    library.refused(&["stop", vmx, "hard"]);

    // Nor is the machine forgotten for another VM that lies there since.
    make();
    library.silent(&["start", vmx]);
    fs::remove_dir_all(library.path("gone")).unwrap();
    make();
    insta::assert_snapshot!(library.refused(&["start", vmx]), @r#"Error: The virtual machine should not be powered on. It is already running. Cause: the VM at "/vms/gone/gone.vmx" lost its files while it ran (its machine still runs, and a hard stop ends it)"#);
    library.silent(&["stop", vmx, "hard"]);
    library.silent(&["start", vmx]);
    let link = library.path("link");
    std::os::unix::fs::symlink(library.path("."), &link).unwrap();
    fs::remove_dir_all(library.path("gone")).unwrap();
    let mut call = library.program(Program::Replix);
    call.args(["stop", "--hard", "link/gone/gone.vmx"]);
    insta::assert_snapshot!(library.run(&mut call), @r#"
    "/vms/gone/gone.vmx" is off
    --- exit 0
    "#);
    assert!(!is_listed(&library, vmx));
}

#[test]
fn running_vm_refuses_what_needs_it_off() {
    let Some(library) = startable() else { return };
    let vmx = "base/base.vmx";
    library.silent(&["snapshot", vmx, "s"]);
    let _running = Running::start(&library, vmx);
    let lines = [
        library.refused(&["start", vmx]),
        library.refused(&["deleteVM", vmx]),
        library.refused(&["clone", vmx, "web/web.vmx", "full"]),
        library.refused(&["clone", vmx, "web/web.vmx", "full", "s"]),
        library.refused(&["clone", vmx, "web/web.vmx", "linked"]),
    ];
    insta::assert_snapshot!(lines.concat(), @r#"
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is running
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is running
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is running
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is running
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is running
    "#);
    // Snapshots come and go while it runs.
    library.silent(&["snapshot", vmx, "t"]);
    library.silent(&["deleteSnapshot", vmx, "t"]);
    // What a snapshot froze is still, and may be cloned.
    library.silent(&["clone", vmx, "web/web.vmx", "linked", "s"]);
    let list = library.vmrun(&["listSnapshots", vmx]);
    assert_eq!(list.out, "Total snapshots: 1\ns\n");
    // Going back to it gives up what runs.
    library.silent(&["revertToSnapshot", vmx, "s"]);
    library.refused(&["stop", vmx]);
}

#[test]
fn vm_that_is_off_cannot_be_stopped() {
    let library = Library::with_base();
    let lines = [
        library.refused(&["stop", "base/base.vmx"]),
        library.refused(&["stop", "base/base.vmx", "hard"]),
        library.refused(&["stop", "base/base.vmx", "soft nogui"]),
        library.refused(&["stop", "none.vmx"]),
        library.refused(&["start", "none.vmx"]),
    ];
    insta::assert_snapshot!(lines.concat(), @"
    Error: The virtual machine is not powered on: /vms/base/base.vmx
    Error: The virtual machine is not powered on: /vms/base/base.vmx
    Error: The virtual machine is not powered on: /vms/base/base.vmx
    Error: Cannot open VM: /vms/none.vmx, The virtual machine cannot be found
    Error: Cannot open VM: /vms/none.vmx, The virtual machine cannot be found
    ");
}

#[test]
fn vm_whose_parent_was_touched_is_not_started() {
    let Some(library) = startable() else { return };
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked"]);
    qemu_io(&library.path("base/base.vmdk"), "write -P 3 1M 64k");
    let line = library.refused(&["start", "web/web.vmx", "nogui"]);
    insta::assert_snapshot!(crate::said::plain_ids(&line), @r#"Error: the parent was modified since the child was made: "/vms/base/base.vmdk" has content id id-1, but "/vms/web/base-cl1.vmdk" stands on id-2 (put back the parent as it was when the child was made; changing the ids instead would hide damage)"#);
}

#[test]
fn without_qemu_the_package_is_named() {
    let library = Library::with_base();
    let mut call = library.program(Program::Vmrun);
    let said = library.run(
        call.args(["start", "base/base.vmx"])
            .env("PATH", "/nowhere"),
    );
    insta::assert_snapshot!(said, @"
    Error: qemu-system-x86_64 is not installed (install the package qemu-system-x86 (on Fedora: qemu-system-x86-core))
    --- exit 255
    ");
}

#[test]
fn linked_clones_run_beside_each_other() {
    let Some(library) = startable() else { return };
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    library.silent(&["clone", "base/base.vmx", "web1/web1.vmx", "linked", "s"]);
    library.silent(&["clone", "base/base.vmx", "web2/web2.vmx", "linked", "s"]);
    let one = Running::start(&library, "web1/web1.vmx");
    let _two = Running::start(&library, "web2/web2.vmx");
    assert!(is_listed(&library, "web1/web1.vmx") && is_listed(&library, "web2/web2.vmx"));
    drop(one);
    assert!(!is_listed(&library, "web1/web1.vmx") && is_listed(&library, "web2/web2.vmx"));
}
