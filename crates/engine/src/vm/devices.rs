//! The devices that a `.vmx` describes: disks, CD and floppy drives, ports, network adapters.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::config::VmConfig;

/// A kind of disk controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bus {
    /// SCSI of any model, with 15 units (more on the paravirtual one).
    Scsi,
    /// SATA.
    Sata,
    /// IDE: two channels with two units.
    Ide,
    /// NVMe.
    Nvme,
}

impl Bus {
    const ALL: [Self; 4] = [Self::Scsi, Self::Sata, Self::Ide, Self::Nvme];

    /// Returns the word that begins the names of its devices.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scsi => "scsi",
            Self::Sata => "sata",
            Self::Ide => "ide",
            Self::Nvme => "nvme",
        }
    }

    /// Returns how many controllers of the kind a VM has, and how many places each, at most.
    fn limits(self) -> (u8, u8) {
        match self {
            Self::Scsi => (4, 65),
            Self::Sata => (4, 30),
            Self::Ide => (2, 2),
            Self::Nvme => (4, 64),
        }
    }
}

/// Where a disk or a CD drive is plugged in: `scsi0:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Kind of controller.
    pub bus: Bus,
    /// Number of the controller (for IDE, of the channel).
    pub controller: u8,
    /// Place at the controller.
    pub unit: u8,
}

impl Node {
    /// Returns the name of the controller: `scsi0`.
    pub fn controller_name(self) -> String {
        format!("{}{}", self.bus.as_str(), self.controller)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}:{}", self.bus.as_str(), self.controller, self.unit)
    }
}

impl FromStr for Node {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.to_ascii_lowercase();
        let (bus, numbers) = Bus::ALL
            .into_iter()
            .find_map(|bus| Some((bus, text.strip_prefix(bus.as_str())?)))
            .ok_or(())?;
        let (controller, unit) = numbers.split_once(':').ok_or(())?;
        let (controllers, units) = bus.limits();
        Ok(Self {
            bus,
            controller: number(controller).filter(|n| *n < controllers).ok_or(())?,
            unit: number(unit).filter(|n| *n < units).ok_or(())?,
        })
    }
}

/// Reads a number without sign and leading zeros, as device names have it.
fn number(text: &str) -> Option<u8> {
    let number: u8 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// What happens to a disk's changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskMode {
    /// They stay, and snapshots cover the disk.
    Persistent,
    /// They stay, and snapshots leave the disk alone.
    IndependentPersistent,
    /// They go at power off, and snapshots leave the disk alone.
    IndependentNonpersistent,
    /// They go at power off.
    Nonpersistent,
    /// The user is asked at power off (old products).
    Undoable,
    /// They collect in a file beside (old products).
    Append,
    /// A word that we do not know.
    Other(String),
}

impl DiskMode {
    fn from_word(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "" | "persistent" => Self::Persistent,
            "independent-persistent" => Self::IndependentPersistent,
            "independent-nonpersistent" => Self::IndependentNonpersistent,
            "nonpersistent" => Self::Nonpersistent,
            "undoable" => Self::Undoable,
            "append" => Self::Append,
            _ => Self::Other(word.into()),
        }
    }

    /// Returns VMware's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Persistent => "persistent",
            Self::IndependentPersistent => "independent-persistent",
            Self::IndependentNonpersistent => "independent-nonpersistent",
            Self::Nonpersistent => "nonpersistent",
            Self::Undoable => "undoable",
            Self::Append => "append",
            Self::Other(word) => word,
        }
    }

    /// Tells whether snapshots leave the disk alone.
    pub fn is_independent(&self) -> bool {
        matches!(
            self,
            Self::IndependentPersistent | Self::IndependentNonpersistent
        )
    }

    /// Tells whether the guest's writes are to be thrown away at power off.
    pub fn is_volatile(&self) -> bool {
        matches!(self, Self::IndependentNonpersistent | Self::Nonpersistent)
    }
}

/// A hard disk as the configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSlot {
    /// Where it is plugged in.
    pub node: Node,
    /// The file as written.
    pub file_name: String,
    /// What happens to changes.
    pub mode: DiskMode,
    /// The file of an undoable or nonpersistent session that was not ended, as written.
    pub redo: Option<String>,
    /// `deviceType`, where it is written.
    pub device_type: Option<String>,
    /// Whether it is a disk of the host, or a part of one, and no file.
    pub raw: bool,
    /// The controller's model: `lsilogic`, `pvscsi`, ...
    pub controller_model: Option<String>,
}

