//! Folders of real VMs, as people published them: each opens, says what it is and what it lacks, and
//! is cloned or refused for the true reason. Work is done on copies.

use std::fs;
use std::path::{Path, PathBuf};

use replix::clone::{CloneKind, CloneSpec, DeleteSpec};
use replix::snapshot::SnapshotRef;
use replix::vm::{PowerState, Verdict, VmInfo};
use replix::{Error, Kind, Vm};
use replix_testkit::{folder, peer, same_content, tree_of};
use tempfile::TempDir;

use crate::samples::{files, samples};
use crate::vms::{clone, disks, host, try_clone, vmx};

/// What is true of each sample: its path, display name, state, disks, and the first file whose lack
/// keeps it from being cloned, if that is what does.
const FACTS: &str = "
cyrillic-test/Test.vmx | Test | off | ide1:1 Test.vmdk | Test-s001.vmdk
debian10/Debian 10.x 64-bit.vmx | Debian 10.x 64-bit | off | scsi0:0 Debian 10.x 64-bit.vmdk | Debian 10.x 64-bit-s001.vmdk
encrypted-win11/Windows 11 x64.vmx | Windows 11 x64 | suspended | nvme0:0 Windows 11 x64.vmdk |
esxi-vmx/test-i-vmx-1.vmx | BZ1308535_21disks | off | * | BZ1308535_21disks.vmdk
esxi-vmx/test-i-vmx-3.vmx | RHEL 7.1 UEFI | off | scsi0:0 RHEL-7.1-UEFI.vmdk | RHEL-7.1-UEFI.vmdk
esxi-vmx/test-i-vmx-5.vmx | MSEdge - Win10_preview | off | scsi0:0 MSEdge-Win10_preview.vmdk | MSEdge-Win10_preview.vmdk
esxi-vmx/test-i-vmx-6.vmx | esx6.7-rhel8.6-nvme-disk | off | nvme0:0 nvme-disk.vmdk | nvme-disk.vmdk
fortigate-depi/FortiGate DEPi.vmx | FortiGate DEPi | off | scsi0:0 FortiGate DEPi-disk1.vmdk, scsi0:1 FortiGate DEPi-disk2.vmdk | FortiGate DEPi-disk1.vmdk
fortigate/FortiGate.vmx | FortiGate | off | scsi0:0 FortiGate-disk1.vmdk, scsi0:1 FortiGate-disk2.vmdk | FortiGate-disk1.vmdk
full-clone-hadoop/HadoopVMDev.vmx | HadoopVMDev | off | scsi0:0 HadoopVM-cl1.vmdk | HadoopVM-cl1-s001.vmdk
fusion-govmx/a.vmx | coreos_production_vmware-410-0-0 | off | scsi0:0 coreos_production_vmware_image.vmdk | coreos_production_vmware_image.vmdk
fusion-govmx/b.vmx | core01 | off | scsi0:0 disk-cl1.vmdk | disk-cl1.vmdk
gbk-flat/OSTA_ASM.vmx | OSTA_ASM | off | ide0:0 OSTA_ASM.vmdk | OSTA_ASM-flat.vmdk
gbk-lab/ScadaBR.vmx | ScadaBR | off | sata0:0 ScadaBR-disk1-000001.vmdk | ScadaBR-disk1-000001.vmdk
gbk-lab/Ubuntu 64 位.vmx | Ubuntu 64 位 | off | scsi0:0 Ubuntu 64 位-000001.vmdk | Ubuntu 64 位-000001.vmdk
gbk-lab/bozhi.vmx | ubuntu20.04 | off | scsi0:0 bozhi.vmdk | bozhi.vmdk
gbk-lab/somachinev4.3.vmx | somachinev4.3 | off | nvme0:0 somachinev4.3-000001.vmdk | somachinev4.3-000001.vmdk
korean-ubuntu/Ubuntu 64-bit.vmx | docker_study | off | scsi0:0 Ubuntu 64-bit.vmdk | Ubuntu 64-bit-s001.vmdk
linked-clone-kali/kali-1.vmx | kali-1 | off | sata0:0 kali-disk1-cl1.vmdk | kali-disk1-cl1.vmdk
locked-ubuntu/Ubuntu.vmx | Ubuntu | foreign | scsi0:0 Ubuntu.vmdk |
metasploitable/Metasploitable.vmx | Metasploitable2-Linux | off | scsi0:0 Metasploitable.vmdk | Metasploitable.vmdk
old-ws3/MyOS.vmx | MyOS | off | |
sjis-windows7/Windows 7 x64.vmx | Windows 7 x64 Test | off | scsi0:0 Windows 7 x64.vmdk | Windows 7 x64-s001.vmdk
snapshot-project-it/Project IT.vmx | Project IT | off | scsi0:0 Project IT-disk1.vmdk | Project IT-disk1.vmdk
snapshot-project-it/Project-IT.vmx | Project-IT | off | scsi0:0 Project IT-disk1-cl1-000006.vmdk | Project IT-disk1-cl1-000006.vmdk
suspended-pianos/PIaNOS.vmx | PIaNOS | locked | ide0:0 PIaNOS.vmdk |
suspended-sysadmin/Ubuntu 64-bit.vmx | Ubuntu 64-bit | suspended | scsi0:0 Ubuntu 64-bit.vmdk | Ubuntu 64-bit-s001.vmdk
template-macos/vmx/macos1015/macos1015.vmx | macos-1015-init | off | |
two-disks-centos/CentOS 64-bit.vmx | CentOS 64-bit | off | scsi0:0 CentOS 64-bit.vmdk, scsi0:1 CentOS 64-bit-0.vmdk | CentOS 64-bit-s001.vmdk
";

