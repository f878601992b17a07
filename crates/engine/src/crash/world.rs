//! The VMs on which the operations work, and what a user sees of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::outage::digest;
use crate::disk::link::ExtentData;
use crate::disk::{Chain, NewDisk, create as create_disk, create_child};
use crate::error::{Kind, Result};
use crate::format::vmdk::sparse::TABLE_ENTRIES;
use crate::format::vmdk::{CreateType, SECTOR};
use crate::format::{SnapshotEntry, Vmsd};
use crate::job::Job;
use crate::power::{record_memory, suspended_memory, write_sample};
use crate::snapshot::{self, NewSnapshot, RevertSpec, SnapshotRef};
use crate::store::{Access, Mem, Store, create_dirs, replace, write_new};
use crate::vm::{Env, Settings};

/// The VM that is there from the beginning.
pub const BASE: &str = "/vms/base/base.vmx";

/// The file that it is suspended to.
const MEMORY: &str = "base-5a5e5a5e.replixstate";

/// Where a clone of it comes to be.
pub const CLONE: &str = "/vms/clone/clone.vmx";

/// A disk of no VM.
pub const ALONE: &str = "/vms/disks/alone.vmdk";

/// A copy of that.
pub const COPY: &str = "/vms/disks/copy.vmdk";

/// Where the header of a disk that grows says whether it was closed.
const UNCLEAN_AT: u64 = 72;

/// Six grains, the last of them not whole.
const SECTORS: u64 = 128 * 5 + 37;

/// The extents of a split disk have three grains each.
const CUT: u64 = 128 * 3;

/// Returns what operations need to work in `store`.
pub fn env(store: &(impl Store + Clone + 'static)) -> Env {
    Env {
        store: Arc::new(store.clone()),
        settings: Settings::default(),
    }
}

fn new_disk(mem: &Mem, path: &str, create_type: CreateType) {
    let disk = NewDisk {
        path: path.into(),
        create_type,
        preallocated: false,
        sectors: SECTORS,
        cut: create_type.is_split().then_some(CUT),
        adapter: "lsilogic".into(),
        hardware_version: 19,
        uuid: None,
    };
    create_disk(mem, &disk).unwrap();
}

/// Makes a VM with two disks, one of which grows, with data on both.
pub fn with_base(mem: &Mem) {
    create_dirs(mem, Path::new("/vms/base")).unwrap();
    new_disk(mem, "/vms/base/base.vmdk", CreateType::MonolithicSparse);
    new_disk(mem, "/vms/base/data.vmdk", CreateType::MonolithicFlat);
    let vmx = b"config.version = \"8\"\nvirtualHW.version = \"19\"\nnvram = \"base.nvram\"\n\
                scsi0.present = \"TRUE\"\n\
                scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"base.vmdk\"\n\
                scsi0:1.present = \"TRUE\"\nscsi0:1.fileName = \"data.vmdk\"\n";
    write_new(mem, Path::new(BASE), vmx).unwrap();
    write_new(mem, Path::new("/vms/base/base.nvram"), b"NVRAM").unwrap();
    use_guest(mem, BASE, 1);
}

/// The same with the snapshots `a`, `b` and `c`, one on the other, and something written after each.
pub fn with_snapshots(mem: &Mem) {
    with_base(mem);
    for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
        take(&env(mem), name).unwrap();
        use_guest(mem, BASE, number as u8 + 2);
    }
}

/// Makes a VM with one split disk, with data on all its parts, and the snapshots `a` and `b`.
pub fn with_split(mem: &Mem) {
    create_dirs(mem, Path::new("/vms/base")).unwrap();
    new_disk(mem, "/vms/base/base.vmdk", CreateType::SplitSparse);
    let vmx = b"config.version = \"8\"\nvirtualHW.version = \"19\"\n\
                scsi0.present = \"TRUE\"\n\
                scsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"base.vmdk\"\n";
    write_new(mem, Path::new(BASE), vmx).unwrap();
    use_guest(mem, BASE, 4);
    for (name, fill) in [("a", 5), ("b", 3)] {
        take(&env(mem), name).unwrap();
        use_guest(mem, BASE, fill);
    }
}

/// The one with snapshots, and `d` and `e`, after which nothing was written. The bookkeeping names `b` and
/// `d` no more: their disks are still in the chains.
pub fn with_long_chain(mem: &Mem) {
    with_snapshots(mem);
    take(&env(mem), "d").unwrap();
    take(&env(mem), "e").unwrap();
    for name in ["b", "d"] {
        change_bookkeeping(mem, |vmsd| {
            let is_it = |one: &&SnapshotEntry| one.display_name == name;
            let uid = vmsd.snapshots().iter().find(is_it).unwrap().uid;
            vmsd.remove_snapshot(uid);
        });
    }
}

