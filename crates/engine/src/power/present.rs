//! The disks as QEMU is shown them: a folder for each link, in which its files have names that QEMU
//! finds.
//!
//! A link that is only read gets a descriptor of ours, so that QEMU takes from it what we do, however
//! the true one is written. Into that of the top link QEMU puts a new content id at the first write:
//! so it is shown as it is, and refused where QEMU would read it otherwise.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::machine::link_name;
use super::runtime::Runtime;
use crate::disk::grains::Index;
use crate::disk::link::{Extent, ExtentData};
use crate::disk::{Chain, Link};
use crate::error::{Error, Kind, Result, quoted};
use crate::format::Malformed;
use crate::format::vmdk::sparse::Header;
use crate::format::vmdk::{SECTOR, as_qemu};
use crate::store::{link_to, remove_folder};

/// What the true descriptor of a link is called in its folder.
const DESCRIPTOR: &str = "disk.vmdk";

/// What the one that we make is called there.
const READ_DESCRIPTOR: &str = "read.vmdk";

/// The file that stands for extents of zeros.
const ZEROS: &str = "zeros";

/// Bytes of a descriptor within an extent, as far as QEMU knows.
const EMBEDDED_BYTES: usize = 20 * 512;

/// Which of a disk's links it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The one that is written to.
    Top,
    /// One that it stands on.
    Below,
}

impl Runtime {
    /// Gives each link of the disk with number `index` a folder, with symbolic links to its files: QEMU
    /// finds files of other case or another host's paths, and sees no name that we did not choose.
    /// Returns the names of the descriptors, the disk first.
    ///
    /// # Errors
    /// Those of [`require_runs`]; what the system says.
    pub(super) fn present_chain(&self, index: usize, chain: &Chain) -> Result<Vec<PathBuf>> {
        require_runs(chain)?;
        let mut height = chain.links().len();
        let present = |(place, link)| {
            height -= 1;
            self.present(&link_name(index, height), place, link)
        };
        placed(chain).map(present).collect()
    }

    /// Returns the link that was presented at this height of a disk, if one was.
    pub(super) fn presented(&self, index: usize, height: usize) -> Option<PathBuf> {
        let dir = self.dir.join(link_name(index, height));
        std::fs::read_link(dir.join(DESCRIPTOR)).ok()
    }

    fn present(&self, name: &str, place: Place, link: &Link) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        if dir.exists() {
            remove_folder(&dir)?;
        }
        self.make_folder(&dir)?;
        let descriptor = dir.join(DESCRIPTOR);
        link_to(link.path(), &descriptor)?;
        if link.embedded().is_some() {
            return Ok(descriptor);
        }
        if place == Place::Below {
            return present_anew(&dir, link);
        }
        for (name, extent) in link.named_extents() {
            let name = Path::new(OsStr::from_bytes(&name));
            // QEMU takes an absolute name as it is.
            if !name.is_absolute() {
                link_to(&extent, &self.alias(&dir, name)?)?;
            }
        }
        Ok(descriptor)
    }

    /// Where `name` lies in `dir`, its folders made. It must not lead out of it.
    fn alias(&self, dir: &Path, name: &Path) -> Result<PathBuf> {
        let mut path = dir.to_path_buf();
        let mut parts = name.components().peekable();
        while let Some(part) = parts.next() {
            let Component::Normal(part) = part else {
                let text = format!(
                    "the part of a disk is called {}, which QEMU cannot open",
                    quoted(name)
                );
                let hint = "move it beside the descriptor, and name it so there";
                return Err(Error::new(Kind::DiskUnsupported, text).hint(hint));
            };
            path.push(part);
            if parts.peek().is_some() {
                self.make_folder(&path)?;
            }
        }
        Ok(path)
    }
}

/// The links of a disk, the top one first.
fn placed(chain: &Chain) -> impl Iterator<Item = (Place, &Link)> {
    let below = std::iter::repeat(Place::Below);
    std::iter::once(Place::Top).chain(below).zip(chain.links())
}

