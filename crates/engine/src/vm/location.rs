//! Whether a VM was moved or copied since its last start here, and what then becomes of its identity.
//!
//! VMware compares `uuid.location`, made in a way that is its own, and asks. We note where each VM
//! stands that we start, by its uuid, so that in most cases nobody needs to be asked: a VM that still
//! stands where this one was is its original. `uuid.action`, or an answer in the configuration,
//! decides before that.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::config::VmConfig;
use super::env::Env;
use super::identity::{self, Uuid};
use super::open::VmFolder;
use crate::error::Result;
use crate::store::{Store, create_dirs, read_small, replace};

/// No path is longer.
const PATH_LIMIT: u64 = 4096;

/// Each time that so many more VMs are noted, those that are gone are forgotten.
const SWEEP: usize = 64;

/// What the user wants for a VM that was moved or copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Keep,
    Create,
}

/// Where VMs were started: a folder of files that are called by uuids and hold paths.
struct Places<'a> {
    store: &'a dyn Store,
    dir: &'a Path,
}

impl Places<'_> {
    fn find(&self, uuid: Uuid) -> Option<PathBuf> {
        let bytes = read_small(self.store, &self.dir.join(uuid.to_plain()), PATH_LIMIT).ok()?;
        Some(OsStr::from_bytes(&bytes).into())
    }

    fn note(&self, uuid: Uuid, vmx: &Path) -> Result<()> {
        if self.find(uuid).is_some_and(|noted| noted == vmx) {
            return Ok(());
        }
        create_dirs(self.store, self.dir)?;
        let file = self.dir.join(uuid.to_plain());
        replace(self.store, &file, vmx.as_os_str().as_bytes())?;
        let entries = self.store.list(self.dir)?;
        if entries.len() % SWEEP == 0 {
            for entry in entries {
                let file = self.dir.join(&entry.name);
                let noted = read_small(self.store, &file, PATH_LIMIT).unwrap_or_default();
                if !self.store.exists(Path::new(OsStr::from_bytes(&noted))) {
                    self.store.remove_file(&file)?;
                }
            }
        }
        Ok(())
    }
}

/// What is known of a VM that is about to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Facts {
    /// Whether its last start was at another place.
    was_elsewhere: bool,
    /// Whether no start of it was noted.
    is_new_here: bool,
    /// Whether a VM with its identity stands where it was.
    original_stands: bool,
    /// Whether a VM with its identity runs.
    twin_runs: bool,
    wish: Option<Wish>,
}

/// What becomes of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing happened.
    Same,
    /// It was moved: it stays itself, in another place.
    Moved,
    /// It is a copy that its user wants to be the same, while the other one runs.
    Doubled,
    /// It is a copy: it becomes another VM.
    Copied,
}

impl Facts {
    fn outcome(self) -> Outcome {
        let is_copy = self.twin_runs || self.original_stands;
        match self.wish {
            Some(Wish::Keep) if self.twin_runs => Outcome::Doubled,
            Some(Wish::Keep) if self.was_elsewhere => Outcome::Moved,
            Some(Wish::Keep) => Outcome::Same,
            // Where VMware had it, we cannot tell: it is taken as another place.
            Some(Wish::Create) if self.is_new_here || self.was_elsewhere => Outcome::Copied,
            None if is_copy => Outcome::Copied,
            None if self.was_elsewhere => Outcome::Moved,
            Some(Wish::Create) if self.twin_runs => Outcome::Copied,
            _ => Outcome::Same,
        }
    }
}

