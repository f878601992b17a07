//! The dictionary text of `.vmx`, `.vmsd`, settings and inventories: a list of lines, most of them
//! `name = "value"`.
//!
//! Lossless: what is not edited is written as it was read, comments, odd lines and line ends
//! included. Names are found whatever their case; of several lines with one name the last counts.

mod line;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use self::line::Line;
use super::charset::Charset;
use super::{Malformed, Place};

/// More lines than any file of a VM has.
const MAX_LINES: usize = 200_000;

/// The entry that names the character set of the file.
const ENCODING: &str = ".encoding";

/// How lines end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// Linux, macOS, ESXi.
    #[default]
    Lf,
    /// Windows.
    CrLf,
}

impl LineEnd {
    /// Returns the characters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
        }
    }
}

/// A dictionary file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dictionary {
    lines: Vec<Line>,
    /// Line of each name (in lower case) that counts.
    index: HashMap<Arc<str>, usize>,
    charset: Charset,
    line_end: LineEnd,
}

impl Dictionary {
    /// Returns a new file in UTF-8, with nothing in it but that statement.
    pub fn new(line_end: LineEnd) -> Self {
        let mut new = Self {
            lines: Vec::new(),
            index: HashMap::new(),
            charset: Charset::UTF_8,
            line_end,
        };
        new.set(ENCODING, Charset::UTF_8.label());
        new
    }

    /// Reads a file. An empty one is a dictionary without entries.
    ///
    /// # Errors
    /// What is no text, or text without a single entry, is no dictionary.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        refuse_binary(bytes)?;
        let lines: Vec<Line> = bytes
            .split_inclusive(|&b| b == b'\n')
            .take(MAX_LINES + 1)
            .map(Line::parse)
            .collect();
        if lines.len() > MAX_LINES {
            let what = format!("more than {MAX_LINES} lines");
            return Err(Malformed::new(Place::Line(MAX_LINES), what));
        }
        refuse_foreign_text(&lines)?;
        let mut dict = Self {
            line_end: line_end_of(&lines),
            index: index_of(&lines),
            charset: Charset::guess(bytes),
            lines,
        };
        let stated = dict.stated_charset();
        dict.charset = stated.unwrap_or(dict.charset);
        Ok(dict)
    }

    /// Returns the file's bytes: those that were read, but for what was edited.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_with("", "")
    }

    /// Returns the file's bytes with `text`, which is whole lines, before the line of `anchor`.
    pub fn to_bytes_with(&self, text: &str, anchor: &str) -> Vec<u8> {
        let place = self.find(anchor).unwrap_or(self.lines.len());
        let len: usize = self.lines.iter().map(|line| line.raw.len()).sum();
        let mut out = Vec::with_capacity(len + text.len());
        let (above, below) = self.lines.split_at(place);
        above
            .iter()
            .for_each(|line| out.extend_from_slice(&line.raw));
        out.extend_from_slice(text.as_bytes());
        below
            .iter()
            .for_each(|line| out.extend_from_slice(&line.raw));
        out
    }

    /// Returns the file's bytes with every line ended by LF, as a snapshot's state file holds them.
    pub fn to_lf_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for line in &self.lines {
            out.extend(&line.raw[..line.raw.len() - line.end().len()]);
            out.push(b'\n');
        }
        out
    }

    /// Returns the character set in which values are read and written.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// Returns the name of the file's character set where we do not know that set; only its ASCII
    /// can be trusted then.
    pub fn unknown_charset(&self) -> Option<String> {
        self.get(ENCODING)
            .filter(|label| Charset::from_label(label).is_none())
    }

    /// Returns how the file's lines end.
    pub fn line_end(&self) -> LineEnd {
        self.line_end
    }

    /// Makes lines that are added from now on end otherwise.
    pub fn set_line_end(&mut self, line_end: LineEnd) {
        self.line_end = line_end;
    }

    /// Tells whether the file has not a single line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns the value of `name`.
    pub fn get(&self, name: &str) -> Option<String> {
        let line = self.find(name)?;
        let value = self.lines[line].value()?;
        Some(self.charset.decode(&value))
    }

    /// Returns the value of `name` unless it is missing or empty.
    pub fn get_filled(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// Returns the truth value of `name`; `None` where it is missing or none.
    pub fn get_bool(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?.trim().to_ascii_lowercase();
        match value.as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
            _ => None,
        }
    }

    /// Returns the number that `name` has; `None` where it is missing or no decimal number.
    pub fn get_number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.trim().parse().ok()
    }

    /// Tells whether `name` has a value, be it empty.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Returns all entries, names as spelled, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.lines.iter().filter_map(|line| {
            let name = String::from_utf8_lossy(line.name()?).into_owned();
            Some((name, self.charset.decode(&line.value()?)))
        })
    }

    /// Returns the names of all entries, in lower case and in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .filter_map(|l| Some(&*l.entry.as_ref()?.key))
    }

    /// Returns the names that stand in more than one line.
    pub fn duplicates(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let Some(entry) = &line.entry else { continue };
            let counts = self.index.get(&entry.key) == Some(&at);
            let is_known = |known: &String| **known == *entry.key;
            if !counts && !found.iter().any(is_known) {
                found.push(entry.key.to_string());
            }
        }
        found
    }

    /// Returns the numbers, from 1, of lines that are neither entry nor comment and have no effect.
    pub fn odd_lines(&self) -> Vec<usize> {
        let odd = |l: &Line| l.entry.is_none() && !l.is_silent();
        let numbered = self.lines.iter().enumerate();
        numbered
            .filter(|(_, l)| odd(l))
            .map(|(n, _)| n + 1)
            .collect()
    }

    fn find(&self, name: &str) -> Option<usize> {
        let key = match name.bytes().any(|b| b.is_ascii_uppercase()) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        };
        self.index.get(&*key).copied()
    }
}

