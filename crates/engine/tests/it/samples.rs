//! Files of real VMs read and write back byte for byte, and mean what they mean to VMware.
//!
//! The files are not part of the project: where their folder is absent, these tests say so and pass.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use replix::format::{Dictionary, LineEnd, StateFile, Vmsd, Vmxf, nvram};
use replix::store::{Access, Local, LockMode, Store};
use replix::vm::identity::{Mac, Uuid};
use replix::vm::lock::{Life, holders};
use replix::vm::{Env, Firmware, PowerState, Settings, VmConfig, VmFolder, state};

static SAID: Once = Once::new();

/// Returns the folder of samples, if it is there.
pub fn samples() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples");
    let dir = std::env::var_os("REPLIX_SAMPLES").map_or(beside, PathBuf::from);
    if !dir.is_dir() {
        // Not by a macro: what those print, the harness hides when a test passes.
        SAID.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "skipped: no samples at {}",
                dir.display()
            );
        });
        return None;
    }
    Some(dir)
}

/// Returns the sample files with that ending.
pub fn files(ending: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = samples().into_iter().collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn open(name: &str) -> Option<VmFolder> {
    let path = samples()?.join(name);
    Some(VmFolder::open(&Local, &path).unwrap())
}

fn env() -> Env {
    Env {
        store: Arc::new(Local),
        settings: Settings::default(),
    }
}

fn vmsd(name: &str) -> Option<Vmsd> {
    let bytes = std::fs::read(samples()?.join(name)).unwrap();
    Some(Vmsd::parse(&bytes, LineEnd::Lf).unwrap())
}

/// Returns node and file of each disk.
fn disks(config: &VmConfig) -> Vec<(String, String)> {
    let disks = config.disks().into_iter();
    disks.map(|d| (d.node.to_string(), d.file_name)).collect()
}

fn pairs<const N: usize>(expected: [(&str, &str); N]) -> Vec<(String, String)> {
    expected.map(|(a, b)| (a.into(), b.into())).to_vec()
}

#[test]
fn dictionaries_come_back_byte_for_byte() {
    for path in [files("vmx"), files("vmsd")].concat() {
        let bytes = std::fs::read(&path).unwrap();
        let dict = Dictionary::parse(&bytes).unwrap();
        assert_eq!(dict.to_bytes(), bytes, "{}", path.display());
        assert_eq!(dict.unknown_charset(), None, "{}", path.display());
        assert!(dict.odd_lines().is_empty(), "{}", path.display());
        assert!(dict.duplicates().is_empty(), "{}", path.display());
    }
}

#[test]
fn values_are_written_as_vmware_escapes_them() {
    for path in [files("vmx"), files("vmsd")].concat() {
        let bytes = std::fs::read(&path).unwrap();
        let mut dict = Dictionary::parse(&bytes).unwrap();
        for (name, value) in dict.clone().iter() {
            dict.set(&name, "");
            dict.set(&name, &value);
        }
        // The only values without quotes are those that people wrote.
        let unquoted = b"rtc.diffFromUTC = 0\n";
        if !bytes.windows(unquoted.len()).any(|w| w == unquoted) {
            assert_eq!(dict.to_bytes(), bytes, "{}", path.display());
        }
    }
}

#[test]
fn one_edit_changes_one_line() {
    for path in files("vmx") {
        let bytes = std::fs::read(&path).unwrap();
        let mut dict = Dictionary::parse(&bytes).unwrap();
        dict.set("displayName", "another");
        let new = dict.to_bytes();
        let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
            let lines = bytes.split_inclusive(|&b| b == b'\n');
            lines.map(<[u8]>::to_vec).collect()
        };
        let (old, new) = (lines(&bytes), lines(&new));
        assert_eq!(old.len(), new.len(), "{}", path.display());
        let changed = old.iter().zip(&new).filter(|(a, b)| a != b).count();
        assert_eq!(changed, 1, "{}", path.display());
    }
}

#[test]
fn extended_configurations_come_back_byte_for_byte() {
    for path in files("vmxf") {
        let bytes = std::fs::read(&path).unwrap();
        let mut file = Vmxf::parse(&bytes).unwrap();
        assert_eq!(file.to_bytes(), bytes, "{}", path.display());
        let (id, name) = (file.vm_id().unwrap(), file.vmx_name().unwrap());
        let uuid: Uuid = id.parse().unwrap();
        assert_eq!((uuid.to_string(), uuid.0[0]), (id.clone(), 0x52));
        let stem = path.file_stem().unwrap().to_string_lossy();
        assert_eq!(name, format!("{stem}.vmx"));
        assert!(file.set_vm_id(&id) && file.set_vmx_name(&name));
        assert_eq!(file.to_bytes(), bytes, "{}", path.display());
    }
}

