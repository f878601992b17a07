//! The bookkeeping of snapshots and linked clones, `.vmsd`: a view of its [`Dictionary`] and the
//! edits that VMware makes, in VMware's order of keys.
//!
//! Blocks `snapshotN` are numbered densely from 0; snapshots are named by their uid here.

mod bulk;
mod kin;
mod read;

use self::bulk::{Bulk, LEAST, is_plain};

use super::{Dictionary, LineEnd, Malformed, Paths, Place};

/// How many snapshots the list of the most recently used has.
const MRU: usize = 3;

/// A disk as a snapshot froze it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenDisk {
    /// Where it is plugged in: `scsi0:0`.
    pub node: String,
    /// The file that the VM used before the snapshot was taken, as written.
    pub file_name: String,
}

/// A snapshot's block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// Number that is never used again, from 1.
    pub uid: u32,
    /// The `.vmsn`, as written.
    pub file_name: String,
    /// The snapshot that it was taken after.
    pub parent: Option<u32>,
    /// Name; need not be unique.
    pub display_name: String,
    /// Description; may be empty.
    pub description: String,
    /// Whether the guest's memory was saved with it.
    pub with_memory: bool,
    /// When it was taken: microseconds since 1970 UTC.
    pub created_us: i64,
    /// The disks that it froze.
    pub disks: Vec<FrozenDisk>,
    /// Configurations of the linked clones that stand on it, as written.
    pub clones: Paths,
}

/// The bookkeeping of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmsd {
    dict: Dictionary,
    /// What the blocks say, in their order.
    snapshots: Vec<SnapshotEntry>,
    /// Whether the clones of some block are not numbered from 0 on, one by one.
    has_gaps: bool,
    /// The lines of many clones, which are not in the dictionary.
    bulk: Option<Bulk>,
}

impl Vmsd {
    /// Reads the bytes of a file, where there is one: none, or an empty one, is a VM that never had
    /// a snapshot. Lines of a file without any will end as `line_end` says.
    ///
    /// # Errors
    /// What is no dictionary; a snapshot that is counted and not described, uids that occur twice,
    /// parents in a ring.
    pub fn parse(bytes: &[u8], line_end: LineEnd) -> Result<Self, Malformed> {
        if let Some(vmsd) = Self::with_bulk(bytes) {
            return Ok(vmsd);
        }
        let mut dict = Dictionary::parse(bytes)?;
        if dict.is_empty() {
            dict.set_line_end(line_end);
        }
        let (snapshots, has_gaps) = read::snapshots(&dict)?;
        Ok(Self {
            dict,
            snapshots,
            has_gaps,
            bulk: None,
        })
    }

    /// Reads a file with many clones of one snapshot; `None` where there are none, or something is wrong.
    fn with_bulk(bytes: &[u8]) -> Option<Self> {
        let (bulk, place, paths) = Bulk::find(bytes)?;
        let rest = [&bytes[..place.start], &bytes[place.end..]].concat();
        let dict = Dictionary::parse(&rest).ok()?;
        let (mut snapshots, has_gaps) = read::snapshots(&dict).ok()?;
        if dict.line_end().as_str() != bulk.end() {
            return None;
        }
        snapshots.get_mut(bulk.block)?.clones = paths;
        Some(Self {
            dict,
            snapshots,
            has_gaps,
            bulk: Some(bulk),
        })
    }

    /// Returns the bookkeeping of a VM that never had a snapshot, as a file that is not empty.
    pub fn blank(line_end: LineEnd) -> Self {
        let mut dict = Dictionary::new(line_end);
        dict.set("snapshot.lastUID", "0");
        Self {
            dict,
            snapshots: Vec::new(),
            has_gaps: false,
            bulk: None,
        }
    }

