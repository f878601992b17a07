//! Header, library and table of constants say the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::mem::size_of;
use std::process::Command;

use replix_testkit::{CProgram, Compiler, VixLibrary, folder};
use vix::constants::ALL;
use vixAllProducts::types;

use crate::signature::{Signature, exported_functions, header, prototypes};

/// Runs a program in C, written to be C++ as well, and returns what it prints.
fn printed(source: &str, compiler: Compiler) -> String {
    let folder = folder();
    let path = folder.path().join(match compiler {
        Compiler::C89 => "program.c",
        Compiler::Cxx => "program.cc",
    });
    std::fs::write(&path, source).unwrap();
    let program = CProgram::compile(&path, compiler, &VixLibrary::find());
    let output = program.command().output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Returns a program that runs these statements.
fn program(statements: &str) -> String {
    format!(
        "#include <stdio.h>\n#include \"vix.h\"\n\n\
         int main(void)\n{{\n{statements}    return 0;\n}}\n"
    )
}

#[test]
fn compilers_see_the_constants_of_the_table() {
    let rows: Vec<_> = ALL.iter().filter(|row| row.in_c).collect();
    let mut statements = String::new();
    for name in rows.iter().map(|row| row.name) {
        writeln!(statements, "    printf(\"{name} %ld\\n\", (long) {name});").unwrap();
    }
    for compiler in Compiler::ALL {
        let printed = printed(&program(&statements), compiler);
        assert_eq!(printed.lines().count(), rows.len());
        for (line, row) in printed.lines().zip(&rows) {
            assert_eq!(line, format!("{} {}", row.name, row.value), "{compiler:?}");
        }
    }
}

#[test]
fn the_header_has_no_constants_but_those_of_the_table() {
    let header = header();
    let parts = header.split([',', '{', '}', ';']);
    let constants = parts.filter_map(|part| part.trim().split_once(" = "));
    let found: BTreeSet<_> = constants.map(|(name, _)| name).collect();
    let wanted: BTreeSet<_> = ALL
        .iter()
        .filter(|row| row.in_c)
        .map(|row| row.name)
        .collect();
    assert_eq!(
        found.symmetric_difference(&wanted).collect::<Vec<_>>(),
        [&""; 0]
    );
}

#[test]
fn providers_are_macros_too() {
    let providers = ALL
        .iter()
        .filter(|row| row.in_c && row.group == "service_provider");
    let mut source = program("    printf(\"done\\n\");\n");
    for row in providers {
        write!(
            source,
            "#ifndef {0}\n#error \"{0} is no macro\"\n#endif\n",
            row.name
        )
        .unwrap();
    }
    assert!(source.contains("VIX_SERVICEPROVIDER_VMWARE_WORKSTATION_SHARED"));
    assert_eq!(printed(&source, Compiler::C89), "done\n");
}

/// The header's own checks, as a client writes them, held to every value that may surprise them.
#[test]
fn macros_tell_success_and_codes() {
    let statements = r#"
    VixError failed = ((VixError) 7 << 32) + VIX_E_VM_IS_RUNNING;
    printf("%d%d ", (int) VIX_SUCCEEDED(VIX_OK), (int) VIX_FAILED(VIX_OK));
    printf("%d%d ", (int) VIX_SUCCEEDED(failed), (int) VIX_FAILED(failed));
    printf("%d ", (int) VIX_ERROR_CODE(failed));
    printf("%d%d%d%d\n", IsBool(FALSE), IsBool(TRUE), IsBool(2), IsBool(-1));
"#;
    for compiler in Compiler::ALL {
        assert_eq!(printed(&program(statements), compiler), "10 01 3007 1100\n");
    }
}

#[test]
fn types_are_as_wide_in_c_as_in_rust() {
    macro_rules! types {
        ($($name:ident)*) => { [$((stringify!($name), size_of::<types::$name>())),*] };
    }
    let rust = types![
        VixHandle VixHandleType VixError VixPropertyType VixPropertyID VixEventType VixHostOptions
        VixServiceProvider VixFindItemType VixVMOpenOptions VixPumpEventsOptions
        VixVMPowerOpOptions VixVMDeleteOptions VixPowerState VixToolsState VixRunProgramOptions
        VixRemoveSnapshotOptions VixCreateSnapshotOptions VixMsgSharedFolderOptions VixCloneType
    ];
    let header = header();
    let defined = header
        .lines()
        .filter_map(|line| line.strip_prefix("typedef "));
    let defined = defined.filter_map(|line| line.strip_suffix(';')?.split_once(' '));
    assert_eq!(
        defined.map(|(_, name)| name).collect::<Vec<_>>(),
        rust.map(|(name, _)| name)
    );

    let plain = [
        ("Bool", 1),
        ("int32", 4),
        ("uint32", 4),
        ("int64", 8),
        ("uint64", 8),
    ];
    let all = || rust.iter().chain(&plain);
    let statements: String = all()
        .map(|(name, _)| format!("    printf(\"{name} %d\\n\", (int) sizeof({name}));\n"))
        .collect();
    let wanted: String = all()
        .map(|(name, size)| format!("{name} {size}\n"))
        .collect();
    assert_eq!(printed(&program(&statements), Compiler::C89), wanted);
    assert_eq!(size_of::<types::Bool>(), 1);
}

#[test]
fn the_library_exports_what_the_header_declares() {
    let output = Command::new("nm")
        .args(["-D", "--defined-only", "--format=just-symbols"])
        .arg(VixLibrary::find().path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.status);
    let exported = String::from_utf8(output.stdout).unwrap();
    let exported: BTreeSet<_> = exported.lines().map(str::to_string).collect();
    let declared: BTreeSet<_> = prototypes(&header())
        .into_iter()
        .map(|of| of.name)
        .collect();
    assert_eq!(exported, declared);
    // VIX 1.13 has 67 functions; six were removed on the way there.
    assert_eq!(declared.len(), 67 + 6);
}

#[test]
fn functions_are_as_the_header_declares_them() {
    let exported = exported_functions();
    let declared = prototypes(&header());
    assert_eq!(exported.len(), declared.len());
    for prototype in &declared {
        let function = exported
            .iter()
            .find(|function| function.name == prototype.name);
        assert_eq!(function, Some(&in_rust(prototype)));
    }
}

/// Returns how Rust writes a prototype.
fn in_rust(prototype: &Signature) -> Signature {
    let parameters = prototype.parameters.iter();
    let result = match prototype.result.as_str() {
        "const char *" => "*const c_char".to_string(),
        "void" => String::new(),
        other => rust_type(other, ""),
    };
    Signature {
        result,
        parameters: parameters
            .map(|(c, name)| (rust_type(c, name), name.clone()))
            .collect(),
        ..prototype.clone()
    }
}

fn rust_type(c: &str, name: &str) -> String {
    match c {
        "int" => "c_int".into(),
        "int32" => "i32".into(),
        "uint64" => "u64".into(),
        "const char *" => "ClientText".into(),
        "VixEventProc *" => "EventProc".into(),
        "void *" if name == "clientData" => "ClientData".into(),
        "void *" => "*mut c_void".into(),
        plain => match plain.strip_suffix(" *") {
            Some(of) => format!("Out<{}>", rust_type(of, "")),
            None => plain.to_string(),
        },
    }
}
