//! Typing on the keyboard of a running VM.

use std::path::Path;
use std::time::Duration;

use qapi::qmp::QKeyCode;

use super::halted::Held;
use crate::error::{Error, Kind, Result};
use crate::job::Job;
use crate::vm::{Env, state};

/// How long a key is held, and how long the next one waits: slow enough for any guest.
const STROKE: Duration = Duration::from_millis(20);

/// Nobody types more in one go.
const MOST: usize = 16 << 10;

/// The keys of an American keyboard that are no letters or digits: what each writes alone and with
/// shift.
const KEYS: [(char, char, QKeyCode); 13] = [
    ('-', '_', QKeyCode::minus),
    ('=', '+', QKeyCode::equal),
    ('[', '{', QKeyCode::bracket_left),
    (']', '}', QKeyCode::bracket_right),
    (';', ':', QKeyCode::semicolon),
    ('\'', '"', QKeyCode::apostrophe),
    ('`', '~', QKeyCode::grave_accent),
    ('\\', '|', QKeyCode::backslash),
    (',', '<', QKeyCode::comma),
    ('.', '>', QKeyCode::dot),
    ('/', '?', QKeyCode::slash),
    ('\n', '\r', QKeyCode::ret),
    ('\t', '\t', QKeyCode::tab),
];

/// Types `text` on the keyboard of the VM at `vmx`.
///
/// # Errors
/// `VmNotRunning`; `Argument` for a character that no key writes: nothing is typed then.
pub(crate) fn type_text(env: &Env, vmx: &Path, text: &str, job: &Job) -> Result<()> {
    let vm = env.open(vmx)?;
    state::read(env, &vm).require_on(vm.vmx())?;
    if text.len() > MOST {
        let text = format!("more than {MOST} bytes cannot be typed at once");
        return Err(Error::new(Kind::Argument, text));
    }
    let strokes: Vec<_> = text.chars().map(stroke).collect::<Result<_>>()?;
    Held::take(env, &vm, job)?.ask(|control| {
        for keys in &strokes {
            job.check()?;
            control.press(keys, STROKE)?;
            // QEMU keeps what is pressed too fast, but not without end.
            std::thread::sleep(2 * STROKE);
        }
        Ok(())
    })
}

/// The keys that are pressed together to write a character.
fn stroke(c: char) -> Result<Vec<QKeyCode>> {
    let letter = c.to_ascii_lowercase();
    if letter.is_ascii_alphanumeric() || c == ' ' {
        let name = if c == ' ' {
            "spc".into()
        } else {
            letter.to_string()
        };
        let key = name.parse().map_err(|()| no_key(c))?;
        return Ok(with_shift(c.is_ascii_uppercase(), key));
    }
    if let Some(digit) = ")!@#$%^&*(".find(c) {
        let key = digit.to_string().parse().map_err(|()| no_key(c))?;
        return Ok(with_shift(true, key));
    }
    let key = KEYS
        .iter()
        .find(|(plain, shifted, _)| [*plain, *shifted].contains(&c));
    let (plain, _, key) = key.ok_or_else(|| no_key(c))?;
    Ok(with_shift(c != *plain && c != '\r', *key))
}

fn with_shift(shift: bool, key: QKeyCode) -> Vec<QKeyCode> {
    match shift {
        true => vec![QKeyCode::shift, key],
        false => vec![key],
    }
}

fn no_key(c: char) -> Error {
    let text = format!(
        "no key of an American keyboard writes {}",
        c.escape_unicode()
    );
    Error::new(Kind::Argument, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_character_has_keys() {
        for byte in (b' '..=b'~').chain(*b"\n\r\t") {
            assert!(stroke(byte.into()).is_ok(), "{}", byte as char);
        }
        for c in ['ä', '\u{1b}', '\0'] {
            assert_eq!(stroke(c).unwrap_err().kind(), Kind::Argument);
        }
    }

    #[test]
    fn shift_is_held_where_needed() {
        let keys = |c| stroke(c).unwrap();
        assert_eq!(keys('a'), [QKeyCode::a]);
        assert_eq!(keys('A'), [QKeyCode::shift, QKeyCode::a]);
        assert_eq!(keys('7'), [QKeyCode::_7]);
        assert_eq!(keys('&'), [QKeyCode::shift, QKeyCode::_7]);
        assert_eq!(keys('?'), [QKeyCode::shift, QKeyCode::slash]);
        assert_eq!(keys('\r'), [QKeyCode::ret]);
    }
}
