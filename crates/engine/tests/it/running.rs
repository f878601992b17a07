//! VMs that run: paused, reset, told variables, asked for what is not there yet.

use std::time::{Duration, Instant};

use replix::clone::CloneKind;
use replix::guest::GuestCall;
use replix::power::{StartSpec, StopMode};
use replix::snapshot::SnapshotRef;
use replix::vm::{PowerState, Variable, VariableKind};
use replix::{Kind, Vm};
use replix_testkit::folder;

use crate::guests::{PATIENCE, await_off, guest, pid_of, said, skip, start, state, stop};
use crate::vms::*;

/// A VM that is stopped in the end, whatever the test comes to.
pub struct Stopped(pub Vm);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.power_off(StopMode::Hard).wait();
    }
}

pub fn start_paused(vm: &Vm) -> Stopped {
    let spec = StartSpec {
        paused: true,
        ..StartSpec::default()
    };
    vm.power_on(spec).wait().unwrap();
    Stopped(vm.clone())
}

fn is_listed(vm: &Vm) -> bool {
    let running = host().running().unwrap();
    running.iter().any(|other| other.path() == vm.path())
}

fn variable(kind: VariableKind, name: &str) -> Variable {
    Variable {
        kind,
        name: name.into(),
    }
}

#[test]
fn paused_start_executes_nothing_until_unpaused() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    let _stopped = start_paused(&vm);
    assert_eq!(state(&vm), PowerState::Paused);
    assert_eq!(vm.state().unwrap(), PowerState::Paused);
    assert!(is_listed(&vm));
    let again = vm.power_on(StartSpec::default()).wait().unwrap_err();
    assert_eq!(again.kind(), Kind::VmRunning);
    vm.pause().wait().unwrap();
    assert_eq!(state(&vm), PowerState::Paused);
    let serial = vm.path().with_file_name("serial.txt");
    assert_eq!(std::fs::read(serial).unwrap(), b"");

    vm.unpause().wait().unwrap();
    assert_eq!(state(&vm), PowerState::On);
    said(&vm, "guest-ready");
    vm.unpause().wait().unwrap();
    assert_eq!(state(&vm), PowerState::On);
}

#[test]
fn paused_guest_goes_on_or_is_stopped() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    start(&vm);
    let _stopped = Stopped(vm.clone());
    vm.pause().wait().unwrap();
    assert_eq!(state(&vm), PowerState::Paused);
    vm.unpause().wait().unwrap();
    said(&vm, "guest-ready");
    vm.pause().wait().unwrap();
    let asked = vm.power_off(StopMode::Soft).wait().unwrap_err();
    assert_eq!(asked.kind(), Kind::ToolsNotRunning);
    assert_eq!(state(&vm), PowerState::Paused);
    stop(&vm);
    await_off(&vm);
    assert!(!is_listed(&vm));
}

#[test]
fn reset_boots_again_also_when_paused() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    start(&vm);
    let _stopped = Stopped(vm.clone());
    said(&vm, "boots=1 ");
    let soft = vm.reset(StopMode::Soft).wait().unwrap_err();
    assert_eq!(soft.kind(), Kind::ToolsNotRunning);
    vm.reset(StopMode::Hard).wait().unwrap();
    said(&vm, "boots=2 ");
    vm.pause().wait().unwrap();
    vm.reset(StopMode::Hard).wait().unwrap();
    assert_eq!(state(&vm), PowerState::On);
    said(&vm, "boots=3 ");
}

/// What the configuration says of the VM's last run, as a client reads it.
fn clean_shutdown(vm: &Vm) -> String {
    let text = std::fs::read_to_string(vm.path()).unwrap();
    let lines = || {
        text.lines()
            .filter(|line| line.starts_with("CleanShutdown"))
    };
    assert_eq!(lines().count(), 1, "{text}");
    lines().next().unwrap().split('"').nth(1).unwrap().into()
}

