//! How QEMU reads a descriptor, and what it makes of it at the first write (block/vmdk.c of QEMU 10).
//!
//! It knows one spelling of everything, and passes over a line that it does not know: what follows
//! then moves up on the disk. So each difference from how we read a text is found here, before QEMU
//! has it.

use super::descriptor::Descriptor;
use super::{ExtentAccess, ExtentKind, ExtentLine, MAX_HINT_BYTES};
use crate::error::escaped;
use crate::format::{Malformed, Place};

/// The types of stand-alone descriptors that it reads.
const KNOWN_TYPES: [&str; 6] = [
    "monolithicFlat",
    "twoGbMaxExtentSparse",
    "twoGbMaxExtentFlat",
    "vmfs",
    "vmfsSparse",
    "seSparse",
];

/// The bytes of a stand-alone descriptor in which it looks for extents; none after them.
pub const TEXT_LIMIT: usize = (1 << 20) - 1;

/// The bytes in which it looks for content ids: 20 sectors, the last byte taken for the end.
const IDS_LIMIT: usize = 20 * 512 - 1;

/// The most bytes of an extent's name; it takes longer ones for shorter ones.
const NAME_LIMIT: usize = 511;

/// The most bytes of an access word, and of the word for a kind of extent.
const WORD_LIMIT: usize = 10;

/// The most bytes of a create type.
const TYPE_LIMIT: usize = 127;

/// An extent as QEMU takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Taken {
    sectors: u64,
    data: Data,
    name: Vec<u8>,
}

/// How it looks for the data of an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    /// Raw, from this sector on.
    Flat(u64),
    /// In grains; the file says which of two formats.
    Grains,
    /// In grains of seSparse.
    SeSparse,
}

/// What it makes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scan {
    /// An extent.
    Extent(Taken),
    /// None: it goes on with the next line.
    Nothing,
    /// A mistake: it does not open the disk.
    Refused,
}

/// Finds what of a stand-alone descriptor QEMU reads otherwise than we do.
///
/// # Errors
/// The first difference, with its line.
pub fn check_text(descriptor: &Descriptor) -> Result<(), Malformed> {
    check_type(descriptor)?;
    check_extents(descriptor)?;
    check_ids(descriptor)
}

fn check_type(descriptor: &Descriptor) -> Result<(), Malformed> {
    let text = until_zero(descriptor.as_bytes(), TEXT_LIMIT);
    let word = value_after(text, b"createType").filter(|word| word.len() <= TYPE_LIMIT);
    let is_known = word.is_some_and(|word| KNOWN_TYPES.iter().any(|it| it.as_bytes() == word));
    if is_known && word == Some(descriptor.create_type().as_bytes()) {
        return Ok(());
    }
    let word = escaped(&descriptor.create_type()).to_string();
    Err(whole(format!(
        "QEMU does not know the type \"{word}\", or how it is written"
    )))
}

fn check_extents(descriptor: &Descriptor) -> Result<(), Malformed> {
    let taken = extents(until_zero(descriptor.as_bytes(), TEXT_LIMIT))?;
    let lines = descriptor.extents()?;
    let names = descriptor.extent_names();
    let mut found = taken.iter();
    for (line, name) in lines.iter().zip(names) {
        let wanted = wanted(line, name);
        let Some((at, extent)) = found.next() else {
            return Err(Malformed::new(Place::Line(line.line), passed_over(line)));
        };
        if Some(extent) == wanted.as_ref() {
            continue;
        }
        let what = match *at == line.line {
            true => "QEMU reads the extent otherwise than it is written".to_owned(),
            false if *at < line.line => "QEMU takes an earlier line for this extent".to_owned(),
            false => passed_over(line),
        };
        return Err(Malformed::new(Place::Line(line.line), what));
    }
    match found.next() {
        Some((at, _)) => Err(Malformed::new(
            Place::Line(*at),
            "QEMU takes it for an extent",
        )),
        None => Ok(()),
    }
}

