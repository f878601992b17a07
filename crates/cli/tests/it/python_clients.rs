//! Clients of `vmrun` that others wrote, unmodified: packages of the Python package index, each in an
//! environment of its own, driving the programs as installed through the life of the test guest.

use std::path::{Path, PathBuf};
use std::process::Command;

use replix_testkit::{DiskType, TestVm, VmBuilder, guest_file, skip};

use crate::library::Library;
use crate::namespace::is_inside;
use crate::running::Running;
use crate::said::Said;

/// What a user has who installed the programs and the clients.
struct Stage {
    library: Library,
    programs: PathBuf,
    clients: PathBuf,
    image: PathBuf,
}

impl Stage {
    /// Sets all up; `None`, said, where this machine lacks something.
    fn new() -> Option<Self> {
        let Some(clients) = folder_in("REPLIX_CLIENTS") else {
            skip("no clients in Python ($REPLIX_CLIENTS; cargo xtask clients)");
            return None;
        };
        let Some(prefix) = folder_in("REPLIX_VIX_PREFIX") else {
            skip("no installed programs ($REPLIX_VIX_PREFIX; cargo xtask install)");
            return None;
        };
        let Some(image) = guest_file("guest.vmdk") else {
            skip("no test guests ($REPLIX_TEST_GUEST; cargo xtask guest)");
            return None;
        };
        let library = Library::new();
        library.set("power.accelerator = \"tcg\"\n");
        Some(Self {
            library,
            programs: prefix.join("bin"),
            clients,
            image,
        })
    }

    /// A program of a client's environment, which finds the installed programs first.
    fn python(&self, client: &str) -> Command {
        let mut command = self
            .library
            .command(self.clients.join(client).join("bin/python"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.programs.clone()).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(path).unwrap());
        command
    }

    /// Runs the script that drives `client` with the VM at `vmx`; it must end well.
    fn drive(&self, client: &str, vmx: &Path) {
        let script = format!("tests/clients/{client}_client.py");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
        let said = self
            .library
            .run(self.python(client).arg(script).arg(self.library.path(vmx)));
        assert_eq!(
            (said.out.as_str(), said.code),
            ("done\n", Some(0)),
            "{client}: {said}"
        );
    }
}

/// A folder that `cargo xtask test` names.
fn folder_in(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).filter(|folder| !folder.is_empty());
    folder.map(PathBuf::from)
}

/// The test guest, with its disk on a controller that needs no driver of ours.
fn guest(builder: VmBuilder, image: &Path) -> VmBuilder {
    builder
        .disk_from("scsi0:0", DiskType::MonolithicSparse, image, "vmdk")
        .line("memsize", "128")
        .line("serial0.present", "TRUE")
        .line("serial0.fileType", "file")
        .line("serial0.fileName", "serial.txt")
}

/// One guest, booted once, goes from client to client: each takes it as the one before left it.
#[test]
fn packages_over_vmrun_work_unmodified() {
    let Some(stage) = Stage::new() else { return };
    let lines = [
        ("ethernet0.present", "TRUE"),
        ("ethernet0.connectionType", "nat"),
        ("ethernet0.addressType", "generated"),
    ];
    let builder = guest(stage.library.builder("base"), &stage.image);
    let builder = lines
        .iter()
        .fold(builder, |builder, (key, value)| builder.line(key, value));
    builder.build();
    let vmx = Path::new("base/base.vmx");
    let _stopped = Running::watch(&stage.library, "base/base.vmx");
    for client in ["pyvmrun", "vmrun_packed", "vmware_fusion", "codecraftai"] {
        stage.drive(client, vmx);
    }
}

/// `mech` in the folder `lab`, in which its VM is to be.
struct Mech<'a>(&'a Stage);

