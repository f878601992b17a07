//! The supplementary configuration `.vmxf`: a few lines of XML with an id of the VM and the name of
//! its `.vmx`.
//!
//! Only these two values are read and edited, where they stand; everything else stays as it is. No
//! XML library is needed for that, nor would one keep the bytes.

use std::ops::Range;

use super::{LineEnd, Malformed, Place};

const ID: &str = "VMId";
const PATH: &str = "vmxPathName";

/// A `.vmxf` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmxf {
    text: Vec<u8>,
}

impl Vmxf {
    /// Returns a new file, as a clone has it: `vm_id` in VMware's form of a uuid, `vmx_name` the
    /// file name of the configuration.
    pub fn new(vm_id: &str, vmx_name: &str, line_end: LineEnd) -> Self {
        let lines = [
            "<?xml version=\"1.0\"?>".into(),
            "<Foundry>".into(),
            "<VM>".into(),
            "<ClientMetaData>".into(),
            "<clientMetaDataAttributes/>".into(),
            "<HistoryEventList/></ClientMetaData>".into(),
            format!("<{ID} type=\"string\">{}</{ID}>", escape(vm_id)),
            format!(
                "<{PATH} type=\"string\">{}</{PATH}></VM></Foundry>",
                escape(vmx_name)
            ),
        ];
        let text = lines.map(|line| line + line_end.as_str()).concat();
        Self {
            text: text.into_bytes(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What has no `Foundry` element is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.contains(&0) || find(bytes, b"<Foundry", 0).is_none() {
            let what = "this is no supplementary configuration: it has no element Foundry";
            return Err(Malformed::new(Place::Whole, what));
        }
        Ok(Self {
            text: bytes.to_vec(),
        })
    }

    /// Returns the file's bytes: those that were read, but for what was edited.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.text.clone()
    }

    /// Returns the id, as written.
    pub fn vm_id(&self) -> Option<String> {
        self.get(ID)
    }

    /// Returns the name of the configuration.
    pub fn vmx_name(&self) -> Option<String> {
        self.get(PATH)
    }

    /// Replaces the id; `false` where the file has none.
    pub fn set_vm_id(&mut self, id: &str) -> bool {
        self.set(ID, id)
    }

    /// Replaces the name of the configuration; `false` where the file has none.
    pub fn set_vmx_name(&mut self, name: &str) -> bool {
        self.set(PATH, name)
    }

    fn get(&self, element: &str) -> Option<String> {
        let place = content_of(&self.text, element)?;
        let text = String::from_utf8_lossy(&self.text[place]);
        Some(once_more(unescape(&text)))
    }

    fn set(&mut self, element: &str, value: &str) -> bool {
        let Some(place) = content_of(&self.text, element) else {
            return false;
        };
        self.text.splice(place, escape(value).into_bytes());
        true
    }
}

/// Returns where the text of the first `element` stands.
fn content_of(text: &[u8], element: &str) -> Option<Range<usize>> {
    let open = format!("<{element}");
    let mut from = 0;
    loop {
        let name_end = find(text, open.as_bytes(), from)? + open.len();
        if matches!(
            text.get(name_end),
            Some(b'>' | b' ' | b'\t' | b'\r' | b'\n')
        ) {
            let start = find(text, b">", name_end)? + 1;
            let end = find(text, format!("</{element}>").as_bytes(), start)?;
            return Some(start..end);
        }
        from = name_end;
    }
}

fn find(text: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let place = text[from..].windows(what.len()).position(|w| w == what)?;
    Some(from + place)
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match entity(rest) {
            Some((c, len)) => {
                out.push(c);
                rest = &rest[len..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

/// Reads the entity at the start of `text`; returns the letter and the length of the entity.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(12).position(|b| b == b';')?;
    let c = match &text[1..end] {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((c, end + 1))
}

/// Some products escape names twice, byte by byte of UTF-8: what still holds entities is read once
/// more, as bytes.
fn once_more(text: String) -> String {
    if !text.contains("&#") {
        return text;
    }
    let again = unescape(&text);
    let bytes: Option<Vec<u8>> = again.chars().map(|c| u8::try_from(c).ok()).collect();
    let decoded = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.unwrap_or(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID_TEXT: &str = "52 cc eb 4d b4 c1 ce cc-e3 c8 e6 63 a8 43 4b ca";

    #[test]
    fn new_file_reads_back() {
        let file = Vmxf::new(ID_TEXT, "a & b.vmx", LineEnd::CrLf);
        let again = Vmxf::parse(&file.to_bytes()).unwrap();
        assert_eq!(again.vm_id().as_deref(), Some(ID_TEXT));
        assert_eq!(again.vmx_name().as_deref(), Some("a & b.vmx"));
        let text = String::from_utf8(file.to_bytes()).unwrap();
        assert!(text.starts_with("<?xml version=\"1.0\"?>\r\n<Foundry>\r\n"));
        assert!(text.ends_with(">a &amp; b.vmx</vmxPathName></VM></Foundry>\r\n"));
    }

    #[test]
    fn edit_touches_the_values_only() {
        let text = "<?xml?>\n<Foundry>\n <VMIdle/><VMId\ttype=\"string\">52</VMId>\n \
                    <vmxPathName>a.vmx</vmxPathName><tools-manifest x=\"y\"/></Foundry>";
        let mut file = Vmxf::parse(text.as_bytes()).unwrap();
        assert!(file.set_vm_id("53") && file.set_vmx_name("b<.vmx"));
        let expected = text
            .replace(">52<", ">53<")
            .replace(">a.vmx<", ">b&lt;.vmx<");
        assert_eq!(file.to_bytes(), expected.as_bytes());
    }

    #[test]
    fn names_escaped_twice_are_read() {
        let text = "<Foundry><vmxPathName>&amp;#xC3;&amp;#xA4;.vmx</vmxPathName></Foundry>";
        let file = Vmxf::parse(text.as_bytes()).unwrap();
        assert_eq!(file.vmx_name().as_deref(), Some("ä.vmx"));
        let text = text.replace("&amp;#xC3;", "");
        let text = text.replace("A4", "E4");
        let file = Vmxf::parse(text.as_bytes()).unwrap();
        assert_eq!(file.vmx_name().as_deref(), Some("ä.vmx"));
    }

    #[test]
    fn odd_entities_stay() {
        assert_eq!(
            unescape("a & b &nope; &#xFFFFFF; &#65;"),
            "a & b &nope; &#xFFFFFF; A"
        );
        assert_eq!(unescape("&é;&"), "&é;&");
    }

    #[test]
    fn other_files_are_refused() {
        assert!(Vmxf::parse(b"").is_err());
        assert!(Vmxf::parse(b"<html></html>").is_err());
        let mut bare = Vmxf::parse(b"<Foundry><VMId").unwrap();
        assert_eq!(bare.vm_id(), None);
        assert!(!bare.set_vm_id("52"));
    }
}