fn passed_over(line: &ExtentLine) -> String {
    let why = match (line.access, &line.kind) {
        (_, ExtentKind::Zero) => "an extent of zeros",
        (ExtentAccess::Full, _) => "an extent that is written so",
        _ => "an extent that is not RW",
    };
    format!("QEMU passes over {why}, and what follows moves up on the disk")
}

/// Returns what QEMU must take from a line for both to mean the same.
fn wanted(line: &ExtentLine, name: Option<Vec<u8>>) -> Option<Taken> {
    let data = match (line.access, &line.kind) {
        (ExtentAccess::Full, ExtentKind::Flat(offset)) => Data::Flat(*offset),
        (ExtentAccess::Full, ExtentKind::Sparse | ExtentKind::VmfsSparse) => Data::Grains,
        (ExtentAccess::Full, ExtentKind::SeSparse) => Data::SeSparse,
        _ => return None,
    };
    let name = name?;
    Some(Taken {
        sectors: line.sectors,
        data,
        name,
    })
}

/// Returns the extents that QEMU finds in a text, with the lines at which it looks for them.
fn extents(text: &[u8]) -> Result<Vec<(usize, Taken)>, Malformed> {
    let mut extents = Vec::new();
    let mut at = 0;
    let mut last: Option<(usize, Scan)> = None;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        // It skips blanks, and ends of lines among them: an empty line is the line below once more.
        let (start, scan) = match last.take() {
            Some(known) if at <= known.0 => known,
            _ => {
                let start = at + blanks(&text[at..]);
                (start, scan(&text[start..]))
            }
        };
        match &scan {
            Scan::Extent(extent) => extents.push((index + 1, extent.clone())),
            Scan::Nothing => {}
            Scan::Refused => {
                let what = "QEMU does not take the extent as it is written";
                return Err(Malformed::new(Place::Line(index + 1), what));
            }
        }
        last = Some((start, scan));
        at += line.len() + 1;
        if at >= text.len() {
            break;
        }
    }
    Ok(extents)
}

/// Does what `sscanf` does with `%10s %lld %10s "%511[^\n\r"]" %lld`, and QEMU with its result.
fn scan(text: &[u8]) -> Scan {
    let mut rest = text;
    let access = word(&mut rest);
    let Some(sectors) = number(&mut rest) else {
        return Scan::Nothing;
    };
    let kind = word(&mut rest);
    skip_blanks(&mut rest);
    let Some(name) = rest.strip_prefix(b"\"").map(until_quote) else {
        return Scan::Nothing;
    };
    if access != b"RW" || name.is_empty() {
        return Scan::Nothing;
    }
    let mut after = &rest[1 + name.len()..];
    let offset = match after.strip_prefix(b"\"") {
        Some(behind) => {
            after = behind;
            number(&mut after)
        }
        None => None,
    };
    let offset = match (kind, offset) {
        (b"FLAT", Some(offset)) if offset >= 0 => offset,
        (b"FLAT", _) | (_, Some(_)) => return Scan::Refused,
        (_, None) => 0,
    };
    let data = match kind {
        b"FLAT" | b"VMFS" => Data::Flat(offset.unsigned_abs()),
        b"SPARSE" | b"VMFSSPARSE" => Data::Grains,
        b"SESPARSE" => Data::SeSparse,
        _ => return Scan::Nothing,
    };
    match u64::try_from(sectors) {
        Ok(sectors) if sectors > 0 => Scan::Extent(Taken {
            sectors,
            data,
            name: name.to_vec(),
        }),
        _ => Scan::Nothing,
    }
}

