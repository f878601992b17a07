//! The typed view of a `.vmx`: what the VM is and which values clones and snapshots change.
//!
//! A thin layer over the [`Dictionary`]: nothing is kept here, so that an edit is at once in the
//! text. Devices are in [`super::devices`], identities in [`super::identity`].

use std::collections::BTreeMap;

use super::devices::Node;
use crate::format::{Dictionary, LineEnd, Malformed};

/// Warnings about more lines than these would bury everything else.
const ODD_LINES_SHOWN: usize = 3;

/// Whether the VM's last run ended in order: clients wait for it to be `TRUE`. The keeper of a running
/// machine knows it by this name (`power::start`).
const CLEAN_SHUTDOWN: &str = "cleanShutdown";

/// Whether the guest's agent answered in one of the VM's runs; our own word. The keeper adds it (`power::start`).
const AGENT: &str = "replix.agent";

/// What says how a machine is built.
const MACHINE_TRAITS: [&str; 6] = [
    "cpuid.corespersocket",
    "firmware",
    "memsize",
    "numvcpus",
    "svga.vramsize",
    "vhv.enable",
];

/// What says whether a device is there, and of which kind.
const DEVICE_TRAITS: [&str; 3] = ["devicetype", "present", "virtualdev"];

/// What is called a device and is none of the machine's.
const NO_HARDWARE: [&str; 2] = ["sharedfolder", "replay"];

/// Bounds of what a text says of hardware, for those who keep it.
const LONGEST_TRAIT: usize = 40;
const MOST_TRAITS: usize = 400;

/// What the guest boots with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// The classic one.
    Bios,
    /// UEFI; with `secure_boot` it runs signed loaders only.
    Efi {
        /// `uefi.secureBoot.enabled`.
        secure_boot: bool,
    },
}

impl Firmware {
    /// Returns VMware's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Efi { .. } => "efi",
        }
    }
}

/// The configuration of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmConfig {
    dict: Dictionary,
}

impl VmConfig {
    /// Returns the view of `dict`.
    pub fn new(dict: Dictionary) -> Self {
        Self { dict }
    }

