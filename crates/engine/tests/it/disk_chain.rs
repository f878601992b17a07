//! Chains: parents found where they are, refused where they are not what the child stands on.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use replix::disk::{Opener, Places, create_child, relink};
use replix::format::vmdk::CreateType;
use replix::store::Local;
use replix::{Kind, Result};

use crate::tools::{
    Content, HeldByQemu, assert_same, chain_of, child_of, fill, fingerprints, open, opener,
    qemu_io, read_all, small_disk,
};

/// A library of two VMs, the second a linked clone of the first; returns its disk.
fn library(root: &Path) -> PathBuf {
    let (base, clone) = (root.join("base"), root.join("clone"));
    for folder in [&base, &clone] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("vm.vmx"), "").unwrap();
    }
    let parent = chain_of(&base, CreateType::SplitSparse, Content::Mixed, 1);
    let child = clone.join("c.vmdk");
    let hint = parent.to_str().unwrap();
    create_child(&Local, &open(&parent).unwrap(), &child, hint).unwrap();
    child
}

/// Replaces a text in a descriptor.
fn reword(disk: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(disk).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(disk, text.replace(from, to)).unwrap();
}

#[test]
fn linked_clone_finds_its_parent_beside_it() {
    let root = tempfile::tempdir().unwrap();
    let child = library(root.path());
    let base = root.path().join("base/b.vmdk");
    assert_same(&base, &child);
    let absolute = base.to_str().unwrap();
    let moved = |hint: &str| {
        reword(&child, absolute, hint);
        let found = open(&child).map(|chain| chain.base().path().to_path_buf());
        reword(&child, hint, absolute);
        found.unwrap()
    };
    assert_eq!(moved(r"D:\Virtual Machines\base\b.vmdk"), base);
    assert_eq!(moved(r"..\base\b.vmdk"), base);
    assert_eq!(moved("../base/b.vmdk"), base);
    assert_eq!(moved("/Users/x/VMs/base/b.vmdk"), base);
    assert_eq!(moved(r"D:\VMs\Base\B.VMDK"), base);
}

#[test]
fn search_path_leads_to_a_parent_that_was_moved() {
    let root = tempfile::tempdir().unwrap();
    let child = library(root.path());
    std::fs::rename(root.path().join("base"), root.path().join("renamed")).unwrap();
    let error = open(&child).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskParent);
    assert!(error.to_string().contains("base/b.vmdk"), "{error}");
    let search = [r"D:\VMs\renamed".into(), ".".into()];
    let found = opener(&child).search(search.to_vec()).open(&child).unwrap();
    assert_eq!(found.base().path(), root.path().join("renamed/b.vmdk"));
}

#[test]
fn content_id_decides_between_candidates() {
    let root = tempfile::tempdir().unwrap();
    let child = library(root.path());
    // A newer disk stands where the hint leads; the true parent lies in the search path.
    let old = root.path().join("old");
    std::fs::rename(root.path().join("base"), &old).unwrap();
    std::fs::create_dir(root.path().join("base")).unwrap();
    std::fs::write(root.path().join("base/vm.vmx"), "").unwrap();
    small_disk(
        &root.path().join("base/b.vmdk"),
        CreateType::MonolithicSparse,
    );
    assert_eq!(
        open(&child).map(|_| ()).unwrap_err().kind(),
        Kind::DiskChanged
    );
    let found = opener(&child)
        .search(vec![old.clone()])
        .open(&child)
        .unwrap();
    assert_eq!(found.base().path(), old.join("b.vmdk"));
}

