//! The descriptor of a disk: kept byte for byte, read by key, changed line by line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::extent::{self, ExtentLine};
use super::{CreateType, Fault, NO_PARENT};
use crate::format::charset::Charset;
use crate::format::{Malformed, Place};

/// The most bytes of a descriptor that is read.
///
/// A disk of 62 TiB in 2 GiB pieces has some 32,000 extent lines.
pub const MAX_BYTES: u64 = 8 << 20;
/// More extents than a disk has: the largest, of 62 TiB, has 31,744 of 2 GiB.
const MAX_EXTENTS: usize = 1 << 16;

/// Header keys in the order in which VMware writes them.
const HEADER_ORDER: [&str; 7] = [
    "version",
    "encoding",
    "cid",
    "parentcid",
    "isnativesnapshot",
    "createtype",
    "parentfilenamehint",
];

/// A descriptor: its text as it lies on disk, understood where needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    text: Vec<u8>,
    charset: Charset,
}

/// One line of the text: where it stands.
#[derive(Clone, Debug)]
struct Line {
    number: usize,
    /// The line without its end.
    text: Range<usize>,
    /// Where the next line begins.
    next: usize,
}

/// The parts of a `key=value` line.
struct Entry<'a> {
    key: Cow<'a, str>,
    value: Range<usize>,
}

/// A key that stands in two lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatedKey {
    /// The key as it is written first.
    pub key: String,
    /// Numbers of the first line with it, which counts, and of the one that repeats it.
    pub lines: [usize; 2],
    /// Whether the two have different values.
    pub differs: bool,
}

