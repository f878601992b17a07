//! Folders that the host shares with a guest, changed by its user: in the configuration, and at once in
//! a VM that runs (docs/adr/0016).

use std::path::{Path, PathBuf};

use super::{GuestAnswer, GuestCall, SharedFolder};
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::power::{self, WINDOWS};
use crate::store::{FileKind, LockMode, Store, Undo};
use crate::vm::shared_folders::SWITCH;
use crate::vm::{Claim, Consents, Env, Share, Variable, VariableKind, VmConfig};

/// Asks about, or changes, what is shared with the VM at `vmx`, which may be off or running.
///
/// # Errors
/// `NameTaken`, `NoSuchObject`, `Argument`; `FileNotFound`, `NotADirectory` for what is no folder of the
/// host; `VmRunning` for a suspended VM; `NotSupported` for a guest without a driver that runs; `Busy`
/// where a guest does not let go of a folder. What fails changes nothing.
pub(super) fn call(env: &Env, vmx: &Path, call: &GuestCall, job: &Job) -> Result<GuestAnswer> {
    match call {
        GuestCall::CountSharedFolders => {
            let count = env.open(vmx)?.config.shares().len();
            return Ok(GuestAnswer::Count(u32::try_from(count).unwrap_or(u32::MAX)));
        }
        GuestCall::SharedFolder { index } => {
            return describe(env, vmx, *index).map(GuestAnswer::SharedFolder);
        }
        GuestCall::EnableSharedFolders { enabled, runtime } => {
            let change = |edit: &mut Edit| {
                edit.gives = *enabled;
                if !runtime {
                    edit.config().set_sharing(*enabled);
                }
                edit.switch(*enabled, *runtime)
            };
            edit(env, vmx, job, change)?;
        }
        GuestCall::AddSharedFolder {
            name,
            host_path,
            writable,
        } => edit(env, vmx, job, |edit| {
            edit.gives = true;
            let (text, real) = folder(&*env.store, host_path)?;
            edit.config().add_share(name, text, *writable)?;
            edit.give(name, &real, *writable);
            Ok(())
        })?,
        GuestCall::SetSharedFolder {
            name,
            host_path,
            writable,
        } => edit(env, vmx, job, |edit| {
            edit.gives = true;
            let (text, real) = folder(&*env.store, host_path)?;
            edit.config().set_share(name, text, *writable)?;
            edit.give(name, &real, *writable);
            edit.forget_unshared();
            Ok(())
        })?,
        GuestCall::RemoveSharedFolder { name } => edit(env, vmx, job, |edit| {
            edit.config().remove_share(name)?;
            edit.forget_unshared();
            Ok(())
        })?,
        _ => return Err(Error::new(Kind::Internal, call.what())),
    }
    Ok(GuestAnswer::Done)
}

fn describe(env: &Env, vmx: &Path, index: u32) -> Result<SharedFolder> {
    let shares = env.open(vmx)?.config.shares();
    let share = usize::try_from(index)
        .ok()
        .and_then(|index| shares.get(index));
    let share = share.ok_or_else(|| {
        let text = format!("{} has no shared folder {index}", quoted(vmx));
        Error::new(Kind::Argument, text).at(vmx)
    })?;
    Ok(SharedFolder {
        name: share.name.clone(),
        host_path: PathBuf::from(&share.host_path),
        writable: share.writable,
    })
}

/// What is changed.
struct Edit<'a> {
    env: &'a Env,
    claim: Claim<'a>,
    consents: Consents,
    is_on: bool,
    /// Whether the guest is given something, rather than less.
    gives: bool,
    /// What the switch of a running VM said before.
    switched: Option<String>,
}

fn switch_variable() -> Variable {
    Variable {
        kind: VariableKind::Config,
        name: SWITCH.into(),
    }
}

