//! The words of a call of `vmrun`: flags, then the command, then its parameters.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::table::FLAGS;

/// What was typed, as far as the words themselves tell.
#[derive(Debug, PartialEq)]
pub(super) enum Invocation {
    /// Flags at most, no command.
    Bare,
    /// A word where a flag stands that is none, or whose value makes no sense.
    BadFlag(OsString),
    /// `--completions`: what a shell of this name completes by is asked for.
    Completions(OsString),
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
    /// `-gu`: the account in the guest.
    pub(super) user: Option<OsString>,
    /// `-gp`: its password.
    pub(super) password: Option<OsString>,
    /// `--timeout`: how long it may take.
    pub(super) timeout: Option<Duration>,
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
            Some("-gu") => typed.user = value.filter(|name| !name.is_empty()),
            Some("-gp") => typed.password = value,
            Some("--completions") => return Invocation::Completions(value.unwrap_or_default()),
            Some("--timeout") => match value.as_ref().and_then(|value| seconds(value)) {
                Some(limit) => typed.timeout = Some(limit),
                None => return Invocation::BadFlag(word),
            },
            _ => {}
        }
    }
    Invocation::Bare
}

fn seconds(word: &OsStr) -> Option<Duration> {
    let seconds: u32 = word.to_str()?.parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
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
    fn guest_account_and_time_are_kept() {
        let typed = command(&["-gu", "me", "-gp", "pw", "--timeout", "7", "list"]);
        assert_eq!(typed.user, Some("me".into()));
        assert_eq!(typed.password, Some("pw".into()));
        assert_eq!(typed.timeout, Some(Duration::from_secs(7)));
        assert_eq!(command(&["-gu", "", "list"]).user, None);
        for bad in ["", "0", "-1", "soon", "4294967296"] {
            let bad = parsed(&["--timeout", bad, "list"]);
            assert_eq!(bad, Invocation::BadFlag("--timeout".into()));
        }
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
