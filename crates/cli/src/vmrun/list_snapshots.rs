//! `vmrun listSnapshots VMX [showTree]`.

use replix::error::escaped;
use replix::snapshot::SnapshotTree;

use super::call::{Answer, Call, Lines};

/// Prints the names of the snapshots, parents before children; as a tree each under its parent.
pub(super) fn run(call: &Call) -> Answer {
    let tree = call.open()?.snapshots()?;
    Ok(render(&tree, call.mode(1) == "showtree"))
}

fn render(tree: &SnapshotTree, indented: bool) -> Lines {
    let all = tree.walk();
    let mut lines = Lines::default();
    lines.push(format!("Total snapshots: {}", all.len()));
    for (depth, snapshot) in all {
        let depth = if indented { depth } else { 0 };
        // A name may come from a stranger; a line end in it would also break the count.
        lines.push("\t".repeat(depth) + &escaped(&snapshot.name));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::tree;

    fn text(lines: Lines) -> String {
        String::from_utf8(lines.into_bytes()).unwrap()
    }

    #[test]
    fn names_come_parents_first() {
        let tree = tree(&[
            (1, None, "base"),
            (2, Some(1), "a"),
            (3, Some(1), "b"),
            (4, Some(2), "c"),
        ]);
        assert_eq!(
            text(render(&tree, false)),
            "Total snapshots: 4\nbase\na\nc\nb\n"
        );
        assert_eq!(
            text(render(&tree, true)),
            "Total snapshots: 4\nbase\n\ta\n\t\tc\n\tb\n"
        );
    }

    #[test]
    fn name_stays_in_its_line() {
        let tree = tree(&[(1, None, "a\nb\u{1b}[2J")]);
        let shown = text(render(&tree, false));
        assert_eq!(shown, "Total snapshots: 1\na\\u{a}b\\u{1b}[2J\n");
    }

    #[test]
    fn no_snapshots_are_counted_too() {
        let none = SnapshotTree::default();
        assert_eq!(text(render(&none, true)), "Total snapshots: 0\n");
    }
}