impl Edit<'_> {
    fn config(&mut self) -> &mut VmConfig {
        &mut self.claim.vm.config
    }

    /// Notes the user's word for the folder of a share. That it may be written to through another share, as
    /// the user said before, stays.
    fn give(&mut self, name: &str, real: &Path, writable: bool) {
        let (store, shares) = (&*self.env.store, self.claim.vm.config.shares());
        let is_other = |share: &&Share| share.writable && share.name != name;
        let mut others = shares.iter().filter(is_other);
        let is_it = |share: &Share| {
            store
                .canonical(Path::new(&share.host_path))
                .is_ok_and(|it| it == real)
        };
        let stays = self.consents.writable(real) == Some(true) && others.any(is_it);
        self.consents.give(real, writable || stays);
    }

    /// Takes the word back for folders that no share of the VM names any more.
    fn forget_unshared(&mut self) {
        let (env, shares) = (self.env, self.claim.vm.config.shares());
        let real = |share: &Share| env.store.canonical(Path::new(&share.host_path)).ok();
        let named: Vec<PathBuf> = shares.iter().filter_map(real).collect();
        self.consents
            .retain(|folder| named.iter().any(|named| named == folder));
    }

    /// What was said since the VM was started is what counts until it is off.
    fn switch(&mut self, on: bool, runtime: bool) -> Result<()> {
        if !runtime && !self.is_on {
            return Ok(());
        }
        let (vmx, variable) = (self.claim.vm.vmx(), switch_variable());
        let before = power::read_variable(self.env, vmx, &variable)?;
        let value = if on { "FALSE" } else { "TRUE" };
        power::write_variable(self.env, vmx, &variable, value)?;
        self.switched = Some(before);
        Ok(())
    }
}

fn edit(
    env: &Env,
    vmx: &Path,
    job: &Job,
    change: impl FnOnce(&mut Edit) -> Result<()>,
) -> Result<()> {
    let claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    let is_on = claim.state.state.is_on();
    match is_on {
        true => claim.require_plain()?,
        false => claim.require_off()?,
    }
    let mut edit = Edit {
        env,
        consents: Consents::of(&*env.store, claim.vm.vmx()),
        claim,
        is_on,
        gives: false,
        switched: None,
    };
    let done = apply(&mut edit, change, job);
    if let (Err(_), Some(before)) = (&done, &edit.switched) {
        // The error is the one that matters.
        let vmx = edit.claim.vm.vmx();
        let _ = power::write_variable(env, vmx, &switch_variable(), before);
    }
    done
}

fn apply(edit: &mut Edit, change: impl FnOnce(&mut Edit) -> Result<()>, job: &Job) -> Result<()> {
    let env = edit.env;
    let before = edit.claim.vm.config.to_bytes();
    change(edit)?;
    let vm = &edit.claim.vm;
    if edit.is_on && edit.gives && vm.config.is_windows() {
        let text = format!(
            "the guest of {} sees no shared folders: {WINDOWS}",
            quoted(vm.vmx())
        );
        return Err(Error::new(Kind::NotSupported, text).at(vm.vmx()));
    }
    let mut undo = Undo::new(env.store.clone());
    edit.consents.keep(&*env.store, &mut undo)?;
    let after = vm.config.to_bytes();
    if after != before {
        undo.replace(vm.vmx(), &after)?;
    }
    if edit.is_on {
        power::sync_shares(env, vm, job)?;
    }
    undo.keep();
    Ok(())
}

