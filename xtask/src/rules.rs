//! The house rules that neither rustfmt nor clippy knows: text in, findings out.
//!
//! Layers, file length, what a file opens with, and words that have no place in product code.

use std::fmt;
use std::path::{Path, PathBuf};

/// The engine's modules, from top to bottom. Each may use only what stands in a line below.
const LAYERS: &[&str] = &[
    "fuzz", "crash", "pool", "host", "library", "clone", "snapshot", "guest", "power", "network",
    "vm", "disk", "job", "format", "store", "error",
];

/// What the engine's root re-exports for use in every layer.
const ROOT_NAMES: &[&str] = &["Error", "Kind", "Result"];

/// Where the layers are.
const ENGINE: &str = "crates/engine/src";

/// Where the code is that users run: it does not lean on QEMU's image tools.
const PRODUCT: &[&str] = &[
    ENGINE,
    "crates/cli/src",
    "crates/vix/src",
    "crates/vix-c/src",
    "crates/vix-com/src",
    "crates/remote/src",
    "crates/server/src",
];

const FOREIGN_TOOLS: &[&str] = &["\"qemu-img\"", "\"qemu-io\"", "\"qemu-nbd\""];

/// Split, so that this file does not break its own rule.
const UNFINISHED: &str = concat!("to", "do!");

const MOST_LINES: usize = 800;

/// A broken rule, and where.
#[derive(Debug, PartialEq)]
pub struct Finding {
    path: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.what)
    }
}

/// Returns what is wrong with the Rust file `path`, relative to the workspace, that reads `text`.
pub fn findings(path: &Path, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut find = |line, what| {
        let path = path.to_path_buf();
        found.push(Finding { path, line, what });
    };
    if !text.starts_with("//!") {
        find(1, "does not open with `//!`".to_string());
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        find(lines, format!("has {lines} lines, more than {MOST_LINES}"));
    }
    let in_product = PRODUCT.iter().any(|folder| path.starts_with(folder));
    let foreign = if in_product { FOREIGN_TOOLS } else { &[] };
    for word in foreign.iter().chain(&[UNFINISHED]) {
        for (index, _) in text
            .lines()
            .enumerate()
            .filter(|(_, row)| row.contains(word))
        {
            find(index + 1, format!("has {word}"));
        }
    }
    if let Some(own) = layer_of(path) {
        let code = without_comments(text);
        for (line, name) in crate_names(&code) {
            if let Some(what) = judge(own, name) {
                find(line, what);
            }
        }
    }
    found
}

/// Returns the engine's module that a file is part of; none for its root and for other crates.
fn layer_of(path: &Path) -> Option<&str> {
    let first = path.strip_prefix(ENGINE).ok()?.components().next()?;
    let name = first.as_os_str().to_str()?;
    let name = name.strip_suffix(".rs").unwrap_or(name);
    (name != "lib").then_some(name)
}

/// Returns what is wrong with a use of `crate::name` in the layer `own`.
fn judge(own: &str, name: &str) -> Option<String> {
    let rank = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    if name == own || ROOT_NAMES.contains(&name) {
        return None;
    }
    let Some(mine) = rank(own) else {
        return Some(format!(
            "`{own}` is in no layer: give it its place in xtask/src/rules.rs"
        ));
    };
    match rank(name) {
        Some(other) if other > mine => None,
        Some(_) => Some(format!(
            "`{own}` uses `crate::{name}`, which does not stand below it"
        )),
        None => Some(format!(
            "`{own}` uses `crate::{name}`, which is in no layer: name its module"
        )),
    }
}

fn without_comments(text: &str) -> String {
    let code = text
        .lines()
        .map(|row| row.split_once("//").map_or(row, |(code, _)| code));
    code.collect::<Vec<_>>().join("\n")
}

