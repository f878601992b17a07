//! Reading the bookkeeping: counts that cannot be trusted, parents that may form a ring.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use super::{FrozenDisk, SnapshotEntry};
use crate::format::{Dictionary, Malformed, Paths, Place};

/// Reads all snapshots, in the order of their blocks; and whether the numbers of some block's clones have
/// gaps.
pub(super) fn snapshots(dict: &Dictionary) -> Result<(Vec<SnapshotEntry>, bool), Malformed> {
    let count = count(dict)?;
    refuse_uncounted(dict, count)?;
    let mut clones = clones(dict);
    let mut gaps = false;
    let mut found: Vec<SnapshotEntry> = Vec::new();
    // A count of billions ends at the first block that is not there.
    for block in 0..count {
        let mut entry = snapshot(dict, block)?;
        let of_block = clones.remove(&block).unwrap_or_default();
        gaps |= has_gaps(&of_block);
        let filled = |path: &String| !path.trim().is_empty();
        entry.clones = of_block.into_values().filter(filled).collect();
        found.push(entry);
    }
    refuse_repeated_uids(&found)?;
    drop_unknown_parents(&mut found);
    refuse_rings(&found)?;
    Ok((found, gaps))
}

fn count(dict: &Dictionary) -> Result<u64, Malformed> {
    match dict.get_filled("snapshot.numSnapshots") {
        // Nothing is counted: then nothing may be described, or adding would write over it.
        None if dict.contains("snapshot0.uid") => Err(Malformed::new(
            Place::Whole,
            "snapshot.numSnapshots is missing, and there are snapshots",
        )),
        None => Ok(0),
        Some(text) => text.trim().parse().map_err(|_| {
            let what = format!("snapshot.numSnapshots is no number: {}", shown(&text));
            Malformed::new(Place::Whole, what)
        }),
    }
}

/// Refuses snapshots that are described and not counted: another one would be written over them, and what they
/// stand on be taken for nobody's.
fn refuse_uncounted(dict: &Dictionary, count: u64) -> Result<(), Malformed> {
    let uncounted = |name: &&str| {
        let key = block_key(name).filter(|(_, rest)| rest.eq_ignore_ascii_case("uid"));
        key.is_some_and(|(block, _)| block >= count) && dict.get_filled(name).is_some()
    };
    match dict.names().find(uncounted) {
        None => Ok(()),
        Some(name) => {
            let name = shown(name);
            let what = format!(
                "snapshot.numSnapshots counts {count}, and {name} tells of another snapshot: \
                 correct the number, or take that snapshot's lines out"
            );
            Err(Malformed::new(Place::Whole, what))
        }
    }
}

fn snapshot(dict: &Dictionary, block: u64) -> Result<SnapshotEntry, Malformed> {
    let key = |name: &str| format!("snapshot{block}.{name}");
    let text = |name: &str| dict.get(&key(name)).unwrap_or_default();
    let word = |name: &str| dict.get_number::<i64>(&key(name)).unwrap_or(0);
    let uid = dict.get_number::<u32>(&key("uid")).filter(|&uid| uid > 0);
    let uid = uid.ok_or_else(|| broken(block, "has no uid"))?;
    Ok(SnapshotEntry {
        uid,
        file_name: text("filename"),
        parent: dict.get_number(&key("parent")),
        display_name: text("displayName"),
        description: text("description"),
        with_memory: word("type") == 1,
        created_us: joined(word("createTimeHigh"), word("createTimeLow")),
        disks: disks(dict, block)?,
        clones: Paths::default(),
    })
}

/// Joins two words that are each printed as signed numbers of 32 bits.
fn joined(high: i64, low: i64) -> i64 {
    i64::from(high as i32) << 32 | i64::from(low as u32)
}

