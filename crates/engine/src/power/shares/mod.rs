//! Shared folders of a VM that runs (docs/adr/0016): which of those that its configuration names are
//! served, their devices plugged in and pulled, their file systems mounted in the guest.

mod mount;
mod plug;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::variables::read_variable;
use crate::error::{Result, escaped, quoted};
use crate::store::{FileKind, Store};
use crate::vm::shared_folders::{SWITCH, require_name};
use crate::vm::{Consents, Env, Share, Variable, VariableKind, VmFolder};

pub(crate) use mount::mount_shares;
pub(super) use mount::{Unmounted, mount_again, mounted_tag, require_unmounted, unmount};
pub(crate) use plug::sync_shares;
pub(super) use plug::{arguments, plugged, present};

/// Each served folder is a device of its own, at a fixed place of the bus.
pub(super) const SLOTS: u8 = 16;

/// A folder that is served to a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Served {
    /// Which of [`SLOTS`].
    pub(super) slot: u8,
    /// Its name in the guest; empty for a device that stands for a folder which is no longer served.
    pub(super) name: String,
    /// The folder, its links resolved.
    pub(super) folder: PathBuf,
    /// Whether the guest may write.
    pub(super) writable: bool,
}

impl Served {
    /// Returns QEMU's name of the device, which is also what the guest mounts it by.
    pub(super) fn tag(&self) -> String {
        tag(self.slot)
    }

    /// Returns what the configuration calls it.
    pub(super) fn device(&self) -> String {
        format!("sharedFolder{}", self.slot)
    }
}

/// Returns QEMU's name of the device in a slot.
pub(super) fn tag(slot: u8) -> String {
    format!("hgfs{slot}")
}

/// The shared folders of a VM, as they are served.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares {
    /// Those that are served.
    pub(super) served: Vec<Served>,
    /// Those that are not: device and reason, the cure in it.
    pub(super) left_out: Vec<(String, String)>,
    /// What else the user should know: device and remark.
    pub(super) remarks: Vec<(String, String)>,
}

impl Shares {
    /// Decides which folders of a VM are served: those that its user shares with it, and those in places
    /// that the user allowed, which are only read.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn of(env: &Env, vm: &VmFolder) -> Result<Self> {
        let mut shares = Self::default();
        let wished = vm.config.shares();
        if wished.is_empty() {
            return Ok(shares);
        }
        let consents = Consents::of(&*env.store, vm.vmx());
        let is_sharing = is_sharing(env, vm)?;
        for share in &wished {
            let device = share.device();
            let judged = match is_sharing {
                true => shares.judge(env, vm, &consents, share)?,
                false => Err("the sharing of folders is switched off (vmrun enableSharedFolders switches it on)".into()),
            };
            match judged {
                Ok(served) => {
                    if share.writable && !served.writable {
                        let text = format!(
                            "{device} is read-only: a place in places.allow is only read; vmrun setSharedFolderState lets the guest write"
                        );
                        shares.remarks.push((device, text));
                    }
                    shares.served.push(served);
                }
                Err(why) => {
                    let name = escaped(&share.name);
                    let text = format!("{device}, \"{name}\", is not served: {why}");
                    shares.left_out.push((device, text));
                }
            }
        }
        Ok(shares)
    }

    /// Returns the folder as it is served, or why it is not.
    fn judge(
        &self,
        env: &Env,
        vm: &VmFolder,
        consents: &Consents,
        share: &Share,
    ) -> Result<std::result::Result<Served, String>> {
        let refused = |why: String| Ok(Err(why));
        if vm.config.is_windows() {
            return refused(WINDOWS.into());
        }
        if !share.enabled || !share.readable {
            return refused("its configuration switches it off".into());
        }
        if let Err(error) = require_name(&share.name) {
            return refused(error.to_string());
        }
        if self.served.iter().any(|other| other.name == share.name) {
            return refused("another one has its name".into());
        }
        if share.number >= SLOTS {
            return refused(format!("a running VM has {SLOTS}, the first ones"));
        }
        let folder = match real_folder(&*env.store, &share.host_path) {
            Ok(folder) => folder,
            Err(why) => return refused(why),
        };
        let writable = match consents.writable(&folder) {
            Some(writable) => share.writable && writable,
            None if env.allows(vm, &folder)? => false,
            None => {
                return refused(format!(
                    "its configuration names {}, and you did not share that with it; if that is right, say vmrun setSharedFolderState, or allow the folder in the setting places.allow",
                    quoted(&folder)
                ));
            }
        };
        Ok(Ok(Served {
            slot: share.number,
            name: share.name.clone(),
            folder,
            writable,
        }))
    }

    /// Returns what takes the devices of a machine that goes on, which must be those that it had: a
    /// folder that is not served any more is `nothing` in its place.
    pub(super) fn for_slots(self, slots: &[u8], nothing: &Path) -> Self {
        let mut shares = Self {
            served: Vec::new(),
            ..self
        };
        for slot in slots.iter().filter(|slot| **slot < SLOTS) {
            let same = self.served.iter().find(|served| served.slot == *slot);
            shares.served.push(same.cloned().unwrap_or(Served {
                slot: *slot,
                name: String::new(),
                folder: nothing.to_path_buf(),
                writable: false,
            }));
        }
        shares
    }
}

