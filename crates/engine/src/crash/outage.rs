//! The states that a disk may have after the power failed.
//!
//! What was synced is there. Of the rest, any of the following may be: contents of files in any
//! choice and torn at sectors; names in each folder up to any of their changes. Names are not taken out
//! of their order within a folder: the journals of file systems keep it. A synced folder has its names,
//! not its own name in the folder above; a synced file has its bytes, not its name.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::record::{FileId, Step, id_of};
use crate::store::machine::Process;
use crate::store::{Access, FileKind, Mem, Store, create_dirs};

const SECTOR: usize = 512;

/// No process has this number: it is past the largest that Linux gives.
const NOBODY: u32 = 1 << 22;

/// A file or a folder, whatever its name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Node {
    File(FileId),
    Dir(u64),
}

const ROOT: u64 = 0;

/// What is on a disk.
#[derive(Clone, Debug, Default)]
pub struct Image {
    entries: BTreeMap<(u64, OsString), Node>,
    contents: BTreeMap<FileId, Arc<Vec<u8>>>,
    last_dir: u64,
}

impl Image {
    /// Returns what is on the disk `mem`.
    pub fn of(mem: &Mem) -> Self {
        let mut image = Self::default();
        image.add(mem, Path::new("/"), ROOT);
        image
    }

    fn add(&mut self, mem: &Mem, dir: &Path, id: u64) {
        for entry in mem.list(dir).unwrap() {
            let path = dir.join(&entry.name);
            let node = match entry.kind {
                FileKind::Dir => {
                    let below = self.new_dir();
                    self.add(mem, &path, below);
                    Node::Dir(below)
                }
                _ => {
                    let file = id_of(mem, &path).unwrap();
                    self.contents.insert(file, Arc::new(read(mem, &path)));
                    Node::File(file)
                }
            };
            self.entries.insert((id, entry.name), node);
        }
    }

    fn new_dir(&mut self) -> u64 {
        self.last_dir += 1;
        self.last_dir
    }

    /// Returns a disk with this on it, on a machine that was started anew.
    pub fn to_mem(&self) -> Mem {
        let mem = Mem::new();
        self.put(&mem, Path::new("/"), ROOT, &mut BTreeMap::new());
        mem
    }

    /// Puts there what is in a folder; `names` are those that files have already.
    fn put(&self, mem: &Mem, dir: &Path, id: u64, names: &mut BTreeMap<u64, PathBuf>) {
        let below = self
            .entries
            .range((id, OsString::new())..(id + 1, OsString::new()));
        for ((_, name), node) in below {
            let path = dir.join(name);
            match node {
                Node::Dir(id) => {
                    create_dirs(mem, &path).unwrap();
                    self.put(mem, &path, *id, names);
                }
                Node::File(file) if names.contains_key(file) => {
                    mem.link(&names[file], &path).unwrap();
                }
                Node::File(file) => {
                    let bytes = &self.contents[file];
                    names.insert(*file, path.clone());
                    let bytes = if path.extension().is_some_and(|ending| ending == "lck") {
                        Arc::new(of_the_dead(bytes))
                    } else {
                        Arc::clone(bytes)
                    };
                    mem.create(&path).unwrap().write_at(&bytes, 0).unwrap();
                }
            }
        }
    }

    /// Returns the node of a path, and the folder that has it.
    fn place(&self, path: &Path) -> (u64, OsString) {
        let mut dir = ROOT;
        for part in path.parent().unwrap().iter().skip(1) {
            match self.entries.get(&(dir, part.to_owned())) {
                Some(Node::Dir(id)) => dir = *id,
                other => panic!("{path:?}: {other:?}"),
            }
        }
        (dir, path.file_name().unwrap_or_default().to_owned())
    }

    fn dir(&self, path: &Path) -> u64 {
        match self.entries.get(&self.place(path)) {
            Some(Node::Dir(id)) => *id,
            None if path == Path::new("/") => ROOT,
            other => panic!("{path:?}: {other:?}"),
        }
    }

    /// A number that another content hardly has.
    fn fingerprint(&self, contents: &mut BTreeMap<*const Vec<u8>, u64>) -> u64 {
        let mut sum = 0;
        for ((dir, name), node) in &self.entries {
            sum = mixed(sum, *dir);
            for byte in name.as_encoded_bytes() {
                sum = mixed(sum, u64::from(*byte));
            }
            sum = match node {
                Node::Dir(id) => mixed(sum, *id),
                Node::File(file) => {
                    let bytes = &self.contents[file];
                    let known = contents.entry(Arc::as_ptr(bytes));
                    mixed(sum, *known.or_insert_with(|| digest(bytes)))
                }
            };
        }
        sum
    }
}

