//! The list of registered VMs: a file of ours, in the dictionary text of VMware's `inventory.vmls`.
//!
//! `vmlistN.config` is the path of a VM, `vmlistN.DisplayName` the name that it had when it was
//! registered. VMware's own list is neither read nor written.
//!
//! Source of the form: `inventory.vmls` of Workstation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result, quoted};
use crate::format::{Dictionary, LineEnd};
use crate::job::Job;
use crate::power;
use crate::store::{FileKind, LockMode, create_dirs, folder_of, read_small, replace};
use crate::vm::{Env, PowerState, VmLock};

/// No list is larger: one of 50,000 VMs is not.
const LIMIT: u64 = 16 << 20;

/// Puts the VM at `vmx` into the list.
///
/// # Errors
/// As `host::Provider::register` says.
pub(super) fn register(env: &Env, vmx: &Path) -> Result<()> {
    let vm = env.open(vmx)?;
    let path = vm.vmx().to_str().ok_or_else(|| {
        let text = format!("{} cannot be listed: its path is no text", quoted(vm.vmx()));
        Error::new(Kind::FileName, text).at(vm.vmx())
    })?;
    let file = file(env)?;
    create_dirs(&*env.store, folder_of(&file))?;
    change(env, &file, |list| {
        let listed = entries(list);
        if listed.values().any(|other| other == path) {
            return Ok(false);
        }
        let last = listed.last_key_value().map_or(0, |(number, _)| *number);
        let number = last.checked_add(1).ok_or_else(|| {
            Error::new(Kind::BadConfig, format!("{} is full", quoted(&file))).at(&file)
        })?;
        list.set(&format!("vmlist{number}.config"), path);
        list.set(&format!("vmlist{number}.DisplayName"), &vm.display_name());
        Ok(true)
    })
}

/// Takes the VM at `vmx`, which need not be there any more, out of the list.
///
/// # Errors
/// As `host::Provider::unregister` says.
pub(super) fn unregister(env: &Env, vmx: &Path) -> Result<()> {
    if let Ok(vm) = env.open(vmx) {
        let state = power::state(env, &vm);
        let runs = [PowerState::On, PowerState::Paused, PowerState::Foreign];
        if runs.contains(&state.state) {
            state.refusal(vm.vmx(), true).map_or(Ok(()), Err)?;
        }
    }
    remove(env, &true_path(env, vmx))
}

/// Takes the VM whose true path is or was `vmx` out of the list.
///
/// # Errors
/// `BadConfig` where the list makes no sense; what the system says.
pub(super) fn remove(env: &Env, vmx: &Path) -> Result<()> {
    let Some(file) = file(env).ok().filter(|file| env.store.exists(file)) else {
        return Ok(());
    };
    change(env, &file, |list| {
        let listed = entries(list);
        let gone = listed.iter().filter(|(_, path)| vmx == Path::new(path));
        let gone: Vec<String> = gone.map(|(n, _)| format!("vmlist{n}.")).collect();
        list.remove_matching(|name| gone.iter().any(|prefix| name.starts_with(prefix)));
        Ok(!gone.is_empty())
    })
}

/// Returns the VMs of the list that are still there.
///
/// # Errors
/// `BadConfig` where the list makes no sense; what the system says.
pub(super) fn list(env: &Env) -> Result<Vec<PathBuf>> {
    let is_there = |path: &PathBuf| {
        let meta = env.store.meta(path);
        path.is_absolute() && meta.is_ok_and(|meta| meta.kind == FileKind::File)
    };
    let Ok(file) = file(env) else {
        return Ok(Vec::new());
    };
    let listed = entries(&read(env, &file)?).into_values();
    Ok(listed.map(PathBuf::from).filter(is_there).collect())
}

/// Changes the list; `edit` says whether it did.
fn change(
    env: &Env,
    file: &Path,
    edit: impl FnOnce(&mut Dictionary) -> Result<bool>,
) -> Result<()> {
    let (store, patience) = (&*env.store, env.settings.patience);
    let mode = LockMode::Exclusive;
    let _alone = VmLock::acquire(store, folder_of(file), mode, &Job::new(), patience)?;
    let mut list = read(env, file)?;
    match edit(&mut list)? {
        true => replace(store, file, &list.to_bytes()),
        false => Ok(()),
    }
}

fn read(env: &Env, file: &Path) -> Result<Dictionary> {
    match read_small(&*env.store, file, LIMIT) {
        Ok(bytes) if bytes.is_empty() => Ok(Dictionary::new(LineEnd::Lf)),
        Ok(bytes) => Dictionary::parse(&bytes).map_err(|m| m.in_file(Kind::BadConfig, file)),
        Err(error) if error.kind() == Kind::FileNotFound => Ok(Dictionary::new(LineEnd::Lf)),
        Err(error) => Err(error),
    }
}

/// The paths in a list by their numbers. An empty one is an entry that was taken out.
fn entries(list: &Dictionary) -> BTreeMap<u32, String> {
    let names = list.names().filter_map(|name| {
        let number = name.strip_prefix("vmlist")?.strip_suffix(".config")?;
        Some((number.parse().ok()?, list.get_filled(name)?))
    });
    names.collect()
}