    /// Reads the text of a `.vmx`.
    ///
    /// # Errors
    /// What is no dictionary, and an empty file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let dict = Dictionary::parse(bytes)?;
        if dict.names().next().is_none() {
            let what = "the configuration is empty";
            return Err(Malformed::new(crate::format::Place::Whole, what));
        }
        Ok(Self::new(dict))
    }

    /// Returns the text of the `.vmx`.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.dict.to_bytes()
    }

    /// Returns the dictionary below, for values that have no method here.
    pub fn dict(&self) -> &Dictionary {
        &self.dict
    }

    /// Returns the dictionary below, to edit it.
    pub fn dict_mut(&mut self) -> &mut Dictionary {
        &mut self.dict
    }

    /// Returns how the file's lines end: files that we make beside it end theirs alike.
    pub fn line_end(&self) -> LineEnd {
        self.dict.line_end()
    }

    /// Returns the name shown to people, where one is written.
    pub fn display_name(&self) -> Option<String> {
        self.dict.get_filled("displayName")
    }

    /// Sets the name shown to people.
    pub fn set_display_name(&mut self, name: &str) {
        self.dict.set("displayName", name);
    }

    /// Returns VMware's word for the guest operating system.
    pub fn guest_os(&self) -> String {
        self.dict.get_filled("guestOS").unwrap_or("other".into())
    }

    /// Tells whether the guest is one of 64 bits, by the name of its system.
    pub fn is_64_bit(&self) -> bool {
        self.guest_os().to_ascii_lowercase().ends_with("-64")
    }

    /// Returns `virtualHW.version`, 0 where it is missing.
    pub fn hardware_version(&self) -> u32 {
        self.dict.get_number("virtualHW.version").unwrap_or(0)
    }

    /// Sets `virtualHW.version`.
    pub fn set_hardware_version(&mut self, version: u32) {
        self.dict.set("virtualHW.version", &version.to_string());
    }

    /// Returns the guest's memory in MiB, 256 where it is not stated.
    pub fn memory_mib(&self) -> u64 {
        self.dict.get_number("memsize").unwrap_or(256)
    }

    /// Tells whether the guest's memory is to lie in a file of its own once it is saved.
    pub fn has_memory_file(&self) -> bool {
        self.flag("mainMem.useNamedFile", true)
    }

    /// Returns the number of virtual processors.
    pub fn cpus(&self) -> u32 {
        self.dict.get_number("numvcpus").unwrap_or(1).max(1)
    }

    /// Returns how many processors make a socket.
    pub fn cores_per_socket(&self) -> u32 {
        let cores = self.dict.get_number("cpuid.coresPerSocket").unwrap_or(1);
        cores.clamp(1, self.cpus())
    }

    /// Returns what the guest boots with.
    pub fn firmware(&self) -> Firmware {
        match self.dict.get("firmware") {
            Some(word) if word.trim().eq_ignore_ascii_case("efi") => Firmware::Efi {
                secure_boot: self.flag("uefi.secureBoot.enabled", false),
            },
            _ => Firmware::Bios,
        }
    }

    /// Returns `uuid.bios` as written.
    pub fn uuid_bios(&self) -> Option<String> {
        self.dict.get_filled("uuid.bios")
    }

    /// Returns `uuid.location` as written.
    pub fn uuid_location(&self) -> Option<String> {
        self.dict.get_filled("uuid.location")
    }

    /// Tells whether the VM is marked as a template.
    pub fn is_template(&self) -> bool {
        self.flag("templateVM", false)
    }

    /// Tells why the VM counts as encrypted, if it does.
    pub fn encryption(&self) -> Option<String> {
        let key = ["encryption.data", "encryption.keySafe"]
            .into_iter()
            .find(|key| self.dict.get_filled(key).is_some())?;
        let partly = self.dict.get_filled("vmx.encryptionType");
        Some(match partly {
            Some(kind) if kind.eq_ignore_ascii_case("partial") => {
                format!("it is partially encrypted (\"{key}\"), as a virtual TPM demands")
            }
            _ => format!("its configuration is encrypted (\"{key}\")"),
        })
    }

    /// Returns the folder in which the VM makes its files, as written; `None` is that of the `.vmx`.
    pub fn working_dir(&self) -> Option<String> {
        self.dict.get_filled("workingDir").filter(|dir| dir != ".")
    }

    /// Returns the folders in which missing parents of disks are searched, as written.
    pub fn file_search_path(&self) -> Vec<String> {
        let path = self.dict.get("fileSearchPath").unwrap_or_default();
        let folders = path.split(';').map(str::trim);
        folders.filter(|f| !f.is_empty()).map(Into::into).collect()
    }

    /// Sets the folders in which missing parents of disks are searched.
    pub fn set_file_search_path(&mut self, folders: &[&str]) {
        let path = folders.join(";");
        self.dict.set_before("fileSearchPath", &path, "vc.uuid");
    }

    /// Tells whether the VM is to have no snapshots.
    pub fn forbids_snapshots(&self) -> bool {
        self.dict.get_bool("snapshot.disabled") == Some(true)
    }

    /// Returns how many snapshots the VM may have, where that is limited.
    pub fn max_snapshots(&self) -> Option<u32> {
        self.dict.get_number("snapshot.maxSnapshots")
    }

    /// Returns the name of the firmware's memory file, where one is written.
    pub fn nvram(&self) -> Option<String> {
        self.dict.get_filled("nvram")
    }

    /// Sets the name of the firmware's memory file.
    pub fn set_nvram(&mut self, name: &str) {
        self.dict.set("nvram", name);
    }

    /// Returns the name of the `.vmxf`, where one is written.
    pub fn extended_config(&self) -> Option<String> {
        self.dict.get_filled("extendedConfigFile")
    }

    /// Sets the name of the `.vmxf`.
    pub fn set_extended_config(&mut self, name: &str) {
        self.dict.set("extendedConfigFile", name);
    }

    /// Returns the name of the file that the VM is to be resumed from, if it is suspended.
    pub fn suspended_to(&self) -> Option<String> {
        self.dict.get_filled("checkpoint.vmState")
    }

    /// Makes the VM one that is suspended to the file called `name`.
    pub fn suspend_to(&mut self, name: &str) {
        self.dict.set("checkpoint.vmState", name);
    }

    /// Makes the VM one that is powered off: nothing is left to be resumed.
    pub fn forget_suspended(&mut self) {
        self.dict.set_existing("checkpoint.vmState", "");
        self.dict.remove("checkpoint.vmState.readOnly");
    }

    /// Says that the VM runs; where it ends other than in order, this stays.
    pub fn begin_run(&mut self) {
        self.dict.set(CLEAN_SHUTDOWN, "FALSE");
    }

    /// Says that the VM's last run ended in order, where runs are told of.
    pub fn end_run(&mut self) {
        self.dict.set_existing(CLEAN_SHUTDOWN, "TRUE");
    }

    /// Tells whether the guest's agent answered in an earlier run: it is installed.
    pub fn knows_agent(&self) -> bool {
        self.flag(AGENT, false)
    }

    /// Says that the guest has an agent.
    pub fn note_agent(&mut self) {
        self.dict.set(AGENT, "TRUE");
    }

    /// Plugs another file into the disk slot at `node`.
    pub fn set_disk_file(&mut self, node: Node, file_name: &str) {
        self.dict.set(&format!("{node}.fileName"), file_name);
    }

    /// Empties the slot's `redo`, where there is one.
    pub fn clear_redo(&mut self, node: Node) {
        self.dict.set_existing(&format!("{node}.redo"), "");
    }

    /// Tells whether there is sound, and by which device: `hdaudio`, `es1371`, `sb16`.
    pub fn sound(&self) -> Option<String> {
        let model = || self.dict.get_filled("sound.virtualDev");
        self.flag("sound.present", false)
            .then(|| model().unwrap_or("es1371".into()))
    }

    /// Tells whether there is a USB 1.1 controller.
    pub fn usb(&self) -> bool {
        self.flag("usb.present", false)
    }

    /// Tells whether there is a USB 2 controller.
    pub fn usb2(&self) -> bool {
        self.flag("ehci.present", false)
    }

    /// Tells whether there is a USB 3 controller.
    pub fn usb3(&self) -> bool {
        self.flag("usb_xhci.present", false)
    }

    /// Tells whether there is a display adapter.
    pub fn svga(&self) -> bool {
        self.flag("svga.present", true)
    }

    /// Returns the display adapter's memory in bytes, where it is stated.
    pub fn svga_bytes(&self) -> Option<u64> {
        self.dict.get_number("svga.vramSize")
    }

    /// Tells whether the guest may run virtual machines itself.
    pub fn nested(&self) -> bool {
        self.flag("vhv.enable", false)
    }

    /// Tells whether the guest takes the clock for local time; Windows does.
    pub fn clock_is_local(&self) -> bool {
        let windows = self.is_windows();
        match self.dict.get_number::<i64>("rtc.diffFromUTC") {
            Some(difference) => difference != 0,
            None => windows,
        }
    }

    /// Returns what the text says of the machine's hardware, by names in lower case: what a saved memory
    /// stands on. Files and networks behind devices are none of it, and may change.
    pub fn hardware(&self) -> BTreeMap<String, String> {
        let of_machine = |name: &str| {
            let of_device = name.rsplit_once('.').is_some_and(|(device, what)| {
                DEVICE_TRAITS.contains(&what)
                    && !NO_HARDWARE.iter().any(|one| device.starts_with(one))
            });
            of_device || MACHINE_TRAITS.contains(&name)
        };
        let names = self.dict.names().map(String::from);
        let told = names.filter(|name| of_machine(name)).filter_map(|name| {
            let value = self.dict.get(&name)?;
            (value.len() <= LONGEST_TRAIT).then_some((name, value))
        });
        told.take(MOST_TRAITS).collect()
    }

    /// Tells whether `name` is set to a true value.
    pub fn is_set(&self, name: &str) -> bool {
        self.flag(name, false)
    }

    /// Tells whether the guest is a Windows of any kind.
    pub fn is_windows(&self) -> bool {
        let guest = self.guest_os().to_ascii_lowercase();
        guest.starts_with("win") || guest.starts_with("longhorn")
    }

    /// Returns the truth value of `name`, `default` where it is missing or none.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.dict.get_bool(name).unwrap_or(default)
    }

    /// Returns what is odd about the text, each with its cure.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(label) = self.dict.unknown_charset() {
            let label = crate::error::escaped(&label);
            warnings.push(format!(
                "the character set \"{label}\" is unknown: names beyond ASCII may be wrong; \
                 save the configuration as UTF-8 and set .encoding = \"UTF-8\""
            ));
        }
        for name in self.dict.duplicates() {
            let name = crate::error::escaped(&name);
            warnings.push(format!(
                "\"{name}\" stands in the configuration more than once: the last one counts; \
                 remove the others"
            ));
        }
        for line in self.dict.odd_lines().into_iter().take(ODD_LINES_SHOWN) {
            warnings.push(format!(
                "line {line} of the configuration has no effect: write it as name = \"value\""
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> VmConfig {
        VmConfig::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn missing_values_have_defaults() {
        let vm = config("config.version = \"8\"\n");
        assert_eq!(vm.cpus(), 1);
        assert_eq!(vm.firmware(), Firmware::Bios);
        assert_eq!(vm.guest_os(), "other");
        assert!(vm.svga() && !vm.usb() && !vm.is_template());
        assert_eq!(vm.working_dir(), None);
        assert!(vm.file_search_path().is_empty());
    }

    #[test]
    fn values_are_read_whatever_their_case() {
        let vm = config(
            "displayname = \"a\"\nMEMSIZE = \"2048\"\nnumvcpus = \"4\"\n\
             cpuid.corespersocket = \"2\"\nfirmware = \"EFI\"\nfilesearchpath = \".;D:\\x\"\n",
        );
        assert_eq!(vm.display_name().as_deref(), Some("a"));
        assert_eq!((vm.memory_mib(), vm.cpus()), (2048, 4));
        assert_eq!(vm.cores_per_socket(), 2);
        assert_eq!(vm.firmware(), Firmware::Efi { secure_boot: false });
        assert_eq!(vm.file_search_path(), [".", "D:\\x"]);
    }

    #[test]
    fn suspended_vm_names_its_state_file() {
        let mut vm = config("checkpoint.vmState = \"a-1.vmss\"\n");
        assert_eq!(vm.suspended_to().as_deref(), Some("a-1.vmss"));
        vm.forget_suspended();
        assert_eq!(vm.suspended_to(), None);
        assert_eq!(vm.to_bytes(), b"checkpoint.vmState = \"\"\n");
    }

    #[test]
    fn run_is_told_of_from_its_begin_on() {
        let mut vm = config("a = \"1\"\n");
        vm.end_run();
        assert_eq!(vm.to_bytes(), b"a = \"1\"\n");
        vm.begin_run();
        assert_eq!(vm.to_bytes(), b"a = \"1\"\ncleanShutdown = \"FALSE\"\n");
        vm.end_run();
        assert_eq!(vm.to_bytes(), b"a = \"1\"\ncleanShutdown = \"TRUE\"\n");
    }

    #[test]
    fn hardware_is_what_a_memory_stands_on() {
        let vm = config(
            "memSize = \"128\"\nethernet0.virtualDev = \"e1000\"\nethernet0.connectionType = \"nat\"\n\
             sharedFolder0.present = \"TRUE\"\nscsi0:0.present = \"TRUE\"\nannotation = \"x\"\n",
        );
        let hardware: Vec<(String, String)> = vm.hardware().into_iter().collect();
        let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
        let expected = [
            pair("ethernet0.virtualdev", "e1000"),
            pair("memsize", "128"),
            pair("scsi0:0.present", "TRUE"),
        ];
        assert_eq!(hardware, expected);
    }

    #[test]
    fn encrypted_vm_says_by_what() {
        assert_eq!(config("encryption.data = \"\"\n").encryption(), None);
        let why = config("encryption.data = \"x\"\nvmx.encryptionType = \"partial\"\n");
        assert!(why.encryption().unwrap().contains("partially"));
    }

    #[test]
    fn oddities_are_told_with_their_cure() {
        let vm = config("a = \"1\"\nb = x y\nA = \"2\"\n.encoding = \"x\"\n");
        let warnings = vm.warnings();
        assert_eq!(warnings.len(), 3);
        assert!(warnings[1].starts_with("\"a\" stands"));
        assert!(warnings[2].starts_with("line 2 "));
    }

    #[test]
    fn empty_configuration_is_refused() {
        assert!(VmConfig::parse(b"").is_err());
        assert!(VmConfig::parse(b"# only this\n").is_err());
    }
}
