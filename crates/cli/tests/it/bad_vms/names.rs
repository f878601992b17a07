//! Names that lead out of the VM, to what is no file, round in a circle, or are none.

use std::fs;

use super::world::{BAD, CAPACITY, World};
use super::{Case, case};

/// What reads a disk.
const READING: &[&str] = &["info", "check", "full clone"];

/// A folder may vouch in its bookkeeping for the children of its disks; a disk of a VM beside is one to
/// stand on.
const PARENTS: &[&str] = &["outside/secret.vmsd", "vms/victim/victim.vmdk"];

/// The same, in short.
const COPYING: &[&str] = &["check", "full clone"];

/// What names and copies the other files.
const KEEPING: &[&str] = &["info", "full clone", "snapshot", "delete"];

/// Sectors of a disk here.
const SECTORS: u64 = CAPACITY / 512;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ways(".vmdk") {
        let title = format!("disk of the configuration: {}", shown(&name));
        let disk = case(title, move |world| {
            world.set("scsi0:0.deviceType", "disk");
            world.set("scsi0:0.fileName", &name);
        });
        cases.push(disk.met_by(&["info", "full clone", "linked clone"]));
    }
    for name in ways("-flat.vmdk") {
        let title = format!("extent: {}", shown(&name));
        let extent = case(title, move |world| {
            let name = unescaped(&name);
            world.describe(&format!(
                "parentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW {SECTORS} FLAT \"{name}\" 0"
            ));
        });
        cases.push(extent.met_by(COPYING));
    }
    for name in ways(".vmdk") {
        let title = format!("parent: {}", shown(&name));
        let parent = case(title, move |world| child(world, &unescaped(&name)));
        cases.push(parent.met_by(COPYING).seeing(PARENTS));
    }
    cases.extend(circles().into_iter().map(|case| case.met_by(READING)));
    let others = small_files().into_iter().chain(devices());
    cases.extend(others.map(|case| case.met_by(KEEPING)));
    cases
}

/// The ways in which a name of a file with that ending can lead elsewhere; OUT is a folder outside.
fn ways(ending: &str) -> Vec<String> {
    let files = [
        "../victim/victim",
        "OUT/secret",
        "link",
        "sub/secret",
        "D:\\x\\victim\\victim",
    ];
    let odd = [
        "../../outside/secret-flat.vmdk",
        "chain.vmdk",
        "dangling.vmdk",
        "loop.vmdk",
        "zero.vmdk",
        "environ.vmdk",
        "/dev/zero",
        "/dev/stdin",
        "/proc/self/mem",
        "/etc/passwd",
        "pipe",
        "socket",
        ".",
        "..",
        "",
        "|1B]0;owned|07.vmdk",
        "two|0Alines.vmdk",
        "nul|00.vmdk",
        "quote|22s.vmdk",
    ];
    let long = [
        format!("{}.vmdk", "n".repeat(300)),
        format!("{}x.vmdk", "n/".repeat(3000)),
    ];
    let files = files.iter().map(|name| format!("{name}{ending}"));
    let odd = odd.iter().map(ToString::to_string);
    files.chain(odd).chain(long).collect()
}

/// The name as the table has it.
fn shown(name: &str) -> String {
    match name.len() {
        0 => "nothing".into(),
        1..=60 => name.into(),
        len => format!("{}... ({len} bytes)", &name[..8]),
    }
}

/// A descriptor takes characters as they are where a configuration escapes them.
fn unescaped(name: &str) -> String {
    [
        ("|1B", "\x1b"),
        ("|07", "\x07"),
        ("|0A", "\n"),
        ("|00", "\0"),
        ("|22", "\""),
    ]
    .iter()
    .fold(name.to_owned(), |name, (code, char)| {
        name.replace(code, char)
    })
}

