//! The table of the contract names tests that exist.

use std::fs;
use std::path::Path;

/// Tells whether the module of this name has a test.
fn has(module: &str, test: &str) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let source = fs::read_to_string(folder.join(module).with_extension("rs"));
    source.is_ok_and(|source| source.contains(&format!("#[test]\nfn {test}() {{")))
}

#[test]
fn every_test_that_the_table_names_is_there() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/README.md");
    let text = fs::read_to_string(file).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let named: Vec<_> = words.filter_map(|word| word.split_once("::")).collect();
    assert!(named.len() > 60, "{}", named.len());
    for (module, test) in named {
        assert!(has(module, test), "{module}::{test}");
    }
}