/// A CD or floppy drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    /// The device: `sata0:1`, `floppy0`.
    pub device: String,
    /// Where it is plugged in; `None` for a floppy drive.
    pub node: Option<Node>,
    /// The image file as written; `None` for a drive of the host or an empty one.
    pub image: Option<String>,
    /// Whether the medium is in the drive at power on.
    pub start_connected: bool,
}

/// What is at the other end of a serial or parallel port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortEnd {
    /// A file that collects the output.
    File(String),
    /// A named pipe (on Linux: a socket); we make it if `server`.
    Pipe {
        /// Its name as written.
        name: String,
        /// Whether the VM is the server.
        server: bool,
    },
    /// A device of the host.
    Device(String),
    /// Something else, by VMware's word: `network`, `thinprint`.
    Other(String),
}

impl PortEnd {
    /// Returns VMware's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::File(_) => "file",
            Self::Pipe { .. } => "pipe",
            Self::Device(_) => "device",
            Self::Other(word) => word,
        }
    }
}

/// A serial or parallel port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The device: `serial0`, `parallel0`.
    pub device: String,
    /// Its number.
    pub number: u8,
    /// What it is connected to.
    pub end: PortEnd,
    /// Whether it is connected at power on.
    pub start_connected: bool,
}

impl Port {
    /// Tells whether it is a serial port.
    pub fn is_serial(&self) -> bool {
        self.device.starts_with("serial")
    }
}

/// A network adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its number: 0 for `ethernet0`.
    pub number: u8,
    /// `e1000`, `vmxnet3`, ...
    pub model: String,
    /// `nat`, `bridged`, `hostonly`, `custom`, ...
    pub connection: String,
    /// The virtual network of a custom connection: `vmnet1`, `/dev/vmnet8`.
    pub network: Option<String>,
    /// `generated`, `static`, `vpx`.
    pub address_type: String,
    /// The MAC address in force, as written.
    pub mac: Option<String>,
    /// Whether it is connected at power on.
    pub start_connected: bool,
}

impl Nic {
    /// Returns the device's name: `ethernet0`.
    pub fn device(&self) -> String {
        format!("ethernet{}", self.number)
    }
}

/// Devices.
impl VmConfig {
    /// Returns all slots on disk controllers that the configuration speaks of, used or not.
    pub fn nodes(&self) -> BTreeSet<Node> {
        let first = |name: &str| name.split('.').next()?.parse().ok();
        self.dict().names().filter_map(first).collect()
    }

    /// Returns the hard disks that are present.
    pub fn disks(&self) -> Vec<DiskSlot> {
        let slots = self.nodes().into_iter();
        slots.filter_map(|node| self.disk(node)).collect()
    }

    /// Returns the hard disk at `node`, if one is present there.
    pub fn disk(&self, node: Node) -> Option<DiskSlot> {
        let device = node.to_string();
        let file_name = self.text(&device, "fileName").unwrap_or_default();
        let device_type = self.text(&device, "deviceType");
        if !self.is_plugged(node) || !is_disk(device_type.as_deref(), &file_name) {
            return None;
        }
        Some(DiskSlot {
            node,
            mode: DiskMode::from_word(&self.text(&device, "mode").unwrap_or_default()),
            redo: self.text(&device, "redo"),
            raw: is_raw(device_type.as_deref(), &file_name),
            controller_model: self.text(&node.controller_name(), "virtualDev"),
            file_name,
            device_type,
        })
    }

    /// Returns the CD drives that are present.
    pub fn cd_drives(&self) -> Vec<Drive> {
        let slots = self.nodes().into_iter();
        slots.filter_map(|node| self.cd_drive(node)).collect()
    }

    /// Returns the floppy drives that are present. One that is not spoken of is not counted.
    pub fn floppy_drives(&self) -> Vec<Drive> {
        let floppy = |number| self.floppy_drive(&format!("floppy{number}"));
        self.numbers("floppy")
            .into_iter()
            .filter_map(floppy)
            .collect()
    }

    /// Returns the serial ports that are present.
    pub fn serial_ports(&self) -> Vec<Port> {
        self.ports("serial")
    }

    /// Returns the parallel ports that are present.
    pub fn parallel_ports(&self) -> Vec<Port> {
        self.ports("parallel")
    }

    /// Returns the network adapters that are present.
    pub fn nics(&self) -> Vec<Nic> {
        let present = |n: &u8| self.flag(&format!("ethernet{n}.present"), false);
        let numbers = self.numbers("ethernet").into_iter();
        numbers.filter(present).map(|n| self.nic(n)).collect()
    }

