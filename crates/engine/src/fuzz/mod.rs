//! What is fuzzed: each reader of bytes that a stranger may have written, and whole VMs.
//!
//! A target takes any bytes; what it must not do is panic, hang, or take memory without bound, and
//! what it holds of its answers it asserts. `cargo xtask fuzz TARGET` makes up the bytes; the inputs that
//! it found worth keeping are in `fuzz/corpus`, and the tests run them again.
//!
//! Files are given sparsely, see [`input`], so that an input stays small where a file is not.

#![expect(clippy::unwrap_used, reason = "a target may fail by a panic")]

mod disks;
mod input;
mod parsers;
mod vms;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("dictionary", parsers::dictionary),
    ("vmsd", parsers::vmsd),
    ("vmsn", parsers::vmsn),
    ("nvram", parsers::nvram),
    ("vmxf", parsers::vmxf),
    ("descriptor", parsers::descriptor),
    ("memory", parsers::memory),
    ("stream", parsers::stream),
    ("lock", parsers::lock),
    ("leases", parsers::leases),
    ("guest", parsers::guest),
    ("sparse", disks::sparse),
    ("packed", disks::packed),
    ("cowd", disks::cowd),
    ("sesparse", disks::sesparse),
    ("vm", vms::vm),
];

/// Returns what the target of that name does with bytes.
pub fn target(name: &str) -> Option<fn(&[u8])> {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, run)| *run)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn inputs_that_were_kept_break_nothing() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        for (name, run) in TARGETS {
            let entries = std::fs::read_dir(corpus.join(name)).unwrap();
            let mut inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            inputs.sort();
            assert!(!inputs.is_empty(), "{name} has no inputs");
            for input in inputs {
                println!("{}", input.display());
                run(&std::fs::read(input).unwrap());
            }
        }
    }
}
