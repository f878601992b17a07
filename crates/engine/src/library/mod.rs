//! A library: the VMs below some folders, looked at together. Who stands on whom, what is lost, what
//! belongs to nothing, and whose the space is (docs/adr/0019).
//!
//! `walk` finds the files, `member` reads the VMs, `kin`, `disks` and `files` judge, `mend` carries out what is
//! provable. Looking changes nothing; what is carried out is proven anew under the locks of the operation
//! that does it.

#[cfg(test)]
mod crowd;
mod disks;
mod files;
mod kin;
mod link;
mod member;
mod mend;
mod rebuild;
mod survey;
mod walk;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, quoted};
use crate::job::Job;
use crate::store::Local;
use crate::vm::{Env, Settings};

/// What a look at a library came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryReport {
    /// The folders that were looked through, absolute.
    pub folders: Vec<PathBuf>,
    /// The VMs in them, in order of their paths.
    pub vms: Vec<VmSpace>,
    /// What was found, damage first.
    pub findings: Vec<Finding>,
    /// Space on the host that all files of these VMs take, each counted once.
    pub own_bytes: u64,
    /// The part of it that several VMs use together.
    pub shared_bytes: u64,
    /// Space that `replix gc` may free, at most.
    pub reclaimable_bytes: u64,
}

impl LibraryReport {
    /// Tells whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|finding| finding.severity == Severity::Note)
    }
}

/// The space of one VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmSpace {
    /// Its configuration.
    pub vm: PathBuf,
    /// The name shown to people.
    pub name: String,
    /// Space that its own files take.
    pub own_bytes: u64,
    /// Space of other VMs' disks that it stands on.
    pub shared_bytes: u64,
    /// Space that `replix gc` may free of it, at most.
    pub reclaimable_bytes: u64,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is lost, or will be.
    Damage,
    /// It does no harm.
    Note,
}

/// What is wrong, or odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// Files of a VM are there, its configuration is not.
    ConfigLost,
    /// A configuration makes no sense.
    ConfigBroken,
    /// Snapshots are there, and no bookkeeping that names them.
    BookkeepingLost,
    /// The bookkeeping makes no sense.
    BookkeepingBroken,
    /// A disk is not there, or a part of it.
    DiskMissing,
    /// A disk is there and cannot be trusted.
    DiskDamaged,
    /// What a disk stands on is not where it should be.
    ParentMissing,
    /// What a disk stands on has other content by now.
    ParentChanged,
    /// A disk lies where its VM may not reach.
    OutOfReach,
    /// Two VMs write to one disk.
    TwoWriters,
    /// A VM writes to a disk that others stand on.
    WrittenParent,
    /// The state file of a snapshot is not there.
    SnapshotStateMissing,
    /// The memory of a suspended VM is not there.
    MemoryMissing,
    /// A linked clone is not in its parent's bookkeeping, which keeps its disks.
    CloneUnlisted,
    /// A linked clone names another parent than the one it stands on.
    ParentMisnamed,
    /// The bookkeeping lists a linked clone that is gone, or stands on it no more.
    CloneGone,
    /// The bookkeeping lists a linked clone whose place cannot be seen from here.
    CloneUnknown,
    /// Parts of a disk that is frozen were written after others.
    PartsOutOfStep,
    /// A snapshot that was made for linked clones, of which none is left.
    SpareSnapshot,
    /// Disks that no state of the VM needs, and no linked clone.
    SpareLinks,
    /// Memory of a VM that is not suspended to it.
    SpareMemory,
    /// What a process left that ended in the middle of its work.
    Unfinished,
    /// A lock whose processes have ended.
    StaleLock,
    /// A lock of another machine.
    ForeignLock,
    /// A file that belongs to no VM.
    Unclaimed,
    /// A folder that could not be looked through.
    Unseen,
}

/// What a look at a library found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub trouble: Trouble,
    /// The VM that it is about, by its configuration.
    pub vm: Option<PathBuf>,
    /// The file that it is about.
    pub file: PathBuf,
    /// The whole of it in a sentence, fit for a terminal.
    pub text: String,
    /// What can be done, or what a person must decide; empty where there is nothing to do.
    pub cure: String,
    /// What [`Library::carry_out`] does about it.
    pub step: Option<Step>,
    /// Space that the step frees, at most.
    pub reclaimable_bytes: u64,
}

