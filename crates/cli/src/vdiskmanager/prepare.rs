//! Preparing what is mounted for shrinking: zeros over its free space, which shrinking its disk leaves out.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use replix::store::{Local, Store};
use replix::{Error, Job, Kind, Result};

/// What is written at once.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// The least that a file system gives.
const SECTOR: usize = 512;

/// Fills the free space of the file system at a mount point with zeros, and gives it back, however this
/// ends: the files have no names.
///
/// # Errors
/// `Argument` for what is no mount point of a disk; `Cancelled`; what the system says.
pub fn prepare(mounted: &Path, job: &Job) -> Result<()> {
    require_mount_point(mounted)?;
    job.expect_bytes(Local.free_bytes(mounted)?);
    let mut files = Vec::new();
    loop {
        let mut file = nameless(mounted)?;
        let is_full = fill(&mut file, mounted, job)?;
        files.push(file);
        if is_full {
            return Ok(());
        }
    }
}

/// What a disk's file system cannot be is left alone: a folder of another one, and one in memory, which
/// zeros would fill.
fn require_mount_point(path: &Path) -> Result<()> {
    let device = |path: &Path| {
        let meta = fs::metadata(path).map_err(|cause| Error::io("find", path, cause));
        meta.map(|meta| meta.dev())
    };
    let why = if device(path)? == device(&path.join(".."))? {
        "is no mount point"
    } else if statfs(path).is_ok_and(|stat| stat.filesystem_type() == TMPFS_MAGIC) {
        "is in memory, on no disk"
    } else {
        return Ok(());
    };
    let text = format!("{} {why}", path.display());
    let hint = "mount the disk's file system there, or let the guest give back what it does not use (fstrim)";
    Err(Error::new(Kind::Argument, text).hint(hint))
}

fn nameless(dir: &Path) -> Result<File> {
    let path = dir.join(format!(".vmware-vdiskmanager-{}", std::process::id()));
    let file = File::create_new(&path).map_err(|cause| Error::io("create", &path, cause))?;
    fs::remove_file(&path).map_err(|cause| Error::io("remove", &path, cause))?;
    Ok(file)
}

/// Writes zeros to a file while there is space, and brings them to the disk; `false` where only the file
/// can take no more.
fn fill(file: &mut File, dir: &Path, job: &Job) -> Result<bool> {
    let mut step = ZEROS.len();
    let is_full = loop {
        job.check()?;
        match file.write(&ZEROS[..step]) {
            Ok(written) => job.advance(written as u64),
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) if cause.kind() == ErrorKind::FileTooLarge => break false,
            Err(cause) if cause.kind() != ErrorKind::StorageFull => {
                return Err(Error::io("write", dir, cause));
            }
            Err(_) if step > SECTOR => step = SECTOR,
            Err(_) => break true,
        }
    };
    // Without this they would be dropped with the file, unwritten.
    match file.sync_all() {
        Err(cause) if cause.kind() != ErrorKind::StorageFull => Err(Error::io("sync", dir, cause)),
        _ => Ok(is_full),
    }
}