/// Edits.
impl Dictionary {
    /// Gives `name` a value: in its own line where there is one, else in a new last line.
    pub fn set(&mut self, name: &str, value: &str) {
        self.put(name, value, self.lines.len());
    }

    /// Gives `name` a value; a new line goes before that of `anchor`, if there is one.
    pub fn set_before(&mut self, name: &str, value: &str, anchor: &str) {
        let place = self.find(anchor).unwrap_or(self.lines.len());
        self.put(name, value, place);
    }

    /// Gives `name` a value; a new line goes after that of `anchor`, if there is one.
    pub fn set_after(&mut self, name: &str, value: &str, anchor: &str) {
        let place = self.find(anchor).map_or(self.lines.len(), |n| n + 1);
        self.put(name, value, place);
    }

    /// Gives `name` a value if it has one already.
    pub fn set_existing(&mut self, name: &str, value: &str) {
        if self.contains(name) {
            self.set(name, value);
        }
    }

    /// Removes `name` from the file.
    pub fn remove(&mut self, name: &str) {
        if self.contains(name) {
            let key = name.to_ascii_lowercase();
            self.remove_matching(|other| other == key);
        }
    }

    /// Removes the entries whose names, in lower case, `unwanted` picks.
    pub fn remove_matching(&mut self, mut unwanted: impl FnMut(&str) -> bool) {
        let before = self.lines.len();
        self.lines
            .retain(|line| line.entry.as_ref().is_none_or(|e| !unwanted(&e.key)));
        if self.lines.len() < before {
            self.index = index_of(&self.lines);
            self.keep_charset();
        }
    }

    /// Renames the entries for whose names, as spelled, `new_name` gives another.
    pub fn rename(&mut self, mut new_name: impl FnMut(&str) -> Option<String>) {
        for line in &mut self.lines {
            let old = line.name().map(String::from_utf8_lossy);
            if let Some(new) = old.and_then(|old| new_name(&old)) {
                line.set_name(&new);
            }
        }
        self.index = index_of(&self.lines);
    }

    /// Writes the whole file in `charset`, if it fits, and says so in it. What cannot be read in
    /// the old set stays as it is.
    fn recode(&mut self, charset: Charset) {
        let from = self.charset;
        for line in &mut self.lines {
            if !line.raw.is_ascii() || line.raw.contains(&b'|') {
                recode_line(line, from, charset);
            }
        }
        self.charset = charset;
        self.index = index_of(&self.lines);
        self.state_charset();
    }

    /// The character set that the file says it is written in, if that is one.
    fn stated_charset(&self) -> Option<Charset> {
        self.get(ENCODING)
            .and_then(|label| Charset::from_label(&label))
    }