/// Finds where QEMU does not read the content ids as we do, or takes offence at the parent's name.
///
/// # Errors
/// What it is.
pub fn check_ids(descriptor: &Descriptor) -> Result<(), Malformed> {
    let text = until_zero(descriptor.as_bytes(), IDS_LIMIT);
    let read = |key: &[u8]| hex(text.get(find(text, key)? + key.len() + 1..)?);
    let ids = (read(b"CID"), read(b"parentCID"));
    if ids != (Some(descriptor.cid()), Some(descriptor.parent_cid())) {
        let what = "QEMU does not find CID and parentCID where they stand, or as they are written";
        return Err(whole(what));
    }
    let key = b"parentFileNameHint";
    let Some(at) = find(text, key) else {
        return Ok(());
    };
    let name = text.get(at + key.len() + 2..).unwrap_or_default();
    let end = name.iter().position(|byte| *byte == b'"');
    match end.is_some_and(|end| end <= MAX_HINT_BYTES) {
        true => Ok(()),
        false => Err(whole(
            "QEMU cannot read parentFileNameHint as it is written",
        )),
    }
}

/// Finds what a descriptor would lose at the first write: QEMU puts a new content id behind the first
/// `CID`, then all from `parentCID` on, into the `room` bytes that it has read.
///
/// # Errors
/// That something else than the content id would change.
pub fn check_first_write(descriptor: &Descriptor, room: usize) -> Result<(), Malformed> {
    /// Of eight digits, the most that there are.
    const ANY: u32 = 0x89ab_cdef;
    let text = until_zero(descriptor.as_bytes(), room.saturating_sub(1));
    let places = find(text, b"CID").zip(find(text, b"parentCID"));
    let written = places.map(|(own, parent)| {
        let mut written = text[..(own + 4).min(text.len())].to_vec();
        written.extend_from_slice(format!("{ANY:x}\n").as_bytes());
        written.extend_from_slice(&text[parent..]);
        written.truncate(room.saturating_sub(1));
        written
    });
    let mut wanted = descriptor.clone();
    wanted.set_content_id(ANY, None)?;
    let lost = |written: Vec<u8>| lines(&written) != lines(wanted.as_bytes());
    if written.is_none_or(lost) {
        let what = "QEMU would damage it at the first write, when it gives it a new content id: \
                    parentCID does not follow CID on the next line, or there is no room";
        return Err(whole(what));
    }
    Ok(())
}

fn whole(what: impl Into<String>) -> Malformed {
    Malformed::new(Place::Whole, what)
}

/// The lines of a text, without the blanks that end them, and without empty ones at its end.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let text = until_zero(text, text.len()).trim_ascii_end();
    let lines = text.split(|byte| *byte == b'\n');
    lines.map(<[u8]>::trim_ascii_end).collect()
}

fn until_zero(text: &[u8], limit: usize) -> &[u8] {
    let text = &text[..text.len().min(limit)];
    let end = text.iter().position(|byte| *byte == 0);
    &text[..end.unwrap_or(text.len())]
}

fn until_quote(text: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'"' | b'\n' | b'\r');
    let end = text.iter().position(is_end).unwrap_or(text.len());
    &text[..end.min(NAME_LIMIT)]
}

/// Returns what stands between the two bytes `="` after `key`, whatever they are, and a quote.
fn value_after<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let value = text.get(find(text, key)? + key.len() + 2..)?;
    let end = value.iter().position(|byte| *byte == b'"')?;
    Some(&value[..end])
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|part| part == what)
}

/// C's idea of a blank.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|byte| is_blank(**byte)).count()
}

fn skip_blanks(rest: &mut &[u8]) {
    *rest = &rest[blanks(rest)..];
}

/// `%10s`.
fn word<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    skip_blanks(rest);
    let is_in = |byte: &&u8| !is_blank(**byte);
    let len = rest.iter().take(WORD_LIMIT).take_while(is_in).count();
    let (word, behind) = rest.split_at(len);
    *rest = behind;
    word
}

/// `%lld`.
fn number(rest: &mut &[u8]) -> Option<i64> {
    skip_blanks(rest);
    let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
    let digits = rest[sign..].iter().take_while(|byte| byte.is_ascii_digit());
    let end = sign + digits.count();
    let (number, behind) = rest.split_at(end);
    *rest = behind;
    let is_negative = number.first() == Some(&b'-');
    let digits = str::from_utf8(&number[sign..])
        .ok()
        .filter(|digits| !digits.is_empty())?;
    let size = digits.parse::<i64>().unwrap_or(i64::MAX);
    Some(if is_negative { -size } else { size })
}

