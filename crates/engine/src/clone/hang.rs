//! Own links hung on other parents, which can be taken back.

use std::path::{Path, PathBuf};

use super::run::parent_hint;
use crate::disk;
use crate::error::Result;
use crate::vm::{Env, VmFolder};

/// The links of a VM that were hung on other parents.
pub(super) struct Hung<'a> {
    env: &'a Env,
    vm: &'a VmFolder,
    /// The descriptors, and how each named its parent before.
    before: Vec<(PathBuf, String, u32)>,
}

impl<'a> Hung<'a> {
    pub(super) fn new(env: &'a Env, vm: &'a VmFolder) -> Self {
        Self {
            env,
            vm,
            before: Vec::new(),
        }
    }

    /// Hangs the link `child` on the disk at `parent`, which reads as what it stood on, and has the
    /// content id `cid`.
    ///
    /// # Errors
    /// As [`disk::relink`].
    pub(super) fn hang(&mut self, child: &Path, parent: &Path, cid: u32) -> Result<()> {
        let link = self.env.opener(self.vm)?.open_link(child)?;
        let descriptor = link.descriptor();
        let (old, old_cid) = (descriptor.parent_hint(), descriptor.parent_cid());
        let (old, new) = (old.unwrap_or_default(), parent_hint(child, parent));
        if (&old, old_cid) == (&new, cid) {
            return Ok(());
        }
        self.before.push((child.to_path_buf(), old, old_cid));
        disk::relink(&*self.env.store, &link, &new, cid)
    }

    /// Hangs all of them on what they stood on before.
    ///
    /// # Errors
    /// As [`disk::relink`].
    pub(super) fn take_back(&self) -> Result<()> {
        for (child, hint, cid) in self.before.iter().rev() {
            let link = self.env.opener(self.vm)?.open_link(child)?;
            disk::relink(&*self.env.store, &link, hint, *cid)?;
        }
        Ok(())
    }
}