    /// Says in the file what it is written in, where it was known only by bytes that are gone now: the rest
    /// would be read as something else.
    fn keep_charset(&mut self) {
        let guessed = self.charset == Charset::WINDOWS_1252 && self.stated_charset().is_none();
        let is_utf8 = |line: &Line| str::from_utf8(&line.raw).is_ok();
        if guessed && self.lines.iter().all(is_utf8) && !self.lines.iter().all(|l| l.raw.is_ascii())
        {
            self.state_charset();
        }
    }

    fn state_charset(&mut self) {
        let first_entry = self.lines.iter().position(|l| l.entry.is_some());
        let shebang = usize::from(self.lines.first().is_some_and(|l| l.raw.starts_with(b"#!")));
        let label = self.charset.label().as_bytes();
        self.put_bytes(ENCODING, label, first_entry.unwrap_or(shebang));
    }

    /// Gives `name` a value, in a new line `place` where it has none.
    fn put(&mut self, name: &str, value: &str, place: usize) {
        debug_assert!(is_name(name), "{name:?} cannot be a name");
        let unlabelled = !value.is_ascii() && self.stated_charset().is_none();
        let bytes = match self.charset.encode(value) {
            Some(bytes) if !unlabelled => bytes,
            _ => {
                let lines = self.lines.len();
                self.recode(Charset::UTF_8);
                // The statement of the new set may have become a line of its own, at the start.
                return self.put_bytes(name, value.as_bytes(), place + self.lines.len() - lines);
            }
        };
        self.put_bytes(name, &bytes, place);
    }

    fn put_bytes(&mut self, name: &str, value: &[u8], place: usize) {
        if let Some(line) = self.find(name) {
            if self.lines[line].value().as_deref() != Some(value) {
                self.lines[line].set_value(value);
                self.keep_charset();
            }
            return;
        }
        self.end_last_line();
        let line = Line::new(name, value, self.line_end.as_str());
        if place < self.lines.len() {
            let below = self.index.values_mut().filter(|at| **at >= place);
            below.for_each(|at| *at += 1);
        }
        let key = line.entry.as_ref().map(|entry| Arc::clone(&entry.key));
        self.index.extend(key.map(|key| (key, place)));
        self.lines.insert(place, line);
    }

    fn end_last_line(&mut self) {
        let line_end = self.line_end.as_str();
        match self.lines.last_mut() {
            Some(last) if last.end().is_empty() => last.raw.extend(line_end.bytes()),
            // A CR alone is half an end.
            Some(last) if last.end() == b"\r" => last.raw.push(b'\n'),
            _ => {}
        }
    }
}

/// Tells whether `name` can stand before the `=` of an entry.
fn is_name(name: &str) -> bool {
    let taken = |c: char| c.is_whitespace() || c.is_control() || c == '=' || c == '#';
    !name.is_empty() && !name.contains(taken)
}

fn index_of(lines: &[Line]) -> HashMap<Arc<str>, usize> {
    let mut index = HashMap::with_capacity(lines.len());
    let entries = lines.iter().enumerate();
    index.extend(entries.filter_map(|(at, line)| {
        let entry = line.entry.as_ref()?;
        Some((Arc::clone(&entry.key), at))
    }));
    index
}

fn line_end_of(lines: &[Line]) -> LineEnd {
    let ends = |end: &[u8]| lines.iter().filter(|l| l.end() == end).count();
    if ends(b"\r\n") > ends(b"\n") {
        LineEnd::CrLf
    } else {
        LineEnd::Lf
    }
}

fn recode_line(line: &mut Line, from: Charset, to: Charset) {
    let value = line.value().and_then(|value| from.decode_exact(&value));
    // The value goes by its own way: its escapes are bytes of the old set.
    let whole = from.decode_exact(&line.raw).and_then(|t| to.encode(&t));
    if let Some(raw) = whole {
        *line = Line::parse(&raw);
    }
    if let Some(value) = value.and_then(|value| to.encode(&value))
        && line.value().as_deref() != Some(&value[..])
    {
        line.set_value(&value);
    }
}

/// A text has no NUL. Other control characters should be escaped in it, but a stranger's that are not
/// are kept: an edit may move them to any place.
fn refuse_binary(bytes: &[u8]) -> Result<(), Malformed> {
    // To know that there is none is much quicker than to look for its place.
    if !bytes.contains(&0) {
        return Ok(());
    }
    let at = bytes.iter().position(|b| *b == 0).unwrap_or(0);
    Err(Malformed::new(
        Place::Byte(at as u64),
        "this is no text file",
    ))
}

