//! The environment of the guest's programs: the account's own, and what was written for all of them.
//!
//! What is written lasts until the guest reboots and is seen by what is run from outside, as with
//! VMware on systems that know no environment of the machine. It stands in a file of the guest that
//! only its superuser writes; the last entry of a name counts.

use std::collections::BTreeMap;

use super::session::Session;
use crate::error::{Error, Kind, Result, escaped, quoted};

/// No program begins with more: a quarter of the usual stack.
const MOST: usize = 2 << 20;

const READ: &str = r#"[ ! -e /run/replix-environment ] || exec cat /run/replix-environment"#;

const WRITE: &str = r#"
umask 022
[ -e /run/replix-environment ] || mkdir -p /run || exit 1
exec tee -a /run/replix-environment >/dev/null
"#;

impl Session<'_> {
    /// Returns the environment in which a program begins.
    ///
    /// # Errors
    /// Those of [`Session::script`].
    pub(super) fn environment(&self) -> Result<Vec<String>> {
        let out = self.script(READ, &[])?;
        let written = String::from_utf8_lossy(&out);
        merge(&self.account.environment(), &written).ok_or_else(|| {
            let vmx = self.agent.vmx();
            let text = format!(
                "the environment of the guest of {} does not end",
                quoted(vmx)
            );
            Error::new(Kind::Io, text).at(vmx)
        })
    }
}

/// Returns the account's own variables with those that were `written`; `None` where they are too many.
pub(super) fn merge(own: &[String], written: &str) -> Option<Vec<String>> {
    let written = written.split('\0').filter(|entry| entry.contains('='));
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    let mut bytes = 0;
    for entry in own.iter().map(String::as_str).chain(written) {
        let name = entry.split_inclusive('=').next().unwrap_or_default();
        let old = last.insert(name, entry);
        bytes = bytes + entry.len() - old.map_or(0, str::len);
        if bytes > MOST {
            return None;
        }
    }
    Some(last.into_values().map(str::to_string).collect())
}

/// Returns the value of a variable, empty where there is none.
///
/// # Errors
/// `Argument`; those of [`Session::script`].
pub(super) fn read(session: &Session, name: &str) -> Result<String> {
    let prefix = format!("{}=", checked(name)?);
    let all = session.environment()?;
    let value = all.iter().find_map(|entry| entry.strip_prefix(&prefix));
    Ok(value.unwrap_or_default().to_string())
}

/// Sets a variable for all that is run from outside until the guest reboots.
///
/// # Errors
/// `Argument`; `GuestPermission` for all but the superuser.
pub(super) fn write(session: &Session, name: &str, value: &str) -> Result<()> {
    if value.contains('\0') {
        return Err(Error::new(Kind::Argument, "a value has a NUL in it"));
    }
    let entry = format!("{}={value}\0", checked(name)?);
    if session.account.uid != 0 {
        let text = "only the superuser of the guest changes the environment of all";
        return Err(Error::new(Kind::GuestPermission, text).at(session.agent.vmx()));
    }
    session.script_fed(WRITE, &[], entry.into_bytes()).map(drop)
}

fn checked(name: &str) -> Result<&str> {
    if name.is_empty() || name.contains(['=', '\0']) {
        let text = format!("no variable can be called \"{}\"", escaped(name));
        return Err(Error::new(Kind::Argument, text));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_entry_of_a_name_counts() {
        let own = vec!["HOME=/root".to_string(), "PATH=/bin".to_string()];
        let merged = merge(&own, "A=1\0PATH=/x\0nonsense\0A==2\0B=").unwrap();
        assert_eq!(merged, ["A==2", "B=", "HOME=/root", "PATH=/x"]);
    }

    #[test]
    fn as_many_variables_as_a_guest_likes_are_read_at_once_and_refused() {
        let many: String = (0..400_000).map(|n| format!("{n}=\0")).collect();
        assert_eq!(merge(&[], &many), None);
        let same = "A=1\0".repeat(2_000_000);
        assert_eq!(merge(&[], &same).unwrap(), ["A=1"]);
    }
}
