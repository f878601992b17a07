//! What makes a VM itself among others: uuids, MAC addresses, and how a clone gets its own.
//!
//! The one place for it. Rules, as seen in files of VMware's products: a clone's `uuid.bios` and
//! `uuid.location` are new and equal; a generated MAC address is `00:0c:29` with the last three
//! bytes of `uuid.bios`, plus ten for each adapter before it; `vmci0.id` is the last four bytes.

use std::fmt;
use std::str::FromStr;

use super::config::VmConfig;
use super::devices::Nic;

/// The vendor part of generated addresses.
const VENDOR: [u8; 3] = [0x00, 0x0c, 0x29];

/// Entries that describe the source's own runs and files, and mean nothing in a clone.
const LEFT_BEHIND: [&str; 6] = [
    "checkpoint.vmstate.readonly",
    "migrate.hostlog",
    "sched.swap.derivedname",
    "uuid.action",
    "vmxstats.filename",
    "snapshot.action",
];

/// A uuid as VMware writes it: `56 4d 30 42 33 02 c3 16-92 6a 88 46 04 d6 ed 8e`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Returns a new one for a VM; it begins with `56 4d`, "VM".
    pub fn new_vm() -> Self {
        let mut bytes: [u8; 16] = rand::random();
        bytes[..2].copy_from_slice(b"VM");
        Self(bytes)
    }

    /// Returns a new one for something of a VM: its entry in a `.vmxf`, an NVMe subsystem.
    pub fn new_part() -> Self {
        let mut bytes: [u8; 16] = rand::random();
        bytes[0] = 0x52;
        Self(bytes)
    }

    /// Returns a new one for a disk, as text of `ddb.uuid`: it begins with `60 00 C2 9`.
    pub fn new_disk() -> String {
        let mut bytes: [u8; 16] = rand::random();
        bytes[..3].copy_from_slice(&[0x60, 0x00, 0xc2]);
        bytes[3] = 0x90 | bytes[3] & 0x0f;
        // VMware writes the vendor's part in upper case, and only that.
        let text = Self(bytes).to_string();
        text.replacen("c2", "C2", 1)
    }

    /// Returns `vmci0.id` of a VM that has this uuid.
    pub fn vmci_id(self) -> i32 {
        let [.., a, b, c, d] = self.0;
        i32::from_be_bytes([a, b, c, d])
    }

    /// Returns the bytes in the usual form `564d3042-3302-c316-926a-884604d6ed8e`.
    pub fn to_plain(self) -> String {
        let hex: String = self.0.iter().map(|b| format!("{b:02x}")).collect();
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let before = match at {
                0 => "",
                8 => "-",
                _ => " ",
            };
            write!(f, "{before}{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Uuid {
    type Err = ();

    /// Reads 16 bytes in hex, with blanks and dashes anywhere between them.
    fn from_str(text: &str) -> Result<Self, ()> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '-'))
            .map(|c| c.to_digit(16).map(|d| d as u8).ok_or(()))
            .collect::<Result<_, _>>()?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|d| d[0] << 4 | d[d.len() - 1])
            .collect();
        match (digits.len(), bytes.try_into()) {
            (32, Ok(bytes)) => Ok(Self(bytes)),
            _ => Err(()),
        }
    }
}

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Returns the address that VMware generates for adapter `number` of the VM with `uuid.bios`
    /// `uuid`.
    pub fn generated(uuid: Uuid, number: u8) -> Self {
        let [.., a, b, c] = uuid.0;
        let low = u32::from_be_bytes([0, a, b, c]) + offset(number);
        let [_, a, b, c] = low.to_be_bytes();
        let [x, y, z] = VENDOR;
        Self([x, y, z, a, b, c])
    }
}

/// Returns `generatedAddressOffset` of adapter `number`.
fn offset(number: u8) -> u32 {
    10 * u32::from(number)
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.trim().split([':', '-']).collect();
        let byte = |part: &&str| match part.starts_with('+') {
            true => Err(()),
            false => u8::from_str_radix(part, 16).map_err(|_| ()),
        };
        let bytes: Vec<u8> = parts.iter().map(byte).collect::<Result<_, _>>()?;
        bytes.try_into().map(Self).map_err(|_| ())
    }
}

/// How an adapter's address changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacChange {
    /// `ethernet0`.
    pub device: String,
    /// `generated`, `static`, `vpx`: how the source had it.
    pub old_type: String,
    /// The source's address, as written.
    pub old: Option<String>,
    /// The clone's address.
    pub new: Mac,
}

/// The identity that a clone was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityReport {
    /// The new `uuid.bios` and `uuid.location`.
    pub uuid: Uuid,
    /// The new addresses.
    pub macs: Vec<MacChange>,
    /// What the user should know, each with its cure.
    pub warnings: Vec<String>,
}

