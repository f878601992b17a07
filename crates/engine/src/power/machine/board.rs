//! What is on the board besides disks, ports and adapters, or is not: told, since no argument of
//! QEMU's stands for it.

use super::Machine;
use crate::vm::{DeviceInfo, Firmware, VmConfig, hardware};

impl Machine {
    /// Tells what becomes of firmware, display and the rest.
    pub(super) fn tell_board(&mut self, config: &VmConfig) {
        let version = config.hardware_version();
        if version > hardware::NEWEST {
            let text = format!(
                "hardware version {version} is newer than all that are known here ({}): what is new in it is left out",
                hardware::NEWEST
            );
            let device = DeviceInfo::substitute("hardware", format!("version {version}"), "pc");
            self.found(device.remark(text));
        }
        self.found(match config.firmware() {
            Firmware::Bios => DeviceInfo::substitute("firmware", "bios", "SeaBIOS"),
            Firmware::Efi { secure_boot: false } => {
                DeviceInfo::substitute("firmware", "efi", "OVMF")
            }
            Firmware::Efi { secure_boot: true } => {
                let text = "Secure Boot is not enforced here: a guest whose keys hang on it (BitLocker) asks for its recovery key";
                DeviceInfo::substitute("firmware", "efi with Secure Boot", "OVMF").remark(text)
            }
        });
        if config.guest_os().to_ascii_lowercase().starts_with("darwin") {
            let text =
                "macOS boots on Apple's hardware alone: there is no SMC here, which it asks for";
            self.obstacles.push(text.into());
            self.found(DeviceInfo::missing("smc", "Apple SMC").remark(text));
        }
        if config.svga() {
            self.found(DeviceInfo::substitute("svga", "SVGA II", "VGA"));
        }
        for (name, device, remark) in [
            (
                "mks.enable3d",
                "3D",
                "there is no 3D here: the guest draws by its processor",
            ),
            (
                "vtpm.present",
                "vtpm",
                "there is no TPM here: take it out of the VM in VMware, where what relies on it (BitLocker) is turned off first",
            ),
        ] {
            if config.is_set(name) {
                self.found(DeviceInfo::missing(device, name).remark(remark));
            }
        }
        for number in config.numbers("pcipassthru") {
            let name = format!("pciPassthru{number}");
            if config.is_set(&format!("{name}.present")) {
                let text = format!("{name}, a device of the host, is left out");
                self.found(DeviceInfo::missing(name, "passthrough").remark(text));
            }
        }
    }
}
