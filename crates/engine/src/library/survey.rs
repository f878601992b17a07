//! The whole look: everything is read once, then judged.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::link::{Fact, Links};
use super::member::Member;
use super::walk::{Folder, walk};
use super::{Finding, LibraryReport, Severity, Step, Trouble, VmSpace, disks, files, kin};
use crate::error::{Result, quoted};
use crate::job::Job;
use crate::vm::{Env, belongings};

/// What was read of a library.
pub(super) struct Look<'a> {
    pub(super) env: &'a Env,
    pub(super) folders: Vec<Folder>,
    pub(super) members: Vec<Member>,
    /// By the configuration of a VM, its place in `members`.
    pub(super) by_vmx: HashMap<PathBuf, usize>,
    /// By a folder, the VMs in it.
    pub(super) by_folder: HashMap<PathBuf, Vec<usize>>,
    pub(super) links: Links,
    /// By the path of a link, the VM whose own it is, as its place in `members`.
    pub(super) owners: HashMap<PathBuf, usize>,
    /// By the path of a link, the VMs with a link of their own that hangs on it, and that link.
    pub(super) children: HashMap<PathBuf, Vec<(usize, PathBuf)>>,
    /// Files that belong to a VM.
    pub(super) claimed: BTreeSet<PathBuf>,
}

/// Looks through the library in `roots`.
///
/// # Errors
/// `Cancelled`.
pub(super) fn survey(env: &Env, roots: &[PathBuf], job: &Job) -> Result<LibraryReport> {
    let (folders, mut findings) = walk(&*env.store, roots, job)?;
    let mut members = Vec::new();
    let vmxs = folders.iter().flat_map(|folder| folder.with_ending("vmx"));
    let vmxs: Vec<PathBuf> = vmxs.collect();
    for (at, vmx) in vmxs.iter().enumerate() {
        job.check()?;
        job.phase(format!("reading VM {} of {}", at + 1, vmxs.len()));
        match Member::read(env, vmx) {
            Ok(member) => members.push(member),
            Err(error) => {
                let text = format!("the configuration cannot be used: {error}");
                let cure =
                    "put it back from a copy, or write it anew: no other file says what it said";
                findings.push(
                    Finding::damage(Trouble::ConfigBroken, vmx, text)
                        .of(vmx)
                        .cure(cure),
                );
            }
        }
    }
    let links = Links::of(env, &folders, job)?;
    let mut look = Look {
        env,
        folders,
        members,
        by_vmx: HashMap::new(),
        by_folder: HashMap::new(),
        links,
        owners: HashMap::new(),
        children: HashMap::new(),
        claimed: BTreeSet::new(),
    };
    look.relate();
    findings.extend(disks::findings(&look));
    findings.extend(kin::findings(&look, job)?);
    findings.extend(files::findings(&look));
    withhold(&mut findings);
    findings.sort_by(|one, other| order(one).cmp(&order(other)));
    findings.dedup();
    Ok(report(&look, roots, findings))
}

fn order(finding: &Finding) -> (Severity, Option<&Path>, Trouble, &Path, &str) {
    let vm = finding.vm.as_deref();
    (
        finding.severity,
        vm,
        finding.trouble,
        &finding.file,
        &finding.text,
    )
}

/// Gives back no space of a VM that is damaged, or that a damaged one stands on: what looks useless may be what is left.
fn withhold(findings: &mut [Finding]) {
    let damaged = findings
        .iter()
        .filter(|one| one.severity == Severity::Damage);
    let damaged: Vec<(PathBuf, Trouble)> = damaged
        .filter_map(|one| Some((one.vm.clone()?, one.trouble)))
        .collect();
    let odd = damaged
        .iter()
        .filter(|(_, one)| *one != Trouble::DiskDamaged);
    let odd: BTreeSet<PathBuf> = odd.map(|(vm, _)| vm.clone()).collect();
    let damaged: BTreeSet<PathBuf> = damaged.into_iter().map(|(vm, _)| vm).collect();
    for finding in findings {
        let of_damaged = finding.vm.as_ref().is_some_and(|vm| damaged.contains(vm));
        // What a change did that was cut off may be all that is wrong with its disks.
        let is_odd = |vm: &PathBuf| odd.contains(vm);
        let takes = match &finding.step {
            Some(Step::EndChanges { .. }) => finding.vm.as_ref().is_some_and(is_odd),
            Some(step) => step.is_for_space(),
            None => false,
        };
        if of_damaged && takes {
            finding.step = None;
            finding.reclaimable_bytes = 0;
            finding.cure = "the VM is damaged: see to that first".into();
        }
    }
}