/// Takes out of a clone's configuration what belongs to the source alone, its identity excepted:
/// suspended state, logs and the like, change tracking. It never ran: no run of its was cut off.
pub fn leave_behind(config: &mut VmConfig) {
    config.forget_suspended();
    config.end_run();
    config.dict_mut().remove_matching(|name| {
        LEFT_BEHIND.contains(&name)
            || name == "ctkenabled"
            || name.ends_with(".ctkenabled")
            || name.starts_with("undopoint")
            || name.starts_with("rollback")
    });
    let vm = config.dict_mut();
    vm.set("vc.uuid", "");
    vm.set_after("policy.vm.mvmtid", "", "vc.uuid");
}

/// Gives a configuration a new identity. The display name and file names are not touched.
pub fn renew(config: &mut VmConfig) -> IdentityReport {
    renew_with(config, |_| true)
}

/// Gives a configuration that was copied by its files a new identity, as VMware does: addresses that
/// are not generated stay.
pub fn renew_generated(config: &mut VmConfig) -> IdentityReport {
    renew_with(config, |nic| nic.address_type == "generated")
}

fn renew_with(config: &mut VmConfig, of_adapter: fn(&Nic) -> bool) -> IdentityReport {
    let uuid = Uuid::new_vm();
    let vm = config.dict_mut();
    vm.set("uuid.bios", &uuid.to_string());
    vm.set_after("uuid.location", &uuid.to_string(), "uuid.bios");
    vm.set_existing("vmci0.id", &uuid.vmci_id().to_string());
    renew_nvme(config);
    renew_generation(config);
    let macs = renew_macs(config, uuid, of_adapter);
    IdentityReport {
        warnings: macs.iter().filter_map(warning_of).collect(),
        uuid,
        macs,
    }
}

/// Gives a configuration what VMware adds at the first start: uuids, and the addresses of adapters
/// that have none.
pub fn complete(config: &mut VmConfig) {
    let written = config.uuid_bios().and_then(|text| text.parse().ok());
    let uuid: Uuid = written.unwrap_or_else(|| {
        let uuid = Uuid::new_vm();
        config.dict_mut().set("uuid.bios", &uuid.to_string());
        config.dict_mut().set("uuid.location", &uuid.to_string());
        uuid
    });
    for nic in config.nics() {
        if nic.mac.is_none() {
            set_mac(
                config,
                &nic.device(),
                Mac::generated(uuid, nic.number),
                offset(nic.number),
            );
        }
    }
}

fn renew_nvme(config: &mut VmConfig) {
    for number in config.numbers("nvme") {
        let name = format!("nvme{number}.subnqnUUID");
        let new = Uuid::new_part().to_string();
        config.dict_mut().set_existing(&name, &new);
    }
}

/// The generation id tells the guest that it is a copy: Windows domain controllers rely on it.
fn renew_generation(config: &mut VmConfig) {
    for name in ["vm.genid", "vm.genidX"] {
        let new = rand::random::<i64>().to_string();
        config.dict_mut().set_existing(name, &new);
    }
}

fn renew_macs(config: &mut VmConfig, uuid: Uuid, of_adapter: fn(&Nic) -> bool) -> Vec<MacChange> {
    let mut changes = Vec::new();
    for number in config.numbers("ethernet") {
        let nic = config.nic(number);
        let device = nic.device();
        let present = config.flag(&format!("{device}.present"), false);
        if !of_adapter(&nic) || !present && nic.mac.is_none() {
            continue;
        }
        let new = Mac::generated(uuid, number);
        set_mac(config, &device, new, offset(number));
        changes.push(MacChange {
            device,
            old_type: nic.address_type,
            old: nic.mac,
            new,
        });
    }
    changes
}

fn set_mac(config: &mut VmConfig, device: &str, mac: Mac, offset: u32) {
    let key = |name: &str| format!("{device}.{name}");
    let vm = config.dict_mut();
    vm.set_after(&key("addressType"), "generated", &key("present"));
    vm.remove(&key("address"));
    vm.set(&key("generatedAddress"), &mac.to_string());
    let anchor = key("generatedAddress");
    vm.set_after(&key("generatedAddressOffset"), &offset.to_string(), &anchor);
}

