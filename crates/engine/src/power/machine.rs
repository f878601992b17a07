//! A VM's configuration as QEMU's arguments. Nothing is opened or started here.
//!
//! Source of the device table: VMware's device names, QEMU's `-device help`, and boots of a guest on
//! each of them.

mod board;
mod disks;
mod ports;

use std::path::{Path, PathBuf};

use super::shares::{Shares, arguments as shared_folders};
use crate::format::MemoryRegion;
use crate::network::Attachment;
use crate::vm::identity::Uuid;
use crate::vm::{DeviceInfo, Firmware, Nic, Node, Port, RemoteDisplay, VmConfig};

pub(super) use disks::{Image, drive_name, link_name, link_node, seam_name, seam_node};
pub(super) use ports::Wire;

/// What a machine is made of besides its configuration.
pub(super) struct Parts<'a> {
    /// The configuration.
    pub(super) config: &'a VmConfig,
    /// The name shown to people.
    pub(super) name: &'a str,
    /// `kvm` or `tcg`.
    pub(super) accelerator: &'a str,
    /// For a machine that goes on with what was saved: QEMU's name of its type then.
    pub(super) resumed: Option<&'a str>,
    /// QEMU's display: `none`, `gtk`.
    pub(super) display: &'a str,
    /// How VNC clients see the screen, if they do.
    pub(super) vnc: Option<&'a RemoteDisplay>,
    /// The hard disks, the links of each from the disk itself down to its base.
    pub(super) disks: Vec<(Node, Vec<PathBuf>)>,
    /// CD and floppy drives; `None` is an empty drive.
    pub(super) drives: Vec<Image>,
    /// Serial and parallel ports with what is at their other end.
    pub(super) ports: Vec<(Port, Wire)>,
    /// The network adapters, and what each is connected to.
    pub(super) nics: Vec<(Nic, Attachment)>,
    /// The shared folders.
    pub(super) shares: &'a Shares,
    /// Where QEMU finds the folder of a slot, to be read or written through.
    pub(super) share_links: &'a dyn Fn(u8, bool) -> PathBuf,
    /// The socket through which the machine is spoken to.
    pub(super) control: &'a Path,
    /// The socket whose other end is the port of the agent in the guest.
    pub(super) agent: &'a Path,
    /// For UEFI: the firmware, and the file with this VM's variables.
    pub(super) uefi: Option<(PathBuf, PathBuf)>,
}

/// A machine: QEMU's arguments, and what the user should know about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// The arguments, without the program.
    pub(super) args: Vec<String>,
    /// What becomes of each device.
    pub(super) devices: Vec<DeviceInfo>,
    /// Why the guest may not find its disk, each with the cure.
    pub(super) doubts: Vec<String>,
    /// Why it will not.
    pub(super) obstacles: Vec<String>,
    /// What each start tells its user: what is substituted or missing, with the cure.
    pub(super) remarks: Vec<String>,
    /// The files that it writes to besides its disks.
    pub(super) written: Vec<PathBuf>,
    /// The bridges to which taps are needed, open in QEMU as [`FIRST_TAP`] and the numbers after it.
    pub(super) taps: Vec<String>,
}

/// Returns where the parts of a memory of so many bytes lie for the guest: from 3.5 GiB on, what is
/// above 3 GiB begins at 4 GiB. Below that lie the devices.
///
/// Source: QEMU 10.0, `hw/i386/pc_piix.c`, the comment on the memory's layout; VMware's is the same.
pub(crate) fn memory_regions(bytes: u64) -> Vec<MemoryRegion> {
    const GIB: u64 = 1 << 30;
    let region = |address: u64, offset: u64, len: u64| {
        let page = |bytes: u64| u32::try_from(bytes >> 12).unwrap_or(u32::MAX);
        MemoryRegion {
            page: page(address),
            file_page: page(offset),
            pages: page(len),
        }
    };
    match bytes {
        0..0xe000_0000 => vec![region(0, 0, bytes)],
        _ => vec![
            region(0, 0, 3 * GIB),
            region(4 * GIB, 3 * GIB, bytes - 3 * GIB),
        ],
    }
}

/// The descriptors before are the standard ones, and two that the keeper uses.
pub(super) const FIRST_TAP: i32 = 5;

