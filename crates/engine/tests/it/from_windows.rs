//! A library that was copied from Windows: paths with drive letters, names in national character
//! sets and in another case than on disk, lines ended by CRLF.
//!
//! QEMU cannot follow a parent at `D:\`: such chains are compared through our own reader, and their
//! full clones by `qemu-img`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use replix::clone::{CloneKind, CloneSpec, DeleteSpec, Lineage, LineageNode};
use replix::format::SnapshotFiles;
use replix::snapshot::SnapshotRef;
use replix::store::Local;
use replix::vm::{Env, Settings};
use replix::{Kind, Vm};
use replix_testkit::{Content, DiskType, folder, peer, qemu_img, qemu_io, tree_of};

use crate::vms::*;

/// How a Windows of some country writes: the set, and names in it.
struct Country {
    charset: &'static str,
    library: &'static str,
    parent: &'static str,
    clone: &'static str,
    disk: &'static str,
    disk_type: DiskType,
}

const CHINA: Country = Country {
    charset: "GBK",
    library: "虚拟机",
    parent: "基础",
    clone: "克隆",
    // The second byte of the first is a backslash, that of the second a bar.
    disk: "乗亅盘",
    disk_type: DiskType::TwoGbMaxExtentSparse,
};

const JAPAN: Country = Country {
    charset: "Shift_JIS",
    library: "仮想",
    parent: "表",
    clone: "ソリ",
    disk: "ポリ",
    disk_type: DiskType::MonolithicSparse,
};

const EUROPE: Country = Country {
    charset: "windows-1252",
    library: "Gerät",
    parent: "Café",
    clone: "Grün €",
    disk: "Plätte",
    disk_type: DiskType::TwoGbMaxExtentSparse,
};

const ANYWHERE: Country = Country {
    charset: "UTF-8",
    library: "虚拟 Gerät",
    parent: "表",
    clone: "Ж😀",
    disk: "한 disk",
    disk_type: DiskType::MonolithicSparse,
};

const COUNTRIES: [Country; 4] = [CHINA, JAPAN, EUROPE, ANYWHERE];

/// What the tables of the sets say; by hand, so that no library of ours has the last word.
const BYTES: [(&str, char, &[u8]); 24] = [
    ("GBK", '虚', b"\xd0\xe9"),
    ("GBK", '拟', b"\xc4\xe2"),
    ("GBK", '机', b"\xbb\xfa"),
    ("GBK", '基', b"\xbb\xf9"),
    ("GBK", '础', b"\xb4\xa1"),
    ("GBK", '克', b"\xbf\xcb"),
    ("GBK", '隆', b"\xc2\xa1"),
    ("GBK", '乗', b"\x81\\"),
    ("GBK", '亅', b"\x81|"),
    ("GBK", '盘', b"\xc5\xcc"),
    ("Shift_JIS", '仮', b"\x89\xbc"),
    ("Shift_JIS", '想', b"\x91\x7a"),
    ("Shift_JIS", '表', b"\x95\\"),
    ("Shift_JIS", 'ソ', b"\x83\\"),
    ("Shift_JIS", 'リ', b"\x83\x8a"),
    ("Shift_JIS", 'ポ', b"\x83|"),
    ("windows-1252", 'ä', b"\xe4"),
    ("windows-1252", 'é', b"\xe9"),
    ("windows-1252", 'ü', b"\xfc"),
    ("windows-1252", '€', b"\x80"),
    ("windows-1252", 'Ä', b"\xc4"),
    ("windows-1252", 'É', b"\xc9"),
    ("windows-1252", 'Ü', b"\xdc"),
    ("windows-1252", 'ö', b"\xf6"),
];

impl Country {
    fn encode(&self, text: &str) -> Vec<u8> {
        if self.charset == "UTF-8" {
            return text.into();
        }
        let mut bytes = Vec::new();
        for c in text.chars() {
            let known = BYTES
                .iter()
                .find(|(set, of, _)| *set == self.charset && *of == c);
            match known {
                Some((_, _, two)) => bytes.extend(*two),
                None if c.is_ascii() => bytes.push(c as u8),
                None => panic!("{c} is not in the table of {}", self.charset),
            }
        }
        bytes
    }

    fn dictionary(&self, lines: &[(&str, String)], end: &str) -> Vec<u8> {
        let mut text = format!(".encoding = \"{}\"{end}", self.charset);
        for (name, value) in lines {
            text += &format!("{name} = \"{value}\"{end}");
        }
        self.encode(&text)
    }

