//! What is done to a disk by itself: held against others, kept from VMs and disks that need it as it
//! is.

use std::path::{Path, PathBuf};

use super::env::Env;
use super::lock::{VmLock, VmwareLock};
use super::open::VmFolder;
use super::{PowerState, state, whole_disk};
use crate::disk::{
    self, Chain, Comparison, ContentId, Copy, DiskAnswer, DiskCall, DiskFormat, Link, NewDisk,
    RepairReport,
};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::SnapshotEntry;
use crate::format::vmdk::SECTOR;
use crate::job::Job;
use crate::store::{LockMode, files_with_ending, folder_of};

/// The hardware version that a new disk names: what every VMware product of today takes.
const HARDWARE_VERSION: u32 = 16;

/// Does something to the disk at `path`.
///
/// # Errors
/// Those of the operation; `FileExists` for a new disk; `DiskUnsupported` where other disks stand on
/// it; `VmRunning` where a VM that uses it runs or is suspended; `FileLocked`. The disk is as it was
/// then, and no new file is left.
pub fn run(env: &Env, path: &Path, call: &DiskCall, job: &Job) -> Result<DiskAnswer> {
    let done = |()| DiskAnswer::Done;
    match call {
        DiskCall::Create {
            format,
            capacity_bytes,
            adapter,
        } => {
            let (create_type, preallocated) = format.parts();
            let new = NewDisk {
                path: path.to_path_buf(),
                create_type,
                preallocated,
                sectors: capacity_bytes.div_ceil(SECTOR),
                cut: None,
                adapter: adapter.clone(),
                hardware_version: HARDWARE_VERSION,
                uuid: None,
            };
            job.phase(format!("creating {}", quoted(path)));
            whole_disk::make(env, path, |path| {
                let path = path.to_path_buf();
                disk::create(&*env.store, &NewDisk { path, ..new }).map(drop)
            })
            .map(done)
        }
        DiskCall::Convert { to, format } => convert(env, path, to, *format, job).map(done),
        DiskCall::ToRaw { to } => to_raw(env, path, to, job).map(done),
        DiskCall::FromRaw {
            to,
            format,
            adapter,
        } => from_raw(env, path, to, *format, adapter, job).map(done),
        DiskCall::Grow { capacity_bytes } => {
            let (chain, _held) = hold(env, path, job)?;
            job.phase(format!("growing {}", quoted(path)));
            disk::grow(&*env.store, &chain, capacity_bytes.div_ceil(SECTOR)).map(done)
        }
        DiskCall::Compact => {
            let (chain, _held) = hold(env, path, job)?;
            job.phase(format!("compacting {}", quoted(path)));
            job.expect_bytes(disk::to_compact(&chain)?);
            disk::compact(&*env.store, &chain, job).map(done)
        }
        DiskCall::Rename { to } => rename(env, path, to, job).map(done),
        DiskCall::MakeDeletable => {
            let folder = hold_folder(env, path, job)?;
            let link = env
                .opener_in(folder_of(path), Vec::new())?
                .open_link(path)?;
            let _held = hold_file(env, link.path(), folder)?;
            disk::make_deletable(&*env.store, &link).map(done)
        }
        DiskCall::Delete => delete(env, path, job).map(done),
        DiskCall::Compare { with } => compare(env, path, with, job).map(DiskAnswer::Compared),
        DiskCall::Repair { dry_run } => repair(env, path, *dry_run, job).map(DiskAnswer::Repaired),
    }
}

fn convert(env: &Env, from: &Path, to: &Path, format: DiskFormat, job: &Job) -> Result<()> {
    let patience = env.settings.patience;
    let _folder = VmLock::acquire(
        &*env.store,
        folder_of(from),
        LockMode::Shared,
        job,
        patience,
    )?;
    let chain = begin_copy(env, from, open(env, from)?, job)?;
    copy(env, &chain, to, format, ContentId::Keep, job)
}

fn to_raw(env: &Env, from: &Path, to: &Path, job: &Job) -> Result<()> {
    let store = &*env.store;
    let patience = env.settings.patience;
    let _folder = VmLock::acquire(store, folder_of(from), LockMode::Shared, job, patience)?;
    let chain = begin_copy(env, from, open(env, from)?, job)?;
    whole_disk::make(env, to, |to| {
        disk::copy_to_raw(store, &chain, to, job).map(drop)
    })
}

