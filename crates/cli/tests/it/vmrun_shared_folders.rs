//! `vmrun` about the folders of the host that a guest sees: of a VM that is off, and of one that runs.

use std::fmt::Write;

use crate::guests::{await_tools, with_guest};
use crate::library::Library;
use crate::running::{Running, startable};

const VMX: &str = "base/base.vmx";

/// Runs a command on the VM and tells what was typed and seen.
fn call(library: &Library, text: &mut String, words: &[&str]) -> String {
    let said = library.vmrun(&[&[words[0], VMX], &words[1..]].concat());
    let shown = words.join(" ");
    writeln!(text, "> {shown}\n{}= {}", said.out, said.code.unwrap()).unwrap();
    said.out
}

/// What the configuration says about shared folders.
fn configured(library: &Library) -> String {
    let text = std::fs::read_to_string(library.path(VMX)).unwrap();
    let lines = text.lines().map(str::to_ascii_lowercase);
    let shared = lines.filter(|line| line.starts_with("sharedfolder") || line.contains("hgfs"));
    let shown = shared.map(|line| line.replace(&library.word("").to_ascii_lowercase(), "/vms/"));
    shown.map(|line| line + "\n").collect()
}

fn shared(library: &Library) -> std::path::PathBuf {
    let dir = library.path("shared");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("from-host"), "hello\n").unwrap();
    dir
}