    /// The path that a file of a VM had on Windows.
    fn windows(&self, vm: &str, file: &str) -> String {
        format!("D:\\{}\\{vm}\\{file}", self.library)
    }
}

/// The library as it lies here: a VM with two snapshots, and a linked clone of the second.
struct Copied {
    root: tempfile::TempDir,
    country: Country,
}

impl Copied {
    fn new(country: Country) -> Self {
        let copied = Self {
            root: folder(),
            country,
        };
        copied.make_contents();
        let Country {
            parent,
            clone,
            disk,
            ..
        } = &copied.country;
        let here = copied
            .country
            .windows(parent, &format!("{disk}-000001.vmdk"));
        let bare = |number: &str| format!("{disk}{number}.vmdk");
        copied.bring("base", parent, &bare(""), None);
        copied.bring("base-000001", parent, &bare("-000001"), Some(bare("")));
        copied.bring(
            "base-000002",
            parent,
            &bare("-000002"),
            Some(bare("-000001")),
        );
        copied.bring("base-cl1", clone, &bare("-cl1"), Some(here));
        copied.write_parent();
        copied.write_clone();
        copied
    }

    fn path(&self, vm: &str, file: &str) -> PathBuf {
        self.root.path().join("copied").join(vm).join(file)
    }

    fn stage(&self, name: &str) -> PathBuf {
        self.root.path().join("windows").join(name)
    }

    /// Makes the disks where QEMU can follow them, and keeps what each holds.
    fn make_contents(&self) {
        for dir in ["windows", "copied"] {
            fs::create_dir(self.root.path().join(dir)).unwrap();
        }
        for vm in [self.country.parent, self.country.clone] {
            fs::create_dir(self.path(vm, "")).unwrap();
        }
        let option = format!(
            "subformat={},adapter_type=lsilogic",
            self.country.disk_type.word()
        );
        let raw = self.stage("raw");
        Content::Mixed(7).write_raw(&raw, SMALL);
        let base = self.stage("base.vmdk");
        qemu_img([
            "convert".as_ref(),
            "-O".as_ref(),
            "vmdk".as_ref(),
            "-o".as_ref(),
            option.as_ref(),
            raw.as_os_str(),
            base.as_os_str(),
        ]);
        for (parent, child, pattern) in [
            ("base", "base-000001", "1 64k"),
            ("base-000001", "base-000002", "2 192k"),
            ("base-000001", "base-cl1", "3 320k"),
        ] {
            let path = self.stage(&format!("{child}.vmdk"));
            let parent = format!("{parent}.vmdk");
            qemu_img([
                "create",
                "-q",
                "-f",
                "vmdk",
                "-o",
                &option,
                "-F",
                "vmdk",
                "-b",
                &parent,
                path.to_str().unwrap(),
            ]);
            qemu_io(&path, &format!("write -P {pattern} 96k"));
        }
        for disk in ["base", "base-000001", "base-000002", "base-cl1"] {
            let (from, to) = (
                self.stage(&format!("{disk}.vmdk")),
                self.stage(&format!("{disk}.raw")),
            );
            qemu_img([
                "convert".as_ref(),
                "-O".as_ref(),
                "raw".as_ref(),
                from.as_os_str(),
                to.as_os_str(),
            ]);
        }
    }

    /// Puts a disk into a VM's folder as VMware on Windows would have written it; the names on disk
    /// are in another case than those in the text.
    fn bring(&self, from: &str, vm: &str, to: &str, hint: Option<String>) {
        let stem = to.strip_suffix(".vmdk").unwrap();
        let on_disk = |name: String| self.path(vm, &name.to_uppercase());
        let descriptor = self.stage(&format!("{from}.vmdk"));
        let extent = self.stage(&format!("{from}-s001.vmdk"));
        let embedded = !extent.exists();
        let bytes = fs::read(&descriptor).unwrap();
        let text = match embedded {
            true => bytes[512..].split(|byte| *byte == 0).next().unwrap(),
            false => &bytes,
        };
        let mut text = String::from_utf8(text.to_vec()).unwrap();
        text = text.replace(&format!("\"{from}.vmdk\""), &format!("\"{to}\""));
        text = text.replace(
            &format!("\"{from}-s001.vmdk\""),
            &format!("\"{stem}-s001.vmdk\""),
        );
        text = text.replace(
            "version=1\n",
            &format!("version=1\nencoding=\"{}\"\n", self.country.charset),
        );
        if let Some(hint) = hint {
            let (head, rest) = text.split_once("parentFileNameHint=\"").unwrap();
            let (_, tail) = rest.split_once('"').unwrap();
            text = format!("{head}parentFileNameHint=\"{hint}\"{tail}");
        }
        let text = self.country.encode(&text);
        if embedded {
            let mut bytes = bytes;
            bytes[512..21 * 512].fill(0);
            bytes[512..512 + text.len()].copy_from_slice(&text);
            fs::write(on_disk(to.into()), bytes).unwrap();
        } else {
            fs::write(on_disk(to.into()), text).unwrap();
            fs::copy(extent, on_disk(format!("{stem}-s001.vmdk"))).unwrap();
        }
    }