/// Where the list is: as the settings say, else with the user's other state (XDG base directories).
fn file(env: &Env) -> Result<PathBuf> {
    let from = |name, below: &str| {
        let folder = PathBuf::from(std::env::var_os(name)?);
        folder.is_absolute().then(|| folder.join(below))
    };
    let set = env.settings.inventory.clone();
    set.or_else(|| from("XDG_STATE_HOME", "replix/inventory.vmls"))
        .or_else(|| from("HOME", ".local/state/replix/inventory.vmls"))
        .ok_or_else(|| {
            let text = "there is no place for a list of VMs: this user has no home";
            Error::new(Kind::NotSupported, text).hint("name one in the settings: inventory.file")
        })
}

/// The path by which a VM is listed; of one that is gone, as far as its folder tells.
fn true_path(env: &Env, vmx: &Path) -> PathBuf {
    let real = |path| env.store.canonical(path).ok();
    let by_folder = || Some(real(folder_of(vmx))?.join(vmx.file_name()?));
    let found = real(vmx).or_else(by_folder);
    found.unwrap_or_else(|| vmx.to_path_buf())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Mem, write_new};
    use crate::vm::Settings;

    fn env(list: Option<&str>) -> Env {
        let store = Mem::new();
        for name in ["a", "b", "c"] {
            let vmx = PathBuf::from(format!("/v/{name}.vmx"));
            create_dirs(&store, folder_of(&vmx)).unwrap();
            let text = format!("displayName = \"The {name}\"\n");
            write_new(&store, &vmx, text.as_bytes()).unwrap();
        }
        if let Some(list) = list {
            create_dirs(&store, Path::new("/state/replix")).unwrap();
            let file = Path::new("/state/replix/list");
            write_new(&store, file, list.as_bytes()).unwrap();
        }
        Env {
            store: Arc::new(store),
            settings: Settings {
                inventory: Some("/state/replix/list".into()),
                ..Settings::default()
            },
        }
    }

    fn text(env: &Env) -> String {
        let bytes = read_small(&*env.store, &file(env).unwrap(), LIMIT).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn vmx(name: &str) -> PathBuf {
        PathBuf::from(format!("/v/{name}.vmx"))
    }

    #[test]
    fn vms_are_listed_in_vmwares_form() {
        let env = env(None);
        assert!(list(&env).unwrap().is_empty());
        for name in ["b", "a", "b"] {
            register(&env, &vmx(name)).unwrap();
        }
        assert_eq!(list(&env).unwrap(), [vmx("b"), vmx("a")]);
        assert_eq!(
            text(&env),
            ".encoding = \"UTF-8\"\nvmlist1.config = \"/v/b.vmx\"\nvmlist1.DisplayName = \"The b\"\n\
             vmlist2.config = \"/v/a.vmx\"\nvmlist2.DisplayName = \"The a\"\n"
        );
        unregister(&env, &vmx("b")).unwrap();
        register(&env, &vmx("c")).unwrap();
        assert_eq!(list(&env).unwrap(), [vmx("a"), vmx("c")]);
        let left = env.store.list(Path::new("/state/replix")).unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn what_is_not_listed_is_taken_out_without_error() {
        let env = env(None);
        unregister(&env, &vmx("a")).unwrap();
        unregister(&env, &vmx("gone")).unwrap();
        assert!(!env.store.exists(Path::new("/state")));
        let error = register(&env, &vmx("gone")).unwrap_err();
        assert_eq!(error.kind(), Kind::VmNotFound);
    }

    #[test]
    fn vm_that_is_gone_is_not_listed() {
        let env = env(None);
        register(&env, &vmx("a")).unwrap();
        register(&env, &vmx("b")).unwrap();
        env.store.remove_file(&vmx("a")).unwrap();
        assert_eq!(list(&env).unwrap(), [vmx("b")]);
        unregister(&env, &vmx("a")).unwrap();
        assert!(!text(&env).contains("a.vmx"));
    }

    #[test]
    fn list_of_another_hand_is_kept() {
        let lines = "index.count = \"3\"\r\nVMLIST7.Config = \"/v/a.vmx\"\r\n\
                     vmlist7.IsFavorite = \"TRUE\"\r\nvmlist8.config = \"\"\r\n\
                     vmlistx.config = \"/v/c.vmx\"\r\nvmlist9.config = \"c.vmx\"\r\n";
        let env = env(Some(lines));
        assert_eq!(list(&env).unwrap(), [vmx("a")]);
        register(&env, &vmx("b")).unwrap();
        let added = "vmlist10.config = \"/v/b.vmx\"\r\nvmlist10.DisplayName = \"The b\"\r\n";
        assert_eq!(text(&env), format!("{lines}{added}"));
        unregister(&env, &vmx("a")).unwrap();
        assert!(!text(&env).contains("vmlist7") && !text(&env).contains("VMLIST7"));
    }

    #[test]
    fn list_that_makes_no_sense_is_not_replaced() {
        let env = env(Some("\u{7f}ELF\0\0"));
        for error in [
            register(&env, &vmx("a")).unwrap_err(),
            unregister(&env, &vmx("a")).unwrap_err(),
            list(&env).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::BadConfig);
        }
        assert_eq!(text(&env), "\u{7f}ELF\0\0");
    }

    #[test]
    fn full_list_says_so() {
        let env = env(Some("vmlist4294967295.config = \"/v/a.vmx\"\n"));
        let error = register(&env, &vmx("b")).unwrap_err();
        assert_eq!(error.kind(), Kind::BadConfig);
    }
}
