//! Makes the type library from `VixCOM.idl` and puts it into the DLL.
//!
//! `widl` (Wine's) compiles it, `windres` (mingw's) makes a resource of it. `widl` drops the constants of
//! a module, so they go in as an enumeration, of which [`make_module`] makes a module.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const TABLE: &str = "../vix/constants.tsv";
const IDL: &str = "VixCOM.idl";

/// The number of the type information with the constants: the first in `VixCOM.idl`'s library.
const MODULE: &str = "Constants";

fn main() {
    println!("cargo::rerun-if-changed={TABLE}");
    println!("cargo::rerun-if-changed={IDL}");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let table = fs::read_to_string(TABLE).expect("constants.tsv can be read");
    fs::write(out.join("constants.idl"), enumeration(&table)).expect("OUT_DIR is ours");

    let library = out.join("VixCOM.tlb");
    run(Command::new("widl")
        .args(["-m64", "-t", "-I"])
        .arg(&out)
        .arg("-o")
        .arg(&library)
        .arg(IDL));
    make_module(&library);
    embed(&out, &library);
}

/// Returns the numbers that COM has, as an enumeration of 32-bit integers.
fn enumeration(table: &str) -> String {
    let mut lines = String::new();
    for row in table.lines().skip(1) {
        let cells: Vec<_> = row.split('\t').collect();
        let [_, name, value, _, "yes", ..] = cells[..] else {
            continue;
        };
        let value: i64 = value.parse().expect("crates/vix has checked its table");
        // An HRESULT is a LONG to COM.
        let value = value as i32;
        writeln!(lines, "        {name} = {value},").expect("a string takes all text");
    }
    let lines = lines.trim_end_matches(",\n");
    let uuid = "uuid(B3C2E9A4-55D5-4B6E-9F0A-1D6F0C1E7A27)";
    format!("    typedef [public, {uuid}] enum {MODULE} {{\n{lines}\n    }} {MODULE};\n")
}

/// Turns the one enumeration of a type library into a module with the same constants.
///
/// Source: the MSFT format, as Wine's dlls/oleaut32/typelib.h describes it: the number of type
/// informations at 0x20, their offsets from 0x54 on, 4 bytes later if flag 0x100 at 0x14 is set; the kind is
/// in the low 4 bits of a record, 0 for an enumeration, 2 for a module.
fn make_module(library: &Path) {
    let mut bytes = fs::read(library).expect("widl has written it");
    let word = |at: usize| {
        let word = bytes.get(at..at + 4).expect("the file is whole");
        u32::from_le_bytes(word.try_into().expect("four bytes"))
    };
    let (count, flags) = (word(0x20), word(0x14));
    let offsets = 0x54 + if flags & 0x100 != 0 { 4 } else { 0 };
    // The records follow the directory of the 15 segments, whose first entry says where they are.
    let segments = offsets + 4 * count as usize;
    let records = word(segments) as usize;
    let of = |n: u32| records + word(offsets + 4 * n as usize) as usize;
    let enums: Vec<_> = (0..count)
        .map(of)
        .filter(|at| word(*at) & 0xf == 0)
        .collect();
    let [only] = enums[..] else {
        panic!("{} enumerations in the type library", enums.len());
    };
    bytes[only] |= 2;
    fs::write(library, bytes).expect("OUT_DIR is ours");
}

/// Puts the type library into the DLL, as resource 1 of type TYPELIB.
fn embed(out: &Path, library: &Path) {
    let (script, object) = (out.join("VixCOM.rc"), out.join("VixCOM.res.o"));
    fs::write(
        &script,
        format!("1 TYPELIB {:?}\n", library.display().to_string()),
    )
    .expect("OUT_DIR is ours");
    run(Command::new("x86_64-w64-mingw32-windres")
        .arg(&script)
        .arg(&object));
    println!("cargo::rustc-cdylib-link-arg={}", object.display());
}

fn run(command: &mut Command) {
    let status = command.status();
    let ended = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(ended.success(), "{command:?}: {ended}");
}