fn mixed(sum: u64, value: u64) -> u64 {
    (sum.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// A number that other bytes hardly have.
pub fn digest(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(bytes.len() as u64, mixed)
}

fn read(mem: &Mem, path: &Path) -> Vec<u8> {
    let file = mem.open(path, Access::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// A lock that names this process, as it is found after the machine was started anew: it names nobody.
fn of_the_dead(bytes: &[u8]) -> Vec<u8> {
    let this = Process::this();
    let text = String::from_utf8_lossy(bytes);
    let alive = format!(" {}-", this.pid);
    let mut dead = text.replace(&alive, &format!(" {NOBODY}-")).into_bytes();
    dead.resize(bytes.len(), 0);
    dead
}

/// A step, in terms that do not depend on what became of the steps before it.
#[derive(Clone, Debug)]
enum Change {
    Put {
        dir: u64,
        name: OsString,
        node: Node,
    },
    Move {
        from: (u64, OsString),
        dir: u64,
        name: OsString,
        node: Node,
    },
    Remove {
        dir: u64,
        name: OsString,
    },
    Write {
        file: FileId,
        offset: u64,
        bytes: Arc<Vec<u8>>,
    },
    Length {
        file: FileId,
        len: u64,
    },
    Sync(FileId),
    SyncDir(u64),
}

impl Change {
    /// The folder whose names it changes.
    fn dir(&self) -> Option<u64> {
        match self {
            Self::Put { dir, .. } | Self::Move { dir, .. } | Self::Remove { dir, .. } => Some(*dir),
            _ => None,
        }
    }

    fn file(&self) -> Option<FileId> {
        match self {
            Self::Write { file, .. } | Self::Length { file, .. } => Some(*file),
            _ => None,
        }
    }

    /// Tells whether `later` makes it durable.
    fn is_secured_by(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::Move { from, dir, .. }, Self::SyncDir(synced)) => {
                dir == synced || from.0 == *synced
            }
            (_, Self::SyncDir(synced)) => self.dir() == Some(*synced),
            (_, Self::Sync(synced)) => self.file() == Some(*synced),
            _ => false,
        }
    }
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    Kept,
    Lost,
    /// Some of its sectors are there.
    Torn,
}

/// A disk as it was, and what was done to it since.
pub struct Outage {
    before: Image,
    changes: Vec<Change>,
}

impl Outage {
    /// Returns what `steps` did to the disk `before`.
    pub fn new(before: Image, steps: Vec<Step>) -> Self {
        let mut now = before.clone();
        let mut changes = Vec::new();
        for step in steps {
            let change = resolve(&mut now, step);
            apply(&mut now, &change, Fate::Kept);
            changes.push(change);
        }
        Self { before, changes }
    }

    /// Returns the number of steps.
    pub fn steps(&self) -> usize {
        self.changes.len()
    }

    /// Returns what the disk may have after `done` steps, each state once; at most `most` of them, those
    /// first in which all or nothing of one kind is there.
    pub fn states(&self, done: usize, most: usize, seen: &mut HashSet<u64>) -> Vec<Image> {
        let changes = &self.changes[..done];
        let pending: Vec<usize> = (0..done).filter(|&at| self.is_pending(at, done)).collect();
        let mut contents = BTreeMap::new();
        let mut states = Vec::new();
        for fates in choices(changes, &pending) {
            if states.len() == most {
                break;
            }
            let mut image = self.before.clone();
            for (change, fate) in changes.iter().zip(&fates) {
                apply(&mut image, change, *fate);
            }
            if seen.insert(image.fingerprint(&mut contents)) {
                states.push(image);
            }
        }
        states
    }

    fn is_pending(&self, at: usize, done: usize) -> bool {
        let change = &self.changes[at];
        let is_change = change.dir().is_some() || change.file().is_some();
        let mut later = self.changes[at + 1..done].iter();
        is_change && !later.any(|later| change.is_secured_by(later))
    }
}

fn resolve(now: &mut Image, step: Step) -> Change {
    match step {
        Step::Name { path, file } => {
            let (dir, name) = now.place(&path);
            let node = Node::File(file);
            Change::Put { dir, name, node }
        }
        Step::Dir(path) => {
            let (dir, name) = now.place(&path);
            let node = Node::Dir(now.new_dir());
            Change::Put { dir, name, node }
        }
        Step::Rename { from, to } => {
            let from = now.place(&from);
            let (dir, name) = now.place(&to);
            let node = now.entries[&from];
            Change::Move {
                from,
                dir,
                name,
                node,
            }
        }
        Step::Remove(path) => {
            let (dir, name) = now.place(&path);
            Change::Remove { dir, name }
        }
        Step::Write {
            file,
            offset,
            bytes,
        } => Change::Write {
            file,
            offset,
            bytes: Arc::new(bytes),
        },
        Step::Length { file, len } => Change::Length { file, len },
        Step::Sync(file) => Change::Sync(file),
        Step::SyncDir(path) => Change::SyncDir(now.dir(&path)),
    }
}

fn apply(image: &mut Image, change: &Change, fate: Fate) {
    if fate == Fate::Lost {
        return;
    }
    match change {
        Change::Put { dir, name, node } => {
            if let Node::File(file) = node {
                image.contents.entry(*file).or_default();
            }
            image.entries.insert((*dir, name.clone()), *node);
        }
        Change::Move {
            from,
            dir,
            name,
            node,
        } => {
            let is_same = image.entries.get(&(*dir, name.clone())) == Some(node);
            if is_same && image.entries.contains_key(from) {
                return;
            }
            image.entries.remove(from);
            if let Node::File(file) = node {
                image.contents.entry(*file).or_default();
            }
            image.entries.insert((*dir, name.clone()), *node);
        }
        Change::Remove { dir, name } => {
            image.entries.remove(&(*dir, name.clone()));
        }
        Change::Write {
            file,
            offset,
            bytes,
        } => {
            let content = Arc::make_mut(image.contents.entry(*file).or_default());
            let (start, end) = (*offset as usize, *offset as usize + bytes.len());
            if content.len() < end {
                content.resize(end, 0);
            }
            let mut at = start;
            // Of a torn write, every other sector is there.
            while at < end {
                let sector = at / SECTOR;
                let stop = end.min((sector + 1) * SECTOR);
                if fate == Fate::Kept || sector.is_multiple_of(2) {
                    content[at..stop].copy_from_slice(&bytes[at - start..stop - start]);
                }
                at = stop;
            }
        }
        Change::Length { file, len } => {
            let content = Arc::make_mut(image.contents.entry(*file).or_default());
            content.resize(*len as usize, 0);
        }
        Change::Sync(_) | Change::SyncDir(_) => {}
    }
}

/// How many states are drawn by lot, besides those that are made one by one.
const DRAWN: usize = 96;

/// Returns choices of what became of the changes, of which those that are `pending` may be lost.
fn choices(changes: &[Change], pending: &[usize]) -> Vec<Vec<Fate>> {
    let (names, data): (Vec<usize>, Vec<usize>) =
        pending.iter().partition(|&&at| changes[at].dir().is_some());
    let mut folders: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for at in names {
        folders
            .entry(changes[at].dir().unwrap())
            .or_default()
            .push(at);
    }
    let all = vec![Fate::Kept; changes.len()];
    let with = |base: &[Fate], lost: &[usize], fate| {
        let mut fates = base.to_vec();
        lost.iter().for_each(|&at| fates[at] = fate);
        fates
    };
    let every: Vec<usize> = folders.values().flatten().copied().collect();
    let no_names = with(&all, &every, Fate::Lost);
    let no_data = with(&all, &data, Fate::Lost);
    let nothing = with(&no_names, &data, Fate::Lost);
    let mut choices = vec![
        all.clone(),
        nothing.clone(),
        no_data.clone(),
        no_names.clone(),
    ];
    for own in folders.values() {
        for cut in 0..own.len() {
            choices.push(with(&all, &own[cut..], Fate::Lost));
            choices.push(with(&no_data, &own[cut..], Fate::Lost));
            choices.push(with(&no_names, &own[..=cut], Fate::Kept));
            choices.push(with(&nothing, &own[..=cut], Fate::Kept));
        }
    }
    for at in &data {
        choices.push(with(&all, &[*at], Fate::Lost));
        choices.push(with(&all, &[*at], Fate::Torn));
        choices.push(with(&no_data, &[*at], Fate::Kept));
        choices.push(with(&no_data, &[*at], Fate::Torn));
    }
    // The same ones each time: a failure can be looked into.
    let mut lots = StdRng::seed_from_u64(changes.len() as u64);
    for _ in 0..if pending.len() > 1 { DRAWN } else { 0 } {
        let mut fates = all.clone();
        for own in folders.values() {
            let cut = lots.random_range(0..=own.len());
            own[cut..].iter().for_each(|&at| fates[at] = Fate::Lost);
        }
        for at in &data {
            fates[*at] = *[Fate::Kept, Fate::Lost, Fate::Torn]
                .choose(&mut lots)
                .unwrap();
        }
        choices.push(fates);
    }
    choices
}

/// Returns the files below `dir` and what is in them.
pub fn files(mem: &Mem, dir: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in mem.list(dir).unwrap_or_default() {
        let path = dir.join(&entry.name);
        match entry.kind {
            FileKind::Dir => found.extend(files(mem, &path)),
            _ => {
                let sum = digest(&read(mem, &path));
                found.insert(path, sum);
            }
        }
    }
    found
}
