//! Whatever is in a file, reading and writing keeps it; whatever is edited, the rest stays.

use proptest::prelude::*;
use replix::format::{Charset, Dictionary, FrozenDisk, LineEnd, SnapshotEntry, Vmsd};

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_.:]{0,12}"
}

/// Lines of a file: entries in all forms, comments, nonsense.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (name(), "[^\"\\x00-\\x1f]{0,12}").prop_map(|(n, v)| format!("{n} = \"{v}\"")),
        1 => (name(), "[a-z0-9|\\\\]{0,8}").prop_map(|(n, v)| format!("\t{n}={v} # note")),
        1 => Just("# comment".to_string()),
        1 => Just(String::new()),
        1 => "[^\\x00-\\x1f]{0,16}",
    ]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec((line(), prop::bool::ANY), 0..12);
    (lines, prop::bool::ANY).prop_map(|(lines, ended)| {
        let mut text = String::from("first = \"1\"\n");
        for (line, windows) in lines {
            text += &line;
            text += if windows { "\r\n" } else { "\n" };
        }
        if !ended {
            text.pop();
        }
        text.into_bytes()
    })
}

fn charset() -> impl Strategy<Value = Charset> {
    prop::sample::select(vec![
        "UTF-8",
        "windows-1252",
        "windows-1251",
        "windows-1256",
        "GBK",
        "Big5",
        "Shift_JIS",
        "windows-949-2000",
    ])
    .prop_map(|label| Charset::from_label(label).unwrap())
}

proptest! {
    #[test]
    fn anything_read_is_written_back(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(dict) = Dictionary::parse(&bytes) {
            prop_assert_eq!(dict.to_bytes(), bytes);
        }
    }

    #[test]
    fn files_are_written_back(bytes in file()) {
        prop_assert_eq!(Dictionary::parse(&bytes).unwrap().to_bytes(), bytes);
    }

    #[test]
    fn set_value_is_got_and_read_again(
        bytes in file(),
        name in name(),
        value in any::<String>(),
    ) {
        let mut dict = Dictionary::parse(&bytes).unwrap();
        dict.set(&name, &value);
        prop_assert_eq!(dict.get(&name), Some(value.clone()));
        let again = Dictionary::parse(&dict.to_bytes()).unwrap();
        prop_assert_eq!(again.get(&name), Some(value));
    }

    #[test]
    fn edit_leaves_the_other_values_alone(
        bytes in file(),
        name in name(),
        value in any::<String>(),
    ) {
        let mut dict = Dictionary::parse(&bytes).unwrap();
        let others = |dict: &Dictionary| -> Vec<(String, String)> {
            let own = |n: &str| n.eq_ignore_ascii_case(&name) || n == ".encoding";
            dict.iter().filter(|(n, _)| !own(n)).collect()
        };
        let before = others(&dict);
        dict.set(&name, &value);
        prop_assert_eq!(others(&dict), before);
    }

    #[test]
    fn ascii_edit_touches_at_most_its_line(bytes in file(), name in name(), value in "[ -~]{0,9}") {
        let mut dict = Dictionary::parse(&bytes).unwrap();
        let added = !dict.contains(&name);
        dict.set(&name, &value);
        let new = dict.to_bytes();
        let lines = |b: &[u8]| b.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (old, new) = (lines(&bytes), lines(&new));
        if added {
            // The last line may have got its end.
            let same = old.iter().zip(&new).filter(|(a, b)| b.starts_with(a)).count();
            prop_assert_eq!(same, old.len());
        } else {
            let changed = old.iter().zip(&new).filter(|(a, b)| a != b).count();
            prop_assert!(changed <= 1 && old.len() == new.len());
        }
    }

    #[test]
    fn values_survive_in_every_set(
        charset in charset(),
        old in "[\\PC]{0,12}",
        new in any::<String>(),
    ) {
        let mut dict = Dictionary::new(LineEnd::Lf);
        dict.set(".encoding", charset.label());
        let bytes = [dict.to_bytes(), b"old = \"\"\n".to_vec()].concat();
        let mut dict = Dictionary::parse(&bytes).unwrap();
        dict.set("old", &old);
        dict.set("new", &new);
        let again = Dictionary::parse(&dict.to_bytes()).unwrap();
        prop_assert_eq!(again.get("old"), Some(old));
        prop_assert_eq!(again.get("new"), Some(new));
    }
}