#[test]
fn clones_extended_configuration_is_written_as_by_vmware() {
    let Some(dir) = samples() else { return };
    let bytes = std::fs::read(dir.join("linked-clone-kali/kali-1.vmxf")).unwrap();
    let id = Vmxf::parse(&bytes).unwrap().vm_id().unwrap();
    let ours = Vmxf::new(&id, "kali-1.vmx", LineEnd::Lf);
    assert_eq!(ours.to_bytes(), bytes);
}

#[test]
fn firmware_memory_is_recognised() {
    for path in files("nvram") {
        let bytes = std::fs::read(&path).unwrap();
        let records = nvram::records(&bytes).unwrap();
        assert_eq!(records.last().unwrap().name, "ESCD", "{}", path.display());
    }
}

#[test]
fn state_of_a_snapshot_comes_back_byte_for_byte() {
    for path in files("vmsn") {
        let file = Local.open(&path, Access::Read).unwrap();
        let state = StateFile::read(&*file).unwrap();
        assert!(!state.is_live());
        let files = state.files(&*file).unwrap().unwrap();
        assert_eq!(files.to_bytes(&[]), std::fs::read(&path).unwrap());
        let config = VmConfig::parse(&files.config).unwrap();
        assert_eq!(config.display_name().as_deref(), Some("SIFT-Workstation"));
        assert!(nvram::is_nvram(&files.nvram.unwrap()));
        assert!(Vmxf::parse(&files.extended_config.unwrap()).is_ok());
    }
}

#[test]
fn state_of_a_suspended_vm_gives_its_configuration() {
    for path in files("vmss") {
        let file = Local.open(&path, Access::Read).unwrap();
        let state = StateFile::read(&*file).unwrap();
        assert!(state.is_live());
        assert_eq!(state.groups().len(), 93);
        assert!(state.groups().iter().any(|g| g.name == "Checkpoint"));
        let files = state.files(&*file).unwrap().unwrap();
        let then = VmConfig::parse(&files.config).unwrap();
        let now = VmFolder::open(&Local, &path.with_file_name("PIaNOS.vmx")).unwrap();
        assert_eq!(then.uuid_bios(), now.config.uuid_bios());
        assert_eq!(disks(&then), disks(&now.config));
        let nvram = std::fs::read(path.with_file_name("PIaNOS.nvram")).unwrap();
        assert_eq!(files.nvram.unwrap().len(), nvram.len());
    }
}

#[test]
fn every_vm_opens() {
    for path in files("vmx") {
        let vm = VmFolder::open(&Local, &path).unwrap();
        let vmsd = env().vmsd(&vm).unwrap();
        assert!(vmsd.snapshots().len() <= 4);
        let encrypted = path.to_string_lossy().contains("encrypted");
        assert_eq!(vm.config.encryption().is_some(), encrypted);
        assert!(vm.config.hardware_version() >= 3, "{}", path.display());
        assert!(
            !vm.display_name().contains('\u{fffd}'),
            "{}",
            path.display()
        );
    }
}

