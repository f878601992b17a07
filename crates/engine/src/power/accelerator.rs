//! What runs the guest's processor: KVM where it really runs guests, else QEMU's emulation.

use std::path::Path;

use crate::vm::{Accelerator, Settings};

/// An accelerator, and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) accelerator: Accelerator,
    pub(super) reason: String,
}

impl Choice {
    /// Chooses by the settings, else by what this machine can do.
    ///
    /// That `/dev/kvm` opens proves nothing: nested KVM without the processor's own help runs
    /// firmware, and fails in the first kernel.
    pub(super) fn of(settings: &Settings) -> Self {
        let choice = |accelerator, reason: &str| Self {
            accelerator,
            reason: reason.into(),
        };
        if let Some(accelerator) = settings.accelerator {
            return choice(accelerator, "as the settings say");
        }
        let modules = ["kvm_intel", "kvm_amd"];
        if !modules
            .iter()
            .any(|name| Path::new("/sys/module").join(name).exists())
        {
            return choice(Accelerator::Tcg, "KVM for this processor is not loaded");
        }
        if !has_virtualization(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()) {
            return choice(Accelerator::Tcg, "this processor has no vmx or svm");
        }
        let opened = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm");
        match opened {
            Ok(_) => choice(Accelerator::Kvm, "KVM is there"),
            Err(error) => Self {
                accelerator: Accelerator::Tcg,
                reason: format!("/dev/kvm cannot be opened: {error}"),
            },
        }
    }

    /// QEMU's word for it.
    pub(super) fn word(&self) -> &'static str {
        match self.accelerator {
            Accelerator::Kvm => "kvm",
            Accelerator::Tcg => "tcg",
        }
    }
}

/// Whether the flags of the first processor name hardware virtualization.
fn has_virtualization(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| {
        line.split_whitespace()
            .any(|flag| flag == "vmx" || flag == "svm")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtualization_is_a_whole_flag() {
        assert!(has_virtualization(
            "processor : 0\nflags\t\t: fpu vmx sse\n"
        ));
        assert!(!has_virtualization(
            "flags\t\t: fpu vmxnet svm_lock\nother : svm\n"
        ));
    }

    #[test]
    fn settings_decide() {
        let settings = Settings {
            accelerator: Some(Accelerator::Kvm),
            ..Settings::default()
        };
        assert_eq!(Choice::of(&settings).word(), "kvm");
    }
}
