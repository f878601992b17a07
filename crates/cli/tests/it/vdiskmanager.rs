//! `vmware-vdiskmanager`: whole transcripts.

use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt;

use replix_testkit::{qemu_img, qemu_io, skip};

use crate::library::{Library, Program, changes, is_root};
use crate::mounted::{Mounted, succeeds};
use crate::said::Said;

fn said(library: &Library, words: &[&str]) -> Said {
    let said = library.run(library.program(Program::DiskManager).args(words));
    assert_eq!(said.err, "", "{words:?}");
    said
}

/// Each call with what it came to; progress is shown as often as there is time for.
fn transcript(library: &Library, calls: &[&[&str]]) -> String {
    let one = |words: &&[&str]| {
        let mut said = said(library, words);
        while let Some(shown) = said.out.find('\r') {
            let start = said.out[..shown].rfind('\n').map_or(0, |at| at + 1);
            said.out.replace_range(start..=shown, "");
        }
        format!("$ {}\n{said}", words.join(" "))
    };
    calls.iter().map(one).collect()
}

#[test]
fn disks_are_made_and_changed() {
    let library = Library::with_base();
    let calls: [&[&str]; 14] = [
        &["-c", "-s", "64MB", "-a", "lsilogic", "-t", "1", "a.vmdk"],
        &["-c", "-s", "64MB", "-a", "lsilogic", "-t", "1", "a.vmdk"],
        &["-r", "base/base.vmdk", "-t", "0", "b.vmdk"],
        &["-x", "128MB", "b.vmdk"],
        &["-x", "1MB", "b.vmdk"],
        &["-d", "b.vmdk"],
        &["-k", "b.vmdk"],
        &["-e", "b.vmdk"],
        &["-R", "b.vmdk"],
        &["-n", "b.vmdk", "c.vmdk"],
        &["-n", "c.vmdk", "a.vmdk"],
        &["-D", "c.vmdk"],
        &["-p", "/"],
        &["-U", "c.vmdk"],
    ];
    insta::assert_snapshot!(transcript(&library, &calls), @r#"
    $ -c -s 64MB -a lsilogic -t 1 a.vmdk
    Creating disk 'a.vmdk'
      Create: 100% done.
    Virtual disk creation successful.
    --- exit 0
    $ -c -s 64MB -a lsilogic -t 1 a.vmdk
    Creating disk 'a.vmdk'
    Failed to create disk 'a.vmdk' : "/vms/a.vmdk" is there already.
    --- exit 1
    $ -r base/base.vmdk -t 0 b.vmdk
    Creating disk 'b.vmdk'
      Convert: 100% done.
    Virtual disk conversion successful.
    --- exit 0
    $ -x 128MB b.vmdk
      Grow: 100% done.
    Disk expansion completed successfully.
    --- exit 0
    $ -x 1MB b.vmdk
    Failed to expand disk 'b.vmdk' : "/vms/b.vmdk" has 134217728 bytes and cannot grow to 1048576.
    --- exit 1
    $ -d b.vmdk
      Defragment: 100% done.
    Defragmentation completed successfully.
    --- exit 0
    $ -k b.vmdk
      Shrink: 100% done.
    Shrink completed successfully.
    --- exit 0
    $ -e b.vmdk
    Disk chain is consistent.
    --- exit 0
    $ -R b.vmdk
    No errors were found on the virtual disk, 'b.vmdk'.
    --- exit 0
    $ -n b.vmdk c.vmdk
    Renaming completed successfully.
    --- exit 0
    $ -n c.vmdk a.vmdk
    Failed to rename disk 'c.vmdk' : "/vms/a.vmdk" is there already.
    --- exit 1
    $ -D c.vmdk
    The disk is deletable.
    --- exit 0
    $ -p /
    Failed to prepare '/' : / is no mount point. mount the disk's file system there, or let the guest give back what it does not use (fstrim).
    --- exit 1
    $ -U c.vmdk
    The disk is deleted.
    --- exit 0
    "#);
    let names = ["a-s001.vmdk", "a.vmdk", "base"];
    assert_eq!(library.names(), names);
}

#[test]
fn damage_is_found_and_repaired() {
    let library = Library::with_base();
    let disk = library.path("base/base.vmdk");
    let before = library.tree();
    let file = fs::File::options().write(true).open(&disk).unwrap();
    file.write_all_at(&[0xff; 4], 27 * 512).unwrap();
    let calls: [&[&str]; 3] = [
        &["-e", "base/base.vmdk"],
        &["-R", "base/base.vmdk"],
        &["-e", "base/base.vmdk"],
    ];
    insta::assert_snapshot!(transcript(&library, &calls), @r#"
    $ -e base/base.vmdk
    Failed to check disk chain of 'base/base.vmdk' : "/vms/base/base.vmdk": grain table 0 and its redundant copy differ.
    Failed to check disk chain of 'base/base.vmdk' : "/vms/base/base.vmdk": grain 0 at sector 4294967295 lies beyond the end of the file.
    --- exit 1
    $ -R base/base.vmdk
    Repaired: "/vms/base/base.vmdk": grain table 0 takes 1 entry from its redundant copy: its own cannot be true.
    The virtual disk, 'base/base.vmdk', was corrupted and has been successfully repaired.
    --- exit 0
    $ -e base/base.vmdk
    Disk chain is consistent.
    --- exit 0
    "#);
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
    for offset in [22 * 512, 27 * 512] {
        file.write_all_at(&[0xff; 4], offset).unwrap();
    }
    insta::assert_snapshot!(transcript(&library, &[&["-R", "base/base.vmdk"]]), @r#"
    $ -R base/base.vmdk
    The virtual disk, 'base/base.vmdk', is corrupted and cannot be repaired.
    Failed to repair disk 'base/base.vmdk' : "/vms/base/base.vmdk": grain 0 at sector 4294967295 lies beyond the end of the file.
    --- exit 1
    "#);
}

#[test]
fn renamed_disk_takes_its_extents_and_children_along() {
    let library = Library::new();
    said(&library, &["-c", "-s", "5GB", "-t", "1", "a.vmdk"]);
    qemu_io(&library.path("a.vmdk"), "write -P 7 4500M 1M");
    let [parent, child] = ["a.vmdk", "child.vmdk"].map(|name| library.word(name));
    qemu_img([
        "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", &parent, &child,
    ]);
    qemu_io(&library.path("child.vmdk"), "write -P 8 1M 1M");
    assert_eq!(
        said(&library, &["-r", "child.vmdk", "-t", "0", "copy.vmdk"]).code,
        Some(0)
    );
    assert_eq!(
        said(&library, &["-n", "a.vmdk", "other name.vmdk"]).code,
        Some(0)
    );
    assert!(library.path("other name-s002.vmdk").exists());
    assert!(!library.path("a.vmdk").exists() && !library.path("a-s001.vmdk").exists());
    let compared = library.replix(&["disk", "compare", "child.vmdk", "copy.vmdk"]);
    assert_eq!(compared.code, Some(0), "{compared}");
    qemu_img(["compare", "-q", &child, &library.word("copy.vmdk")]);
    assert_eq!(said(&library, &["-e", "child.vmdk"]).code, Some(0));
}

#[test]
fn disk_that_others_need_keeps_its_name() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    let before = library.tree();
    let calls: [&[&str]; 3] = [
        &["-n", "base/base.vmdk", "base/new.vmdk"],
        &["-U", "base/base.vmdk"],
        &["-n", "base/base-000001.vmdk", "new.vmdk"],
    ];
    insta::assert_snapshot!(transcript(&library, &calls), @r#"
    $ -n base/base.vmdk base/new.vmdk
    Failed to rename disk 'base/base.vmdk' : "/vms/base/base.vmdk" belongs to snapshot "s" of "/vms/base/base.vmx". remove the snapshots first.
    --- exit 1
    $ -U base/base.vmdk
    Failed to delete disk 'base/base.vmdk' : "/vms/base/base.vmdk" cannot be changed: "/vms/base/base-000001.vmdk" stands on it. remove the snapshots first.
    --- exit 1
    $ -n base/base-000001.vmdk new.vmdk
    Failed to rename disk 'base/base-000001.vmdk' : "/vms/base/base-000001.vmdk" is renamed within its folder "/vms/base", not to "/vms/new.vmdk". move all files of the disk there together, and rename it then.
    --- exit 1
    "#);
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
    let said = said(&library, &["-n", "base/base-000001.vmdk", "base/top.vmdk"]);
    insta::assert_snapshot!(said, @r#"
    Warning: "/vms/base/base.vmx" still names "/vms/base/base-000001.vmdk".
    Renaming completed successfully.
    --- exit 0
    "#);
}

#[test]
fn file_that_is_all_of_a_disk_has_any_name() {
    let library = Library::with_base();
    let calls: [&[&str]; 6] = [
        &["-t 5", "-r base/base.vmdk", "base.vmdk.stream"],
        &["-s 40MB", "-t 0", "-q", "-c", "disk"],
        &["-e", "base.vmdk.stream"],
        &["-r", "base.vmdk.stream", "-t", "0", "copy"],
        &["-k", "copy"],
        &["-r", "copy", "-t", "1", "parts"],
    ];
    insta::assert_snapshot!(transcript(&library, &calls), @r#"
    $ -t 5 -r base/base.vmdk base.vmdk.stream
    Creating disk 'base.vmdk.stream'
      Convert: 100% done.
    Virtual disk conversion successful.
    --- exit 0
    $ -s 40MB -t 0 -q -c disk
    Creating disk 'disk'
      Create: 100% done.
    Virtual disk creation successful.
    --- exit 0
    $ -e base.vmdk.stream
    Disk chain is consistent.
    --- exit 0
    $ -r base.vmdk.stream -t 0 copy
    Creating disk 'copy'
      Convert: 100% done.
    Virtual disk conversion successful.
    --- exit 0
    $ -k copy
      Shrink: 100% done.
    Shrink completed successfully.
    --- exit 0
    $ -r copy -t 1 parts
    Creating disk 'parts'
    Failed to convert disk 'copy' : "/vms/parts" is no name for a disk: it must end in .vmdk.
    --- exit 1
    "#);
    let [base, copy] = ["base/base.vmdk", "copy"].map(|name| library.word(name));
    qemu_img(["compare", "-q", &base, &copy]);
    let names = ["base", "base.vmdk.stream", "copy", "disk"];
    assert_eq!(library.names(), names);
}

#[test]
fn disks_on_others_are_compacted() {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked"]);
    let compacted = |disk| {
        let calls: [&[&str]; 2] = [&["-d", disk], &["-k", disk]];
        transcript(&library, &calls)
    };
    for disk in ["base/base-000002.vmdk", "web/base-cl1.vmdk"] {
        let copy = library.word(&format!("{}.raw", disk.replace('/', "-")));
        qemu_img(["convert", "-O", "raw", &library.word(disk), &copy]);
        let said = compacted(disk);
        let done = [
            "Defragmentation completed successfully.\n--- exit 0",
            "Shrink completed successfully.\n--- exit 0",
        ];
        assert!(done.iter().all(|done| said.contains(done)), "{said}");
        qemu_img(["compare", "-q", "-F", "raw", &library.word(disk), &copy]);
    }
    insta::assert_snapshot!(compacted("base/base.vmdk"), @r#"
    $ -d base/base.vmdk
    Failed to defragment disk 'base/base.vmdk' : "/vms/base/base.vmdk" cannot be changed: "/vms/base/base-000001.vmdk" stands on it. remove the snapshots first.
    --- exit 1
    $ -k base/base.vmdk
    Failed to shrink disk 'base/base.vmdk' : "/vms/base/base.vmdk" cannot be changed: "/vms/base/base-000001.vmdk" stands on it. remove the snapshots first.
    --- exit 1
    "#);
}

#[test]
fn what_was_deleted_on_a_prepared_disk_goes_when_it_is_shrunk() {
    let library = Library::new();
    said(
        &library,
        &["-c", "-s", "64MB", "-a", "lsilogic", "-t", "2", "a.vmdk"],
    );
    let (flat, mounted) = (library.path("a-flat.vmdk"), library.path("mounted"));
    let Some(disk) = Mounted::image(&flat, &mounted) else {
        return skip("no image can be mounted");
    };
    let mut noise = vec![0; 32 << 20];
    fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut noise))
        .unwrap();
    fs::write(mounted.join("kept"), &noise[..4 << 20]).unwrap();
    fs::write(mounted.join("deleted"), &noise).unwrap();
    assert!(succeeds("sync", &["-f", mounted.to_str().unwrap()]));
    fs::remove_file(mounted.join("deleted")).unwrap();
    let prepared = said(&library, &["-p", "mounted"]);
    let kept = fs::read(mounted.join("kept")).unwrap();
    let names: Vec<_> = fs::read_dir(&mounted)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    drop(disk);

    assert!(prepared.out.ends_with("  Prepare: 100% done.\nThe free space is zeros now: shrink the disk once it is unmounted.\n"), "{prepared}");
    assert!(kept == noise[..4 << 20]);
    assert_eq!(names.len(), 2, "{names:?}");
    said(&library, &["-r", "a.vmdk", "-t", "0", "b.vmdk"]);
    let size = fs::metadata(library.path("b.vmdk")).unwrap().len();
    assert!((4 << 20..16 << 20).contains(&size), "{size}");
}

#[test]
fn what_is_mounted_in_memory_is_not_filled() {
    if !is_root("mount") {
        return;
    }
    let library = Library::new();
    let _memory = Mounted::at(&library.path("mounted"), "size=1m");
    insta::assert_snapshot!(transcript(&library, &[&["-p", "mounted"]]), @r"
    $ -p mounted
    Failed to prepare 'mounted' : /vms/mounted is in memory, on no disk. mount the disk's file system there, or let the guest give back what it does not use (fstrim).
    --- exit 1
    ");
}