impl Machine {
    /// Builds the machine.
    pub(super) fn of(parts: &Parts) -> Self {
        let mut machine = Self::default();
        machine.tell_board(parts.config);
        machine.board(parts);
        machine.disks(parts);
        machine.networks(&parts.nics);
        machine.ports(parts);
        machine.comforts(parts.config);
        machine.agent(parts.agent);
        machine.shares(parts);
        machine
    }

    fn arg(&mut self, option: &str, value: impl Into<String>) {
        self.args.push(option.into());
        self.args.push(value.into());
    }

    /// Notes what becomes of a device.
    fn found(&mut self, device: DeviceInfo) {
        self.devices.push(device);
    }

    /// Notes what becomes of a device, and has each start tell it.
    fn told(&mut self, device: DeviceInfo) {
        self.remarks.extend(device.remark.clone());
        self.found(device);
    }

    fn board(&mut self, parts: &Parts) {
        let config = parts.config;
        self.args
            .extend(["-nodefaults", "-no-user-config", "-S"].map(String::from));
        self.arg("-name", format!("guest={}", escape(parts.name)));
        let kind = parts.resumed.map_or("pc".into(), escape);
        self.arg("-machine", format!("{kind},accel={}", parts.accelerator));
        if parts.resumed.is_some() {
            self.arg("-incoming", "defer");
        }
        // The host's own processor under KVM; under emulation all that it can do.
        self.arg(
            "-cpu",
            if parts.accelerator == "kvm" {
                "host"
            } else {
                "max"
            },
        );
        let cpus = config.cpus().max(1);
        let cores = config.cores_per_socket().clamp(1, cpus);
        let topology = match cpus % cores {
            0 => format!("{cpus},sockets={},cores={cores},threads=1", cpus / cores),
            _ => cpus.to_string(),
        };
        self.arg("-smp", topology);
        self.arg("-m", config.memory_mib().to_string());
        if let Some(uuid) = config
            .uuid_bios()
            .and_then(|text| text.parse::<Uuid>().ok())
        {
            self.arg("-uuid", uuid.to_plain());
            self.arg(
                "-smbios",
                format!("type=1,serial=VMware-{}", escape(&uuid.to_string())),
            );
        }
        self.arg(
            "-rtc",
            if config.clock_is_local() {
                "base=localtime"
            } else {
                "base=utc"
            },
        );
        self.arg("-display", parts.display);
        if let Some(vnc) = parts.vnc {
            // Where it listens, and the password, QEMU is told when it runs: others read this line.
            let password = vnc.password.as_ref().map_or("", |_| ",password=on");
            self.arg("-vnc", format!("none{password}"));
        }
        self.arg("-msg", "timestamp=on");
        let limits = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
        self.arg("-sandbox", limits);
        let control = escape(&parts.control.to_string_lossy());
        self.arg(
            "-chardev",
            format!("socket,id=control,path={control},server=on,wait=off"),
        );
        self.arg("-mon", "chardev=control,mode=control");
        if let (Firmware::Efi { .. }, Some((code, variables))) = (config.firmware(), &parts.uefi) {
            let flash = |unit: u8, path: &Path, read_only: &str| {
                let path = escape(&path.to_string_lossy());
                format!("if=pflash,format=raw,unit={unit},readonly={read_only},file={path}")
            };
            self.written.push(variables.clone());
            self.arg("-drive", flash(0, code, "on"));
            self.arg("-drive", flash(1, variables, "off"));
        }
        if config.svga() {
            self.arg("-device", "VGA,vgamem_mb=16");
        }
    }

    fn networks(&mut self, nics: &[(Nic, Attachment)]) {
        for (nic, attachment) in nics {
            let (device, substituted) = match nic.model.to_ascii_lowercase().as_str() {
                "e1000" => ("e1000-82545em", false),
                "e1000e" => ("e1000e", false),
                "vmxnet3" => ("vmxnet3", false),
                "vlance" | "pcnet32" => ("pcnet", false),
                _ => ("e1000-82545em", true),
            };
            let name = nic.device();
            if substituted {
                let remark = format!(
                    "{name} ({}) has no counterpart: an e1000 takes its place",
                    nic.model
                );
                self.told(DeviceInfo::substitute(&name, &nic.model, device).remark(remark));
            } else {
                self.found(DeviceInfo::same(&name, &nic.model, device));
            }
            let mut line = format!("{device},id={name}");
            if let Some(mac) = nic.mac.as_ref().filter(|mac| is_mac(mac)) {
                line += &format!(",mac={mac}");
            }
            if nic.start_connected {
                line += &format!(",netdev=net{}", nic.number);
                self.connect(nic, attachment);
            }
            self.arg("-device", line);
        }
    }

