//! `vmrun clone VMX DESTVMX full|linked [-snapshot=NAME] [-cloneName=NAME]`.

use std::ffi::OsString;

use replix::clone::{CloneKind, CloneSpec};
use replix::snapshot::SnapshotRef;
use replix::{Error, Kind};

use super::call::{Answer, Call, Lines};
use super::failure::Failure;

/// What may stand behind the mode.
#[derive(Debug, Default, PartialEq)]
struct Args {
    snapshot: Option<String>,
    name: Option<String>,
}

/// Clones a VM; prints nothing.
pub(super) fn run(call: &Call) -> Answer {
    let kind = parse_kind(&call.mode(2))?;
    let args = parse(call.rest(3))?;
    let vm = call.open()?;
    let spec = CloneSpec {
        snapshot: args.snapshot.clone().map(SnapshotRef::Name),
        name: args.name,
        ..CloneSpec::new(kind, call.path(1)?)
    };
    match call.finish(|| vm.clone_to(spec)) {
        Ok(_) => Ok(Lines::default()),
        Err(Failure::Engine(error)) => Err(failure(error, args.snapshot)),
        Err(failure) => Err(failure),
    }
}

fn parse_kind(word: &str) -> Result<CloneKind, Failure> {
    match word {
        "full" => Ok(CloneKind::Full),
        "linked" => Ok(CloneKind::Linked),
        _ => Err(Failure::said(format!(
            "The clone type must be full or linked, not '{word}'"
        ))),
    }
}

/// Reads the options in the three spellings that callers use: `-snapshot=NAME`, `-snapshot NAME`
/// and, for the snapshot, a bare `NAME`. Words beyond are ignored, as everywhere in `vmrun`.
fn parse(words: &[OsString]) -> Result<Args, Failure> {
    let mut args = Args::default();
    let mut bare = None;
    let mut words = words.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        let (option, joined) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value.to_string())),
            None => (&*word, None),
        };
        let place = match option.to_ascii_lowercase().as_str() {
            "-snapshot" => &mut args.snapshot,
            "-clonename" => &mut args.name,
            _ => {
                if bare.is_none() && !word.is_empty() && !word.starts_with('-') {
                    bare = Some(word.into_owned());
                }
                continue;
            }
        };
        let value = joined.or_else(|| words.next().map(|value| value.into_owned()));
        let missing = || Failure::said(format!("The value of {option} is missing"));
        *place = Some(value.ok_or_else(missing)?);
    }
    args.snapshot = args.snapshot.or(bare);
    args.name = args.name.filter(|name| !name.is_empty());
    Ok(args)
}

/// An unknown snapshot has words of its own here.
fn failure(error: Error, snapshot: Option<String>) -> Failure {
    match snapshot {
        Some(name) if error.kind() == Kind::SnapshotNotFound => {
            Failure::said(format!("Invalid snapshot name '{name}'"))
        }
        _ => Failure::Engine(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> (Option<String>, Option<String>) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let args = parse(&words).unwrap_or_else(|_| panic!("{words:?} is refused"));
        (args.snapshot, args.name)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_string())
    }

    #[test]
    fn three_spellings_mean_the_same() {
        let meant = (some("my base"), some("web 1"));
        assert_eq!(parsed(&["-snapshot=my base", "-cloneName=web 1"]), meant);
        assert_eq!(
            parsed(&["-cloneName", "web 1", "-snapshot", "my base"]),
            meant
        );
        assert_eq!(parsed(&["my base", "-clonename=web 1"]), meant);
        assert_eq!(parsed(&["-cloneName=web 1", "my base"]), meant);
    }

    #[test]
    fn value_may_hold_anything() {
        assert_eq!(parsed(&["-snapshot=a=b"]), (some("a=b"), None));
        assert_eq!(parsed(&["-snapshot", "-cloneName"]).0, some("-cloneName"));
    }

    #[test]
    fn superfluous_words_are_ignored() {
        assert_eq!(parsed(&[]), (None, None));
        assert_eq!(parsed(&["", "-x", "a", "b"]), (some("a"), None));
        assert_eq!(parsed(&["a", "-snapshot=b"]), (some("b"), None));
        assert_eq!(parsed(&["-cloneName="]), (None, None));
    }

    #[test]
    fn option_without_value_is_refused() {
        assert!(parse(&["-snapshot".into()]).is_err());
    }
}