/// Returns a folder of the host that is to be shared: as it is written down, and with its links resolved.
fn folder<'a>(store: &dyn Store, path: &'a Path) -> Result<(&'a str, PathBuf)> {
    let refused = |kind, what: &str| Error::new(kind, format!("{} {what}", quoted(path))).at(path);
    let odd = |c: char| c.is_control();
    let text = path.to_str().filter(|text| !text.contains(odd));
    let text = text.ok_or_else(|| {
        refused(
            Kind::Argument,
            "cannot be written into a configuration: its name is no plain text",
        )
    })?;
    if !path.is_absolute() {
        return Err(refused(
            Kind::Argument,
            "is no absolute path of this machine",
        ));
    }
    let real = store.canonical(path)?;
    if store.meta(&real)?.kind != FileKind::Dir {
        return Err(refused(Kind::NotADirectory, "is no folder"));
    }
    if real.to_str().is_none() {
        return Err(refused(
            Kind::Argument,
            &format!(
                "leads to {}, whose name is no plain text",
                escaped(&real.to_string_lossy())
            ),
        ));
    }
    Ok((text, real))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Mem, create_dirs, read_small, write_new};
    use crate::vm::Settings;

    const VMX: &str = "/v/a.vmx";

    /// A VM that is off, with these lines.
    struct Fixture {
        store: Mem,
        env: Env,
    }

    impl Fixture {
        fn with(lines: &str) -> Self {
            let store = Mem::new();
            for dir in ["/v", "/srv/a", "/srv/b"] {
                create_dirs(&store, Path::new(dir)).unwrap();
            }
            let text = format!("guestOS = \"debian12-64\"\n{lines}");
            write_new(&store, Path::new(VMX), text.as_bytes()).unwrap();
            let env = Env {
                store: Arc::new(store.clone()),
                settings: Settings::default(),
            };
            Self { store, env }
        }

        fn text(&self) -> String {
            String::from_utf8(read_small(&self.store, Path::new(VMX), 1 << 16).unwrap()).unwrap()
        }

        fn ask(&self, what: &GuestCall) -> Result<GuestAnswer> {
            call(&self.env, Path::new(VMX), what, &Job::new())
        }

        fn writable(&self, folder: &str) -> Option<bool> {
            Consents::of(&self.store, Path::new(VMX)).writable(Path::new(folder))
        }
    }

    fn add(name: &str, host_path: &str) -> GuestCall {
        GuestCall::AddSharedFolder {
            name: name.into(),
            host_path: host_path.into(),
            writable: true,
        }
    }

    fn set(name: &str, host_path: &str) -> GuestCall {
        GuestCall::SetSharedFolder {
            name: name.into(),
            host_path: host_path.into(),
            writable: false,
        }
    }

    fn remove(name: &str) -> GuestCall {
        GuestCall::RemoveSharedFolder { name: name.into() }
    }

    #[test]
    fn what_its_user_shares_is_written_down_and_taken_back() {
        let vm = Fixture::with("");
        let before = vm.text();
        assert_eq!(vm.ask(&add("a", "/srv/a")).unwrap(), GuestAnswer::Done);
        vm.ask(&add("b", "/srv/b")).unwrap();
        assert_eq!(
            vm.ask(&GuestCall::CountSharedFolders).unwrap(),
            GuestAnswer::Count(2)
        );
        assert_eq!(
            (vm.writable("/srv/a"), vm.writable("/srv/b")),
            (Some(true), Some(true))
        );
        vm.ask(&set("b", "/srv/a")).unwrap();
        assert_eq!(
            (vm.writable("/srv/a"), vm.writable("/srv/b")),
            (Some(true), None)
        );
        let told = vm.ask(&GuestCall::SharedFolder { index: 1 }).unwrap();
        let wanted = SharedFolder {
            name: "b".into(),
            host_path: "/srv/a".into(),
            writable: false,
        };
        assert_eq!(told, GuestAnswer::SharedFolder(wanted));
        vm.ask(&remove("b")).unwrap();
        assert_eq!(vm.writable("/srv/a"), Some(true));
        vm.ask(&remove("a")).unwrap();
        assert_eq!(vm.writable("/srv/a"), None);
        assert_eq!(vm.text(), format!("{before}sharedFolder.maxNum = \"0\"\n"));
        let switch = |enabled| GuestCall::EnableSharedFolders {
            enabled,
            runtime: false,
        };
        vm.ask(&switch(false)).unwrap();
        assert!(
            vm.text()
                .ends_with("isolation.tools.hgfs.disable = \"TRUE\"\n")
        );
        vm.ask(&switch(true)).unwrap();
        assert!(
            vm.text()
                .ends_with("isolation.tools.hgfs.disable = \"FALSE\"\n")
        );
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let one = "sharedFolder0.present = \"TRUE\"\nsharedFolder0.guestName = \"etc\"\n\
                   sharedFolder0.hostPath = \"/etc\"\n";
        let vm = Fixture::with(one);
        write_new(&vm.store, Path::new("/srv/file"), b"").unwrap();
        let before = vm.text();
        let runtime = GuestCall::EnableSharedFolders {
            enabled: true,
            runtime: true,
        };
        for (call, kind) in [
            (add("etc", "/srv/a"), Kind::NameTaken),
            (add("a/b", "/srv/a"), Kind::Argument),
            (add("a", "/srv/gone"), Kind::FileNotFound),
            (add("a", "/srv/file"), Kind::NotADirectory),
            (add("a", "srv/a"), Kind::Argument),
            (add("a", "/srv/\n"), Kind::Argument),
            (set("a", "/srv/a"), Kind::NoSuchObject),
            (set("etc", "/srv/gone"), Kind::FileNotFound),
            (remove("a"), Kind::NoSuchObject),
            (GuestCall::SharedFolder { index: 1 }, Kind::Argument),
            (runtime, Kind::VmNotRunning),
        ] {
            let what = format!("{call:?}");
            assert_eq!(vm.ask(&call).unwrap_err().kind(), kind, "{what}");
        }
        assert_eq!(vm.text(), before);
        assert_eq!(vm.writable("/srv/a"), None);
    }

    #[test]
    fn suspended_vm_keeps_its_folders() {
        let vm = Fixture::with("checkpoint.vmState = \"a.vmss\"\n");
        let refused = vm.ask(&add("a", "/srv/a")).unwrap_err();
        assert_eq!(refused.kind(), Kind::VmRunning);
    }
}
