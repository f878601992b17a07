//! Hard disks, CD and floppy drives, and the controllers that they hang on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Machine, Parts};
use crate::vm::{Bus, DeviceInfo, Firmware, Node, VmConfig};

/// A CD or floppy drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Where a CD drive is plugged in; `None` for a floppy drive.
    pub(crate) node: Option<Node>,
    /// The image; `None` for an empty drive.
    pub(crate) path: Option<PathBuf>,
}

/// Places of an AHCI controller of QEMU's.
const AHCI_PORTS: u8 = 6;

/// What QEMU calls the disk with number `index`, as the devices see it.
pub(crate) fn seam_name(index: usize) -> String {
    format!("disk{index}")
}

/// What QEMU calls a link of that disk; the base has height 0, so that names stay when links are
/// added above.
pub(crate) fn link_name(index: usize, height: usize) -> String {
    format!("{}-{height}", seam_name(index))
}

/// The node of a link. It names its parent by node, so that nothing depends on the hints in files.
pub(crate) fn link_node(index: usize, height: usize, path: &Path, is_top: bool) -> Value {
    let parent = height.checked_sub(1).map(|below| link_name(index, below));
    json!({
        "driver": "vmdk",
        "node-name": link_name(index, height),
        "read-only": !is_top,
        "backing": parent,
        "file": { "driver": "file", "filename": path.to_string_lossy(), "read-only": !is_top },
    })
}

/// The node that the devices see, above the node `below`.
pub(crate) fn seam_node(index: usize, below: &str) -> Value {
    json!({ "driver": "raw", "node-name": seam_name(index), "file": below })
}

impl Machine {
    pub(super) fn disks(&mut self, parts: &Parts) {
        let cds = parts.drives.iter().filter_map(|drive| drive.node);
        let mut slots = Slots::default();
        for node in parts.disks.iter().map(|(node, _)| *node).chain(cds) {
            self.controller(node, parts.config, &mut slots);
        }
        for (index, (node, links)) in parts.disks.iter().enumerate() {
            self.chain(index, links);
            let place = slots.place(*node);
            let drive = format!("drive=disk{index}");
            let boot = format!("bootindex={}", index + 1);
            let line = match slots.model(*node) {
                // Without a world wide name Linux does not see a disk behind this controller.
                "mptsas1068" => {
                    format!(
                        "scsi-hd,{drive},{place},wwn={:#x},{boot}",
                        0x5000_c290_0000_0001_u64 + index as u64
                    )
                }
                "piix3-ide" | "ich9-ahci" => format!("ide-hd,{drive},{place},{boot}"),
                "nvme" => format!("nvme-ns,{drive},{place},{boot}"),
                _ => format!("scsi-hd,{drive},{place},{boot}"),
            };
            self.arg("-device", line);
        }
        let after_disks = parts.disks.len() + 1;
        for (index, drive) in parts.drives.iter().enumerate() {
            self.drive(index, drive, &slots, after_disks + index);
        }
    }

    /// The links of one disk as nodes, the base first, and `diskN` above them: a seam at which the
    /// disk can be exchanged while the machine runs (docs/adr/0001).
    fn chain(&mut self, index: usize, links: &[PathBuf]) {
        for (height, path) in links.iter().rev().enumerate() {
            let node = link_node(index, height, path, height + 1 == links.len());
            self.arg("-blockdev", node.to_string());
        }
        let top = links.len().saturating_sub(1);
        let seam = seam_node(index, &link_name(index, top));
        self.arg("-blockdev", seam.to_string());
    }

    fn drive(&mut self, index: usize, drive: &Image, slots: &Slots, boot: usize) {
        let image = drive.node.map_or(format!("image{index}"), drive_name);
        let medium = match &drive.path {
            Some(path) => {
                self.image(&image, path);
                format!(",drive={image}")
            }
            None => String::new(),
        };
        let line = match drive.node {
            None => {
                self.found(DeviceInfo::same("floppy", "floppy", "floppy"));
                format!("floppy{medium}")
            }
            Some(node) => {
                let place = slots.place(node);
                let device = match slots.model(node) {
                    "piix3-ide" | "ich9-ahci" => "ide-cd",
                    _ => "scsi-cd",
                };
                format!("{device},id={image},{place}{medium},bootindex={boot}")
            }
        };
        self.arg("-device", line);
    }

    fn image(&mut self, name: &str, path: &Path) {
        let node = json!({
            "driver": "raw",
            "node-name": name,
            "read-only": true,
            "file": { "driver": "file", "filename": path.to_string_lossy(), "read-only": true },
        });
        self.arg("-blockdev", node.to_string());
    }

    /// Adds the controller that `node` hangs on, once.
    fn controller(&mut self, node: Node, config: &VmConfig, slots: &mut Slots) {
        let key = node.controller_name();
        let known = slots.models.contains_key(&key);
        slots.take(node);
        if known {
            if slots.model(node) == "ich9-ahci" {
                self.more_ahci(node, slots);
            }
            return;
        }
        let model = match node.bus {
            // The two channels of IDE are on the board.
            Bus::Ide => "piix3-ide",
            Bus::Sata => "ich9-ahci",
            Bus::Nvme => "nvme",
            Bus::Scsi if matches!(config.firmware(), Firmware::Efi { .. }) => {
                self.efi_model(&key, config)
            }
            Bus::Scsi => self.scsi_model(&key, config),
        };
        match node.bus {
            Bus::Ide => self.found(DeviceInfo::same(&key, "ide", model)),
            Bus::Sata => self.found(DeviceInfo::same(&key, "ahci", model)),
            Bus::Nvme => self.found(nvme(&key)),
            // Their models are told where they are chosen.
            Bus::Scsi => {}
        }
        match node.bus {
            Bus::Ide => {}
            Bus::Nvme => self.arg("-device", format!("nvme,id={key},serial=VMware-{key}")),
            _ => self.arg("-device", format!("{model},id={key}")),
        }
        slots.models.insert(key, model.into());
    }

