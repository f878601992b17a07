//! The state that a snapshot holds: configuration, firmware memory, disks.

use std::path::Path;

use crate::error::{Kind, Result, escaped};
use crate::format::SnapshotEntry;
use crate::vm::{Claim, Env, VmConfig};

/// What a snapshot holds.
pub(crate) struct Frozen {
    /// The configuration of that moment.
    pub(crate) config: VmConfig,
    /// The firmware's memory of that moment; empty if there was none.
    pub(crate) nvram: Vec<u8>,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// Reads the state that a snapshot holds.
///
/// Where its state file cannot be used, the hardware is that of the present configuration, with the
/// disks that the bookkeeping names (docs/adr/0006).
pub(crate) fn read(env: &Env, claim: &Claim, entry: &SnapshotEntry) -> Frozen {
    let mut frozen = match read_state(env, claim, entry) {
        Ok(frozen) => frozen,
        Err(error) => Frozen {
            config: claim.vm.config.clone(),
            nvram: Vec::new(),
            warnings: vec![format!(
                "the hardware of snapshot \"{}\" is not known, that of now is taken: {error}",
                escaped(&entry.display_name)
            )],
        },
    };
    frozen
        .config
        .dict_mut()
        .set_line_end(claim.vm.config.line_end());
    for disk in &entry.disks {
        if let Ok(node) = disk.node.parse() {
            frozen.config.set_disk_file(node, &disk.file_name);
        }
    }
    frozen
}

fn read_state(env: &Env, claim: &Claim, entry: &SnapshotEntry) -> Result<Frozen> {
    let (_, files) = env.read_state(&claim.vm, &entry.file_name)?;
    let path = Path::new(&entry.file_name);
    let config =
        VmConfig::parse(&files.config).map_err(|m| m.in_file(Kind::SnapshotBroken, path))?;
    Ok(Frozen {
        config,
        nvram: files.nvram.unwrap_or_default(),
        warnings: Vec::new(),
    })
}
