//! Readers of one file each.

use std::path::Path;

use super::input::{Input, put};
use crate::format::vmdk::Descriptor;
use crate::format::{Dictionary, LineEnd, StateFile, Vmsd, Vmxf, nvram as firmware, vnc_key};
use crate::guest as guests;
use crate::network;
use crate::power;
use crate::store::{Access, Mem, Store};
use crate::vm::{VmConfig, lock};

/// The text of a `.vmx`, and what is asked of it.
pub fn dictionary(bytes: &[u8]) {
    let Ok(mut dict) = Dictionary::parse(bytes) else {
        return;
    };
    assert_eq!(dict.to_bytes(), bytes, "read and written, it differs");
    for (name, value) in dict.iter() {
        let _ = vnc_key::password(&value);
        let _ = dict.get(&name);
    }
    let config = VmConfig::new(dict.clone());
    let _ = (config.disks(), config.nics(), config.shares());
    let _ = (config.serial_ports(), config.parallel_ports());
    let _ = (config.cd_drives(), config.floppy_drives());
    dict.set("annotation", "new \"|\n");
    let again = Dictionary::parse(&dict.to_bytes()).unwrap();
    assert_eq!(again.get("annotation").as_deref(), Some("new \"|\n"));
}

/// The bookkeeping of snapshots, and edits of it.
pub fn vmsd(bytes: &[u8]) {
    let Ok(mut vmsd) = Vmsd::parse(bytes, LineEnd::Lf) else {
        return;
    };
    let uids: Vec<u32> = vmsd.snapshots().iter().map(|one| one.uid).collect();
    for uid in uids {
        vmsd.add_clone(uid, "/vms/c/c.vmx");
        vmsd.touch(uid);
    }
    let again = Vmsd::parse(&vmsd.to_bytes(), LineEnd::Lf).unwrap();
    assert_eq!(again.snapshots(), vmsd.snapshots());
    vmsd.remove_clones(|_| true);
    if let Some(first) = vmsd.snapshots().first().map(|one| one.uid) {
        vmsd.remove_snapshot(first);
    }
    let again = Vmsd::parse(&vmsd.to_bytes(), LineEnd::Lf).unwrap();
    assert_eq!(again.snapshots(), vmsd.snapshots());
}

/// The state of a snapshot.
pub fn vmsn(bytes: &[u8]) {
    let mem = Mem::new();
    put(&mem, Path::new("/d/s.vmsn"), &Input(bytes).file());
    let file = mem.open(Path::new("/d/s.vmsn"), Access::Read).unwrap();
    if let Ok(state) = StateFile::read(&*file) {
        let _ = (state.groups(), state.is_live());
        if let Ok(Some(files)) = state.files(&*file) {
            put(&mem, Path::new("/d/t.vmsn"), &files.to_bytes(&[]));
            let written = mem.open(Path::new("/d/t.vmsn"), Access::Read).unwrap();
            let state = StateFile::read(&*written).unwrap();
            assert_eq!(state.files(&*written).unwrap(), Some(files));
        }
    }
}

/// The memory of a firmware.
pub fn nvram(bytes: &[u8]) {
    let is_one = firmware::is_nvram(bytes);
    for record in firmware::records(bytes).unwrap_or_default() {
        assert!(is_one, "records in what is none");
        assert!(record.offset + record.size <= bytes.len(), "{record:?}");
    }
}

/// The file beside a configuration.
pub fn vmxf(bytes: &[u8]) {
    let Ok(mut vmxf) = Vmxf::parse(bytes) else {
        return;
    };
    let _ = (vmxf.vm_id(), vmxf.vmx_name());
    // The element that makes the file one may have stood in what was replaced.
    if vmxf.set_vmx_name("a&b<c>.vmx")
        && let Ok(again) = Vmxf::parse(&vmxf.to_bytes())
    {
        assert_eq!(again.vmx_name().as_deref(), Some("a&b<c>.vmx"));
    }
    let _ = vmxf.set_vm_id("1 2");
}

/// The descriptor of a disk, and edits of it.
pub fn descriptor(bytes: &[u8]) {
    let _ = Descriptor::parse_embedded(bytes);
    let Ok(mut descriptor) = Descriptor::parse(bytes) else {
        return;
    };
    assert_eq!(descriptor.as_bytes(), bytes, "read and written, it differs");
    let _ = (descriptor.layout(), descriptor.parent_hint());
    let _ = (descriptor.ddb(), descriptor.repeated_keys());
    let _ = (descriptor.extents(), descriptor.extent_names());
    if descriptor.set_content_id(0x0bad_cafe, None).is_ok() {
        assert_eq!(descriptor.cid(), 0x0bad_cafe);
        Descriptor::parse(descriptor.as_bytes()).unwrap();
    }
}

/// A saved memory: its head, and its records joined with the pages beside it.
pub fn memory(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (state, pages) = (input.file(), input.file());
    let mem = Mem::new();
    put(&mem, Path::new("/d/m.replixstate"), &state);
    put(&mem, Path::new("/d/m.vmem"), &pages);
    power::read_saved(&mem, Path::new("/d/m.replixstate"), Path::new("/d/m.vmem"));
}

/// What QEMU sends of a machine whose memory is saved.
pub fn stream(bytes: &[u8]) {
    power::take_apart(&Mem::new(), bytes);
}

/// The members of a lock.
pub fn lock(bytes: &[u8]) {
    let mem = Mem::new();
    let target = Path::new("/d/a.vmx");
    let folder = lock::lock_folder(target);
    let mut input = Input(bytes);
    for number in 0..4 {
        let Some(len) = input.number(2) else { break };
        let member = folder.join(format!("M{number:05}.lck"));
        put(&mem, &member, input.take(len));
    }
    for holder in lock::holders(&mem, target) {
        let text = lock::held_by(target, &holder).to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

/// What the DHCP server of a network leaves.
pub fn leases(bytes: &[u8]) {
    network::read_leases(bytes);
}

/// What an agent answers, and the accounts of its guest.
pub fn guest(bytes: &[u8]) {
    let mut input = Input(bytes);
    let [passwd, shadow, out] = [(); 3].map(|()| {
        let len = input.number(2).unwrap_or(0);
        input.take(len)
    });
    guests::read_answers(passwd, shadow, out, input.0);
}