    /// Returns the file's bytes: those that were read, but for what was edited.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.bulk {
            Some(bulk) => self.dict.to_bytes_with(&bulk.text, &count_of(bulk.block)),
            None => self.dict.to_bytes(),
        }
    }

    /// Returns the dictionary below; the lines of many clones are not in it.
    pub fn dict(&self) -> &Dictionary {
        &self.dict
    }

    /// Returns the snapshots, in the order of their blocks.
    pub fn snapshots(&self) -> &[SnapshotEntry] {
        &self.snapshots
    }

    /// Returns the snapshot with number `uid`.
    pub fn snapshot(&self, uid: u32) -> Option<&SnapshotEntry> {
        self.snapshots.iter().find(|s| s.uid == uid)
    }

    /// Returns the snapshots that were taken right after `uid`.
    pub fn children(&self, uid: u32) -> impl Iterator<Item = &SnapshotEntry> {
        self.snapshots.iter().filter(move |s| s.parent == Some(uid))
    }

    /// Returns the snapshot that the present state descends from.
    pub fn current(&self) -> Option<u32> {
        let current = self.dict.get_number("snapshot.current")?;
        self.snapshot(current).map(|s| s.uid)
    }

    /// Returns the highest number that was ever given.
    pub fn last_uid(&self) -> u32 {
        let stated = self.dict.get_number("snapshot.lastUID").unwrap_or(0);
        let highest = self.snapshots.iter().map(|s| s.uid).max();
        highest.unwrap_or(0).max(stated)
    }

    /// Returns the number of the next snapshot.
    ///
    /// # Errors
    /// Where the numbers are used up.
    pub fn next_uid(&self) -> Result<u32, Malformed> {
        self.last_uid().checked_add(1).ok_or_else(|| {
            let what = "snapshot.lastUID leaves no number for another snapshot";
            Malformed::new(Place::Whole, what)
        })
    }

    /// Returns the numbers of the most recently used snapshots, newest first; some may be gone.
    pub fn most_recently_used(&self) -> Vec<u32> {
        let uid = |n| self.dict.get_number(&format!("snapshot.mru{n}.uid"));
        (0..MRU).map_while(uid).collect()
    }

    /// Returns the disks that the snapshots froze, as written.
    pub fn frozen_disks(&self) -> impl Iterator<Item = &str> {
        let disks = self.snapshots.iter().flat_map(|entry| &entry.disks);
        disks.map(|disk| disk.file_name.as_str())
    }

    /// Returns the snapshot that the linked clone at `path`, as written, stands on.
    pub fn base_of_clone(&self, path: &str) -> Option<u32> {
        let stands = |s: &&SnapshotEntry| s.clones.iter().any(|clone| clone == path);
        self.snapshots.iter().find(stands).map(|s| s.uid)
    }

    /// Returns the place of a snapshot's block.
    fn block(&self, uid: u32) -> Option<usize> {
        self.snapshots.iter().position(|s| s.uid == uid)
    }
}

/// Edits.
impl Vmsd {
    /// Adds a snapshot, in a block after the others. It does not become the current one by that.
    ///
    /// # Errors
    /// Where its number is taken or its parent unknown.
    pub fn add_snapshot(&mut self, new: SnapshotEntry) -> Result<(), Malformed> {
        self.refuse_misfit(&new)?;
        if self.dict.is_empty() {
            self.dict = Dictionary::new(self.dict.line_end());
        }
        let block = self.snapshots.len();
        let stale = format!("snapshot{block}.");
        self.dict.remove_matching(|name| name.starts_with(&stale));
        let last = self.last_uid().max(new.uid);
        self.dict.set("snapshot.lastUID", &last.to_string());
        for (name, value) in lines_of(&new) {
            self.set_above_mru(&format!("{stale}{name}"), &value);
        }
        self.set_above_mru("snapshot.numSnapshots", &(block + 1).to_string());
        let clones = new.clones.clone();
        let uid = new.uid;
        self.snapshots.push(SnapshotEntry {
            clones: Paths::default(),
            ..new
        });
        for path in &clones {
            self.add_clone(uid, path);
        }
        Ok(())
    }

    /// Removes a snapshot's block. Its children become those of its parent; if it was the current
    /// one, its parent is now.
    pub fn remove_snapshot(&mut self, uid: u32) {
        let Some(block) = self.block(uid) else { return };
        self.take_apart();
        let parent = self.snapshots[block].parent;
        let current = self.current();
        for child in self.children(uid).map(|s| s.uid).collect::<Vec<_>>() {
            self.set_parent(child, parent);
        }
        let gone = format!("snapshot{block}.");
        self.dict.remove_matching(|name| name.starts_with(&gone));
        self.snapshots.remove(block);
        self.close_gap(block as u64);
        self.write_count();
        if current == Some(uid) {
            self.set_current(parent);
        }
    }