/// Makes the VM's disk a child of what is called so; its own extent is whole.
fn child(world: &World, hint: &str) {
    extent(world);
    let cid = cid(world);
    world.describe(&format!(
        "parentCID={cid}\ncreateType=\"twoGbMaxExtentSparse\"\nparentFileNameHint=\"{hint}\"\n\
         RW {SECTORS} SPARSE \"ugly-s001.vmdk\""
    ));
}

/// Makes the extent of a child, which has nothing.
fn extent(world: &World) {
    fs::copy(world.evil("evil-000001.vmdk"), world.evil("ugly-s001.vmdk")).unwrap();
}

/// The content id of the honest VM's disk: a child that names it rightly.
fn cid(world: &World) -> String {
    let disk = fs::read(world.outside("secret.vmdk")).unwrap();
    let text = String::from_utf8_lossy(&disk[..4096]).into_owned();
    let at = text.find("\nCID=").unwrap() + 5;
    text[at..at + 8].into()
}

fn circles() -> Vec<Case> {
    let link = |parent: &str| {
        format!(
            "# Disk DescriptorFile\nversion=1\nCID=0badcafe\nparentCID=0badcafe\n\
             createType=\"twoGbMaxExtentSparse\"\nparentFileNameHint=\"{parent}\"\n\
             RW {SECTORS} SPARSE \"ugly-s001.vmdk\"\n"
        )
    };
    let chain = move |names: &'static [(&str, &str)]| {
        move |world: &World| {
            extent(world);
            for (name, parent) in names {
                world.write(name, link(parent));
            }
            world.set("scsi0:0.fileName", BAD);
        }
    };
    vec![
        case("a disk that is its own parent", chain(&[(BAD, BAD)])),
        case(
            "its own parent by a detour",
            chain(&[(BAD, "../evil/./ugly.vmdk")]),
        ),
        case(
            "two that stand on each other",
            chain(&[(BAD, "b.vmdk"), ("b.vmdk", BAD)]),
        ),
        case(
            "a circle of three behind the first",
            chain(&[
                (BAD, "b.vmdk"),
                ("b.vmdk", "c.vmdk"),
                ("c.vmdk", "d.vmdk"),
                ("d.vmdk", "b.vmdk"),
            ]),
        ),
        case("its own parent by a link", move |world| {
            chain(&[(BAD, "again.vmdk")])(world);
            world.link(BAD, "again.vmdk");
        }),
        case("its own parent by a hard link", move |world| {
            chain(&[(BAD, "again.vmdk")])(world);
            fs::hard_link(world.evil(BAD), world.evil("again.vmdk")).unwrap();
        }),
        case("two links with one extent", |world| {
            child(world, "evil-000001.vmdk");
            world.write("ugly-s001.vmdk", world.read("evil-000001.vmdk"));
        }),
        case("an extent that is the descriptor itself", |world| {
            world.describe(&format!(
                "parentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 1 FLAT \"{BAD}\" 0"
            ));
        }),
        case("an extent that is the disk's parent", |world| {
            world.describe(&format!(
                "parentCID=ffffffff\ncreateType=\"twoGbMaxExtentSparse\"\nRW {SECTORS} SPARSE \"evil.vmdk\""
            ));
        }),
    ]
}