impl Look<'_> {
    /// Sees whose each link is, and what hangs on it.
    fn relate(&mut self) {
        let mut seen = HashSet::new();
        for (at, member) in self.members.iter().enumerate() {
            self.by_vmx.insert(member.vmx().to_path_buf(), at);
            let dir = member.vm.dir().to_path_buf();
            self.by_folder.entry(dir).or_default().push(at);
            for part in member.parts() {
                for fact in part.own() {
                    self.owners.entry(fact.path.clone()).or_insert(at);
                }
                for pair in part.links().windows(2).take(part.own().len()) {
                    let (child, parent) = (&pair[0].path, &pair[1].path);
                    if seen.insert((at, child, parent)) {
                        let on = self.children.entry(parent.clone()).or_default();
                        on.push((at, child.clone()));
                    }
                }
            }
        }
        let mut claimed = BTreeSet::new();
        for member in &self.members {
            claimed.insert(member.vmx().to_path_buf());
            claimed.extend(member.left.iter().cloned());
            let belongings = belongings::list(self.env, &member.vm, &member.vmsd);
            claimed.extend(
                belongings
                    .unwrap_or_default()
                    .into_iter()
                    .map(|one| one.path),
            );
            let facts = member.parts().flat_map(|part| part.links());
            claimed.extend(facts.flat_map(|fact| fact.files.iter().cloned()));
        }
        // What cannot be opened as a disk is one's parts all the same.
        for (disk, files) in &self.links.broken {
            if claimed.contains(disk) {
                claimed.extend(files.iter().cloned());
            }
        }
        self.claimed = claimed;
    }
}

/// Adds up the space: each file once.
fn report(look: &Look, roots: &[PathBuf], findings: Vec<Finding>) -> LibraryReport {
    let store = &*look.env.store;
    let mut all: BTreeMap<PathBuf, u64> = BTreeMap::new();
    let mut shared: BTreeMap<PathBuf, u64> = BTreeMap::new();
    let mut reclaimable: HashMap<&Path, u64> = HashMap::new();
    for one in &findings {
        if let Some(vm) = &one.vm {
            *reclaimable.entry(vm).or_default() += one.reclaimable_bytes;
        }
    }
    let mut vms = Vec::new();
    for member in &look.members {
        let mut own: BTreeMap<PathBuf, u64> = BTreeMap::new();
        let mut foreign: BTreeMap<PathBuf, u64> = BTreeMap::new();
        let bytes = |fact: &Fact| (fact.path.clone(), fact.bytes);
        for part in member.parts() {
            own.extend(part.own().iter().map(bytes));
            foreign.extend(part.foreign().iter().map(bytes));
        }
        own.extend(member.left.iter().map(|file| {
            let bytes = store.meta(file).map_or(0, |meta| meta.allocated_bytes);
            (file.clone(), bytes)
        }));
        let belongings = belongings::list(look.env, &member.vm, &member.vmsd);
        for one in belongings.unwrap_or_default() {
            if one.role != belongings::Role::Disk && one.role != belongings::Role::Lock {
                let bytes = store.meta(&one.path).map_or(0, |meta| meta.allocated_bytes);
                own.insert(one.path, bytes);
            }
        }
        vms.push(VmSpace {
            vm: member.vmx().to_path_buf(),
            name: member.vm.display_name(),
            own_bytes: own.values().sum(),
            shared_bytes: foreign.values().sum(),
            reclaimable_bytes: reclaimable.get(member.vmx()).copied().unwrap_or(0),
        });
        all.extend(own);
        shared.extend(foreign);
    }
    shared.retain(|path, _| all.contains_key(path));
    vms.sort_by(|one, other| one.vm.cmp(&other.vm));
    LibraryReport {
        folders: roots.to_vec(),
        vms,
        own_bytes: all.values().sum(),
        shared_bytes: shared.values().sum(),
        reclaimable_bytes: findings.iter().map(|one| one.reclaimable_bytes).sum(),
        findings,
    }
}

/// Returns how a message calls a snapshot.
pub(super) fn snapshot_name(name: &str, uid: u32) -> String {
    format!("the snapshot {} (#{uid})", quoted(name))
}
