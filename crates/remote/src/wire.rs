//! What travels between a host service and its clients, as JSON; docs/service.md lists the routes.
//!
//! Paths are the host's, as texts: one that is no UTF-8 cannot travel.

use std::path::PathBuf;

use replix::clone::{
    CloneReport, CloneSpec, DeleteSpec, Lineage, LineageNode, PromoteSpec, Promoted, RelinkSpec,
    Relinked,
};
use replix::disk::{CheckReport, DiskAnswer, DiskCall};
use replix::guest::{GuestAnswer, GuestCall, Login};
use replix::power::{StartSpec, StopMode};
use replix::snapshot::{Consolidated, NewSnapshot, RevertSpec, Snapshot, SnapshotRef};
use replix::vm::DeviceCall;
use replix::{Error, Kind, Progress};
use serde::{Deserialize, Serialize};

/// The header that carries the number of the service's process, in each answer.
pub const INSTANCE: &str = "replix-instance";

/// What a client finds in the service's file, which only its user can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceFile {
    /// The port of 127.0.0.1 that the service listens to.
    pub port: u16,
    /// What proves to the service that a client may read this file: 64 hex digits, sent as
    /// `Authorization: Bearer`.
    pub secret: String,
    /// Which run of the service this is: a random number, another one after each start.
    pub instance: String,
    /// The service's process.
    pub pid: u32,
}

/// The proof that a server knows the secret: asked for with a random text before the secret is sent,
/// since anybody may listen to the port of a service that has ended.
pub fn proof(secret: &str, nonce: &str) -> String {
    let key = blake3::derive_key("replix host service 2026-11 proof", secret.as_bytes());
    blake3::keyed_hash(&key, nonce.as_bytes()).to_string()
}

/// What a service says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Which run of the service this is.
    pub instance: String,
    /// Of Replix.
    pub version: String,
    /// [`proof`] of the secret and the client's text.
    pub proof: String,
}

/// What takes long, and so is done by a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Clones a VM.
    Clone {
        /// The source.
        vm: PathBuf,
        /// What is wanted.
        spec: CloneSpec,
    },
    /// Takes a snapshot.
    CreateSnapshot {
        /// The VM.
        vm: PathBuf,
        /// What is wanted.
        new: NewSnapshot,
    },
    /// Puts a VM back to a snapshot.
    Revert {
        /// The VM.
        vm: PathBuf,
        /// What is wanted.
        spec: RevertSpec,
    },
    /// Removes a snapshot.
    RemoveSnapshot {
        /// The VM.
        vm: PathBuf,
        /// Which one.
        snapshot: SnapshotRef,
        /// And all that descend from it.
        children: bool,
    },
    /// Merges disks that nothing needs.
    Consolidate {
        /// The VM.
        vm: PathBuf,
    },
    /// Makes a linked clone independent.
    Promote {
        /// The clone.
        vm: PathBuf,
        /// What is wanted.
        spec: PromoteSpec,
    },
    /// Hangs a linked clone on its parent, wherever that is now.
    Relink {
        /// The clone.
        vm: PathBuf,
        /// What is wanted.
        spec: RelinkSpec,
    },
    /// Deletes a VM.
    Delete {
        /// The VM.
        vm: PathBuf,
        /// What is wanted.
        spec: DeleteSpec,
    },
    /// Powers a VM on.
    PowerOn {
        /// The VM.
        vm: PathBuf,
        /// What is wanted.
        spec: StartSpec,
    },
    /// Powers a VM off.
    PowerOff {
        /// The VM.
        vm: PathBuf,
        /// By its power button, or at once.
        mode: StopMode,
    },
    /// Resets a VM.
    Reset {
        /// The VM.
        vm: PathBuf,
        /// By its guest, or at once.
        mode: StopMode,
    },
    /// Stops a VM's execution.
    Pause {
        /// The VM.
        vm: PathBuf,
    },
    /// Lets a paused VM execute again.
    Unpause {
        /// The VM.
        vm: PathBuf,
    },
    /// Saves a VM's memory and powers it off.
    Suspend {
        /// The VM.
        vm: PathBuf,
        /// By its guest, or at once.
        mode: StopMode,
    },
    /// Raises the hardware version.
    UpgradeHardware {
        /// The VM.
        vm: PathBuf,
    },
    /// Does something to a device.
    Device {
        /// The VM.
        vm: PathBuf,
        /// What.
        call: DeviceCall,
    },
    /// Does something in the guest.
    Guest {
        /// The VM.
        vm: PathBuf,
        /// In whose name.
        login: Option<Login>,
        /// What.
        call: GuestCall,
    },
    /// Does something to a disk by itself.
    Disk {
        /// Its descriptor.
        path: PathBuf,
        /// What.
        call: DiskCall,
    },
    /// Checks a disk.
    CheckDisk {
        /// Its descriptor.
        path: PathBuf,
    },
}

/// What an [`Operation`] that ended well is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done; there is nothing to tell.
    Done,
    /// The clone.
    Clone(CloneReport),
    /// The snapshot that was taken.
    Snapshot(Snapshot),
    /// What making a VM independent came to.
    Promoted(Promoted),
    /// What a clone stands on.
    Relinked(Relinked),
    /// What merging came to.
    Consolidated(Consolidated),
    /// What the guest answered.
    Guest(GuestAnswer),
    /// What was found in the disk.
    Check(CheckReport),
    /// What was done to the disk.
    Disk(DiskAnswer),
}