fn from_raw(
    env: &Env,
    from: &Path,
    to: &Path,
    format: DiskFormat,
    adapter: &str,
    job: &Job,
) -> Result<()> {
    let opener = env.opener_in(folder_of(from), Vec::new())?;
    let raw = opener.open_raw(from, adapter, HARDWARE_VERSION)?;
    let chain = begin_copy(env, from, raw, job)?;
    copy(env, &chain, to, format, ContentId::Fresh, job)
}

/// Says that the disk `from` is being copied, which nobody may be writing to.
fn begin_copy(env: &Env, from: &Path, chain: Chain, job: &Job) -> Result<Chain> {
    chain.top().require_unused(&*env.store)?;
    job.phase(format!("copying {}", quoted(from)));
    job.expect_bytes(chain.data_bytes()?);
    Ok(chain)
}

fn copy(
    env: &Env,
    chain: &Chain,
    to: &Path,
    format: DiskFormat,
    content_id: ContentId,
    job: &Job,
) -> Result<()> {
    let store = &*env.store;
    let (create_type, preallocated) = format.parts();
    whole_disk::make(env, to, |path| {
        let copy = Copy {
            path,
            create_type: Some(create_type),
            preallocated,
            uuid: None,
            content_id,
        };
        match format {
            DiskFormat::StreamOptimized { level } => {
                let level = level.unwrap_or(disk::USUAL_LEVEL);
                disk::export(store, chain, &copy, level, job).map(drop)
            }
            _ => disk::copy(store, chain, &copy, job).map(drop),
        }
    })
}

/// Renames a disk. A VM's configuration that names it is left to its user, as VMware's program does.
fn rename(env: &Env, path: &Path, to: &Path, job: &Job) -> Result<()> {
    let folder = hold_folder(env, path, job)?;
    let opener = env.opener_in(folder_of(path), Vec::new())?;
    let path = opener.open_link(path)?.path().to_path_buf();
    // By its true path, as that of the disk is.
    let to = env
        .store
        .canonical(folder_of(to))?
        .join(to.file_name().unwrap_or_default());
    require_no_snapshot(env, &path)?;
    let children = children_of(env, &path)?;
    let mut locks = Vec::new();
    for child in &children {
        require_no_user(env, child.path())?;
        child.require_unused(&*env.store)?;
        locks.push(VmwareLock::take(
            &*env.store,
            child.path(),
            LockMode::Exclusive,
        )?);
    }
    let _held = hold_file(env, &path, folder)?;
    opener.open_link(&path)?.require_unused(&*env.store)?;
    job.phase(format!("renaming {}", quoted(&path)));
    warn_of_users(env, &path, job);
    disk::rename(&opener, &path, &to, &children)
}

fn delete(env: &Env, path: &Path, job: &Job) -> Result<()> {
    let folder = hold_folder(env, path, job)?;
    let link = env
        .opener_in(folder_of(path), Vec::new())?
        .open_link(path)?;
    require_no_child(env, link.path())?;
    require_no_snapshot(env, link.path())?;
    let _held = hold_file(env, link.path(), folder)?;
    link.require_unused(&*env.store)?;
    job.phase(format!("deleting {}", quoted(path)));
    warn_of_users(env, link.path(), job);
    link.remove(&*env.store)?;
    env.store.sync_dir(folder_of(link.path()))
}

/// Tells of each VM beside a disk whose configuration names it.
fn warn_of_users(env: &Env, path: &Path, job: &Job) {
    for vm in vms_beside(env, path) {
        if uses(env, &vm, path) {
            job.warn(format!("{} still names {}", quoted(vm.vmx()), quoted(path)));
        }
    }
}

