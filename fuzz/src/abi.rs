//! Fuzzes the arguments of the C library: `cargo xtask fuzz abi`.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/vix-c/tests/it/abi.rs"]
mod abi;

/// The library under test, in a folder with the VMs of one run.
static ABI: OnceLock<abi::Abi> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let abi = ABI.get_or_init(|| {
        let place = |name| PathBuf::from(std::env::var_os(name).expect(name));
        abi::Abi::open(&place("REPLIX_FUZZ_LIBRARY"), &place("REPLIX_FUZZ_FOLDER"))
    });
    abi.run(bytes);
});
