//! Who stands on whom: parents that are gone, moved or changed; clones that nobody lists; disks that are
//! written to where they must not be; snapshots and links that nobody needs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::disks::told;
use super::link::Fact;
use super::member::{self, Member};
use super::survey::{Look, snapshot_name};
use super::walk::Folder;
use super::{Finding, Step, Trouble, rebuild};
use crate::clone::{self, Lookout, Seeker};
use crate::error::{Kind, Result, escaped, quoted};
use crate::format::SnapshotEntry;
use crate::job::Job;
use crate::store::folder_of;
use crate::vm::{PowerState, Standing, clone_standing, files, kin};

/// No more folders are tried for a parent that is missing.
const MAX_TRIED: usize = 64;

pub(super) fn findings(look: &Look, job: &Job) -> Result<Vec<Finding>> {
    let kin = Kin::of(look);
    let mut found = Vec::new();
    for (at, member) in look.members.iter().enumerate() {
        job.check()?;
        job.phase(format!("judging VM {} of {}", at + 1, look.members.len()));
        found.extend(kin.broken(member));
        found.extend(kin.unlisted(member));
        found.extend(kin.entries(at, member));
        found.extend(kin.spare_snapshots(at, member));
        found.extend(kin.spare_links(at, member));
    }
    found.extend(kin.writers());
    Ok(found)
}

struct Kin<'a> {
    look: &'a Look<'a>,
    /// Opens each disk once that may be a lost parent, however many clones look for it.
    lookout: Lookout<'a>,
    /// The links of the library, by content id and capacity.
    like: HashMap<(u32, u64), Like<'a>>,
    /// Those that snapshots froze.
    frozen: HashSet<&'a Path>,
    /// The VMs, by the names of their configurations in lower case.
    called: HashMap<String, Vec<usize>>,
    /// For each VM, where the linked clones are that its bookkeeping lists.
    listed: Vec<HashSet<PathBuf>>,
    /// Content id and capacity of what links want that do not find their parents.
    wanted: HashSet<(u32, u64)>,
}

