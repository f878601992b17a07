//! VMs that stand on each other: whether a linked clone that somebody wrote down still lives.

use std::path::{Path, PathBuf};

use super::env::Env;
use super::files::{self, Found, How};
use super::open::VmFolder;
use crate::error::Result;
use crate::store::folder_of;

/// Clones that a message names; of more it gives the number.
const NAMED: usize = 20;

/// What is known of a linked clone that a `.vmsd` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Living,
    /// It is not there, and the place where it was can be seen.
    Gone,
    /// The place where it was cannot be seen from here: another host's path, a disk not mounted.
    Unknown,
}

/// Returns where the VM is that `vm` calls `name`, which is not itself.
pub fn locate(env: &Env, vm: &VmFolder, name: &str) -> Option<PathBuf> {
    find(env, vm, name).map(|found| found.path)
}

fn find(env: &Env, vm: &VmFolder, name: &str) -> Option<Found> {
    let found = files::resolve(&*env.store, vm.dir(), name)?;
    let path = env.store.canonical(&found.path).ok()?;
    (path != vm.vmx()).then_some(Found { path, ..found })
}

/// Tells whether the linked clone that `vm` calls `clone` still lives.
pub fn clone_standing(env: &Env, vm: &VmFolder, clone: &str) -> Standing {
    let is_it = |found: &Found| found.how != How::Moved || !is_stranger(env, vm, &found.path);
    if find(env, vm, clone).is_some_and(|found| is_it(&found)) {
        return Standing::Living;
    }
    if files::is_windows_path(clone) {
        return Standing::Unknown;
    }
    let folder = folder_of(&files::join(vm.dir(), clone)).to_path_buf();
    match env.store.is_inhabited(&folder) || env.store.is_inhabited(folder_of(&folder)) {
        true => Standing::Gone,
        // A mount point without its disk is an empty folder.
        false => Standing::Unknown,
    }
}

/// Tells whether the VM at `vmx`, which bears the name of a clone of `vm`, neither says that it is one nor
/// stands on its disks.
fn is_stranger(env: &Env, vm: &VmFolder, vmx: &Path) -> bool {
    let names_it = || -> Result<bool> {
        let other = env.open(vmx)?;
        let vmsd = env.vmsd(&other)?;
        let parent = vmsd.clone_of().and_then(|name| locate(env, &other, &name));
        if parent.as_deref() == Some(vm.vmx()) {
            return Ok(true);
        }
        let (own, opener) = (env.own_folders(vm), env.opener(&other)?);
        for name in other.disk_names(&vmsd) {
            let survey = opener.survey(&other.require(&*env.store, "disk", &name)?)?;
            let mut links = survey.links.iter();
            if survey.problem.is_some() || links.any(|link| own.hold_link(&*env.store, link)) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    // Of what cannot be read nobody can tell.
    names_it().is_ok_and(|it_does| !it_does)
}

/// Returns names for a message, the rest of a long list as a number.
pub fn enumerate(names: &[String]) -> String {
    let (shown, rest) = names.split_at(names.len().min(NAMED));
    let shown = shown.join(", ");
    match rest.len() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Mem, create_dirs, write_new};
    use crate::vm::Settings;

    #[test]
    fn long_lists_end_with_a_number() {
        let names: Vec<String> = (0..22).map(|n| n.to_string()).collect();
        assert_eq!(enumerate(&names[..2]), "0, 1");
        assert!(enumerate(&names).ends_with("18, 19 and 2 more"));
    }

    #[test]
    fn clone_is_gone_only_where_its_place_can_be_seen() {
        let mem = Mem::new();
        let put = |path: &str, text: &str| {
            let path = Path::new(path);
            create_dirs(&mem, folder_of(path)).unwrap();
            write_new(&mem, path, text.as_bytes()).unwrap();
        };
        for name in ["base/base", "web/web", "db/db"] {
            put(&format!("/vms/{name}.vmx"), "config.version = \"8\"\n");
        }
        let text = "numCloneOf = \"1\"\ncloneOf0 = \"/vms/base/base.vmx\"\n";
        put("/vms/web/web.vmsd", text);
        create_dirs(&mem, Path::new("/mnt/usb")).unwrap();
        put("/vms/old/note.txt", "");
        let env = Env {
            store: Arc::new(mem.clone()),
            settings: Settings::default(),
        };
        let vm = env.open(Path::new("/vms/base/base.vmx")).unwrap();
        let standing = |clone| clone_standing(&env, &vm, clone);
        assert_eq!(standing("/vms/web/web.vmx"), Standing::Living);
        assert_eq!(standing("/vms/old/old.vmx"), Standing::Gone);
        assert_eq!(standing("/mnt/usb/c/c.vmx"), Standing::Unknown);
        assert_eq!(standing("D:\\vms\\c\\c.vmx"), Standing::Unknown);
        assert_eq!(standing("D:\\vms\\web\\web.vmx"), Standing::Living);
        // The parent itself, and a stranger, bear the names of clones that are gone.
        assert_eq!(standing("/vms/old/one/base.vmx"), Standing::Gone);
        assert_eq!(standing("/vms/old/db/db.vmx"), Standing::Gone);
        assert_eq!(standing("/vms/db/db.vmx"), Standing::Living);
    }
}