#[test]
fn configuration_says_whether_the_last_run_ended_in_order() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let lines = [("CleanShutdown", "true"), ("after", "1")];
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &lines));
    let before = std::fs::read_to_string(vm.path()).unwrap();
    let process = |vm: &Vm| pid_of(vm).to_string();

    let _stopped = start_paused(&vm);
    assert_eq!(clean_shutdown(&vm), "FALSE");
    stop(&vm);
    assert_eq!(clean_shutdown(&vm), "TRUE");
    let text = std::fs::read_to_string(vm.path()).unwrap();
    for line in before.lines().filter(|line| !line.contains("Shutdown")) {
        assert!(text.lines().any(|other| other == line), "{line}: {text}");
    }

    start_paused(&vm).0.suspend(StopMode::Hard).wait().unwrap();
    assert_eq!(clean_shutdown(&vm), "TRUE");
    start(&vm);
    assert_eq!(clean_shutdown(&vm), "FALSE");
    replix_testkit::peer("kill", ["-9", &process(&vm)]);
    await_off(&vm);
    assert_eq!(clean_shutdown(&vm), "FALSE");
    let clone = clone(&vm, CloneKind::Full, library.path(), "clone");
    assert_eq!(clean_shutdown(&clone), "TRUE");

    // It ends by itself while another process works on the VM, which may be writing the file.
    let _ending = start_paused(&vm);
    let work = std::fs::File::open(vm.path().parent().unwrap()).unwrap();
    work.lock().unwrap();
    replix_testkit::peer("kill", ["-TERM", &process(&vm)]);
    await_off(&vm);
    assert_eq!(clean_shutdown(&vm), "FALSE");
    drop(work);
    let deadline = Instant::now() + PATIENCE;
    while clean_shutdown(&vm) != "TRUE" {
        assert!(Instant::now() < deadline, "nobody says how it ended");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn vm_that_is_off_refuses_what_needs_power() {
    let library = folder();
    let vm = open(&simple(library.path(), "base"));
    let guest = variable(VariableKind::Guest, "a");
    let config = variable(VariableKind::Config, "a");
    let refused = [
        vm.pause().wait(),
        vm.unpause().wait(),
        vm.reset(StopMode::Hard).wait(),
        vm.reset(StopMode::Soft).wait(),
        vm.suspend(StopMode::Hard).wait(),
        vm.power_off(StopMode::Hard).wait(),
        vm.guest(None, GuestCall::ListProcesses).wait().map(drop),
        vm.read_variable(&guest).map(drop),
        vm.write_variable(&guest, "1"),
        vm.write_variable(&config, "1"),
    ];
    for (number, refused) in refused.into_iter().enumerate() {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), Kind::VmNotRunning, "{number}: {error}");
    }
}

#[test]
fn running_vm_says_what_is_not_supported_yet() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    let _stopped = start_paused(&vm);
    let install = GuestCall::InstallTools {
        auto_upgrade: false,
        return_immediately: false,
        arguments: None,
    };
    let error = vm.guest(None, install).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::NotSupported);
    assert!(
        error.to_string().contains("installing the agent"),
        "{error}"
    );
    let error = vm.upgrade_hardware().wait().unwrap_err();
    assert_eq!(error.kind(), Kind::VmRunning);
}

#[test]
fn variables_last_until_the_power_goes() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let lines = [("guestinfo.Role", "web"), ("custom.key", "stored")];
    let test_vm = guest(library.path(), "base", &image, "scsi0:0", &lines);
    let vm = open(&test_vm);
    let config = |name| variable(VariableKind::Config, name);
    let message = |name| variable(VariableKind::Guest, name);
    let read = |variable: &Variable| open(&test_vm).read_variable(variable).unwrap();
    let write = |variable: &Variable, value| open(&test_vm).write_variable(variable, value);

    assert_eq!(read(&config("Custom.Key")), "stored");
    assert_eq!(read(&config("custom.other")), "");
    let _stopped = start_paused(&vm);
    let stored = test_vm.config();
    assert_eq!(read(&message("role")), "web");
    assert_eq!(read(&message("ip")), "");
    write(&message("IP"), "192.0.2.7").unwrap();
    write(&config("custom.KEY"), "a \"new\"\none: \u{e9}").unwrap();
    write(&config("custom.other"), "other").unwrap();
    write(&config("custom.other"), "").unwrap();
    assert_eq!(read(&message("ip")), "192.0.2.7");
    assert_eq!(read(&config("guestinfo.ip")), "192.0.2.7");
    assert_eq!(read(&config("custom.key")), "a \"new\"\none: \u{e9}");
    assert_eq!(read(&config("custom.other")), "");
    for (variable, value) in [
        (message("a/b"), "1"),
        (message("a"), "b=c"),
        (config(""), "1"),
    ] {
        let error = write(&variable, value).unwrap_err();
        assert_eq!(error.kind(), Kind::Argument, "{error}");
    }
    assert_eq!(test_vm.config(), stored);

    stop(&vm);
    assert_eq!(read(&config("custom.key")), "stored");
    let _again = start_paused(&vm);
    assert_eq!(read(&message("ip")), "");
    assert_eq!(test_vm.config(), stored);
}

#[test]
fn many_writers_of_variables_lose_nothing() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    let _stopped = start_paused(&vm);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let vm = &vm;
            scope.spawn(move || {
                for n in 0..8 {
                    let name = format!("v{writer}.{n}");
                    let variable = variable(VariableKind::Guest, &name);
                    vm.write_variable(&variable, &name).unwrap();
                }
            });
        }
    });
    for writer in 0..8 {
        for n in 0..8 {
            let name = format!("v{writer}.{n}");
            let variable = variable(VariableKind::Guest, &name);
            assert_eq!(vm.read_variable(&variable).unwrap(), name);
        }
    }
}

#[test]
fn revert_cuts_the_power_once_nothing_speaks_against_it() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    let uid = snapshot(&vm, "s");
    let _stopped = start_paused(&vm);
    let other = vm.revert(SnapshotRef::Name("t".into())).wait();
    assert_eq!(other.unwrap_err().kind(), Kind::SnapshotNotFound);
    assert_eq!(state(&vm), PowerState::Paused);

    let revert = vm.revert(SnapshotRef::Uid(uid));
    let job = revert.job().clone();
    revert.wait().unwrap();
    assert_eq!(state(&vm), PowerState::Off);
    assert_eq!(job.warnings(), ["the VM was running: its power was cut"]);
}