/// Changes the bookkeeping of the VM that is there from the beginning.
pub fn change_bookkeeping(mem: &Mem, change: impl FnOnce(&mut Vmsd)) {
    let env = env(mem);
    let vm = env.open(Path::new(BASE)).unwrap();
    let mut vmsd = env.vmsd(&vm).unwrap();
    change(&mut vmsd);
    replace(mem, &vm.vmsd_path(mem), &vmsd.to_bytes()).unwrap();
}

/// The one with snapshots, without the file that names them.
pub fn with_lost_bookkeeping(mem: &Mem) {
    with_snapshots(mem);
    mem.remove_file(Path::new("/vms/base/base.vmsd")).unwrap();
}

/// The one with snapshots, suspended.
pub fn with_snapshots_and_suspended(mem: &Mem) {
    with_snapshots(mem);
    suspend(&env(mem)).unwrap();
}

/// Puts the VM that is there from the beginning back to a snapshot.
pub fn revert(env: &Env, name: &str) -> Result<()> {
    let spec = RevertSpec::from(SnapshotRef::Name(name.into()));
    snapshot::revert(env, Path::new(BASE), &spec, &Job::new())
}

/// Suspends the VM that is there from the beginning.
pub fn suspend(env: &Env) -> Result<()> {
    let mut vm = env.open(Path::new(BASE))?;
    record_memory(env, &mut vm, MEMORY, |vm, path| write_sample(env, vm, path))
}

/// The one with snapshots, and another one, `d`, that was taken while it was suspended.
pub fn with_memory(mem: &Mem) {
    with_snapshots(mem);
    suspend(&env(mem)).unwrap();
    take(&env(mem), "d").unwrap();
    revert(&env(mem), "a").unwrap();
}

/// Makes an empty disk that stands on the one at `parent`, beside it.
pub fn make_child(mem: &Mem, parent: &str, path: &Path) {
    let chain = open_alone(mem, Path::new(parent)).unwrap();
    let name = Path::new(parent).file_name().unwrap().to_str().unwrap();
    create_child(mem, &chain, path, name).unwrap();
}

/// Makes a disk of no VM, with data on it.
pub fn with_disk(mem: &Mem) {
    create_dirs(mem, Path::new("/vms/disks")).unwrap();
    new_disk(mem, ALONE, CreateType::MonolithicSparse);
    let chain = open_alone(mem, Path::new(ALONE)).unwrap();
    write_grain(mem, &chain, 4, 7);
    let chain = open_alone(mem, Path::new(ALONE)).unwrap();
    write_grain(mem, &chain, 1, 8);
}

/// The same, not closed cleanly, and with a grain that one of the two tables has lost.
pub fn with_damaged_disk(mem: &Mem) {
    with_disk(mem);
    let chain = open_alone(mem, Path::new(ALONE)).unwrap();
    let ExtentData::Sparse { header, .. } = &chain.top().extents()[0].data else {
        panic!("it grows");
    };
    let file = mem.open(Path::new(ALONE), Access::Write).unwrap();
    let table = number(&*file, header.rgd_offset.unwrap() * SECTOR);
    file.write_at(&[0; 4], u64::from(table) * SECTOR + 4)
        .unwrap();
    file.write_at(&[1], UNCLEAN_AT).unwrap();
}

/// Writes other bytes over some wherever they are in a file, as many.
pub fn overwrite(mem: &Mem, path: &Path, old: &[u8], new: &[u8]) {
    let file = mem.open(path, Access::Write).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let found = bytes.windows(old.len()).enumerate();
    for (at, _) in found.filter(|(_, window)| *window == old) {
        file.write_at(new, at as u64).unwrap();
    }
}

/// Takes a snapshot of the VM that is there from the beginning.
pub fn take(env: &Env, name: &str) -> Result<()> {
    let new = NewSnapshot {
        name: name.into(),
        ..NewSnapshot::default()
    };
    snapshot::create(env, Path::new(BASE), &new, &Job::new()).map(drop)
}

/// Writes what a guest might: grains whose bytes are `fill`, one of them over an older one.
fn use_guest(mem: &Mem, vmx: &str, fill: u8) {
    for grain in [0, u64::from(fill) % 6] {
        let env = env(mem);
        let vm = env.open(Path::new(vmx)).unwrap();
        for slot in vm.config.disks() {
            let chain = env.disk(&vm, &slot.file_name).unwrap();
            write_grain(mem, &chain, grain, fill);
        }
    }
}

