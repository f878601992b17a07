//! What is remembered of each VM of a pool, and of the processes that have to do with it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Keep, MemberState};
use crate::error::{Error, Kind, Result};
use crate::store::machine::{MachineIds, Process, boot_id, is_alive};

/// A process of this machine that has a VM, or works on one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    /// Its number.
    pub(super) pid: u32,
    /// When it started, in clock ticks since the machine did.
    start: u64,
    /// The machine, and the processes of it that can be seen.
    machine: String,
    /// The machine's run: numbers and ticks begin anew with each.
    boot: String,
}

impl Owner {
    /// Returns this process.
    pub(super) fn this() -> Self {
        Self::of(&Process::this())
    }

    /// Returns the process with that number.
    ///
    /// # Errors
    /// `Argument` where there is none.
    pub(super) fn find(pid: u32) -> Result<Self> {
        let missing = || Error::new(Kind::Argument, format!("there is no process {pid}"));
        let process = Process::find(pid).ok_or_else(missing)?;
        Ok(Self::of(&process))
    }

    fn of(process: &Process) -> Self {
        let machine = u128::from_be_bytes(MachineIds::this().own());
        Self {
            pid: process.pid,
            start: process.start,
            machine: format!("{machine:032x}"),
            boot: boot_id(),
        }
    }

    /// Tells whether the process has certainly ended. One of another machine, or of a container whose
    /// processes cannot be seen from here, may live.
    pub(super) fn is_gone(&self) -> bool {
        let this = Self::this();
        if self.machine != this.machine {
            return false;
        }
        self.boot != this.boot || !is_alive(self.pid, Some(self.start))
    }
}

/// For whom and how long a VM is kept; without either, until it is given back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// The process that has it.
    pub(super) owner: Option<Owner>,
    /// How long it may, in seconds.
    lease_seconds: Option<u32>,
    /// When that ends: microseconds since 1970 UTC.
    pub(super) ends_us: Option<i64>,
}

impl Claim {
    /// Returns what is asked for; a lease begins now.
    ///
    /// # Errors
    /// `Argument` where the owner does not live.
    pub(super) fn of(keep: Keep) -> Result<Self> {
        let mut claim = Self::default();
        match keep {
            Keep::Given => {}
            Keep::Owner(pid) => claim.owner = Some(Owner::find(pid)?),
            Keep::Lease(seconds) => claim.lease_seconds = Some(seconds),
        }
        Ok(claim.begun())
    }

    /// Returns the claim with its lease beginning now.
    pub(super) fn begun(mut self) -> Self {
        self.ends_us = self
            .lease_seconds
            .map(|seconds| now_us().saturating_add(i64::from(seconds) * 1_000_000));
        self
    }

    fn is_over(&self) -> bool {
        self.owner.as_ref().is_some_and(Owner::is_gone)
            || self.ends_us.is_some_and(|end| end <= now_us())
    }
}

/// What becomes of a VM. `by` is the process that works on it; without one, whoever comes may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(super) enum Stage {
    /// It is cloned and brought to where the pool's VMs wait.
    Making { by: Option<Owner> },
    /// It waits to be handed out.
    Ready,
    /// It was chosen, and is started.
    Handing { by: Option<Owner>, claim: Claim },
    /// It is handed out.
    Taken { claim: Claim },
    /// It is being destroyed.
    Leaving { by: Option<Owner> },
}

/// What is remembered of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// When it was begun: microseconds since 1970 UTC.
    pub(super) begun_us: i64,
    /// Its `uuid.bios`, once it is there: what stands in its place with another one is not it.
    pub(super) uuid: Option<String>,
    /// What becomes of it.
    #[serde(flatten)]
    pub(super) stage: Stage,
}

impl Record {
    /// Returns the record of a VM that this process begins to make.
    pub(super) fn begin() -> Self {
        Self {
            begun_us: now_us(),
            uuid: None,
            stage: Stage::Making {
                by: Some(Owner::this()),
            },
        }
    }

    /// Returns the process that works on the VM or has it.
    pub(super) fn process(&self) -> Option<&Owner> {
        match &self.stage {
            Stage::Making { by } | Stage::Handing { by, .. } | Stage::Leaving { by } => by.as_ref(),
            Stage::Taken { claim } => claim.owner.as_ref(),
            Stage::Ready => None,
        }
    }

    /// Tells whether nobody has the VM any more, and nobody works on it.
    pub(super) fn is_over(&self) -> bool {
        match &self.stage {
            Stage::Making { by } | Stage::Handing { by, .. } | Stage::Leaving { by } => {
                by.as_ref().is_none_or(Owner::is_gone)
            }
            Stage::Taken { claim } => claim.is_over(),
            Stage::Ready => false,
        }
    }

    /// Returns what becomes of the VM, for others to see.
    pub(super) fn state(&self) -> MemberState {
        match &self.stage {
            _ if self.is_over() => MemberState::Over,
            Stage::Making { .. } => MemberState::Making,
            Stage::Ready => MemberState::Ready,
            Stage::Handing { .. } | Stage::Taken { .. } => MemberState::Taken,
            Stage::Leaving { .. } => MemberState::Leaving,
        }
    }
}

/// Now, in microseconds since 1970 UTC.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(claim: Claim) -> Record {
        Record {
            stage: Stage::Taken { claim },
            ..Record::begin()
        }
    }

    #[test]
    fn record_reads_back() {
        let record = taken(Claim::of(Keep::Owner(std::process::id())).unwrap());
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains(r#""state":"taken""#), "{text}");
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn owner_is_the_process_not_its_number() {
        let this = Owner::this();
        assert!(!this.is_gone());
        let start = this.start + 1;
        let later = Owner {
            start,
            ..this.clone()
        };
        assert!(later.is_gone());
        let boot = "another".to_string();
        let rebooted = Owner {
            boot,
            ..this.clone()
        };
        assert!(rebooted.is_gone());
        let machine = "another".to_string();
        let elsewhere = Owner { machine, ..later };
        assert!(!elsewhere.is_gone(), "nobody can tell");
        assert_eq!(Owner::find(u32::MAX).unwrap_err().kind(), Kind::Argument);
    }

    #[test]
    fn lease_ends_and_what_was_given_does_not() {
        assert_eq!(
            taken(Claim::of(Keep::Given).unwrap()).state(),
            MemberState::Taken
        );
        assert_eq!(
            taken(Claim::of(Keep::Lease(60)).unwrap()).state(),
            MemberState::Taken
        );
        assert_eq!(
            taken(Claim::of(Keep::Lease(0)).unwrap()).state(),
            MemberState::Over
        );
    }

    #[test]
    fn what_nobody_works_on_is_over() {
        let mut record = Record::begin();
        assert_eq!(record.state(), MemberState::Making);
        record.stage = Stage::Leaving { by: None };
        assert_eq!(record.state(), MemberState::Over);
    }
}
