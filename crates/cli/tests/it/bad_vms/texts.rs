//! Configurations, bookkeeping, states and locks that are not what they should be.

use std::fmt::Write as _;
use std::fs;

use super::world::World;
use super::{Case, case};

pub fn cases() -> Vec<Case> {
    let config = configurations().into_iter().chain(values());
    let met = |cases: Vec<Case>, steps| cases.into_iter().map(move |case| case.met_by(steps));
    config
        .map(|case| case.met_by(&["info", "full clone", "linked clone"]))
        .chain(met(bookkeeping(), &["info", "clone of s", "revert"]))
        .chain(met(states(), &["info", "revert", "delete"]))
        .chain(met(locks(), &["info", "full clone", "snapshot"]))
        .collect()
}

/// Lines of text, many of them.
fn many(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |text, n| text + &line(n) + "\n")
}

fn configurations() -> Vec<Case> {
    let text = |name: &str, bytes: &'static [u8]| {
        case(format!("configuration: {name}"), move |world| {
            world.write("evil.vmx", bytes);
        })
    };
    let added = |name: &str, bytes: fn() -> Vec<u8>| {
        case(format!("configuration: {name}"), move |world| {
            world.add(&bytes());
        })
    };
    vec![
        text("empty", b""),
        text("one quote", b"\""),
        text("nothing but NULs", &[0; 4096]),
        text("no text", b"\x7fELF\x01\x02\x03\xff\xfe\xfd"),
        text("a disk", b"KDMV\x01\0\0\0 = \"x\"\n"),
        text(
            "an encoding that does not exist",
            b".encoding = \"klingon|1B[2J\"\nmemsize = \"4\"\n",
        ),
        text(
            "UTF-16",
            b"\xff\xfem\0e\0m\0s\0i\0z\0e\0 \0=\0 \0\"\x004\0\"\0\n\0",
        ),
        text(
            "one that only includes itself",
            b"config.include = \"evil.vmx\"\n",
        ),
        case("configuration: 1 TiB", |world| {
            world.grow("evil.vmx", 1 << 40);
        }),
        added("a million lines", || {
            many(1_000_000, |n| format!("x{n} = \"\"")).into_bytes()
        }),
        added("a hundred thousand devices", || {
            many(100_000, |n| format!("ethernet{n}.present = \"TRUE\"")).into_bytes()
        }),
        added("ten thousand disks", || {
            let disk = |n: usize| {
                let node = format!("scsi{}:{}", n / 250, n % 250);
                format!("{node}.present = \"TRUE\"\n{node}.fileName = \"{n}.vmdk\"")
            };
            many(10_000, disk).into_bytes()
        }),
        added("a line of four megabytes", || {
            format!("annotation = \"{}\"\n", "x".repeat(4 << 20)).into_bytes()
        }),
        added("a name of a hundred kilobytes", || {
            format!("{} = \"x\"\n", "n".repeat(100 << 10)).into_bytes()
        }),
        added("a key twice, with two disks", || {
            b"scsi0:0.fileName = \"../victim/victim.vmdk\"\n".to_vec()
        }),
        added("bytes that are no UTF-8", || {
            b"displayName = \"\xff\xfe\x80\"\nannotation = \"\xc3\x28\"\n".to_vec()
        }),
        added("NULs and bare carriage returns in its midst", || {
            b"a = \"\0\"\r\rb\0 = \"x\"\n\0\0\n".to_vec()
        }),
        added("encryption that is made up", || {
            b"encryption.keySafe = \"vmware:key/list/\"\nencryption.data = \"AAAA\"\n".to_vec()
        }),
    ]
}