    fn config(&self, name: &str, disk: &str) -> Vec<(&'static str, String)> {
        let lines = [
            ("config.version", "8"),
            ("virtualHW.version", "18"),
            ("guestOS", "windows9-64"),
            ("memsize", "64"),
            ("scsi0.present", "TRUE"),
            ("scsi0:0.present", "TRUE"),
            ("sata0:1.present", "TRUE"),
            ("sata0:1.deviceType", "cdrom-image"),
            ("sata0:1.fileName", "E:\\isos\\win.iso"),
            ("serial0.present", "TRUE"),
            ("serial0.fileType", "pipe"),
            ("serial0.fileName", "\\\\.\\pipe\\x"),
            (
                "uuid.bios",
                "56 4d 01 02 03 04 05 06-07 08 09 0a 0b 0c 0d 0e",
            ),
            (
                "uuid.location",
                "56 4d 01 02 03 04 05 06-07 08 09 0a 0b 0c 0d 0e",
            ),
        ];
        let mut lines = lines.map(|(key, value)| (key, value.to_owned())).to_vec();
        lines.push(("displayName", name.to_owned()));
        lines.push(("nvram", format!("{name}.nvram")));
        lines.push(("extendedConfigFile", format!("{name}.vmxf")));
        lines.push(("scsi0:0.fileName", disk.to_owned()));
        lines
    }

    fn write_parent(&self) {
        let Country {
            parent,
            clone,
            disk,
            library,
            ..
        } = &self.country;
        let write =
            |name: String, bytes: Vec<u8>| fs::write(self.path(parent, &name), bytes).unwrap();
        let present = self.config(parent, &format!("{disk}-000002.vmdk"));
        write(
            format!("{parent}.vmx"),
            self.country.dictionary(&present, "\r\n"),
        );
        write(
            format!("{}.NVRAM", parent.to_uppercase()),
            b"MRVN now".to_vec(),
        );
        let mut vmsd = vec![
            ("snapshot.lastUID", "2".into()),
            ("snapshot.current", "2".into()),
        ];
        for (uid, number, keys) in [
            (
                "1",
                "",
                [
                    "snapshot0.uid",
                    "snapshot0.filename",
                    "snapshot0.displayName",
                    "snapshot0.numDisks",
                    "snapshot0.disk0.fileName",
                    "snapshot0.disk0.node",
                ],
            ),
            (
                "2",
                "-000001",
                [
                    "snapshot1.uid",
                    "snapshot1.filename",
                    "snapshot1.displayName",
                    "snapshot1.numDisks",
                    "snapshot1.disk0.fileName",
                    "snapshot1.disk0.node",
                ],
            ),
        ] {
            let frozen = format!("{disk}{number}.vmdk");
            let state = format!("{parent}-Snapshot{uid}.vmsn");
            let files = SnapshotFiles {
                config: self.country.dictionary(&self.config(parent, &frozen), "\n"),
                nvram: Some(format!("MRVN {uid}").into_bytes()),
                extended_config: None,
            };
            write(state.clone(), files.to_bytes());
            let values = [
                uid.into(),
                state,
                format!("{library} {uid}"),
                "1".into(),
                frozen,
                "scsi0:0".into(),
            ];
            vmsd.extend(keys.into_iter().zip(values));
        }
        vmsd.push(("snapshot1.parent", "1".into()));
        vmsd.push((
            "snapshot1.clone0",
            self.country.windows(clone, &format!("{clone}.vmx")),
        ));
        vmsd.push(("snapshot1.numClones", "1".into()));
        vmsd.push(("snapshot.numSnapshots", "2".into()));
        write(
            format!("{parent}.VMSD"),
            self.country.dictionary(&vmsd, "\r\n"),
        );
    }

