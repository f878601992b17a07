//! Consolidation: disks that no state of a VM needs are merged into their neighbours.
//!
//! Two neighbours become one by moving the data of either, whichever is less: the child's into its
//! parent, which takes its place, or the parent's into its child, which then hangs on what the parent
//! hung on. A base always takes its child in, since it is called and laid out as the disk is to be. In both cases
//! the VM finds whole disks at any moment (`disk::merge`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::links::{Links, Step};
use super::local::hold_still;
use super::{Consolidated, leavings, remove};
use crate::disk::{self, Chain, Opener};
use crate::error::{Result, quoted};
use crate::format::Vmsd;
use crate::job::Job;
use crate::power::{self, Halted};
use crate::store::{LockMode, folder_of, replace};
use crate::vm::{Claim, Env, files};

/// Merges the disks of the VM at `vmx` that nothing needs: neither its present state, nor a snapshot,
/// nor a linked clone. The guest of one that runs is halted meanwhile.
///
/// # Errors
/// `VmRunning` for a VM that runs elsewhere; `FileLocked`; what is wrong with a disk. The disks of the
/// VM are whole then, on a longer chain.
pub(crate) fn consolidate(env: &Env, vmx: &Path, job: &Job) -> Result<Consolidated> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    let halted = hold_still(env, &claim, false, job)?;
    leavings::clear(env, &mut claim, job);
    let done = consolidate_still(env, &mut claim, job)?;
    halted.map_or(Ok(()), Halted::go_on)?;
    Ok(done)
}

/// The same for a VM that `claim` holds alone and whose disks are still.
///
/// # Errors
/// As [`consolidate`].
pub(crate) fn consolidate_still(env: &Env, claim: &mut Claim, job: &Job) -> Result<Consolidated> {
    let mut vmsd = env.vmsd(&claim.vm)?;
    let mut links = Links::default();
    remove::add_states(env, claim, &vmsd, &mut links)?;
    let freed = links.unneeded();
    let (steps, _) = links.plan(&freed);
    if !steps.is_empty() {
        leavings::note(&mut vmsd, &claim.vm, &[], &steps);
        let path = claim.vm.vmsd_path(&*env.store);
        replace(&*env.store, &path, &vmsd.to_bytes())?;
    }
    let merged = carry_out(env, claim, &mut vmsd, &steps, job)?;
    let done = Consolidated {
        links: merged.gone.len() as u64,
        bytes: merged.bytes,
    };
    merged.ended?;
    leavings::forget(env, claim, &mut vmsd, job);
    if vmsd.needs_consolidation() {
        vmsd.forget_consolidation();
        replace(
            &*env.store,
            &claim.vm.vmsd_path(&*env.store),
            &vmsd.to_bytes(),
        )?;
    }
    Ok(done)
}

/// What merging came to.
pub(super) struct Merged {
    /// Whether all was done.
    pub(super) ended: Result<()>,
    /// The links whose files went.
    pub(super) gone: Vec<PathBuf>,
    /// Bytes moved.
    bytes: u64,
}

/// Carries out the steps of a plan on a VM whose disks are still. What was done before an error of
/// merging is put to use, and the error in what is returned.
///
/// # Errors
/// What the system says where what was done could not be put to use.
pub(super) fn carry_out(
    env: &Env,
    claim: &mut Claim,
    vmsd: &mut Vmsd,
    steps: &[Step],
    job: &Job,
) -> Result<Merged> {
    let mut work = Work {
        env,
        job,
        opener: env.opener(&claim.vm)?,
        renames: BTreeMap::new(),
        stands_for: BTreeMap::new(),
        ids: BTreeMap::new(),
        gone: Vec::new(),
        bytes: 0,
    };
    let mut ended = Ok(());
    for step in steps {
        ended = job.check().and_then(|()| work.step(claim, vmsd, step));
        if ended.is_err() {
            break;
        }
    }
    work.rename_disks(claim, vmsd)?;
    work.settle_ids()?;
    for link in &work.gone {
        work.opener.open_link(link)?.remove(&*env.store)?;
    }
    work.rename_sentinels(claim, vmsd)?;
    env.store.sync_dir(claim.vm.dir())?;
    Ok(Merged {
        ended,
        gone: work.gone,
        bytes: work.bytes,
    })
}

/// Merging in progress.
struct Work<'a> {
    env: &'a Env,
    job: &'a Job,
    opener: Opener,
    /// Children that their parents took in: who named the one names the other now.
    renames: BTreeMap<PathBuf, PathBuf>,
    /// Links that went, each with the one whose place in the plan is now what its own was.
    stands_for: BTreeMap<PathBuf, PathBuf>,
    /// Links without children, with the content ids that are theirs now.
    ids: BTreeMap<PathBuf, (u32, Option<String>)>,
    gone: Vec<PathBuf>,
    bytes: u64,
}

