//! `cargo xtask headers`: the constants of `vix.h` and `VixCOM.h`, written from the table of `crates/vix`.
//!
//! Only what stands between the two marks of a header is written; the rest of it is typed by hand.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Doing, Result, fail, say};

const TABLE: &str = "crates/vix/constants.tsv";

/// The headers, and the column of the table that tells what is in each.
const HEADERS: &[(&str, usize)] = &[
    ("crates/vix-c/include/vix.h", 3),
    ("crates/vix-com/include/VixCOM.h", 4),
];

/// The group whose one constant is no number of VIX: it has a form of its own.
const HRESULTS: &str = "com_hresult";

const BEGIN: &str =
    "/* constants: begin, written by `cargo xtask headers` from crates/vix/constants.tsv */\n";
const END: &str = "/* constants: end */\n";

/// The source that goes without saying.
const OLDEST: &str = "vix.h 1.6";

/// What is said above each enumeration, in the order of the header.
const GROUPS: &[(&str, &str)] = &[
    ("handle", "The handle that stands for nothing."),
    ("handle_type", "Types of handles: VixHandleType."),
    ("error", "Codes of errors: VixError."),
    ("property_type", "Types of properties: VixPropertyType."),
    ("property_id", "Properties: VixPropertyID."),
    ("event_type", "Events: VixEventType."),
    ("file_attribute", "Kinds of files in a guest."),
    ("host_option", "Options of VixHost_Connect: VixHostOptions."),
    ("service_provider", "Kinds of hosts: VixServiceProvider."),
    ("api_version", "Versions of the interface."),
    (
        "find_type",
        "What VixHost_FindItems looks for: VixFindItemType.",
    ),
    (
        "vm_open_option",
        "Options of VixHost_OpenVM: VixVMOpenOptions.",
    ),
    (
        "pump_events_option",
        "Options of Vix_PumpEvents: VixPumpEventsOptions.",
    ),
    (
        "power_op",
        "Options of the power functions: VixVMPowerOpOptions.",
    ),
    (
        "vm_delete_option",
        "Options of VixVM_Delete: VixVMDeleteOptions.",
    ),
    (
        "power_state",
        "Bits of a power state: VixPowerState. Others may be set too.",
    ),
    ("tools_state", "States of the guest tools: VixToolsState."),
    ("vm_support", "What a VM supports: bits."),
    ("login_option", "Options of VixVM_LoginInGuest."),
    (
        "run_program_option",
        "Options for programs in the guest: VixRunProgramOptions.",
    ),
    ("variable_type", "Kinds of variables."),
    (
        "snapshot_remove_option",
        "Options of VixVM_RemoveSnapshot: VixRemoveSnapshotOptions.",
    ),
    (
        "snapshot_create_option",
        "Options of VixVM_CreateSnapshot: VixCreateSnapshotOptions.",
    ),
    (
        "shared_folder_option",
        "Options of shared folders: VixMsgSharedFolderOptions.",
    ),
    ("screenshot_format", "Formats of pictures."),
    ("clone_type", "Types of clones: VixCloneType."),
    ("install_tools_option", "Options of VixVM_InstallTools."),
];

/// The group whose constants are macros too, for clients that ask `#ifdef`.
const ALSO_MACROS: &str = "service_provider";

/// Writes the constants into the headers.
///
/// # Errors
/// When a file cannot be read or written, or is not as expected.
pub fn run(root: &Path) -> Result {
    for (name, column) in HEADERS {
        let header = Header::read(root, name, *column)?;
        fs::write(&header.path, header.wanted).doing(header.path.display())?;
        say(format_args!("{name} is up to date"));
    }
    Ok(())
}

/// Checks that the headers have the constants of the table.
///
/// # Errors
/// When one has not, or as for [`run`].
pub fn check(root: &Path) -> Result {
    for (name, column) in HEADERS {
        let header = Header::read(root, name, *column)?;
        if header.found != header.wanted {
            return fail(format!(
                "{name} is not as {TABLE} says: run `cargo xtask headers`"
            ));
        }
    }
    Ok(())
}

/// A header as it is and as it should be.
struct Header {
    path: PathBuf,
    found: String,
    wanted: String,
}

impl Header {
    fn read(root: &Path, name: &str, column: usize) -> Result<Self> {
        let path = root.join(name);
        let found = fs::read_to_string(&path).doing(name)?;
        let table = fs::read_to_string(root.join(TABLE)).doing(TABLE)?;
        let constants = constants(&rows(&table, column)?)?;
        let Some(wanted) = between_marks(&found, &constants) else {
            return fail(format!("{name} has lost its marks `{}`", BEGIN.trim_end()));
        };
        Ok(Self {
            path,
            found,
            wanted,
        })
    }
}