fn disks(dict: &Dictionary, block: u64) -> Result<Vec<FrozenDisk>, Malformed> {
    let key = |name: &str| format!("snapshot{block}.{name}");
    let count: u64 = dict.get_number(&key("numDisks")).unwrap_or(0);
    (0..count)
        .map(|disk| {
            let file_name = dict.get_filled(&key(&format!("disk{disk}.fileName")));
            let node = dict.get_filled(&key(&format!("disk{disk}.node")));
            match (file_name, node) {
                (Some(file_name), Some(node)) => Ok(FrozenDisk { node, file_name }),
                _ => {
                    let what = format!("counts {count} disks and does not name disk {disk}");
                    Err(broken(block, &what))
                }
            }
        })
        .collect()
}

/// All clones by block and number, whatever `numClones` says: one too many does no harm, one
/// forgotten loses its parent.
fn clones(dict: &Dictionary) -> HashMap<u64, BTreeMap<u64, String>> {
    let mut found: HashMap<u64, BTreeMap<u64, String>> = HashMap::new();
    for name in dict.names() {
        if let Some((block, number)) = clone_key(name)
            && let Some(path) = dict.get(name)
        {
            found.entry(block).or_default().insert(number, path);
        }
    }
    found
}

fn has_gaps(clones: &BTreeMap<u64, String>) -> bool {
    let mut numbered = (0..).zip(clones);
    numbered.any(|(place, (number, path))| place != *number || path.trim().is_empty())
}

/// Reads `snapshotN.cloneK`, in lower case, as N and K.
pub(super) fn clone_key(name: &str) -> Option<(u64, u64)> {
    let (block, rest) = block_key(name)?;
    Some((block, number(rest.strip_prefix("clone")?)?))
}

/// Splits `snapshotN.rest` into N and the rest.
pub(super) fn block_key(name: &str) -> Option<(u64, &str)> {
    let head = name.get(..8)?;
    let (block, rest) = name.get(8..)?.split_once('.')?;
    let block = number(block)?;
    head.eq_ignore_ascii_case("snapshot")
        .then_some((block, rest))
}

/// Reads the number in the name of an entry, in the only spelling that counts: entries are looked up by it.
pub(super) fn number<N: FromStr>(text: &str) -> Option<N> {
    let is_short = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_short)
}

fn refuse_repeated_uids(found: &[SnapshotEntry]) -> Result<(), Malformed> {
    let mut seen = HashMap::new();
    for (block, entry) in found.iter().enumerate() {
        if let Some(other) = seen.insert(entry.uid, block) {
            let what = format!("has uid {} as snapshot{other} has", entry.uid);
            return Err(broken(block as u64, &what));
        }
    }
    Ok(())
}

/// A snapshot whose parent is gone is a root.
fn drop_unknown_parents(found: &mut [SnapshotEntry]) {
    let uids: HashMap<u32, ()> = found.iter().map(|s| (s.uid, ())).collect();
    for entry in found {
        entry.parent = entry.parent.filter(|parent| uids.contains_key(parent));
    }
}

fn refuse_rings(found: &[SnapshotEntry]) -> Result<(), Malformed> {
    let parents: HashMap<u32, Option<u32>> = found.iter().map(|s| (s.uid, s.parent)).collect();
    // The walk in which each snapshot was met first: meeting it again in the same walk is a ring.
    let mut met: HashMap<u32, u32> = HashMap::new();
    for start in found {
        let mut next = Some(start.uid);
        while let Some(uid) = next {
            match met.insert(uid, start.uid) {
                Some(walk) if walk == start.uid => {
                    let what = format!("snapshot {uid} is its own ancestor");
                    return Err(Malformed::new(Place::Whole, what));
                }
                Some(_) => break,
                None => next = parents.get(&uid).copied().flatten(),
            }
        }
    }
    Ok(())
}

fn broken(block: u64, what: &str) -> Malformed {
    Malformed::new(Place::Whole, format!("snapshot{block} {what}"))
}

fn shown(text: &str) -> String {
    let text: String = text.chars().take(40).collect();
    format!("\"{}\"", crate::error::escaped(&text))
}