impl Mech<'_> {
    /// Runs it; it must end well and say nothing but what is returned.
    fn run(&self, words: &[&str]) -> String {
        let said = self.said(words);
        assert_eq!(said.code, Some(0), "mech {words:?}: {said}");
        said.out + &said.err
    }

    fn said(&self, words: &[&str]) -> Said {
        let mut command = self.0.python("mech");
        command
            .args(["-m", "mech"])
            .args(words)
            .current_dir(self.0.library.path("lab"))
            // It has `tar` look for a pattern, as that of another system does without being told.
            .env("TAR_OPTIONS", "--wildcards");
        self.0.library.run(&mut command)
    }

    /// The running VM, by the installed `vmrun`.
    fn is_running(&self) -> bool {
        let vmx = self.0.library.word("lab/.mech/web.vmx");
        let mut list = self.0.library.command(self.0.programs.join("vmrun"));
        let list = list.arg("list").output().unwrap();
        String::from_utf8(list.stdout)
            .unwrap()
            .lines()
            .any(|line| line == vmx)
    }
}

/// Puts a VM's files into a box, as they are published.
fn pack(vm: &TestVm, target: &Path) {
    std::fs::write(
        vm.file("metadata.json"),
        r#"{"provider": "vmware_desktop"}"#,
    )
    .unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(target).arg("-C").arg(&vm.dir).arg(".");
    assert!(tar.status().unwrap().success());
}

#[test]
fn mech_works_unmodified() {
    if !is_inside("python_clients::mech_works_unmodified") {
        return;
    }
    let Some(stage) = Stage::new() else { return };
    let library = &stage.library;
    library.replix(&["network", "setup", "--nat", "192.168.78.0/24"]);
    std::fs::create_dir(library.path("lab")).unwrap();
    // It adds an adapter of its own.
    let vm = guest(library.builder("web"), &stage.image).build();
    pack(&vm, &library.path("lab/web.box"));
    std::fs::remove_dir_all(&vm.dir).unwrap();
    let mech = Mech(&stage);
    let _stopped = Running::watch(library, "lab/.mech/web.vmx");

    // The first name is where a box that is not on a server is looked for.
    mech.run(&["init", "--name", "lab", "web.box", "web.box"]);
    let file = library.path("lab/Mechfile");
    let mut settings: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    settings["user"] = "bob".into();
    settings["password"] = "bob-secret".into();
    std::fs::write(&file, settings.to_string()).unwrap();

    let up = mech.run(&["up"]);
    assert!(up.contains("VM was already started on 192.168.78."), "{up}");
    assert!(mech.is_running());
    let ip = mech.run(&["ip"]);
    assert!(ip.starts_with("192.168.78."), "{ip}");
    assert!(up.ends_with(&format!("started on {ip}")), "{up} {ip}");
    let status = mech.run(&["status"]);
    assert!(status.contains(ip.trim()), "{status}");
    let ps = mech.run(&["ps"]);
    assert!(ps.starts_with("Process list: "), "{ps}");
    assert!(ps.contains("\npid=2, owner=root, cmd=kthreadd\n"), "{ps}");
    // It shares the folder that it runs in.
    let shares = || {
        let (vmx, file) = ("lab/.mech/web.vmx", "/mnt/hgfs/mech/Mechfile");
        let user = ["-gu", "bob", "-gp", "bob-secret"];
        let said = library.vmrun(&[&user[..], &["fileExistsInGuest", vmx, file]].concat());
        assert_eq!(said.out, "The file exists.\n");
    };
    shares();

    assert_eq!(
        mech.run(&["snapshot", "save", "one"]),
        "Snapshot one taken\n"
    );
    assert_eq!(mech.run(&["snapshot", "list"]), "Total snapshots: 1\none\n");
    assert_eq!(mech.run(&["suspend"]), "Suspended\n");
    assert!(!mech.is_running());
    let resumed = mech.run(&["resume"]);
    assert!(resumed.ends_with(&format!("started on {ip}")), "{resumed}");
    shares();
    assert_eq!(mech.run(&["pause"]), "Paused\n");
    let resumed = mech.run(&["resume"]);
    assert!(
        resumed.ends_with(&format!("VM resumed on {ip}")),
        "{resumed}"
    );
    assert_eq!(
        mech.run(&["snapshot", "delete", "one"]),
        "Snapshot one deleted\n"
    );
    assert_eq!(mech.run(&["stop"]), "Stopped\n");
    assert!(!mech.is_running());
    let status = mech.run(&["status"]);
    assert!(status.contains("poweroff"), "{status}");
    mech.run(&["destroy", "--force"]);
    assert!(!library.path("lab/.mech").exists());
}