    fn connect(&mut self, nic: &Nic, attachment: &Attachment) {
        let id = format!("id=net{}", nic.number);
        let isolated = match attachment {
            Attachment::Bridge(bridge) => {
                let descriptor = FIRST_TAP + self.taps.len() as i32;
                self.arg("-netdev", format!("tap,{id},fd={descriptor}"));
                return self.taps.push(bridge.clone());
            }
            Attachment::User { isolated } => isolated,
        };
        let (restrict, what) = match isolated {
            true => (",restrict=on", "alone on a network"),
            false => ("", "on QEMU's user-mode network: the guest reaches out"),
        };
        self.arg("-netdev", format!("user,{id}{restrict}"));
        let cure = match nic.connection.as_str() {
            "nat" | "hostonly" => "replix network setup makes a real one",
            _ => "no bridge of this host has the name that its configuration gives",
        };
        let remark = format!(
            "{} ({}) is {what}, nothing reaches it; {cure}",
            nic.device(),
            nic.connection
        );
        let network = DeviceInfo::substitute(nic.device(), &nic.connection, "user");
        self.told(network.remark(remark));
    }

    fn shares(&mut self, parts: &Parts) {
        let shares = parts.shares;
        for (option, value) in shared_folders(parts.share_links, &shares.served) {
            self.arg(option, value);
        }
        for (device, why) in &shares.left_out {
            self.told(DeviceInfo::missing(device, "hgfs").remark(why));
        }
        for served in shares.served.iter().filter(|one| !one.name.is_empty()) {
            let found = DeviceInfo::substitute(served.device(), "hgfs", "virtio-9p-pci");
            let remarks = shares.remarks.iter();
            match remarks.clone().find(|(device, _)| *device == found.device) {
                Some((_, remark)) => self.told(found.remark(remark)),
                None => self.found(found),
            }
        }
    }

    fn comforts(&mut self, config: &VmConfig) {
        for (present, model, device, id) in [
            (config.usb(), "usb", "piix3-usb-uhci", "usb"),
            (config.usb2(), "ehci", "usb-ehci", "ehci"),
            (config.usb3(), "usb_xhci", "nec-usb-xhci", "xhci"),
        ] {
            if present {
                self.arg("-device", format!("{device},id={id}"));
                self.found(DeviceInfo::same(model, model, device));
            }
        }
        if config.usb() {
            // The pointer follows the host's without being caught.
            self.arg("-device", "usb-tablet,bus=usb.0");
        }
        let Some(model) = config.sound() else { return };
        self.arg("-audiodev", "none,id=sound");
        let device = match model.as_str() {
            "es1371" => "ES1370",
            "sb16" => "sb16",
            _ => "intel-hda",
        };
        if device == "intel-hda" {
            self.arg("-device", "intel-hda,id=hda");
            self.arg("-device", "hda-duplex,bus=hda.0,audiodev=sound");
        } else {
            self.arg("-device", format!("{device},audiodev=sound"));
        }
        let remark = "sound is not heard: it has no output on this host";
        self.told(DeviceInfo::substitute("sound", model, device).remark(remark));
    }
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let is_byte = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    parts.len() == 6 && parts.iter().all(is_byte)
}