/// A line of [`FACTS`].
struct Fact {
    path: &'static str,
    name: &'static str,
    state: &'static str,
    disks: Vec<String>,
    missing: &'static str,
}

fn facts() -> Vec<Fact> {
    let lines = FACTS.lines().filter(|line| !line.is_empty());
    lines.map(fact).collect()
}

fn fact(line: &'static str) -> Fact {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let [path, name, state, disks, missing] = cells[..] else {
        panic!("{line}");
    };
    let disks = match disks {
        // Fifteen places on the first controller, without that of the controller itself.
        "*" => (0..21)
            .map(|n| match n {
                0 => "scsi0:0 BZ1308535_21disks.vmdk".to_owned(),
                1..=6 => format!("scsi0:{n} BZ1308535_21disks_{n}.vmdk"),
                7..=14 => format!("scsi0:{} BZ1308535_21disks_{n}.vmdk", n + 1),
                _ => format!("scsi1:{} BZ1308535_21disks_{n}.vmdk", n - 15),
            })
            .collect(),
        disks => disks
            .split(", ")
            .filter(|d| !d.is_empty())
            .map(str::to_owned)
            .collect(),
    };
    Fact {
        path,
        name,
        state,
        disks,
        missing,
    }
}

/// Copies the folder of a sample to `library/vm`, as its owner would have it, and opens the VM.
fn copy(path: &str) -> Option<(TempDir, Vm)> {
    let from = samples()?.join(path);
    let library = folder();
    let to = library.path().join("vm");
    let copied = peer(
        "cp",
        [
            "-r".as_ref(),
            "--no-preserve=mode".as_ref(),
            from.parent().unwrap().as_os_str(),
            to.as_os_str(),
        ],
    );
    assert!(copied.status.success());
    let vm = host().open(to.join(from.file_name().unwrap())).unwrap();
    Some((library, vm))
}

/// Makes a VM around the sample of a disk.
fn around(disk: &str) -> Option<(TempDir, Vm)> {
    let from = samples()?.join(disk);
    let library = folder();
    let dir = library.path().join("vm");
    fs::create_dir(&dir).unwrap();
    let name = from.file_name().unwrap().to_str().unwrap();
    fs::write(dir.join(name), fs::read(&from).unwrap()).unwrap();
    let text = format!(
        "config.version = \"8\"\nvirtualHW.version = \"12\"\nide0:0.present = \"TRUE\"\n\
         ide0:0.fileName = \"{name}\"\n"
    );
    fs::write(dir.join("vm.vmx"), text).unwrap();
    let vm = host().open(vmx(library.path(), "vm")).unwrap();
    Some((library, vm))
}

fn info(path: &str) -> Option<VmInfo> {
    copy(path).map(|(_library, vm)| vm.info().unwrap())
}

const BOTH: [CloneKind; 2] = [CloneKind::Full, CloneKind::Linked];

/// Returns the error with which a clone, planned or made, ends.
fn refused(vm: &Vm, library: &Path, kind: CloneKind) -> Error {
    let spec = CloneSpec::new(kind, vmx(library, "new"));
    let before = tree_of(library);
    let planned = host().provider().plan_clone(vm.path(), &spec).unwrap_err();
    let made = try_clone(vm, spec).err();
    assert_eq!(made, Some(planned.kind()), "{planned}");
    assert_eq!(before, tree_of(library), "{planned}");
    planned
}

