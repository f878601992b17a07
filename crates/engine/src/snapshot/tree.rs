//! The snapshot tree as callers walk it and name things in it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Snapshot, SnapshotRef, SnapshotTree};
use crate::error::{Error, Kind, Result, escaped};

impl SnapshotTree {
    /// Returns the snapshot with number `uid`.
    pub fn get(&self, uid: u32) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.uid == uid)
    }

    /// Returns the snapshots by the one that they were taken next after, oldest first; the roots
    /// under `None`.
    ///
    /// A snapshot whose parent is not in the tree counts as a root.
    pub fn by_parent(&self) -> BTreeMap<Option<u32>, Vec<&Snapshot>> {
        let known: BTreeSet<u32> = self.snapshots.iter().map(|s| s.uid).collect();
        let mut children: BTreeMap<Option<u32>, Vec<&Snapshot>> = BTreeMap::new();
        for snapshot in &self.snapshots {
            let parent = snapshot
                .parent
                .filter(|uid| *uid != snapshot.uid && known.contains(uid));
            children.entry(parent).or_default().push(snapshot);
        }
        children
    }

    /// Returns the snapshots that descend from no other, oldest first.
    pub fn roots(&self) -> Vec<&Snapshot> {
        self.by_parent().remove(&None).unwrap_or_default()
    }

    /// Returns the snapshots that were taken next after the one with number `uid`, oldest first.
    pub fn children(&self, uid: u32) -> Vec<&Snapshot> {
        self.by_parent().remove(&Some(uid)).unwrap_or_default()
    }

    /// Returns the snapshot that the one with number `uid` was taken after; `None` for a root.
    pub fn parent(&self, uid: u32) -> Option<&Snapshot> {
        self.get(self.parent_of(self.get(uid)?)?)
    }

    /// Returns the snapshot that the present state descends from.
    pub fn current(&self) -> Option<&Snapshot> {
        self.get(self.current?)
    }

    /// Returns every snapshot with its depth below its root, parents before children.
    pub fn walk(&self) -> Vec<(usize, &Snapshot)> {
        let mut children = self.by_parent();
        let mut below = |parent, depth| {
            let children = children.remove(&parent).unwrap_or_default();
            children.into_iter().rev().map(move |child| (depth, child))
        };
        let mut found = Vec::new();
        let mut open: Vec<(usize, &Snapshot)> = below(None, 0).collect();
        while let Some((depth, snapshot)) = open.pop() {
            found.push((depth, snapshot));
            open.extend(below(Some(snapshot.uid), depth + 1));
        }
        found
    }

    /// Returns the numbers of the snapshots that descend from `uid`, itself not counted.
    pub fn descendants(&self, uid: u32) -> Vec<u32> {
        let mut children = self.by_parent();
        let mut found: Vec<u32> = Vec::new();
        let mut next = 0;
        let mut parent = uid;
        loop {
            let below = children.remove(&Some(parent)).unwrap_or_default();
            found.extend(below.into_iter().map(|child| child.uid));
            match found.get(next) {
                Some(&child) => parent = child,
                None => return found,
            }
            next += 1;
        }
    }

    /// Finds the snapshot that a caller names.
    ///
    /// A name is first compared whole. Else it is taken apart at `/` or at `\` (at one of them
    /// only): names from an ancestor down to the snapshot, of which some may be left out. A path
    /// that names every step from a root wins over one that leaves some out.
    ///
    /// # Errors
    /// `SnapshotNotFound`, `SnapshotAmbiguous`.
    pub fn find(&self, wanted: &SnapshotRef) -> Result<&Snapshot> {
        let name = match wanted {
            SnapshotRef::Uid(uid) => {
                let missing = || not_found(format!("there is no snapshot number {uid}"));
                return self.get(*uid).ok_or_else(missing);
            }
            SnapshotRef::Name(name) => name,
        };
        let mut fitting: Vec<&Snapshot> = self
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.name == *name)
            .collect();
        if fitting.is_empty() {
            fitting = self.find_by_path(name);
        }
        match fitting.as_slice() {
            [] => Err(not_found(format!(
                "there is no snapshot \"{}\"",
                escaped(name)
            ))),
            [only] => Ok(only),
            several => Err(ambiguous(name, several)),
        }
    }

    fn find_by_path(&self, path: &str) -> Vec<&Snapshot> {
        let separator = if path.contains('/') { '/' } else { '\\' };
        let mut names: Vec<&str> = path
            .split(separator)
            .filter(|name| !name.is_empty())
            .collect();
        let Some(last) = names.pop() else {
            return Vec::new();
        };
        let named = self
            .snapshots
            .iter()
            .filter(|snapshot| snapshot.name == last);
        let lines: Vec<(&Snapshot, Vec<&str>)> = named
            .map(|snapshot| (snapshot, self.ancestor_names(snapshot)))
            .collect();
        let whole: Vec<&Snapshot> = lines
            .iter()
            .filter(|(_, line)| *line == names)
            .map(|(snapshot, _)| *snapshot)
            .collect();
        if whole.len() == 1 {
            return whole;
        }
        lines
            .iter()
            .filter(|(_, line)| in_order(&names, line))
            .map(|(snapshot, _)| *snapshot)
            .collect()
    }

    /// The names above a snapshot, root first.
    fn ancestor_names(&self, snapshot: &Snapshot) -> Vec<&str> {
        let mut names = Vec::new();
        let mut parent = self.parent_of(snapshot);
        while let Some(above) = parent.and_then(|uid| self.get(uid)) {
            names.push(above.name.as_str());
            parent = self.parent_of(above);
            if names.len() > self.snapshots.len() {
                break;
            }
        }
        names.reverse();
        names
    }

    fn parent_of(&self, snapshot: &Snapshot) -> Option<u32> {
        snapshot
            .parent
            .filter(|uid| *uid != snapshot.uid && self.get(*uid).is_some())
    }
}

