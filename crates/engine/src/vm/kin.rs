//! VMs that stand on each other: whether a linked clone that somebody wrote down still lives.

use std::path::{Path, PathBuf};

use super::env::Env;
use super::files;
use super::open::VmFolder;
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

/// Returns where the VM is that another VM in `dir` calls `name`.
pub fn locate(env: &Env, dir: &Path, name: &str) -> Option<PathBuf> {
    let found = files::resolve(&*env.store, dir, name)?;
    env.store.canonical(&found.path).ok()
}

/// Tells whether the linked clone that `vm` calls `clone` still lives.
pub fn clone_standing(env: &Env, vm: &VmFolder, clone: &str) -> Standing {
    if locate(env, vm.dir(), clone).is_some() {
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
        for dir in ["/vms/base", "/vms/web", "/mnt/usb"] {
            create_dirs(&mem, Path::new(dir)).unwrap();
        }
        write_new(
            &mem,
            Path::new("/vms/base/base.vmx"),
            b"config.version = \"8\"\n",
        )
        .unwrap();
        write_new(
            &mem,
            Path::new("/vms/web/web.vmx"),
            b"config.version = \"8\"\n",
        )
        .unwrap();
        let env = Env {
            store: Arc::new(mem),
            settings: Settings::default(),
        };
        let vm = env.open(Path::new("/vms/base/base.vmx")).unwrap();
        let standing = |clone| clone_standing(&env, &vm, clone);
        assert_eq!(standing("/vms/web/web.vmx"), Standing::Living);
        assert_eq!(standing("/vms/old/old.vmx"), Standing::Gone);
        assert_eq!(standing("/mnt/usb/c/c.vmx"), Standing::Unknown);
        assert_eq!(standing("D:\\vms\\c\\c.vmx"), Standing::Unknown);
        assert_eq!(standing("D:\\vms\\web\\web.vmx"), Standing::Living);
    }
}