/// A job, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// Its name, chosen by the client: 32 hex digits.
    pub id: String,
    /// The operation's name, as [`Operation`] is written.
    pub operation: String,
    /// The VM, or the disk, that it is done to.
    pub target: PathBuf,
    /// How far it is.
    pub progress: Progress,
    /// What its user should know.
    pub warnings: Vec<String>,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Outcome>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well.
    Done(Answer),
    /// With an error.
    Failed(Failure),
}

/// An [`Error`] on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its kind.
    pub kind: Kind,
    /// Its text.
    pub text: String,
    /// The file that it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// What the user can do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            text: error.to_string(),
            // For people: a path that is no text loses what cannot be shown.
            path: error.path().map(|path| path.to_string_lossy().into_owned()),
            hint: error.advice().map(String::from),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let mut error = Self::new(failure.kind, failure.text);
        if let Some(path) = failure.path {
            error = error.at(path.as_ref());
        }
        match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// A [`Lineage`] on its way: flat, since a line of snapshots is deeper than JSON may be nested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlatLineage(Vec<Relative>);

/// One node, after its parent and before its own children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Relative {
    /// How many nodes lie between this one and the root.
    depth: usize,
    node: LineageNode,
    own_bytes: u64,
    shared_bytes: u64,
}

impl From<Lineage> for FlatLineage {
    fn from(lineage: Lineage) -> Self {
        let mut flat = Vec::new();
        let mut open = vec![(0, lineage)];
        while let Some((depth, lineage)) = open.pop() {
            let children = lineage.children.into_iter().rev();
            open.extend(children.map(|child| (depth + 1, child)));
            flat.push(Relative {
                depth,
                node: lineage.node,
                own_bytes: lineage.own_bytes,
                shared_bytes: lineage.shared_bytes,
            });
        }
        Self(flat)
    }
}

impl TryFrom<FlatLineage> for Lineage {
    type Error = Error;

    /// # Errors
    /// `Internal` where the nodes are no tree.
    fn try_from(flat: FlatLineage) -> Result<Self, Error> {
        // The last node first: those that wait, by their depth, for the parent that stands before them.
        let mut waiting: Vec<(usize, Lineage)> = Vec::new();
        for relative in flat.0.into_iter().rev() {
            let mut children = Vec::new();
            while waiting
                .last()
                .is_some_and(|(depth, _)| *depth == relative.depth + 1)
            {
                children.extend(waiting.pop().map(|(_, child)| child));
            }
            let lineage = Lineage {
                node: relative.node,
                own_bytes: relative.own_bytes,
                shared_bytes: relative.shared_bytes,
                children,
            };
            waiting.push((relative.depth, lineage));
        }
        match (waiting.pop(), waiting.is_empty()) {
            (Some((0, root)), true) => Ok(root),
            _ => Err(Error::new(
                Kind::Internal,
                "the service sent a lineage that is no tree",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(uid: u32, children: Vec<Lineage>) -> Lineage {
        Lineage {
            node: LineageNode::Snapshot {
                name: format!("s{uid}"),
                uid,
                created_us: 0,
            },
            own_bytes: 1,
            shared_bytes: 2,
            children,
        }
    }

    fn travelled(lineage: &Lineage) -> Lineage {
        let text = serde_json::to_string(&FlatLineage::from(lineage.clone())).unwrap();
        let flat: FlatLineage = serde_json::from_str(&text).unwrap();
        flat.try_into().unwrap()
    }

    #[test]
    fn lineage_arrives_as_it_was() {
        let tree = snapshot(
            0,
            vec![
                snapshot(1, vec![snapshot(2, Vec::new()), snapshot(3, Vec::new())]),
                snapshot(4, vec![snapshot(5, Vec::new())]),
            ],
        );
        assert_eq!(travelled(&tree), tree);
    }

    #[test]
    fn lineage_may_be_deep() {
        let deep = (0..1000).fold(snapshot(1000, Vec::new()), |below, uid| {
            snapshot(uid, vec![below])
        });
        assert_eq!(travelled(&deep), deep);
    }

    #[test]
    fn nodes_without_a_root_are_refused() {
        let orphan = FlatLineage(vec![Relative {
            depth: 1,
            node: LineageNode::Current,
            own_bytes: 0,
            shared_bytes: 0,
        }]);
        assert!(Lineage::try_from(orphan).is_err());
        assert!(Lineage::try_from(FlatLineage(Vec::new())).is_err());
    }

    #[test]
    fn error_arrives_with_all_it_says() {
        let error = Error::new(Kind::DiskParent, "the parent is missing")
            .at("/vms/a.vmdk".as_ref())
            .hint("bring it back");
        let text = serde_json::to_string(&Failure::from(&error)).unwrap();
        let back = Error::from(serde_json::from_str::<Failure>(&text).unwrap());
        assert_eq!(back.kind(), error.kind());
        assert_eq!(back.to_string(), error.to_string());
        assert_eq!((back.path(), back.advice()), (error.path(), error.advice()));
    }

    #[test]
    fn proof_depends_on_both() {
        assert_eq!(proof("a", "b"), proof("a", "b"));
        assert_ne!(proof("a", "b"), proof("a", "c"));
        assert_ne!(proof("a", "b"), proof("c", "b"));
    }
}