/// Files that a configuration names besides disks.
fn small_files() -> Vec<Case> {
    let mut cases = Vec::new();
    let keys = [
        ("nvram", ".nvram"),
        ("extendedConfigFile", ".vmxf"),
        ("checkpoint.vmState", ".vmss"),
    ];
    for (key, ending) in keys {
        let names = ["../victim/victim", "OUT/secret", "link", "sub/secret"];
        let names = names.map(|name| format!("{name}{ending}"));
        let odd = [
            "/etc/passwd",
            "/proc/self/environ",
            "/dev/zero",
            "pipe",
            "socket",
            ".",
        ];
        for name in names.into_iter().chain(odd.map(str::to_owned)) {
            cases.push(case(format!("{key}: {name}"), move |world| {
                world.set(key, &name);
            }));
        }
    }
    for name in [
        "OUT",
        "..",
        "../victim",
        "/etc",
        "/proc/self/fd",
        "sub",
        "D:\\x\\victim",
        "pipe",
    ] {
        cases.push(case(format!("workingDir: {name}"), move |world| {
            world.set("workingDir", name);
        }));
    }
    for (name, target) in [
        ("evil.vmx", "OUT/secret.vmx"),
        ("evil.vmsd", "OUT/secret.vmsd"),
        ("evil.nvram", "OUT/secret.nvram"),
        ("evil-Snapshot1.vmsn", "OUT/secret-Snapshot1.vmsn"),
        ("evil-000001.vmdk", "OUT/secret.vmdk"),
        ("evil.vmx.lck", "OUT"),
        ("evil-000001.vmdk.lck", "OUT"),
        ("evil.vmsd", "pipe"),
        ("evil.vmsd", "/dev/zero"),
        ("evil.vmx", "/dev/zero"),
        ("evil.vmx", "pipe"),
        ("evil.vmx", "evil.vmx"),
    ] {
        cases.push(case(
            format!("link in the place of {name} to {target}"),
            move |world| {
                world.link(target, name);
            },
        ));
    }
    for name in [
        "evil.vmx",
        "evil.vmsd",
        "evil-000001.vmdk",
        "evil-Snapshot1.vmsn",
    ] {
        cases.push(case(
            format!("a pipe in the place of {name}"),
            move |world| {
                world.replace(name, "pipe");
            },
        ));
    }
    cases
}

/// Devices whose other end is a file or a folder of the host.
fn devices() -> Vec<Case> {
    let device = |name: &str, lines: &'static [(&str, &str)]| {
        case(name, move |world| {
            lines.iter().for_each(|(key, value)| world.set(key, value));
        })
    };
    vec![
        device(
            "CD images outside",
            &[
                ("ide1:0.present", "TRUE"),
                ("ide1:0.deviceType", "cdrom-image"),
                ("ide1:0.fileName", "OUT/secret.iso"),
                ("ide1:1.present", "TRUE"),
                ("ide1:1.deviceType", "cdrom-image"),
                ("ide1:1.fileName", "link.iso"),
            ],
        )
        // Whether a file is an image, its inside says.
        .seeing(&["outside/secret.iso"]),
        device(
            "a floppy of a pipe, and of /dev/zero",
            &[
                ("floppy0.present", "TRUE"),
                ("floppy0.fileType", "file"),
                ("floppy0.fileName", "pipe"),
                ("floppy1.present", "TRUE"),
                ("floppy1.fileType", "file"),
                ("floppy1.fileName", "/dev/zero"),
            ],
        ),
        device(
            "serial ports to files, devices and sockets of others",
            &[
                ("serial0.present", "TRUE"),
                ("serial0.fileType", "file"),
                ("serial0.fileName", "OUT/secret.vmx"),
                ("serial1.present", "TRUE"),
                ("serial1.fileType", "device"),
                ("serial1.fileName", "/dev/zero"),
                ("serial2.present", "TRUE"),
                ("serial2.fileType", "pipe"),
                ("serial2.fileName", "socket"),
                ("parallel0.present", "TRUE"),
                ("parallel0.fileType", "file"),
                ("parallel0.fileName", "/etc/passwd"),
            ],
        ),
        device(
            "shared folders nobody agreed to",
            &[
                ("isolation.tools.hgfs.disable", "FALSE"),
                ("sharedFolder.maxNum", "1"),
                ("sharedFolder0.present", "TRUE"),
                ("sharedFolder0.enabled", "TRUE"),
                ("sharedFolder0.writeAccess", "TRUE"),
                ("sharedFolder0.hostPath", "OUT"),
                ("sharedFolder0.guestName", "|1B[2J"),
            ],
        ),
    ]
}
