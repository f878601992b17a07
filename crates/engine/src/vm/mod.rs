//! A virtual machine as its files describe it: what it is, which files make it, what state it is in.

#[cfg(feature = "local")]
pub mod adapters;
#[cfg(feature = "local")]
pub mod belongings;
#[cfg(feature = "local")]
mod claim;
#[cfg(feature = "local")]
pub mod config;
#[cfg(feature = "local")]
pub mod consent;
mod device_call;
#[cfg(feature = "local")]
pub mod devices;
#[cfg(feature = "local")]
pub mod disk_call;
#[cfg(feature = "local")]
mod env;
#[cfg(feature = "local")]
pub mod files;
#[cfg(feature = "local")]
pub mod firmware;
mod fitness;
#[cfg(feature = "local")]
pub mod hardware;
#[cfg(feature = "local")]
pub mod identity;
#[cfg(feature = "local")]
pub mod kin;
#[cfg(feature = "local")]
pub mod location;
#[cfg(feature = "local")]
pub mod lock;
#[cfg(feature = "local")]
pub mod open;
mod remote_display;
#[cfg(feature = "local")]
mod settings;
#[cfg(feature = "local")]
pub mod shared_folders;
#[cfg(feature = "local")]
pub mod state;
mod variable;
#[cfg(feature = "local")]
mod whole_disk;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[cfg(feature = "local")]
pub use claim::Claim;
#[cfg(feature = "local")]
pub use config::{Firmware, VmConfig};
#[cfg(feature = "local")]
pub use consent::Consents;
pub use device_call::{Connection, DeviceCall};
#[cfg(feature = "local")]
pub use devices::{Bus, DiskMode, DiskSlot, Drive, Nic, Node, Port, PortEnd};
#[cfg(feature = "local")]
pub use env::{Env, OwnFolders};
pub use fitness::{Boot, DeviceInfo, Fit, Verdict};
#[cfg(feature = "local")]
pub use kin::{Standing, clone_standing};
#[cfg(feature = "local")]
pub use lock::{VmLock, VmwareLock};
#[cfg(feature = "local")]
pub use open::VmFolder;
pub use remote_display::RemoteDisplay;
#[cfg(feature = "local")]
pub use settings::{Accelerator, Settings, state_dir};
#[cfg(feature = "local")]
pub use shared_folders::Share;
#[cfg(feature = "local")]
pub use state::StateReport;
pub use variable::{Variable, VariableKind};
#[cfg(feature = "local")]
pub use whole_disk::clear_hidden as clear_hidden_disk;

/// The power state of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerState {
    /// Powered off.
    Off,
    /// Running, started by us on this machine.
    On,
    /// Started by us, its execution stopped.
    Paused,
    /// Its memory lies in a file, to be resumed.
    Suspended,
    /// Running in a VMware product, here or on another machine.
    Foreign,
    /// Its configuration is held by another program, which does not run it.
    Locked,
}

impl PowerState {
    /// Tells whether it is on here, paused or not.
    pub fn is_on(self) -> bool {
        matches!(self, Self::On | Self::Paused)
    }
}

/// What a VM is, in the few words that its configuration alone tells: cheap to ask, whatever hangs on
/// the VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmSummary {
    /// The name shown to people.
    pub display_name: String,
    /// VMware's word for the guest operating system.
    pub guest_os: String,
    /// Memory of the guest in MiB.
    pub memory_mib: u64,
    /// Virtual processors.
    pub cpus: u32,
    /// Whether this user cannot change the VM.
    pub read_only: bool,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Whether the guest is known to have its agent, which answered in this run or an earlier one.
    #[serde(default)]
    pub has_agent: bool,
}

/// What a VM is: everything that can be said without starting it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmInfo {
    /// The configuration file, absolute.
    pub path: PathBuf,
    /// The name shown to people.
    pub display_name: String,
    /// VMware's word for the guest operating system.
    pub guest_os: String,
    /// `virtualHW.version`.
    pub hardware_version: u32,
    /// Memory of the guest in MiB.
    pub memory_mib: u64,
    /// Virtual processors.
    pub cpus: u32,
    /// `bios` or `efi`.
    pub firmware: String,
    /// `uuid.bios`, as written.
    pub uuid_bios: Option<String>,
    /// Whether this user may not change the configuration.
    pub read_only: bool,
    /// Whether the VM is encrypted, wholly or in part.
    pub encrypted: bool,
    /// Power state.
    pub state: PowerState,
    /// Who runs or holds it, where somebody does.
    pub holder: Option<String>,
    /// Hard disks.
    pub disks: Vec<DiskInfo>,
    /// CD-ROM and floppy images, serial port files and the like.
    pub media: Vec<MediumInfo>,
    /// Network adapters.
    pub nics: Vec<NicInfo>,
    /// Number of snapshots.
    pub snapshots: usize,
    /// Name of the snapshot that the present state descends from.
    pub current_snapshot: Option<String>,
    /// For a linked clone: the configuration of the VM that it stands on, as written.
    pub clone_of: Option<String>,
    /// Configurations of the linked clones that stand on this VM, as written.
    pub clones: Vec<String>,
    /// Whether the VM is marked as a template.
    pub template: bool,
    /// How a start would run it: `kvm` or `tcg`, with the reason.
    pub accelerator: Option<String>,
    /// Whether it boots here.
    pub boot: Boot,
    /// What each of its devices becomes here.
    pub devices: Vec<DeviceInfo>,
    /// What is missing, odd or substituted, each with its cure.
    pub warnings: Vec<String>,
}

/// A hard disk of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskInfo {
    /// Where it is plugged in: `scsi0:0`.
    pub node: String,
    /// The file as the configuration names it.
    pub file_name: String,
    /// Where that file is; `None` when it is missing.
    pub path: Option<PathBuf>,
    /// `persistent`, `independent-persistent`, ...
    pub mode: String,
    /// VMware's create type, where the disk could be read.
    pub create_type: Option<String>,
    /// Capacity seen by the guest.
    pub capacity_bytes: u64,
    /// Number of links, the disk itself counted; 0 when it could not be read.
    pub depth: usize,
    /// Space on the host that this disk's own link takes.
    pub own_bytes: u64,
    /// Space on the host that its parents take.
    pub shared_bytes: u64,
    /// Why the disk cannot be used, where it cannot.
    pub problem: Option<String>,
}

/// A file-backed device that is no hard disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediumInfo {
    /// The device: `sata0:1`, `floppy0`, `serial0`.
    pub device: String,
    /// `cdrom-image`, `floppy`, `serial-file`, ...
    pub kind: String,
    /// The file as the configuration names it.
    pub file_name: String,
    /// Whether the file is there (or will be made, for an output).
    pub present: bool,
}

/// A network adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicInfo {
    /// `ethernet0`.
    pub device: String,
    /// `e1000`, `vmxnet3`, ...
    pub model: String,
    /// `nat`, `bridged`, `hostonly`, `custom`.
    pub connection: String,
    /// `generated`, `static`, `vpx`.
    pub address_type: String,
    /// The MAC address, where one is written.
    pub mac: Option<String>,
    /// Whether it is on a network of this host, which then reaches the guest through it.
    pub reachable: bool,
}
