//! Turns `constants.tsv` into `$OUT_DIR/constants.rs`, which `src/constants.rs` includes.
//!
//! A row that cannot be understood stops the build and names its line.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// Names of the columns, in the file's order.
const COLUMNS: [&str; 8] = [
    "group", "name", "value", "in_c", "in_com", "source", "type", "text",
];

/// One constant of the data file.
struct Row<'a> {
    group: &'a str,
    name: &'a str,
    value: i64,
    in_c: bool,
    in_com: bool,
    source: &'a str,
    /// Carriers and kind of a property id, empty for everything else.
    of_property: &'a str,
    text: &'a str,
}

fn main() {
    println!("cargo::rerun-if-changed=constants.tsv");
    let data = fs::read_to_string("constants.tsv").expect("constants.tsv can be read");
    let rows = parse(&data).unwrap_or_else(|fault| panic!("constants.tsv: {fault}"));
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("constants.rs"), generated(&rows)).expect("OUT_DIR is ours");
}

fn parse(data: &str) -> Result<Vec<Row<'_>>, String> {
    let mut lines = data.lines().zip(1..);
    let head = lines
        .next()
        .map(|(head, _)| head.split('\t').collect::<Vec<_>>());
    if head.as_deref() != Some(&COLUMNS) {
        return Err(format!("the first line must be {COLUMNS:?}"));
    }
    lines
        .map(|(line, number)| row(line).map_err(|fault| format!("line {number}: {fault}")))
        .collect()
}

fn row(line: &str) -> Result<Row<'_>, String> {
    let cells: Vec<_> = line.split('\t').collect();
    let [group, name, value, in_c, in_com, source, of_property, text] = cells[..] else {
        return Err(format!("{} columns", cells.len()));
    };
    let row = Row {
        group,
        name,
        value: value
            .parse()
            .map_err(|_| format!("the value {value:?} is not a number"))?,
        in_c: yes(in_c)?,
        in_com: yes(in_com)?,
        source,
        of_property,
        text,
    };
    match sound(&row) {
        true => Ok(row),
        false => Err(format!(
            "a cell of {name} is empty, or has a form that its group has not"
        )),
    }
}

fn yes(cell: &str) -> Result<bool, String> {
    match cell {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("{cell:?} is neither yes nor no")),
    }
}

/// Whether the cells of a row have the form that its group asks for.
fn sound(row: &Row<'_>) -> bool {
    let name = row.name.starts_with("VIX")
        && row
            .name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let property = row.group == "property_id" && row.name != "VIX_PROPERTY_NONE";
    name && number_type(row).1.contains(&row.value)
        && !row.source.is_empty()
        && row
            .text
            .starts_with(|first: char| first.is_ascii_uppercase())
        && row.text.ends_with('.') != (row.group == "error")
        && property != row.of_property.is_empty()
}

/// The Rust type of a constant and the values that it may have.
fn number_type(row: &Row<'_>) -> (&'static str, std::ops::RangeInclusive<i64>) {
    match row.group {
        // The low 16 bits of a VixError are the code.
        "error" => ("u64", 0..=0xffff),
        "com_hresult" => ("u32", 0..=i64::from(u32::MAX)),
        _ => ("i32", i64::from(i32::MIN)..=i64::from(i32::MAX)),
    }
}

fn generated(rows: &[Row<'_>]) -> String {
    let mut out = String::new();
    for row in rows {
        let Row {
            name,
            value,
            source,
            text,
            ..
        } = row;
        let text = text.trim_end_matches('.');
        let ty = number_type(row).0;
        writeln!(
            out,
            "/// {text}.\n///\n/// Source: {source}.\npub const {name}: {ty} = {value};"
        )
        .expect("a string takes all text");
    }
    out + &errors(rows) + &properties(rows) + &all(rows)
}

fn errors(rows: &[Row<'_>]) -> String {
    let mut errors: Vec<_> = rows.iter().filter(|row| row.group == "error").collect();
    errors.sort_by_key(|row| row.value);
    let lines = errors.iter().map(|Row { name, text, .. }| {
        format!("    ErrorRow {{ code: {name}, name: {name:?}, text: {text:?} }},\n")
    });
    table(
        "/// Every error code, in ascending order.",
        "ERRORS: &[ErrorRow]",
        lines,
    )
}

fn properties(rows: &[Row<'_>]) -> String {
    let properties = rows.iter().filter(|row| !row.of_property.is_empty());
    let lines = properties.map(|Row { name, of_property, .. }| {
        let (carriers, kind) = of_property.split_once(' ').unwrap_or((of_property, ""));
        let carriers: Vec<_> = carriers.split(',').map(carrier).collect();
        let (carriers, kind) = (carriers.join(", "), property_type(kind));
        format!("    PropertyRow {{ id: {name}, name: {name:?}, carriers: &[{carriers}], kind: {kind} }},\n")
    });
    table(
        "/// Every property but `VIX_PROPERTY_NONE`.",
        "PROPERTIES: &[PropertyRow]",
        lines,
    )
}

fn carrier(word: &str) -> &'static str {
    match word {
        "host" => "Carrier::Host",
        "vm" => "Carrier::Vm",
        "job" => "Carrier::Job",
        "snapshot" => "Carrier::Snapshot",
        "list" => "Carrier::List",
        "event" => "Carrier::Event",
        _ => panic!("constants.tsv: {word:?} carries no properties"),
    }
}

fn property_type(word: &str) -> &'static str {
    match word {
        "int" => "PropertyType::Integer",
        "string" => "PropertyType::String",
        "bool" => "PropertyType::Bool",
        "handle" => "PropertyType::Handle",
        "int64" => "PropertyType::Int64",
        "blob" => "PropertyType::Blob",
        _ => panic!("constants.tsv: {word:?} is no type of a property"),
    }
}

fn all(rows: &[Row<'_>]) -> String {
    let lines = rows.iter().map(|Row { group, name, value, in_c, in_com, .. }| {
        format!(
            "    Row {{ group: {group:?}, name: {name:?}, value: {value}, in_c: {in_c}, in_com: {in_com} }},\n"
        )
    });
    table(
        "/// Every constant, in the order of the data file.",
        "ALL: &[Row]",
        lines,
    )
}

fn table(doc: &str, head: &str, lines: impl Iterator<Item = String>) -> String {
    format!(
        "{doc}\npub static {head} = &[\n{}];\n",
        lines.collect::<String>()
    )
}
