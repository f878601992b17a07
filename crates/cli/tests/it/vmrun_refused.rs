//! What `vmrun` refuses to clone: each cause provoked, with its line, and every file as before.
//!
//! `Library::refused` checks the exit status, that nothing is on stderr, that the line is one, and
//! that the hash of every file is what it was.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use replix_testkit::{Content, DiskType, qemu_io};

use crate::library::{Library, Program, changes, is_root};
use crate::mounted::Mounted;
use crate::paused::Paused;
use crate::said::plain_ids;

/// The lines for a full and for a linked clone.
fn both(library: &Library) -> String {
    let refused = |kind| library.refused(&["clone", "base/base.vmx", "new/new.vmx", kind]);
    refused("full") + &refused("linked")
}

fn linked(library: &Library) -> String {
    library.refused(&["clone", "base/base.vmx", "new/new.vmx", "linked"])
}

/// What a lack of space is told by.
const SHORT: &str = "Error: There is not enough space for the operation: ";

/// A library whose VM has a snapshot: `base-000001.vmdk` stands on `base.vmdk`.
fn with_snapshot() -> Library {
    let library = Library::with_base();
    library.silent(&["snapshot", "base/base.vmx", "s"]);
    library
}

/// Makes VMware's lock of a file, as a process of another machine holds it.
fn lock(library: &Library, file: &str, program: &str) {
    let folder = library.path(format!("base/{file}.lck"));
    fs::create_dir(&folder).unwrap();
    let member = format!(
        "uuid=00-11-22-33-44-55-66-77-88-99-aa-bb-cc-dd-ee-ff 12-34({program}) 1 X 34 lc=1 "
    );
    fs::write(folder.join("M12345.lck"), member).unwrap();
}

