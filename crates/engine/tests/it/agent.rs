//! The agent in a guest: found, asked, and what power operations do with it.

use std::path::Path;

use replix::clone::CloneKind;
use replix::guest::{GuestAnswer, GuestCall};
use replix::power::StopMode;
use replix::{Kind, Vm};
use replix_testkit::folder;

use crate::guests::{await_off, guest, said, skip, start};
use crate::running::Stopped;
use crate::vms::*;

pub fn wait_for_tools(vm: &Vm) {
    let call = GuestCall::WaitForTools { seconds: Some(120) };
    assert_eq!(vm.guest(None, call).wait().unwrap(), GuestAnswer::Done);
}

/// A VM whose guest runs its agent.
pub fn with_agent(library: &Path, image: &Path) -> Stopped {
    let running = Stopped(open(&guest(library, "base", image, "scsi0:0", &[])));
    start(&running.0);
    wait_for_tools(&running.0);
    running
}

fn has_tools(vm: &Vm) -> GuestAnswer {
    vm.guest(None, GuestCall::CheckTools).wait().unwrap()
}

fn knows_agent(vm: &Vm) -> bool {
    host().provider().summary(vm.path()).unwrap().has_agent
}

#[test]
fn agent_is_waited_for_and_asked() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    start(&vm);
    let _stopped = Stopped(vm.clone());
    assert_eq!(has_tools(&vm), GuestAnswer::Exists(false));
    let early = vm.guest(None, GuestCall::WaitForTools { seconds: Some(1) });
    assert_eq!(early.wait().unwrap_err().kind(), Kind::Timeout);
    let early = vm.guest(None, GuestCall::IpAddress).wait().unwrap_err();
    assert_eq!(early.kind(), Kind::ToolsNotRunning);

    wait_for_tools(&vm);
    assert_eq!(has_tools(&vm), GuestAnswer::Exists(true));
    assert!(knows_agent(&vm));
    let text = said(&vm, "guest-ip eth0 ");
    let told = text.split("guest-ip eth0 ").nth(1).unwrap();
    let told = told.lines().next().unwrap().trim();
    let asked = vm.guest(None, GuestCall::IpAddress).wait().unwrap();
    assert_eq!(asked, GuestAnswer::Text(told.to_string()));
    // Many at once take turns.
    std::thread::scope(|scope| {
        let ask = || vm.guest(None, GuestCall::IpAddress).wait().unwrap();
        let callers: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        callers
            .into_iter()
            .for_each(|caller| assert_eq!(caller.join().unwrap(), asked));
    });
}

#[test]
fn agent_reboots_and_shuts_down_its_guest() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&guest(library.path(), "base", &image, "scsi0:0", &[]));
    start(&vm);
    let _stopped = Stopped(vm.clone());
    assert!(!knows_agent(&vm));
    let early = vm.reset(StopMode::Soft).wait().unwrap_err();
    assert_eq!(early.kind(), Kind::ToolsNotRunning);
    wait_for_tools(&vm);
    vm.reset(StopMode::Soft).wait().unwrap();
    said(&vm, "boots=2 ");
    wait_for_tools(&vm);
    vm.power_off(StopMode::Soft).wait().unwrap();
    await_off(&vm);
    let text = std::fs::read_to_string(vm.path()).unwrap();
    assert_eq!(
        text.matches("replix.agent = \"TRUE\"\n").count(),
        1,
        "{text}"
    );
    assert_eq!(text.matches("cleanShutdown = \"TRUE\"\n").count(), 1);
    let clone = clone(&vm, CloneKind::Linked, library.path(), "web");
    assert!(knows_agent(&clone));

    // Its agent is asked again until it is there.
    let text = std::fs::read_to_string(vm.path()).unwrap();
    start(&vm);
    vm.power_off(StopMode::Soft).wait().unwrap();
    await_off(&vm);
    let again = std::fs::read_to_string(vm.path()).unwrap();
    assert_eq!(text, again);
}
