//! The character set of a descriptor: one function each way, so that they can be replaced.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Returns the text of `bytes`, written in the set called `label`.
///
/// Without a label it is UTF-8 or, where it cannot be, Windows' western set. A set that is not
/// known is taken as its 7-bit part plus replacement characters.
pub(super) fn decode<'a>(label: Option<&str>, bytes: &'a [u8]) -> Cow<'a, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && (text.is_ascii() || label.is_none())
    {
        return Cow::Borrowed(text);
    }
    let set = label.map_or(WINDOWS_1252, |label| find(label).unwrap_or(UTF_8));
    set.decode_without_bom_handling(bytes).0
}

/// Returns the bytes of `text` in the set called `label`, or `None` where it cannot say it all.
pub(super) fn encode(label: Option<&str>, text: &str) -> Option<Vec<u8>> {
    if text.is_ascii() {
        return Some(text.as_bytes().to_vec());
    }
    let (bytes, _, lossy) = label.map_or(Some(UTF_8), find)?.encode(text);
    (!lossy).then(|| bytes.into_owned())
}

/// Finds a set by the names that VMware writes (those of ICU).
fn find(label: &str) -> Option<&'static Encoding> {
    let label = match label.to_ascii_lowercase() {
        name if name.starts_with("windows-949") => "euc-kr".to_owned(),
        name if name.starts_with("windows-936") => "gbk".to_owned(),
        name => name,
    };
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gbk_text_comes_back_equal() {
        let bytes = encode(Some("GBK"), "虚拟机.vmdk").unwrap();
        assert_ne!(bytes, "虚拟机.vmdk".as_bytes());
        assert_eq!(decode(Some("GBK"), &bytes), "虚拟机.vmdk");
    }

    #[test]
    fn korean_set_is_found_by_its_icu_name() {
        assert!(find("windows-949-2000").is_some());
    }

    #[test]
    fn text_outside_the_set_is_refused() {
        assert_eq!(encode(Some("windows-1252"), "虚"), None);
    }
}