/// Returns the line and first name of each path that starts at the crate's root, those in braces
/// one by one; calls of macros are left out.
fn crate_names(code: &str) -> Vec<(usize, &str)> {
    const ROOT: &str = "crate::";
    let mut names = Vec::new();
    for (at, _) in code.match_indices(ROOT) {
        let begins_a_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if begins_a_word {
            first_names(code, at + ROOT.len(), &mut names);
        }
    }
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    names
        .into_iter()
        .map(|(at, name)| (line(at), name))
        .collect()
}

/// Collects the first name of the path at `at`, or of each path in the braces there.
fn first_names<'a>(code: &'a str, at: usize, names: &mut Vec<(usize, &'a str)>) {
    let Some(list) = code[at..].strip_prefix('{') else {
        let name = word(&code[at..]);
        if !name.is_empty() && !code[at + name.len()..].starts_with('!') {
            names.push((at, name));
        }
        return;
    };
    let (mut depth, mut expected) = (0, true);
    for (offset, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            c if expected && depth == 0 && !c.is_whitespace() => {
                names.push((at + 1 + offset, word(&list[offset..])));
                expected = false;
            }
            _ => {}
        }
    }
}

fn word(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str, text: &str) -> Vec<String> {
        findings(Path::new(path), text)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    const DISK: &str = "crates/engine/src/disk/chain.rs";

    #[test]
    fn downward_uses_are_fine() {
        let text = "//! x\nuse crate::format::vmdk;\nuse crate::{Error, Result, store::{self, Bytes}};\n\
                    use crate::disk::map;\nfn f() { crate::error::kind(); crate::bail!(1) }\n";
        assert_eq!(said(DISK, text), [""; 0]);
    }

    #[test]
    fn upward_use_is_found_with_its_line() {
        let text = "//! x\n\nuse crate::vm::Vm;\n";
        let expected = "crates/engine/src/disk/chain.rs:3: `disk` uses `crate::vm`, which does not \
                        stand below it";
        assert_eq!(said(DISK, text), [expected]);
    }

    #[test]
    fn uses_in_braces_and_in_code_are_found() {
        let text = "//! x\nuse crate::{\n    store::{clone, Bytes},\n    clone::Plan,\n};\n\
                    fn f() { crate::host::open() }\n";
        let said = said(DISK, text);
        assert!(
            said[0].contains(":4: ") && said[0].contains("`crate::clone`"),
            "{said:?}"
        );
        assert!(
            said[1].contains(":6: ") && said[1].contains("`crate::host`"),
            "{said:?}"
        );
        assert_eq!(said.len(), 2);
    }

    #[test]
    fn comments_name_what_they_like() {
        let text = "//! See [`crate::host`].\nfn f() {} // as crate::vm does\n";
        assert_eq!(said(DISK, text), [""; 0]);
    }

    #[test]
    fn root_reexports_of_layers_are_refused() {
        let said = said(DISK, "//! x\nuse crate::Vm;\n");
        assert!(
            said[0].contains("`crate::Vm`, which is in no layer"),
            "{said:?}"
        );
    }

    #[test]
    fn root_and_other_crates_have_no_layer() {
        let text = "//! x\nuse crate::host::Host;\n";
        assert_eq!(said("crates/engine/src/lib.rs", text), [""; 0]);
        assert_eq!(said("crates/cli/src/lib.rs", text), [""; 0]);
    }

    #[test]
    fn long_and_undocumented_files_are_found() {
        let text = "fn f() {}\n".repeat(801);
        let said = said("crates/cli/src/x.rs", &text);
        assert_eq!(said.len(), 2);
        assert!(said[1].ends_with("has 801 lines, more than 800"));
    }

    #[test]
    fn foreign_tools_are_found_in_product_code_only() {
        let text = "//! x\nconst TOOL: &str = \"qemu-img\";\n";
        assert_eq!(said("crates/cli/src/x.rs", text).len(), 1);
        assert_eq!(said("crates/testkit/src/x.rs", text), [""; 0]);
    }
}