    fn write_clone(&self) {
        let Country {
            parent,
            clone,
            disk,
            library,
            ..
        } = &self.country;
        let write =
            |name: String, bytes: Vec<u8>| fs::write(self.path(clone, &name), bytes).unwrap();
        let mut config = self.config(clone, &format!("{disk}-cl1.vmdk"));
        config.push(("fileSearchPath", format!(".;D:\\{library}\\{parent}")));
        write(
            format!("{clone}.vmx"),
            self.country.dictionary(&config, "\r\n"),
        );
        let vmsd = [
            (
                "cloneOf0",
                self.country.windows(parent, &format!("{parent}.vmx")),
            ),
            ("numCloneOf", "1".into()),
            ("sentinel0", format!("{disk}-cl1.vmdk")),
            ("numSentinels", "1".into()),
        ];
        write(
            format!("{clone}.vmsd"),
            self.country.dictionary(&vmsd, "\r\n"),
        );
    }

    fn library(&self) -> PathBuf {
        self.root.path().join("copied")
    }

    fn parent(&self) -> Vm {
        let name = self.country.parent;
        host()
            .open(self.path(name, &format!("{name}.vmx")))
            .unwrap()
    }

    fn linked(&self) -> Vm {
        let name = self.country.clone;
        host()
            .open(self.path(name, &format!("{name}.vmx")))
            .unwrap()
    }

    /// Asserts that a VM's disk reads as that one read on Windows, through our reader.
    fn assert_reads(&self, vm: &Vm, as_disk: &str) {
        let expected = fs::read(self.stage(&format!("{as_disk}.raw"))).unwrap();
        assert!(
            read(vm) == expected,
            "{}: {:?} is not {as_disk}",
            self.country.charset,
            vm.path()
        );
    }

    /// Asserts the same of a disk with a single link, `qemu-img` being the judge.
    fn assert_copy(&self, vm: &Vm, as_disk: &str) {
        self.assert_reads(vm, as_disk);
        let raw = self.stage(&format!("{as_disk}.raw"));
        let disk = &disks(vm)[0];
        let args = [
            "compare",
            "-f",
            "vmdk",
            "-F",
            "raw",
            disk.to_str().unwrap(),
            raw.to_str().unwrap(),
        ];
        assert!(peer("qemu-img", args).status.success(), "{disk:?}");
        let check = peer("qemu-img", ["check", "-f", "vmdk", disk.to_str().unwrap()]);
        assert!(check.status.success());
        assert_eq!(vm.info().unwrap().disks[0].depth, 1);
    }
}

/// What the guest sees on the first disk.
fn read(vm: &Vm) -> Vec<u8> {
    let env = Env {
        store: Arc::new(Local),
        settings: Settings::default(),
    };
    let opened = env.open(vm.path()).unwrap();
    let slot = &opened.config.disks()[0];
    let chain = env.disk(&opened, &slot.file_name).unwrap();
    let mut bytes = vec![0; chain.capacity_bytes() as usize];
    chain.read(&mut bytes, 0).unwrap();
    bytes
}

fn spec(kind: CloneKind, library: &Path, name: &str, snapshot: Option<u32>) -> CloneSpec {
    CloneSpec {
        snapshot: snapshot.map(SnapshotRef::Uid),
        ..CloneSpec::new(kind, vmx(library, name))
    }
}

fn delete(vm: &Vm) -> replix::Result<()> {
    let all = DeleteSpec {
        disks: true,
        force: false,
    };
    vm.delete(all).wait()
}

fn vms_in(lineage: &Lineage) -> Vec<(PathBuf, bool)> {
    let mut found = Vec::new();
    if let LineageNode::Vm {
        path,
        found: is_here,
        ..
    } = &lineage.node
    {
        found.push((path.clone(), *is_here));
    }
    found.extend(lineage.children.iter().flat_map(vms_in));
    found
}

