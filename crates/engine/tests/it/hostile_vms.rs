//! VM folders that a stranger made: names that lead outside, to devices, into nothing. Whatever is
//! done with such a VM, no file outside is read into it, written or deleted.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use replix::clone::{CloneKind, CloneSpec, DeleteSpec, PromoteSpec, RelinkSpec};
use replix::format::SnapshotFiles;
use replix::power::StartSpec;
use replix::snapshot::{NewSnapshot, SnapshotRef};
use replix::vm::Settings;
use replix::{Host, Job, Kind, Result};
use replix_testkit::{Content, DiskType, Tree, VmBuilder, folder, peer, qemu_img, tree_of};
use tempfile::TempDir;

use crate::vms::{snapshot, vmx};

/// Stands in every file that is none of the hostile VM's business.
const SECRET: &str = "REPLIX-SECRET-OF-ANOTHER";

/// Of every disk here, in bytes: many worlds are made and compared.
const CAPACITY: u64 = 256 << 10;

/// What can be done with a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Info,
    Tree,
    Snapshot,
    Revert,
    Remove,
    Full,
    FullOfSnapshot,
    Linked,
    LinkedOfSnapshot,
    Consolidate,
    Promote,
    Relink,
    Delete,
    DeleteAllButDisks,
}

use Op::{
    Delete, DeleteAllButDisks, Full, FullOfSnapshot, Info, Linked, LinkedOfSnapshot, Remove, Revert,
};

impl Op {
    const ALL: [Self; 14] = [
        Info,
        Self::Tree,
        Self::Snapshot,
        Revert,
        Remove,
        Full,
        FullOfSnapshot,
        Linked,
        LinkedOfSnapshot,
        Self::Consolidate,
        Self::Promote,
        Self::Relink,
        Delete,
        DeleteAllButDisks,
    ];

    /// Does it with the VM `evil` of a library; what is said on the way goes to `warnings`.
    fn run(self, host: &Host, library: &Path, warnings: &mut Vec<String>) -> Result<()> {
        let vm = &vmx(library, "evil");
        let (host, job) = (host.provider(), &Job::new());
        let named = SnapshotRef::Name("s".into());
        let mut spec = CloneSpec::new(CloneKind::Full, vmx(library, "new"));
        if matches!(self, Linked | LinkedOfSnapshot) {
            spec.kind = CloneKind::Linked;
        }
        if matches!(self, FullOfSnapshot | LinkedOfSnapshot) {
            spec.snapshot = Some(named.clone());
        }
        let delete = DeleteSpec {
            disks: self == Delete,
            force: true,
        };
        let result = match self {
            Info => host.info(vm).map(|info| warnings.extend(info.warnings)),
            Self::Tree => host.lineage(vm).map(drop),
            Self::Snapshot => host
                .create_snapshot(vm, &NewSnapshot::default(), job)
                .map(drop),
            Revert => host.revert(vm, &named.into(), job),
            Remove => host.remove_snapshot(vm, &named, true, job),
            Full | FullOfSnapshot | Linked | LinkedOfSnapshot => host
                .clone_vm(vm, &spec, job)
                .map(|clone| warnings.extend(clone.warnings)),
            Self::Consolidate => host.consolidate(vm, job).map(drop),
            Self::Promote => host.promote(vm, PromoteSpec::default(), job).map(drop),
            Self::Relink => host.relink(vm, &RelinkSpec::default(), job).map(drop),
            Delete | DeleteAllButDisks => host.delete(vm, delete, job),
        };
        warnings.extend(job.warnings());
        result
    }
}

/// A library with a hostile VM `evil` and an honest one, `victim`; and a folder beside the library.
struct World(TempDir);

