//! Character sets of VMware's text files, by the names that VMware writes.
//!
//! The names are ICU's: `UTF-8`, `windows-1252`, `GBK`, `windows-949-2000`. Only sets that leave
//! ASCII alone are known here, so that the grammar of a file can be read as bytes.

use encoding_rs::{BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, WINDOWS_1252};

/// A character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// What we write, and what holds every name.
    pub const UTF_8: Self = Self(UTF_8);
    /// What Windows of western Europe writes; every byte is a character in it.
    pub const WINDOWS_1252: Self = Self(WINDOWS_1252);

    /// Returns the set that VMware calls `label`, or `None` where we do not know it.
    pub fn from_label(label: &str) -> Option<Self> {
        let label = label.trim().to_ascii_lowercase();
        let encoding = by_number(&label).or_else(|| Encoding::for_label(label.as_bytes()))?;
        encoding.is_ascii_compatible().then_some(Self(encoding))
    }

    /// Returns the likely set of text that does not say its own: UTF-8 where `bytes` are that, else
    /// the 8-bit set that fits most files.
    pub fn guess(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(_) => Self::UTF_8,
            Err(_) => Self::WINDOWS_1252,
        }
    }

    /// Returns the name by which VMware knows the set.
    pub fn label(self) -> &'static str {
        match self.0.name() {
            "EUC-KR" => "windows-949-2000",
            name => name,
        }
    }

    /// Decodes `bytes`; what is no character becomes U+FFFD.
    pub fn decode(self, bytes: &[u8]) -> String {
        self.0.decode_without_bom_handling(bytes).0.into_owned()
    }

    /// Decodes `bytes`, or returns `None` where some are no character.
    pub fn decode_exact(self, bytes: &[u8]) -> Option<String> {
        let text = self
            .0
            .decode_without_bom_handling_and_without_replacement(bytes)?;
        Some(text.into_owned())
    }

    /// Encodes `text`, or returns `None` where it does not fit the set.
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        let (bytes, _, unmappable) = self.0.encode(text);
        // Some letters fit and come back as others: the yen sign of Shift_JIS is its backslash.
        let fits = !unmappable && (text.is_ascii() || self.decode(&bytes) == text);
        fits.then(|| bytes.into_owned())
    }
}

/// ICU's names that carry a code page number which the WHATWG labels do not have.
fn by_number(label: &str) -> Option<&'static Encoding> {
    let number = label
        .strip_prefix("windows-")
        .or_else(|| label.strip_prefix("ibm-"))
        .or_else(|| label.strip_prefix("cp"))?;
    let number = number.split(['-', '_']).next()?;
    match number {
        "932" | "942" | "943" => Some(SHIFT_JIS),
        "936" | "1386" => Some(GBK),
        "949" | "1363" => Some(EUC_KR),
        "950" | "1370" | "1373" => Some(BIG5),
        "5346" | "5347" | "5348" | "5349" | "5350" | "5354" => windows(number, 4096),
        "9447" | "9448" | "9449" => windows(number, 8192),
        _ => Encoding::for_label(format!("windows-{number}").as_bytes()),
    }
}

/// IBM numbers its copies of the Windows sets by adding a constant to their number.
fn windows(number: &str, added: u32) -> Option<&'static Encoding> {
    let number = number.parse::<u32>().ok()?.checked_sub(added)?;
    Encoding::for_label(format!("windows-{number}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_names_that_vmware_writes() {
        for (label, text, bytes) in [
            ("UTF-8", "位", &b"\xe4\xbd\x8d"[..]),
            ("windows-1252", "é", b"\xe9"),
            ("GBK", "位", b"\xce\xbb"),
            ("windows-936-2000", "位", b"\xce\xbb"),
            ("windows-949-2000", "한", b"\xc7\xd1"),
            ("windows-1251", "Ж", b"\xc6"),
            ("ibm-5347_P100-1998", "Ж", b"\xc6"),
            ("windows-1256", "ب", b"\xc8"),
            ("Shift_JIS", "表", b"\x95\x5c"),
            ("Big5", "中", b"\xa4\xa4"),
        ] {
            let charset = Charset::from_label(label).unwrap();
            assert_eq!(charset.decode(bytes), text, "{label}");
            assert_eq!(charset.encode(text).unwrap(), bytes, "{label}");
        }
    }

    #[test]
    fn its_own_label_leads_back() {
        for label in ["UTF-8", "GBK", "windows-949-2000", "Shift_JIS", "Big5"] {
            assert_eq!(Charset::from_label(label).unwrap().label(), label);
        }
    }

    #[test]
    fn unknown_and_wide_sets_are_not_taken() {
        for label in ["", "UTF-16", "ISO-2022-JP", "no such set", "windows-"] {
            assert_eq!(Charset::from_label(label), None, "{label}");
        }
    }

    #[test]
    fn text_that_does_not_fit_is_refused() {
        assert_eq!(Charset::WINDOWS_1252.encode("位"), None);
        assert_eq!(Charset::from_label("Shift_JIS").unwrap().encode("¥"), None);
        assert_eq!(Charset::UTF_8.decode_exact(b"\xe9"), None);
    }

    #[test]
    fn guess_prefers_utf8() {
        assert_eq!(Charset::guess("é".as_bytes()), Charset::UTF_8);
        assert_eq!(Charset::guess(b"\xe9"), Charset::WINDOWS_1252);
    }
}