#[test]
fn folders_of_a_vm_that_is_off_are_written_down() {
    let library = Library::with_base();
    shared(&library);
    let before = configured(&library);
    let mut seen = String::new();
    call(
        &library,
        &mut seen,
        &["addSharedFolder", "-vagrant", "shared"],
    );
    call(&library, &mut seen, &["addSharedFolder", "two", "shared"]);
    call(
        &library,
        &mut seen,
        &["setSharedFolderState", "two", "/srv", "readonly"],
    );
    call(&library, &mut seen, &["enableSharedFolders"]);
    insta::assert_snapshot!(configured(&library), @r#"
    sharedfolder0.present = "true"
    sharedfolder0.enabled = "true"
    sharedfolder0.readaccess = "true"
    sharedfolder0.writeaccess = "true"
    sharedfolder0.hostpath = "/vms/shared"
    sharedfolder0.guestname = "-vagrant"
    sharedfolder0.expiration = "never"
    sharedfolder.maxnum = "2"
    sharedfolder1.present = "true"
    sharedfolder1.enabled = "true"
    sharedfolder1.readaccess = "true"
    sharedfolder1.writeaccess = "false"
    sharedfolder1.hostpath = "/srv"
    sharedfolder1.guestname = "two"
    sharedfolder1.expiration = "never"
    isolation.tools.hgfs.disable = "false"
    "#);
    let refused = [
        &["addSharedFolder", VMX, "two", "/srv"][..],
        &["addSharedFolder", VMX, "a/b", "/srv"],
        &["addSharedFolder", VMX, "three", "nowhere"],
        &["addSharedFolder", VMX, "three", "base/base.vmx"],
        &["setSharedFolderState", VMX, "three", "/srv", "writable"],
        &["setSharedFolderState", VMX, "two", "/srv", "rw"],
        &["removeSharedFolder", VMX, "three"],
        &["disableSharedFolders", VMX, "runtime"],
    ];
    for words in refused {
        seen += &library.refused(words);
    }
    call(&library, &mut seen, &["removeSharedFolder", "two"]);
    call(&library, &mut seen, &["removeSharedFolder", "-vagrant"]);
    call(&library, &mut seen, &["disableSharedFolders"]);
    insta::assert_snapshot!(seen.replace(&library.word(""), "/vms/"), @r#"
    > addSharedFolder -vagrant shared
    = 0
    > addSharedFolder two shared
    = 0
    > setSharedFolderState two /srv readonly
    = 0
    > enableSharedFolders
    = 0
    Error: there is a shared folder "two" already (change that one, or remove it)
    Error: a shared folder cannot be called "a/b" (its name is that of a folder in the guest: no "/", no control characters)
    Error: A file was not found: cannot find "/vms/nowhere": no such file or directory
    Error: "/vms/base/base.vmx" is no folder
    Error: there is no shared folder "three"
    Error: A shared folder must be writable or readonly, not 'rw'
    Error: there is no shared folder "three"
    Error: The virtual machine is not powered on: /vms/base/base.vmx
    > removeSharedFolder two
    = 0
    > removeSharedFolder -vagrant
    = 0
    > disableSharedFolders
    = 0
    "#);
    let after = "sharedfolder.maxnum = \"0\"\nisolation.tools.hgfs.disable = \"true\"\n";
    assert_eq!(configured(&library), format!("{before}{after}"));
}

#[test]
fn folders_of_a_guest_without_an_agent_are_plugged_in_all_the_same() {
    let Some(library) = startable() else { return };
    shared(&library);
    let _running = Running::start(&library, VMX);
    library.silent(&["addSharedFolder", VMX, "s", "shared"]);
    assert!(library.shown(&["info", VMX]).contains("virtio-9p-pci"));
    library.silent(&["pause", VMX]);
    // The firmware does not let go of it, and a paused guest does not either.
    let refused = library.refused(&["removeSharedFolder", VMX, "s"]);
    assert!(refused.contains("is paused"), "{refused}");
}

#[test]
fn guest_sees_what_vmrun_shares() {
    let Some(library) = with_guest("nat") else {
        return;
    };
    let dir = shared(&library);
    let _running = Running::start(&library, VMX);
    await_tools(&library, VMX);
    let mut seen = String::new();
    // As Vagrant does.
    call(&library, &mut seen, &["enableSharedFolders"]);
    call(
        &library,
        &mut seen,
        &["addSharedFolder", "-vagrant", "shared"],
    );
    call(
        &library,
        &mut seen,
        &["setSharedFolderState", "-vagrant", "shared", "writable"],
    );
    let by = |seen: &mut String, words: &[&str]| {
        let said = library.vmrun(
            &[
                &["-gu", "root", "-gp", "root-secret", words[0], VMX],
                &words[1..],
            ]
            .concat(),
        );
        writeln!(
            seen,
            "> {}\n{}= {}",
            words.join(" "),
            said.out,
            said.code.unwrap()
        )
        .unwrap();
    };
    let file = "/mnt/hgfs/-vagrant/from-host";
    let write = [
        "runScriptInGuest",
        "/bin/sh",
        "echo 1 >>/mnt/hgfs/-vagrant/from-guest",
    ];
    by(&mut seen, &["listDirectoryInGuest", "/mnt/hgfs"]);
    by(&mut seen, &["fileExistsInGuest", file]);
    by(&mut seen, &write);
    assert_eq!(
        std::fs::read_to_string(dir.join("from-guest")).unwrap(),
        "1\n"
    );
    call(&library, &mut seen, &["suspend"]);
    call(&library, &mut seen, &["start", "nogui"]);
    by(&mut seen, &write);
    call(&library, &mut seen, &["snapshot", "live"]);
    by(&mut seen, &write);
    assert_eq!(
        std::fs::read_to_string(dir.join("from-guest")).unwrap(),
        "1\n1\n1\n"
    );
    call(
        &library,
        &mut seen,
        &["setSharedFolderState", "-vagrant", "shared", "readonly"],
    );
    by(&mut seen, &write);
    assert_eq!(
        std::fs::read_to_string(dir.join("from-guest")).unwrap(),
        "1\n1\n1\n"
    );
    call(&library, &mut seen, &["disableSharedFolders", "runtime"]);
    by(&mut seen, &["fileExistsInGuest", file]);
    call(&library, &mut seen, &["enableSharedFolders", "runtime"]);
    by(&mut seen, &["fileExistsInGuest", file]);
    call(&library, &mut seen, &["removeSharedFolder", "-vagrant"]);
    by(&mut seen, &["fileExistsInGuest", file]);
    insta::assert_snapshot!(seen.replace(&library.word(""), "/vms/"), @"
    > enableSharedFolders
    = 0
    > addSharedFolder -vagrant shared
    = 0
    > setSharedFolderState -vagrant shared writable
    = 0
    > listDirectoryInGuest /mnt/hgfs
    Directory list: 1
    -vagrant
    = 0
    > fileExistsInGuest /mnt/hgfs/-vagrant/from-host
    The file exists.
    = 0
    > runScriptInGuest /bin/sh echo 1 >>/mnt/hgfs/-vagrant/from-guest
    = 0
    > suspend
    = 0
    > start nogui
    = 0
    > runScriptInGuest /bin/sh echo 1 >>/mnt/hgfs/-vagrant/from-guest
    = 0
    > snapshot live
    = 0
    > runScriptInGuest /bin/sh echo 1 >>/mnt/hgfs/-vagrant/from-guest
    = 0
    > setSharedFolderState -vagrant shared readonly
    = 0
    > runScriptInGuest /bin/sh echo 1 >>/mnt/hgfs/-vagrant/from-guest
    Guest program exited with non-zero exit code: 1
    = 1
    > disableSharedFolders runtime
    = 0
    > fileExistsInGuest /mnt/hgfs/-vagrant/from-host
    The file does not exist.
    = 0
    > enableSharedFolders runtime
    = 0
    > fileExistsInGuest /mnt/hgfs/-vagrant/from-host
    The file exists.
    = 0
    > removeSharedFolder -vagrant
    = 0
    > fileExistsInGuest /mnt/hgfs/-vagrant/from-host
    The file does not exist.
    = 0
    ");
}