    /// Sets the snapshot that the present state descends from.
    pub fn set_current(&mut self, uid: Option<u32>) {
        match uid {
            Some(uid) => {
                let uid = uid.to_string();
                self.dict
                    .set_after("snapshot.current", &uid, "snapshot.lastUID");
            }
            None => self.dict.remove("snapshot.current"),
        }
    }

    /// Makes `uid` the most recently used snapshot.
    pub fn touch(&mut self, uid: u32) {
        let others = self.most_recently_used().into_iter();
        let list: Vec<u32> = std::iter::once(uid)
            .chain(others.filter(|&other| other != uid))
            .take(MRU)
            .collect();
        for (n, uid) in list.iter().enumerate() {
            self.dict
                .set(&format!("snapshot.mru{n}.uid"), &uid.to_string());
        }
    }

    /// Gives a snapshot another parent. The caller makes no ring of it.
    pub fn set_parent(&mut self, uid: u32, parent: Option<u32>) {
        let Some(block) = self.block(uid) else { return };
        self.snapshots[block].parent = parent;
        let name = format!("snapshot{block}.parent");
        match parent {
            Some(parent) => {
                let anchor = format!("snapshot{block}.filename");
                self.dict.set_after(&name, &parent.to_string(), &anchor);
            }
            None => self.dict.remove(&name),
        }
    }

    /// Names another state file for a snapshot.
    pub fn set_file_name(&mut self, uid: u32, file_name: &str) {
        let Some(block) = self.block(uid) else { return };
        self.snapshots[block].file_name = file_name.into();
        self.dict
            .set(&format!("snapshot{block}.filename"), file_name);
    }

    /// Names another file for the disk that a snapshot froze at `node`.
    pub fn set_disk_file(&mut self, uid: u32, node: &str, file_name: &str) {
        let Some(block) = self.block(uid) else { return };
        let disks = &mut self.snapshots[block].disks;
        for (number, disk) in disks.iter_mut().enumerate() {
            if disk.node.eq_ignore_ascii_case(node) {
                disk.file_name = file_name.into();
                let name = format!("snapshot{block}.disk{number}.fileName");
                self.dict.set(&name, file_name);
            }
        }
    }

    /// Records that the linked clone with its configuration at `path` stands on a snapshot.
    pub fn add_clone(&mut self, uid: u32, path: &str) {
        let Some(block) = self.block(uid) else { return };
        let clones = &mut self.snapshots[block].clones;
        if clones.iter().any(|c| c == path) {
            return;
        }
        clones.push(path);
        // Thousands may stand on one snapshot: the lines of the others stay as they are.
        let last = clones.len() - 1;
        match &mut self.bulk {
            Some(bulk) if bulk.block == block && is_plain(path) => {
                bulk.add(last, path);
                self.dict.set(&count_of(block), &(last + 1).to_string());
            }
            _ => {
                self.take_apart();
                self.write_clones(block, last);
            }
        }
        self.close_gaps();
    }

    /// Forgets the linked clones whose paths, as written, `gone` picks; returns how many.
    pub fn remove_clones(&mut self, mut gone: impl FnMut(&str) -> bool) -> usize {
        let mut removed = 0;
        for block in 0..self.snapshots.len() {
            let clones = &mut self.snapshots[block].clones;
            let (before, mut asked, mut first) = (clones.len(), 0, None);
            clones.retain(|path| {
                let is_gone = gone(path);
                if is_gone {
                    first.get_or_insert(asked);
                }
                asked += 1;
                !is_gone
            });
            let Some(first) = first else { continue };
            removed += before - clones.len();
            match &mut self.bulk {
                Some(bulk) if bulk.block == block && clones.len() >= LEAST => {
                    bulk.write(clones);
                    self.dict.set(&count_of(block), &clones.len().to_string());
                }
                _ => {
                    self.take_apart();
                    self.write_fewer_clones(block, first);
                }
            }
        }
        if removed > 0 {
            self.close_gaps();
        }
        removed
    }

