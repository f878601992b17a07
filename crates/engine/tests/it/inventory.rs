//! The list of registered VMs: nothing is lost, nothing that is gone is listed.

use std::path::{Path, PathBuf};

use replix::clone::DeleteSpec;
use replix::vm::Settings;
use replix::{Host, Kind};
use replix_testkit::{TestVm, VmBuilder, folder};

use crate::guests::{guest, skip, start, stop};
use crate::vms::open;

/// This machine with a list of its own in `state`, whose folders are not there yet.
fn host_with(state: &Path) -> Host {
    Host::local_with(Settings {
        inventory: Some(state.join("state/replix/inventory.vmls")),
        ..Settings::default()
    })
}

fn vm(library: &Path, name: &str) -> TestVm {
    VmBuilder::new(library, name).build()
}

fn registered(host: &Host) -> Vec<PathBuf> {
    let vms = host.registered().unwrap();
    vms.iter().map(|vm| vm.path().to_path_buf()).collect()
}

#[test]
fn many_registrations_at_once_lose_nothing() {
    let library = folder();
    let names: Vec<String> = (0..32).map(|number| format!("vm{number:02}")).collect();
    let vms: Vec<TestVm> = names.iter().map(|name| vm(library.path(), name)).collect();
    std::thread::scope(|scope| {
        for share in vms.chunks(4) {
            let host = host_with(library.path());
            scope.spawn(move || {
                for vm in share {
                    host.register(&vm.vmx).unwrap();
                    host.register(&vm.vmx).unwrap();
                }
                host.unregister(&share[0].vmx).unwrap();
            });
        }
    });
    let mut listed = registered(&host_with(library.path()));
    listed.sort();
    let kept = vms.chunks(4).flat_map(|share| &share[1..]);
    let expected: Vec<PathBuf> = kept.map(|vm| vm.vmx.canonicalize().unwrap()).collect();
    assert_eq!(listed, expected);
}

#[test]
fn one_vm_is_listed_once_by_all_its_names() {
    let library = folder();
    let host = host_with(library.path());
    let vm = vm(library.path(), "base");
    let link = library.path().join("link");
    std::os::unix::fs::symlink(&vm.dir, &link).unwrap();
    host.register(&vm.vmx).unwrap();
    host.register(link.join("base.vmx")).unwrap();
    assert_eq!(registered(&host), [vm.vmx.canonicalize().unwrap()]);
    std::fs::remove_file(&vm.vmx).unwrap();
    assert!(registered(&host).is_empty());
    host.unregister(link.join("base.vmx")).unwrap();
    std::fs::write(&vm.vmx, "displayName = \"again\"\n").unwrap();
    assert!(registered(&host).is_empty());
}

#[test]
fn deleted_vm_is_taken_out() {
    let library = folder();
    let host = host_with(library.path());
    for name in ["a", "b"] {
        host.register(vm(library.path(), name).vmx).unwrap();
    }
    let all = DeleteSpec {
        disks: true,
        force: false,
    };
    let gone = host.registered().unwrap().swap_remove(0);
    gone.delete(all).wait().unwrap();
    let text = std::fs::read_to_string(library.path().join("state/replix/inventory.vmls"));
    assert!(!text.unwrap().contains("a.vmx"));
    assert_eq!(registered(&host).len(), 1);
}

#[test]
fn running_vm_stays_registered() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let host = host_with(library.path());
    let test_vm = guest(library.path(), "base", &image, "scsi0:0", &[]);
    let vm = open(&test_vm);
    host.register(vm.path()).unwrap();
    start(&vm);
    let refused = host.unregister(vm.path()).unwrap_err();
    stop(&vm);
    assert_eq!(refused.kind(), Kind::VmRunning);
    assert_eq!(registered(&host), [vm.path()]);
    host.unregister(vm.path()).unwrap();
    assert!(registered(&host).is_empty());
}
