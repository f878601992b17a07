//! Which disk files go, and which are merged, when snapshots are removed. Paths only, no files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The disk links of one VM, as they hang together before anything is removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    /// Child to parent; the base of a chain has no entry.
    parents: BTreeMap<PathBuf, PathBuf>,
    /// Every link that is there.
    all: BTreeSet<PathBuf>,
    /// Links that are the top of a state which stays: a snapshot's, or the present one.
    needed: BTreeSet<PathBuf>,
    /// Links that must neither change nor go: linked clones stand on them, or they are not ours.
    pinned: BTreeSet<PathBuf>,
}

/// One step of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing needs this link any more.
    Delete(PathBuf),
    /// The two become one, which is called as the parent is in the steps that follow: the child's data
    /// goes into the parent, or the parent's into the child.
    Merge {
        /// The only child of `into`.
        child: PathBuf,
        /// A link that no state needs.
        into: PathBuf,
        /// Links that hang on the child, and will hang on what the two become.
        orphans: Vec<PathBuf>,
    },
}

impl Step {
    /// Returns the links of which it leaves one less.
    pub(super) fn links(&self) -> impl Iterator<Item = &PathBuf> {
        let (first, second) = match self {
            Self::Delete(link) => (link, None),
            Self::Merge { child, into, .. } => (child, Some(into)),
        };
        std::iter::once(first).chain(second)
    }
}

impl Links {
    /// Adds a chain, child first.
    pub(super) fn add_chain(&mut self, chain: &[PathBuf]) {
        self.all.extend(chain.iter().cloned());
        for pair in chain.windows(2) {
            self.parents.insert(pair[0].clone(), pair[1].clone());
        }
    }

    /// Says that a state which stays uses `top`.
    pub(super) fn need(&mut self, top: &Path) {
        self.needed.insert(top.to_path_buf());
    }

    /// Says that `link` must neither change nor go.
    pub(super) fn pin(&mut self, link: &Path) {
        self.pinned.insert(link.to_path_buf());
    }

    /// Tells whether `link` was added.
    pub(super) fn contains(&self, link: &Path) -> bool {
        self.all.contains(link)
    }

    /// Returns the links that no state needs for itself, and that may change or go.
    pub(super) fn unneeded(&self) -> Vec<PathBuf> {
        let free = |link: &&PathBuf| !self.needed.contains(*link) && !self.pinned.contains(*link);
        self.all.iter().filter(free).cloned().collect()
    }

    /// Pins `top` and all that it stands on.
    pub(super) fn pin_chain(&mut self, top: &Path) {
        let mut link = Some(top.to_path_buf());
        while let Some(path) = link {
            link = self.parents.get(&path).cloned();
            self.pinned.insert(path);
        }
    }

    /// The number of links between `link` and its base.
    fn depth(&self, link: &Path) -> usize {
        let mut depth = 0;
        let mut link = link;
        while let Some(parent) = self.parents.get(link) {
            depth += 1;
            link = parent;
        }
        depth
    }

    /// Returns the steps that rid the VM of `freed`, the links of the removed states, in order; and
    /// those of `freed` that must stay in their chains.
    pub(super) fn plan(mut self, freed: &[PathBuf]) -> (Vec<Step>, Vec<PathBuf>) {
        let mut open: BTreeSet<PathBuf> = freed.iter().cloned().collect();
        let mut steps = Vec::new();
        while let Some((link, step)) = self.next(&open) {
            self.apply(&step, &mut open);
            // A link that took its child in may be the child of another freed one, or done with.
            if !matches!(&step, Step::Merge { into, .. } if !self.needed.contains(into)) {
                open.remove(&link);
            }
            steps.push(step);
        }
        open.retain(|link| self.all.contains(link) && !self.needed.contains(link));
        (steps, open.into_iter().collect())
    }

    /// The next step: what goes with its data first, since that need not move; then nearest the base,
    /// so that data moves once, straight to where it stays.
    fn next(&self, open: &BTreeSet<PathBuf>) -> Option<(PathBuf, Step)> {
        let possible = open
            .iter()
            .filter_map(|link| Some((link.clone(), self.step(link)?)));
        possible.min_by_key(|(link, step)| {
            let moves = matches!(step, Step::Merge { .. });
            (moves, self.depth(link))
        })
    }

