//! Disks of each layout: opened, checked, mapped and read.

use std::path::Path;
use std::sync::Arc;

use super::input::{Input, put};
use crate::disk::{Opener, Places, check};
use crate::job::Job;
use crate::store::Mem;

/// As many entries of a map are looked at, and as many bytes read at either end.
const LOOKED_AT: usize = 512;

/// Opens a disk and does all that reads it.
pub fn look(mem: &Mem, disk: &Path) {
    let folder = disk.parent().unwrap();
    let places = Places::of(mem, folder).unwrap();
    let opener = Opener::new(Arc::new(mem.clone()), places);
    let _ = check(&opener, disk, &Job::new());
    let _ = opener.survey(disk);
    let Ok(chain) = opener.open(disk) else { return };
    let mut reached = 0;
    for entry in chain.map().take(LOOKED_AT).map_while(Result::ok) {
        assert_eq!(entry.offset, reached, "the map has a gap");
        reached = entry.offset + entry.length;
    }
    assert!(reached <= chain.capacity_bytes());
    let len = chain.capacity_bytes().min(64 << 10);
    let mut buffer = vec![0; len as usize];
    for at in [0, chain.capacity_bytes() - len] {
        let _ = chain.read(&mut buffer, at);
    }
    let _ = chain.require_clean();
}

/// Looks at a file as a disk by itself, and as the extent of a descriptor that says so.
fn extent(bytes: &[u8], create_type: &str, word: &str) {
    let mut input = Input(bytes);
    let sectors = input.number(4).unwrap_or(0);
    let file = input.file();
    let mem = Mem::new();
    put(&mem, Path::new("/d/x.vmdk"), &file);
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nCID=0badcafe\nparentCID=ffffffff\n\
         createType=\"{create_type}\"\nRW {sectors} {word} \"x.vmdk\"\n"
    );
    put(&mem, Path::new("/d/d.vmdk"), text.as_bytes());
    look(&mem, Path::new("/d/x.vmdk"));
    look(&mem, Path::new("/d/d.vmdk"));
}

/// Sparse extents of hosted products.
pub fn sparse(bytes: &[u8]) {
    extent(bytes, "twoGbMaxExtentSparse", "SPARSE");
}

/// Streams of compressed grains.
pub fn packed(bytes: &[u8]) {
    extent(bytes, "streamOptimized", "SPARSE");
}

/// Sparse extents of ESX.
pub fn cowd(bytes: &[u8]) {
    extent(bytes, "vmfsSparse", "VMFSSPARSE");
}

/// The sparse extents of later releases.
pub fn sesparse(bytes: &[u8]) {
    extent(bytes, "seSparse", "SESPARSE");
}
