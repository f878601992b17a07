//! What a clone is made of: the state to be cloned, held, checked against the rules.

use std::path::{Path, PathBuf};

use super::{Base, CloneKind, CloneSpec};
use crate::disk::Chain;
use crate::error::{Error, Kind, Result, escaped};
use crate::format::{SnapshotEntry, Vmsd};
use crate::job::Job;
use crate::power;
use crate::snapshot;
use crate::store::{LockMode, folder_of};
use crate::vm::{Claim, DiskSlot, Env, PowerState, VmConfig, VmLock, firmware};

/// No `.nvram` is larger; those with secure boot have some hundred KiB.
const NVRAM_LIMIT: u64 = 4 << 20;

/// No `.vmxf` is larger.
const VMXF_LIMIT: u64 = 1 << 20;

/// The state to be cloned.
pub(super) struct Source<'a> {
    /// The VM, held: alone for a linked clone, with other readers for a full one.
    pub(super) claim: Claim<'a>,
    /// Its bookkeeping.
    pub(super) vmsd: Vmsd,
    /// The snapshot to be cloned, or to stand on; `None` is the present state.
    pub(super) snapshot: Option<SnapshotEntry>,
    /// The configuration of that state.
    pub(super) config: VmConfig,
    /// The firmware's memory of that state; `None` if there is none.
    pub(super) nvram: Option<Vec<u8>>,
    /// The variables of its UEFI firmware; `None` if there are none.
    pub(super) variables: Option<Vec<u8>>,
    /// The text of its `.vmxf` as it is now.
    pub(super) vmxf: Option<Vec<u8>>,
    /// The disks of that state.
    pub(super) disks: Vec<SourceDisk>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
    /// The folders of the VMs that this one stands on, held by their readers.
    _parents: Vec<VmLock>,
}

/// A disk to be cloned.
pub(super) struct SourceDisk {
    /// Its slot.
    pub(super) slot: DiskSlot,
    /// The disk.
    pub(super) chain: Chain,
    /// Whether the clone stands on it, or has a copy.
    pub(super) linked: bool,
}

impl<'a> Source<'a> {
    /// Finds and holds what `spec` wants cloned of the VM at `vmx`.
    ///
    /// # Errors
    /// By the table of states; those of snapshots and of disks.
    pub(super) fn open(env: &'a Env, vmx: &Path, spec: &CloneSpec, job: &Job) -> Result<Self> {
        let claim = match spec.kind {
            CloneKind::Full => Claim::take(env, vmx, LockMode::Shared, job)?,
            CloneKind::Linked => Claim::take(env, vmx, LockMode::Exclusive, job)?,
        };
        claim.require_plain()?;
        let vmsd = env.vmsd(&claim.vm)?;
        let mut snapshot = match &spec.snapshot {
            Some(wanted) => Some(snapshot::find(&vmsd, wanted)?),
            None => None,
        };
        check_state(&claim, spec, snapshot.as_ref())?;
        let mut source = Self::of_now(env, claim, vmsd)?;
        if snapshot.is_none() && spec.kind == CloneKind::Linked && spec.base == Base::Reuse {
            snapshot = snapshot::unchanged_since(env, &source.claim, &source.vmsd);
        }
        if snapshot.is_none() && spec.kind == CloneKind::Linked {
            snapshot::require_allowed(&source.claim.vm, &source.vmsd)?;
        }
        if let Some(entry) = snapshot {
            source.go_back_to(env, entry, spec)?;
        }
        source.open_disks(env, spec.kind)?;
        source.hold_parents(env, job)?;
        Ok(source)
    }