impl<'a> Kin<'a> {
    fn of(look: &'a Look<'a>) -> Self {
        let listed = look.members.iter().map(|member| {
            let clones = member
                .vmsd
                .snapshots()
                .iter()
                .flat_map(|entry| &entry.clones);
            let places = clones.filter_map(|name| kin::locate(look.env, &member.vm, name));
            places.collect()
        });
        let frozen = look.members.iter().enumerate().flat_map(|(at, member)| {
            let is_own = move |path: &&Path| look.owners.get(*path) == Some(&at);
            frozen_by(member).filter(is_own)
        });
        let frozen: HashSet<&Path> = frozen.collect();
        let mut like: HashMap<(u32, u64), Like> = HashMap::new();
        for fact in look.links.open.values() {
            let alike = like.entry((fact.cid, fact.sectors)).or_default();
            alike.all.push(fact);
            let of_name = alike.called.entry(lower_name(&fact.path)).or_default();
            of_name.push(fact);
            if frozen.contains(&*fact.path) {
                alike.frozen.push(fact);
            }
        }
        let mut called: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, member) in look.members.iter().enumerate() {
            called.entry(lower_name(member.vmx())).or_default().push(at);
        }
        let parts = look.members.iter().flat_map(Member::parts);
        let broken = parts.filter(|part| part.problem().is_some());
        let ends = broken.filter_map(|part| part.links().last());
        Self {
            look,
            lookout: Lookout::new(look.env),
            like,
            frozen,
            called,
            listed: listed.collect(),
            wanted: ends
                .filter_map(|fact| Some((fact.parent_cid?, fact.sectors)))
                .collect(),
        }
    }

    /// Tells whether a link that does not find its parent may have been made on this one.
    fn is_wanted(&self, fact: &Fact) -> bool {
        self.wanted.contains(&(fact.cid, fact.sectors))
    }

    /// Chains that end where they should not.
    fn broken(&self, member: &Member) -> Vec<Finding> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for part in member.parts() {
            let (Some(problem), Some(last)) = (part.problem(), part.links().last()) else {
                continue;
            };
            if !seen.insert((problem.at.clone(), problem.text.clone())) {
                continue;
            }
            // Below it, it is the parent's own affair.
            let is_own = part.foreign().is_empty();
            found.push(
                self.broken_end(member, problem, last, is_own)
                    .of(member.vmx()),
            );
        }
        found
    }

    fn broken_end(
        &self,
        member: &Member,
        problem: &member::Trouble,
        last: &Fact,
        is_own: bool,
    ) -> Finding {
        let trouble = match problem.kind {
            Kind::DiskParent => Trouble::ParentMissing,
            Kind::DiskChanged | Kind::DiskCapacity => Trouble::ParentChanged,
            Kind::Denied => Trouble::OutOfReach,
            _ => return told(problem, &last.path),
        };
        let text = match is_own {
            true => escaped(&problem.text),
            false => format!(
                "{} stands on it: {}",
                quoted(member.vmx()),
                escaped(&problem.text)
            ),
        };
        let finding = Finding::damage(trouble, &last.path, text);
        let by_hand = match trouble {
            Trouble::ParentChanged => {
                "put the parent back as it was when this one was made, from a copy; if nothing that matters was written to the parent since, a person must decide that: changing the ids alone would hide damage"
            }
            Trouble::OutOfReach => {
                "allow the folder only if you trust the VM (--allow), or move the parent beside it"
            }
            _ => "put the parent back, or say where it is: replix relink --parent PATH VMX",
        };
        if !is_own || !is_clones(member, last) {
            return finding.cure(by_hand);
        }
        match self.parent_of(member, last) {
            Place::Found { parent, disk } => {
                let vm = member.vmx().to_path_buf();
                let cure = format!(
                    "what it was made on is {}, by its content: hang it there",
                    quoted(disk)
                );
                finding.cure(cure).step(Step::Relink { vm, parent })
            }
            Place::Several(places) => {
                let places: Vec<String> = places.iter().map(quoted).collect();
                let cure = format!(
                    "a person must say which it is: {} have the content; replix relink --parent PATH VMX",
                    kin::enumerate(&places)
                );
                finding.cure(cure)
            }
            Place::Unproven(disk) => {
                let cure = format!(
                    "{} may be it, by its short content id, but is out of the clone's reach: if it is, replix relink --parent {} VMX",
                    quoted(&disk),
                    quoted(&disk)
                );
                finding.cure(cure)
            }
            Place::Nowhere => finding.cure(by_hand),
        }
    }

    /// Looks for the disk that `last`, of a linked clone, was made on.
    fn parent_of(&self, member: &Member, last: &Fact) -> Place {
        let Ok(seeker) = Seeker::of(&self.lookout, &member.vm, &member.vmsd) else {
            return Place::Nowhere;
        };
        let mut fitting: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        let mut unproven = None;
        for folder in self.folders_like(member, last) {
            match seeker.prospect(Some(folder)) {
                Ok(disk) => drop(fitting.insert(folder.to_path_buf(), disk)),
                Err(error) if error.kind() == Kind::Denied => {
                    unproven = unproven.or(error.path().map(Path::to_path_buf));
                }
                Err(_) => {}
            }
        }
        let is_beside = |folder: &Folder| Some(folder.dir.as_path()) == member.vm.dir().parent();
        if fitting.is_empty()
            && unproven.is_none()
            && !self.look.folders.iter().any(is_beside)
            && let Ok(disk) = seeker.prospect(None)
        {
            return Place::Found { parent: None, disk };
        }
        let several = fitting.len() > 1;
        match (fitting.pop_first(), unproven) {
            (Some((_, disk)), _) if several => {
                Place::Several([disk].into_iter().chain(fitting.into_values()).collect())
            }
            (Some((folder, disk)), _) => Place::Found {
                parent: Some(folder),
                disk,
            },
            (None, Some(disk)) => Place::Unproven(disk),
            (None, None) => Place::Nowhere,
        }
    }

    /// The folders of the library with a disk that reads as the one that `last` was made on. A child that
    /// nobody wrote to has the content of its parent: those count that are called as the link says, then
    /// those that a snapshot froze.
    fn folders_like(&self, member: &Member, last: &Fact) -> BTreeSet<&Path> {
        let cid = last.parent_cid;
        let Some(like) = cid.and_then(|cid| self.like.get(&(cid, last.sectors))) else {
            return BTreeSet::new();
        };
        let hint = last.hint.as_deref().unwrap_or_default();
        let name = files::last_part(hint).to_lowercase();
        let called = like.called.get(&name).map_or(&[][..], Vec::as_slice);
        let is_frozen = |fact: &&Fact| self.frozen.contains(&*fact.path);
        let called_and_frozen: Vec<&Fact> = called.iter().copied().filter(is_frozen).collect();
        for facts in [&called_and_frozen, called, &like.frozen, &like.all] {
            let mut folders = BTreeSet::new();
            for fact in facts {
                if folders.len() == MAX_TRIED {
                    break;
                }
                if !member.own.hold_real(&fact.path) {
                    folders.insert(folder_of(&fact.path));
                }
            }
            if !folders.is_empty() {
                return folders;
            }
        }
        BTreeSet::new()
    }

    /// A linked clone that its parent knows nothing of, or that names another one.
    fn unlisted(&self, member: &Member) -> Option<Finding> {
        let first = member.parts().find_map(|part| {
            let is_whole = part.problem().is_none() && !part.own().is_empty();
            part.foreign().first().filter(|_| is_whole)
        })?;
        let finding = match self.look.owners.get(&first.path) {
            Some(owner) => self.unlisted_in(member, first, *owner),
            None => self.unlisted_outside(member, first),
        };
        finding.map(|finding| finding.of(member.vmx()))
    }

    fn unlisted_in(&self, member: &Member, first: &Fact, owner: usize) -> Option<Finding> {
        let parent = &self.look.members[owner];
        if parent.broken.is_some() {
            // Its own finding says so.
            return None;
        }
        let vm = member.vmx().to_path_buf();
        let relink = Step::Relink { vm, parent: None };
        let is_frozen = freezes(parent, &first.path);
        if !self.listed[owner].contains(member.vmx()) {
            let is_lost = rebuild::is_lost(self.look.env, &parent.vm, &parent.vmsd);
            if !is_frozen && !is_lost {
                // Where it is the present disk of the parent, that one writes to it.
                return None;
            }
            let text = format!(
                "{} stands on {}, which does not list it as its clone: removing a snapshot there would take its disks",
                quoted(member.vmx()),
                quoted(parent.vmx())
            );
            let finding = Finding::damage(Trouble::CloneUnlisted, &first.path, text);
            return Some(finding.cure("each is to name the other").step(relink));
        }
        let named = member.vmsd.clone_of();
        let place = named
            .as_deref()
            .and_then(|name| kin::locate(self.look.env, &member.vm, name));
        if place.as_deref() == Some(parent.vmx()) {
            return None;
        }
        let text = format!(
            "{} stands on {}, and its bookkeeping names {}",
            quoted(member.vmx()),
            quoted(parent.vmx()),
            named.map_or("none".into(), |name| quoted(&name)),
        );
        let finding = Finding::damage(
            Trouble::ParentMisnamed,
            &member.vm.vmsd_path(&*self.look.env.store),
            text,
        );
        Some(
            finding
                .cure("it is to name the one that it stands on")
                .step(relink),
        )
    }

    /// The parent is not in the library, or none of its VMs names the disk.
    fn unlisted_outside(&self, member: &Member, first: &Fact) -> Option<Finding> {
        let Some(owner) = self.lookout.owner(&first.path) else {
            let text = format!(
                "{} stands on {}, which is no VM's: nothing keeps it from being deleted",
                quoted(member.vmx()),
                quoted(&first.path)
            );
            let cure = "put back the configuration of the VM that it is part of, or make the clone independent: replix promote VMX";
            return Some(Finding::damage(Trouble::CloneUnlisted, &first.path, text).cure(cure));
        };
        let parent = &owner.vm;
        owner.base?;
        if owner.lists(self.look.env, member.vmx()) {
            return None;
        }
        let text = format!(
            "{} stands on {}, which does not list it as its clone: removing a snapshot there would take its disks",
            quoted(member.vmx()),
            quoted(parent.vmx())
        );
        let vm = member.vmx().to_path_buf();
        let finding = Finding::damage(Trouble::CloneUnlisted, &first.path, text);
        Some(
            finding
                .cure("each is to name the other")
                .step(Step::Relink { vm, parent: None }),
        )
    }

    /// Linked clones that the bookkeeping lists and that are none.
    fn entries(&self, at: usize, member: &Member) -> Vec<Finding> {
        let vmsd = member.vm.vmsd_path(&*self.look.env.store);
        let mut found = Vec::new();
        for entry in member.vmsd.snapshots() {
            for clone in &entry.clones {
                let finding = match clone_standing(self.look.env, &member.vm, clone) {
                    Standing::Gone => self.gone(at, member, entry, clone),
                    Standing::Unknown => unknown(member, entry, clone, &vmsd),
                    Standing::Living => self.stale(at, member, entry, clone),
                };
                found.extend(finding.map(|finding| finding.of(member.vmx())));
            }
        }
        found
    }

    fn gone(
        &self,
        at: usize,
        member: &Member,
        entry: &SnapshotEntry,
        clone: &str,
    ) -> Option<Finding> {
        let vmsd = member.vm.vmsd_path(&*self.look.env.store);
        let name = files::last_part(clone).to_lowercase();
        let called = self.called.get(&name).into_iter().flatten();
        let called = called.map(|other| &self.look.members[*other]);
        let mut moved = called.filter(|other| self.stands_on(other, at));
        let where_now = match (moved.next(), moved.next()) {
            (Some(one), None) => format!("; it is at {} now", quoted(one.vmx())),
            _ => String::new(),
        };
        let text = format!(
            "{} lists the linked clone {} of {}, which is gone{where_now}",
            quoted(&vmsd),
            quoted(clone),
            snapshot_name(&entry.display_name, entry.uid)
        );
        if frozen(member, entry.uid).any(|fact| self.is_wanted(fact)) {
            // It may be what tells that the two belong together.
            let cure = "a clone that does not find its parent may be it: see to that first";
            return Some(Finding::note(Trouble::CloneGone, &vmsd, text).cure(cure));
        }
        Some(forget(member, clone, &vmsd, text))
    }

    /// Tells whether a VM stands on one of the disks of the VM numbered `at`.
    fn stands_on(&self, other: &Member, at: usize) -> bool {
        let mut foreign = other.parts().filter_map(|part| part.foreign().first());
        foreign.any(|fact| self.look.owners.get(&fact.path) == Some(&at))
    }

    /// A clone that was made independent, or another VM in its place.
    fn stale(
        &self,
        at: usize,
        member: &Member,
        entry: &SnapshotEntry,
        clone: &str,
    ) -> Option<Finding> {
        let place = kin::locate(self.look.env, &member.vm, clone)?;
        let other = &self.look.members[*self.look.by_vmx.get(&place)?];
        let has_disks = other.parts().next().is_some() || other.vm.config.disks().is_empty();
        if !other.is_whole()
            || !has_disks
            || rebuild::is_lost(self.look.env, &other.vm, &other.vmsd)
        {
            return None;
        }
        let mut below = other.parts().flat_map(|part| part.links());
        let stands = below.any(|fact| self.look.owners.get(&fact.path) == Some(&at));
        let named = other.vmsd.clone_of();
        let names_it = named.and_then(|name| kin::locate(self.look.env, &other.vm, &name));
        // A clone without disks stands on nothing, and is one.
        if stands || names_it.as_deref() == Some(member.vmx()) {
            return None;
        }
        let vmsd = member.vm.vmsd_path(&*self.look.env.store);
        let text = format!(
            "{} lists {} as a linked clone of {}, and none of its disks stands on it",
            quoted(&vmsd),
            quoted(&place),
            snapshot_name(&entry.display_name, entry.uid)
        );
        Some(forget(member, clone, &vmsd, text))
    }

    /// Disks that two VMs write to, or that one writes to and others stand on.
    fn writers(&self) -> Vec<Finding> {
        let mut writers: BTreeMap<&Path, Vec<usize>> = BTreeMap::new();
        let mut shared = BTreeSet::new();
        for (at, member) in self.look.members.iter().enumerate() {
            for used in member.uses.iter().filter(|used| used.uid.is_none()) {
                let Ok(part) = &used.disk else { continue };
                let of_disk = writers.entry(&part.top().path).or_default();
                if !of_disk.contains(&at) {
                    of_disk.push(at);
                }
                if used.is_shared {
                    shared.insert(part.top().path.as_path());
                }
            }
        }
        let mut found = Vec::new();
        for (disk, of_disk) in writers {
            let vms: Vec<&Path> = of_disk
                .iter()
                .map(|at| self.look.members[*at].vmx())
                .collect();
            if vms.len() > 1 && !shared.contains(disk) {
                found.extend(two_writers(disk, &vms));
            }
            if let Some(children) = self.look.children.get(disk) {
                found.push(self.written_parent(disk, vms[0], children));
            }
        }
        found
    }

    fn written_parent(&self, disk: &Path, vm: &Path, children: &[(usize, PathBuf)]) -> Finding {
        let mut names: Vec<String> = children
            .iter()
            .map(|(at, _)| quoted(self.look.members[*at].vmx()))
            .collect();
        names.sort();
        names.dedup();
        let names = kin::enumerate(&names);
        let text = format!(
            "{} writes to {} as soon as it is started, and {names} would be lost: it stands on that disk",
            quoted(vm),
            quoted(disk)
        );
        let cure = format!(
            "take a snapshot of {} before it is started, then run replix repair; or make what stands on it independent: replix promote VMX",
            quoted(vm)
        );
        Finding::damage(Trouble::WrittenParent, disk, text)
            .of(vm)
            .cure(cure)
    }

    /// Snapshots that were made for linked clones, of which none is left.
    fn spare_snapshots(&self, at: usize, member: &Member) -> Vec<Finding> {
        if !self.is_tidy(member) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for entry in member
            .vmsd
            .snapshots()
            .iter()
            .filter(|entry| clone::is_base(entry))
        {
            let is_gone =
                |name: &str| clone_standing(self.look.env, &member.vm, name) == Standing::Gone;
            let frozen: Vec<&Fact> = frozen(member, entry.uid).collect();
            let is_used = frozen.iter().any(|fact| {
                let children = self.look.children.get(&fact.path);
                let others =
                    children.is_some_and(|children| children.iter().any(|(other, _)| *other != at));
                others || self.is_wanted(fact)
            });
            if is_used || !entry.clones.iter().all(is_gone) {
                continue;
            }
            let vmx = member.vmx();
            let name = snapshot_name(&entry.display_name, entry.uid);
            let text = format!(
                "{name} of {} was made for a linked clone, and none is left",
                quoted(vmx)
            );
            let merged = frozen.iter().filter(|fact| self.is_mergeable(at, fact));
            let bytes = merged.map(|fact| self.merge_frees(fact)).sum();
            let step = Step::RemoveSnapshot {
                vm: vmx.to_path_buf(),
                uid: entry.uid,
            };
            let finding = Finding::note(
                Trouble::SpareSnapshot,
                &member.vm.vmsd_path(&*self.look.env.store),
                text,
            );
            found.push(
                finding
                    .of(vmx)
                    .cure("it can go, unless you want to go back to it")
                    .step(step)
                    .frees(bytes),
            );
        }
        found
    }

    /// Links between those that states use.
    fn spare_links(&self, at: usize, member: &Member) -> Option<Finding> {
        if !self.is_tidy(member) {
            return None;
        }
        let tops: BTreeSet<&Path> = member.parts().map(|part| &*part.top().path).collect();
        let mut spare: BTreeMap<&Path, &Fact> = BTreeMap::new();
        for fact in member.parts().flat_map(|part| part.own()) {
            if self.is_mergeable(at, fact) && !tops.contains(&*fact.path) {
                spare.insert(&fact.path, fact);
            }
        }
        let first = spare.values().next()?;
        let names: Vec<String> = spare.keys().map(quoted).collect();
        let text = format!(
            "no state of {} is {}, and no clone stands there: its disks are longer chains than they need be",
            quoted(member.vmx()),
            kin::enumerate(&names)
        );
        let bytes = spare.values().map(|fact| self.merge_frees(fact)).sum();
        let vm = member.vmx().to_path_buf();
        let finding = Finding::note(Trouble::SpareLinks, &first.path, text).of(member.vmx());
        Some(
            finding
                .cure("they can be merged")
                .step(Step::Consolidate { vm })
                .frees(bytes),
        )
    }

    /// Tells whether a VM is off, and all of it known.
    fn is_tidy(&self, member: &Member) -> bool {
        member.state == PowerState::Off
            && member.is_whole()
            && !rebuild::is_lost(self.look.env, &member.vm, &member.vmsd)
    }

    /// Tells whether a link of the VM numbered `at` can become one with what hangs on it: with that alone,
    /// and where no linked clone stands on either.
    fn is_mergeable(&self, at: usize, fact: &Fact) -> bool {
        let children = |path: &Path| self.look.children.get(path).map_or(&[][..], Vec::as_slice);
        match children(&fact.path) {
            [(owner, child)] if *owner == at => {
                !self.is_wanted(fact) && children(child).iter().all(|(other, _)| *other == at)
            }
            _ => false,
        }
    }

    /// What merging a link with what hangs on it frees at most: the smaller of the two.
    fn merge_frees(&self, fact: &Fact) -> u64 {
        let children = self.look.children.get(&fact.path).into_iter().flatten();
        let of_child = children.filter_map(|(at, path)| {
            let mut facts = self.look.members[*at].parts().flat_map(|part| part.links());
            facts
                .find(|other| other.path == *path)
                .map(|other| other.bytes)
        });
        of_child
            .min()
            .map_or(fact.bytes, |bytes| bytes.min(fact.bytes))
    }
}

