//! Variables of a VM: what its configuration holds, below what was written since it was powered on.
//!
//! What was written stands in the folder of the running VM: every process of the user sees it there,
//! and it goes with the machine. A guest variable is the entry `guestinfo.NAME` of the configuration;
//! `ip`, which VMware Tools write otherwise, is the address that the guest has on a network of this host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::address;
use super::runtime::{Runtime, require_running};
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::store::{LockMode, Store, read_small, replace};
use crate::vm::{Env, Variable, VariableKind, VmLock};

/// All variables of a VM take no more.
const LIMIT: u64 = 16 << 20;

/// Values by names in lower case.
type Written = BTreeMap<String, String>;

/// Returns the value of a variable of the VM at `vmx`; empty where it has none.
///
/// # Errors
/// `VmNotRunning` for a guest variable; `Argument`.
pub(crate) fn read_variable(env: &Env, vmx: &Path, variable: &Variable) -> Result<String> {
    let name = entry_name(variable)?;
    let store = &*env.store;
    let vm = env.open(vmx)?;
    let runtime = Runtime::of(vm.vmx());
    let guest = variable.kind == VariableKind::Guest;
    let record = guest.then(|| require_running(env, &vm)).transpose()?;
    let written = match runtime.record(store) {
        Some(_) => read(store, &runtime)?.remove(&name),
        None => None,
    };
    let stored = || vm.config.dict().get(&name);
    match (written.or_else(stored), record) {
        (None, Some(record)) if name == "guestinfo.ip" => {
            let address = address::find(env, &vm, record)?;
            Ok(address.map_or(String::new(), |address| address.to_string()))
        }
        (value, _) => Ok(value.unwrap_or_default()),
    }
}

/// Gives a variable of the VM at `vmx` a value.
///
/// # Errors
/// `VmNotRunning`; `Argument`.
pub(crate) fn write_variable(
    env: &Env,
    vmx: &Path,
    variable: &Variable,
    value: &str,
) -> Result<()> {
    let name = entry_name(variable)?;
    if value.contains('=') {
        let text = format!(
            "a variable cannot be \"{}\": it has a \"=\"",
            escaped(value)
        );
        return Err(Error::new(Kind::Argument, text));
    }
    let vm = env.open(vmx)?;
    let record = require_running(env, &vm)?;
    let runtime = Runtime::of(vm.vmx());
    put(env, &runtime, name, value).map_err(|error| record.explain(error))
}

fn put(env: &Env, runtime: &Runtime, name: String, value: &str) -> Result<()> {
    let store = &*env.store;
    let patience = env.settings.patience;
    let mode = LockMode::Exclusive;
    let _alone = VmLock::acquire(store, &runtime.dir, mode, &Job::new(), patience)?;
    let mut written = read(store, runtime)?;
    written.insert(name, value.to_owned());
    let bytes = serde_json::to_vec(&written)
        .map_err(|error| Error::new(Kind::Internal, format!("variables of a VM: {error}")))?;
    if bytes.len() as u64 > LIMIT {
        let text = format!("the variables of a VM would take more than {LIMIT} bytes");
        return Err(Error::new(Kind::Argument, text));
    }
    replace(store, &file(runtime), &bytes)
}

/// What the configuration calls the variable, in lower case.
fn entry_name(variable: &Variable) -> Result<String> {
    let name = &variable.name;
    let guest = variable.kind == VariableKind::Guest;
    if name.is_empty() || guest && name.contains('/') {
        let text = format!("no variable can be called \"{}\"", escaped(name));
        return Err(Error::new(Kind::Argument, text));
    }
    let prefix = if guest { "guestinfo." } else { "" };
    Ok(format!("{prefix}{name}").to_ascii_lowercase())
}

fn file(runtime: &Runtime) -> PathBuf {
    runtime.dir.join("variables")
}

fn read(store: &dyn Store, runtime: &Runtime) -> Result<Written> {
    let file = file(runtime);
    let bytes = match read_small(store, &file, LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == Kind::FileNotFound => return Ok(Written::new()),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        let text = format!("{} holds no variables: {error}", quoted(&file));
        Error::new(Kind::Internal, text).at(&file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: VariableKind, name: &str) -> Option<String> {
        let name = name.into();
        entry_name(&Variable { kind, name }).ok()
    }

    #[test]
    fn guest_variables_are_entries_of_the_configuration() {
        let guest = |text| name(VariableKind::Guest, text);
        let config = |text| name(VariableKind::Config, text);
        assert_eq!(guest("My.Ip"), config("GUESTINFO.my.ip"));
        assert_eq!(guest("a/b"), None);
        assert_eq!(config("a/b").as_deref(), Some("a/b"));
        assert_eq!((guest(""), config("")), (None, None));
    }
}