/// Writes a grain of the disk's own link.
fn write_grain(mem: &Mem, chain: &Chain, grain: u64, fill: u8) {
    let link = chain.top();
    let (mut extents, mut grain) = (link.extents().iter(), grain);
    let mut extent = extents.next().unwrap();
    while grain * 128 >= extent.sectors {
        grain -= extent.sectors / 128;
        extent = extents.next().unwrap();
    }
    let file = mem.open(&link.extent_path(extent), Access::Write).unwrap();
    let ExtentData::Sparse { header, .. } = extent.data else {
        let start = grain * 128 * SECTOR;
        let len = (128 * SECTOR).min(SECTORS * SECTOR - start);
        return file.write_at(&vec![fill; len as usize], start).unwrap();
    };
    let data = vec![fill; header.grain_bytes() as usize];
    let entry = |directory: u64| {
        let table = number(&*file, directory * SECTOR + grain / TABLE_ENTRIES * 4);
        u64::from(table) * SECTOR + grain % TABLE_ENTRIES * 4
    };
    let entries = [entry(header.gd_offset), entry(header.rgd_offset.unwrap())];
    let mut sector = u64::from(number(&*file, entries[0]));
    if sector == 0 {
        sector = file
            .len()
            .unwrap()
            .div_ceil(SECTOR)
            .next_multiple_of(header.grain_sectors);
        for at in entries {
            file.write_at(&(sector as u32).to_le_bytes(), at).unwrap();
        }
    }
    file.write_at(&data, sector * SECTOR).unwrap();
}

fn number(file: &dyn crate::store::Bytes, at: u64) -> u32 {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, at).unwrap();
    u32::from_le_bytes(bytes)
}

fn open_alone(mem: &Mem, path: &Path) -> Result<Chain> {
    let env = env(mem);
    env.opener_in(path.parent().unwrap(), Vec::new())?
        .open(path)
}

/// What a user sees of a VM or of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// There is none.
    Nothing,
    /// A VM.
    Vm {
        /// Version of its hardware, and number of its network adapters.
        hardware: (u32, usize),
        /// What the guest sees of each disk.
        disks: Vec<u64>,
        /// Its snapshots: name, name of the one before, what is on each disk.
        snapshots: Vec<(String, Option<String>, Vec<u64>)>,
        /// The snapshot that it stands on.
        current: Option<String>,
        /// Whether it is suspended.
        suspended: bool,
    },
    /// A disk: its capacity, and what is on it.
    Disk(u64, u64),
    /// It cannot be used.
    Broken(String),
}

/// Returns what is seen of all that there may be.
pub fn look(mem: &Mem) -> BTreeMap<PathBuf, Seen> {
    let vms = [BASE, CLONE].map(|path| (PathBuf::from(path), see(mem, path, see_vm)));
    let disks = [ALONE, COPY].map(|path| (PathBuf::from(path), see(mem, path, see_disk)));
    vms.into_iter().chain(disks).collect()
}

fn see(mem: &Mem, path: &str, look: fn(&Mem, &Path) -> Result<Seen>) -> Seen {
    match look(mem, Path::new(path)) {
        Ok(seen) => seen,
        Err(error) => match error.kind() {
            Kind::VmNotFound | Kind::FileNotFound if !mem.exists(Path::new(path)) => Seen::Nothing,
            _ => Seen::Broken(format!("{error:?}")),
        },
    }
}

fn see_disk(mem: &Mem, path: &Path) -> Result<Seen> {
    let chain = open_alone(mem, path)?;
    Ok(Seen::Disk(chain.sectors(), content(&chain)?))
}

fn see_vm(mem: &Mem, path: &Path) -> Result<Seen> {
    let env = env(mem);
    let vm = env.open(path)?;
    let vmsd = env.vmsd(&vm)?;
    let disk = |name: &str| content(&env.disk(&vm, name)?);
    let slots = vm.config.disks();
    let name = |uid: u32| vmsd.snapshot(uid).map(|one| one.display_name.clone());
    let mut snapshots = Vec::new();
    for one in vmsd.snapshots() {
        let disks = one.disks.iter().map(|frozen| disk(&frozen.file_name));
        let disks = disks.collect::<Result<_>>()?;
        snapshots.push((one.display_name.clone(), one.parent.and_then(name), disks));
    }
    Ok(Seen::Vm {
        hardware: (vm.config.hardware_version(), vm.config.nics().len()),
        disks: slots
            .iter()
            .map(|slot| disk(&slot.file_name))
            .collect::<Result<_>>()?,
        snapshots,
        current: vmsd.current().and_then(name),
        suspended: suspended_memory(&env, &vm)?.is_some(),
    })
}

fn content(chain: &Chain) -> Result<u64> {
    chain.require_clean()?;
    let mut bytes = vec![0; chain.capacity_bytes() as usize];
    chain.read(&mut bytes, 0)?;
    let grains = bytes.chunks(128 * SECTOR as usize).enumerate();
    let filled = grains.filter(|(_, grain)| *grain != &ZEROS[..grain.len()]);
    Ok(filled
        .map(|(at, grain)| digest(grain).rotate_left(at as u32))
        .fold(0, u64::wrapping_add))
}

const ZEROS: &[u8] = &[0; 128 * SECTOR as usize];