impl Finding {
    fn new(severity: Severity, trouble: Trouble, file: &Path, text: String) -> Self {
        Self {
            severity,
            trouble,
            vm: None,
            file: file.to_path_buf(),
            text,
            cure: String::new(),
            step: None,
            reclaimable_bytes: 0,
        }
    }

    fn damage(trouble: Trouble, file: &Path, text: String) -> Self {
        Self::new(Severity::Damage, trouble, file, text)
    }

    fn note(trouble: Trouble, file: &Path, text: String) -> Self {
        Self::new(Severity::Note, trouble, file, text)
    }

    fn of(mut self, vm: &Path) -> Self {
        self.vm = Some(vm.to_path_buf());
        self
    }

    fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = cure.into();
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.step = Some(step);
        self
    }

    fn frees(mut self, bytes: u64) -> Self {
        self.reclaimable_bytes = bytes;
        self
    }
}

/// Something that is done to a library.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Removes what a process left that ended in the middle of its work.
    Clear {
        /// The hidden file or folder.
        path: PathBuf,
    },
    /// Removes the members of ended processes from a lock.
    Unlock {
        /// The file that it locks.
        file: PathBuf,
    },
    /// Takes away what changes of a VM's snapshots left that were cut off, and puts disks right that they wrote to.
    EndChanges {
        /// The VM.
        vm: PathBuf,
    },
    /// Writes the bookkeeping of snapshots anew, from their state files.
    Rebuild {
        /// The VM.
        vm: PathBuf,
    },
    /// Hangs a linked clone on its parent, and lets each name the other.
    Relink {
        /// The clone.
        vm: PathBuf,
        /// The folder of the parent; `None` is where the clone's files lead.
        parent: Option<PathBuf>,
    },
    /// Takes a linked clone out of its parent's bookkeeping.
    Forget {
        /// The parent.
        vm: PathBuf,
        /// The clone, as written there.
        clone: String,
    },
    /// Mends what a disk itself proves.
    MendDisk {
        /// Its descriptor.
        disk: PathBuf,
    },
    /// Removes a snapshot; the present state stays.
    RemoveSnapshot {
        /// The VM.
        vm: PathBuf,
        /// The snapshot's number.
        uid: u32,
    },
    /// Merges the disks that nothing needs.
    Consolidate {
        /// The VM.
        vm: PathBuf,
    },
    /// Removes memory that a VM is not suspended to.
    RemoveMemory {
        /// The VM.
        vm: PathBuf,
        /// The file.
        path: PathBuf,
    },
}

impl Step {
    /// Tells whether it is done to give back space, and not since something is wrong.
    pub fn is_for_space(&self) -> bool {
        matches!(
            self,
            Self::RemoveSnapshot { .. } | Self::Consolidate { .. } | Self::RemoveMemory { .. }
        )
    }
}

/// What is done, in a sentence that is fit for a terminal.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clear { path } | Self::RemoveMemory { path, .. } => {
                write!(f, "remove {}", quoted(path))
            }
            Self::Unlock { file } => {
                write!(
                    f,
                    "remove the lock of ended processes from {}",
                    quoted(file)
                )
            }
            Self::EndChanges { vm } => {
                let vm = quoted(vm);
                write!(f, "put right what a change of the snapshots of {vm} left")
            }
            Self::Rebuild { vm } => {
                write!(
                    f,
                    "write the bookkeeping of snapshots of {} anew",
                    quoted(vm)
                )
            }
            Self::Relink { vm, parent: None } => {
                write!(
                    f,
                    "hang {} on its parent, each naming the other",
                    quoted(vm)
                )
            }
            Self::Relink {
                vm,
                parent: Some(folder),
            } => {
                let (vm, folder) = (quoted(vm), quoted(folder));
                write!(
                    f,
                    "hang {vm} on its parent in {folder}, each naming the other"
                )
            }
            Self::Forget { vm, clone } => {
                let (vm, clone) = (quoted(vm), quoted(clone));
                write!(f, "take {clone} out of the bookkeeping of {vm}")
            }
            Self::MendDisk { disk } => write!(f, "mend what {} itself proves", quoted(disk)),
            Self::RemoveSnapshot { vm, uid } => {
                let vm = quoted(vm);
                write!(f, "remove snapshot #{uid} of {vm}, and merge its disks")
            }
            Self::Consolidate { vm } => {
                write!(f, "merge the disks of {} that nothing needs", quoted(vm))
            }
        }
    }
}

