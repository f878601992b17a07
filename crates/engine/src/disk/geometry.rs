//! The geometry that a disk shows to a guest, and the disk data base of new disks.

use std::collections::BTreeMap;

use super::chain::Chain;
use crate::format::vmdk::{Descriptor, SECTOR};

/// The disk data base of a disk: full keys and values, sorted as VMware writes them.
pub type Ddb = BTreeMap<String, String>;

/// Keys that belong to one disk, or one product's view of it, and never to a copy.
const NOT_COPIED: [&str; 12] = [
    "ddb.uuid",
    "ddb.longcontentid",
    "ddb.encoding",
    "ddb.thinprovisioned",
    "ddb.grain",
    "ddb.objectparenturi",
    "ddb.iofilters",
    "ddb.sidecars",
    "ddb.uuid.image",
    "ddb.uuid.modification",
    "ddb.uuid.parent",
    "ddb.uuid.parentmodification",
];

/// Keys that a child repeats.
const OF_CHILD: [&str; 5] = [
    "ddb.adapterType",
    "ddb.geometry.cylinders",
    "ddb.geometry.heads",
    "ddb.geometry.sectors",
    "ddb.virtualHWVersion",
];

/// Returns the data base of a new disk: adapter, geometry, hardware version.
pub(super) fn of_new_disk(sectors: u64, adapter: &str, hardware_version: u32) -> Ddb {
    let (cylinders, heads, per_track) = geometry(sectors, adapter);
    Ddb::from([
        ("ddb.adapterType".into(), adapter.into()),
        ("ddb.geometry.cylinders".into(), cylinders.to_string()),
        ("ddb.geometry.heads".into(), heads.to_string()),
        ("ddb.geometry.sectors".into(), per_track.to_string()),
        ("ddb.virtualHWVersion".into(), hardware_version.to_string()),
    ])
}

/// Returns what a child of `chain` repeats of it.
pub(super) fn of_child(chain: &Chain) -> Ddb {
    OF_CHILD
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), chain.ddb(key)?)))
        .collect()
}

/// Returns what a copy of `chain` keeps: each key's value nearest to the guest.
pub(super) fn of_copy(chain: &Chain) -> Ddb {
    let mut ddb = Ddb::new();
    for link in chain.links().iter().rev() {
        for (key, value) in link.descriptor().ddb() {
            if NOT_COPIED.contains(&key.to_ascii_lowercase().as_str()) {
                continue;
            }
            ddb.retain(|known, _| !known.eq_ignore_ascii_case(&key));
            ddb.insert(key, value);
        }
    }
    ddb
}

/// Returns the cylinders of a disk that has grown to `sectors`, its tracks as they were; `None` where
/// the descriptor says nothing of them.
pub(super) fn regrown(descriptor: &Descriptor, sectors: u64) -> Option<u64> {
    let number = |name: &str| {
        descriptor
            .get(&format!("ddb.geometry.{name}"))?
            .parse()
            .ok()
    };
    let track: u64 = u64::checked_mul(number("heads")?, number("sectors")?)?;
    let limit = match descriptor.get("ddb.adapterType").as_deref() {
        Some("ide") => IDE_CYLINDERS,
        _ => u64::MAX,
    };
    Some(sectors.checked_div(track)?.clamp(1, limit))
}

/// The most cylinders that an IDE disk shows.
const IDE_CYLINDERS: u64 = 16_383;

/// Returns cylinders, heads and sectors per track as VMware chooses them.
fn geometry(sectors: u64, adapter: &str) -> (u64, u64, u64) {
    const GIB: u64 = (1 << 30) / SECTOR;
    let (heads, per_track) = match adapter {
        "ide" => (16, 63),
        _ if sectors <= GIB => (64, 32),
        _ => (255, 63),
    };
    let cylinders = sectors / (heads * per_track);
    let limit = if adapter == "ide" {
        IDE_CYLINDERS
    } else {
        u64::MAX
    };
    (cylinders.clamp(1, limit), heads, per_track)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_is_that_of_real_disks() {
        assert_eq!(geometry(83_886_080, "lsilogic"), (5221, 255, 63));
        assert_eq!(geometry(4096, "lsilogic"), (2, 64, 32));
        assert_eq!(geometry(20_480, "ide"), (20, 16, 63));
        assert_eq!(geometry(2_934_784, "ide"), (2911, 16, 63));
        assert_eq!(geometry(1 << 31, "ide").0, 16_383);
    }
}