/// Writes a descriptor of a link that is only read, its parts called by numbers.
fn present_anew(dir: &Path, link: &Link) -> Result<PathBuf> {
    let mut zeros = 0;
    for (number, extent) in link.extents().iter().enumerate() {
        match extent.data {
            ExtentData::Zero => zeros = zeros.max(extent.sectors),
            _ => link_to(&link.extent_path(extent), &dir.join(part(number)))?,
        }
    }
    if zeros > 0 {
        let path = dir.join(ZEROS);
        let file = std::fs::File::create_new(&path);
        let made = file.and_then(|file| file.set_len(zeros.saturating_mul(SECTOR)));
        made.map_err(|error| Error::io("create", &path, error))?;
        let_read(&path)?;
    }
    let path = dir.join(READ_DESCRIPTOR);
    std::fs::write(&path, text_of(link)).map_err(|error| Error::io("create", &path, error))?;
    let_read(&path)?;
    Ok(path)
}

/// QEMU may run as another user.
fn let_read(path: &Path) -> Result<()> {
    let readable = std::fs::Permissions::from_mode(0o644);
    let set = std::fs::set_permissions(path, readable);
    set.map_err(|error| Error::io("open to others", path, error))
}

fn part(number: usize) -> String {
    format!("part-{number}")
}

/// The descriptor of a link that is only read, in the words that QEMU knows. It lets extents of any kind
/// stand in a disk of this type.
fn text_of(link: &Link) -> String {
    let (own, parent) = (link.cid(), link.descriptor().parent_cid());
    let mut text = format!(
        "# Disk DescriptorFile\nversion=1\nCID={own:08x}\nparentCID={parent:08x}\n\
         createType=\"twoGbMaxExtentSparse\"\n\n# Extent description\n"
    );
    for (number, extent) in link.extents().iter().enumerate() {
        let (sectors, name) = (extent.sectors, part(number));
        let line = match extent.data {
            ExtentData::Flat { offset } => format!("FLAT \"{name}\" {offset}"),
            ExtentData::Zero => format!("FLAT \"{ZEROS}\" 0"),
            ExtentData::Sparse { .. } => format!("SPARSE \"{name}\""),
            ExtentData::Esxi { index, .. } => match index {
                Index::SeSparse(_) => format!("SESPARSE \"{name}\""),
                Index::Cowd(_) | Index::Hosted(_) => format!("VMFSSPARSE \"{name}\""),
            },
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "RW {sectors} {line}");
    }
    text
}

/// Refuses a disk that QEMU does not read as we do, or could not write to.
///
/// # Errors
/// `DiskUnsupported`, with the file, where it can be told the line, and the cure.
pub(super) fn require_runs(chain: &Chain) -> Result<()> {
    placed(chain).try_for_each(|(place, link)| require_read(place, link))?;
    require_writable(chain.top())
}

/// Refuses a disk on which no child would run.
///
/// # Errors
/// As [`require_runs`].
pub(crate) fn require_base(chain: &Chain) -> Result<()> {
    let mut links = chain.links().iter();
    links.try_for_each(|link| require_read(Place::Below, link))
}