/// An edit of the bookkeeping, with numbers that are brought into range when it is done.
#[derive(Clone, Debug)]
enum Edit {
    Add { parent: usize, name: String },
    Remove(usize),
    AddClone(usize, u8),
    RemoveClone(u8),
    Current(usize),
    Touch(usize),
    RenameDisk(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let n = 0..20_usize;
    prop_oneof![
        4 => (n.clone(), any::<String>()).prop_map(|(parent, name)| Edit::Add { parent, name }),
        2 => n.clone().prop_map(Edit::Remove),
        2 => (n.clone(), 0..5_u8).prop_map(|(at, path)| Edit::AddClone(at, path)),
        1 => (0..5_u8).prop_map(Edit::RemoveClone),
        1 => n.clone().prop_map(Edit::Current),
        1 => n.clone().prop_map(Edit::Touch),
        1 => n.prop_map(Edit::RenameDisk),
    ]
}

fn apply(vmsd: &mut Vmsd, edit: Edit) {
    let uids: Vec<u32> = vmsd.snapshots().iter().map(|s| s.uid).collect();
    let pick = |n: usize| uids.get(n % uids.len().max(1)).copied();
    match edit {
        Edit::Add { parent, name } => add(vmsd, pick(parent), name),
        Edit::RemoveClone(path) => {
            vmsd.remove_clones(|other| other == clone_path(path));
        }
        Edit::Remove(at) => pick(at)
            .into_iter()
            .for_each(|uid| vmsd.remove_snapshot(uid)),
        Edit::AddClone(at, path) => pick(at)
            .into_iter()
            .for_each(|uid| vmsd.add_clone(uid, &clone_path(path))),
        Edit::Current(at) => vmsd.set_current(pick(at)),
        Edit::Touch(at) => pick(at).into_iter().for_each(|uid| vmsd.touch(uid)),
        Edit::RenameDisk(at) => pick(at)
            .into_iter()
            .for_each(|uid| vmsd.set_disk_file(uid, "scsi0:0", &format!("new-{uid}.vmdk"))),
    }
}

fn add(vmsd: &mut Vmsd, parent: Option<u32>, display_name: String) {
    let uid = vmsd.next_uid().unwrap();
    let new = SnapshotEntry {
        uid,
        file_name: format!("a-Snapshot{uid}.vmsn"),
        parent,
        display_name,
        created_us: i64::from(uid).wrapping_mul(0x7654_3210_fedc_ba98),
        with_memory: uid.is_multiple_of(2),
        disks: vec![FrozenDisk {
            node: "scsi0:0".into(),
            file_name: "a.vmdk".into(),
        }],
        ..SnapshotEntry::default()
    };
    vmsd.add_snapshot(new).unwrap();
}

fn clone_path(number: u8) -> String {
    format!("/vms/é{number}/c.vmx")
}

proptest! {
    #[test]
    fn edited_bookkeeping_reads_as_it_was_meant(edits in prop::collection::vec(edit(), 0..30)) {
        let mut vmsd = Vmsd::parse(b"", LineEnd::CrLf).unwrap();
        let mut last = 0;
        for edit in edits {
            apply(&mut vmsd, edit);
            let again = Vmsd::parse(&vmsd.to_bytes(), LineEnd::Lf).unwrap();
            prop_assert_eq!(again.snapshots(), vmsd.snapshots());
            prop_assert_eq!(again.current(), vmsd.current());
            prop_assert!(vmsd.last_uid() >= last, "a number was given back");
            last = vmsd.last_uid();
            prop_assert!(vmsd.dict().duplicates().is_empty());
        }
    }
}
