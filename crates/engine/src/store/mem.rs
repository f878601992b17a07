//! A file system in memory, for unit tests of everything above.

use std::any::Any;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Access, Bytes, Entry, FileKind, Held, LockMode, Meta, Span, Store};
use crate::error::{Error, Kind, Result};

/// Blocks of zeros are holes of a file, as on a real disk that was never written there.
const BLOCK: usize = 4096;

type Content = Arc<Mutex<Vec<u8>>>;

/// What a [`Mem`] can do besides reading and writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Skill {
    /// Nothing, as most file systems.
    #[default]
    None,
    /// Files share blocks, as on XFS and btrfs.
    Share,
    /// Files share blocks, but only so many times: then it refuses, as at the end of a file system's patience.
    ShareTimes(u32),
    /// It copies by itself, as a file server does.
    Copy,
}

/// A file system in memory. Clones share it. Paths are taken as they are; `/` exists.
#[derive(Clone, Debug, Default)]
pub struct Mem(Arc<Mutex<Tree>>);

#[derive(Debug, Default)]
struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
    locks: BTreeMap<PathBuf, i32>,
    last_id: u64,
    /// By a folder, the number of the last change of the names in it, of all there were.
    touched: BTreeMap<PathBuf, u64>,
    changes: u64,
    /// How many changes are still made; `None` is all.
    left: Option<usize>,
    skill: Skill,
}

#[derive(Clone, Debug)]
enum Node {
    File { content: Content, id: u64 },
    Dir,
}

struct MemFile {
    tree: Arc<Mutex<Tree>>,
    content: Content,
    path: PathBuf,
    access: Access,
}

struct MemLock {
    tree: Arc<Mutex<Tree>>,
    dir: PathBuf,
    mode: LockMode,
}

impl Mem {
    /// Returns an empty file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes only so many more changes, as when a process is killed then: each further one fails,
    /// until there is another limit, or none.
    pub fn limit_changes(&self, left: Option<usize>) {
        self.tree().left = left;
    }

    /// Lets its files be able to do `skill`.
    pub fn teach(&self, skill: Skill) {
        self.tree().skill = skill;
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        locked(&self.0)
    }

