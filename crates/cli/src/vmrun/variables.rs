//! `vmrun readVariable VMX [KIND] NAME`, `writeVariable VMX [KIND] NAME VALUE`.

use replix::error::escaped;
use replix::guest::{GuestAnswer, GuestCall};
use replix::vm::{Variable, VariableKind};

use super::call::{Answer, Call, Lines, mismatched};
use super::failure::Failure;

/// Where a variable lives.
enum Place {
    Vm(VariableKind),
    Environment,
}

/// Returns where the variable lives, and which word names it. Without a word for it: in the messages
/// between host and guest.
fn place(call: &Call) -> Result<(Place, usize), Failure> {
    let (place, name) = match call.mode(1).as_str() {
        "guestvar" => (Place::Vm(VariableKind::Guest), 2),
        "runtimeconfig" => (Place::Vm(VariableKind::Config), 2),
        "guestenv" => (Place::Environment, 2),
        _ => (Place::Vm(VariableKind::Guest), 1),
    };
    call.require(name, "NAME")?;
    Ok((place, name))
}

/// Prints the value of a variable; an empty line where it has none.
pub(super) fn read(call: &Call) -> Answer {
    let (place, at) = place(call)?;
    let name = call.text(at);
    let value = match place {
        Place::Vm(kind) => call.open()?.read_variable(&Variable { kind, name })?,
        Place::Environment => match call.guest(GuestCall::ReadEnvironment { name })? {
            GuestAnswer::Text(value) => value,
            other => return Err(mismatched(&other)),
        },
    };
    let mut lines = Lines::default();
    // The lines are the value's own; nothing else in it may steer a terminal.
    value.split('\n').for_each(|line| lines.push(escaped(line)));
    Ok(lines)
}

/// Sets a variable; prints nothing.
pub(super) fn write(call: &Call) -> Answer {
    let (place, at) = place(call)?;
    call.require(at + 1, "VALUE")?;
    let (name, value) = (call.text(at), call.text(at + 1));
    match place {
        Place::Vm(kind) => call
            .open()?
            .write_variable(&Variable { kind, name }, &value)?,
        Place::Environment => {
            call.guest(GuestCall::WriteEnvironment { name, value })?;
        }
    }
    Ok(Lines::default())
}