#[test]
fn every_sample_is_known() {
    let Some(dir) = samples() else { return };
    let known: Vec<PathBuf> = facts().iter().map(|fact| dir.join(fact.path)).collect();
    let mut found = files("vmx");
    found.retain(|path| !known.contains(path));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn every_sample_says_what_it_is_and_lacks() {
    for fact in facts() {
        let Some((library, vm)) = copy(fact.path) else {
            return;
        };
        let before = tree_of(library.path());
        let info = vm.info().unwrap();
        assert_eq!(info.display_name, fact.name);
        assert_eq!(
            format!("{:?}", info.state).to_lowercase(),
            fact.state,
            "{}",
            fact.path
        );
        let slots = info
            .disks
            .iter()
            .map(|disk| format!("{} {}", disk.node, disk.file_name));
        assert_eq!(slots.collect::<Vec<_>>(), fact.disks);
        for disk in info.disks.iter().filter(|_| !fact.missing.is_empty()) {
            let problem = disk.problem.as_deref().unwrap();
            let told = |text: &&String| text.contains(problem) && text.len() > problem.len() + 20;
            assert!(problem.contains(" is missing"), "{problem}");
            assert!(
                info.warnings.iter().any(|text| told(&text)),
                "{problem} has no cure"
            );
        }
        for text in &info.warnings {
            assert!(
                !text.contains(|c: char| c.is_control() || c == '\u{fffd}'),
                "{text:?}"
            );
        }
        let tree = host().provider().lineage(vm.path()).unwrap();
        assert!(!tree.children.is_empty(), "{}", fact.path);
        assert_eq!(before, tree_of(library.path()), "{}", fact.path);
    }
}

#[test]
fn incomplete_samples_are_refused_by_the_missing_file() {
    for fact in facts().iter().filter(|fact| !fact.missing.is_empty()) {
        let Some((library, vm)) = copy(fact.path) else {
            return;
        };
        for kind in BOTH {
            let error = refused(&vm, library.path(), kind);
            if fact.state == "suspended" && kind == CloneKind::Linked {
                assert_eq!(error.kind(), Kind::VmRunning);
                continue;
            }
            assert_eq!(error.kind(), Kind::FileNotFound, "{}: {error}", fact.path);
            assert_eq!(error.path().unwrap().file_name().unwrap(), fact.missing);
            assert!(error.to_string().contains(fact.missing) && error.advice().is_some());
        }
    }
}

#[test]
fn incomplete_samples_can_be_deleted() {
    for fact in facts()
        .iter()
        .filter(|fact| matches!(fact.state, "off" | "suspended"))
    {
        let Some((library, vm)) = copy(fact.path) else {
            return;
        };
        let name = vm.path().file_name().unwrap().to_owned();
        let before = tree_of(library.path());
        let all = DeleteSpec {
            disks: true,
            force: false,
        };
        vm.delete(all).wait().unwrap();
        let after = tree_of(library.path());
        assert!(!after.contains_key(&Path::new("vm").join(name)));
        // Another VM in the folder is as it was.
        for (path, hash) in before {
            if path.extension().is_some_and(|ending| ending == "vmx") {
                assert!(after.get(&path).is_none_or(|now| *now == hash));
            }
        }
    }
}

#[test]
fn encrypted_sample_is_refused_as_such() {
    let Some((library, vm)) = copy("encrypted-win11/Windows 11 x64.vmx") else {
        return;
    };
    for kind in BOTH {
        let error = refused(&vm, library.path(), kind);
        assert_eq!(error.kind(), Kind::Encrypted);
        assert!(error.to_string().contains("virtual TPM"), "{error}");
    }
    assert!(
        vm.info()
            .unwrap()
            .warnings
            .iter()
            .any(|text| text.contains("encrypted"))
    );
}

#[test]
fn running_sample_is_refused_by_its_holder() {
    let Some((library, vm)) = copy("locked-ubuntu/Ubuntu.vmx") else {
        return;
    };
    for kind in BOTH {
        let error = refused(&vm, library.path(), kind);
        assert_eq!(error.kind(), Kind::VmRunning);
        let holder = "vmware-vmx.exe (process 7892) on another machine";
        assert!(error.to_string().contains(holder), "{error}");
        assert!(error.advice().unwrap().contains(".lck"));
    }
}

#[test]
fn suspended_sample_is_cloned_once_its_old_lock_is_gone() {
    let Some((library, vm)) = copy("suspended-pianos/PIaNOS.vmx") else {
        return;
    };
    for kind in BOTH {
        let error = refused(&vm, library.path(), kind);
        assert_eq!(error.kind(), Kind::FileLocked);
        assert!(error.to_string().contains("vmplayer.exe"), "{error}");
    }
    fs::remove_dir_all(library.path().join("vm/PIaNOS.vmx.lck")).unwrap();
    assert_eq!(vm.info().unwrap().state, PowerState::Suspended);
    assert_eq!(
        refused(&vm, library.path(), CloneKind::Linked).kind(),
        Kind::VmRunning
    );
    let before = tree_of(&library.path().join("vm"));
    let full = clone(&vm, CloneKind::Full, library.path(), "new");
    assert_eq!(before, tree_of(&library.path().join("vm")));
    assert!(same_content(&disks(&vm)[0], &disks(&full)[0]));
    let info = full.info().unwrap();
    assert_eq!(
        (info.state, info.display_name.as_str()),
        (PowerState::Off, "new")
    );
    // The image stays where the source named it, `..\img\final_en.img`.
    let image = library.path().join("img/final_en.img");
    assert_eq!(info.media[0].file_name, image.to_str().unwrap());
}

#[test]
fn complete_disks_are_cloned() {
    for disk in [
        "suspended-pianos/PIaNOS.vmdk",
        "vmdk-qemu/minimal.vmdk",
        "vmdk-ws4/image.vmdk",
        "fortigate/datadrive.vmdk",
        "vmdk-qemu/compressed_stream_opt.vmdk",
        "vmdk-vmware/streamOptimized.vmdk",
    ] {
        let Some((library, vm)) = around(disk) else {
            return;
        };
        let full = clone(&vm, CloneKind::Full, library.path(), "full");
        assert!(same_content(&disks(&vm)[0], &disks(&full)[0]), "{disk}");
        let linked = clone(&vm, CloneKind::Linked, library.path(), "linked");
        assert!(same_content(&disks(&full)[0], &disks(&linked)[0]), "{disk}");
        assert_eq!(linked.info().unwrap().disks[0].depth, 2);
    }
}

#[test]
fn snapshots_of_esxi_without_their_data_are_refused_by_the_missing_file() {
    for (disk, word) in [
        (
            "vmdk-vmware/vmfs_thick-000001.vmdk",
            "vmfs_thick-000001-delta.vmdk",
        ),
        ("vmdk-extracts/sql-000001.vmdk", "sql-000001-delta.vmdk"),
        (
            "vmdk-extracts/Base_R91-000001.vmdk",
            "Base_R91-000001-sesparse.vmdk",
        ),
    ] {
        let Some((library, vm)) = around(disk) else {
            return;
        };
        for kind in BOTH {
            let error = refused(&vm, library.path(), kind);
            assert_eq!(error.kind(), Kind::FileNotFound, "{disk}: {error}");
            assert!(error.to_string().contains(word), "{disk}: {error}");
        }
        let problem = vm.info().unwrap().disks[0].problem.clone().unwrap();
        assert!(problem.contains(word), "{disk}: {problem}");
    }
}

#[test]
fn vm_on_a_stream_says_that_it_does_not_boot_and_its_clones_do() {
    let Some((library, vm)) = around("vmdk-vmware/streamOptimized.vmdk") else {
        return;
    };
    let boot = vm.info().unwrap().boot;
    assert_eq!(boot.verdict, Verdict::No);
    let told =
        |reason: &String| reason.contains("cannot be written to") && reason.contains("clone");
    assert!(boot.reasons.iter().any(told), "{:?}", boot.reasons);
    let linked = clone(&vm, CloneKind::Linked, library.path(), "linked");
    let full = clone(&vm, CloneKind::Full, library.path(), "full");
    for clone in [linked, full] {
        let boot = clone.info().unwrap().boot;
        assert!(!boot.reasons.iter().any(told), "{:?}", boot.reasons);
    }
}

#[test]
fn linked_clone_asks_for_its_parent() {
    let Some(info) = info("linked-clone-kali/kali-1.vmx") else {
        return;
    };
    let parent = "D:\\AmosProject\\Pentestingmachine\\kali.vmx";
    assert_eq!(info.clone_of.as_deref(), Some(parent));
    let asked = |text: &String| text.contains(parent) && text.contains("bring \"kali.vmx\"");
    assert!(info.warnings.iter().any(asked), "{:?}", info.warnings);
    let pipe =
        |text: &String| text.contains("\\\\.\\pipe\\gns3_vmware") && text.contains("fileName");
    assert!(info.warnings.iter().any(pipe), "{:?}", info.warnings);
}

#[test]
fn snapshot_with_memory_is_told_and_not_cloned() {
    let Some((library, vm)) = copy("snapshot-project-it/Project-IT.vmx") else {
        return;
    };
    let tree = vm.snapshots().unwrap();
    assert_eq!((tree.current, tree.snapshots.len()), (Some(5), 1));
    let snapshot = &tree.snapshots[0];
    assert!(snapshot.with_memory && snapshot.name == "Snapshot 5");
    assert_eq!(
        vm.info().unwrap().current_snapshot.as_deref(),
        Some("Snapshot 5")
    );
    for kind in BOTH {
        let mut spec = CloneSpec::new(kind, vmx(library.path(), "new"));
        spec.snapshot = Some(SnapshotRef::Name("Snapshot 5".into()));
        assert_eq!(try_clone(&vm, spec).err(), Some(Kind::VmRunning));
    }
}

#[test]
fn samples_say_whether_they_boot_here() {
    if samples().is_none() {
        return;
    }
    for (path, verdict, reason, device) in [
        (
            "suspended-pianos/PIaNOS.vmx",
            Verdict::No,
            "suspended by VMware",
            "ide0 Same",
        ),
        (
            "locked-ubuntu/Ubuntu.vmx",
            Verdict::No,
            "sym53c8xx",
            "scsi0 Substitute",
        ),
        (
            "sjis-windows7/Windows 7 x64.vmx",
            Verdict::No,
            "is missing",
            "scsi0 Same",
        ),
        (
            "esxi-vmx/test-i-vmx-3.vmx",
            Verdict::No,
            "SATA",
            "scsi0 Substitute",
        ),
        (
            "gbk-lab/somachinev4.3.vmx",
            Verdict::No,
            "is missing",
            "nvme0 Same",
        ),
        (
            "encrypted-win11/Windows 11 x64.vmx",
            Verdict::No,
            "encrypted",
            "nvme0 Same",
        ),
        (
            "template-macos/vmx/macos1015/macos1015.vmx",
            Verdict::No,
            "SMC",
            "smc Missing",
        ),
        ("old-ws3/MyOS.vmx", Verdict::Yes, "", "floppy Same"),
    ] {
        let info = info(path).unwrap();
        assert_eq!(info.boot.verdict, verdict, "{path}: {:?}", info.boot);
        let reasons = &info.boot.reasons;
        assert_eq!(reasons.is_empty(), reason.is_empty(), "{path}: {reasons:?}");
        let told = reason.is_empty() || reasons.iter().any(|told| told.contains(reason));
        assert!(told, "{path}: {reasons:?}");
        // Each stands among the warnings, once.
        for reason in reasons {
            let told = info.warnings.iter().filter(|told| *told == reason);
            assert_eq!(told.count(), 1, "{path}: {reason}");
        }
        let devices = info.devices.iter();
        let mut devices = devices.map(|one| format!("{} {:?}", one.device, one.fit));
        assert!(
            devices.any(|one| one == device),
            "{path}: {:?}",
            info.devices
        );
    }
}

#[test]
fn hardware_of_samples_is_understood() {
    if samples().is_none() {
        return;
    }
    let info_of = |path| info(path).unwrap();
    let uefi = info_of("esxi-vmx/test-i-vmx-3.vmx");
    assert_eq!((uefi.firmware.as_str(), uefi.memory_mib), ("efi", 2048));
    let vcenter = info_of("esxi-vmx/test-i-vmx-6.vmx");
    assert_eq!(vcenter.nics[0].address_type, "vpx");
    let forti = info_of("fortigate/FortiGate.vmx");
    let macs = forti.nics.iter().map(|nic| nic.mac.as_deref().unwrap());
    let expected = [
        "00:0c:29:7e:32:30",
        "00:0c:29:7e:32:3a",
        "00:0c:29:7e:32:44",
    ];
    assert_eq!(macs.collect::<Vec<_>>(), expected);
    let windows = info_of("sjis-windows7/Windows 7 x64.vmx");
    assert_eq!(
        windows.media[0].file_name,
        "I:\\Mediabackup\\Windows7Update.iso"
    );
    assert!(!windows.media[0].present);
    let old = info_of("old-ws3/MyOS.vmx");
    assert_eq!((old.hardware_version, old.disks.len()), (3, 0));
    let lab = info_of("gbk-lab/somachinev4.3.vmx");
    assert_eq!(lab.media.len(), 3);
}
