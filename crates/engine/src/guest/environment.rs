//! The environment of the guest's programs: the account's own, and what was written for all of them.
//!
//! What is written lasts until the guest reboots and is seen by what is run from outside, as with
//! VMware on systems that know no environment of the machine. It stands in a file of the guest that
//! only its superuser writes; the last entry of a name counts.

use super::session::Session;
use crate::error::{Error, Kind, Result, escaped};

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
        let mut all = self.account.environment();
        let out = self.script(READ, &[])?;
        let written = String::from_utf8_lossy(&out);
        for entry in written.split('\0').filter(|entry| entry.contains('=')) {
            let name = entry.split_inclusive('=').next().unwrap_or_default();
            all.retain(|one| !one.starts_with(name));
            all.push(entry.to_string());
        }
        Ok(all)
    }
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
/// `Argument`; `Denied` for all but the superuser.
pub(super) fn write(session: &Session, name: &str, value: &str) -> Result<()> {
    if value.contains('\0') {
        return Err(Error::new(Kind::Argument, "a value has a NUL in it"));
    }
    let entry = format!("{}={value}\0", checked(name)?);
    if session.account.uid != 0 {
        let text = "only the superuser of the guest changes the environment of all";
        return Err(Error::new(Kind::Denied, text).at(session.agent.vmx()));
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