    /// The tree, for one change.
    fn changing(&self, path: &Path) -> Result<MutexGuard<'_, Tree>> {
        let mut tree = self.tree();
        tree.count_change(path)?;
        Ok(tree)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn missing(doing: &str, path: &Path) -> Error {
    Error::io(doing, path, io::ErrorKind::NotFound.into())
}

impl Tree {
    fn count_change(&mut self, path: &Path) -> Result<()> {
        match &mut self.left {
            Some(0) => Err(Error::io("change", path, io::ErrorKind::Other.into())),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path == Path::new("/") || matches!(self.nodes.get(path), Some(Node::Dir))
    }

    fn insert(&mut self, path: &Path, node: Node, doing: &str) -> Result<()> {
        if self.nodes.contains_key(path) || path == Path::new("/") {
            return Err(Error::io(doing, path, io::ErrorKind::AlreadyExists.into()));
        }
        match path.parent() {
            Some(parent) if self.is_dir(parent) => {}
            _ => return Err(missing(doing, path)),
        }
        self.nodes.insert(path.to_path_buf(), node);
        self.touch(path);
        Ok(())
    }

    /// Notes that the name `path` came or went.
    fn touch(&mut self, path: &Path) {
        self.changes += 1;
        let dir = path.parent().unwrap_or(path).to_path_buf();
        self.touched.insert(dir, self.changes);
    }

    fn remove(&mut self, path: &Path) -> Option<Node> {
        self.touch(path);
        self.nodes.remove(path)
    }

    fn children(&self, dir: &Path) -> Vec<PathBuf> {
        self.nodes
            .keys()
            .filter(|path| path.parent() == Some(dir))
            .cloned()
            .collect()
    }

    /// Moves a node with everything below it.
    fn relocate(&mut self, from: &Path, to: &Path) -> Result<()> {
        if !self.nodes.contains_key(from) {
            return Err(missing("rename to", to));
        }
        let moved: Vec<PathBuf> = self
            .nodes
            .keys()
            .filter(|path| path.starts_with(from))
            .cloned()
            .collect();
        for path in moved {
            let below = path
                .strip_prefix(from)
                .unwrap_or(Path::new(""))
                .to_path_buf();
            let target = if below.as_os_str().is_empty() {
                to.to_path_buf()
            } else {
                to.join(below)
            };
            if let Some(node) = self.remove(&path) {
                self.touch(&target);
                self.nodes.insert(target, node);
            }
        }
        Ok(())
    }
}

impl MemFile {
    /// Copies between two files of one memory.
    fn copy(&self, source: &dyn Bytes, span: Span) -> Result<bool> {
        let source = source.as_any().and_then(<dyn Any>::downcast_ref::<Self>);
        let Some(source) = source.filter(|source| Arc::ptr_eq(&self.tree, &source.tree)) else {
            return Ok(false);
        };
        let mut buf = vec![0; span.len as usize];
        source.read_exact_at(&mut buf, span.from)?;
        self.write_at(&buf, span.to).map(|()| true)
    }
}

impl Bytes for MemFile {
    fn len(&self) -> Result<u64> {
        Ok(locked(&self.content).len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let content = locked(&self.content);
        let start = content
            .len()
            .min(usize::try_from(offset).unwrap_or(usize::MAX));
        let n = buf.len().min(content.len() - start);
        buf[..n].copy_from_slice(&content[start..start + n]);
        Ok(n)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        if self.access == Access::Read {
            return Err(Error::io(
                "write",
                &self.path,
                io::ErrorKind::PermissionDenied.into(),
            ));
        }
        locked(&self.tree).count_change(&self.path)?;
        let mut content = locked(&self.content);
        let (start, end) = (offset as usize, offset as usize + buf.len());
        if content.len() < end {
            content.resize(end, 0);
        }
        content[start..end].copy_from_slice(buf);
        Ok(())
    }

    fn share_from(&self, source: &dyn Bytes, span: Span) -> Result<bool> {
        match &mut locked(&self.tree).skill {
            Skill::None | Skill::Copy | Skill::ShareTimes(0) => return Ok(false),
            Skill::ShareTimes(left) => *left -= 1,
            Skill::Share => {}
        }
        let block = self.block_bytes();
        if [span.from, span.to, span.len]
            .iter()
            .any(|at| at % block != 0)
        {
            // A file system would only refuse; here it is a mistake of ours.
            let text = format!("{span:?} is not whole blocks");
            return Err(Error::new(Kind::Internal, text));
        }
        self.copy(source, span)
    }

    fn copy_from(&self, source: &dyn Bytes, span: Span) -> Result<bool> {
        if locked(&self.tree).skill != Skill::Copy {
            return Ok(false);
        }
        self.copy(source, span)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        locked(&self.tree).count_change(&self.path)?;
        locked(&self.content).resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn next_data(&self, offset: u64) -> Result<Option<(u64, u64)>> {
        let content = locked(&self.content);
        let block = |at: usize| &content[at..content.len().min(at + BLOCK)];
        // What lies before `offset` in its block is no data behind it.
        if offset >= content.len() as u64 {
            return Ok(None);
        }
        let start = offset as usize / BLOCK * BLOCK;
        let mut blocks = (start..content.len()).step_by(BLOCK);
        let Some(data) = blocks.find(|at| block(*at).iter().any(|byte| *byte != 0)) else {
            return Ok(None);
        };
        let hole = blocks.find(|at| block(*at).iter().all(|byte| *byte == 0));
        Ok(Some((
            offset.max(data as u64),
            hole.unwrap_or(content.len()) as u64,
        )))
    }
}

impl Held for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        let mut tree = locked(&self.tree);
        let count = tree.locks.entry(self.dir.clone()).or_default();
        *count = if self.mode == LockMode::Exclusive {
            0
        } else {
            *count - 1
        };
    }
}

impl Store for Mem {
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn Bytes>> {
        match self.tree().nodes.get(path) {
            Some(Node::File { content, .. }) => {
                let content = Arc::clone(content);
                Ok(Box::new(MemFile {
                    tree: Arc::clone(&self.0),
                    content,
                    path: path.to_path_buf(),
                    access,
                }))
            }
            _ => Err(missing("open", path)),
        }
    }

    fn create(&self, path: &Path) -> Result<Box<dyn Bytes>> {
        let content = Content::default();
        let mut tree = self.changing(path)?;
        tree.last_id += 1;
        let node = Node::File {
            content: Arc::clone(&content),
            id: tree.last_id,
        };
        tree.insert(path, node, "create")?;
        Ok(Box::new(MemFile {
            tree: Arc::clone(&self.0),
            content,
            path: path.to_path_buf(),
            access: Access::Write,
        }))
    }