impl Work<'_> {
    fn step(&mut self, claim: &Claim, vmsd: &Vmsd, step: &Step) -> Result<()> {
        match step {
            Step::Delete(link) => {
                let link = self.now(link);
                self.gone.push(link);
                Ok(())
            }
            Step::Merge {
                child,
                into,
                orphans,
            } => {
                let (child, into) = (self.now(child), self.now(into));
                let orphans: Vec<PathBuf> = orphans.iter().map(|link| self.now(link)).collect();
                let chain = self.opener.open(&child)?;
                let (down, up) = (chain.own_bytes()?, chain.parent_bytes()?);
                match chain.links().len() > 2 && up < down {
                    true => self.lift(&chain, &into, up),
                    false => self.lower(claim, vmsd, (&chain, down), &into, &orphans),
                }
            }
        }
    }

    /// The link that is now where `link` was when the plan was made.
    fn now(&self, link: &Path) -> PathBuf {
        let mut link = link;
        while let Some(other) = self.stands_for.get(link) {
            link = other;
        }
        link.to_path_buf()
    }

    /// The VM's folder.
    fn home(&self) -> &Path {
        self.opener.places().own()
    }

    /// Moves what `from` has into its child, the top of `chain`.
    fn lift(&mut self, chain: &Chain, from: &Path, bytes: u64) -> Result<()> {
        let store = &*self.env.store;
        let [child, _, below, ..] = chain.links() else {
            return Ok(());
        };
        let path = child.path().to_path_buf();
        self.job
            .phase(format!("merging {} into {}", quoted(from), quoted(&path)));
        self.job.expect_bytes(bytes);
        self.bytes += disk::absorb(chain, self.job)?;
        let old = self.opener.open_link(from)?;
        // In one folder, what leads from the parent to its own parent leads there from the child too.
        let hint = match old.descriptor().parent_hint() {
            Some(hint) if folder_of(from) == folder_of(&path) => hint,
            _ => files::name_from(self.home(), folder_of(&path), below.path()),
        };
        disk::relink(store, &self.opener.open_link(&path)?, &hint, below.cid())?;
        self.stands_for.insert(from.to_path_buf(), path);
        self.gone.push(from.to_path_buf());
        Ok(())
    }

    /// Moves what the top of `chain` has into its parent `into`.
    fn lower(
        &mut self,
        claim: &Claim,
        vmsd: &Vmsd,
        (chain, bytes): (&Chain, u64),
        into: &Path,
        orphans: &[PathBuf],
    ) -> Result<()> {
        let store = &*self.env.store;
        let child = chain.top().path();
        self.job
            .phase(format!("merging {} into {}", quoted(child), quoted(into)));
        self.job.expect_bytes(bytes);
        let cid = self.opener.open_link(into)?.cid();
        power::rebase(self.env, &claim.vm, vmsd, chain.top().cid(), cid)?;
        self.bytes += disk::merge(chain, self.job)?;
        let parent = self.opener.open_link(into)?;
        for orphan in orphans {
            let hint = files::name_from(self.home(), folder_of(orphan), into);
            disk::relink(store, &self.opener.open_link(orphan)?, &hint, parent.cid())?;
        }
        if orphans.is_empty() {
            let ids = (chain.top().cid(), chain.long_content_id());
            self.ids.insert(into.to_path_buf(), ids);
        }
        for name in self.renames.values_mut().filter(|now| *now == child) {
            *name = into.to_path_buf();
        }
        self.renames.insert(child.to_path_buf(), into.to_path_buf());
        self.stands_for
            .insert(child.to_path_buf(), into.to_path_buf());
        self.gone.push(child.to_path_buf());
        Ok(())
    }

    /// Writes the names that stay into the `.vmsd` and the `.vmx`.
    fn rename_disks(&self, claim: &mut Claim, vmsd: &mut Vmsd) -> Result<()> {
        if self.renames.is_empty() {
            return Ok(());
        }
        let (env, renames) = (self.env, &self.renames);
        let new_name = |claim: &Claim, old: &str| -> Option<String> {
            let path = claim.vm.find(&*env.store, old)?.path;
            renames
                .get(&path)
                .map(|now| files::name_from(self.home(), self.home(), now))
        };
        for entry in vmsd.snapshots().to_vec() {
            for disk in &entry.disks {
                if let Some(name) = new_name(claim, &disk.file_name) {
                    vmsd.set_disk_file(entry.uid, &disk.node, &name);
                }
            }
        }
        for slot in claim.vm.config.disks() {
            if let Some(name) = new_name(claim, &slot.file_name) {
                claim.vm.config.set_disk_file(slot.node, &name);
            }
        }
        replace(
            &*env.store,
            &claim.vm.vmsd_path(&*env.store),
            &vmsd.to_bytes(),
        )?;
        replace(&*env.store, claim.vm.vmx(), &claim.vm.config.to_bytes())
    }

    /// A disk that nothing stands on takes the content id of the child that it took in. Before the
    /// child went out of use that would have broken it.
    fn settle_ids(&self) -> Result<()> {
        for (link, (cid, long)) in &self.ids {
            // A child may have taken it in meanwhile, which has an id of its own.
            if self.gone.contains(link) {
                continue;
            }
            let link = self.opener.open_link(link)?;
            disk::set_content_id(&*self.env.store, &link, *cid, long.as_deref())?;
        }
        Ok(())
    }

    /// Names what now hangs on a foreign disk in place of a link that did. Last: until then nobody
    /// else knows of that link.
    fn rename_sentinels(&self, claim: &Claim, vmsd: &mut Vmsd) -> Result<()> {
        let old = vmsd.sentinels();
        let rename = |name: &String| {
            let path = files::join(claim.vm.dir(), name);
            match self.stands_for.contains_key(&path) {
                true => files::name_from(self.home(), self.home(), &self.now(&path)),
                false => name.clone(),
            }
        };
        let new: Vec<String> = old.iter().map(rename).collect();
        if new == old {
            return Ok(());
        }
        vmsd.set_sentinels(&new);
        let path = claim.vm.vmsd_path(&*self.env.store);
        replace(&*self.env.store, &path, &vmsd.to_bytes())
    }
}