/// Refuses a link that QEMU would read otherwise than we do, or damage.
fn require_read(place: Place, link: &Link) -> Result<()> {
    let hint = match place {
        Place::Top => {
            "take a snapshot of the VM, or make a full clone: its disks are of types that run"
        }
        Place::Below => "make a full clone of the VM: its disks are of types that run",
    };
    let refused = |error: Error| error.at(link.path()).hint(hint);
    let told = |fault: Malformed| refused(fault.in_file(Kind::DiskUnsupported, link.path()));
    let refuse = |text: String| refused(Error::new(Kind::DiskUnsupported, text));
    // QEMU does not know of the redundant directory.
    if let Some(spared) = link.spared().into_iter().next() {
        let hint = "make a full clone of the VM: it reads the redundant one, which QEMU does not";
        return Err(refuse(spared).hint(hint));
    }
    // It takes an extent for as long as its file says, whatever the line says.
    let is_longer = |extent: &&Extent| {
        let capacity = extent.capacity();
        capacity.is_some_and(|capacity| capacity != extent.sectors)
    };
    if let Some(extent) = link.extents().iter().find(is_longer) {
        let text = format!(
            "{} holds {} sectors, of which {} uses {}, and QEMU would show all to the guest",
            quoted(link.extent_path(extent)),
            extent.capacity().unwrap_or_default(),
            quoted(link.path()),
            extent.sectors
        );
        let hint = "make a full clone of the VM: its disks have one length";
        return Err(refuse(text).hint(hint));
    }
    let descriptor = link.descriptor();
    let Some(embedded) = link.embedded() else {
        if place == Place::Below {
            let text = text_of(link);
            return match text.len() < as_qemu::TEXT_LIMIT {
                true => Ok(()),
                false => Err(refuse(format!(
                    "{} has {} extents, more than QEMU reads",
                    quoted(link.path()),
                    link.extents().len()
                ))),
            };
        }
        as_qemu::check_text(descriptor).map_err(told)?;
        // It reads the file up to the next whole sector.
        let room = descriptor.as_bytes().len().next_multiple_of(512);
        return as_qemu::check_first_write(descriptor, room).map_err(told);
    };
    if place == Place::Top {
        require_writable(link)?;
    }
    // QEMU looks at nothing of a descriptor within an extent but for the content ids.
    let is_zero = |extent: &Extent| matches!(extent.data, ExtentData::Zero);
    if embedded.offset != 1 || link.extents().iter().any(is_zero) {
        let text = format!(
            "{} has its descriptor elsewhere than QEMU looks, or one that says that it holds nothing",
            quoted(link.path())
        );
        return Err(refuse(text));
    }
    as_qemu::check_ids(descriptor).map_err(told)?;
    if place == Place::Below {
        return Ok(());
    }
    let room = usize::try_from(embedded.sectors * SECTOR).unwrap_or(usize::MAX);
    match room < EMBEDDED_BYTES {
        true => Err(refuse(format!(
            "{} has {room} bytes for its descriptor, and QEMU writes {EMBEDDED_BYTES}",
            quoted(link.path())
        ))),
        false => as_qemu::check_first_write(descriptor, EMBEDDED_BYTES).map_err(told),
    }
}