impl Descriptor {
    /// Reads a stand-alone descriptor, or what the sectors of an embedded one hold.
    ///
    /// # Errors
    /// Where it has no `createType` or no `CID`: it is no descriptor.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut descriptor = Self {
            text: bytes.to_vec(),
            charset: Charset::guess(bytes),
        };
        let label = descriptor
            .get("encoding")
            .or_else(|| descriptor.get("ddb.encoding"));
        if let Some(charset) = label.and_then(|label| Charset::from_label(&label)) {
            descriptor.charset = charset;
        }
        if descriptor.get("createType").is_none() {
            return Err(Malformed::new(Place::Whole, "it has no createType"));
        }
        descriptor
            .hex("CID")?
            .ok_or_else(|| Malformed::new(Place::Whole, "it has no CID"))?;
        descriptor.hex("parentCID")?;
        Ok(descriptor)
    }

    /// Reads the sectors of an embedded descriptor, which ends at the first zero byte.
    ///
    /// # Errors
    /// As [`Descriptor::parse`].
    pub fn parse_embedded(area: &[u8]) -> Result<Self, Malformed> {
        let end = area
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(area.len());
        Self::parse(&area[..end])
    }

    /// Returns the text, byte for byte what was read where nothing was changed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Returns the value of the first line with `key`, in any case.
    pub fn get(&self, key: &str) -> Option<String> {
        let value = self.find(key)?.1.value;
        Some(self.decode(value))
    }

    /// Returns the create type as written.
    pub fn create_type(&self) -> String {
        self.get("createType").unwrap_or_default()
    }

    /// Returns the create type, where it is one that is used.
    ///
    /// # Errors
    /// `Unsupported`, with the reason.
    pub fn layout(&self) -> Result<CreateType, Fault> {
        CreateType::parse(&self.create_type())
    }

    /// Returns the content id.
    pub fn cid(&self) -> u32 {
        self.hex("CID").ok().flatten().unwrap_or_default()
    }

    /// Returns the content id that the parent must have; [`NO_PARENT`] for a base.
    pub fn parent_cid(&self) -> u32 {
        self.hex("parentCID").ok().flatten().unwrap_or(NO_PARENT)
    }

    /// Returns the parent as written.
    pub fn parent_hint(&self) -> Option<String> {
        self.get("parentFileNameHint")
            .filter(|hint| !hint.is_empty())
    }

    /// Returns the extent lines in order.
    ///
    /// # Errors
    /// The first line that makes no sense; more than 65,536 of them.
    pub fn extents(&self) -> Result<Vec<ExtentLine>, Malformed> {
        let mut extents = Vec::new();
        for line in self.lines() {
            if let Some(extent) = self.extent(&line)? {
                extents.push(extent);
            }
        }
        if extents.len() > MAX_EXTENTS {
            let what = format!("{} extents are more than any disk has", extents.len());
            return Err(Malformed::new(Place::Whole, what));
        }
        Ok(extents)
    }

    /// Returns the bytes of the extents' file names, as programs read them that know no character
    /// sets; `None` for extents without a file.
    pub fn extent_names(&self) -> Vec<Option<Vec<u8>>> {
        let lines = self.lines().map(|line| self.text[line.text].trim_ascii());
        let name = |line: &[u8]| line.split(|byte| *byte == b'"').nth(1).map(<[u8]>::to_vec);
        lines
            .filter(|line| extent::is_extent(line))
            .map(name)
            .collect()
    }

    /// Returns all keys of the disk data base with their values, in order, keys as written.
    pub fn ddb(&self) -> Vec<(String, String)> {
        self.lines()
            .filter_map(|line| self.entry(&line))
            .filter(|entry| is_ddb(&entry.key))
            .map(|entry| (entry.key.to_string(), self.decode(entry.value)))
            .collect()
    }

    /// Returns each line whose key stands in an earlier one.
    pub fn repeated_keys(&self) -> Vec<RepeatedKey> {
        let mut first: BTreeMap<String, (usize, Entry<'_>)> = BTreeMap::new();
        let mut repeated = Vec::new();
        for line in self.lines() {
            let Some(entry) = self.entry(&line) else {
                continue;
            };
            match first.get(&entry.key.to_ascii_lowercase()) {
                None => {
                    let key = entry.key.to_ascii_lowercase();
                    first.insert(key, (line.number, entry));
                }
                Some((number, known)) => repeated.push(RepeatedKey {
                    key: known.key.to_string(),
                    lines: [*number, line.number],
                    differs: self.text[known.value.clone()] != self.text[entry.value],
                }),
            }
        }
        repeated
    }

    /// Gives `key` the value, in its line or in a new one where VMware would put it.
    ///
    /// A text outside the descriptor's character set turns the whole descriptor into UTF-8.
    ///
    /// # Errors
    /// Where a value cannot stand in quotes: it holds a quote, a line end or a zero byte.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Malformed> {
        check_quotable(value)?;
        let bytes = self.encode(value)?;
        match self.find(key) {
            Some((_, entry)) => {
                self.text.splice(entry.value, bytes);
            }
            None => self.insert(key, &bytes),
        }
        Ok(())
    }

    /// Removes the line of `key`, if there is one.
    pub fn remove(&mut self, key: &str) {
        if let Some((line, _)) = self.find(key) {
            self.text.drain(line.text.start..line.next);
        }
    }

    /// Gives the disk the content id `cid`, and the long one where it is known.
    ///
    /// # Errors
    /// As [`Descriptor::set`].
    pub fn set_content_id(&mut self, cid: u32, long: Option<&str>) -> Result<(), Malformed> {
        self.set("CID", &format!("{cid:08x}"))?;
        match long {
            Some(long) => self.set("ddb.longContentID", long),
            None => Ok(()),
        }
    }

    /// Hangs the disk on the parent that `hint` names and that has the content id `cid`.
    ///
    /// # Errors
    /// As [`Descriptor::set`].
    pub fn set_parent(&mut self, hint: &str, cid: u32) -> Result<(), Malformed> {
        self.set("parentCID", &format!("{cid:08x}"))?;
        self.set("parentFileNameHint", hint)
    }

    /// Gives the extent with number `index`, from 0, another length in sectors.
    ///
    /// # Errors
    /// Where there is no such extent.
    pub fn set_extent_sectors(&mut self, index: usize, sectors: u64) -> Result<(), Malformed> {
        let range = self.extent_lines().nth(index).map(|line| {
            // Blanks, the access word, blanks, the number.
            let mut at = line.text.start;
            for is_wanted in [is_blank, is_word, is_blank] {
                at += self.count(at, is_wanted);
            }
            at..at + self.count(at, is_word)
        });
        let range = range.ok_or_else(|| {
            Malformed::new(Place::Whole, format!("it has no extent {}", index + 1))
        })?;
        self.text.splice(range, sectors.to_string().into_bytes());
        Ok(())
    }

    /// Gives extents other files, in order; `None` keeps the one that is written.
    ///
    /// # Errors
    /// As [`Descriptor::set`]; for an extent that is not there, or has no file.
    pub fn set_extent_files(&mut self, names: &[Option<String>]) -> Result<(), Malformed> {
        // First, since one may turn the whole text into another character set.
        for name in names.iter().flatten() {
            check_quotable(name)?;
            self.encode(name)?;
        }
        let lines: Vec<Line> = self.extent_lines().take(names.len()).collect();
        let mut text = Vec::with_capacity(self.text.len());
        let mut kept = 0;
        for (i, name) in names.iter().enumerate() {
            let Some(name) = name else {
                continue;
            };
            let file = lines.get(i).and_then(|line| self.file_range(line));
            let file = file.ok_or_else(|| {
                let what = format!("it names no file for extent {}", i + 1);
                Malformed::new(Place::Whole, what)
            })?;
            text.extend_from_slice(&self.text[kept..file.start]);
            text.extend_from_slice(&self.encode(name)?);
            kept = file.end;
        }
        text.extend_from_slice(&self.text[kept..]);
        self.text = text;
        Ok(())
    }

    /// Finds what stands between the first two quotes of a line.
    fn file_range(&self, line: &Line) -> Option<Range<usize>> {
        let is_quote = |byte: &u8| *byte == b'"';
        let bytes = &self.text[line.text.clone()];
        let start = bytes.iter().position(is_quote)? + 1;
        let len = bytes[start..].iter().position(is_quote)?;
        let start = line.text.start + start;
        Some(start..start + len)
    }

    /// Adds the lines of new extents behind the last one.
    ///
    /// # Errors
    /// Where the names cannot be written.
    pub fn add_extents(&mut self, lines: &str) -> Result<(), Malformed> {
        let bytes = self.encode(lines)?;
        let last = self.extent_lines().last().map(|line| line.next);
        let at = last.unwrap_or(self.text.len());
        self.text.splice(at..at, bytes);
        Ok(())
    }

    /// Returns how many bytes from `at` on are of one kind.
    fn count(&self, at: usize, is_wanted: fn(u8) -> bool) -> usize {
        let bytes = self.text[at..].iter();
        bytes.take_while(|byte| is_wanted(**byte)).count()
    }

    fn extent_lines(&self) -> impl Iterator<Item = Line> + '_ {
        let is_extent = |line: &Line| extent::is_extent(self.text[line.text.clone()].trim_ascii());
        self.lines().filter(is_extent)
    }

    fn hex(&self, key: &str) -> Result<Option<u32>, Malformed> {
        let Some((line, entry)) = self.find(key) else {
            return Ok(None);
        };
        let text = self.decode(entry.value);
        u32::from_str_radix(&text, 16).map(Some).map_err(|_| {
            Malformed::new(
                Place::Line(line.number),
                format!("{key} is no 32-bit hex number"),
            )
        })
    }

    fn decode(&self, range: Range<usize>) -> String {
        self.charset.decode(&self.text[range])
    }

    /// Returns the bytes of `value`; the descriptor becomes UTF-8 where its set has no such text.
    fn encode(&mut self, value: &str) -> Result<Vec<u8>, Malformed> {
        if let Some(bytes) = self.charset.encode(value) {
            return Ok(bytes);
        }
        let text = self.charset.decode(&self.text);
        self.text = text.into_bytes();
        self.charset = Charset::UTF_8;
        self.remove("ddb.encoding");
        self.set("encoding", "UTF-8")?;
        Ok(value.as_bytes().to_vec())
    }

    fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let len = self
            .text
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(self.text.len());
        let mut start = 0;
        let mut number = 0;
        std::iter::from_fn(move || {
            if start >= len {
                return None;
            }
            number += 1;
            let rest = &self.text[start..len];
            let (end, next) = match rest.iter().position(|&byte| byte == b'\n') {
                Some(at) => (start + at, start + at + 1),
                None => (len, len),
            };
            let has_cr = end > start && self.text[end - 1] == b'\r';
            let text = start..end - usize::from(has_cr);
            start = next;
            Some(Line { number, text, next })
        })
    }

    fn find(&self, key: &str) -> Option<(Line, Entry<'_>)> {
        self.lines().find_map(|line| {
            let entry = self.entry(&line)?;
            entry.key.eq_ignore_ascii_case(key).then_some((line, entry))
        })
    }

    /// Takes a `key=value` line apart; `None` for every other line.
    fn entry(&self, line: &Line) -> Option<Entry<'_>> {
        let bytes = &self.text[line.text.clone()];
        let key_start = bytes.iter().position(|byte| !is_blank(*byte))?;
        let equals = bytes.iter().position(|&byte| byte == b'=')?;
        if bytes[key_start] == b'#' || extent::is_extent(&bytes[key_start..]) {
            return None;
        }
        let key = bytes.get(key_start..equals)?.trim_ascii();
        let value = value_range(bytes, equals + 1);
        Some(Entry {
            key: String::from_utf8_lossy(key),
            value: line.text.start + value.start..line.text.start + value.end,
        })
    }

    fn extent(&self, line: &Line) -> Result<Option<ExtentLine>, Malformed> {
        let bytes = self.text[line.text.clone()].trim_ascii();
        if !extent::is_extent(bytes) {
            return Ok(None);
        }
        let text = self.charset.decode(bytes);
        ExtentLine::parse(&text, line.number)
            .map(Some)
            .ok_or_else(|| Malformed::new(Place::Line(line.number), "the extent makes no sense"))
    }

    fn insert(&mut self, key: &str, value: &[u8]) {
        let end: &[u8] = if self.text.windows(2).any(|pair| pair == b"\r\n") {
            b"\r\n"
        } else {
            b"\n"
        };
        let (open, close): (&[u8], &[u8]) = if is_ddb(key) {
            (b" = \"", b"\"")
        } else if key.eq_ignore_ascii_case("CID") || key.eq_ignore_ascii_case("parentCID") {
            (b"=", b"")
        } else {
            (b"=\"", b"\"")
        };
        let at = self.place_for(key);
        let mut line = Vec::new();
        if at > 0 && self.text[at - 1] != b'\n' {
            line.extend_from_slice(end);
        }
        for part in [key.as_bytes(), open, value, close, end] {
            line.extend_from_slice(part);
        }
        self.text.splice(at..at, line);
    }

    /// Finds where a new line for `key` begins: after its predecessor in VMware's order.
    fn place_for(&self, key: &str) -> usize {
        let precedes = |other: &str| -> bool {
            match (is_ddb(key), is_ddb(other)) {
                (true, true) => other.to_ascii_lowercase() < key.to_ascii_lowercase(),
                (false, false) => header_rank(other) < header_rank(key),
                (ours_is_ddb, _) => ours_is_ddb,
            }
        };
        let mut place = None;
        let mut last = 0;
        for line in self.lines() {
            last = line.next;
            let section_start = is_ddb(key) && self.is_ddb_title(&line);
            let after = self.entry(&line).is_some_and(|entry| precedes(&entry.key));
            if section_start || after {
                place = Some(line.next);
            }
        }
        place.unwrap_or(if is_ddb(key) { last } else { 0 })
    }

    fn is_ddb_title(&self, line: &Line) -> bool {
        self.text[line.text.clone()]
            .trim_ascii()
            .eq_ignore_ascii_case(b"#DDB")
    }
}