/// Notes in the folder `places` that a VM is started where it is, `running` being the VMs that run. A
/// copy becomes another VM: new uuids, and new addresses where they are generated. Returns what its
/// user should know; the configuration is the caller's to write.
pub fn settle(
    env: &Env,
    vm: &mut VmFolder,
    running: &[PathBuf],
    places: Option<&Path>,
) -> Vec<String> {
    let store = &*env.store;
    let places = places.map(|dir| Places { store, dir });
    // A VM without one gets its first now.
    let mut told = Vec::new();
    if let Some(uuid) = identity_of(&vm.config) {
        let noted = places.as_ref().and_then(|places| places.find(uuid));
        let elsewhere = noted.as_ref().filter(|place| *place != vm.vmx());
        let is_twin = |path: &Path| {
            let other = (path != vm.vmx()).then(|| env.open(path).ok()).flatten();
            other.is_some_and(|other| identity_of(&other.config) == Some(uuid))
        };
        let facts = Facts {
            was_elsewhere: elsewhere.is_some(),
            is_new_here: noted.is_none(),
            original_stands: elsewhere.is_some_and(|place| is_twin(place)),
            twin_runs: running.iter().any(|path| is_twin(path)),
            wish: wish(&vm.config),
        };
        told.extend(apply(&mut vm.config, facts.outcome()));
    }
    identity::complete(&mut vm.config);
    if let (Some(places), Some(uuid)) = (places, identity_of(&vm.config))
        && let Err(error) = places.note(uuid, vm.vmx())
    {
        told.push(format!(
            "a copy of this VM may later be taken for a VM that was moved: {error}"
        ));
    }
    told
}

fn apply(config: &mut VmConfig, outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Same => None,
        Outcome::Moved => {
            let location = Uuid::new_vm().to_string();
            config.dict_mut().set_existing("uuid.location", &location);
            None
        }
        Outcome::Doubled => Some(
            "a VM with the same uuid and addresses runs, and uuid.action says to keep them: on one network, they get in each other's way".into(),
        ),
        Outcome::Copied => {
            identity::renew_generated(config);
            Some(
                "the VM is a copy: it gets a uuid of its own, and addresses where they are generated; uuid.action = \"keep\" keeps them".into(),
            )
        }
    }
}

fn identity_of(config: &VmConfig) -> Option<Uuid> {
    config.uuid_bios()?.parse().ok()
}

