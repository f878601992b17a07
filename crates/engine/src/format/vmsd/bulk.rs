//! The lines of many clones of one snapshot, kept as a text.
//!
//! Thousands of linked clones may stand on a snapshot, each with a line. What is asked of them is who they
//! are, and that one is added: the lines need not be taken apart as others are, which may be written
//! anyhow. So a run of lines that are written as VMware and we write them, numbered from 0 one by one and
//! followed by their count, stays one text.

use std::fmt::Write;
use std::ops::Range;

use super::read::number;
use crate::format::Paths;

/// Fewer lines are taken apart as all others.
pub(super) const LEAST: usize = 64;

/// More are, too: there are limits to what a file may have.
const MOST: usize = 100_000;

/// A line has at most so many bytes before the number of its clone: `snapshot` and a number.
const MOST_BEFORE: usize = 32;

/// The lines of the clones of one block, which are not in the dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bulk {
    /// The number of the block.
    pub(super) block: usize,
    /// The lines; they stand before the one with their count.
    pub(super) text: String,
    /// How each of them ends.
    end: &'static str,
}

impl Bulk {
    /// Finds such lines: returns them, where they are, and the paths in them.
    pub(super) fn find(bytes: &[u8]) -> Option<(Self, Range<usize>, Paths)> {
        const FIRST: &str = ".clone0 = \"";
        let text = std::str::from_utf8(bytes).ok()?;
        let mut runs = text.match_indices(FIRST).filter_map(|(at, _)| {
            let before = &bytes[at.saturating_sub(MOST_BEFORE)..at];
            let start = match before.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => at - before.len() + end + 1,
                None if before.len() == at => 0,
                None => return None,
            };
            let block = number(text[start..at].strip_prefix("snapshot")?)?;
            Self::at(text, start, block)
        });
        // Only the first is looked for in the rest of the text, which a stranger may have filled with such runs.
        let (bulk, lines, paths) = runs.next()?;
        let of_block = format!("snapshot{}.clone", bulk.block);
        let others = [&text[..lines.start], &text[lines.end..]];
        let is_alone = |other: &&str| !other.to_ascii_lowercase().contains(&of_block);
        let is_alone = others.iter().all(is_alone);
        is_alone.then_some((bulk, lines, paths))
    }

    fn at(text: &str, start: usize, block: usize) -> Option<(Self, Range<usize>, Paths)> {
        let line = text[start..].split_inclusive('\n').next()?;
        let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
        let head = format!("snapshot{block}.clone");
        let (mut paths, mut at) = (Paths::default(), start);
        while let Some((number, rest)) = text[at..]
            .strip_prefix(&head)
            .and_then(|rest| rest.split_once(" = \""))
            .filter(|(text, _)| number(text) == Some(paths.len()))
        {
            let (path, rest) = rest.split_once('"')?;
            if !is_plain(path) || !rest.starts_with(end) {
                return None;
            }
            at += head.len() + number.len() + " = \"\"".len() + path.len() + end.len();
            paths.push(path);
        }
        let is_whole = text[at..].starts_with(&format!("snapshot{block}.numClones = \""))
            && (LEAST..=MOST).contains(&paths.len());
        let bulk = Self {
            block,
            text: text[start..at].to_owned(),
            end,
        };
        is_whole.then_some((bulk, start..at, paths))
    }

    /// How the lines end.
    pub(super) fn end(&self) -> &'static str {
        self.end
    }

    /// Adds the line of a clone; `path` is plain.
    pub(super) fn add(&mut self, number: usize, path: &str) {
        let (block, end) = (self.block, self.end);
        let _ = write!(self.text, "snapshot{block}.clone{number} = \"{path}\"{end}");
    }

    /// Writes the lines anew, for these clones.
    pub(super) fn write(&mut self, paths: &Paths) {
        self.text.clear();
        for (number, path) in paths.iter().enumerate() {
            self.add(number, path);
        }
    }
}

/// Whether a path stands in a line as it is.
pub(super) fn is_plain(path: &str) -> bool {
    let is_special = |b: u8| b == b'"' || b == b'|' || !(b' '..=b'~').contains(&b);
    !path.trim().is_empty() && !path.bytes().any(is_special)
}