/// Returns `header` with `constants` between its marks, none if it has no marks.
fn between_marks(header: &str, constants: &str) -> Option<String> {
    let (above, rest) = header.split_once(BEGIN)?;
    let (_, below) = rest.split_once(END)?;
    Some([above, BEGIN, constants, END, below].concat())
}

/// A constant that a header has.
struct Constant<'a> {
    group: &'a str,
    name: &'a str,
    value: &'a str,
    source: &'a str,
    text: &'a str,
}

/// Returns the table's rows with a yes in a column; the build of `crates/vix` checks the form of all.
fn rows(table: &str, column: usize) -> Result<Vec<Constant<'_>>> {
    let mut constants = Vec::new();
    for line in table.lines().skip(1) {
        let cells: Vec<_> = line.split('\t').collect();
        let [group, name, value, _, _, source, _, text] = cells[..] else {
            return fail(format!("{TABLE}: {} columns in `{line}`", cells.len()));
        };
        if cells[column] == "yes" && group != HRESULTS {
            constants.push(Constant {
                group,
                name,
                value,
                source,
                text,
            });
        }
    }
    Ok(constants)
}

fn constants(rows: &[Constant<'_>]) -> Result<String> {
    if let Some(row) = rows
        .iter()
        .find(|row| GROUPS.iter().all(|(group, _)| *group != row.group))
    {
        return fail(format!(
            "xtask/src/headers.rs has no heading for the group `{}`",
            row.group
        ));
    }
    let enums = GROUPS.iter().map(|(group, heading)| {
        let rows: Vec<_> = rows.iter().filter(|row| row.group == *group).collect();
        enumeration(heading, &rows, *group == ALSO_MACROS)
    });
    Ok(enums.collect::<String>() + "\n")
}

fn enumeration(heading: &str, rows: &[&Constant<'_>], also_macros: bool) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let macros = if also_macros {
        macros(rows)
    } else {
        String::new()
    };
    format!(
        "\n/* {heading} */\nenum {{\n{}}};\n{macros}",
        enumerators(rows)
    )
}

/// Returns the lines of an enumeration, without the last comma, which C89 has not.
fn enumerators(rows: &[&Constant<'_>]) -> String {
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        let comma = if index + 1 < rows.len() { "," } else { "" };
        let Constant {
            name, value, text, ..
        } = row;
        let text = text.trim_end_matches('.');
        let since = match row.source {
            OLDEST => String::new(),
            source => format!(" ({source})"),
        };
        // A string takes all text.
        let _ = writeln!(out, "    /* {text}{since} */\n    {name} = {value}{comma}");
    }
    out
}

fn macros(rows: &[&Constant<'_>]) -> String {
    let lines = rows
        .iter()
        .map(|row| format!("#define {0} {0}\n", row.name));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "group\tname\tvalue\tin_c\tin_com\tsource\ttype\ttext\n\
        service_provider\tVIX_A\t1\tyes\tyes\tvix.h 1.6\t\tThe first.\n\
        com_hresult\tVIXCOM_B\t2\tno\tyes\tVixCOM.h 1.8\t\tNot for C.\n\
        service_provider\tVIX_C\t-3\tyes\tyes\tvix.h 1.11\t\tThe last.\n";

    #[test]
    fn an_enumeration_has_macros_and_no_last_comma() {
        let rows = rows(TABLE, 3).unwrap();
        let text = constants(&rows).unwrap();
        let wanted = "enum {\n    /* The first */\n    VIX_A = 1,\n    /* The last (vix.h 1.11) */\n    \
            VIX_C = -3\n};\n#define VIX_A VIX_A\n#define VIX_C VIX_C\n";
        assert!(text.contains(wanted), "{text}");
        assert!(!text.contains("VIXCOM"), "{text}");
    }

    #[test]
    fn what_stands_outside_the_marks_stays() {
        let header = format!("above\n{BEGIN}old\n{END}below\n");
        let new = between_marks(&header, "new\n").unwrap();
        assert_eq!(new, format!("above\n{BEGIN}new\n{END}below\n"));
        assert_eq!(between_marks("no marks", "new\n"), None);
    }

    #[test]
    fn a_group_without_heading_is_refused() {
        let table = TABLE.replace("service_provider\tVIX_C", "novelty\tVIX_C");
        let failure = constants(&rows(&table, 3).unwrap()).unwrap_err();
        assert!(failure.to_string().contains("`novelty`"), "{failure}");
    }
}