/// What the configuration decides before anybody is asked.
fn wish(config: &VmConfig) -> Option<Wish> {
    let text = |name: &str| {
        let text = config.dict().get_filled(name);
        text.unwrap_or_default().to_ascii_lowercase()
    };
    match text("uuid.action").trim() {
        "keep" => return Some(Wish::Keep),
        "create" | "change" => return Some(Wish::Create),
        _ => {}
    }
    // The buttons of VMware's question, an underscore being their key: "I _copied it".
    let answer = text("answer.msg.uuid.altered").replace('_', "");
    if answer.contains("moved") || answer.contains("keep") {
        return Some(Wish::Keep);
    }
    let copied = answer.contains("copied") || answer.contains("create");
    copied.then_some(Wish::Create)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{Mem, folder_of, write_new};
    use crate::vm::Settings;

    const UUID: &str = "uuid.bios = \"56 4d 30 42 33 02 c3 16-92 6a 88 46 04 d6 ed 8e\"\n\
                        uuid.location = \"56 4d 30 42 33 02 c3 16-92 6a 88 46 04 d6 ed 8e\"\n";

    struct World(Env);

    impl World {
        fn new() -> Self {
            Self(Env {
                store: Arc::new(Mem::new()),
                settings: Settings::default(),
            })
        }

        fn put(&self, vmx: &str, text: &str) {
            let (store, vmx) = (&*self.0.store, Path::new(vmx));
            create_dirs(store, folder_of(vmx)).unwrap();
            let _ = store.remove_file(vmx);
            write_new(store, vmx, text.as_bytes()).unwrap();
        }

        fn text(&self, vmx: &str) -> String {
            let bytes = read_small(&*self.0.store, Path::new(vmx), 1 << 16).unwrap();
            String::from_utf8(bytes).unwrap()
        }

        /// Starts a VM, and tells whether it became another one.
        fn start(&self, vmx: &str, running: &[&str]) -> (bool, Option<String>) {
            let mut vm = self.0.open(Path::new(vmx)).unwrap();
            let before = vm.config.uuid_bios();
            let running: Vec<PathBuf> = running.iter().map(PathBuf::from).collect();
            let places = Some(Path::new("/state"));
            let told = settle(&self.0, &mut vm, &running, places).pop();
            let text = String::from_utf8(vm.config.to_bytes()).unwrap();
            self.put(vmx, &text);
            (vm.config.uuid_bios() != before, told)
        }

        fn copy(&self, from: &str, to: &str) {
            self.put(to, &self.text(from));
        }
    }

    #[test]
    fn copy_becomes_another_vm_and_the_original_stays() {
        let world = World::new();
        world.put("/v/a/a.vmx", UUID);
        assert_eq!(world.start("/v/a/a.vmx", &[]), (false, None));
        world.copy("/v/a/a.vmx", "/v/b/a.vmx");
        let (renewed, told) = world.start("/v/b/a.vmx", &[]);
        assert!(renewed && told.unwrap().contains("copy"));
        assert_eq!(world.start("/v/b/a.vmx", &["/v/a/a.vmx"]), (false, None));
        assert_eq!(world.start("/v/a/a.vmx", &["/v/b/a.vmx"]), (false, None));
    }

    #[test]
    fn moved_vm_stays_itself() {
        let world = World::new();
        world.put("/v/a/a.vmx", UUID);
        world.start("/v/a/a.vmx", &[]);
        world.copy("/v/a/a.vmx", "/w/x \u{e9}%/a.vmx");
        world.0.store.remove_file(Path::new("/v/a/a.vmx")).unwrap();
        for _ in 0..2 {
            assert_eq!(world.start("/w/x \u{e9}%/a.vmx", &[]), (false, None));
        }
        let vm = world.0.open(Path::new("/w/x \u{e9}%/a.vmx")).unwrap();
        assert_ne!(vm.config.uuid_bios(), vm.config.uuid_location());
    }

    #[test]
    fn copy_of_what_was_never_started_here_is_seen_beside_the_running_one() {
        let world = World::new();
        world.put("/v/a/a.vmx", UUID);
        world.copy("/v/a/a.vmx", "/v/b/b.vmx");
        assert_eq!(world.start("/v/a/a.vmx", &[]), (false, None));
        assert!(world.start("/v/b/b.vmx", &["/v/a/a.vmx"]).0);
    }

    #[test]
    fn configuration_decides_before_that() {
        let keep = "uuid.action = \"Keep\"\n";
        let create = "uuid.action = \"create\"\n";
        let moved = "answer.msg.uuid.altered = \"I _moved it\"\n";
        let copied = "answer.msg.uuid.altered = \"I Copied It\"\n";
        for (lines, twin, renewed) in [
            ("", false, false),
            (create, false, true),
            (copied, false, true),
            (keep, false, false),
            (moved, false, false),
            ("", true, true),
            (keep, true, false),
        ] {
            let world = World::new();
            world.put("/v/a/a.vmx", &format!("{UUID}{lines}"));
            world.put("/v/b/b.vmx", UUID);
            let running: &[&str] = if twin { &["/v/b/b.vmx"] } else { &[] };
            let (was_renewed, told) = world.start("/v/a/a.vmx", running);
            assert_eq!(was_renewed, renewed, "{lines} {twin}");
            assert_eq!(told.is_some(), renewed || twin, "{lines} {twin}");
            // A second start changes nothing more.
            assert!(!world.start("/v/a/a.vmx", &[]).0, "{lines} {twin}");
        }
    }

    #[test]
    fn copy_is_seen_beside_an_original_that_is_off() {
        let world = World::new();
        world.put("/v/a/a.vmx", UUID);
        world.copy("/v/a/a.vmx", "/v/b/b.vmx");
        assert_eq!(world.start("/v/a/a.vmx", &[]), (false, None));
        assert!(world.start("/v/b/b.vmx", &[]).0);
        assert_eq!(world.start("/v/a/a.vmx", &[]), (false, None));
    }

    #[test]
    fn vms_that_are_gone_are_forgotten() {
        let world = World::new();
        for number in 0..2 * SWEEP {
            let vmx = format!("/v/{number}/a.vmx");
            world.put(&vmx, &UUID.replace("8e\"", &format!("{number:02x}\"")));
            world.start(&vmx, &[]);
            world.0.store.remove_file(Path::new(&vmx)).unwrap();
        }
        assert!(world.0.store.list(Path::new("/state")).unwrap().len() <= SWEEP);
    }
}