    fn of_now(env: &Env, claim: Claim<'a>, vmsd: Vmsd) -> Result<Self> {
        let read = |name: Option<String>, limit| match name {
            Some(name) => env.read_own(&claim.vm, &name, limit),
            None => Ok(None),
        };
        let nvram = read(claim.vm.config.nvram(), NVRAM_LIMIT)?;
        let vmxf = read(claim.vm.config.extended_config(), VMXF_LIMIT)?;
        let variables = firmware::read(env, &claim.vm)?;
        let mut warnings = Vec::new();
        if claim.state.state == PowerState::Suspended {
            warnings.push("the source is suspended: the clone is off, without its memory".into());
        }
        Ok(Self {
            config: claim.vm.config.clone(),
            claim,
            vmsd,
            snapshot: None,
            variables,
            nvram,
            vmxf,
            disks: Vec::new(),
            warnings,
            _parents: Vec::new(),
        })
    }

    /// Takes the state of a snapshot instead of the present one.
    fn go_back_to(&mut self, env: &Env, entry: SnapshotEntry, spec: &CloneSpec) -> Result<()> {
        let variables = firmware::read_beside(env, &self.claim.vm, &entry.file_name)?;
        self.variables = variables.or(self.variables.take());
        let frozen = snapshot::frozen(env, &self.claim, &entry);
        self.config = frozen.config;
        if !frozen.nvram.is_empty() {
            self.nvram = Some(frozen.nvram);
        }
        self.warnings.extend(frozen.warnings);
        if entry.with_memory && spec.without_memory {
            self.warnings.push(
                "the snapshot was taken of a running guest: the clone starts as after a power cut"
                    .into(),
            );
        }
        self.snapshot = Some(entry);
        Ok(())
    }

    fn open_disks(&mut self, env: &Env, kind: CloneKind) -> Result<()> {
        env.require_each_once(&self.claim.vm, &self.config)?;
        for slot in self.config.disks() {
            let independent = slot.mode.is_independent();
            let linked = kind == CloneKind::Linked && !independent;
            if independent && (kind == CloneKind::Linked || self.snapshot.is_some()) {
                self.warnings.push(format!(
                    "{} is independent of snapshots: the clone has a copy of it as it is now",
                    slot.node
                ));
            }
            let chain = env.disk(&self.claim.vm, &slot.file_name)?;
            chain.require_clean()?;
            // A frozen disk has no writer; one in use must have none.
            if self.snapshot.is_none() || independent {
                chain.top().require_unused(&*env.store)?;
            }
            if linked && let Err(why) = power::require_base(&chain) {
                self.warnings.push(format!(
                    "the clone does not run here: {}",
                    why.with_advice()
                ));
            }
            self.disks.push(SourceDisk {
                slot,
                chain,
                linked,
            });
        }
        Ok(())
    }

    /// Holds the folders that the disks reach into, so that nothing there goes meanwhile.
    fn hold_parents(&mut self, env: &Env, job: &Job) -> Result<()> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for link in self.disks.iter().flat_map(|disk| disk.chain.links()) {
            let folder = folder_of(link.path());
            if folder != self.claim.vm.dir() && !folders.iter().any(|known| known == folder) {
                folders.push(folder.to_path_buf());
            }
        }
        let patience = env.settings.patience;
        for folder in folders {
            let lock = VmLock::acquire(&*env.store, &folder, LockMode::Shared, job, patience)?;
            self._parents.push(lock);
        }
        Ok(())
    }
}

/// The table of what may be cloned: state × kind × snapshot.
fn check_state(claim: &Claim, spec: &CloneSpec, snapshot: Option<&SnapshotEntry>) -> Result<()> {
    let linked = spec.kind == CloneKind::Linked;
    match claim.state.state {
        // The disks that a snapshot froze are still while the VM runs on others.
        PowerState::On | PowerState::Paused if linked && snapshot.is_some() => {}
        _ => claim
            .state
            .refusal(claim.vm.vmx(), !linked)
            .map_or(Ok(()), Err)?,
    }
    if let Some(entry) = snapshot.filter(|entry| entry.with_memory && !spec.without_memory) {
        let name = escaped(&entry.display_name);
        let text = format!("snapshot \"{name}\" was taken of a running guest");
        let hint = "replix clone --without-memory clones its disks alone, as after a power cut";
        return Err(Error::new(Kind::VmRunning, text)
            .at(claim.vm.vmx())
            .hint(hint));
    }
    Ok(())
}