#[test]
fn destination_exists() {
    let library = Library::with_base();
    library.vm("new");
    insta::assert_snapshot!(both(&library), @r#"
    Error: The file already exists: the destination "/vms/new/new.vmx" exists already (choose another path, or delete that VM first)
    Error: The file already exists: the destination "/vms/new/new.vmx" exists already (choose another path, or delete that VM first)
    "#);
    let itself = ["clone", "base/base.vmx", "base/base.vmx", "full"];
    insta::assert_snapshot!(library.refused(&itself), @r#"Error: The file already exists: the destination "/vms/base/base.vmx" exists already (choose another path, or delete that VM first)"#);
}

#[test]
fn destination_is_no_vmx() {
    let library = Library::with_base();
    let refused = |to: &str| library.refused(&["clone", "base/base.vmx", to, "full"]);
    let lines = [
        refused("new"),
        refused("new/new.vmdk"),
        refused("new/new.vmx/"),
        refused("base/base.vmdk/new.vmx"),
        refused("new/a\nb.vmx"),
        refused(&format!("new/{}.vmx", "n".repeat(240))),
    ];
    insta::assert_snapshot!(lines.concat(), @r#"
    Error: The file name is not valid: the destination "/vms/new" does not end in .vmx
    Error: The file name is not valid: the destination "/vms/new/new.vmdk" does not end in .vmx
    Error: The file name is not valid: the destination "/vms/new/new.vmx/" does not end in .vmx
    Error: The file name is not valid: "/vms/base/base.vmdk" is a file, not a folder
    Error: The file name is not valid: the destination "/vms/new/a\u{a}b.vmx" has characters that no VM file name may have
    Error: The file name is not valid: the destination "/vms/new/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn.vmx" is too long
    "#);
}

#[test]
fn snapshot_is_unknown() {
    let library = with_snapshot();
    let refused = |words: &[&str]| {
        library.refused(&[&["clone", "base/base.vmx", "new/new.vmx"], words].concat())
    };
    let lines = [
        refused(&["full", "-snapshot=t"]),
        refused(&["linked", "-snapshot", "s/s"]),
        refused(&["linked", "t"]),
        refused(&["linked", "-snapshot="]),
    ];
    insta::assert_snapshot!(lines.concat(), @"
    Error: Invalid snapshot name 't'
    Error: Invalid snapshot name 's/s'
    Error: Invalid snapshot name 't'
    Error: Invalid snapshot name ''
    ");
}

#[test]
fn source_is_missing() {
    let library = Library::new();
    insta::assert_snapshot!(both(&library), @"
    Error: Cannot open VM: /vms/base/base.vmx, The virtual machine cannot be found
    Error: Cannot open VM: /vms/base/base.vmx, The virtual machine cannot be found
    ");
}

#[test]
fn source_is_no_configuration() {
    let library = Library::with_base();
    fs::write(library.path("base/base.vmx"), b"\0\x01\x02 not a text").unwrap();
    insta::assert_snapshot!(both(&library), @r#"
    Error: Cannot open VM: /vms/base/base.vmx, Cannot read the virtual machine configuration file: "/vms/base/base.vmx": byte 0: this is no text file
    Error: Cannot open VM: /vms/base/base.vmx, Cannot read the virtual machine configuration file: "/vms/base/base.vmx": byte 0: this is no text file
    "#);
    fs::write(library.path("base/base.vmx"), b"").unwrap();
    insta::assert_snapshot!(both(&library), @r#"
    Error: Cannot open VM: /vms/base/base.vmx, Cannot read the virtual machine configuration file: "/vms/base/base.vmx": the configuration is empty
    Error: Cannot open VM: /vms/base/base.vmx, Cannot read the virtual machine configuration file: "/vms/base/base.vmx": the configuration is empty
    "#);
}

#[test]
fn source_is_suspended() {
    let library = Library::new();
    let vm = library.with_lines("base", &[("checkpoint.vmState", "base-1a2b3c4d.vmss")]);
    fs::write(vm.file("base-1a2b3c4d.vmss"), b"memory").unwrap();
    insta::assert_snapshot!(linked(&library), @r#"Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is suspended"#);
}

#[test]
fn source_is_encrypted() {
    let library = Library::new();
    library.with_lines(
        "base",
        &[
            ("encryption.keySafe", "vmware:key/list/x"),
            ("encryption.data", "y"),
        ],
    );
    insta::assert_snapshot!(both(&library), @"
    Error: A password is required for this operation.
    Error: A password is required for this operation.
    ");
    let with_password = [
        "-vp",
        "secret",
        "clone",
        "base/base.vmx",
        "new/new.vmx",
        "full",
    ];
    insta::assert_snapshot!(library.refused(&with_password), @r#"Error: The operation is not supported for the specified parameters: "/vms/base/base.vmx": its configuration is encrypted ("encryption.data") (remove the encryption in VMware first; its key is not ours to have)"#);
}

#[test]
fn source_runs_in_vmware() {
    let library = Library::with_base();
    lock(&library, "base.vmx", "vmware-vmx");
    lock(&library, "base.vmdk", "vmware-vmx");
    insta::assert_snapshot!(both(&library), @r#"
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is being run by vmware-vmx (process 12) on another machine (if no other machine has it open, as after copying it from there, remove "/vms/base/base.vmx.lck")
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is being run by vmware-vmx (process 12) on another machine (if no other machine has it open, as after copying it from there, remove "/vms/base/base.vmx.lck")
    "#);
}

#[test]
fn source_is_open_in_vmware() {
    let library = Library::with_base();
    lock(&library, "base.vmx", "vmware");
    insta::assert_snapshot!(both(&library), @r#"
    Error: The file is already in use: "/vms/base/base.vmx" is held by vmware (process 12) on another machine (if no other machine has it open, as after copying it from there, remove "/vms/base/base.vmx.lck")
    Error: The file is already in use: "/vms/base/base.vmx" is held by vmware (process 12) on another machine (if no other machine has it open, as after copying it from there, remove "/vms/base/base.vmx.lck")
    "#);
}

#[test]
fn source_is_held_by_another_process_of_ours() {
    let library = Library::with_base();
    library.set("lock.seconds = \"0\"\n");
    let folder = fs::File::open(library.path("base")).unwrap();
    folder.lock().unwrap();
    let line = both(&library);
    let pid = format!("process {}", std::process::id());
    assert!(line.contains(&pid), "{line}");
    folder.unlock().unwrap();
    folder.lock_shared().unwrap();
    assert!(linked(&library).contains(&pid));
}

#[test]
fn disk_is_open_in_qemu() {
    let library = Library::with_base();
    let mut holder = library
        .command("qemu-io")
        .args(["-f", "vmdk", "base/base.vmdk"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = holder.stdin.take().unwrap();
    // Its answer comes once it has opened the disk, and holds it.
    std::io::Write::write_all(&mut input, b"length\n").unwrap();
    let mut answer = String::new();
    BufReader::new(holder.stdout.take().unwrap())
        .read_line(&mut answer)
        .unwrap();
    insta::assert_snapshot!(both(&library), @r#"
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is being run by a QEMU that writes to "/vms/base/base.vmdk"
    Error: The virtual machine should not be powered on. It is already running. Cause: "/vms/base/base.vmx" is being run by a QEMU that writes to "/vms/base/base.vmdk"
    "#);
    drop(input);
    holder.wait().unwrap();
    library.silent(&["clone", "base/base.vmx", "new/new.vmx", "linked"]);
}

#[test]
fn disk_is_missing() {
    let library = Library::with_base();
    fs::remove_file(library.path("base/base.vmdk")).unwrap();
    insta::assert_snapshot!(both(&library), @r#"
    Error: A file was not found: disk "/vms/base/base.vmdk" is missing (put the file back, or take the disk out of the configuration)
    Error: A file was not found: disk "/vms/base/base.vmdk" is missing (put the file back, or take the disk out of the configuration)
    "#);
}

#[test]
fn disk_is_no_disk() {
    let library = Library::with_base();
    fs::write(library.path("base/base.vmdk"), b"not a disk at all").unwrap();
    insta::assert_snapshot!(both(&library), @r#"
    Error: no VMware disk: "/vms/base/base.vmdk": it has no createType
    Error: no VMware disk: "/vms/base/base.vmdk": it has no createType
    "#);
}

#[test]
fn disk_lies_elsewhere() {
    let library = Library::new();
    let elsewhere = library.path("../home/other.vmdk");
    let vm = library.with_lines("base", &[]);
    fs::rename(vm.file("base.vmdk"), &elsewhere).unwrap();
    let path = library.word("../home/other.vmdk");
    fs::write(&vm.vmx, vm.config().replace("base.vmdk", &path)).unwrap();
    insta::assert_snapshot!(both(&library), @r#"
    Error: "/home/other.vmdk" lies outside the folder of its VM (if that is right, allow the folder with --allow "/home" or in the setting places.allow)
    Error: "/home/other.vmdk" lies outside the folder of its VM (if that is right, allow the folder with --allow "/home" or in the setting places.allow)
    "#);
}

#[test]
fn disk_is_raw_or_in_an_open_session() {
    for (key, value) in [
        ("scsi0:0.deviceType", "rawDisk"),
        ("scsi0:0.redo", "./base.vmdk.REDO_a1"),
    ] {
        let library = Library::new();
        library.with_lines("base", &[(key, value)]);
        let line = both(&library);
        match key {
            "scsi0:0.redo" => insta::assert_snapshot!(line, @r#"
            Error: The operation is not supported for the specified parameters: "/vms/base/base.vmx": scsi0:0 is in a session that was not ended ("./base.vmdk.REDO_a1") (end the session in VMware: keep or discard its changes)
            Error: The operation is not supported for the specified parameters: "/vms/base/base.vmx": scsi0:0 is in a session that was not ended ("./base.vmdk.REDO_a1") (end the session in VMware: keep or discard its changes)
            "#),
            _ => insta::assert_snapshot!(line, @r#"
            Error: "/vms/base/base.vmx": scsi0:0 is a disk of the host, not a file
            Error: "/vms/base/base.vmx": scsi0:0 is a disk of the host, not a file
            "#),
        }
    }
}

#[test]
fn parent_is_missing() {
    let library = with_snapshot();
    fs::remove_file(library.path("base/base.vmdk")).unwrap();
    insta::assert_snapshot!(both(&library), @r#"
    Error: the parent of "/vms/base/base-000001.vmdk" is missing: it is called "base.vmdk", and is not in "/vms/base" (put the parent's folder beside this one, or say where it is: replix relink --parent)
    Error: the parent of "/vms/base/base-000001.vmdk" is missing: it is called "base.vmdk", and is not in "/vms/base" (put the parent's folder beside this one, or say where it is: replix relink --parent)
    "#);
}

#[test]
fn parent_was_touched() {
    let library = with_snapshot();
    qemu_io(&library.path("base/base.vmdk"), "write -P 3 1M 64k");
    insta::assert_snapshot!(plain_ids(&both(&library)), @r#"
    Error: the parent was modified since the child was made: "/vms/base/base.vmdk" has content id id-1, but "/vms/base/base-000001.vmdk" stands on id-2 (put back the parent as it was when the child was made; changing the ids instead would hide damage)
    Error: the parent was modified since the child was made: "/vms/base/base.vmdk" has content id id-1, but "/vms/base/base-000001.vmdk" stands on id-2 (put back the parent as it was when the child was made; changing the ids instead would hide damage)
    "#);
}

#[test]
fn parent_of_a_linked_clone_was_touched() {
    let library = Library::with_base();
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked"]);
    qemu_io(&library.path("base/base.vmdk"), "write -P 3 1M 64k");
    let line = library.refused(&["clone", "web/web.vmx", "new/new.vmx", "linked"]);
    insta::assert_snapshot!(plain_ids(&line), @r#"Error: the parent was modified since the child was made: "/vms/base/base.vmdk" has content id id-1, but "/vms/web/base-cl1.vmdk" stands on id-2 (put back the parent as it was when the child was made; changing the ids instead would hide damage)"#);
}

#[test]
fn parent_of_a_linked_clone_is_gone() {
    let library = Library::with_base();
    library.silent(&["clone", "base/base.vmx", "web/web.vmx", "linked"]);
    fs::rename(library.path("base"), library.path("../home/base")).unwrap();
    let line = library.refused(&["clone", "web/web.vmx", "new/new.vmx", "full"]);
    insta::assert_snapshot!(line, @r#"Error: the parent of "/vms/web/base-cl1.vmdk" is missing: it is called "../base/base.vmdk", and is not in "/vms/web/../base", "/vms/web", "/vms/base" (put the parent's folder beside this one, or say where it is: replix relink --parent)"#);
}

#[test]
fn snapshot_was_taken_of_a_running_guest() {
    let library = with_snapshot();
    let vmsd = library.path("base/base.vmsd");
    let text = fs::read_to_string(&vmsd).unwrap();
    let time = "snapshot0.createTimeHigh";
    fs::write(
        &vmsd,
        text.replace(time, &format!("snapshot0.type = \"1\"\n{time}")),
    )
    .unwrap();
    let line = library.refused(&["clone", "base/base.vmx", "new/new.vmx", "linked", "s"]);
    insta::assert_snapshot!(line, @r#"Error: The virtual machine should not be powered on. It is already running. Cause: snapshot "s" was taken of a running guest (replix clone --without-memory clones its disks alone, as after a power cut)"#);
}

#[test]
fn bookkeeping_is_broken() {
    let library = with_snapshot();
    fs::write(
        library.path("base/base.vmsd"),
        b"snapshot0.uid = \"x\"\nsnapshot.numSnapshots = \"9\"\n",
    )
    .unwrap();
    insta::assert_snapshot!(both(&library), @r#"
    Error: "/vms/base/base.vmsd": snapshot0 has no uid
    Error: "/vms/base/base.vmsd": snapshot0 has no uid
    "#);
}

#[test]
fn space_is_short_from_the_start() {
    if !is_root("mount a small file system") {
        return;
    }
    let library = Library::with_base();
    let _small = Mounted::at(&library.path("small"), "size=512k");
    let refused = |kind| library.refused(&["clone", "base/base.vmx", "small/new.vmx", kind]);
    insta::assert_snapshot!(refused("full") + &refused("linked"), @r#"
    Error: There is not enough space for the operation: the clone needs 4259840 bytes, and 524288 are free at "/vms/small/new.vmx"
    Error: There is not enough space for the operation: the clone needs 1048576 bytes, and 524288 are free at "/vms/small/new.vmx"
    "#);
}

#[test]
fn space_runs_out_meanwhile() {
    if !is_root("mount a small file system") {
        return;
    }
    let library = Library::with_base();
    // There is space, but not for as many files as a clone has.
    for files in 1..5 {
        let options = format!("size=64M,nr_inodes={}", 1 + files);
        let _small = Mounted::at(&library.path("small"), &options);
        for kind in ["full", "linked"] {
            let to = "small/new/new.vmx";
            let line = library.refused(&["clone", "base/base.vmx", to, kind]);
            let (words, cause) = line.split_at(SHORT.len());
            assert_eq!(words, SHORT);
            assert!(cause.starts_with("cannot create "), "{line}");
            assert!(cause.ends_with(": no space left on device\n"), "{line}");
        }
    }
}

#[test]
fn space_is_taken_by_others_meanwhile() {
    if !is_root("mount a small file system") {
        return;
    }
    let library = Library::new();
    library
        .builder("base")
        .disk(DiskType::MonolithicSparse, Content::Random(1), 64 << 20)
        .build();
    let _small = Mounted::at(&library.path("small"), "size=80M");
    let before = library.tree();
    let clone = Paused::in_the_middle(
        &library,
        "small",
        Program::Vmrun,
        &["clone", "base/base.vmx", "small/new/new.vmx", "full"],
    );
    let filler = library.path("small/filler");
    let filled = fs::write(&filler, vec![1; 80 << 20]);
    assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let said = clone.go_on();
    insta::assert_snapshot!(said, @r#"
    Error: There is not enough space for the operation: cannot write "/vms/small/.new-new.replix-*/base-cl1.vmdk": no space left on device
    --- exit 255
    "#);
    fs::remove_file(filler).unwrap();
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
}

#[test]
fn snapshot_has_no_space() {
    if !is_root("mount a small file system") {
        return;
    }
    // The VM has two files in one folder; a snapshot takes locks, a disk, a state, bookkeeping.
    for files in 3..7 {
        let library = Library::new();
        let options = format!("size=64M,nr_inodes={}", 1 + files);
        let _small = Mounted::at(&library.path("base"), &options);
        library.vm("base");
        let line = library.refused(&["snapshot", "base/base.vmx", "s"]);
        assert!(line.starts_with(SHORT), "{line}");
        assert!(line.ends_with(": no space left on device\n"), "{line}");
    }
}

/// Runs `vmrun` as somebody who may do only what permissions let him.
fn as_nobody(library: &Library, words: &[&str]) -> String {
    let program = library.path("../vmrun");
    if !program.exists() {
        fs::copy(Program::Vmrun.path(), &program).unwrap();
    }
    let before = library.tree();
    let mut call = library.command("setpriv");
    call.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    let said = library.run(call.arg(&program).args(words));
    assert_eq!(
        (said.err.as_str(), said.code),
        ("", Some(255)),
        "{}",
        said.out
    );
    assert_eq!(changes(&before, &library.tree()), [""; 0]);
    said.out
}

/// Gives everything in the library to `nobody`.
fn give_away(library: &Library) {
    let root = library.path("..");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    let owner = Some(65534);
    std::os::unix::fs::chown(library.dir(), owner, owner).unwrap();
    for name in library.tree().into_keys() {
        std::os::unix::fs::chown(library.path(name), owner, owner).unwrap();
    }
}

fn forbid(path: &Path, mode: u32) {
    std::os::unix::fs::chown(path, Some(0), Some(0)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_may_not_be_read() {
    if !is_root("become somebody else") {
        return;
    }
    let refused = |file: &str| {
        let library = with_snapshot();
        give_away(&library);
        forbid(&library.path(file), 0o600);
        let refused = |kind| as_nobody(&library, &["clone", "base/base.vmx", "new/new.vmx", kind]);
        refused("full") + &refused("linked")
    };
    let lines = [
        refused("base/base.vmx"),
        refused("base/base.vmsd"),
        refused("base/base-000001.vmdk"),
        refused("base/base.vmdk"),
    ];
    insta::assert_snapshot!(lines.concat(), @r#"
    Error: cannot open "/vms/base/base.vmx": permission denied
    Error: cannot open "/vms/base/base.vmx": permission denied
    Error: cannot open "/vms/base/base.vmsd": permission denied
    Error: cannot open "/vms/base/base.vmsd": permission denied
    Error: cannot open "/vms/base/base-000001.vmdk": permission denied
    Error: cannot open "/vms/base/base-000001.vmdk": permission denied
    Error: cannot open "/vms/base/base.vmdk": permission denied
    Error: cannot open "/vms/base/base.vmdk": permission denied
    "#);
}

#[test]
fn folders_may_not_be_used() {
    if !is_root("become somebody else") {
        return;
    }
    let library = with_snapshot();
    give_away(&library);
    let refused =
        |kind: &str| as_nobody(&library, &["clone", "base/base.vmx", "new/new.vmx", kind]);
    forbid(&library.path("base"), 0o700);
    let unseen = refused("full");
    forbid(&library.path("base"), 0o755);
    let unwritable = refused("linked");
    give_away(&library);
    fs::set_permissions(library.path("base"), fs::Permissions::from_mode(0o755)).unwrap();
    forbid(&library.dir(), 0o755);
    let lines = [unseen, unwritable, refused("full"), refused("linked")];
    insta::assert_snapshot!(lines.concat(), @r#"
    Error: cannot find "/vms/base/base.vmx": permission denied
    Error: cannot create folder "/vms/base/base.vmx.lck": permission denied
    Error: cannot create folder "/vms/.new-new.replix-*": permission denied
    Error: cannot create folder "/vms/.new-new.replix-*": permission denied
    "#);
}

#[test]
fn disk_that_is_a_device_of_another_host_is_refused() {
    let library = Library::with_base();
    let text = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n\
                createType=\"fullDevice\"\nRW 2048 FLAT \"/dev/sdz\" 0\n";
    fs::write(library.path("base/base.vmdk"), text).unwrap();
    insta::assert_snapshot!(both(&library), @r#"
    Error: "/vms/base/base.vmdk": a disk of type "fullDevice" cannot be used: it stands for a device of the host it was made on
    Error: "/vms/base/base.vmdk": a disk of type "fullDevice" cannot be used: it stands for a device of the host it was made on
    "#);
}