impl World {
    /// Makes the honest parts; the hostile VM has one disk and a snapshot `s`.
    fn new() -> Self {
        let world = Self(folder());
        let secret = world.0.path().join("secret.raw");
        let words = SECRET.repeat(CAPACITY as usize / SECRET.len() + 1);
        fs::write(&secret, &words[..CAPACITY as usize]).unwrap();
        VmBuilder::new(&world.library(), "victim")
            .disk_from("scsi0:0", DiskType::MonolithicSparse, &secret, "raw")
            .build();
        let evil = VmBuilder::new(&world.library(), "evil")
            .disk(DiskType::MonolithicSparse, Content::Mixed(1), CAPACITY)
            .line("nvram", "evil.nvram")
            .line("extendedConfigFile", "evil.vmxf")
            .build();
        fs::write(evil.file("evil.nvram"), "MRVN").unwrap();
        snapshot(&crate::vms::open(&evil), "s");

        fs::create_dir(world.outside("")).unwrap();
        fs::rename(secret, world.outside("secret-flat.vmdk")).unwrap();
        for name in ["secret.vmdk", "evil-000001.vmdk"] {
            fs::copy(
                world.library().join("victim/victim.vmdk"),
                world.outside(name),
            )
            .unwrap();
        }
        let state = SnapshotFiles {
            config: fs::read(world.evil("evil.vmx")).unwrap(),
            nvram: Some(SECRET.into()),
            extended_config: Some(SECRET.into()),
        };
        for dir in [world.outside(""), world.library().join("victim")] {
            let stem = dir.file_name().unwrap().to_str().unwrap();
            let stem = if stem == "victim" { stem } else { "secret" };
            let file = |ending: &str| dir.join(format!("{stem}{ending}"));
            fs::write(file(".nvram"), SECRET).unwrap();
            fs::write(file(".vmxf"), format!("<Foundry>{SECRET}</Foundry>")).unwrap();
            fs::write(file(".vmss"), SECRET).unwrap();
            fs::write(file("-Snapshot1.vmsn"), state.to_bytes(&[])).unwrap();
            fs::write(file("-Snapshot1.vmem"), SECRET).unwrap();
            fs::write(file(".vmsd"), format!("cloneOf0 = \"{SECRET}\"\n")).unwrap();
        }
        world
    }

    /// Returns another such world, quicker to make.
    fn copy(&self) -> Self {
        let copy = folder();
        copy_files(self.0.path(), copy.path());
        Self(copy)
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("library")
    }

    fn evil(&self, name: &str) -> PathBuf {
        self.library().join("evil").join(name)
    }

    fn outside(&self, name: &str) -> PathBuf {
        self.0.path().join("outside").join(name)
    }

    /// Fills in the path of the folder outside for OUT.
    fn fill(&self, text: &str) -> String {
        text.replace("OUT", self.0.path().join("outside").to_str().unwrap())
    }

    /// Gives a key of the configuration a value: the last one counts.
    fn set(&self, key: &str, value: &str) {
        self.edit("evil.vmx", |text| text + &format!("{key} = \"{value}\"\n"));
    }

    /// Replaces text in the bookkeeping.
    fn replace(&self, old: &str, new: &str) {
        self.edit("evil.vmsd", |text| {
            assert!(text.contains(old), "{text}");
            text.replace(old, new)
        });
    }