fn refuse_foreign_text(lines: &[Line]) -> Result<(), Malformed> {
    let entries = lines.iter().any(|l| l.entry.is_some());
    let first_odd = lines.iter().position(|l| !l.is_silent());
    match first_odd {
        Some(at) if !entries => {
            let what = "neither this line nor another reads as name = \"value\"";
            Err(Malformed::new(Place::Line(at + 1), what))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dict(text: &str) -> Dictionary {
        Dictionary::parse(text.as_bytes()).unwrap()
    }

    fn text(dict: &Dictionary) -> String {
        String::from_utf8(dict.to_bytes()).unwrap()
    }

    #[test]
    fn text_is_read_as_before_when_the_bytes_are_gone_that_told_its_character_set() {
        let text = b"a = \"\xfd\"\nb = \"\xde\xa7\"\n";
        let parsed = || Dictionary::parse(text).unwrap();
        let (mut without, mut other) = (parsed(), parsed());
        without.remove("a");
        other.set("a", "1");
        // A set that does not exist is as good as none.
        let unknown = [b".encoding = \"x\"\n", &text[..]].concat();
        let mut unknown = Dictionary::parse(&unknown).unwrap();
        unknown.remove("a");
        for dict in [without, other, unknown] {
            assert_eq!(dict.get("b").as_deref(), Some("\u{de}\u{a7}"));
            let again = Dictionary::parse(&dict.to_bytes()).unwrap();
            assert_eq!(again.get("b"), dict.get("b"));
        }
    }

    #[test]
    fn unedited_file_is_written_as_read() {
        let odd = "#!/usr/bin/vmware\r\n\n  A=1 # c\nwhat is this\r\n\tb = \"|7c\"";
        assert_eq!(text(&dict(odd)), odd);
        assert_eq!(dict("").to_bytes(), b"");
    }

    #[test]
    fn names_have_no_case_and_the_last_wins() {
        let dict = dict("displayname = \"a\"\ndisplayName = \"b\"\n");
        assert_eq!(dict.get("DISPLAYNAME").as_deref(), Some("b"));
        assert_eq!(dict.duplicates(), ["displayname"]);
    }

    #[test]
    fn edit_touches_its_line_only() {
        let mut dict = dict("a = \"1\"\r\nMemSize = 16 # MiB\r\nc = \"3\"\r\n");
        dict.set("memsize", "32");
        dict.set("c", "3");
        assert_eq!(
            text(&dict),
            "a = \"1\"\r\nMemSize = \"32\" # MiB\r\nc = \"3\"\r\n"
        );
    }

    #[test]
    fn same_value_changes_nothing() {
        let mut dict = dict("x = 0\n");
        dict.set("x", "0");
        assert_eq!(text(&dict), "x = 0\n");
    }

    #[test]
    fn new_line_ends_as_the_others() {
        let mut dict = dict("a = \"1\"\r\nb = \"2\"");
        dict.set("c", "x\r\ny");
        assert_eq!(
            text(&dict),
            "a = \"1\"\r\nb = \"2\"\r\nc = \"x|0D|0Ay\"\r\n"
        );
        assert_eq!(dict.get("c").as_deref(), Some("x\r\ny"));
    }

    #[test]
    fn half_a_line_end_is_made_whole() {
        let mut dict = dict("a = \"1\"\r");
        dict.set("b", "2");
        assert_eq!(text(&dict), "a = \"1\"\r\nb = \"2\"\n");
    }

    #[test]
    fn new_lines_go_where_they_are_wanted() {
        let mut dict = dict("a = \"1\"\nc = \"3\"");
        dict.set_before("b", "2", "c");
        dict.set_after("d", "4", "C");
        dict.set_before("e", "5", "missing");
        assert_eq!(dict.names().collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
        assert_eq!(dict.get("e").as_deref(), Some("5"));
        assert_eq!(dict.get("a").as_deref(), Some("1"));
    }

    #[test]
    fn removed_and_renamed_entries_are_gone() {
        let mut dict = dict("a1 = \"1\"\n# note\nA1 = \"2\"\nb1 = \"3\"\n");
        dict.remove("a1");
        dict.rename(|name| name.strip_prefix('b').map(|n| format!("c{n}")));
        assert_eq!(text(&dict), "# note\nc1 = \"3\"\n");
        assert_eq!(dict.get("c1").as_deref(), Some("3"));
        assert!(!dict.contains("b1"));
    }

    #[test]
    fn values_are_in_the_stated_set() {
        let mut dict = Dictionary::parse(b".encoding = \"GBK\"\nn = \"\xce\xbb\"\n").unwrap();
        assert_eq!(dict.get("n").as_deref(), Some("位"));
        dict.set("m", "丂");
        assert_eq!(dict.charset(), Charset::from_label("GBK").unwrap());
        assert_eq!(dict.get("m").as_deref(), Some("丂"));
    }

    #[test]
    fn trail_bytes_that_look_like_escapes_survive() {
        // Two-byte letters whose second byte is that of `|`.
        let gbk = Charset::from_label("GBK").unwrap();
        let bytes: Vec<u8> = (0x81..0xfe_u8).flat_map(|b| [b, b'|']).collect();
        let name = gbk.decode(&bytes);
        let mut dict = dict(".encoding = \"GBK\"\n");
        dict.set("n", &name);
        assert_eq!(dict.get("n"), Some(name.clone()));
        dict.recode(Charset::UTF_8);
        assert_eq!(dict.get("n"), Some(name));
    }

    #[test]
    fn name_that_does_not_fit_turns_the_file_to_utf8() {
        let latin = b"#!x\n.encoding = \"windows-1252\"\na = \"\xe9|e9\" # \xe9\n";
        let mut dict = Dictionary::parse(latin).unwrap();
        dict.set("b", "位");
        assert_eq!(
            text(&dict),
            "#!x\n.encoding = \"UTF-8\"\na = \"éé\" # é\nb = \"位\"\n"
        );
    }

    #[test]
    fn letters_with_two_codes_are_recoded_too() {
        // 0xED40 and 0xFA5C are one letter; only the second is what an encoder makes of it.
        let nec = b".encoding = \"Shift_JIS\"\na = \"\xed\x40\"\n";
        let mut dict = Dictionary::parse(nec).unwrap();
        let letter = dict.get("a");
        dict.set("b", "é");
        assert_eq!(dict.get("a"), letter);
        assert_eq!(dict.charset(), Charset::UTF_8);
    }

    #[test]
    fn unlabelled_file_gets_its_label_with_the_first_foreign_letter() {
        let mut dict = dict("#!x\na = \"1\"\nb = \"2\"\n");
        dict.set_before("c", "é", "b");
        assert_eq!(
            text(&dict),
            "#!x\n.encoding = \"UTF-8\"\na = \"1\"\nc = \"é\"\nb = \"2\"\n"
        );
    }

    #[test]
    fn unknown_set_is_named() {
        let dict = dict(".encoding = \"klingon\"\na = \"b\"\n");
        assert_eq!(dict.unknown_charset().as_deref(), Some("klingon"));
        assert_eq!(dict.get("a").as_deref(), Some("b"));
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        for bytes in [
            &b"\x7fELF\x02\x01"[..],
            b"PK\x03\x04",
            b"a = \"b\"\n\0",
            b"<html>\n<body>hello there</body>\n",
        ] {
            assert!(Dictionary::parse(bytes).is_err(), "{bytes:?}");
        }
        assert!(Dictionary::parse(&b"\n".repeat(MAX_LINES + 1)).is_err());
    }

    #[test]
    fn snapshot_text_has_lf_ends() {
        assert_eq!(
            dict("a = \"1\"\r\nb = 2").to_lf_bytes(),
            b"a = \"1\"\nb = 2\n"
        );
    }

    #[test]
    fn truth_and_numbers_are_read() {
        let dict = dict("a = \"true\"\nb = \"FALSE\"\nc = \" 12 \"\nd = \"\"\n");
        assert_eq!(dict.get_bool("a"), Some(true));
        assert_eq!(dict.get_bool("b"), Some(false));
        assert_eq!(dict.get_bool("d"), None);
        assert_eq!(dict.get_number::<u64>("c"), Some(12));
        assert_eq!(dict.get_filled("d"), None);
    }

    #[test]
    fn new_file_states_its_set() {
        let dict = Dictionary::new(LineEnd::CrLf);
        assert_eq!(dict.to_bytes(), b".encoding = \"UTF-8\"\r\n");
    }
}
