//! A VM of a library: its configuration, its bookkeeping, and the chains of its disks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::link::Fact;
use super::rebuild;
use crate::disk::{Link, Opener};
use crate::error::{Error, Kind, Result};
use crate::format::{LineEnd, Vmsd};
use crate::snapshot;
use crate::store::Store;
use crate::vm::{Env, OwnFolders, PowerState, VmFolder, files, state};

/// A VM.
pub(super) struct Member {
    pub(super) vm: VmFolder,
    /// Its bookkeeping; an empty one where there is none, or none that makes sense.
    pub(super) vmsd: Vmsd,
    /// Why that makes no sense, if it does not.
    pub(super) broken: Option<Error>,
    pub(super) state: PowerState,
    /// The disks of its states: of the present one, then of the snapshots, newest first.
    pub(super) uses: Vec<Use>,
    /// The folders whose files are its alone.
    pub(super) own: OwnFolders,
    /// What changes of its snapshots left that were cut off.
    pub(super) left: Vec<PathBuf>,
}

/// A disk as one state of a VM uses it.
pub(super) struct Use {
    /// The snapshot that froze it; `None` is the present state.
    pub(super) uid: Option<u32>,
    /// What it is made of, or why nothing of it can be opened.
    pub(super) disk: std::result::Result<Part, Trouble>,
    /// Whether several VMs may write to it at once, as their user said.
    pub(super) is_shared: bool,
}

/// Why a disk, or what it stands on, cannot be used.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) advice: Option<String>,
    /// The file that is there, and stands on what is not.
    pub(super) at: PathBuf,
}

impl Trouble {
    fn of(error: &Error, at: &Path) -> Self {
        Self {
            kind: error.kind(),
            text: error.to_string(),
            advice: error.advice().map(str::to_owned),
            at: at.to_path_buf(),
        }
    }
}

/// A chain of links, as far as it could be opened.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) links: Vec<Fact>,
    /// How many of them, from the top, are the VM's own.
    own: usize,
    pub(super) problem: Option<Trouble>,
}

/// A chain from one of its links down.
#[derive(Clone, Debug)]
pub(super) struct Part {
    line: Rc<Line>,
    from: usize,
}

impl Part {
    /// Returns the links: the disk itself first.
    pub(super) fn links(&self) -> &[Fact] {
        &self.line.links[self.from..]
    }

    /// Returns the disk itself.
    pub(super) fn top(&self) -> &Fact {
        &self.line.links[self.from]
    }

    /// Returns the links that are the VM's own.
    pub(super) fn own(&self) -> &[Fact] {
        &self.line.links[self.from..self.line.own.max(self.from)]
    }

    /// Returns the links that are another VM's.
    pub(super) fn foreign(&self) -> &[Fact] {
        &self.line.links[self.line.own.max(self.from)..]
    }

    /// Returns why not all of it could be opened.
    pub(super) fn problem(&self) -> Option<&Trouble> {
        self.line.problem.as_ref()
    }
}

impl Member {
    /// Reads the VM whose configuration is at `vmx`.
    ///
    /// # Errors
    /// Those of opening.
    pub(super) fn read(env: &Env, vmx: &Path) -> Result<Self> {
        let vm = env.open(vmx)?;
        let (vmsd, broken) = match env.vmsd(&vm) {
            Ok(vmsd) => (vmsd, None),
            Err(error) => (empty(&vm)?, Some(error)),
        };
        let state = state::read(env, &vm).state;
        let own = env.own_folders(&vm);
        let uses = Lines::of(env, &vm, &vmsd, &own)?.uses(&vmsd);
        let is_still = matches!(state, PowerState::Off | PowerState::Suspended);
        let left = match is_still && broken.is_none() && !rebuild::is_lost(env, &vm, &vmsd) {
            true => snapshot::left(env, &vm, &vmsd).unwrap_or_default(),
            false => Vec::new(),
        };
        Ok(Self {
            left,
            vm,
            vmsd,
            broken,
            state,
            uses,
            own,
        })
    }

