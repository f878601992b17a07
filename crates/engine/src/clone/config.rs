//! The configuration of a clone: the source's, with what must differ.

use std::path::PathBuf;

use crate::error::quoted;
use crate::vm::config::VmConfig;
use crate::vm::devices::{Node, PortEnd};
use crate::vm::files;
use crate::vm::identity;

/// What a clone's configuration is to say.
pub(super) struct Wanted<'a> {
    /// The display name.
    pub(super) name: &'a str,
    /// File name of the `.vmx` without its ending; the clone's other files are named after it.
    pub(super) stem: &'a str,
    /// Returns where a file is that the source's configuration names relative to itself.
    pub(super) place_of: &'a dyn Fn(&str) -> PathBuf,
    /// The clone's disks, each with its slot.
    pub(super) disks: Vec<(Node, String)>,
    /// For a linked clone: the folders in which what it stands on is searched, its parent's first.
    pub(super) search: Vec<PathBuf>,
    /// Keep uuids and MAC addresses.
    pub(super) keep_identity: bool,
}

/// Turns the source's configuration into the clone's; returns what its user should know.
pub(super) fn rewrite(config: &mut VmConfig, wanted: &Wanted) -> Vec<String> {
    let mut warnings = Vec::new();
    identity::leave_behind(config);
    link_to(config, &wanted.search);
    config.dict_mut().remove("templateVM");
    config.set_display_name(wanted.name);
    config.set_nvram(&format!("{}.nvram", wanted.stem));
    config.set_extended_config(&format!("{}.vmxf", wanted.stem));
    for (node, file_name) in &wanted.disks {
        config.set_disk_file(*node, file_name);
        config.clear_redo(*node);
    }
    config.dict_mut().remove("workingDir");
    carry_images(config, wanted.place_of);
    warnings.extend(own_outputs(config));
    if wanted.keep_identity {
        // Started beside the source, it would else be taken for a copy that nobody meant to be one.
        config.dict_mut().set("uuid.action", "keep");
        warnings.push(
            "uuids and MAC addresses are those of the source: do not run both on one network"
                .into(),
        );
    } else {
        warnings.extend(identity::renew(config).warnings);
    }
    warnings
}

/// A linked clone searches the disks that it stands on in its parent's folder, as VMware writes it, and in
/// those where what the parent stands on was found.
fn link_to(config: &mut VmConfig, search: &[PathBuf]) {
    if search.is_empty() {
        config.dict_mut().remove("fileSearchPath");
        return;
    }
    let folders = search.iter().map(|folder| folder.to_string_lossy());
    let folders: Vec<_> = std::iter::once(".".into()).chain(folders).collect();
    let folders: Vec<&str> = folders.iter().map(AsRef::as_ref).collect();
    config.set_file_search_path(&folders);
}

/// CD and floppy images named relative to the source stay where they are: the clone names them
/// absolutely.
fn carry_images(config: &mut VmConfig, place_of: &dyn Fn(&str) -> PathBuf) {
    let drives = config.cd_drives().into_iter().chain(config.floppy_drives());
    let named: Vec<(String, String)> = drives
        .filter_map(|drive| Some((drive.device, drive.image?)))
        .collect();
    for (device, image) in named {
        if !files::is_absolute(&image) {
            let path = place_of(&image);
            config
                .dict_mut()
                .set(&format!("{device}.fileName"), &path.to_string_lossy());
        }
    }
}

/// What a serial or parallel port writes becomes a file in the clone's own folder; returns a remark
/// for each port that stays as the source has it.
fn own_outputs(config: &mut VmConfig) -> Vec<String> {
    let mut shared = Vec::new();
    let ports: Vec<_> = config
        .serial_ports()
        .into_iter()
        .chain(config.parallel_ports())
        .collect();
    for port in ports {
        match port.end {
            PortEnd::File(name) => {
                let own = files::last_part(&name);
                config
                    .dict_mut()
                    .set(&format!("{}.fileName", port.device), own);
            }
            PortEnd::Pipe { name, .. } if files::is_absolute(&name) => shared.push(format!(
                "{} uses the pipe {} of the source: give the clone another before both run",
                port.device,
                quoted(&name)
            )),
            _ => {}
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SOURCE: &str = concat!(
        ".encoding = \"UTF-8\"\r\n",
        "displayName = \"src\"\r\n",
        "uuid.bios = \"56 4d 00 00 00 00 00 00-00 00 00 00 00 00 00 01\"\r\n",
        "uuid.location = \"56 4d 00 00 00 00 00 00-00 00 00 00 00 00 00 01\"\r\n",
        "scsi0.present = \"TRUE\"\r\nscsi0:0.present = \"TRUE\"\r\n",
        "scsi0:0.fileName = \"src-000002.vmdk\"\r\nscsi0:0.redo = \"x\"\r\n",
        "ide1:0.present = \"TRUE\"\r\nide1:0.deviceType = \"cdrom-image\"\r\n",
        "ide1:0.fileName = \"isos/a.iso\"\r\n",
        "serial0.present = \"TRUE\"\r\nserial0.fileType = \"file\"\r\n",
        "serial0.fileName = \"/var/log/src.txt\"\r\n",
        "templateVM = \"TRUE\"\r\nunknown.key = \"kept\"\r\n",
        "checkpoint.vmState = \"src.vmss\"\r\n",
    );

    fn rewritten(parent: Option<&str>) -> VmConfig {
        let mut config = VmConfig::parse(SOURCE.as_bytes()).unwrap();
        let node = config.disks()[0].node;
        let wanted = Wanted {
            name: "Copy",
            stem: "copy",
            place_of: &|name| Path::new("/vms/src").join(name),
            disks: vec![(node, "src-cl1.vmdk".into())],
            search: parent.into_iter().map(PathBuf::from).collect(),
            keep_identity: false,
        };
        rewrite(&mut config, &wanted);
        config
    }

    #[test]
    fn clone_differs_where_it_must() {
        let config = rewritten(None);
        let get = |name: &str| config.dict().get(name).unwrap_or_default();
        assert_eq!(get("displayName"), "Copy");
        assert_eq!(get("scsi0:0.fileName"), "src-cl1.vmdk");
        assert_eq!(get("scsi0:0.redo"), "");
        assert_eq!(get("ide1:0.fileName"), "/vms/src/isos/a.iso");
        assert_eq!(get("serial0.fileName"), "src.txt");
        assert_eq!(get("nvram"), "copy.nvram");
        assert_eq!(get("extendedConfigFile"), "copy.vmxf");
        assert_eq!(get("unknown.key"), "kept");
        assert_eq!(get("uuid.bios"), get("uuid.location"));
        assert_ne!(
            get("uuid.bios"),
            "56 4d 00 00 00 00 00 00-00 00 00 00 00 00 00 01"
        );
        assert!(!config.is_template());
        assert_eq!(config.suspended_to(), None);
        assert!(config.to_bytes().ends_with(b"\r\n"));
    }

    #[test]
    fn linked_clone_searches_its_parents_folder() {
        let get = |parent| rewritten(parent).dict().get("fileSearchPath");
        assert_eq!(get(Some("/vms/src")), Some(".;/vms/src".into()));
        assert_eq!(get(None), None);
    }
}