    /// Returns the network adapter of that number, present or not.
    pub fn nic(&self, number: u8) -> Nic {
        let device = format!("ethernet{number}");
        let address_type = self.text(&device, "addressType");
        let address_type = address_type.map_or("generated".into(), |t| t.to_ascii_lowercase());
        let address = match address_type.as_str() {
            "static" => "address",
            _ => "generatedAddress",
        };
        Nic {
            number,
            model: self.nic_model(&device),
            connection: self
                .text(&device, "connectionType")
                .map_or("bridged".into(), |t| t.to_ascii_lowercase()),
            network: self.text(&device, "vnet"),
            mac: self.text(&device, address),
            start_connected: self.flag(&format!("{device}.startConnected"), true),
            address_type,
        }
    }

    /// Returns the numbers of the devices `kindN` that the configuration speaks of.
    pub fn numbers(&self, kind: &str) -> BTreeSet<u8> {
        let device = |name: &str| number(name.split('.').next()?.strip_prefix(kind)?);
        self.dict().names().filter_map(device).collect()
    }

    /// VMware's choice where none is written depends on the guest.
    fn nic_model(&self, device: &str) -> String {
        let default = if self.is_64_bit() { "e1000" } else { "vlance" };
        self.text(device, "virtualDev")
            .map_or(default.into(), |m| m.to_ascii_lowercase())
    }

    /// Tells whether a device is in the slot and its controller in the machine.
    fn is_plugged(&self, node: Node) -> bool {
        self.flag(&format!("{node}.present"), false)
            && self.flag(&format!("{}.present", node.controller_name()), true)
    }

    fn cd_drive(&self, node: Node) -> Option<Drive> {
        let device = node.to_string();
        let device_type = self.text(&device, "deviceType")?.to_ascii_lowercase();
        if !self.is_plugged(node) || !device_type.contains("cdrom") {
            return None;
        }
        let image = || self.text(&device, "fileName");
        Some(Drive {
            node: Some(node),
            image: (device_type == "cdrom-image").then(image).flatten(),
            start_connected: self.flag(&format!("{device}.startConnected"), true),
            device,
        })
    }

    fn floppy_drive(&self, device: &str) -> Option<Drive> {
        // The one device that is there unless the configuration says otherwise.
        if !self.flag(&format!("{device}.present"), true) {
            return None;
        }
        let file_type = self.text(device, "fileType").unwrap_or_default();
        let image = || self.text(device, "fileName");
        Some(Drive {
            device: device.into(),
            node: None,
            image: file_type.eq_ignore_ascii_case("file").then(image).flatten(),
            start_connected: self.flag(&format!("{device}.startConnected"), true),
        })
    }

    fn ports(&self, kind: &str) -> Vec<Port> {
        let present = |n: &u8| self.flag(&format!("{kind}{n}.present"), false);
        let numbers = self.numbers(kind).into_iter().filter(present);
        numbers
            .map(|n| self.port(format!("{kind}{n}"), n))
            .collect()
    }

    fn port(&self, device: String, number: u8) -> Port {
        let kind = self.text(&device, "fileType").unwrap_or("device".into());
        let name = self.text(&device, "fileName").unwrap_or_default();
        let client = || self.text(&device, "pipe.endPoint");
        let end = match kind.to_ascii_lowercase().as_str() {
            "file" => PortEnd::File(name),
            "pipe" => PortEnd::Pipe {
                name,
                server: !client().is_some_and(|end| end.eq_ignore_ascii_case("client")),
            },
            "device" => PortEnd::Device(name),
            other => PortEnd::Other(other.into()),
        };
        Port {
            number,
            end,
            start_connected: self.flag(&format!("{device}.startConnected"), true),
            device,
        }
    }

    fn text(&self, device: &str, name: &str) -> Option<String> {
        self.dict().get_filled(&format!("{device}.{name}"))
    }
}

/// Workstation writes no device type for most disks, but always one for a CD drive.
fn is_disk(device_type: Option<&str>, file_name: &str) -> bool {
    let Some(device_type) = device_type else {
        return file_name.to_ascii_lowercase().ends_with(".vmdk");
    };
    matches!(
        device_type.to_ascii_lowercase().as_str(),
        "disk" | "scsi-harddisk" | "ata-harddisk" | "nvme-harddisk" | "plaindisk" | "rawdisk"
    )
}