    fn refuse_misfit(&self, new: &SnapshotEntry) -> Result<(), Malformed> {
        let what = if new.uid == 0 || self.snapshot(new.uid).is_some() {
            format!("snapshot number {} cannot be given", new.uid)
        } else if new.parent.is_some_and(|p| self.snapshot(p).is_none()) {
            format!("the parent of snapshot {} does not exist", new.uid)
        } else {
            return Ok(());
        };
        Err(Malformed::new(Place::Whole, what))
    }

    /// Sets a value whose line, if new, goes above the list of the most recently used.
    fn set_above_mru(&mut self, name: &str, value: &str) {
        self.dict.set_before(name, value, "snapshot.mru0.uid");
    }

    /// Gives the blocks after a removed one their new numbers.
    fn close_gap(&mut self, removed: u64) {
        let blocks = self.snapshots.len() as u64 + 1;
        self.dict.rename(|name| {
            let (block, rest) = read::block_key(name)?;
            // What lies beyond the counted blocks is none of ours.
            (removed < block && block < blocks).then(|| format!("snapshot{}.{rest}", block - 1))
        });
    }

    fn write_count(&mut self) {
        match self.snapshots.len() {
            0 => self.dict.remove("snapshot.numSnapshots"),
            count => self.dict.set("snapshot.numSnapshots", &count.to_string()),
        }
    }

    /// Takes the lines of many clones apart, as all others are.
    fn take_apart(&mut self) {
        let bytes = self.to_bytes();
        if self.bulk.take().is_some()
            && let Ok(dict) = Dictionary::parse(&bytes)
        {
            self.dict = dict;
        }
    }

    /// Numbers the clones of each block one by one, where others wrote them otherwise.
    fn close_gaps(&mut self) {
        if std::mem::take(&mut self.has_gaps) {
            self.take_apart();
            (0..self.snapshots.len()).for_each(|block| self.write_fewer_clones(block, 0));
        }
    }

    /// Writes the clones of a block, which are fewer or not numbered one by one: those from number `from`
    /// on, lines that stay in their place.
    fn write_fewer_clones(&mut self, block: usize, from: usize) {
        let count = self.snapshots[block].clones.len() as u64;
        let beyond = |name: &str| {
            let of_block = read::clone_key(name).filter(|&(b, _)| b == block as u64);
            of_block.is_some_and(|(_, number)| number >= count)
        };
        self.dict.remove_matching(beyond);
        self.write_clones(block, from);
    }

    /// Writes the clones of a block from number `from` on.
    fn write_clones(&mut self, block: usize, from: usize) {
        let paths = self.snapshots[block].clones.iter().skip(from);
        let paths: Vec<String> = paths.map(String::from).collect();
        let prefix = format!("snapshot{block}.");
        let count = count_of(block);
        if from + paths.len() == 0 {
            return self.dict.remove(&count);
        }
        if !self.dict.contains(&count) {
            let last = self.dict.names().filter(|n| n.starts_with(&prefix)).last();
            let last = last.unwrap_or_default().to_string();
            self.dict.set_after(&count, "", &last);
        }
        for (number, path) in (from..).zip(&paths) {
            let name = format!("{prefix}clone{number}");
            self.dict.set_before(&name, path, &count);
        }
        let all = from + paths.len();
        self.dict.set(&count, &all.to_string());
    }
}

/// The name of the line that counts a block's clones.
fn count_of(block: usize) -> String {
    format!("snapshot{block}.numClones")
}

/// The lines of a new block, in VMware's order; its clones come later.
fn lines_of(new: &SnapshotEntry) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let mut add = |name: &str, value: String| lines.push((name.to_string(), value));
    add("uid", new.uid.to_string());
    add("filename", new.file_name.clone());
    if let Some(parent) = new.parent {
        add("parent", parent.to_string());
    }
    add("displayName", new.display_name.clone());
    if !new.description.is_empty() {
        add("description", new.description.clone());
    }
    if new.with_memory {
        add("type", "1".into());
    }
    add(
        "createTimeHigh",
        ((new.created_us >> 32) as i32).to_string(),
    );
    add("createTimeLow", (new.created_us as i32).to_string());
    add("numDisks", new.disks.len().to_string());
    for (number, disk) in new.disks.iter().enumerate() {
        add(&format!("disk{number}.fileName"), disk.file_name.clone());
        add(&format!("disk{number}.node"), disk.node.clone());
    }
    lines
}

#[cfg(test)]
mod tests;
