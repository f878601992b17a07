//! What is left of disks that lack a part: of a VM whose deletion was cut off, the descriptors stay
//! until the last, so that the rest can be named.

use std::path::{Path, PathBuf};

use crate::format::vmdk::descriptor::{Descriptor, MAX_BYTES};
use crate::store::{FileKind, folder_of, hidden_siblings, read_small};
use crate::vm::{Env, VmFolder, files};

/// What is left of a disk.
pub(crate) struct Remains {
    /// The files that are there and the VM's own, the descriptor last.
    pub(crate) files: Vec<PathBuf>,
    /// Where its parent was, as it says.
    pub(crate) parent_hint: Option<String>,
}

/// Returns what is there of the VM's own disk `name`, which cannot be opened; `None` where its descriptor is
/// not to be read.
pub(crate) fn remains(env: &Env, vm: &VmFolder, name: &str) -> Option<Remains> {
    let store = &*env.store;
    let own_folders = env.own_folders(vm);
    // A stranger's descriptor may name any file.
    let is_disk = |path: &Path| {
        let ending = path.extension().unwrap_or_default();
        ending.eq_ignore_ascii_case("vmdk")
    };
    let is_own = |path: &Path| {
        let meta = store.meta(path);
        is_disk(path)
            && meta.is_ok_and(|meta| meta.kind == FileKind::File)
            && own_folders.hold(store, path)
    };
    let path = env.own_file(vm, name).ok()??;
    let bytes = read_small(store, &path, MAX_BYTES).ok()?;
    let descriptor = Descriptor::parse(&bytes).ok()?;
    let named = descriptor.extent_names().into_iter().flatten();
    let extents = named.map(|name| files::join(folder_of(&path), &String::from_utf8_lossy(&name)));
    let extents = extents.filter(|extent| *extent != path);
    let files = extents.chain([path.clone()]);
    // Texts that were to replace the descriptor.
    let mut own = hidden_siblings(store, &path);
    own.extend(files.filter(|path| is_own(path)));
    Some(Remains {
        files: own,
        parent_hint: descriptor.parent_hint(),
    })
}
