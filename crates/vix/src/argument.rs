//! Arguments as clients send them, and what is asked of them.

use std::path::PathBuf;

use crate::constants::*;
use crate::error::{Fault, Result};
use crate::table::Handle;

/// A string as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// None was given.
    Null,
    /// A text; it may be empty.
    Some(String),
    /// Bytes that are no UTF-8.
    Malformed,
}

impl Text {
    /// Returns a text that may be empty, but must be given.
    ///
    /// # Errors
    /// `VIX_E_INVALID_ARG`, `VIX_E_INVALID_UTF8_STRING`.
    pub fn given(self) -> Result<String> {
        self.optional()?.ok_or_else(|| VIX_E_INVALID_ARG.into())
    }

    /// Returns a text that must be given and say something.
    ///
    /// # Errors
    /// `VIX_E_INVALID_ARG`, `VIX_E_INVALID_UTF8_STRING`.
    pub(crate) fn required(self) -> Result<String> {
        let text = self.given()?;
        match text.is_empty() {
            true => Err(VIX_E_INVALID_ARG.into()),
            false => Ok(text),
        }
    }

    /// Returns a path that must be given.
    ///
    /// # Errors
    /// As [`Text::required`].
    pub(crate) fn path(self) -> Result<PathBuf> {
        Ok(self.required()?.into())
    }

    /// Returns a text that may be missing.
    ///
    /// # Errors
    /// `VIX_E_INVALID_UTF8_STRING`.
    pub(crate) fn optional(self) -> Result<Option<String>> {
        match self {
            Self::Null => Ok(None),
            Self::Some(text) => Ok(Some(text)),
            Self::Malformed => Err(VIX_E_INVALID_UTF8_STRING.into()),
        }
    }
}

/// Accepts options with no other bits than `known`.
///
/// # Errors
/// `VIX_E_INVALID_ARG`.
pub(crate) fn options(options: i32, known: i32) -> Result<()> {
    match options & !known {
        0 => Ok(()),
        _ => refuse(format!("options {options} are not known here")),
    }
}

/// Accepts no property list.
///
/// # Errors
/// `VIX_E_INVALID_ARG`.
pub(crate) fn no_list(list: Handle) -> Result<()> {
    match list {
        VIX_INVALID_HANDLE => Ok(()),
        _ => refuse("the property list must be VIX_INVALID_HANDLE"),
    }
}

/// Refuses an argument, in these words.
///
/// # Errors
/// `VIX_E_INVALID_ARG`, always.
pub(crate) fn refuse<T>(words: impl Into<String>) -> Result<T> {
    Err(Fault::new(VIX_E_INVALID_ARG, words))
}
