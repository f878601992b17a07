//! `vmrun runProgramInGuest VMX [options] PROGRAM [ARGUMENTS]`, `runScriptInGuest VMX [options]
//! INTERPRETER TEXT`.

use replix::guest::{GuestAnswer, GuestCall};

use super::call::{Answer, Call, Lines, mismatched};
use super::failure::Failure;

/// The options between the VM and the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    no_wait: bool,
    activate_window: bool,
    interactive: bool,
    /// How many words they are.
    count: usize,
}

impl Options {
    /// Reads them, in any order and spelling.
    fn of(call: &Call) -> Self {
        let mut options = Self::default();
        for word in call.rest(1) {
            match word.to_string_lossy().to_ascii_lowercase().as_str() {
                "-nowait" => options.no_wait = true,
                "-activewindow" | "-activatewindow" => options.activate_window = true,
                "-interactive" => options.interactive = true,
                _ => break,
            }
            options.count += 1;
        }
        options
    }
}

/// Runs a program of the guest; prints nothing, unless it ends badly.
pub(super) fn run(call: &Call) -> Answer {
    let options = Options::of(call);
    let first = 1 + options.count;
    call.require(first, "PROGRAM")?;
    let words = call
        .rest(first + 1)
        .iter()
        .map(|word| word.to_string_lossy());
    let words: Vec<_> = words.collect();
    ask(
        call,
        options,
        GuestCall::RunProgram {
            program: call.text(first),
            arguments: arguments(&words),
            return_immediately: options.no_wait,
            activate_window: options.activate_window,
        },
    )
}

/// Runs a script in the guest; prints nothing, unless it ends badly.
pub(super) fn script(call: &Call) -> Answer {
    let options = Options::of(call);
    let first = 1 + options.count;
    call.require(first, "INTERPRETER")?;
    call.require(first + 1, "TEXT")?;
    ask(
        call,
        options,
        GuestCall::RunScript {
            interpreter: Some(call.text(first)).filter(|program| !program.is_empty()),
            text: call.text(first + 1),
            return_immediately: options.no_wait,
            activate_window: options.activate_window,
        },
    )
}

fn ask(call: &Call, options: Options, what: GuestCall) -> Answer {
    let answer = call.guest_as(call.login(options.interactive), what)?;
    match answer {
        GuestAnswer::Process { exit_code: 0, .. } => Ok(Lines::default()),
        GuestAnswer::Process { exit_code, .. } => {
            let line = format!("Guest program exited with non-zero exit code: {exit_code}");
            let status = u8::try_from(exit_code).unwrap_or(super::FAILED);
            Err(Failure::Answer(line, status))
        }
        other => Err(mismatched(&other)),
    }
}

/// The arguments as the one text that the guest takes apart again.
///
/// A single word goes as it is: VMware's manual has callers write all arguments as one. Of several,
/// those that would fall apart are quoted.
fn arguments<T: AsRef<str>>(words: &[T]) -> String {
    match words {
        [all] => all.as_ref().to_string(),
        words => {
            let words = words.iter().map(|word| quoted(word.as_ref()));
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

fn quoted(word: &str) -> String {
    let is_quoted =
        |quote: char| word.len() > 1 && word.starts_with(quote) && word.ends_with(quote);
    let falls_apart = word.is_empty() || word.contains(char::is_whitespace);
    if !falls_apart || is_quoted('"') || is_quoted('\'') {
        return word.to_string();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stay_apart() {
        assert_eq!(arguments::<&str>(&[]), "");
        assert_eq!(arguments(&["/C dir > x"]), "/C dir > x");
        assert_eq!(arguments(&["-c", "echo hi"]), "-c \"echo hi\"");
        assert_eq!(arguments(&["-c", "'echo hi'"]), "-c 'echo hi'");
        assert_eq!(arguments(&["-e", "", "a \"b\""]), "-e \"\" \"a \\\"b\\\"\"");
        assert_eq!(arguments(&["a", "C:\\x"]), "a C:\\x");
    }
}
