//! Will a VM boot here: what each of its devices becomes, and what stands in the way.

use serde::{Deserialize, Serialize};

/// How well a device is what the guest knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The guest sees the same device.
    Same,
    /// Another one takes its place.
    Substitute,
    /// There is nothing in its place.
    Missing,
}

/// What a device of a VM becomes here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// The device: `scsi0`, `ethernet0`, `sound`.
    pub device: String,
    /// VMware's word for its model.
    pub model: String,
    /// QEMU's device in its place; `None` where there is nothing.
    pub counterpart: Option<String>,
    /// How well that is what the guest knows.
    pub fit: Fit,
    /// What its user should know, with the cure.
    pub remark: Option<String>,
}

impl DeviceInfo {
    /// Returns a device that is the same here.
    pub fn same(device: impl Into<String>, model: impl Into<String>, qemu: &str) -> Self {
        Self {
            device: device.into(),
            model: model.into(),
            counterpart: Some(qemu.into()),
            fit: Fit::Same,
            remark: None,
        }
    }

    /// Returns a device in whose place there is another one.
    pub fn substitute(device: impl Into<String>, model: impl Into<String>, qemu: &str) -> Self {
        Self {
            fit: Fit::Substitute,
            ..Self::same(device, model, qemu)
        }
    }

    /// Returns a device in whose place there is nothing.
    pub fn missing(device: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            counterpart: None,
            fit: Fit::Missing,
            ..Self::same(device, model, "")
        }
    }

    /// Adds what its user should know.
    #[must_use]
    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }
}

/// Whether a VM boots here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing is known that speaks against it.
    Yes,
    /// It depends on what is in the guest.
    Perhaps,
    /// It cannot.
    No,
}

/// Whether a VM boots here, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Whether it does.
    pub verdict: Verdict,
    /// What stands in the way, each with its cure; nothing where the verdict is yes.
    pub reasons: Vec<String>,
}

impl Boot {
    /// Returns the verdict on a VM with these obstacles, and these reasons to doubt.
    pub fn of(obstacles: Vec<String>, doubts: Vec<String>) -> Self {
        let verdict = match (obstacles.is_empty(), doubts.is_empty()) {
            (false, _) => Verdict::No,
            (true, false) => Verdict::Perhaps,
            (true, true) => Verdict::Yes,
        };
        let reasons = obstacles.into_iter().chain(doubts).collect();
        Self { verdict, reasons }
    }
}