#[test]
fn info_names_what_is_odd_with_its_cure() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let Country {
            parent,
            clone,
            disk,
            library,
            ..
        } = &copied.country;
        let info = copied.parent().info().unwrap();
        eprintln!("{:#?}", info.warnings);
        assert_eq!(info.display_name, *parent);
        assert_eq!(info.disks[0].file_name, format!("{disk}-000002.vmdk"));
        assert_eq!((info.disks[0].depth, &info.disks[0].problem), (3, &None));
        assert_eq!(info.current_snapshot, Some(format!("{library} 2")));
        assert_eq!(
            info.clones,
            [copied.country.windows(clone, &format!("{clone}.vmx"))]
        );
        let said = |what: &str, cure: &str| {
            let fits = |text: &&String| text.contains(what) && text.contains(cure);
            assert!(
                info.warnings.iter().any(|text| fits(&text)),
                "{what}: {:#?}",
                info.warnings
            );
        };
        said("E:\\isos\\win.iso", "disconnect the drive");
        said("\\\\.\\pipe\\x", "name of Windows");
        let upper = disk.to_uppercase();
        said(&format!("{upper}-000002.VMDK"), "write that there");
        assert!(!info.warnings.iter().any(|text| text.contains('\u{fffd}')));

        let info = copied.linked().info().unwrap();
        eprintln!("{:#?}", info.warnings);
        assert_eq!((info.disks[0].depth, &info.disks[0].problem), (3, &None));
        assert_eq!(
            info.clone_of,
            Some(copied.country.windows(parent, &format!("{parent}.vmx")))
        );
    }
}

#[test]
fn disks_read_as_on_windows() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        copied.assert_reads(&copied.parent(), "base-000002");
        copied.assert_reads(&copied.linked(), "base-cl1");
    }
}

#[test]
fn tree_shows_the_clone() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let parent = copied.parent();
        let lineage = host().provider().lineage(parent.path()).unwrap();
        let clone = copied.linked();
        let expected = [parent.path(), clone.path()].map(|path| (path.to_path_buf(), true));
        assert_eq!(vms_in(&lineage), expected);
    }
}

#[test]
fn full_clones_are_whole() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let (library, parent) = (copied.library(), copied.parent());
        let of_clone = clone(&copied.linked(), CloneKind::Full, &library, "Kopie-克隆");
        copied.assert_copy(&of_clone, "base-cl1");
        for (snapshot, disk) in [
            (None, "base-000002"),
            (Some(2), "base-000001"),
            (Some(1), "base"),
        ] {
            let spec = spec(
                CloneKind::Full,
                &library,
                &format!("copy of {disk}"),
                snapshot,
            );
            let made = parent.clone_to(spec).wait().unwrap();
            copied.assert_copy(&made, disk);
            let info = made.info().unwrap();
            assert_eq!(info.display_name, format!("copy of {disk}"));
            assert_eq!((info.clone_of, info.snapshots), (None, 0));
        }
    }
}

#[test]
fn linked_clones_stand_on_copied_disks() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let (library, parent) = (copied.library(), copied.parent());
        for (snapshot, disk) in [
            (Some(2), "base-000001"),
            (Some(1), "base"),
            (None, "base-000002"),
        ] {
            let spec = spec(CloneKind::Linked, &library, &format!("on {disk}"), snapshot);
            let made = parent.clone_to(spec).wait().unwrap();
            copied.assert_reads(&made, disk);
        }
        let second = clone(&copied.linked(), CloneKind::Linked, &library, "second");
        copied.assert_reads(&second, "base-cl1");
        copied.assert_reads(&copied.linked(), "base-cl1");
        assert_eq!(parent.info().unwrap().clones.len(), 4);
    }
}

#[test]
fn snapshots_come_and_go() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        for (vm, disk) in [
            (copied.parent(), "base-000002"),
            (copied.linked(), "base-cl1"),
        ] {
            let uid = snapshot(&vm, "new 快照");
            copied.assert_reads(&vm, disk);
            vm.revert(SnapshotRef::Uid(uid)).wait().unwrap();
            copied.assert_reads(&vm, disk);
            vm.remove_snapshot(SnapshotRef::Uid(uid), false)
                .wait()
                .unwrap();
            copied.assert_reads(&vm, disk);
            assert_eq!(vm.info().unwrap().disks[0].depth, 3);
        }
        let parent = copied.parent();
        let nvram = format!("{}.NVRAM", copied.country.parent.to_uppercase());
        parent.revert(SnapshotRef::Uid(1)).wait().unwrap();
        copied.assert_reads(&parent, "base");
        let restored = fs::read(copied.path(copied.country.parent, &nvram)).unwrap();
        assert_eq!(restored, b"MRVN 1");
        parent.revert(SnapshotRef::Uid(2)).wait().unwrap();
        copied.assert_reads(&parent, "base-000001");
        let locked = parent
            .remove_snapshot(SnapshotRef::Uid(2), false)
            .wait()
            .unwrap_err();
        assert_eq!(locked.kind(), Kind::SnapshotLocked);
        assert!(locked.to_string().contains("D:\\"), "{locked}");
        parent
            .remove_snapshot(SnapshotRef::Uid(1), false)
            .wait()
            .unwrap();
        copied.assert_reads(&parent, "base-000001");
        copied.assert_reads(&copied.linked(), "base-cl1");
    }
}