    /// Returns its configuration.
    pub(super) fn vmx(&self) -> &Path {
        self.vm.vmx()
    }

    /// Returns the chains that could be opened, in part or as a whole.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.uses.iter().filter_map(|used| used.disk.as_ref().ok())
    }

    /// Tells whether all of its disks could be opened with all that they stand on.
    pub(super) fn is_whole(&self) -> bool {
        self.broken.is_none()
            && self.uses.iter().all(|used| {
                used.disk
                    .as_ref()
                    .is_ok_and(|part| part.problem().is_none())
            })
    }
}

fn empty(vm: &VmFolder) -> Result<Vmsd> {
    let end: LineEnd = vm.config.line_end();
    Vmsd::parse(&[], end).map_err(|fault| fault.in_file(Kind::SnapshotBroken, vm.vmx()))
}

/// Chains in the making: each link is opened once, however many states stand on it.
struct Lines<'a> {
    env: &'a Env,
    vm: &'a VmFolder,
    own: &'a OwnFolders,
    opener: Opener,
    sentinels: Vec<PathBuf>,
    known: HashMap<PathBuf, Part>,
}

impl<'a> Lines<'a> {
    fn of(env: &'a Env, vm: &'a VmFolder, vmsd: &Vmsd, own: &'a OwnFolders) -> Result<Self> {
        let true_path = |name: String| {
            let found = vm.find(&*env.store, &name)?;
            env.store.canonical(&found.path).ok()
        };
        Ok(Self {
            env,
            vm,
            own,
            opener: env.opener(vm)?,
            sentinels: vmsd.sentinels().into_iter().filter_map(true_path).collect(),
            known: HashMap::new(),
        })
    }

    /// The present state is looked at first, and the newest snapshots: their chains hold the others.
    fn uses(mut self, vmsd: &Vmsd) -> Vec<Use> {
        let mut uses = Vec::new();
        for slot in self.vm.config.disks() {
            if slot.raw {
                continue;
            }
            let sharing = self
                .vm
                .config
                .dict()
                .get_filled(&format!("{}.sharing", slot.node));
            uses.push(Use {
                disk: self.part(&slot.file_name),
                is_shared: sharing.is_some_and(|word| word.eq_ignore_ascii_case("multi-writer")),
                uid: None,
            });
        }
        for entry in vmsd.snapshots().iter().rev() {
            for disk in &entry.disks {
                uses.push(Use {
                    uid: Some(entry.uid),
                    disk: self.part(&disk.file_name),
                    is_shared: false,
                });
            }
        }
        uses
    }

    fn part(&mut self, name: &str) -> std::result::Result<Part, Trouble> {
        let store = &*self.env.store;
        let place = files::place_of(self.vm.dir(), name);
        let path = self
            .vm
            .require(store, "disk", name)
            .and_then(|path| store.canonical(&path))
            .map_err(|error| Trouble::of(&error, &place))?;
        if let Some(part) = self.known.get(&path) {
            return Ok(part.clone());
        }
        let survey = self
            .opener
            .survey(&path)
            .map_err(|error| Trouble::of(&error, &path))?;
        let last = survey.links.last().map_or(&*path, Link::path);
        let line = Rc::new(Line {
            own: self.own_links(&survey.links),
            problem: survey.problem.map(|error| Trouble::of(&error, last)),
            links: survey
                .links
                .iter()
                .map(|link| Fact::of(store, link))
                .collect(),
        });
        for (from, link) in line.links.iter().enumerate() {
            let line = Rc::clone(&line);
            self.known
                .entry(link.path.clone())
                .or_insert(Part { line, from });
        }
        // It may have been found under another name.
        let part = Part { line, from: 0 };
        Ok(part)
    }

    fn own_links(&self, links: &[Link]) -> usize {
        let store: &dyn Store = &*self.env.store;
        let mut count = 0;
        for link in links {
            if !self.own.hold(store, link.path()) {
                break;
            }
            count += 1;
            if self.sentinels.iter().any(|path| path == link.path()) {
                break;
            }
        }
        count
    }
}