/// Refuses a disk that a snapshot of a VM beside it names: the snapshot would be without it.
fn require_no_snapshot(env: &Env, path: &Path) -> Result<()> {
    let own = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    for vm in vms_beside(env, path) {
        let Ok(vmsd) = env.vmsd(&vm) else {
            continue;
        };
        let names_it = |name: &str| {
            let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
            last.to_lowercase() == own
        };
        let mut snapshots = vmsd.snapshots().iter();
        let of_it = |snapshot: &&SnapshotEntry| {
            let mut disks = snapshot.disks.iter();
            disks.any(|disk| names_it(&disk.file_name))
        };
        if let Some(snapshot) = snapshots.find(of_it) {
            let text = format!(
                "{} belongs to snapshot {} of {}",
                quoted(path),
                quoted(&snapshot.display_name),
                quoted(vm.vmx())
            );
            let error = Error::new(Kind::DiskUnsupported, text).at(path);
            return Err(error.hint("remove the snapshots first"));
        }
    }
    Ok(())
}

/// Returns the VMs in the folder of a file. What is no VM uses no disk.
fn vms_beside(env: &Env, path: &Path) -> Vec<VmFolder> {
    let store = &*env.store;
    let files = files_with_ending(store, folder_of(path), "vmx");
    files
        .filter_map(|vmx| VmFolder::open(store, &vmx).ok())
        .collect()
}

fn compare(env: &Env, path: &Path, with: &Path, job: &Job) -> Result<Comparison> {
    let store = &*env.store;
    let patience = env.settings.patience;
    let mut folders = vec![folder_of(path), folder_of(with)];
    folders.dedup();
    // Whoever holds them the other way round shares them too: none waits for the other.
    let mut held = Vec::new();
    for folder in folders {
        let lock = VmLock::acquire(store, folder, LockMode::Shared, job, patience)?;
        held.push(lock);
    }
    let (one, other) = (open(env, path)?, open(env, with)?);
    for chain in [&one, &other] {
        chain.require_clean()?;
        chain.top().require_unused(store)?;
    }
    job.phase(format!("comparing {} with {}", quoted(path), quoted(with)));
    job.expect_bytes(one.capacity_bytes().min(other.capacity_bytes()));
    disk::compare(&one, &other, job)
}

/// Repairs a disk, whatever of it can still be opened.
fn repair(env: &Env, path: &Path, dry_run: bool, job: &Job) -> Result<RepairReport> {
    let folder = folder_of(path);
    let opener = env.opener_in(folder, Vec::new())?;
    job.phase(format!("checking {}", quoted(path)));
    if dry_run {
        let child = child_of(env, path)?;
        return disk::repair(&opener, path, child.as_deref(), true, job);
    }
    let held = hold_folder(env, path, job)?;
    let path = env.store.canonical(path)?;
    let _held = hold_file(env, &path, held)?;
    let child = child_of(env, &path)?;
    disk::repair(&opener, &path, child.as_deref(), false, job)
}

fn open(env: &Env, path: &Path) -> Result<Chain> {
    env.opener_in(folder_of(path), Vec::new())?.open(path)
}

/// What keeps others from a disk while it is changed.
struct Held<'a> {
    _vmware: VmwareLock<'a>,
    _folder: VmLock,
}

/// Opens a disk that is to be changed, and holds it.
fn hold<'a>(env: &'a Env, path: &Path, job: &Job) -> Result<(Chain, Held<'a>)> {
    let folder = hold_folder(env, path, job)?;
    let chain = open(env, path)?;
    require_no_child(env, chain.top().path())?;
    let held = hold_file(env, chain.top().path(), folder)?;
    Ok((chain, held))
}

fn hold_folder(env: &Env, path: &Path, job: &Job) -> Result<VmLock> {
    let patience = env.settings.patience;
    VmLock::acquire(
        &*env.store,
        folder_of(path),
        LockMode::Exclusive,
        job,
        patience,
    )
}

/// Holds the disk whose true path is `path`, in a folder that is held, without looking into it.
fn hold_file<'a>(env: &'a Env, path: &Path, folder: VmLock) -> Result<Held<'a>> {
    require_no_user(env, path)?;
    Ok(Held {
        _vmware: VmwareLock::take(&*env.store, path, LockMode::Exclusive)?,
        _folder: folder,
    })
}