fn values() -> Vec<Case> {
    let set = |name: &str, lines: &'static [(&str, &str)]| {
        case(format!("values: {name}"), move |world| {
            lines.iter().for_each(|(key, value)| world.set(key, value));
        })
    };
    vec![
        set(
            "escapes of a terminal in every name",
            &[
                ("displayName", "a|1B]0;owned|07|0A|0Db|1B[2J"),
                ("annotation", "|1B[31m"),
                ("guestOS", "|1B[31m"),
                ("ethernet0.present", "TRUE"),
                ("ethernet0.addressType", "static"),
                ("ethernet0.address", "|1B[31m"),
                ("ethernet0.vnet", "/|1B[31m"),
                ("ethernet0.connectionType", "custom"),
                ("firmware", "|1B[31m"),
                ("checkpoint.vmState", "|1B[31m.vmss"),
                ("x|1B", "x"),
            ],
        ),
        set(
            "C1 controls, and text that runs backwards",
            &[("displayName", "\u{9b}2J\u{202e}xmv.\u{200b}")],
        ),
        set("memory of 2^63 MiB", &[("memsize", "9223372036854775808")]),
        set("memory of -1", &[("memsize", "-1")]),
        set(
            "4 milliard processors",
            &[("numvcpus", "4294967295"), ("cpuid.coresPerSocket", "0")],
        ),
        set(
            "a hardware version of 2^64",
            &[("virtualHW.version", "18446744073709551616")],
        ),
        set(
            "addresses that are none",
            &[
                ("ethernet0.present", "TRUE"),
                ("ethernet0.addressType", "static"),
                ("ethernet0.address", "00:50:56:ff:ff:ff:ff:ff"),
                ("uuid.bios", "zz zz"),
                ("uuid.location", ""),
            ],
        ),
        case("values: ninety thousand folders to search", |world| {
            let folders: String = (0..90_000).fold(String::new(), |mut text, n| {
                let _ = write!(text, "D:\\a\\{n};");
                text
            });
            world.set("fileSearchPath", &folders);
            world.set("scsi0:0.fileName", "D:\\none\\none.vmdk");
        }),
        set(
            "search everywhere",
            &[
                ("fileSearchPath", "/;..;OUT;../victim;/proc/self/fd;/dev"),
                ("scsi0:0.fileName", "D:\\none\\secret.vmdk"),
            ],
        ),
    ]
}