    fn meta(&self, path: &Path) -> Result<Meta> {
        let tree = self.tree();
        let (kind, len, id) = match tree.nodes.get(path) {
            Some(Node::File { content, id }) => (FileKind::File, locked(content).len() as u64, *id),
            _ if tree.is_dir(path) => (FileKind::Dir, 0, 0),
            _ => return Err(missing("find", path)),
        };
        Ok(Meta {
            kind,
            len,
            allocated_bytes: len,
            modified_us: 0,
            stamp: [0, id, len, tree.touched.get(path).copied().unwrap_or(0), 0],
        })
    }

    fn list(&self, dir: &Path) -> Result<Vec<Entry>> {
        let tree = self.tree();
        if !tree.is_dir(dir) {
            return Err(missing("list", dir));
        }
        let entry = |path: PathBuf| Entry {
            kind: if tree.is_dir(&path) {
                FileKind::Dir
            } else {
                FileKind::File
            },
            name: path.file_name().map(OsString::from).unwrap_or_default(),
        };
        Ok(tree.children(dir).into_iter().map(entry).collect())
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.changing(dir)?.insert(dir, Node::Dir, "create folder")
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        let mut tree = self.changing(path)?;
        match tree.nodes.get(path) {
            Some(Node::File { .. }) => tree.remove(path).map_or(Ok(()), |_| Ok(())),
            _ => Err(missing("remove", path)),
        }
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        let mut tree = self.changing(dir)?;
        if !tree.is_dir(dir) {
            return Err(missing("remove folder", dir));
        }
        if !tree.children(dir).is_empty() {
            return Err(Error::io(
                "remove folder",
                dir,
                io::ErrorKind::DirectoryNotEmpty.into(),
            ));
        }
        tree.remove(dir);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut tree = self.changing(to)?;
        match (tree.nodes.get(from), tree.nodes.get(to)) {
            // As POSIX has it: two names of one file both stay.
            (Some(Node::File { id, .. }), Some(Node::File { id: other, .. })) if id == other => {
                Ok(())
            }
            _ => tree.relocate(from, to),
        }
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        let mut tree = self.changing(to)?;
        if tree.nodes.contains_key(to) {
            return Err(Error::io("create", to, io::ErrorKind::AlreadyExists.into()));
        }
        tree.relocate(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        let mut tree = self.changing(to)?;
        let node = match tree.nodes.get(from) {
            Some(Node::File { content, id }) => Node::File {
                content: Arc::clone(content),
                id: *id,
            },
            _ => return Err(missing("create", to)),
        };
        tree.insert(to, node, "create")
    }

    fn sync_dir(&self, _dir: &Path) -> Result<()> {
        Ok(())
    }

    fn copy_ownership(&self, _from: &Path, _to: &Path) {}

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                std::path::Component::ParentDir => {
                    plain.pop();
                }
                std::path::Component::CurDir => {}
                part => plain.push(part),
            }
        }
        self.meta(&plain).map(|_| plain)
    }

    fn free_bytes(&self, _dir: &Path) -> Result<u64> {
        Ok(u64::MAX)
    }

    fn try_lock_dir(&self, dir: &Path, mode: LockMode) -> Result<Option<Box<dyn Held>>> {
        let mut tree = self.tree();
        let count = tree.locks.entry(dir.to_path_buf()).or_default();
        match mode {
            LockMode::Exclusive if *count == 0 => *count = -1,
            LockMode::Shared if *count >= 0 => *count += 1,
            _ => return Ok(None),
        }
        Ok(Some(Box::new(MemLock {
            tree: Arc::clone(&self.0),
            dir: dir.to_path_buf(),
            mode,
        })))
    }

    fn lock_owner(&self, _dir: &Path) -> Option<u32> {
        None
    }

    fn is_written(&self, _path: &Path) -> Result<bool> {
        Ok(false)
    }

    fn is_writable(&self, path: &Path) -> bool {
        self.exists(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::write_new;

    #[test]
    fn there_is_no_data_behind_the_end() {
        let mem = Mem::new();
        let path = Path::new("/short");
        write_new(&mem, path, b"memory").unwrap();
        let file = mem.open(path, Access::Read).unwrap();
        assert_eq!(file.next_data(2).unwrap(), Some((2, 6)));
        assert_eq!(file.next_data(6).unwrap(), None);
    }
}
