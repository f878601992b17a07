//! What a program said, with what differs from run to run made stable.

use std::fmt;
use std::path::Path;
use std::process::Output;

/// What a program said and how it ended. Paths of the library read `/vms/...`, unfinished clones
/// `.replix-*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

impl Said {
    /// Takes it from what the system kept; `root` is the folder around the library.
    pub fn of(output: &Output, root: &Path) -> Self {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            plain_hidden(&text.replace(root.to_str().unwrap(), ""))
        };
        Self {
            out: text(&output.stdout),
            err: text(&output.stderr),
            code: output.status.code(),
        }
    }
}

/// All of it, to be looked at.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or("killed".into(), |code| code.to_string());
        write!(f, "{}", self.out)?;
        match self.err.as_str() {
            "" => {}
            err => write!(f, "--- stderr\n{err}")?,
        }
        writeln!(f, "--- exit {code}")
    }
}

/// Names of unfinished clones have a random end.
fn plain_hidden(text: &str) -> String {
    let mut parts = text.split(".replix-");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |out, part| {
        let end = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        out + ".replix-*" + end
    })
}

/// Returns `text` with each content id (eight hex digits) named by its order: equal ones stay
/// equal, different ones different.
pub fn plain_ids(text: &str) -> String {
    let mut ids: Vec<String> = Vec::new();
    each_word(text, |word| {
        if word.len() != 8 || !word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let known = ids.iter().position(|id| id == word).unwrap_or_else(|| {
            ids.push(word.into());
            ids.len() - 1
        });
        Some(format!("id-{}", known + 1))
    })
}

/// Returns `text` without dates, sizes and durations, and with the gaps between columns closed.
pub fn plain_amounts(text: &str) -> String {
    let lines = text.lines().map(|line| plain_line(line) + "\n");
    lines.collect()
}

fn plain_line(line: &str) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "ms", "s", "UTC"];
    let drawn = |c: char| c == ' ' || !c.is_ascii();
    let (lead, rest) = line.split_at(line.len() - line.trim_start_matches(drawn).len());
    let mut words: Vec<String> = Vec::new();
    for word in rest.split(' ') {
        let unit = word.trim_end_matches([',', ';', ':', '?']);
        if UNITS.contains(&unit) && words.last().is_some_and(|last| is_amount(last)) {
            while words.last().is_some_and(|last| is_amount(last)) {
                words.pop();
            }
            words.push(word.replacen(unit, "N", 1));
        } else if !word.is_empty() || words.last().is_some_and(|last| !last.is_empty()) {
            words.push(word.into());
        }
    }
    let lead = if lead.trim().is_empty() {
        &lead[..lead.len().min(4)]
    } else {
        lead
    };
    format!("{lead}{}", words.join(" "))
}

fn is_amount(word: &str) -> bool {
    let digits = |c: char| c.is_ascii_digit() || "-:.".contains(c);
    word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(digits)
}

/// Returns `text` with those words (of letters and digits) replaced that `change` replaces.
fn each_word(text: &str, mut change: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        out.push_str(&change(word).unwrap_or_else(|| word.into()));
        let mut tail = tail.chars();
        out.extend(tail.next());
        rest = tail.as_str();
    }
    out
}

#[test]
fn equal_ids_stay_equal() {
    let text = "id 0a1b2c3d, not 0a1b2c3e but 0a1b2c3d of a1b2c3d";
    assert_eq!(plain_ids(text), "id id-1, not id-2 but id-1 of a1b2c3d");
}

#[test]
fn amounts_are_blanked() {
    let text = "├── web  12.5 KiB  -      taken 2026-11-23 08:23 UTC, in 3 s\n";
    assert_eq!(plain_amounts(text), "├── web  N  -  taken N, in N\n");
}