fn bookkeeping() -> Vec<Case> {
    let book = |name: &str, old: &'static str, new: &'static str| {
        case(format!("bookkeeping: {name}"), move |world| {
            world.book(old, new);
        })
    };
    let text = |name: &str, text: fn() -> String| {
        case(format!("bookkeeping: {name}"), move |world| {
            world.write("evil.vmsd", text());
        })
    };
    const UID: &str = "snapshot0.uid = \"1\"";
    const FILE: &str = "\"evil-Snapshot1.vmsn\"";
    const DISK: &str = "snapshot0.disk0.fileName = \"evil.vmdk\"";
    let mut cases = vec![
        book(
            "a snapshot that is its own parent",
            UID,
            "snapshot0.uid = \"1\"\nsnapshot0.parent = \"1\"",
        ),
        book(
            "two snapshots that descend from each other",
            "snapshot.numSnapshots = \"1\"",
            "snapshot.numSnapshots = \"2\"\nsnapshot0.parent = \"2\"\nsnapshot1.uid = \"2\"\nsnapshot1.parent = \"1\"\n\
             snapshot1.displayName = \"r\"\nsnapshot1.filename = \"r.vmsn\"\nsnapshot1.numDisks = \"0\"",
        ),
        book(
            "a parent that does not exist",
            UID,
            "snapshot0.uid = \"1\"\nsnapshot0.parent = \"77\"",
        ),
        book("number 0", UID, "snapshot0.uid = \"0\""),
        book("a number of 2^32", UID, "snapshot0.uid = \"4294967296\""),
        book(
            "the last number there is",
            "snapshot.lastUID = \"1\"",
            "snapshot.lastUID = \"4294967295\"",
        ),
        book(
            "4 milliard snapshots",
            "snapshot.numSnapshots = \"1\"",
            "snapshot.numSnapshots = \"4294967295\"",
        ),
        book(
            "4 milliard disks",
            "snapshot0.numDisks = \"1\"",
            "snapshot0.numDisks = \"4294967295\"",
        ),
        book(
            "one that stands at none",
            "snapshot.current = \"1\"",
            "snapshot.current = \"9\"",
        ),
        book(
            "escapes in names",
            "snapshot0.displayName = \"s\"",
            "snapshot0.displayName = \"|1B[31ms|0A\"\nsnapshot0.description = \"|1B[2J\"\nsnapshot0.clone0 = \"/x|0A|1B[2J/c.vmx\"",
        ),
        book(
            "clones that are others' files",
            "snapshot0.displayName = \"s\"",
            "snapshot0.displayName = \"s\"\nsnapshot0.numClones = \"4\"\nsnapshot0.clone0 = \"OUT/secret.vmx\"\n\
             snapshot0.clone1 = \"/dev/zero\"\nsnapshot0.clone2 = \"pipe\"\nsnapshot0.clone3 = \"../victim/victim.vmx\"",
        ),
        case("bookkeeping: it is a clone of somebody else's", |world| {
            world.edit("evil.vmsd", |text| {
                text + "cloneOf0 = \"OUT/secret.vmx\"\nnumCloneOf = \"1\"\nsentinel0 = \"OUT/secret.vmdk\"\n"
            });
        }),
        case("bookkeeping: a thousand clones that are gone", |world| {
            world.edit("evil.vmsd", |text| {
                text + &many(1000, |n| format!("snapshot0.clone{n} = \"/x{n}/y/z.vmx\""))
            });
        }),
        text("a hundred thousand snapshots", || {
            let head = "snapshot.lastUID = \"100000\"\nsnapshot.numSnapshots = \"100000\"\nsnapshot.current = \"100000\"\n";
            let entry = |n: usize| {
                let name = format!("snapshot{n}");
                let uid = n + 1;
                let parent = match n {
                    0 => String::new(),
                    n => format!("{name}.parent = \"{n}\"\n"),
                };
                format!(
                    "{name}.uid = \"{uid}\"\n{parent}{name}.filename = \"e{n}.vmsn\"\n\
                     {name}.displayName = \"n{n}\"\n{name}.numDisks = \"1\"\n\
                     {name}.disk0.fileName = \"evil.vmdk\"\n{name}.disk0.node = \"scsi0:0\""
                )
            };
            head.to_owned() + &many(100_000, entry)
        }),
        text("no text", || "\0\u{1}\u{2}KDMV".into()),
        text("one quote", || "snapshot0.uid = \"".into()),
        case("bookkeeping: 1 TiB", |world| {
            world.grow("evil.vmsd", 1 << 40);
        }),
    ];
    for name in [
        "../victim/victim-Snapshot1.vmsn",
        "OUT/secret-Snapshot1.vmsn",
        "/etc/passwd",
        "pipe",
        "zero.vmdk",
        "..",
        "",
    ] {
        cases.push(case(format!("state of a snapshot: {name}"), move |world| {
            world.book(FILE, &format!("\"{name}\""));
        }));
    }
    for name in [
        "../victim/victim.vmdk",
        "OUT/secret.vmdk",
        "link.vmdk",
        "/dev/zero",
        "pipe",
        "evil.nvram",
    ] {
        cases.push(case(format!("disk of a snapshot: {name}"), move |world| {
            world.book(DISK, &format!("snapshot0.disk0.fileName = \"{name}\""));
        }));
    }
    cases
}