    fn children<'a>(&'a self, link: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
        self.parents
            .iter()
            .filter(move |(_, parent)| *parent == link)
            .map(|(child, _)| child)
    }

    /// What can be done about `link` now.
    fn step(&self, link: &Path) -> Option<Step> {
        let movable = |link: &Path| self.all.contains(link) && !self.pinned.contains(link);
        if !movable(link) || self.needed.contains(link) {
            return None;
        }
        let children: Vec<&PathBuf> = self.children(link).collect();
        match children.as_slice() {
            [] => Some(Step::Delete(link.to_path_buf())),
            [child] if movable(child) => Some(Step::Merge {
                child: (*child).clone(),
                into: link.to_path_buf(),
                orphans: self.children(child).cloned().collect(),
            }),
            _ => None,
        }
    }

    fn apply(&mut self, step: &Step, open: &mut BTreeSet<PathBuf>) {
        let gone = match step {
            Step::Delete(link) => link,
            Step::Merge {
                child,
                into,
                orphans,
            } => {
                for orphan in orphans {
                    self.parents.insert(orphan.clone(), into.clone());
                }
                if self.needed.remove(child) {
                    self.needed.insert(into.clone());
                }
                child
            }
        };
        self.parents.remove(gone);
        self.all.remove(gone);
        open.remove(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        PathBuf::from(name)
    }

    fn links(chains: &[&str], needed: &str) -> Links {
        let mut links = Links::default();
        for chain in chains {
            let chain: Vec<PathBuf> = chain.split(' ').map(path).collect();
            links.add_chain(&chain);
        }
        for top in needed.split(' ') {
            links.need(&path(top));
        }
        links
    }

    fn merge(child: &str, into: &str, orphans: &[&str]) -> Step {
        let orphans = orphans.iter().map(|name| path(name)).collect();
        Step::Merge {
            child: path(child),
            into: path(into),
            orphans,
        }
    }

    #[test]
    fn snapshot_in_the_middle_takes_its_child_in() {
        let links = links(&["3 2 1 base"], "base 2 3");
        let (steps, kept) = links.plan(&[path("1")]);
        assert_eq!(steps, [merge("2", "1", &["3"])]);
        assert!(kept.is_empty());
    }

    #[test]
    fn leaf_beside_the_present_state_is_deleted() {
        let links = links(&["2 base", "1 base"], "base 1");
        assert_eq!(
            links.plan(&[path("2")]),
            (vec![Step::Delete(path("2"))], vec![])
        );
    }

    #[test]
    fn whole_line_of_snapshots_ends_in_the_base() {
        let links = links(&["3 2 1 base"], "3");
        let (steps, kept) = links.plan(&[path("base"), path("1"), path("2")]);
        assert!(kept.is_empty());
        assert_eq!(steps.len(), 3);
        assert!(
            steps
                .iter()
                .all(|s| matches!(s, Step::Merge { into, .. } if *into == path("base")))
        );
    }

    #[test]
    fn branch_that_goes_is_not_merged_first() {
        let links = links(&["3 2 1 base", "4 base"], "base 4");
        let (steps, kept) = links.plan(&[path("1"), path("2"), path("3")]);
        assert_eq!(steps, ["3", "2", "1"].map(|name| Step::Delete(path(name))));
        assert!(kept.is_empty());
    }

    #[test]
    fn links_without_a_state_are_unneeded() {
        let mut links = links(&["4 3 2 1 base"], "4 2");
        links.pin(&path("base"));
        assert_eq!(links.unneeded(), [path("1"), path("3")]);
    }

    #[test]
    fn disk_with_two_children_stays() {
        let links = links(&["2 base", "1 base"], "1 2");
        assert_eq!(links.plan(&[path("base")]), (vec![], vec![path("base")]));
    }

    #[test]
    fn disk_below_a_clone_is_not_touched() {
        let mut links = links(&["2 1 base"], "1 2");
        for link in ["1", "base"] {
            links.pin(&path(link));
        }
        assert_eq!(links.plan(&[path("base")]), (vec![], vec![path("base")]));
    }
}