/// Whether all of `names` occur in `line`, in that order.
fn in_order(names: &[&str], line: &[&str]) -> bool {
    let mut rest = line.iter();
    names.iter().all(|name| rest.any(|other| other == name))
}

fn not_found(text: String) -> Error {
    Error::new(Kind::SnapshotNotFound, text)
}

fn ambiguous(name: &str, several: &[&Snapshot]) -> Error {
    let numbers: Vec<String> = several
        .iter()
        .map(|snapshot| format!("#{}", snapshot.uid))
        .collect();
    let text = format!("{} snapshots fit \"{}\"", several.len(), escaped(name));
    let hint = format!(
        "name one by its number ({}) or by its path",
        numbers.join(", ")
    );
    Error::new(Kind::SnapshotAmbiguous, text).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(of: &[(u32, Option<u32>, &str)]) -> SnapshotTree {
        let snapshot = |&(uid, parent, name): &(u32, Option<u32>, &str)| Snapshot {
            uid,
            parent,
            name: name.into(),
            description: String::new(),
            created_us: 0,
            with_memory: false,
            clones: Vec::new(),
        };
        SnapshotTree {
            snapshots: of.iter().map(snapshot).collect(),
            current: None,
        }
    }

    fn found(tree: &SnapshotTree, name: &str) -> std::result::Result<u32, Kind> {
        let found = tree.find(&SnapshotRef::Name(name.into()));
        found
            .map(|snapshot| snapshot.uid)
            .map_err(|error| error.kind())
    }

    #[test]
    fn name_that_fits_once_is_found() {
        let tree = tree(&[(1, None, "a"), (2, Some(1), "b"), (3, Some(2), "b/c")]);
        assert_eq!(found(&tree, "b"), Ok(2));
        assert_eq!(found(&tree, "b/c"), Ok(3));
        assert_eq!(found(&tree, "x"), Err(Kind::SnapshotNotFound));
        assert_eq!(found(&tree, ""), Err(Kind::SnapshotNotFound));
    }

    #[test]
    fn path_tells_equal_names_apart() {
        let tree = tree(&[
            (1, None, "x"),
            (2, Some(1), "x"),
            (3, Some(1), "y"),
            (4, Some(3), "x"),
        ]);
        assert_eq!(found(&tree, "x"), Err(Kind::SnapshotAmbiguous));
        assert_eq!(found(&tree, "x/x"), Ok(2));
        assert_eq!(found(&tree, "x\\y\\x"), Ok(4));
        assert_eq!(found(&tree, "y/x"), Ok(4));
    }

    #[test]
    fn walk_goes_depth_first_and_oldest_first() {
        let tree = tree(&[
            (1, None, "a"),
            (2, Some(1), "b"),
            (3, Some(1), "c"),
            (4, Some(2), "d"),
            (5, None, "e"),
        ]);
        let order: Vec<(usize, u32)> = tree.walk().into_iter().map(|(d, s)| (d, s.uid)).collect();
        assert_eq!(order, [(0, 1), (1, 2), (2, 4), (1, 3), (0, 5)]);
        assert_eq!(tree.descendants(1), [2, 3, 4]);
    }

    #[test]
    fn neighbours_come_in_the_order_of_the_bookkeeping() {
        let mut tree = tree(&[
            (5, None, "a"),
            (2, Some(5), "b"),
            (9, None, "c"),
            (1, Some(5), "d"),
        ]);
        let uids = |of: Vec<&Snapshot>| of.iter().map(|s| s.uid).collect::<Vec<_>>();
        assert_eq!(uids(tree.roots()), [5, 9]);
        assert_eq!(uids(tree.children(5)), [2, 1]);
        assert!(tree.children(9).is_empty() && tree.children(7).is_empty());
        assert_eq!(tree.parent(1).map(|s| s.uid), Some(5));
        assert!(tree.parent(5).is_none() && tree.parent(7).is_none());
        assert!(tree.current().is_none());
        tree.current = Some(2);
        assert_eq!(tree.current().map(|s| s.uid), Some(2));
    }

    #[test]
    fn snapshot_with_unknown_parent_is_a_root() {
        let tree = tree(&[(7, Some(3), "a")]);
        assert_eq!(tree.walk().len(), 1);
        assert_eq!(tree.roots().len(), 1);
        assert!(tree.parent(7).is_none());
    }
}