/// Why no Windows sees shared folders.
pub(crate) const WINDOWS: &str =
    "Windows has no driver for the devices of shared folders; share the folder over the network";

/// Whether folders are shared, by the configuration or by what was said since the VM was started.
fn is_sharing(env: &Env, vm: &VmFolder) -> Result<bool> {
    let variable = Variable {
        kind: VariableKind::Config,
        name: SWITCH.into(),
    };
    let value = read_variable(env, vm.vmx(), &variable)?;
    let mut config = vm.config.clone();
    config.dict_mut().set(SWITCH, &value);
    Ok(config.is_sharing())
}

/// Returns the folder that a configuration names, its links resolved, or why it is none.
fn real_folder(store: &dyn Store, host_path: &str) -> std::result::Result<PathBuf, String> {
    let path = Path::new(host_path);
    let shown = quoted(path);
    if !path.is_absolute() {
        return Err(format!("{shown} is no path of this machine"));
    }
    let real = store.canonical(path).map_err(|error| error.to_string())?;
    match store.meta(&real).map(|meta| meta.kind) {
        Ok(FileKind::Dir) if real.to_str().is_some() => Ok(real),
        Ok(FileKind::Dir) => Err(format!("the name of {shown} is no UTF-8")),
        Ok(_) => Err(format!("{shown} is no folder")),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Mem, Undo, create_dirs, write_new};
    use crate::vm::Settings;

    fn share(number: u8, name: &str, host_path: &str, writable: bool) -> String {
        let writable = if writable { "TRUE" } else { "FALSE" };
        format!(
            "sharedFolder{number}.present = \"TRUE\"\nsharedFolder{number}.enabled = \"TRUE\"\n\
             sharedFolder{number}.readAccess = \"TRUE\"\nsharedFolder{number}.writeAccess = \"{writable}\"\n\
             sharedFolder{number}.hostPath = \"{host_path}\"\nsharedFolder{number}.guestName = \"{name}\"\n"
        )
    }

    /// A VM with these lines; its user shares `/srv/own` with it, and `/srv/seen` to be read.
    fn world(lines: &str) -> (Env, VmFolder) {
        let store = Mem::new();
        for dir in ["/v", "/etc", "/srv/own/deep", "/srv/seen", "/srv/allowed/x"] {
            create_dirs(&store, Path::new(dir)).unwrap();
        }
        write_new(&store, Path::new("/etc/passwd"), b"x").unwrap();
        let vmx = Path::new("/v/a.vmx");
        write_new(
            &store,
            vmx,
            format!("guestOS = \"debian12-64\"\n{lines}").as_bytes(),
        )
        .unwrap();
        let mut consents = Consents::of(&store, vmx);
        consents.give(Path::new("/srv/own"), true);
        consents.give(Path::new("/srv/seen"), false);
        let mut undo = Undo::new(Arc::new(store.clone()));
        consents.keep(&store, &mut undo).unwrap();
        undo.keep();
        let env = Env {
            store: Arc::new(store),
            settings: Settings {
                allow: vec!["/srv/allowed".into()],
                ..Settings::default()
            },
        };
        let vm = env.open(vmx).unwrap();
        (env, vm)
    }

    #[test]
    fn only_what_its_user_shares_is_served() {
        let lines = [
            share(0, "own", "/srv/own", true),
            share(1, "seen", "/srv/seen", true),
            share(2, "allowed", "/srv/allowed/x", true),
            share(3, "etc", "/etc", false),
            share(4, "dots", "/srv/own/../../etc", true),
            share(5, "below", "/srv/own/deep", true),
            share(6, "above", "/srv", false),
            share(7, "file", "/etc/passwd", false),
            share(8, "gone", "/gone", false),
            share(9, "windows", "C:\\Users", false),
            share(10, "../../etc", "/srv/own", false),
            share(11, "own", "/srv/own", false),
            share(12, "", "/srv/own", false),
            share(16, "late", "/srv/own", false),
        ];
        let (env, vm) = world(&lines.concat());
        let shares = Shares::of(&env, &vm).unwrap();
        let served: Vec<_> = shares
            .served
            .iter()
            .map(|one| (one.slot, one.folder.to_str().unwrap(), one.writable))
            .collect();
        assert_eq!(
            served,
            [
                (0, "/srv/own", true),
                (1, "/srv/seen", false),
                (2, "/srv/allowed/x", false)
            ]
        );
        assert_eq!(shares.left_out.len(), 11, "{:?}", shares.left_out);
        let why = |device: &str| {
            let left_out = shares.left_out.iter();
            left_out
                .clone()
                .find(|(name, _)| name == device)
                .unwrap()
                .1
                .clone()
        };
        for device in [
            "sharedFolder3",
            "sharedFolder4",
            "sharedFolder5",
            "sharedFolder6",
        ] {
            let why = why(device);
            assert!(
                why.contains("did not share") && why.contains("places.allow"),
                "{why}"
            );
        }
        assert!(why("sharedFolder9").contains("no path of this machine"));
        assert!(why("sharedFolder16").contains("16"));
    }

    #[test]
    fn nothing_is_served_when_sharing_is_off_or_to_windows() {
        let one = share(0, "own", "/srv/own", true);
        for (lines, wanted) in [
            (
                "isolation.tools.hgfs.disable = \"TRUE\"\n",
                "enableSharedFolders",
            ),
            ("guestOS = \"windows9-64\"\n", "Windows"),
            ("sharedFolder0.enabled = \"FALSE\"\n", "switches it off"),
            ("sharedFolder0.readAccess = \"FALSE\"\n", "switches it off"),
        ] {
            let (env, vm) = world(&format!("{one}{lines}"));
            let shares = Shares::of(&env, &vm).unwrap();
            assert!(shares.served.is_empty(), "{lines}");
            assert!(
                shares.left_out[0].1.contains(wanted),
                "{:?}",
                shares.left_out
            );
        }
    }

    #[test]
    fn machine_that_goes_on_keeps_its_slots() {
        let (env, vm) = world(&share(1, "own", "/srv/own", true));
        let shares = Shares::of(&env, &vm).unwrap();
        let again = shares.for_slots(&[0, 1, 99], Path::new("/run/none"));
        let folders: Vec<_> = again
            .served
            .iter()
            .map(|one| (one.slot, one.folder.to_str().unwrap()))
            .collect();
        assert_eq!(folders, [(0, "/run/none"), (1, "/srv/own")]);
    }
}