/// A value inside one of QEMU's comma-separated options.
fn escape(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::Fit;

    fn machine(lines: &str, disks: Vec<(&str, Vec<&str>)>) -> Machine {
        let config =
            VmConfig::parse(format!("config.version = \"8\"\n{lines}").as_bytes()).unwrap();
        let path = |path: &str| PathBuf::from(path);
        let chain = |links: Vec<&str>| links.into_iter().map(path).collect();
        Machine::of(&Parts {
            config: &config,
            name: "a,b",
            accelerator: "tcg",
            resumed: None,
            display: "none",
            vnc: None,
            disks: disks
                .into_iter()
                .map(|(n, links)| (n.parse().unwrap(), chain(links)))
                .collect(),
            drives: Vec::new(),
            ports: Vec::new(),
            shares: &Shares::default(),
            share_links: &|slot, _| PathBuf::from(format!("/run/s/{slot}")),
            nics: config
                .nics()
                .into_iter()
                .map(|nic| match nic.network.clone() {
                    Some(bridge) => (nic, Attachment::Bridge(bridge)),
                    None => (nic, Attachment::User { isolated: true }),
                })
                .collect(),
            control: Path::new("/run/x"),
            agent: Path::new("/run/y"),
            uefi: None,
        })
    }

    fn has(machine: &Machine, wanted: &str) -> bool {
        machine.args.iter().any(|arg| arg.contains(wanted))
    }

    #[test]
    fn memory_has_a_gap_below_4_gib() {
        let regions = |mib: u64| {
            let regions = memory_regions(mib << 20).into_iter();
            let pages = regions.map(|region| (region.page, region.file_page, region.pages));
            pages.collect::<Vec<_>>()
        };
        assert_eq!(regions(3583), [(0, 0, 3583 << 8)]);
        let low = (0, 0, 3 << 18);
        assert_eq!(regions(3584), [low, (1 << 20, 3 << 18, 512 << 8)]);
        assert_eq!(regions(8192), [low, (1 << 20, 3 << 18, 5 << 18)]);
    }

    #[test]
    fn board_follows_the_configuration() {
        let machine = machine(
            "memsize = \"512\"\nnumvcpus = \"4\"\ncpuid.coresPerSocket = \"2\"\n\
             uuid.bios = \"56 4d 30 42 33 02 c3 16-92 6a 88 46 04 d6 ed 8e\"\n",
            vec![],
        );
        assert!(has(&machine, "4,sockets=2,cores=2,threads=1"));
        assert!(has(&machine, "564d3042-3302-c316-926a-884604d6ed8e"));
        assert!(has(&machine, "guest=a,,b"));
        assert!(machine.args.iter().any(|arg| arg == "512"));
    }

    #[test]
    fn each_link_names_its_parent_by_node() {
        let machine = machine(
            "scsi0.present = \"TRUE\"\nscsi0.virtualDev = \"pvscsi\"\n",
            vec![("scsi0:3", vec!["/v/c.vmdk", "/v/b.vmdk"])],
        );
        assert!(has(&machine, "\"backing\":\"disk0-0\""));
        assert!(has(&machine, "\"backing\":null"));
        assert!(has(&machine, "pvscsi,id=scsi0"));
        assert!(has(&machine, "scsi-hd,drive=disk0,bus=scsi0.0,scsi-id=3"));
    }

    #[test]
    fn adapter_has_its_model_and_address() {
        let machine = machine(
            "ethernet1.present = \"TRUE\"\nethernet1.virtualDev = \"vmxnet3\"\n\
             ethernet1.generatedAddress = \"00:0c:29:d6:ed:98\"\n",
            vec![],
        );
        assert!(has(
            &machine,
            "vmxnet3,id=ethernet1,mac=00:0c:29:d6:ed:98,netdev=net1"
        ));
    }

    #[test]
    fn bridges_get_taps_in_order() {
        let nic =
            |n, vnet| format!("ethernet{n}.present = \"TRUE\"\nethernet{n}.vnet = \"{vnet}\"\n");
        let lines = nic(0, "vmnet8") + &nic(1, "br0");
        let machine = machine(&(lines + "ethernet2.present = \"TRUE\"\n"), vec![]);
        assert_eq!(machine.taps, ["vmnet8", "br0"]);
        assert!(has(&machine, "tap,id=net0,fd=5") && has(&machine, "tap,id=net1,fd=6"));
        assert!(has(&machine, "user,id=net2,restrict=on"));
        assert_eq!(machine.remarks.len(), 1);
    }

    #[test]
    fn verdict_follows_guest_and_controller() {
        let scsi =
            |model: &str| format!("scsi0.present = \"TRUE\"\nscsi0.virtualDev = \"{model}\"\n");
        for (guest, lines, node, word) in [
            ("debian12-64", scsi("pvscsi"), "scsi0:0", ""),
            ("debian12-64", scsi("lsisas1068"), "scsi0:0", ""),
            (
                "debian12-64",
                scsi("lsilogic"),
                "scsi0:0",
                "doubt sym53c8xx",
            ),
            ("debian12-64", scsi(""), "scsi0:0", "doubt (lsilogic)"),
            (
                "debian12-64",
                scsi("BusLogic"),
                "scsi0:0",
                "doubt (buslogic)",
            ),
            ("winXPPro", scsi("buslogic"), "scsi0:0", "obstacle 0x7B"),
            (
                "windows9-64",
                scsi("lsilogic"),
                "scsi0:0",
                "obstacle scsi0.virtualDev",
            ),
            ("longhorn-64", scsi("lsisas1068"), "scsi0:0", ""),
            ("windows9-64", String::new(), "sata0:0", ""),
            ("windows9-64", String::new(), "ide0:0", ""),
            ("windows11-64", String::new(), "nvme0:0", ""),
            (
                "windows9-64",
                scsi("lsisas1068") + "firmware = \"efi\"\n",
                "scsi0:0",
                "doubt SATA",
            ),
            (
                "ubuntu-64",
                scsi("pvscsi") + "firmware = \"efi\"\n",
                "scsi0:0",
                "doubt ahci",
            ),
            ("ubuntu-64", "firmware = \"efi\"\n".into(), "sata0:0", ""),
            ("darwin19-64", String::new(), "sata0:0", "obstacle SMC"),
        ] {
            let lines = format!("guestOS = \"{guest}\"\n{lines}");
            let machine = machine(&lines, vec![(node, vec!["/v/a.vmdk"])]);
            let doubts = machine.doubts.iter().map(|text| format!("doubt {text}"));
            let mut told: Vec<_> = doubts.collect();
            told.extend(
                machine
                    .obstacles
                    .iter()
                    .map(|text| format!("obstacle {text}")),
            );
            let (kind, part) = word.split_once(' ').unwrap_or_default();
            let fits = |text: &String| text.starts_with(kind) && text.contains(part);
            assert!(told.iter().all(fits), "{lines}: {told:?}");
            assert_eq!(
                told.len(),
                usize::from(!word.is_empty()),
                "{lines}: {told:?}"
            );
        }
    }

    #[test]
    fn each_device_says_what_it_becomes() {
        let present = |names: &[&str]| -> String {
            let lines = names.iter().map(|name| format!("{name} = \"TRUE\"\n"));
            lines.collect()
        };
        let lines = present(&[
            "usb.present",
            "ehci.present",
            "usb_xhci.present",
            "sound.present",
            "mks.enable3d",
            "vtpm.present",
            "pciPassthru0.present",
            "parallel0.present",
            "ethernet0.present",
            "uefi.secureBoot.enabled",
        ]);
        let more = "virtualHW.version = \"23\"\nfirmware = \"efi\"\nsound.virtualDev = \"hdaudio\"\n\
                    ethernet0.virtualDev = \"flexible\"\n";
        let machine = machine(&(lines + more), vec![("nvme0:0", vec!["/v/a.vmdk"])]);
        let of = |name: &str| {
            machine
                .devices
                .iter()
                .find(|one| one.device == name)
                .unwrap()
        };
        for (name, fit, counterpart, remark) in [
            ("hardware", Fit::Substitute, "pc", "newer"),
            ("firmware", Fit::Substitute, "OVMF", "Secure Boot"),
            ("svga", Fit::Substitute, "VGA", ""),
            ("3D", Fit::Missing, "", "3D"),
            ("vtpm", Fit::Missing, "", "TPM"),
            ("pciPassthru0", Fit::Missing, "", "left out"),
            ("parallel0", Fit::Missing, "", ""),
            ("nvme0", Fit::Same, "nvme", "suspended"),
            ("usb", Fit::Same, "piix3-usb-uhci", ""),
            ("ehci", Fit::Same, "usb-ehci", ""),
            ("usb_xhci", Fit::Same, "nec-usb-xhci", ""),
            ("sound", Fit::Substitute, "intel-hda", "not heard"),
            (
                "ethernet0",
                Fit::Substitute,
                "e1000-82545em",
                "no counterpart",
            ),
        ] {
            let device = of(name);
            assert_eq!(device.fit, fit, "{name}");
            assert_eq!(
                device.counterpart.as_deref().unwrap_or_default(),
                counterpart
            );
            let told = device.remark.as_deref().unwrap_or_default();
            assert!(told.contains(remark), "{name}: {told}");
            assert_eq!(told.is_empty(), remark.is_empty(), "{name}: {told}");
        }
        // What changes nothing for the guest that starts is not told by each start.
        assert!(!machine.remarks.iter().any(|told| told.contains("NVMe")));
    }

    #[test]
    fn hostile_addresses_do_not_reach_the_command_line() {
        let machine = machine(
            "ethernet0.present = \"TRUE\"\nethernet0.addressType = \"static\"\n\
             ethernet0.address = \"00:50:56:00:00:01,romfile=/x\"\n",
            vec![],
        );
        assert!(!has(&machine, "romfile"));
    }
}
