//! Texts of errors.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::sync::LazyLock;

use vix::constants::ERRORS;
use vix::error::text;

use crate::guard::guarded;
use crate::types::{ClientText, VixError};

/// A code that no error has.
const NO_CODE: u64 = 0xffff;

/// The texts as C takes them, for as long as the process runs.
static TEXTS: LazyLock<BTreeMap<&'static str, CString>> = LazyLock::new(|| {
    let codes = ERRORS.iter().map(|row| row.code).chain([NO_CODE]);
    let texts = codes.map(text);
    texts
        .filter_map(|text| Some((text, CString::new(text).ok()?)))
        .collect()
});

/// Says what an error means; never null.
#[unsafe(no_mangle)]
pub extern "C" fn Vix_GetErrorText(err: VixError, _locale: ClientText) -> *const c_char {
    guarded(c"".as_ptr(), || match TEXTS.get(text(err)) {
        Some(text) => text.as_ptr(),
        None => c"".as_ptr(),
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::ptr::null;

    use super::*;

    fn said(err: VixError) -> &'static str {
        // SAFETY: null is allowed.
        let start = Vix_GetErrorText(err, unsafe { ClientText::new(null()) });
        // SAFETY: the text is a C string that lives as long as the process.
        unsafe { CStr::from_ptr(start) }.to_str().unwrap()
    }

    #[test]
    fn every_code_is_told_in_its_own_words() {
        for row in ERRORS {
            assert_eq!(said(row.code), row.text, "{}", row.name);
            assert_eq!(said(row.code | 7 << 32), row.text, "{}", row.name);
        }
        assert!(!said(NO_CODE).is_empty());
        assert!(!said(u64::MAX).is_empty());
    }
}
