//! A library as VMware leaves it on a Windows machine of some country, copied here.
//!
//! Texts are encoded by a table written by hand, so that no library of ours has the last word.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use replix::Vm;
use replix::format::SnapshotFiles;
use replix::store::Local;
use replix::vm::{Env, Settings};
use replix_testkit::{Content, DiskType, folder, peer, qemu_img, qemu_io};

use crate::vms::{SMALL, disks, host};

/// How a Windows of some country writes: the set, and names in it.
pub struct Country {
    pub charset: &'static str,
    pub library: &'static str,
    pub parent: &'static str,
    pub clone: &'static str,
    pub disk: &'static str,
    pub disk_type: DiskType,
}

pub const CHINA: Country = Country {
    charset: "GBK",
    library: "虚拟机",
    parent: "基础",
    clone: "克隆",
    // The second byte of the first is a backslash, that of the second a bar.
    disk: "乗亅盘",
    disk_type: DiskType::TwoGbMaxExtentSparse,
};

pub const JAPAN: Country = Country {
    charset: "Shift_JIS",
    library: "仮想",
    parent: "表",
    clone: "ソリ",
    disk: "ポリ",
    disk_type: DiskType::MonolithicSparse,
};

pub const EUROPE: Country = Country {
    charset: "windows-1252",
    library: "Gerät",
    parent: "Café",
    clone: "Grün €",
    disk: "Plätte",
    disk_type: DiskType::TwoGbMaxExtentSparse,
};

pub const ANYWHERE: Country = Country {
    charset: "UTF-8",
    library: "虚拟 Gerät",
    parent: "表",
    clone: "Ж😀",
    disk: "한 disk",
    disk_type: DiskType::MonolithicSparse,
};

pub const COUNTRIES: [Country; 4] = [CHINA, JAPAN, EUROPE, ANYWHERE];

/// What the tables of the sets say.
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
    pub fn encode(&self, text: &str) -> Vec<u8> {
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
    pub fn windows(&self, vm: &str, file: &str) -> String {
        format!("D:\\{}\\{vm}\\{file}", self.library)
    }
}

/// The library as it lies here: a VM with two snapshots, and a linked clone of the second.
pub struct Copied {
    root: tempfile::TempDir,
    pub country: Country,
}

impl Copied {
    pub fn new(country: Country) -> Self {
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

    pub fn path(&self, vm: &str, file: &str) -> PathBuf {
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
            write(state.clone(), files.to_bytes(&[]));
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

    pub fn library(&self) -> PathBuf {
        self.root.path().join("copied")
    }

    pub fn parent(&self) -> Vm {
        let name = self.country.parent;
        host()
            .open(self.path(name, &format!("{name}.vmx")))
            .unwrap()
    }

    pub fn linked(&self) -> Vm {
        let name = self.country.clone;
        host()
            .open(self.path(name, &format!("{name}.vmx")))
            .unwrap()
    }

    /// Asserts that a VM's disk reads as that one read on Windows, through our reader.
    pub fn assert_reads(&self, vm: &Vm, as_disk: &str) {
        let expected = fs::read(self.stage(&format!("{as_disk}.raw"))).unwrap();
        assert!(
            read(vm) == expected,
            "{}: {:?} is not {as_disk}",
            self.country.charset,
            vm.path()
        );
    }

    /// Asserts the same of a disk with a single link, `qemu-img` being the judge.
    pub fn assert_copy(&self, vm: &Vm, as_disk: &str) {
        self.assert_reads(vm, as_disk);
        let raw = self.stage(&format!("{as_disk}.raw"));
        let disk = &disks(vm)[0];
        let judge = |words: &str, files: &[&PathBuf]| {
            let words = words.split(' ').map(OsString::from);
            let files = files.iter().map(|file| file.as_os_str().to_owned());
            peer("qemu-img", words.chain(files)).status.success()
        };
        assert!(judge("compare -f vmdk -F raw", &[disk, &raw]), "{disk:?}");
        assert!(judge("check -f vmdk", &[disk]), "{disk:?}");
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