/// Links that read as the same disk would.
#[derive(Default)]
struct Like<'a> {
    all: Vec<&'a Fact>,
    /// By their names in lower case.
    called: HashMap<String, Vec<&'a Fact>>,
    /// Those that snapshots froze.
    frozen: Vec<&'a Fact>,
}

/// Where the disk is that a clone was made on.
enum Place {
    Found {
        parent: Option<PathBuf>,
        disk: PathBuf,
    },
    Several(Vec<PathBuf>),
    /// It has the short content id and the capacity, which others may have too.
    Unproven(PathBuf),
    Nowhere,
}

/// Tells whether what `last` hangs on is another VM's: its bookkeeping says so, or it is named in a folder
/// of its own.
fn is_clones(member: &Member, last: &Fact) -> bool {
    let hint = last.hint.as_deref().unwrap_or_default();
    let place = files::place_of(folder_of(&last.path), hint);
    member.vmsd.clone_of().is_some() || folder_of(&place) != folder_of(&last.path)
}

/// The name of a file, in lower case.
fn lower_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().to_lowercase()
}

/// The disks that the snapshots of a VM froze.
fn frozen_by(member: &Member) -> impl Iterator<Item = &Path> {
    let frozen = member.uses.iter().filter(|used| used.uid.is_some());
    frozen.filter_map(|used| Some(&*used.disk.as_ref().ok()?.top().path))
}