/// What became of a [`Step`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The step.
    pub step: Step,
    /// Whether it was done.
    pub is_done: bool,
    /// What was done, or why it was not: a sentence, fit for a terminal.
    pub text: String,
}

/// The VMs below some folders of this machine.
pub struct Library {
    env: Env,
    folders: Vec<PathBuf>,
}

impl Library {
    /// Returns the library in `folders`; a `.vmx` stands for its folder.
    ///
    /// # Errors
    /// `FileNotFound`.
    pub fn open(settings: Settings, folders: &[PathBuf]) -> Result<Self> {
        let store = Arc::new(Local);
        Self::within(&Env { store, settings }, folders)
    }

    /// The same of the disk that `env` works on.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub(crate) fn within(env: &Env, folders: &[PathBuf]) -> Result<Self> {
        let folders = walk::roots(&*env.store, folders)?;
        // Of thousands of VMs each looks for its parent in the same folders.
        let env = env.glancing();
        Ok(Self { env, folders })
    }

    /// Looks through the library, and changes nothing.
    ///
    /// # Errors
    /// `Cancelled`; what cannot be looked at is a finding.
    pub fn check(&self, job: &Job) -> Result<LibraryReport> {
        survey::survey(&self.env, &self.folders, job)
    }

    /// Returns what a report proves can be mended, in the order in which it is to be done.
    pub fn repairs(report: &LibraryReport) -> Vec<Step> {
        in_order(report, |step| !step.is_for_space())
    }

    /// Returns what gives back space, in the order in which it is to be done. Nothing is taken from a VM
    /// that is damaged.
    pub fn savings(report: &LibraryReport) -> Vec<Step> {
        in_order(report, |step| {
            let is_left = matches!(step, Step::Clear { .. } | Step::EndChanges { .. });
            is_left || step.is_for_space()
        })
    }

    /// Carries out steps of a report, one by one; one that fails keeps no other from being done.
    ///
    /// Each is proven anew under the locks that it needs: what has changed since is left as it is.
    ///
    /// # Errors
    /// `Cancelled`, with what was done before done: it says how much.
    pub fn carry_out(&self, steps: &[Step], job: &Job) -> Result<Vec<Outcome>> {
        let mut outcomes: Vec<Outcome> = Vec::new();
        for step in steps {
            let (done, all) = (outcomes.len(), steps.len());
            job.check().map_err(|error| {
                let is_done = outcomes.iter().filter(|outcome| outcome.is_done).count();
                let text = format!("{error}: {is_done} of {all} steps were done");
                Error::new(error.kind(), text).hint("give the command again for the rest")
            })?;
            job.phase(format!("step {} of {all}", done + 1));
            let ended = self.carry_out_one(step, job);
            outcomes.push(Outcome {
                step: step.clone(),
                is_done: ended.is_ok(),
                text: ended.unwrap_or_else(|error| error.with_advice()),
            });
        }
        Ok(outcomes)
    }

    /// Carries out one step, and says what was done.
    ///
    /// # Errors
    /// Why it was not; what is there is as before then.
    pub(crate) fn carry_out_one(&self, step: &Step, job: &Job) -> Result<String> {
        mend::carry_out(&self.env, step, job)
    }
}

fn in_order(report: &LibraryReport, is_wanted: impl Fn(&Step) -> bool) -> Vec<Step> {
    let steps = report
        .findings
        .iter()
        .filter_map(|finding| finding.step.as_ref());
    let mut steps: Vec<Step> = steps.filter(|step| is_wanted(step)).cloned().collect();
    // In the order in which the kinds of steps are written down: one makes way for the next.
    steps.sort();
    steps.dedup();
    steps
}