    fn edit(&self, name: &str, edit: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.evil(name)).unwrap();
        fs::write(self.evil(name), self.fill(&edit(text))).unwrap();
    }

    /// What the hostile VM has no business with: the honest VM, the folder outside, and the names
    /// in the folders around.
    fn honest(&self) -> (Tree, Tree, Vec<String>) {
        let [victim, outside] = [self.library().join("victim"), self.outside("")];
        let around = [self.0.path().to_path_buf(), self.library()];
        let entries = around.iter().flat_map(|dir| fs::read_dir(dir).unwrap());
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names
            .filter(|name| name != "evil" && name != "new")
            .collect();
        names.sort();
        (tree_of(&victim), tree_of(&outside), names)
    }

    /// Returns the files of the hostile VM, and of clones of it, that have the secret in them.
    fn leaks(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.library()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(dir).unwrap().map(std::result::Result::unwrap) {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() && entry.file_name() != "victim" {
                    open.push(entry.path());
                } else if kind.is_file() && entry.metadata().unwrap().len() < 64 << 20 {
                    let bytes = fs::read(entry.path()).unwrap();
                    if String::from_utf8_lossy(&bytes).contains(SECRET) {
                        found.push(entry.path());
                    }
                }
            }
        }
        found
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(std::result::Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_files(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Does everything with a hostile VM, each operation in a world of its own; the operations
/// `refused` must end with an error of that kind.
fn attack(base: &World, name: &str, make: &dyn Fn(&World), refused: &[Op], kind: Kind) {
    for op in Op::ALL {
        let world = base.copy();
        make(&world);
        let before = world.honest();
        let mut said = Vec::new();
        let host = Host::local_with(Settings::default());
        let result = op.run(&host, &world.library(), &mut said);
        assert_eq!(before, world.honest(), "{name}: {op:?} wrote outside");
        assert!(
            world.leaks().is_empty(),
            "{name}: {op:?}: {:?}",
            world.leaks()
        );
        if let Err(error) = &result {
            said.push(error.to_string());
            said.extend(error.advice().map(str::to_owned));
        }
        for text in said {
            assert!(!text.contains(char::is_control), "{name}: {op:?}: {text:?}");
        }
        if refused.contains(&op) {
            let found = result.as_ref().err().map(replix::Error::kind);
            assert_eq!(found, Some(kind), "{name}: {op:?}: {result:?}");
        }
    }
}

/// Makes in the hostile VM's folder what `name` needs: links that lead outside, a pipe that nobody
/// writes to.
fn prepare(world: &World, name: &str) {
    symlink(world.outside(""), world.evil("sub")).unwrap();
    for ending in [
        ".vmdk",
        "-flat.vmdk",
        ".nvram",
        ".vmxf",
        ".vmss",
        "-Snapshot1.vmsn",
    ] {
        let from = world.outside(&format!("secret{ending}"));
        symlink(from, world.evil(&format!("link{ending}"))).unwrap();
    }
    if name == "pipe" {
        assert!(peer("mkfifo", [world.evil(name)]).status.success());
    }
}

/// The ways in which a name can lead to another's file with that ending.
fn ways_out(ending: &str) -> Vec<String> {
    let names = [
        "../victim/victim",
        "OUT/secret",
        "link",
        "sub/secret",
        "D:\\x\\victim\\victim",
    ];
    names.iter().map(|name| format!("{name}{ending}")).collect()
}

#[test]
fn disks_outside_are_not_used() {
    let base = World::new();
    let present = [Op::Snapshot, Remove, Full, Linked];
    let odd = ["pipe", ".", "/proc/self/environ"].map(str::to_owned);
    for name in ways_out(".vmdk").into_iter().chain(odd) {
        let make = |world: &World| {
            prepare(world, &name);
            world.set("scsi0:0.deviceType", "disk");
            world.set("scsi0:0.fileName", &name);
        };
        attack(&base, &name, &make, &present, Kind::Denied);
    }
    for name in ["/dev/zero", "\\\\.\\PhysicalDrive0"] {
        let make = |world: &World| {
            world.set("scsi0:0.deviceType", "disk");
            world.set("scsi0:0.fileName", name);
        };
        attack(&base, name, &make, &present, Kind::DiskUnsupported);
    }
}

#[test]
fn extents_outside_are_not_used() {
    let base = World::new();
    let odd = ["/dev/zero", "pipe", "/proc/self/environ"].map(str::to_owned);
    let names = ways_out("-flat.vmdk").into_iter().chain(odd);
    for name in names.filter(|name| !name.starts_with("D:") && !name.contains("victim")) {
        let make = |world: &World| {
            prepare(world, &name);
            let text = format!(
                "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n\
                 createType=\"monolithicFlat\"\nRW 500 FLAT \"{name}\" 0\n"
            );
            fs::write(world.evil("flat.vmdk"), world.fill(&text)).unwrap();
            world.set("scsi0:0.fileName", "flat.vmdk");
        };
        let present = [Op::Snapshot, Remove, Full, Linked];
        attack(&base, &name, &make, &present, Kind::Denied);
    }
}

#[test]
fn parents_outside_are_not_used() {
    let base = World::new();
    let read = |path: &Path| {
        let info = qemu_img(["info".as_ref(), "--output=json".as_ref(), path.as_os_str()]);
        let cid = info.split("\"cid\": ").nth(1).unwrap();
        cid.split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    let cid = read(&base.outside("secret.vmdk"));
    let options = "subformat=twoGbMaxExtentSparse";
    let disk = base.evil("child.vmdk");
    let disk = disk.to_str().unwrap();
    let size = CAPACITY.to_string();
    qemu_img(["create", "-q", "-f", "vmdk", "-o", options, disk, &size]);
    for name in [
        "OUT/secret.vmdk",
        "link.vmdk",
        "sub/secret.vmdk",
        "secret.vmdk",
        "../../outside/secret.vmdk",
    ] {
        let make = |world: &World| {
            prepare(world, name);
            world.set("fileSearchPath", "/;..;OUT;../victim;D:\\outside");
            let child = world.fill(&format!(
                "# Disk DescriptorFile\nversion=1\nCID={cid:08x}\nparentCID={cid:08x}\n\
                 createType=\"twoGbMaxExtentSparse\"\nparentFileNameHint=\"{name}\"\n\
                 RW 512 SPARSE \"child-s001.vmdk\"\n"
            ));
            fs::write(world.evil("child.vmdk"), child).unwrap();
            world.set("scsi0:0.fileName", "child.vmdk");
        };
        let present = [Op::Snapshot, Remove, Full, Linked];
        attack(&base, name, &make, &present, Kind::Denied);
    }
}

#[test]
fn bookkeeping_cannot_name_disks_outside() {
    let base = World::new();
    for name in ways_out(".vmdk") {
        let make = |world: &World| {
            prepare(world, &name);
            let old = "snapshot0.disk0.fileName = \"evil.vmdk\"";
            world.replace(old, &format!("snapshot0.disk0.fileName = \"{name}\""));
            world.edit("evil.vmsd", |text| {
                format!("{text}cloneOf0 = \"../victim/victim.vmx\"\nsentinel0 = \"{name}\"\n")
            });
        };
        attack(
            &base,
            &name,
            &make,
            &[Revert, FullOfSnapshot, LinkedOfSnapshot],
            Kind::Denied,
        );
    }
}

#[test]
fn states_outside_are_neither_read_nor_removed() {
    let base = World::new();
    let odd = ["/etc/passwd", "../../x", "pipe", "", "."].map(str::to_owned);
    for name in ways_out("-Snapshot1.vmsn").into_iter().chain(odd) {
        let make = |world: &World| {
            prepare(world, &name);
            world.replace("\"evil-Snapshot1.vmsn\"", &format!("\"{name}\""));
        };
        attack(&base, &name, &make, &[], Kind::Denied);
    }
}

#[test]
fn small_files_outside_are_not_copied() {
    let base = World::new();
    let using = [Op::Snapshot, Full, Linked];
    for (key, ending) in [("nvram", ".nvram"), ("extendedConfigFile", ".vmxf")] {
        let odd = ["/etc/passwd", "/proc/self/environ", "pipe", "."].map(str::to_owned);
        for name in ways_out(ending).into_iter().chain(odd) {
            let make = |world: &World| {
                prepare(world, &name);
                world.set(key, &name);
            };
            attack(&base, &name, &make, &using, Kind::Denied);
        }
    }
}

#[test]
fn snapshot_does_not_put_its_files_outside() {
    let base = World::new();
    let new = ["OUT/new.nvram", "../new.nvram", "../victim/new.nvram"].map(str::to_owned);
    for (working_dir, refused) in [("OUT", &[Revert][..]), (".", &[])] {
        for name in ways_out(".nvram").into_iter().chain(new.clone()) {
            let make = |world: &World| {
                prepare(world, &name);
                let config = fs::read_to_string(world.evil("evil.vmx")).unwrap()
                    + &format!("nvram = \"{name}\"\nworkingDir = \"{working_dir}\"\n");
                let state = SnapshotFiles {
                    config: world.fill(&config).into_bytes(),
                    nvram: Some(b"planted".to_vec()),
                    extended_config: None,
                };
                fs::write(world.evil("evil-Snapshot1.vmsn"), state.to_bytes(&[])).unwrap();
            };
            attack(&base, &name, &make, refused, Kind::Denied);
        }
    }
}

#[test]
fn working_folder_outside_is_left_alone() {
    let base = World::new();
    for name in ["OUT", "..", "../victim", "/etc", "sub", "D:\\x\\victim"] {
        let make = |world: &World| {
            prepare(world, name);
            world.set("workingDir", name);
            // Names that are right in that folder.
            world.set("checkpoint.vmState", "");
            world.set("vmxstats.filename", "secret.nvram");
            world.set("migrate.hostlog", "victim.nvram");
        };
        attack(&base, name, &make, &[Op::Snapshot, Linked], Kind::Denied);
    }
}

#[test]
fn deleting_spares_what_is_named_elsewhere() {
    let base = World::new();
    for ending in [".nvram", ".vmxf", ".vmss", "-Snapshot1.vmsn"] {
        for name in ways_out(ending) {
            let make = |world: &World| {
                prepare(world, &name);
                for key in [
                    "nvram",
                    "extendedConfigFile",
                    "checkpoint.vmState",
                    "vmxstats.filename",
                    "migrate.hostlog",
                ] {
                    world.set(key, &name);
                }
            };
            attack(&base, &name, &make, &[], Kind::Denied);
        }
    }
}

#[test]
fn links_in_the_place_of_files_are_not_followed() {
    let base = World::new();
    for (name, target) in [
        ("evil.vmsd", "secret.vmsd"),
        ("evil.nvram", "secret.nvram"),
        ("evil.vmxf", "secret.vmxf"),
        ("evil-Snapshot1.vmsn", "secret-Snapshot1.vmsn"),
        ("evil-000001.vmdk", "secret.vmdk"),
        ("evil.vmdk", "secret.vmdk"),
        ("evil.vmx.lck", ""),
        ("evil-000001.vmdk.lck", ""),
    ] {
        let make = |world: &World| {
            let _ = fs::remove_file(world.evil(name));
            symlink(world.outside(target), world.evil(name)).unwrap();
        };
        attack(&base, name, &make, &[], Kind::Denied);
    }
}

#[test]
fn clones_in_the_bookkeeping_are_only_names() {
    let base = World::new();
    for name in [
        "/x|0A|1B[2J/evil.vmx",
        "../victim/victim.vmx",
        "OUT/secret.vmx",
        "D:\\x|0D|0A\\evil.vmx",
        "/etc/passwd",
        "/dev/zero",
        "..",
        "evil.vmx",
        "pipe",
    ] {
        let make = |world: &World| {
            prepare(world, name);
            world.edit("evil.vmsd", |text| {
                format!("{text}snapshot0.clone0 = \"{name}\"\nsnapshot0.numClones = \"1\"\ncloneOf0 = \"{name}\"\n")
            });
        };
        attack(&base, name, &make, &[], Kind::Denied);
    }
}

#[test]
fn names_are_escaped_wherever_they_are_said() {
    let base = World::new();
    let name = "a|0A|1B]0;owned|07|22.iso";
    let make = |world: &World| {
        for (key, value) in [
            ("displayName", name),
            ("annotation", name),
            ("ide1:0.present", "TRUE"),
            ("ide1:0.deviceType", "cdrom-image"),
            ("ide1:0.fileName", name),
            ("serial0.present", "TRUE"),
            ("serial0.fileType", "pipe"),
            ("serial0.fileName", "/|1B[2J/x"),
            ("scsi0:1.present", "TRUE"),
            ("scsi0:1.fileName", "x|0A|1B[2J.vmdk"),
            ("ethernet0.present", "TRUE"),
            ("ethernet0.addressType", "static"),
            ("ethernet0.address", "|1B[31m"),
            ("guestOS", "|1B[31m"),
            (".encoding", "|1B[31m"),
            ("x|1B", "x"),
            ("checkpoint.vmState", "|1B[31m"),
        ] {
            world.set(key, value);
        }
        world.replace(
            "snapshot0.displayName = \"s\"",
            "snapshot0.displayName = \"|1B[31ms\"",
        );
        world.edit("evil.vmsd", |text| {
            text + "snapshot0.disk1.fileName = \"|1B\"\n"
        });
    };
    attack(&base, "escapes", &make, &[], Kind::Denied);
    let disks = |world: &World| {
        make(world);
        world.set("scsi0:0.fileName", "|1B[2J|0A.vmdk");
        world.set("checkpoint.vmState", "");
        world.set("scsi0:0.redo", "|1B[2J|0A");
    };
    attack(&base, "escapes in disks", &disks, &[], Kind::Denied);
}

#[test]
fn counts_are_not_believed() {
    let base = World::new();
    for (old, new) in [
        (
            "snapshot.numSnapshots = \"1\"",
            "snapshot.numSnapshots = \"4294967295\"",
        ),
        (
            "snapshot.numSnapshots = \"1\"",
            "snapshot.numSnapshots = \"99999999999999999999\"",
        ),
        (
            "snapshot0.numDisks = \"1\"",
            "snapshot0.numDisks = \"4294967295\"",
        ),
        (
            "snapshot.lastUID = \"1\"",
            "snapshot.lastUID = \"4294967295\"",
        ),
        ("snapshot0.uid = \"1\"", "snapshot0.uid = \"0\""),
        (
            "snapshot0.uid = \"1\"",
            "snapshot0.uid = \"1\"\nsnapshot0.parent = \"1\"",
        ),
    ] {
        attack(
            &base,
            new,
            &|world| world.replace(old, new),
            &[Op::Snapshot, Linked],
            Kind::SnapshotBroken,
        );
    }
}

#[test]
fn huge_files_are_not_swallowed() {
    let base = World::new();
    let grow = |path: PathBuf| {
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.set_len(1 << 40).unwrap();
    };
    let all = Op::ALL;
    attack(
        &base,
        "vmx",
        &|world| grow(world.evil("evil.vmx")),
        &all,
        Kind::BadConfig,
    );
    for name in [
        "evil.vmsd",
        "evil.nvram",
        "evil.vmxf",
        "evil-Snapshot1.vmsn",
        "evil.vmdk",
    ] {
        attack(
            &base,
            name,
            &|world| grow(world.evil(name)),
            &[],
            Kind::BadConfig,
        );
    }
    let many = |world: &World| {
        world.edit("evil.vmsd", |text| {
            let clones =
                (0..10_000).map(|n| format!("snapshot0.clone{n} = \"D:\\\\x{n}\\\\y\\\\z.vmx\"\n"));
            text + &clones.collect::<String>()
        });
    };
    attack(&base, "many clones", &many, &[], Kind::BadConfig);
    let disks = |world: &World| {
        world.edit("evil.vmx", |mut text| {
            for (n, m) in (0..40).flat_map(|n| (0..250).map(move |m| (n, m))) {
                text += &format!("scsi{n}:{m}.present = \"TRUE\"\nscsi{n}:{m}.fileName = \"D:\\a\\b\\{m}.vmdk\"\n");
            }
            text
        });
    };
    attack(&base, "many disks", &disks, &[], Kind::BadConfig);
    let search = |world: &World| {
        let folders: String = (0..90_000).map(|n| format!("D:\\a\\{n};")).collect();
        world.set("fileSearchPath", &folders);
    };
    attack(&base, "many folders", &search, &[], Kind::BadConfig);
}

#[test]
fn allowed_places_are_read_and_worked_in() {
    let base = World::new();
    let host = |world: &World| {
        Host::local_with(Settings {
            allow: vec![world.outside("")],
            ..Settings::default()
        })
    };
    let world = base.copy();
    world.set("nvram", "OUT/secret.nvram");
    let before = world.honest();
    for op in [Full, Op::Snapshot] {
        op.run(&host(&world), &world.library(), &mut Vec::new())
            .unwrap();
        assert_eq!(before, world.honest());
    }
    let nvram = fs::read(vmx(&world.library(), "new").with_extension("nvram")).unwrap();
    assert_eq!(nvram, SECRET.as_bytes());
    Delete
        .run(&host(&world), &world.library(), &mut Vec::new())
        .unwrap();
    assert_eq!(before, world.honest());

    let world = base.copy();
    world.set("workingDir", "OUT");
    let before = tree_of(&world.outside(""));
    Op::Snapshot
        .run(&host(&world), &world.library(), &mut Vec::new())
        .unwrap();
    let made: Vec<_> = tree_of(&world.outside("")).into_keys().collect();
    assert_eq!(made.len(), before.len() + 2, "{made:?}");
    Delete
        .run(&host(&world), &world.library(), &mut Vec::new())
        .unwrap();
    assert_eq!(before, tree_of(&world.outside("")));
}

#[test]
fn folder_of_an_honest_vm_is_never_ones_own() {
    let base = World::new();
    for op in Op::ALL {
        let world = base.copy();
        world.set("workingDir", "../victim");
        world.set("nvram", "victim.nvram");
        world.set("scsi0:1.present", "TRUE");
        world.set("scsi0:1.fileName", "../victim/victim.vmdk");
        let before = world.honest();
        let host = Host::local_with(Settings {
            allow: vec![world.library()],
            ..Settings::default()
        });
        let _ = op.run(&host, &world.library(), &mut Vec::new());
        let after = world.honest();
        for (file, hash) in before.0 {
            assert_eq!(after.0.get(&file), Some(&hash), "{op:?}");
        }
    }
}

#[test]
fn guest_speaks_to_nobody_outside() {
    let world = World::new();
    let _somebody = UnixListener::bind(world.outside("somebody")).unwrap();
    prepare(&world, "");
    symlink(world.outside("somebody"), world.evil("link")).unwrap();
    for (key, value) in [
        ("present", "TRUE"),
        ("fileType", "pipe"),
        ("pipe.endPoint", "client"),
    ] {
        world.set(&format!("serial0.{key}"), value);
    }
    let host = Host::local_with(Settings::default());
    let vm = host.open(vmx(&world.library(), "evil")).unwrap();
    for name in [
        "OUT/somebody",
        "link",
        "sub/somebody",
        "../../outside/somebody",
    ] {
        world.set("serial0.fileName", name);
        let refused = vm.power_on(StartSpec::default()).wait().unwrap_err();
        assert_eq!(refused.kind(), Kind::Denied, "{name}: {refused}");
        let warnings = vm.info().unwrap().warnings;
        assert!(
            warnings.iter().any(|text| text.contains("lies outside")),
            "{warnings:?}"
        );
    }
}
