//! Checking what a descriptor says of its disk, and whether its files are what it says.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::super::CheckReport;
use super::super::link::{ExtentData, Link, read_descriptor};
use crate::error::{Result, escaped, quoted};
use crate::format::vmdk::{CreateType, NO_PARENT, SECTOR};
use crate::store::folder_of;

/// Keys of which only one value can be true.
const DECISIVE: [&str; 4] = ["CID", "parentCID", "createType", "parentFileNameHint"];

/// Checks a link but for its tables.
pub(super) fn check(link: &Link, report: &mut CheckReport) -> Result<()> {
    if let Some(file) = link.unclean() {
        report
            .errors
            .push(format!("{} was not closed cleanly", quoted(&file)));
    }
    report.errors.extend(link.spared());
    check_keys(link, report);
    check_numbers(link, report);
    note_name(link, report);
    check_files(link, report)
}

/// Notes a parent that is not where the link says.
pub(super) fn note_parent(link: &Link, parent: Option<&Link>, report: &mut CheckReport) {
    let hint = link.descriptor().parent_hint();
    if let (Some(hint), Some(parent)) = (hint, parent)
        && hint.starts_with('/')
        && Path::new(&hint) != parent.path()
    {
        report.notes.push(format!(
            "{}: its parent is called \"{}\", and was found as {}",
            quoted(link.path()),
            escaped(&hint),
            quoted(parent.path())
        ));
    }
}

fn check_keys(link: &Link, report: &mut CheckReport) {
    let (name, cid) = (quoted(link.path()), link.cid());
    for repeated in link.descriptor().repeated_keys() {
        let [first, again] = repeated.lines;
        let key = escaped(&repeated.key);
        let text = format!("{name}: {key} stands in line {first} and again in line {again}");
        let is_decisive = DECISIVE
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&key));
        if repeated.differs && is_decisive {
            report.errors.push(format!("{text}, with another value"));
        } else {
            report.notes.push(text);
        }
    }
    if cid == NO_PARENT {
        report.errors.push(format!(
            "{name}: its content id is ffffffff, which stands for no disk at all"
        ));
    }
    // QEMU, and older tools, change the short id alone: odd, but no damage.
    if has_stale_long_id(link) {
        report.notes.push(format!(
            "{name}: the long content id does not belong to {cid:08x}"
        ));
    }
}

/// Tells whether a link has a long content id that does not end in its short one.
pub(in crate::disk) fn has_stale_long_id(link: &Link) -> bool {
    let cid = format!("{:08x}", link.cid());
    let long = link.descriptor().get("ddb.longContentID");
    long.is_some_and(|long| !long.to_ascii_lowercase().ends_with(&cid))
}

/// Looks at the numbers in the names of a split disk's extents: with a line left out, or two
/// exchanged, all that follows stands in the wrong place.
fn check_numbers(link: &Link, report: &mut CheckReport) {
    let name = quoted(link.path());
    let named = link.named_extents();
    let numbered: Option<Vec<(String, u64)>> =
        named.iter().map(|(name, _)| numbered(name)).collect();
    let (true, Some(numbered)) = (link.create_type().is_split(), numbered) else {
        return;
    };
    let Some((stem, _)) = numbered.first().cloned() else {
        return;
    };
    if numbered.iter().any(|(other, _)| *other != stem) {
        return;
    }
    let wanted = |number: u64| format!("{stem}{number:03}.vmdk");
    let wrong = (1..).zip(&numbered).find(|(i, (_, number))| i != number);
    if let Some((place, (_, number))) = wrong {
        report.errors.push(format!(
            "{name}: extent {place} is \"{}\", where \"{}\" belongs: a line is missing or in the \
             wrong place",
            escaped(&wanted(*number)),
            escaped(&wanted(place)),
        ));
        return;
    }
    let next = folder_of(link.path()).join(wanted(numbered.len() as u64 + 1));
    if link.pool().store().exists(&next) {
        report.notes.push(format!(
            "{name}: no line names {}, which stands beside it",
            quoted(&next)
        ));
    }
}

/// Takes the name of a split disk's extent apart: all before its number, and that.
fn numbered(name: &[u8]) -> Option<(String, u64)> {
    let name = String::from_utf8_lossy(name);
    let stem = name.strip_suffix(".vmdk")?;
    let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = stem.split_at(stem.len() - digits);
    let is_extent = stem.ends_with("-s") || stem.ends_with("-f");
    (is_extent && digits >= 3).then_some((stem.to_owned(), number.parse().ok()?))
}

/// A file with its descriptor inside names itself: by another name after it was renamed.
fn note_name(link: &Link, report: &mut CheckReport) {
    if link.embedded().is_none() {
        return;
    }
    for (written, path) in link.named_extents() {
        let written = String::from_utf8_lossy(&written);
        let last = written.rsplit(['/', '\\']).next().unwrap_or_default();
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        if last != own {
            report.notes.push(format!(
                "{}: it calls itself \"{}\": it was renamed",
                quoted(link.path()),
                escaped(&written)
            ));
        }
    }
}

/// Looks at each extent's file as a whole.
fn check_files(link: &Link, report: &mut CheckReport) -> Result<()> {
    let name = quoted(link.path());
    let mut flat_ends: HashMap<Arc<Path>, u64> = HashMap::new();
    for extent in link.extents() {
        let path = link.extent_path(extent);
        match extent.data {
            ExtentData::Flat { offset } => {
                let end = flat_ends.entry(path).or_default();
                *end = (*end).max((offset + extent.sectors) * SECTOR);
            }
            ExtentData::Sparse { header, .. } => {
                if header.capacity > extent.sectors {
                    report.notes.push(format!(
                        "{} holds {} sectors, of which {name} uses {}: a growth was cut off",
                        quoted(&path),
                        header.capacity,
                        extent.sectors
                    ));
                }
                let file = link.pool().get(extent.file)?;
                if link.create_type() == CreateType::SplitSparse
                    && let Ok((descriptor, _)) = read_descriptor(file.as_ref(), &path)
                {
                    report.errors.push(format!(
                        "{} is no part of {name} but a disk by itself, with content id {:08x}",
                        quoted(&path),
                        descriptor.cid()
                    ));
                }
            }
            ExtentData::Zero | ExtentData::Esxi { .. } => {}
        }
    }
    let mut flat_ends: Vec<_> = flat_ends.into_iter().collect();
    flat_ends.sort_unstable();
    for (path, end) in flat_ends {
        let more = link.pool().store().meta(&path)?.len.saturating_sub(end);
        if more > 0 {
            report.notes.push(format!(
                "{}: its last {more} bytes are no part of {name}",
                quoted(&path)
            ));
        }
    }
    Ok(())
}