#[test]
fn deleted_clone_leaves_its_parents_list() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let Country { parent, clone, .. } = &copied.country;
        let before = tree_of(&copied.library());
        let refused = delete(&copied.parent()).unwrap_err();
        assert_eq!(refused.kind(), Kind::Busy);
        let listed = copied.country.windows(clone, &format!("{clone}.vmx"));
        assert!(refused.to_string().contains(&listed), "{refused}");
        assert_eq!(before, tree_of(&copied.library()));

        delete(&copied.linked()).unwrap();
        assert!(!copied.path(clone, "").exists());
        let mut after = tree_of(&copied.path(parent, ""));
        let vmsd = Path::new(parent).join(format!("{parent}.VMSD"));
        after.insert(format!("{parent}.VMSD").into(), before[&vmsd].clone());
        for (file, hash) in after {
            assert_eq!(before[&Path::new(parent).join(file)], hash);
        }
        assert!(copied.parent().info().unwrap().clones.is_empty());
        copied.assert_reads(&copied.parent(), "base-000002");
        delete(&copied.parent()).unwrap();
        assert_eq!(tree_of(&copied.library()).len(), 0);
    }
}

#[test]
fn texts_keep_their_set_and_their_line_ends() {
    for country in COUNTRIES {
        let copied = Copied::new(country);
        let name = copied.country.parent;
        let vmx = copied.path(name, &format!("{name}.vmx"));
        let vmsd = copied.path(name, &format!("{name}.VMSD"));
        let before = [&vmx, &vmsd].map(|path| fs::read(path).unwrap());
        let uid = snapshot(&copied.parent(), "new");
        for (path, before) in [&vmx, &vmsd].into_iter().zip(before) {
            let after = fs::read(path).unwrap();
            let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
                bytes
                    .split_inclusive(|b| *b == b'\n')
                    .map(<[u8]>::to_vec)
                    .collect()
            };
            let (before, after) = (lines(&before), lines(&after));
            assert!(after.iter().all(|line| line.ends_with(b"\r\n")));
            let changed = before.iter().filter(|line| !after.contains(line)).count();
            assert!(changed <= 3, "{changed} lines of {path:?} changed");
            assert!(
                after.contains(
                    &copied
                        .country
                        .encode(&format!(".encoding = \"{}\"\r\n", copied.country.charset))
                )
            );
        }
        let disk = format!("{}-000003.vmdk", copied.country.disk.to_uppercase());
        let line = copied
            .country
            .encode(&format!("scsi0:0.fileName = \"{disk}\"\r\n"));
        let line = String::from_utf8_lossy(&line).replace("|", "|7C");
        let after = String::from_utf8_lossy(&fs::read(&vmx).unwrap()).into_owned();
        assert!(after.contains(&line), "{after}");
        assert_eq!(uid, 3);
    }
}

#[test]
fn names_beyond_the_set_make_the_text_utf8() {
    for country in [CHINA, JAPAN, EUROPE] {
        let copied = Copied::new(country);
        let name = "Ж한😀 é";
        let made = clone(&copied.parent(), CloneKind::Linked, &copied.library(), name);
        copied.assert_reads(&made, "base-000002");
        assert_eq!(made.info().unwrap().display_name, name);
        let text = fs::read_to_string(made.path()).unwrap();
        assert!(text.starts_with(".encoding = \"UTF-8\"\r\n"), "{text}");

        let info = copied.parent().info().unwrap();
        let clone = copied.country.clone;
        let windows = copied.country.windows(clone, &format!("{clone}.vmx"));
        assert_eq!(
            info.clones,
            [windows, made.path().to_str().unwrap().to_owned()]
        );
        assert_eq!(info.snapshots, 3);
        let lineage = host().provider().lineage(copied.parent().path()).unwrap();
        assert!(vms_in(&lineage).iter().all(|(_, found)| *found));
        delete(&made).unwrap();
        assert_eq!(copied.parent().info().unwrap().clones.len(), 1);
        delete(&copied.linked()).unwrap();
        assert!(copied.parent().info().unwrap().clones.is_empty());
    }
}
