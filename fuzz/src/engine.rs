//! Fuzzes a reader of the engine, or whole VMs: `cargo xtask fuzz TARGET`.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// What is fuzzed: the target that `REPLIX_FUZZ_TARGET` names.
static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let run = TARGET.get_or_init(|| {
        let name = std::env::var("REPLIX_FUZZ_TARGET").expect("cargo xtask fuzz sets it");
        replix::fuzz::target(&name).expect("it is a target")
    });
    run(bytes);
});