/// Refuses a disk that another one in its folder stands on: a snapshot was taken of it.
fn require_no_child(env: &Env, path: &Path) -> Result<()> {
    let Some(top) = child_of(env, path)? else {
        return Ok(());
    };
    let (name, child) = (quoted(path), quoted(&top));
    let text = format!("{name} cannot be changed: {child} stands on it");
    let hint = way_out(env, path, &top);
    Err(Error::new(Kind::DiskUnsupported, text).at(path).hint(hint))
}

/// Says how a disk gets rid of a child.
fn way_out(env: &Env, path: &Path, child: &Path) -> String {
    let vms = vms_beside(env, path);
    let is_frozen = vms.iter().any(|vm| {
        let frozen = frozen_names(env, vm).into_iter();
        let mut found = frozen.filter_map(|name| vm.find(&*env.store, &name));
        found.any(|found| found.path == path)
    });
    if vms.is_empty() || is_frozen {
        return "remove the snapshots first".into();
    }
    if let Some(vm) = vms.iter().find(|vm| needs(env, vm, child)) {
        let vmx = quoted(vm.vmx());
        return format!("no snapshot needs it: replix consolidate {vmx} makes one of the two");
    }
    // A snapshot may be lost with its name, or a process killed while it took one away.
    let folder = quoted(folder_of(path));
    format!(
        "no state of a VM there uses it: replix gc {folder} removes it where it is known to be of no use, and replix check {folder} tells what else it may be"
    )
}

/// Tells whether a state of a VM stands on a disk, as far as its disks can be opened.
fn needs(env: &Env, vm: &VmFolder, path: &Path) -> bool {
    let current = vm.config.disks().into_iter().map(|slot| slot.file_name);
    let Ok(opener) = env.opener(vm) else {
        return true;
    };
    let mut surveys = current.chain(frozen_names(env, vm)).filter_map(|name| {
        let found = vm.find(&*env.store, &name)?;
        opener.survey(&found.path).ok()
    });
    surveys.any(|survey| survey.links.iter().any(|link| link.path() == path))
}

/// The disks that the snapshots of a VM froze, as written.
fn frozen_names(env: &Env, vm: &VmFolder) -> Vec<String> {
    let frozen = env
        .vmsd(vm)
        .map(|vmsd| vmsd.frozen_disks().map(String::from).collect());
    frozen.unwrap_or_default()
}

/// Returns a disk in the same folder that stands on the one at `path`, if there is one.
fn child_of(env: &Env, path: &Path) -> Result<Option<PathBuf>> {
    let children = children_of(env, path)?;
    Ok(children.first().map(|child| child.path().to_path_buf()))
}

/// Returns the disks in the same folder that stand on the one at `path`.
fn children_of(env: &Env, path: &Path) -> Result<Vec<Link>> {
    let folder = folder_of(path);
    let opener = env.opener_in(folder, Vec::new())?;
    let own = path.file_name().unwrap_or_default();
    let own = own.to_string_lossy().to_lowercase();
    let stands_on_it = |link: &Link| {
        let hint = link.descriptor().parent_hint().unwrap_or_default();
        let name = hint.rsplit(['/', '\\']).next().unwrap_or_default();
        name.to_lowercase() == own && link.path() != path
    };
    let others = files_with_ending(&*env.store, folder, "vmdk");
    let links = others.filter_map(|other| opener.open_link(&other).ok());
    Ok(links.filter(stands_on_it).collect())
}

/// Refuses a disk of a VM beside it that runs or is suspended: its memory knows the disk as it is.
fn require_no_user(env: &Env, path: &Path) -> Result<()> {
    for vm in vms_beside(env, path) {
        let report = state::read(env, &vm);
        if report.state != PowerState::Off && uses(env, &vm, path) {
            let text = format!("{} uses {}", quoted(vm.vmx()), quoted(path));
            let hint = "power the VM off first";
            return Err(Error::new(Kind::VmRunning, text).at(path).hint(hint));
        }
    }
    Ok(())
}

fn uses(env: &Env, vm: &VmFolder, path: &Path) -> bool {
    let disks = vm.config.disks();
    let mut chains = disks
        .iter()
        .filter_map(|slot| env.disk(vm, &slot.file_name).ok());
    chains.any(|chain| chain.links().iter().any(|link| link.path() == path))
}