/// Tells whether a snapshot of `parent` froze the disk at `path`.
fn freezes(parent: &Member, path: &Path) -> bool {
    frozen_by(parent).any(|frozen| frozen == path)
}

/// The disks that a snapshot froze.
fn frozen(member: &Member, uid: u32) -> impl Iterator<Item = &Fact> {
    let used = member.uses.iter().filter(move |used| used.uid == Some(uid));
    used.filter_map(|used| Some(used.disk.as_ref().ok()?.top()))
}

fn forget(member: &Member, clone: &str, vmsd: &Path, text: String) -> Finding {
    let step = Step::Forget {
        vm: member.vmx().to_path_buf(),
        clone: clone.to_owned(),
    };
    let finding = Finding::note(Trouble::CloneGone, vmsd, text);
    finding.cure("the entry is of no use").step(step)
}

fn unknown(member: &Member, entry: &SnapshotEntry, clone: &str, vmsd: &Path) -> Option<Finding> {
    let text = format!(
        "{} lists the linked clone {} of {}, whose place cannot be seen from here",
        quoted(vmsd),
        quoted(clone),
        snapshot_name(&entry.display_name, entry.uid)
    );
    let cure = format!(
        "as long as it may be somewhere, {} keeps the snapshot; if it is gone for good, delete its line there by hand",
        quoted(member.vmx())
    );
    Some(Finding::note(Trouble::CloneUnknown, vmsd, text).cure(cure))
}

fn two_writers<'a>(disk: &'a Path, vms: &'a [&Path]) -> impl Iterator<Item = Finding> + 'a {
    vms.iter().map(move |vm| {
        let others = vms.iter().filter(|other| *other != vm).map(quoted);
        let others: Vec<String> = others.collect();
        let text = format!(
            "{} and {} write to one disk, {}",
            quoted(vm),
            kin::enumerate(&others),
            quoted(disk)
        );
        let cure = "never start both; give one of them a disk of its own: replix disk convert, or a clone of the VM";
        Finding::damage(Trouble::TwoWriters, disk, text).of(vm).cure(cure)
    })
}