fn warning_of(change: &MacChange) -> Option<String> {
    if change.old_type == "generated" {
        return None;
    }
    let MacChange { device, old, .. } = change;
    let old = crate::error::escaped(old.as_deref().unwrap_or("none"));
    let kind = crate::error::escaped(&change.old_type);
    Some(format!(
        "{device} has the {kind} address {old}, which two VMs cannot share; the clone gets a \
         generated one: adapt what the guest or the network expects"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "56 4d 30 42 33 02 c3 16-92 6a 88 46 04 d6 ed 8e";

    fn config(text: &str) -> VmConfig {
        VmConfig::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn uuid_is_read_and_written_in_vmwares_form() {
        let uuid: Uuid = TEXT.parse().unwrap();
        assert_eq!(uuid.to_string(), TEXT);
        assert_eq!(uuid.to_plain(), "564d3042-3302-c316-926a-884604d6ed8e");
        assert_eq!(uuid.to_plain().parse(), Ok(uuid));
        for text in ["", "56 4d", "56 4d 3", &TEXT[1..], "é"] {
            assert_eq!(text.parse::<Uuid>(), Err(()), "{text}");
        }
    }

    #[test]
    fn addresses_follow_the_rule() {
        let uuid: Uuid = TEXT.parse().unwrap();
        assert_eq!(Mac::generated(uuid, 0).to_string(), "00:0c:29:d6:ed:8e");
        assert_eq!(Mac::generated(uuid, 3).to_string(), "00:0c:29:d6:ed:ac");
        let mut last = uuid;
        last.0[13..].copy_from_slice(&[0xff, 0xff, 0xfe]);
        assert_eq!(Mac::generated(last, 1).to_string(), "00:0c:29:00:00:08");
        assert_eq!(uuid.vmci_id(), 0x04d6_ed8e);
    }

    #[test]
    fn mac_text_is_read_in_either_case() {
        let mac: Mac = "00:0C:29:14:89:4D".parse().unwrap();
        assert_eq!(mac.to_string(), "00:0c:29:14:89:4d");
        assert!("00:0c:29".parse::<Mac>().is_err());
        assert!("00:0c:29:14:89:+4".parse::<Mac>().is_err());
    }

    #[test]
    fn new_ids_begin_as_vmwares() {
        assert!(Uuid::new_vm().to_string().starts_with("56 4d "));
        assert!(Uuid::new_part().to_string().starts_with("52 "));
        let disk = Uuid::new_disk();
        assert!(disk.starts_with("60 00 C2 9") && disk.len() == 47, "{disk}");
        assert_ne!(Uuid::new_vm(), Uuid::new_vm());
    }

    #[test]
    fn renewed_vm_is_another_one() {
        let mut vm = config(&format!(
            "uuid.bios = \"{TEXT}\"\nethernet0.present = \"TRUE\"\n\
             ethernet0.addressType = \"generated\"\n\
             ethernet0.generatedAddress = \"00:0c:29:d6:ed:8e\"\n\
             ethernet0.generatedAddressOffset = \"0\"\n\
             ethernet1.present = \"TRUE\"\nethernet1.addressType = \"static\"\n\
             ethernet1.address = \"00:50:56:00:00:01\"\nethernet2.present = \"FALSE\"\n\
             vmci0.id = \"81194382\"\nnvme0.subnqnUUID = \"52 00\"\nvm.genid = \"1\"\n"
        ));
        let report = renew(&mut vm);
        let get = |name: &str| vm.dict().get(name).unwrap();
        assert_eq!(get("uuid.bios"), report.uuid.to_string());
        assert_eq!(get("uuid.location"), get("uuid.bios"));
        assert_eq!(get("vmci0.id"), report.uuid.vmci_id().to_string());
        assert_eq!(
            get("ethernet0.generatedAddress"),
            Mac::generated(report.uuid, 0).to_string()
        );
        assert_eq!(get("ethernet1.addressType"), "generated");
        assert_eq!(get("ethernet1.generatedAddressOffset"), "10");
        assert!(!vm.dict().contains("ethernet1.address"));
        assert!(!vm.dict().contains("ethernet2.generatedAddress"));
        assert_ne!(get("vm.genid"), "1");
        assert_eq!(get("nvme0.subnqnUUID").len(), 47);
        assert_eq!(report.macs.len(), 2);
        assert_eq!(report.warnings.len(), 1);
        assert!(report.warnings[0].contains("00:50:56:00:00:01"));
    }

    #[test]
    fn source_leaves_nothing_of_its_runs() {
        let mut vm = config(
            "a = \"1\"\ncheckpoint.vmState = \"x.vmss\"\nuuid.action = \"create\"\n\
             vmxstats.filename = \"x\"\nscsi0:0.ctkEnabled = \"TRUE\"\n\
             sched.swap.derivedName = \"/x\"\nmigrate.hostlog = \"./x.hlog\"\n\
             cleanShutdown = \"FALSE\"\n",
        );
        leave_behind(&mut vm);
        let text = String::from_utf8(vm.to_bytes()).unwrap();
        assert_eq!(
            text,
            "a = \"1\"\ncheckpoint.vmState = \"\"\ncleanShutdown = \"TRUE\"\nvc.uuid = \"\"\npolicy.vm.mvmtid = \"\"\n"
        );
    }
}
