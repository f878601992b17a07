//! The words of a call of `vmrun`: flags, then the command, then its parameters.

use std::ffi::OsString;

use super::table::FLAGS;

/// What was typed, as far as the words themselves tell.
#[derive(Debug, PartialEq)]
pub(super) enum Invocation {
    /// Flags at most, no command.
    Bare,
    /// A word where a flag stands that is none.
    BadFlag(OsString),
    /// A command.
    Command(Typed),
}

/// A command as it was typed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Typed {
    /// The word for the command.
    pub(super) command: OsString,
    /// The words behind it.
    pub(super) words: Vec<OsString>,
    /// `-h`: the host that is to do it.
    pub(super) host: Option<OsString>,
    /// Whether `-vp` gave a password for an encrypted VM.
    pub(super) with_password: bool,
}

/// Takes the words apart.
///
/// Every flag takes the word after it, whatever that is: callers write `-gu  -gp  start`, with
/// user and password left out.
pub(super) fn parse(words: impl IntoIterator<Item = OsString>) -> Invocation {
    let mut words = words.into_iter();
    let mut typed = Typed::default();
    while let Some(word) = words.next() {
        if !word.as_encoded_bytes().starts_with(b"-") {
            typed.command = word;
            typed.words = words.collect();
            return Invocation::Command(typed);
        }
        if !FLAGS.iter().any(|flag| word == flag.word) {
            return Invocation::BadFlag(word);
        }
        let value = words.next();
        match word.to_str() {
            Some("-h") => typed.host = value,
            Some("-vp") => typed.with_password = value.is_some(),
            _ => {}
        }
    }
    Invocation::Bare
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Invocation {
        parse(words.iter().map(OsString::from))
    }

    fn command(words: &[&str]) -> Typed {
        match parsed(words) {
            Invocation::Command(typed) => typed,
            other => panic!("no command in {words:?}: {other:?}"),
        }
    }

    #[test]
    fn flags_stand_before_the_command() {
        let typed = command(&["-T", "ws", "-gu", "me", "-gp", "pw", "stop", "a.vmx", "-h"]);
        assert_eq!(typed.command, "stop");
        assert_eq!(typed.words, ["a.vmx", "-h"]);
        assert_eq!(typed.host, None);
    }

    #[test]
    fn flag_takes_a_word_that_looks_like_a_flag() {
        let typed = command(&["-T", "ws", "-gu", "-gp", "start", "a.vmx"]);
        assert_eq!(typed.command, "start");
    }

    #[test]
    fn host_and_password_are_kept() {
        let typed = command(&["-h", "https://esx/sdk", "-vp", "", "list"]);
        assert_eq!(typed.host, Some("https://esx/sdk".into()));
        assert!(typed.with_password);
    }

    #[test]
    fn unknown_flag_is_no_command() {
        assert_eq!(parsed(&["--help"]), Invocation::BadFlag("--help".into()));
        assert_eq!(
            parsed(&["-T", "ws", "-t", "x"]),
            Invocation::BadFlag("-t".into())
        );
    }

    #[test]
    fn flags_alone_are_no_command() {
        assert_eq!(parsed(&[]), Invocation::Bare);
        assert_eq!(parsed(&["-T"]), Invocation::Bare);
        assert_eq!(parsed(&["-T", "ws"]), Invocation::Bare);
    }
}
