//! One line of a dictionary: where name and value stand in it, and how a value is escaped.
//!
//! Source: the grammar of VMware's reader, `ws name ws = ws value ws [# comment]`; a value is
//! quoted or ends at a blank or `#`. A line that does not fit has no effect and is kept.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// A line with its end, exactly as in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) raw: Vec<u8>,
    pub(super) entry: Option<Entry>,
}

/// Where in a line the parts of an entry stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The name in lower case: names differ only by more than case.
    pub(super) key: Arc<str>,
    pub(super) name: Range<usize>,
    /// The value with its quotes.
    pub(super) token: Range<usize>,
    /// The value without its quotes, still escaped.
    pub(super) value: Range<usize>,
}

impl Line {
    /// Reads a line, its end included.
    pub(super) fn parse(raw: &[u8]) -> Self {
        let content = without_end(raw);
        Self {
            entry: parse_entry(content),
            raw: raw.to_vec(),
        }
    }

    /// Returns the line `name = "value"`; `value` is escaped here.
    pub(super) fn new(name: &str, value: &[u8], end: &str) -> Self {
        let mut raw = format!("{name} = ").into_bytes();
        raw.extend(quoted(value));
        raw.extend(end.as_bytes());
        Self::parse(&raw)
    }

    /// Returns the name as it is spelled here.
    pub(super) fn name(&self) -> Option<&[u8]> {
        self.entry.as_ref().map(|e| &self.raw[e.name.clone()])
    }

    /// Returns the value without quotes and escapes.
    pub(super) fn value(&self) -> Option<Cow<'_, [u8]>> {
        let entry = self.entry.as_ref()?;
        Some(unescape(&self.raw[entry.value.clone()]))
    }

    /// Replaces the value and leaves the rest of the line alone.
    pub(super) fn set_value(&mut self, value: &[u8]) {
        if let Some(entry) = &self.entry {
            let token = entry.token.clone();
            // `name =#comment` needs no care: the token is empty there and quotes separate.
            self.raw.splice(token, quoted(value));
            *self = Self::parse(&self.raw);
        }
    }

    /// Replaces the name and leaves the rest of the line alone.
    pub(super) fn set_name(&mut self, name: &str) {
        if let Some(entry) = &self.entry {
            let place = entry.name.clone();
            self.raw.splice(place, name.bytes());
            *self = Self::parse(&self.raw);
        }
    }

    /// Returns how the line ends: `\r\n`, `\n`, or nothing at the end of a file.
    pub(super) fn end(&self) -> &[u8] {
        &self.raw[without_end(&self.raw).len()..]
    }

    /// Tells whether the line is blank or a comment.
    pub(super) fn is_silent(&self) -> bool {
        let content = without_end(&self.raw).trim_ascii();
        content.is_empty() || content[0] == b'#'
    }
}

fn without_end(raw: &[u8]) -> &[u8] {
    let line = raw.strip_suffix(b"\n").unwrap_or(raw);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Returns the first position at or after `from` where `stop` holds, or the end.
fn seek(line: &[u8], from: usize, stop: impl Fn(u8) -> bool) -> usize {
    line[from..]
        .iter()
        .position(|&b| stop(b))
        .map_or(line.len(), |n| from + n)
}

fn parse_entry(line: &[u8]) -> Option<Entry> {
    const BOM: &[u8] = b"\xef\xbb\xbf";
    let start = if line.starts_with(BOM) { BOM.len() } else { 0 };
    let start = seek(line, start, |b| !is_blank(b));
    let end = seek(line, start, |b| is_blank(b) || b == b'=' || b == b'#');
    let equals = seek(line, end, |b| !is_blank(b));
    if start == end || line.get(equals) != Some(&b'=') {
        return None;
    }
    let token = seek(line, equals + 1, |b| !is_blank(b));
    let (token, value) = parse_value(line, token)?;
    let rest = seek(line, token.end, |b| !is_blank(b));
    if rest < line.len() && line[rest] != b'#' {
        return None;
    }
    let name = start..end;
    let key = String::from_utf8_lossy(&line[name.clone()]);
    let key = match key.bytes().any(|b| b.is_ascii_uppercase()) {
        true => key.to_ascii_lowercase().into(),
        false => key.into(),
    };
    Some(Entry {
        key,
        name,
        token,
        value,
    })
}

/// Returns where the value stands with and without quotes.
fn parse_value(line: &[u8], start: usize) -> Option<(Range<usize>, Range<usize>)> {
    if line.get(start) == Some(&b'"') {
        let end = seek(line, start + 1, |b| b == b'"');
        return (end < line.len()).then_some((start..end + 1, start + 1..end));
    }
    let end = seek(line, start, |b| is_blank(b) || b == b'#');
    Some((start..end, start..end))
}

/// Takes `|XX` for the byte that it stands for.
fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'|') {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, tail)) = rest.split_first() {
        match (first, tail) {
            (b'|', [high, low, tail @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = tail;
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

/// Returns the value in quotes, with escapes for what cannot stand there.
fn quoted(value: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in value {
        if byte == b'"' || byte == b'|' || byte.is_ascii_control() {
            out.extend(format!("|{byte:02X}").bytes());
        } else {
            out.push(byte);
        }
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, String)> {
        let line = Line::parse(line.as_bytes());
        let value = String::from_utf8(line.value()?.into_owned()).unwrap();
        Some((line.entry?.key.to_string(), value))
    }

    #[test]
    fn entries_are_read_in_all_their_forms() {
        for (text, name, value) in [
            ("a = \"b\"\r\n", "a", "b"),
            ("\t Foo.Bar=\"b c\"\n", "foo.bar", "b c"),
            ("rtc.diffFromUTC = 0", "rtc.difffromutc", "0"),
            ("x = \"TRUE\"  # why", "x", "TRUE"),
            ("x = yes#why", "x", "yes"),
            ("x = \"a # b\"", "x", "a # b"),
            ("x = \"\"", "x", ""),
            ("x =", "x", ""),
            ("x = \"l1|0D|0al2|7C|zz|2\"", "x", "l1\r\nl2||zz|2"),
            ("\u{feff}.encoding = \"UTF-8\"", ".encoding", "UTF-8"),
        ] {
            assert_eq!(read(text), Some((name.into(), value.into())), "{text}");
        }
    }

    #[test]
    fn lines_that_do_not_fit_are_no_entries() {
        for text in [
            "",
            "\n",
            "# x = \"1\"",
            "#!/usr/bin/vmware",
            "just words",
            "= \"1\"",
            "x = \"open",
            "x = \"a\" b",
            "x = a b",
            "a b = \"c\"",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn new_value_keeps_name_and_comment() {
        let mut line = Line::parse(b" Mem =  16 # MiB\r\n");
        line.set_value(b"a\"b");
        assert_eq!(line.raw, b" Mem =  \"a|22b\" # MiB\r\n");
        assert_eq!(line.value().unwrap().as_ref(), b"a\"b");
    }
}