#[test]
fn generated_addresses_follow_uuid_bios() {
    let mut checked = 0;
    for path in files("vmx") {
        let vm = VmFolder::open(&Local, &path).unwrap();
        let Some(uuid) = vm.config.uuid_bios() else {
            continue;
        };
        let uuid: Uuid = uuid.parse().unwrap();
        assert_eq!(uuid.to_string(), vm.config.uuid_bios().unwrap());
        for nic in vm.config.nics() {
            let Some(mac) = nic
                .mac
                .filter(|mac| mac.to_lowercase().starts_with("00:0c:29"))
            else {
                continue;
            };
            let mac: Mac = mac.parse().unwrap();
            assert_eq!(mac, Mac::generated(uuid, nic.number), "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 30 || samples().is_none(), "only {checked}");
}

#[test]
fn renewed_configuration_differs_where_it_must_only() {
    for path in files("vmx") {
        let mut config = VmFolder::open(&Local, &path).unwrap().config;
        let before = config.clone();
        replix::vm::identity::leave_behind(&mut config);
        let report = replix::vm::identity::renew(&mut config);
        assert_eq!(config.uuid_bios(), config.uuid_location());
        assert_eq!(disks(&config), disks(&before), "{}", path.display());
        for nic in config.nics() {
            assert_eq!(nic.address_type, "generated", "{}", path.display());
            let mac = Mac::generated(report.uuid, nic.number).to_string();
            assert_eq!(nic.mac, Some(mac), "{}", path.display());
        }
        assert_eq!(config.suspended_to(), None);
        assert_eq!(config.line_end(), before.line_end());
    }
}

#[test]
fn linked_clone_knows_its_parent() {
    let Some(vm) = open("linked-clone-kali/kali-1.vmx") else {
        return;
    };
    let parent = r"D:\AmosProject\Pentestingmachine\kali.vmx";
    let vmsd = env().vmsd(&vm).unwrap();
    assert_eq!(vmsd.clone_of().as_deref(), Some(parent));
    assert_eq!(vmsd.sentinels(), ["kali-disk1-cl1.vmdk"]);
    assert!(vmsd.snapshots().is_empty());
    let folder = r"D:\AmosProject\Pentestingmachine";
    assert_eq!(vm.config.file_search_path(), [".", folder]);
    assert_eq!(
        disks(&vm.config),
        pairs([("sata0:0", "kali-disk1-cl1.vmdk")])
    );
    let sentinels = vmsd.sentinels();
    let ours = Vmsd::of_linked_clone(parent, &sentinels, LineEnd::CrLf);
    let text = String::from_utf8(ours.to_bytes()).unwrap();
    let text = text.replace("UTF-8", "windows-1252");
    assert_eq!(text.into_bytes(), vmsd.to_bytes());
}

#[test]
fn chain_of_four_snapshots_is_read() {
    let Some(vmsd) = vmsd("vmsd-extracts/test flo.vmsd") else {
        return;
    };
    let tree: Vec<_> = vmsd.snapshots().iter().map(|s| (s.uid, s.parent)).collect();
    assert_eq!(tree, [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(3))]);
    assert_eq!((vmsd.current(), vmsd.last_uid()), (Some(4), 4));
    let second = vmsd.snapshot(2).unwrap();
    assert_eq!(second.display_name, "SECOND");
    // 2022-12-01 10:37:39 UTC, from a low word that is printed as a negative number.
    assert_eq!(second.created_us / 1_000_000, 1_669_891_059);
    assert!(!second.with_memory && vmsd.snapshot(3).unwrap().with_memory);
    assert_eq!(second.disks[0].file_name, "test flo_0-000001.vmdk");
}

#[test]
fn bookkeeping_is_written_as_by_vmware() {
    for name in [
        "vmsd-extracts/test flo.vmsd",
        "vmsd-extracts/FaithRO-GATE5-LAB.vmsd",
    ] {
        let Some(real) = vmsd(name) else { return };
        let mut ours = Vmsd::parse(b"", LineEnd::Lf).unwrap();
        for snapshot in real.snapshots() {
            ours.add_snapshot(snapshot.clone()).unwrap();
            ours.set_current(Some(snapshot.uid));
        }
        for uid in real.most_recently_used() {
            ours.touch(uid);
        }
        let (ours, real) = (ours.to_bytes(), real.to_bytes());
        assert_eq!(
            String::from_utf8_lossy(&ours),
            String::from_utf8_lossy(&real)
        );
    }
}

#[test]
fn removed_snapshots_leave_what_vmware_leaves() {
    let (Some(mut vmsd), Some(left)) = (
        vmsd("vmsd-extracts/FaithRO-GATE5-LAB.vmsd"),
        vmsd("metasploitable/Metasploitable.vmsd"),
    ) else {
        return;
    };
    vmsd.remove_snapshot(1);
    assert_eq!(vmsd.to_bytes(), left.to_bytes());
    assert_eq!(left.next_uid(), Ok(2));
}

#[test]
fn live_snapshot_of_a_clone_is_read() {
    for (name, line_end) in [
        ("snapshot-project-it/Project-IT.vmsd", LineEnd::Lf),
        ("snapshot-project-it-crlf/Project-IT.vmsd", LineEnd::CrLf),
    ] {
        let Some(vmsd) = vmsd(name) else { return };
        assert_eq!(vmsd.dict().line_end(), line_end);
        assert_eq!(vmsd.most_recently_used(), [5, 4, 3]);
        let snapshot = &vmsd.snapshots()[0];
        assert!(snapshot.with_memory);
        assert_eq!(snapshot.disks[0].file_name, "Project IT-disk1-cl1.vmdk");
        assert_eq!(snapshot.disks[0].node, "scsi0:0");
    }
    let vm = open("snapshot-project-it/Project-IT.vmx").unwrap();
    let disk = "Project IT-disk1-cl1-000006.vmdk";
    assert_eq!(disks(&vm.config), pairs([("scsi0:0", disk)]));
}

#[test]
fn names_in_national_sets_are_read() {
    let Some(vm) = open("gbk-lab/Ubuntu 64 位.vmx") else {
        return;
    };
    assert_eq!(vm.config.display_name().as_deref(), Some("Ubuntu 64 位"));
    let disk = ("scsi0:0", "Ubuntu 64 位-000001.vmdk");
    assert_eq!(disks(&vm.config), pairs([disk]));
    assert_eq!(vm.config.nvram().as_deref(), Some("Ubuntu 64 位.nvram"));
    let vm = open("cyrillic-test/Test.vmx").unwrap();
    let folders = [r"C:\Виртуальные машины", "."];
    assert_eq!(vm.config.file_search_path(), folders);
    assert_eq!(disks(&vm.config), pairs([("ide1:1", "Test.vmdk")]));
    let vm = open("sjis-windows7/Windows 7 x64.vmx").unwrap();
    assert_eq!(vm.config.dict().charset().label(), "Shift_JIS");
    let vm = open("korean-ubuntu/Ubuntu 64-bit.vmx").unwrap();
    assert_eq!(vm.config.dict().charset().label(), "windows-949-2000");
}

#[test]
fn devices_of_all_buses_are_told_apart() {
    let Some(vm) = open("esxi-vmx/test-i-vmx-1.vmx") else {
        return;
    };
    assert_eq!(vm.config.disks().len(), 21);
    let vm = open("gbk-lab/somachinev4.3.vmx").unwrap();
    let disk = ("nvme0:0", "somachinev4.3-000001.vmdk");
    assert_eq!(disks(&vm.config), pairs([disk]));
    assert_eq!(vm.config.cd_drives().len(), 3);
    let vm = open("two-disks-centos/CentOS 64-bit.vmx").unwrap();
    let expected = [
        ("scsi0:0", "CentOS 64-bit.vmdk"),
        ("scsi0:1", "CentOS 64-bit-0.vmdk"),
    ];
    assert_eq!(disks(&vm.config), pairs(expected));
    let vm = open("fortigate-depi/FortiGate DEPi.vmx").unwrap();
    assert_eq!(vm.config.nics().len(), 10);
    let vm = open("esxi-vmx/test-i-vmx-3.vmx").unwrap();
    assert!(matches!(vm.config.firmware(), Firmware::Efi { .. }));
    let vm = open("old-ws3/MyOS.vmx").unwrap();
    assert!(vm.config.disks().is_empty(), "its only disk is not present");
}

#[test]
fn locks_of_another_machine_are_seen() {
    let Some(vm) = open("locked-ubuntu/Ubuntu.vmx") else {
        return;
    };
    let held = holders(&Local, vm.vmx());
    assert_eq!((held.len(), held[0].pid), (1, 5244));
    assert_eq!(
        (&*held[0].program, held[0].life),
        ("vmplayer.exe", Life::Elsewhere)
    );
    assert_eq!(held[0].mode, LockMode::Exclusive);
    let report = state::read(&env(), &vm);
    assert_eq!(report.state, PowerState::Foreign);
    assert!(
        report
            .holder()
            .unwrap()
            .starts_with("vmware-vmx.exe (process 7892)")
    );
    assert!(report.cure().unwrap().contains("Ubuntu.vmdk.lck"));
}

#[test]
fn suspended_and_locked_vms_are_told_apart() {
    let Some(vm) = open("suspended-sysadmin/Ubuntu 64-bit.vmx") else {
        return;
    };
    assert_eq!(state::read(&env(), &vm).state, PowerState::Suspended);
    let state_file = "Ubuntu 64-bit-f427a3e5.vmss";
    assert_eq!(vm.config.suspended_to().as_deref(), Some(state_file));
    let vm = open("suspended-pianos/PIaNOS.vmx").unwrap();
    assert!(vm.config.suspended_to().is_some());
    assert_eq!(state::read(&env(), &vm).state, PowerState::Locked);
    let vm = open("debian10/Debian 10.x 64-bit.vmx").unwrap();
    assert_eq!(state::read(&env(), &vm).state, PowerState::Off);
}