/// Refuses a disk that QEMU could read only.
fn require_writable(link: &Link) -> Result<()> {
    // What version 3 adds, lists of changed blocks, QEMU does not keep up, and so does not write.
    let is_kept = |header: &Header| header.version < 3 || header.packing.is_some();
    let is_written = |extent: &Extent| extent.is_writable && extent.header().is_none_or(is_kept);
    if link.extents().iter().all(is_written) {
        return Ok(());
    }
    let (name, word) = (quoted(link.path()), link.create_type().word());
    let text = format!("{name} is of type \"{word}\", with parts that cannot be written to");
    let hint = "take a snapshot of the VM, or make a full clone: its disks are of types that run";
    Err(Error::new(Kind::DiskUnsupported, text)
        .at(link.path())
        .hint(hint))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use replix_testkit::{is_written_by_qemu, qemu_img, qemu_io, read_by_qemu};
    use serde_json::json;

    use super::*;
    use crate::disk::{Opener, Places, create_child};
    use crate::store::Local;

    const HEAD: &str = "# Disk DescriptorFile\nversion=1\nCID=0000beef\nparentCID=ffffffff\n\
        createType=\"monolithicFlat\"\n# Extents\n";

    /// Three parts, of which the one in the middle is written in a hundred ways.
    fn three(middle: &str) -> String {
        format!("{HEAD}RW 4 FLAT \"f1\" 0\n{middle}\nRW 5 FLAT \"f3\" 0\n")
    }

    /// A folder with the parts of a disk, and its descriptor.
    fn disk(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        for (number, sectors) in [(1, 4), (2, 3), (3, 5)] {
            let bytes = vec![number; sectors * 512];
            std::fs::write(dir.path().join(format!("f{number}")), bytes).unwrap();
        }
        let path = dir.path().join("m.vmdk");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn open(path: &Path) -> Chain {
        let places = Places::of(&Local, path.parent().unwrap()).unwrap();
        Opener::new(Arc::new(Local), places).open(path).unwrap()
    }

    fn read(chain: &Chain) -> Vec<u8> {
        let mut bytes = vec![0xee; usize::try_from(chain.capacity_bytes()).unwrap()];
        chain.read(&mut bytes, 0).unwrap();
        bytes
    }

    /// What QEMU reads of links, the top one first; `None` where it opens none.
    fn shown(links: &[PathBuf]) -> Option<Vec<u8>> {
        let backed = links.iter().rev().fold(json!(null), |below, link| {
            json!({
                "driver": "vmdk",
                "backing": below,
                "file": { "driver": "file", "filename": link.to_str().unwrap() },
            })
        });
        read_by_qemu(&format!("json:{backed}"))
    }

    /// An empty disk of 1 MiB in an extent beside its descriptor.
    fn split(path: &Path) {
        let options = [
            "create",
            "-q",
            "-f",
            "vmdk",
            "-o",
            "subformat=twoGbMaxExtentSparse",
        ];
        qemu_img([&options[..], &[path.to_str().unwrap(), "1M"]].concat());
    }

    fn runtime() -> (tempfile::TempDir, Runtime) {
        let dir = tempfile::tempdir().unwrap();
        let run = Runtime {
            dir: dir.path().to_path_buf(),
        };
        (dir, run)
    }

    /// A child of the disk at `path` beside it, open.
    fn child_of(path: &Path) -> Chain {
        let child = path.with_file_name("child.vmdk");
        create_child(&Local, &open(path), &child, "m.vmdk").unwrap();
        open(&child)
    }

    #[test]
    fn what_qemu_reads_otherwise_runs_below_a_child_only() {
        let long = format!("RW 3 FLAT \"x/{}f2\" 0", "../x/".repeat(110));
        let middles = [
            "RW 3 ZERO",
            "rw 3 flat \"f2\" 0",
            "rw 3 FLAT \"f2\" 0",
            "RW 3 Flat \"f2\" 0",
            "RW 3 FLAT \"f2\"",
            "RW 3 VMFS \"f2\" 0",
            "RW 3 VMFS \"f2\"\n1 line more",
            "RDONLY 3 FLAT \"f2\" 0",
            "NOACCESS 3 FLAT \"f2\" 0",
            "\nRW 3 FLAT \"f2\" 0",
            &long,
        ];
        let plain = three("RW 3 FLAT \"f2\" 0");
        let texts = [
            plain.replace("monolithicFlat", "2GbMaxExtentFlat"),
            plain.replace("monolithicFlat", "custom"),
            plain.replace("createType=", "createType = "),
            plain.replace("createType", "createtype"),
            plain.replace("CID=0000beef", "CID = 0000beef"),
        ];
        let below = middles.iter().map(|middle| three(middle));
        for text in below.chain(texts) {
            let (dir, path) = disk(&text);
            std::fs::create_dir(dir.path().join("x")).unwrap();
            std::os::unix::fs::symlink("../f2", dir.path().join("x/f2")).unwrap();
            let chain = open(&path);
            let error = require_runs(&chain).unwrap_err();
            assert_eq!(error.kind(), Kind::DiskUnsupported, "{text}: {error}");
            assert!(error.with_advice().contains("full clone"), "{error}");
            // And so it is.
            let wanted = read(&chain);
            assert!(
                shown(std::slice::from_ref(&path)) != Some(wanted.clone()),
                "{text}"
            );

            require_base(&chain).unwrap();
            let (_dir, run) = runtime();
            let links = run.present_chain(0, &child_of(&path)).unwrap();
            assert!(shown(&links) == Some(wanted), "{text}");
            assert_eq!(run.presented(0, 0).as_deref(), Some(&*path));
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn what_qemu_would_damage_at_the_first_write_runs_below_a_child_only() {
        let plain = three("RW 3 FLAT \"f2\" 0");
        let (own, parent) = ("CID=0000beef\n", "parentCID=ffffffff\n");
        let both = format!("{own}{parent}");
        for ids in [
            format!("{parent}{own}"),
            format!("{own}encoding=\"UTF-8\"\n{parent}"),
            both.replacen("CID", "cid", 1),
        ] {
            let text = plain.replace(&both, &ids);
            let (_dir, path) = disk(&text);
            require_runs(&open(&path)).unwrap_err();
            let wanted = read(&open(&path));
            let (_dir, run) = runtime();
            let links = run.present_chain(0, &child_of(&path)).unwrap();
            assert!(shown(&links) == Some(wanted), "{text}");
        }
    }

    #[test]
    fn odd_lines_that_qemu_reads_run_and_are_kept() {
        for middle in [
            "RW 3 FLAT \"f2\" 0",
            "\t RW\t3\tFLAT   \"f2\"\t0 and more",
            "RW +3 FLAT \"f2\" 0\r",
            "RW 3 VMFS \"f2\"",
            "#RW 9 FLAT \"f9\" 0\nRW 3 FLAT \"f2\" 0",
        ] {
            let text = three(middle);
            let (dir, path) = disk(&text);
            let chain = open(&path);
            let mut wanted = read(&chain);
            let (_dir, run) = runtime();
            let links = run.present_chain(0, &chain).unwrap();
            assert!(shown(&links) == Some(wanted.clone()), "{middle}");
            qemu_io(&links[0], "write -P 9 2560 512");
            wanted[5 * 512..6 * 512].fill(9);
            let chain = open(&path);
            assert!(read(&chain) == wanted, "{middle}");
            assert_ne!(chain.top().cid(), 0xbeef);
            let after = std::fs::read(dir.path().join("m.vmdk")).unwrap();
            let after = String::from_utf8_lossy(&after);
            let kept = text.lines().filter(|line| !line.starts_with("CID"));
            assert!(kept.clone().count() > 7);
            for line in kept {
                assert!(after.contains(line), "{line}: {after}");
            }
        }
    }

    #[test]
    fn extent_longer_than_its_line_is_refused_everywhere() {
        let (dir, path) =
            disk(&three("RW 1024 SPARSE \"s-s001.vmdk\"").replace("monolithicFlat", "custom"));
        split(&dir.path().join("s.vmdk"));
        for chain in [open(&path), child_of(&path)] {
            let error = require_runs(&chain).unwrap_err();
            assert!(error.to_string().contains("holds 2048 sectors"), "{error}");
            assert_eq!(error.kind(), Kind::DiskUnsupported);
        }
        require_base(&open(&path)).unwrap_err();
    }

    #[test]
    fn extent_of_version_3_runs_below_a_child_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.vmdk");
        qemu_img(["create", "-q", "-f", "vmdk", path.to_str().unwrap(), "1M"]);
        assert!(is_written_by_qemu(&path));
        require_runs(&open(&path)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4] = 3;
        std::fs::write(&path, bytes).unwrap();
        assert!(!is_written_by_qemu(&path));
        let error = require_runs(&open(&path)).unwrap_err();
        assert!(
            error.to_string().contains("cannot be written to"),
            "{error}"
        );
        require_runs(&child_of(&path)).unwrap();
    }

    #[test]
    fn sparse_parts_beside_their_descriptor_run_in_any_spelling() {
        for create_type in ["2GbMaxExtentSparse", "monolithicSparse"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("s.vmdk");
            split(&path);
            qemu_io(&path, "write -P 7 64k 100k");
            let text = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
            let text = text.trim_end_matches('\0');
            let path = dir.path().join("m.vmdk");
            std::fs::write(&path, text.replace("twoGbMaxExtentSparse", create_type)).unwrap();
            let wanted = read(&open(&path));
            assert_eq!(wanted[65 << 10], 7);
            require_runs(&open(&path)).unwrap_err();
            let (_dir, run) = runtime();
            let links = run.present_chain(0, &child_of(&path)).unwrap();
            assert!(shown(&links) == Some(wanted), "{create_type}");
        }
    }
}
