//! VMs that are suspended and resumed: the guest goes on where it was, with the disks it had.

use std::path::Path;

use replix::Kind;
use replix::power::StopMode;
use replix::vm::PowerState;
use replix_testkit::folder;

use crate::console::{Console, talkative};
use crate::guests::{skip, start, state, stop};
use crate::running::Stopped;
use crate::vms::*;

fn memories(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("replix")).collect()
}

#[test]
fn resumed_guest_goes_on_where_it_was() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let vm = open(&talkative(library.path(), "base", &image, &[]));
    start(&vm);
    let _stopped = Stopped(vm.clone());
    let mut console = Console::of(&vm);
    console.wait_for("guest-ready");
    console.run(
        "word=kept; echo on-disk >/disk/a; echo done-$word",
        "done-kept",
    );
    vm.suspend(StopMode::Hard).wait().unwrap();
    assert_eq!(state(&vm), PowerState::Suspended);
    assert!(!vm.path().with_extension("vmx.lck").exists());
    let saved = memories(vm.path().parent().unwrap());
    assert_eq!(saved.len(), 1);
    let off = vm.power_off(StopMode::Hard).wait().unwrap_err();
    assert_eq!(off.kind(), Kind::VmNotRunning);
    let again = vm.suspend(StopMode::Hard).wait().unwrap_err();
    assert_eq!(again.kind(), Kind::VmNotRunning);

    start(&vm);
    assert_eq!(state(&vm), PowerState::On);
    let mut console = Console::of(&vm);
    console.run("cat /disk/a; echo still-$word", "still-kept");
    console.run(
        "sync; echo 3 >/proc/sys/vm/drop_caches; cat /disk/a; echo b >/disk/b; echo ok-$word",
        "ok-kept",
    );
    assert!(memories(vm.path().parent().unwrap()).is_empty());
    vm.suspend(StopMode::Soft).wait().unwrap();
    start(&vm);
    Console::of(&vm).run("cat /disk/b; echo twice-$word", "twice-kept");
    stop(&vm);
    start(&vm);
    Console::of(&vm).wait_for("boots=2 ");
}