/// `%x`, of at most 32 bits.
fn hex(mut rest: &[u8]) -> Option<u32> {
    skip_blanks(&mut rest);
    let rest = rest.strip_prefix(b"0x").unwrap_or(rest);
    let len = rest
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    u32::from_str_radix(str::from_utf8(&rest[..len]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(extents: &str) -> Descriptor {
        let text = format!(
            "CID=0000beef\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n# x\n{extents}"
        );
        Descriptor::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn each_line_is_told_that_qemu_reads_otherwise() {
        check_text(&disk("RW 4 FLAT \"a\" 0\nRW 4 VMFS \"b\"\n")).unwrap();
        for (line, what) in [
            ("RW 2 ZERO", "extent of zeros"),
            ("rw 2 FLAT \"b\" 0", "is written so"),
            ("RW 2 flat \"b\" 0", "does not take"),
            ("RDONLY 2 FLAT \"b\" 0", "not RW"),
            ("NOACCESS 2 ZERO", "extent of zeros"),
            ("RW 2 FLAT \"b\"", "does not take"),
            ("RW 2 FLAT \"b", "does not take"),
            ("RW 2 SPARSE \"b\" 0", "does not take"),
            ("RW 2 FLAT \"\" 0", "is written so"),
        ] {
            let text = format!("RW 4 FLAT \"a\" 0\n{line}\nRW 4 FLAT \"c\" 0\n");
            let fault = check_text(&disk(&text)).unwrap_err();
            assert_eq!(fault.place, Place::Line(6), "{line}: {fault}");
            assert!(fault.to_string().contains(what), "{line}: {fault}");
        }
        let long = format!("RW 2 SPARSE \"{}\"\n", "x".repeat(512));
        let fault = check_text(&disk(&long)).unwrap_err();
        assert_eq!(fault.place, Place::Line(5), "{fault}");
        let hidden = "RW 4 FLAT \"a\" 0\nRW\u{c}4 FLAT \"b\" 0\n";
        let fault = check_text(&disk(hidden)).unwrap_err();
        assert_eq!(fault.to_string(), "line 6: QEMU takes it for an extent");
        let far = format!(
            "RW 4 FLAT \"a\" 0\n{}RW 4 FLAT \"b\" 0\n",
            "#\n".repeat(1 << 19)
        );
        assert!(check_text(&disk(&far)).is_err());
    }

    #[test]
    fn any_number_of_empty_lines_is_looked_at_once() {
        let text = format!("RW 4 FLAT \"a\" 0\n{}", "\n".repeat(TEXT_LIMIT));
        check_text(&disk(&text)).unwrap();
    }

    #[test]
    fn first_write_must_change_the_content_id_alone() {
        let text = "CID=1\r\nparentCID=ffffffff\r\ncreateType=\"vmfs\"\r\nRW 1 VMFS \"a\"\r\n";
        let sound = Descriptor::parse(text.as_bytes()).unwrap();
        check_first_write(&sound, 512).unwrap();
        // The longer content id would push out the end.
        assert!(check_first_write(&sound, text.len()).is_err());
        for text in [
            "parentCID=ffffffff\nCID=1\ncreateType=\"vmfs\"\n",
            "CID=1\ncreateType=\"vmfs\"\nparentCID=ffffffff\n",
            "# CID\nCID=1\nparentCID=ffffffff\ncreateType=\"vmfs\"\n",
            "CID=1\ncreateType=\"vmfs\"\n",
        ] {
            let disk = Descriptor::parse(text.as_bytes()).unwrap();
            assert!(check_first_write(&disk, 512).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_looked_at(lines in proptest::collection::vec("[ -~\t\u{c}]{0,30}", 0..12)) {
            let disk = disk(&lines.join("\n"));
            let _ = (check_text(&disk), check_first_write(&disk, 300));
        }
    }
}