fn header_rank(key: &str) -> usize {
    HEADER_ORDER
        .iter()
        .position(|known| known.eq_ignore_ascii_case(key))
        .unwrap_or(HEADER_ORDER.len())
}

fn is_ddb(key: &str) -> bool {
    key.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("ddb."))
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn is_word(byte: u8) -> bool {
    !byte.is_ascii_whitespace()
}

/// Finds a value from `from` on: what stands in quotes, or the rest without blanks around it.
fn value_range(line: &[u8], from: usize) -> Range<usize> {
    let start = from
        + line[from..]
            .iter()
            .take_while(|byte| is_blank(**byte))
            .count();
    if line.get(start) == Some(&b'"') {
        let inner = start + 1;
        let len = line[inner..].iter().position(|&byte| byte == b'"');
        return inner..len.map_or(line.len(), |len| inner + len);
    }
    start..start + line[start..].trim_ascii_end().len()
}

/// Refuses what cannot stand between quotes: there is no escape.
pub(super) fn check_quotable(value: &str) -> Result<(), Malformed> {
    match value
        .chars()
        .find(|c| matches!(c, '"' | '\n' | '\r' | '\0'))
    {
        Some(c) => {
            let what = format!("a disk descriptor cannot hold the character {c:?} in a name");
            Err(Malformed::new(Place::Whole, what))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ExtentAccess, ExtentKind};
    use super::*;

    const CHILD: &str = "# Disk DescriptorFile\nversion=1\nencoding=\"windows-1252\"\n\
        CID=8f67ca74\nparentCID=0172e8a4\ncreateType=\"monolithicSparse\"\n\
        parentFileNameHint=\"D:\\VMs\\base.vmdk\"\n# Extent description\n\
        RW 4096 SPARSE \"a b.vmdk\"\n\n# The Disk Data Base \n#DDB\n\n\
        ddb.adapterType = \"lsilogic\"\nddb.virtualHWVersion = \"14\"\n";

    fn child() -> Descriptor {
        Descriptor::parse(CHILD.as_bytes()).unwrap()
    }

    #[test]
    fn values_are_read_in_any_case() {
        let disk = child();
        assert_eq!(disk.cid(), 0x8f67_ca74);
        assert_eq!(disk.parent_cid(), 0x0172_e8a4);
        assert_eq!(disk.parent_hint().as_deref(), Some("D:\\VMs\\base.vmdk"));
        assert_eq!(disk.get("DDB.ADAPTERTYPE").as_deref(), Some("lsilogic"));
        assert_eq!(disk.as_bytes(), CHILD.as_bytes());
    }

    #[test]
    fn an_edit_changes_its_line_only() {
        let mut disk = child();
        disk.set_parent("../p/base.vmdk", 0xffff_fffe).unwrap();
        let expected = CHILD
            .replace("D:\\VMs\\base.vmdk", "../p/base.vmdk")
            .replace("0172e8a4", "fffffffe");
        assert_eq!(disk.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn new_keys_stand_where_vmware_puts_them() {
        let mut disk = child();
        disk.set("isNativeSnapshot", "no").unwrap();
        disk.set("ddb.longContentID", "00ff").unwrap();
        let text = String::from_utf8(disk.as_bytes().to_vec()).unwrap();
        assert!(text.contains("parentCID=0172e8a4\nisNativeSnapshot=\"no\"\ncreateType"));
        assert!(text.contains("\"lsilogic\"\nddb.longContentID = \"00ff\"\nddb.virtual"));
    }

    #[test]
    fn first_ddb_key_follows_its_title() {
        let mut disk =
            Descriptor::parse(b"CID=1\ncreateType=\"x\"\n# The Disk Data Base\n#DDB").unwrap();
        disk.set("ddb.uuid", "1").unwrap();
        assert!(disk.as_bytes().ends_with(b"#DDB\nddb.uuid = \"1\"\n"));
    }

    #[test]
    fn text_outside_the_set_turns_it_to_utf8() {
        let mut disk = child();
        disk.set_parent("虚拟机.vmdk", 1).unwrap();
        assert_eq!(disk.get("encoding").as_deref(), Some("UTF-8"));
        assert_eq!(disk.parent_hint().as_deref(), Some("虚拟机.vmdk"));
        let again = Descriptor::parse(disk.as_bytes()).unwrap();
        assert_eq!(again.parent_hint().as_deref(), Some("虚拟机.vmdk"));
    }

    #[test]
    fn odd_spellings_are_understood() {
        let text = b"CID = 1\r\n createType=streamOptimized\r\nrw 8 flat \"x.vmdk\" 7\r\n\
            RDONLY 1 ZERO\r\nNOACCESS 2 SPARSE \"y";
        let disk = Descriptor::parse(text).unwrap();
        assert_eq!(disk.create_type(), "streamOptimized");
        let extents = disk.extents().unwrap();
        assert_eq!(extents[0].kind, ExtentKind::Flat(7));
        assert_eq!(extents[1].kind, ExtentKind::Zero);
        assert_eq!(extents[1].access, ExtentAccess::ReadOnly);
        assert_eq!(extents[2].access, ExtentAccess::None);
        assert_eq!(extents[2].file.as_deref(), Some("y"));
    }

    #[test]
    fn extents_grow_and_are_added() {
        let mut disk = child();
        disk.set_extent_sectors(0, 8192).unwrap();
        disk.add_extents("RW 16 SPARSE \"c.vmdk\"\n").unwrap();
        let expected = CHILD.replace(
            "RW 4096 SPARSE \"a b.vmdk\"\n",
            "RW 8192 SPARSE \"a b.vmdk\"\nRW 16 SPARSE \"c.vmdk\"\n",
        );
        assert_eq!(text_of(&disk), expected);
        assert!(disk.set_extent_sectors(2, 1).is_err());
    }

    #[test]
    fn repeated_keys_are_told() {
        let text = b"CID=1\ncreateType=\"x\"\ncid = 2\nddb.a = \"1\"\nDDB.A = \"1\"\n";
        let repeated = Descriptor::parse(text).unwrap().repeated_keys();
        let told: Vec<_> = repeated.iter().map(|r| (&*r.key, r.lines)).collect();
        assert_eq!(told, [("CID", [1, 3]), ("ddb.a", [4, 5])]);
        assert_eq!((repeated[0].differs, repeated[1].differs), (true, false));
    }

    #[test]
    fn extents_get_other_files() {
        let mut disk = child();
        disk.add_extents("RW 8 SPARSE \"b\"\nRW 8 SPARSE \"c\"\n")
            .unwrap();
        let names = ["é (2).vmdk", "", "d"].map(|name| (!name.is_empty()).then(|| name.into()));
        disk.set_extent_files(&names).unwrap();
        let files = disk
            .extents()
            .unwrap()
            .into_iter()
            .map(|line| line.file.unwrap());
        assert_eq!(files.collect::<Vec<_>>(), ["é (2).vmdk", "b", "d"]);
        assert_eq!(text_of(&disk).lines().count(), CHILD.lines().count() + 2);
        let before = disk.clone();
        assert!(disk.set_extent_files(&[Some("a\"b".into())]).is_err());
        let too_many = [None, None, None, Some("x".into())];
        assert!(disk.set_extent_files(&too_many).is_err());
        assert_eq!(disk, before);
        disk.set_extent_files(&[Some("虚拟机".into())]).unwrap();
        assert_eq!(disk.extents().unwrap()[0].file.as_deref(), Some("虚拟机"));
        assert_eq!(disk.extents().unwrap()[2].file.as_deref(), Some("d"));
    }

    #[test]
    fn rejects_what_is_no_descriptor() {
        assert!(Descriptor::parse(b"").is_err());
        assert!(Descriptor::parse(b"createType=\"x\"\n").is_err());
        assert!(Descriptor::parse(b"createType=\"x\"\nCID=123456789\n").is_err());
        let extent = Descriptor::parse(b"createType=\"x\"\nCID=1\nRW -1 FLAT \"a\"\n").unwrap();
        assert_eq!(extent.extents().unwrap_err().place, Place::Line(3));
    }

    #[test]
    fn names_with_quotes_are_refused() {
        assert!(child().set("parentFileNameHint", "a\"b").is_err());
        assert!(child().set("parentFileNameHint", "a\nb").is_err());
    }

    #[test]
    fn embedded_text_ends_at_the_first_zero() {
        let mut area = CHILD.as_bytes().to_vec();
        area.resize(20 * 512, 0);
        let disk = Descriptor::parse_embedded(&area).unwrap();
        assert_eq!(disk.as_bytes(), CHILD.as_bytes());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_kept(lines in proptest::collection::vec("[ -~é\t]{0,30}", 0..12)) {
            let text = format!("CID=1\ncreateType=\"x\"\n{}", lines.join("\n"));
            let mut disk = Descriptor::parse(text.as_bytes()).unwrap();
            proptest::prop_assert_eq!(disk.as_bytes(), text.as_bytes());
            let _ = (disk.extents(), disk.ddb());
            disk.set_parent("a b.vmdk", 7).unwrap();
            disk.set_content_id(9, Some("ff")).unwrap();
            proptest::prop_assert_eq!((disk.cid(), disk.parent_cid()), (9, 7));
            proptest::prop_assert_eq!(disk.parent_hint(), Some("a b.vmdk".to_owned()));
            let plain = |line: &&String| !line.is_empty() && !line.contains('=');
            for line in lines.iter().filter(plain) {
                proptest::prop_assert!(text_of(&disk).lines().any(|kept| kept == line));
            }
        }
    }

    fn text_of(disk: &Descriptor) -> String {
        String::from_utf8_lossy(disk.as_bytes()).into_owned()
    }
}
