//! What is done to the VMs of a library, one process each.

use serde::{Deserialize, Serialize};

use crate::library::Program;

/// Something that a process is started for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Act {
    Clone {
        from: String,
        snapshot: Option<String>,
        to: String,
        linked: bool,
    },
    Snapshot {
        vm: String,
        name: String,
    },
    Revert {
        vm: String,
        name: String,
    },
    Remove {
        vm: String,
        name: String,
    },
    Consolidate {
        vm: String,
    },
    Promote {
        vm: String,
    },
    Relink {
        vm: String,
    },
    Delete {
        vm: String,
    },
    Grow {
        vm: String,
        disk: String,
        bytes: u64,
    },
    Compact {
        vm: String,
        disk: String,
    },
    Convert {
        vm: String,
        disk: String,
        to: String,
        format: String,
    },
}

impl Act {
    /// What it is called in the figures.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Clone { linked: true, .. } => "linked clone",
            Self::Clone { .. } => "full clone",
            Self::Snapshot { .. } => "snapshot",
            Self::Revert { .. } => "revert",
            Self::Remove { .. } => "remove a snapshot",
            Self::Consolidate { .. } => "consolidate",
            Self::Promote { .. } => "promote",
            Self::Relink { .. } => "relink",
            Self::Delete { .. } => "delete",
            Self::Grow { .. } => "grow a disk",
            Self::Compact { .. } => "compact a disk",
            Self::Convert { .. } => "copy a disk",
        }
    }

    /// The VM that it is done to.
    pub fn vm(&self) -> &str {
        match self {
            Self::Clone { from: vm, .. }
            | Self::Snapshot { vm, .. }
            | Self::Revert { vm, .. }
            | Self::Remove { vm, .. }
            | Self::Consolidate { vm }
            | Self::Promote { vm }
            | Self::Relink { vm }
            | Self::Delete { vm }
            | Self::Grow { vm, .. }
            | Self::Compact { vm, .. }
            | Self::Convert { vm, .. } => vm,
        }
    }

    /// The program that does it, and its words.
    pub fn call(&self) -> (Program, Vec<String>) {
        let vmrun = |words: &[&str]| (Program::Vmrun, owned(words));
        let replix = |words: &[&str]| (Program::Replix, owned(words));
        let vmx = vmx(self.vm());
        match self {
            Self::Clone {
                snapshot,
                to,
                linked,
                ..
            } => {
                let kind = if *linked { "linked" } else { "full" };
                let (program, mut words) = vmrun(&["clone", &vmx, &self::vmx(to), kind]);
                let snapshot = snapshot.as_ref();
                words.extend(snapshot.map(|name| format!("-snapshot={name}")));
                (program, words)
            }
            Self::Snapshot { name, .. } => vmrun(&["snapshot", &vmx, name]),
            Self::Revert { name, .. } => vmrun(&["revertToSnapshot", &vmx, name]),
            Self::Remove { name, .. } => vmrun(&["deleteSnapshot", &vmx, name]),
            Self::Consolidate { vm } => replix(&["consolidate", vm, "--quiet"]),
            Self::Promote { vm } => replix(&["promote", vm, "--quiet"]),
            Self::Relink { vm } => replix(&["relink", vm, "--quiet"]),
            Self::Delete { .. } => vmrun(&["deleteVM", &vmx]),
            Self::Grow { disk, bytes, .. } => {
                replix(&["disk", "grow", disk, &bytes.to_string(), "--quiet"])
            }
            Self::Compact { disk, .. } => replix(&["disk", "compact", disk, "--quiet"]),
            Self::Convert {
                disk, to, format, ..
            } => replix(&["disk", "convert", disk, to, "--format", format, "--quiet"]),
        }
    }
}

/// Where the configuration of a VM is, in the library.
pub fn vmx(vm: &str) -> String {
    format!("{vm}/{vm}.vmx")
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
