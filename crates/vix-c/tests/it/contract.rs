//! The table of the contract names tests that exist.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Tells whether the module of this name has a test.
/// The tests of this program, as it lists them.
fn tests() -> Vec<String> {
    let own = std::env::current_exe().unwrap();
    let listed = Command::new(own)
        .args(["--list", "--format", "terse"])
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    names.map(String::from).collect()
}

#[test]
fn every_test_that_the_table_names_is_there() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/README.md");
    let text = fs::read_to_string(file).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let named: Vec<_> = words.filter(|word| word.contains("::")).collect();
    assert!(named.len() > 60, "{}", named.len());
    let there = tests();
    for test in named {
        assert!(there.iter().any(|known| known == test), "{test}");
    }
}