fn states() -> Vec<Case> {
    let state = |name: &str, bytes: fn() -> Vec<u8>| {
        case(format!("state: {name}"), move |world| {
            world.write("evil-Snapshot1.vmsn", bytes());
        })
    };
    // A head, then groups of 80 bytes each: name, offset, size.
    let suspended = |name: &str, head: &'static str| {
        case(format!("suspended: {name}"), move |world| {
            let mut bytes = head.as_bytes().to_vec();
            bytes.resize(64 << 10, 0);
            world.write("evil-1.replixstate", bytes);
            world.set("checkpoint.vmState", "evil-1.replixstate");
        })
    };
    vec![
        state("empty", Vec::new),
        state("junk", || b"\xd2\xbe\xd2\xbe".repeat(1000)),
        state("groups without end", || {
            [
                &b"\xd2\xbe\xd2\xbe\x08\0\0\0\xff\xff\xff\xff"[..],
                &[0xff; 4096],
            ]
            .concat()
        }),
        state("groups at 2^63", || {
            let mut bytes = b"\xd2\xbe\xd2\xbe\x08\0\0\0\x02\0\0\0".to_vec();
            for name in ["Snapshot", "GuestVars"] {
                let mut group = name.as_bytes().to_vec();
                group.resize(64, 0);
                group.extend((1_u64 << 63).to_le_bytes());
                group.extend(u64::MAX.to_le_bytes());
                bytes.extend(group);
            }
            bytes
        }),
        case("state: cut off", |world| {
            let bytes = world.read("evil-Snapshot1.vmsn");
            world.write("evil-Snapshot1.vmsn", &bytes[..bytes.len() / 2]);
        }),
        case("state: each of its bytes turned round", |world| {
            let bytes = world.read("evil-Snapshot1.vmsn").into_iter();
            world.write(
                "evil-Snapshot1.vmsn",
                bytes.map(|byte| !byte).collect::<Vec<_>>(),
            );
        }),
        case("state: 1 TiB", |world| {
            world.grow("evil-Snapshot1.vmsn", 1 << 40);
        }),
        case("nvram of 1 TiB", |world| world.grow("evil.nvram", 1 << 40)),
        case("nvram of junk", |world| {
            world.write("evil.nvram", b"MRVN\xff\xff\xff\xff".repeat(500));
        }),
        case("vmxf of 1 TiB", |world| world.grow("evil.vmxf", 1 << 40)),
        case("vmxf that is a bomb of entities", |world| {
            let entities = many(20, |n| {
                format!("<!ENTITY e{} \"{}\">", n + 1, format!("&e{n};").repeat(20))
            });
            world.write(
                "evil.vmxf",
                format!("<!DOCTYPE x [<!ENTITY e0 \"x\">{entities}]><Foundry>&e20;</Foundry>"),
            );
        }),
        suspended("to junk", "replix memory 1\n\u{1b}[2J"),
        suspended(
            "to numbers that are too large",
            "replix memory 2\n{\"qemu\":\"x\",\"machine\":\"x\",\"accelerator\":\"tcg\",\"paused\":false,\"disks\":[[\"scsi0:0\",99999999999]],\"ram\":18446744073709551616}\n",
        ),
        suspended(
            "to a memory of 2^63",
            "replix memory 2\n{\"qemu\":\"x\",\"machine\":\"x\",\"accelerator\":\"tcg\",\"paused\":false,\"disks\":[],\"ram\":9223372036854775808}\n",
        ),
        suspended(
            "to braces without end",
            "replix memory 2\n[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
        ),
        case("suspended: in VMware, to 1 TiB", |world| {
            world.grow("evil.vmss", 1 << 40);
            world.set("checkpoint.vmState", "evil.vmss");
        }),
    ]
}

fn locks() -> Vec<Case> {
    fn folder(world: &World, file: &str) -> std::path::PathBuf {
        let folder = world.evil(&format!("{file}.lck"));
        fs::create_dir(&folder).unwrap();
        folder
    }
    let member = |name: &str, text: &'static [u8]| {
        case(format!("lock: {name}"), move |world| {
            fs::write(folder(world, "evil.vmx").join("M12345.lck"), text).unwrap();
        })
    };
    vec![
        member("junk", b"\xff\xfe\0\x1b[2J"),
        member("escapes in the program's name", b"uuid=00-11-22-33-44-55-66-77-88-99-aa-bb-cc-dd-ee-ff 12-34(\x1b[2J\x07evil) 1 X 34 lc=1 "),
        member("numbers that are too large", b"uuid=00 99999999999999999999-99999999999999999999999(x) 99999999999999999999 X 1 "),
        case("lock: a thousand members", |world| {
            let folder = folder(world, "evil.vmx");
            for n in 0..1000 {
                fs::write(folder.join(format!("M{n:05}.lck")), "junk").unwrap();
            }
        }),
        case("lock: a member of 1 TiB", |world| {
            let file = fs::File::create(folder(world, "evil.vmx").join("M00001.lck"));
            file.unwrap().set_len(1 << 40).unwrap();
        }),
        case("lock: a pipe, a link and folders for members", |world| {
            let folder = folder(world, "evil.vmx");
            fs::rename(world.evil("pipe"), folder.join("M00001.lck")).unwrap();
            std::os::unix::fs::symlink(world.outside("secret.vmx"), folder.join("M00002.lck")).unwrap();
            fs::create_dir_all(folder.join("M00003.lck/a/b")).unwrap();
        }),
        case("lock: a file for a folder", |world| world.write("evil.vmx.lck", "x")),
        case("lock: of the disk, somebody is for ever about to enter", |world| {
            fs::create_dir(folder(world, "evil-000001.vmdk").join("D00001.lck")).unwrap();
        }),
    ]
}