fn is_raw(device_type: Option<&str>, file_name: &str) -> bool {
    device_type.is_some_and(|t| t.eq_ignore_ascii_case("rawDisk"))
        || file_name.starts_with("/dev/")
        || file_name.starts_with(r"\\.\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> VmConfig {
        VmConfig::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn nodes_are_read_and_written() {
        for text in ["scsi0:0", "SATA1:29", "ide1:1", "nvme3:14"] {
            let node: Node = text.parse().unwrap();
            assert_eq!(node.to_string(), text.to_ascii_lowercase());
        }
        for text in [
            "scsi0",
            "scsi0:",
            "usb0:1",
            "scsi0:300",
            "scsi+1:0",
            "ide01:0",
        ] {
            assert!(text.parse::<Node>().is_err(), "{text}");
        }
    }

    #[test]
    fn disks_are_told_from_drives() {
        let vm = config(
            "scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"a.vmdk\"\n\
             scsi0.virtualDev = \"lsilogic\"\nsched.scsi0:9.shares = \"normal\"\n\
             ide1:0.present = \"TRUE\"\nide1:0.deviceType = \"cdrom-image\"\n\
             ide1:0.fileName = \"x.vmdk\"\n\
             nvme0:0.present = \"true\"\nnvme0:0.devicetype = \"disk\"\nnvme0:0.filename = \"b\"\n\
             sata0:0.present = \"FALSE\"\nsata0:0.fileName = \"c.vmdk\"\n\
             sata1:0.present = \"TRUE\"\nsata1:0.fileName = \"d.vmdk\"\nsata1.present = \"FALSE\"\n",
        );
        let names: Vec<String> = vm.disks().into_iter().map(|d| d.file_name).collect();
        assert_eq!(names, ["a.vmdk", "b"]);
        assert_eq!(vm.disks()[0].controller_model.as_deref(), Some("lsilogic"));
        let drives = vm.cd_drives();
        assert_eq!(drives.len(), 1);
        assert_eq!(drives[0].image.as_deref(), Some("x.vmdk"));
    }

    #[test]
    fn raw_and_undoable_disks_are_flagged() {
        let vm = config(
            "ide0:0.present = \"TRUE\"\nide0:0.deviceType = \"rawDisk\"\n\
             ide0:1.present = \"TRUE\"\nide0:1.fileName = \"a.vmdk\"\n\
             ide0:1.mode = \"Undoable\"\nide0:1.redo = \"a.REDO\"\n\
             ide1:1.present = \"TRUE\"\nide1:1.fileName = \"b.vmdk\"\nide1:1.redo = \"\"\n",
        );
        let disks = vm.disks();
        assert!(disks[0].raw && !disks[1].raw);
        assert_eq!(disks[1].mode, DiskMode::Undoable);
        assert_eq!(disks[1].redo.as_deref(), Some("a.REDO"));
        assert_eq!(disks[2].redo, None);
    }

    #[test]
    fn adapters_have_vmwares_defaults() {
        let vm = config(
            "guestOS = \"debian10-64\"\nethernet0.present = \"TRUE\"\n\
             ethernet1.present = \"TRUE\"\nethernet1.addressType = \"static\"\n\
             ethernet1.address = \"00:50:56:00:00:01\"\nethernet1.virtualDev = \"VMXNET3\"\n\
             ethernet2.present = \"FALSE\"\n",
        );
        let nics = vm.nics();
        assert_eq!(nics.len(), 2);
        assert_eq!(
            (&*nics[0].model, &*nics[0].connection),
            ("e1000", "bridged")
        );
        assert_eq!(nics[1].mac.as_deref(), Some("00:50:56:00:00:01"));
        assert_eq!(nics[1].model, "vmxnet3");
    }

    #[test]
    fn ports_know_their_other_end() {
        let vm = config(
            "serial0.present = \"TRUE\"\nserial0.fileType = \"pipe\"\n\
             serial0.fileName = \"/tmp/s\"\nserial0.pipe.endPoint = \"client\"\n\
             serial1.present = \"TRUE\"\nserial1.fileType = \"file\"\nserial1.fileName = \"o\"\n\
             serial1.startConnected = \"FALSE\"\nserial2.fileType = \"file\"\n\
             parallel0.present = \"TRUE\"\nparallel0.fileType = \"thinprint\"\n",
        );
        let ports = vm.serial_ports();
        let pipe = PortEnd::Pipe {
            name: "/tmp/s".into(),
            server: false,
        };
        assert_eq!(ports[0].end, pipe);
        assert_eq!(ports[1].end, PortEnd::File("o".into()));
        assert!(!ports[1].start_connected && ports.len() == 2);
        let other = PortEnd::Other("thinprint".into());
        assert_eq!(vm.parallel_ports()[0].end, other);
    }

    #[test]
    fn floppy_is_there_unless_denied() {
        let vm = config(
            "floppy0.fileType = \"file\"\nfloppy0.fileName = \"f.flp\"\n\
             floppy1.present = \"FALSE\"\n",
        );
        let drives = vm.floppy_drives();
        assert_eq!(drives.len(), 1);
        assert_eq!(drives[0].image.as_deref(), Some("f.flp"));
    }
}