#[test]
fn touched_parent_is_refused_with_both_ids() {
    let dir = tempfile::tempdir().unwrap();
    let top = chain_of(dir.path(), CreateType::MonolithicSparse, Content::Random, 2);
    let cid = format!("{:08x}", open(&top).unwrap().base().cid());
    qemu_io(&dir.path().join("b.vmdk"), &["write -P 1 0 64k"]);
    let now = format!(
        "{:08x}",
        open(&dir.path().join("b.vmdk")).unwrap().top().cid()
    );
    let error = open(&top).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskChanged);
    for part in ["b.vmdk\"", "b-000001.vmdk\"", &cid, &now] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn parent_of_another_size_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let top = chain_of(dir.path(), CreateType::SplitSparse, Content::Zeros, 2);
    let cid = format!("CID={:08x}", open(&top).unwrap().base().cid());
    let wide = dir.path().join("wide.vmdk");
    small_disk(&wide, CreateType::SplitFlat);
    reword(&wide, "CID=fffffffe", &cid);
    let text = std::fs::read_to_string(&wide).unwrap();
    let last = text
        .lines()
        .find(|line| line.contains("f003"))
        .unwrap()
        .to_owned();
    reword(&wide, &format!("{last}\n"), "");
    reword(
        &top,
        "parentFileNameHint=\"b.vmdk\"",
        "parentFileNameHint=\"wide.vmdk\"",
    );
    assert_eq!(
        open(&top).map(|_| ()).unwrap_err().kind(),
        Kind::DiskCapacity
    );
}

#[test]
fn loop_of_parents_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let top = chain_of(dir.path(), CreateType::SplitSparse, Content::Zeros, 3);
    let chain = open(&top).unwrap();
    let middle = &chain.links()[1];
    relink(&Local, middle, "b-000002.vmdk", chain.top().cid()).unwrap();
    let error = open(&top).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskChain, "{error}");
    reword(&top, "\"b-000001.vmdk\"", "\"b-000002.vmdk\"");
    assert_eq!(open(&top).map(|_| ()).unwrap_err().kind(), Kind::DiskChain);
}

#[test]
fn disk_with_the_name_of_its_lost_parent_misses_it() {
    let root = tempfile::tempdir().unwrap();
    let child = library(root.path());
    let same_name = child.with_file_name("b.vmdk");
    std::fs::rename(&child, &same_name).unwrap();
    assert!(open(&same_name).is_ok());
    std::fs::rename(
        root.path().join("base/b.vmdk"),
        root.path().join("base/x.vmdk"),
    )
    .unwrap();
    assert_eq!(
        open(&same_name).map(|_| ()).unwrap_err().kind(),
        Kind::DiskParent
    );
}

#[test]
fn files_in_another_case_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let disk = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 1);
    let before = read_all(&disk);
    std::fs::rename(
        dir.path().join("b-s002.vmdk"),
        dir.path().join("B-S002.VMDK"),
    )
    .unwrap();
    assert!(before == read_all(&disk));
    let other_case = dir.path().join("B.vmdk");
    assert!(before == read_all(&other_case));
}

#[test]
fn renamed_single_file_disk_still_opens() {
    let dir = tempfile::tempdir().unwrap();
    let disk = chain_of(dir.path(), CreateType::MonolithicSparse, Content::Mixed, 1);
    let before = read_all(&disk);
    let renamed = dir.path().join("new name.vmdk");
    std::fs::rename(&disk, &renamed).unwrap();
    assert!(before == read_all(&renamed));
}

#[test]
fn linked_folders_count_as_what_they_are() {
    let root = tempfile::tempdir().unwrap();
    let child = library(root.path());
    let alias = tempfile::tempdir().unwrap();
    let link = alias.path().join("vm");
    symlink(child.parent().unwrap(), &link).unwrap();
    assert!(open(&link.join("c.vmdk")).is_ok());
}

#[test]
fn survey_tells_what_is_there_and_what_is_not() {
    let root = tempfile::tempdir().unwrap();
    let child = library(root.path());
    std::fs::remove_dir_all(root.path().join("base")).unwrap();
    let survey = opener(&child).survey(&child).unwrap();
    assert_eq!(survey.links.len(), 1);
    assert_eq!(survey.problem.as_ref().unwrap().kind(), Kind::DiskParent);
    assert_eq!(
        survey.report(&Local).links[0].create_type,
        "twoGbMaxExtentSparse"
    );
}