    /// A SATA controller of VMware's has 30 places; each six more need another of QEMU's.
    fn more_ahci(&mut self, node: Node, slots: &Slots) {
        let (count, key) = (slots.used(node), node.controller_name());
        if count > 1 && (count - 1) % AHCI_PORTS == 0 {
            self.arg(
                "-device",
                format!("ich9-ahci,id={key}-{}", (count - 1) / AHCI_PORTS),
            );
        }
    }

    /// The UEFI firmware has no driver for any of VMware's SCSI controllers.
    fn efi_model(&mut self, key: &str, config: &VmConfig) -> &'static str {
        let driver = match config.is_windows() {
            true => {
                "Windows looks for its disk there only if it had one on SATA before: add one to the VM in VMware, once, or move its disk to SATA"
            }
            false => "the guest needs its driver (ahci)",
        };
        let remark = format!(
            "{key} becomes a SATA controller: the UEFI firmware here boots from no SCSI disk; {driver}"
        );
        let device = DeviceInfo::substitute(key, scsi_word(key, config), "ich9-ahci");
        self.doubtful(device.remark(remark));
        "ich9-ahci"
    }

    fn scsi_model(&mut self, key: &str, config: &VmConfig) -> &'static str {
        let word = scsi_word(key, config);
        let model = match word.as_str() {
            "pvscsi" => "pvscsi",
            "lsisas1068" => "mptsas1068",
            _ => "lsi53c895a",
        };
        if model != "lsi53c895a" {
            self.found(DeviceInfo::same(key, word, model));
            return model;
        }
        let device = DeviceInfo::substitute(key, &word, model);
        if config.is_windows() {
            let remark = format!(
                "{key} ({word}) has no counterpart, and Windows no driver for the LSI 53C895A in its place: it stops with 0x7B (INACCESSIBLE_BOOT_DEVICE). In VMware, add a disk on lsisas1068 or on pvscsi (whose driver VMware Tools brings), start Windows once, and set {key}.virtualDev to it"
            );
            self.obstacles.push(remark.clone());
            self.told(device.remark(remark));
        } else {
            let remark = format!(
                "{key} ({word}) has no counterpart: an LSI 53C895A takes its place, for which Linux has a driver (sym53c8xx); pvscsi is the safest choice"
            );
            self.doubtful(device.remark(remark));
        }
        model
    }

    /// Notes a device that the guest may have no driver for.
    fn doubtful(&mut self, device: DeviceInfo) {
        self.doubts.extend(device.remark.clone());
        self.told(device);
    }
}

/// Not told by each start: who does not suspend the VM does not care.
fn nvme(key: &str) -> DeviceInfo {
    let remark = format!(
        "{key} is NVMe, whose state QEMU cannot save: the VM cannot be suspended, nor a snapshot have its memory; where that is wanted, put its disks on SATA or pvscsi"
    );
    DeviceInfo::same(key, "nvme", "nvme").remark(remark)
}

/// The model of a SCSI controller in VMware's word, `lsilogic` where none is written.
fn scsi_word(key: &str, config: &VmConfig) -> String {
    let word = config.dict().get_filled(&format!("{key}.virtualDev"));
    word.map_or("lsilogic".into(), |word| word.to_ascii_lowercase())
}

/// What QEMU calls a CD drive, and the image that it starts with: names there have no colon.
pub(crate) fn drive_name(node: Node) -> String {
    format!("cd-{}", node.to_string().replace(':', "-"))
}

/// Which devices share a controller.
#[derive(Default)]
struct Slots {
    models: BTreeMap<String, String>,
    units: BTreeMap<String, Vec<u8>>,
}

impl Slots {
    fn take(&mut self, node: Node) {
        self.units
            .entry(node.controller_name())
            .or_default()
            .push(node.unit);
    }

    fn used(&self, node: Node) -> u8 {
        self.units
            .get(&node.controller_name())
            .map_or(0, |units| units.len() as u8)
    }

    fn model(&self, node: Node) -> &str {
        self.models
            .get(&node.controller_name())
            .map_or("", String::as_str)
    }

    /// QEMU's words for the place that `node` is.
    fn place(&self, node: Node) -> String {
        let key = node.controller_name();
        // Places that QEMU's model does not have are closed up; guests do not mind.
        let order = |limit: u8| {
            let units = self.units.get(&key).map_or(&[][..], Vec::as_slice);
            if units.iter().all(|unit| *unit < limit) {
                return node.unit;
            }
            let mut sorted = units.to_vec();
            sorted.sort_unstable();
            sorted
                .iter()
                .position(|unit| *unit == node.unit)
                .unwrap_or(0) as u8
        };
        match self.model(node) {
            "pvscsi" => format!("bus={key}.0,scsi-id={}", order(64)),
            "mptsas1068" => format!("bus={key}.0,scsi-id={}", order(8)),
            "lsi53c895a" => format!("bus={key}.0,scsi-id={}", order(7)),
            "piix3-ide" => format!("bus=ide.{},unit={}", node.controller, node.unit),
            "nvme" => format!("bus={key},nsid={}", node.unit + 1),
            _ => {
                let place = order(AHCI_PORTS);
                match place / AHCI_PORTS {
                    0 => format!("bus={key}.{place}"),
                    more => format!("bus={key}-{more}.{}", place % AHCI_PORTS),
                }
            }
        }
    }
}