#[test]
fn disk_that_qemu_writes_to_is_in_use() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let disk = chain_of(dir.path(), CreateType::SplitSparse, Content::Mixed, 1);
    let chain = open(&disk)?;
    chain.top().require_unused(&Local)?;
    let qemu = HeldByQemu::new(&disk);
    let error = chain.top().require_unused(&Local).unwrap_err();
    assert_eq!(error.kind(), Kind::FileLocked);
    drop(qemu);
    chain.top().require_unused(&Local)
}

/// Where the disk is, for the process that has few files.
const DEEP: &str = "REPLIX_TEST_DEEP_CHAIN";

#[test]
fn chain_of_300_links_needs_few_files_and_little_memory() {
    // The test runs itself again, with few file descriptors and a memory of its own.
    if let Some(disk) = std::env::var_os(DEEP) {
        return use_deep_chain(Path::new(&disk));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut disk = chain_of(dir.path(), CreateType::MonolithicSparse, Content::Mixed, 1);
    let before = fingerprints(dir.path());
    for step in 1..300u64 {
        disk = child_of(&disk, &format!("b-{step:06}.vmdk"));
        if step % 60 == 0 {
            fill(&disk, Content::Mixed, step / 60);
        }
    }
    let test = std::env::current_exe().unwrap();
    let script = format!(
        "ulimit -n 256; exec '{}' --exact {} --nocapture",
        test.display(),
        "disk_chain::chain_of_300_links_needs_few_files_and_little_memory"
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .env(DEEP, &disk)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{output:?}"
    );
    let after = fingerprints(dir.path());
    assert!(before.iter().all(|file| after.contains(file)));
    assert_same(&dir.path().join("copy.vmdk"), &disk);
}

fn use_deep_chain(disk: &Path) {
    use replix::disk::{ContentId, Copy, copy};
    let chain = open(disk).unwrap();
    assert_eq!(chain.links().len(), 300);
    create_child(&Local, &chain, &disk.with_file_name("next.vmdk"), "x").unwrap();
    let spec = Copy {
        path: &disk.with_file_name("copy.vmdk"),
        create_type: None,
        preallocated: false,
        uuid: None,
        content_id: ContentId::Fresh,
    };
    copy(&Local, &chain, &spec, &replix::Job::new()).unwrap();
    assert!(peak_memory_kib() < 32 << 10, "{} KiB", peak_memory_kib());
}

fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn extents_are_numbered_beyond_999() {
    let dir = tempfile::tempdir().unwrap();
    let disk = replix::disk::NewDisk {
        path: dir.path().join("big.vmdk"),
        create_type: CreateType::SplitSparse,
        preallocated: false,
        sectors: 1_005 * 8_323_072,
        cut: None,
        adapter: "lsilogic".into(),
        hardware_version: 16,
        uuid: None,
    };
    let files = replix::disk::create(&Local, &disk).unwrap();
    assert!(files[1005].ends_with("big-s1005.vmdk"));
    let chain = open(&disk.path).unwrap();
    let mut end = [1; 512];
    chain.read(&mut end, chain.capacity_bytes() - 512).unwrap();
    assert_eq!((end, chain.data_bytes().unwrap()), ([0; 512], 0));
}

#[test]
fn places_of_one_vm_are_not_those_of_another() {
    let root = tempfile::tempdir().unwrap();
    let child = library(root.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("clone");
    std::fs::create_dir(&moved).unwrap();
    for entry in std::fs::read_dir(child.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), moved.join(entry.file_name())).unwrap();
    }
    let disk = moved.join("c.vmdk");
    let error = open(&disk).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.advice().unwrap().contains("--allow"), "{error}");
    let base = root.path().join("base");
    let places = Places::of(&Local, &moved).unwrap();
    let opens = |places: Places| Opener::new(Arc::new(Local), places).open(&disk).is_ok();
    assert!(opens(places.clone().allow(&Local, root.path())));
    assert!(opens(places.clone().vouched(&Local, &base)));
    assert!(!opens(places.vouched(&Local, root.path())));
}
