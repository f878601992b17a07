//! The edits of the bookkeeping against the text that VMware writes, and what is refused.

use super::*;

fn vmsd(text: &str) -> Vmsd {
    Vmsd::parse(text.as_bytes(), LineEnd::Lf).unwrap()
}

fn text(vmsd: &Vmsd) -> String {
    String::from_utf8(vmsd.to_bytes()).unwrap()
}

fn entry(uid: u32, parent: Option<u32>) -> SnapshotEntry {
    SnapshotEntry {
        uid,
        file_name: format!("web-Snapshot{uid}.vmsn"),
        parent,
        display_name: format!("s{uid}"),
        created_us: 1_788_443_000_000_000 + i64::from(uid),
        disks: vec![FrozenDisk {
            node: "scsi0:0".into(),
            file_name: "web.vmdk".into(),
        }],
        ..SnapshotEntry::default()
    }
}

/// Adds snapshots 1 to `count`, each the child of the one before, the last current.
fn chain(count: u32) -> Vmsd {
    let mut vmsd = vmsd("");
    for uid in 1..=count {
        let parent = (uid > 1).then(|| uid - 1);
        vmsd.add_snapshot(entry(uid, parent)).unwrap();
        vmsd.set_current(Some(uid));
        vmsd.touch(uid);
    }
    vmsd
}

/// What was edited must read as it says it is.
fn same_when_read_again(vmsd: &Vmsd) {
    let again = Vmsd::parse(&vmsd.to_bytes(), LineEnd::Lf).unwrap();
    assert_eq!(again.snapshots(), vmsd.snapshots());
    assert_eq!(again.current(), vmsd.current());
}

#[test]
fn first_snapshot_is_written_as_vmware_writes_it() {
    let mut vmsd = Vmsd::parse(b"", LineEnd::CrLf).unwrap();
    let mut new = entry(1, None);
    new.description = "before \"it\"".into();
    new.created_us = (388_801_i64 << 32) + (-814_770_620_i32 as u32 as i64);
    vmsd.add_snapshot(new).unwrap();
    vmsd.set_current(Some(1));
    vmsd.touch(1);
    let expected = ".encoding = \"UTF-8\"\n\
         snapshot.lastUID = \"1\"\n\
         snapshot.current = \"1\"\n\
         snapshot0.uid = \"1\"\n\
         snapshot0.filename = \"web-Snapshot1.vmsn\"\n\
         snapshot0.displayName = \"s1\"\n\
         snapshot0.description = \"before |22it|22\"\n\
         snapshot0.createTimeHigh = \"388801\"\n\
         snapshot0.createTimeLow = \"-814770620\"\n\
         snapshot0.numDisks = \"1\"\n\
         snapshot0.disk0.fileName = \"web.vmdk\"\n\
         snapshot0.disk0.node = \"scsi0:0\"\n\
         snapshot.numSnapshots = \"1\"\n\
         snapshot.mru0.uid = \"1\"\n";
    assert_eq!(text(&vmsd), expected.replace('\n', "\r\n"));
    same_when_read_again(&vmsd);
}

#[test]
fn second_snapshot_follows_the_count_and_precedes_the_recent() {
    let vmsd = chain(2);
    let names: Vec<&str> = vmsd.dict().names().collect();
    assert_eq!(names[11], "snapshot.numsnapshots");
    assert_eq!(
        names[12..15],
        ["snapshot1.uid", "snapshot1.filename", "snapshot1.parent"]
    );
    let last = names.len() - 2;
    assert_eq!(names[last..], ["snapshot.mru0.uid", "snapshot.mru1.uid"]);
    assert_eq!(vmsd.most_recently_used(), [2, 1]);
    same_when_read_again(&vmsd);
}

#[test]
fn recent_list_has_three_without_repetition() {
    let mut vmsd = chain(5);
    assert_eq!(vmsd.most_recently_used(), [5, 4, 3]);
    vmsd.touch(4);
    assert_eq!(vmsd.most_recently_used(), [4, 5, 3]);
}

#[test]
fn removed_snapshot_leaves_no_gap() {
    let mut vmsd = chain(3);
    vmsd.add_clone(3, "/c/c.vmx");
    vmsd.remove_snapshot(2);
    assert_eq!(vmsd.snapshot(3).unwrap().parent, Some(1));
    assert_eq!(vmsd.dict().get("snapshot1.uid").as_deref(), Some("3"));
    assert_eq!(
        vmsd.dict().get("snapshot1.clone0").as_deref(),
        Some("/c/c.vmx")
    );
    assert!(!vmsd.dict().contains("snapshot2.uid"));
    assert_eq!(vmsd.current(), Some(3));
    assert_eq!(vmsd.next_uid(), Ok(4));
    same_when_read_again(&vmsd);
}

#[test]
fn removed_current_snapshot_hands_over_to_its_parent() {
    let mut vmsd = chain(2);
    vmsd.remove_snapshot(2);
    assert_eq!(vmsd.current(), Some(1));
    vmsd.remove_snapshot(1);
    assert_eq!(
        text(&vmsd),
        ".encoding = \"UTF-8\"\nsnapshot.lastUID = \"2\"\n\
         snapshot.mru0.uid = \"2\"\nsnapshot.mru1.uid = \"1\"\n"
    );
    vmsd.add_snapshot(entry(3, None)).unwrap();
    vmsd.set_current(Some(3));
    assert_eq!(vmsd.dict().names().nth(2), Some("snapshot.current"));
    same_when_read_again(&vmsd);
}

#[test]
fn clones_are_numbered_densely() {
    let mut vmsd = chain(2);
    let before = text(&vmsd);
    for path in ["/a.vmx", "D:\\b.vmx", "/c.vmx", "/a.vmx"] {
        vmsd.add_clone(1, path);
    }
    let names: Vec<&str> = vmsd.dict().names().collect();
    let clones = ["clone0", "clone1", "clone2", "numclones"].map(|n| format!("snapshot0.{n}"));
    assert_eq!(names[11..15], clones);
    assert_eq!(vmsd.base_of_clone("D:\\b.vmx"), Some(1));
    assert_eq!(vmsd.remove_clones(|path| path == "/a.vmx"), 1);
    assert_eq!(vmsd.snapshot(1).unwrap().clones, ["D:\\b.vmx", "/c.vmx"]);
    assert_eq!(vmsd.dict().get("snapshot0.numClones").as_deref(), Some("2"));
    same_when_read_again(&vmsd);
    assert_eq!(vmsd.remove_clones(|_| true), 2);
    assert_eq!(text(&vmsd), before);
}

/// Others may leave a number out, or a line without a path.
#[test]
fn clones_that_are_not_numbered_one_by_one_are_kept() {
    let lines = "snapshot0.clone0 = \"/a.vmx\"\nsnapshot0.clone1 = \"\"\n\
                 snapshot0.clone3 = \"/b.vmx\"\nsnapshot0.numClones = \"2\"\n";
    let gapped = || vmsd(&(text(&chain(1)) + lines));
    let mut added = gapped();
    added.add_clone(1, "/c.vmx");
    assert_eq!(
        added.snapshot(1).unwrap().clones,
        ["/a.vmx", "/b.vmx", "/c.vmx"]
    );
    same_when_read_again(&added);
    let mut removed = gapped();
    assert_eq!(removed.remove_clones(|path| path == "/a.vmx"), 1);
    assert_eq!(removed.snapshot(1).unwrap().clones, ["/b.vmx"]);
    same_when_read_again(&removed);
}

fn path(number: usize) -> String {
    format!("/v/{number}/{number}.vmx")
}

/// Two snapshots, the first with so many clones.
fn crowd(count: usize) -> Vmsd {
    let mut vmsd = chain(2);
    (0..count).for_each(|number| vmsd.add_clone(1, &path(number)));
    vmsd
}

/// Reads the text with its lines of clones as one, and as lines like others: what `edit` makes of both is
/// the same.
fn same_either_way(before: &Vmsd, edit: impl Fn(&mut Vmsd)) {
    let bytes = before.to_bytes();
    let mut whole = Vmsd::parse(&bytes, LineEnd::Lf).unwrap();
    assert!(whole.bulk.is_some());
    let mut apart = whole.clone();
    apart.take_apart();
    assert_eq!(apart.to_bytes(), bytes);
    for vmsd in [&mut whole, &mut apart] {
        edit(vmsd);
        same_when_read_again(vmsd);
    }
    assert_eq!(text(&whole), text(&apart));
    assert_eq!(whole.snapshots(), apart.snapshots());
}

#[test]
fn edits_of_many_clones_are_the_same_as_of_few() {
    let before = crowd(LEAST + 3);
    same_either_way(&before, |vmsd| vmsd.add_clone(1, "/new.vmx"));
    same_either_way(&before, |vmsd| vmsd.add_clone(1, "/\u{fc}ber|\"x.vmx"));
    same_either_way(&before, |vmsd| vmsd.add_clone(2, "/new.vmx"));
    same_either_way(&before, |vmsd| {
        assert_eq!(vmsd.remove_clones(|clone| clone == path(9)), 1);
    });
    same_either_way(&before, |vmsd| {
        assert_eq!(vmsd.remove_clones(|clone| clone.starts_with("/v/1")), 11);
    });
    same_either_way(&before, |vmsd| {
        assert_eq!(vmsd.remove_clones(|_| true), LEAST + 3);
    });
    same_either_way(&before, |vmsd| vmsd.remove_snapshot(1));
    same_either_way(&before, |vmsd| vmsd.remove_snapshot(2));
    same_either_way(&before, |vmsd| {
        vmsd.add_snapshot(entry(3, Some(1))).unwrap();
    });
    same_either_way(&before, |vmsd| vmsd.set_disk_file(1, "scsi0:0", "b.vmdk"));
}

/// What is not written as it would be written is taken apart, and read as ever.
#[test]
fn odd_lines_among_many_clones_are_read_as_ever() {
    let plain = text(&crowd(LEAST));
    let count = format!("snapshot0.numClones = \"{LEAST}\"\n");
    for (old, new) in [
        ("snapshot0.clone7 = ", "snapshot0.clone7= "),
        ("snapshot0.clone7 = ", "Snapshot0.Clone7 = "),
        ("/v/7/7.vmx\"\n", "/v/7/7.vmx\" # mine\n"),
        ("/v/7/7.vmx", "/v/7/|37.vmx"),
        ("/v/7/7.vmx\"\n", "/v/7/7.vmx\"\r\n"),
        (&count, ""),
        (&count, &format!("{count}snapshot0.clone3 = \"/x.vmx\"\n")),
    ] {
        let odd = plain.replacen(old, new, 1);
        assert_ne!(odd, plain);
        let read = vmsd(&odd);
        assert!(read.bulk.is_none(), "{new}");
        assert_eq!(text(&read), odd);
        assert_eq!(read.snapshot(1).unwrap().clones.len(), LEAST, "{new}");
    }
}

#[test]
fn many_clones_come_and_go() {
    let before = text(&chain(2));
    let mut vmsd = crowd(500);
    same_when_read_again(&vmsd);
    vmsd = Vmsd::parse(&vmsd.to_bytes(), LineEnd::Lf).unwrap();
    for number in (0..500).filter(|number| number % 3 == 1) {
        assert_eq!(vmsd.remove_clones(|clone| clone == path(number)), 1);
    }
    same_when_read_again(&vmsd);
    let left: Vec<String> = (0..500).filter(|n| n % 3 != 1).map(path).collect();
    assert_eq!(vmsd.snapshot(1).unwrap().clones, Paths::from(left.clone()));
    for name in left {
        assert_eq!(vmsd.remove_clones(|clone| clone == name), 1);
    }
    assert_eq!(text(&vmsd), before);
}

#[test]
fn files_and_parents_are_renamed_in_place() {
    let mut vmsd = chain(2);
    vmsd.set_disk_file(2, "SCSI0:0", "web-000002.vmdk");
    vmsd.set_file_name(2, "x.vmsn");
    vmsd.set_parent(2, None);
    assert_eq!(
        vmsd.snapshot(2).unwrap().disks[0].file_name,
        "web-000002.vmdk"
    );
    same_when_read_again(&vmsd);
    vmsd.set_parent(2, Some(1));
    let at = vmsd.dict().names().position(|n| n == "snapshot1.parent");
    assert_eq!(
        vmsd.dict().names().nth(at.unwrap() - 1),
        Some("snapshot1.filename")
    );
}

#[test]
fn linked_clone_names_its_parent_and_its_own_disks() {
    let sentinels = ["a-cl1.vmdk".to_string()];
    let vmsd = Vmsd::of_linked_clone("/p/p.vmx", &sentinels, LineEnd::CrLf);
    assert_eq!(
        text(&vmsd),
        ".encoding = \"UTF-8\"\r\ncloneOf0 = \"/p/p.vmx\"\r\nnumCloneOf = \"1\"\r\n\
         sentinel0 = \"a-cl1.vmdk\"\r\nnumSentinels = \"1\"\r\n"
    );
    assert_eq!(vmsd.clone_of().as_deref(), Some("/p/p.vmx"));
    assert_eq!(vmsd.sentinels(), sentinels);
}

#[test]
fn counts_that_promise_too_much_are_refused() {
    for text in [
        "snapshot.numSnapshots = \"4294967295\"\nsnapshot0.uid = \"1\"\n",
        "snapshot.numSnapshots = \"1\"\nsnapshot0.uid = \"1\"\nsnapshot0.numDisks = \"99999999\"\n",
        "snapshot.numSnapshots = \"many\"\n",
        "snapshot0.uid = \"1\"\n",
        "snapshot.numSnapshots = \"1\"\nsnapshot0.uid = \"0\"\n",
    ] {
        assert!(Vmsd::parse(text.as_bytes(), LineEnd::Lf).is_err(), "{text}");
    }
    let full = vmsd("snapshot.lastUID = \"4294967295\"\n");
    assert!(full.next_uid().is_err());
}

#[test]
fn rings_and_repeated_numbers_are_refused() {
    let block = |n: u32, uid: u32, parent: u32| {
        format!("snapshot{n}.uid = \"{uid}\"\nsnapshot{n}.parent = \"{parent}\"\n")
    };
    let count = "snapshot.numSnapshots = \"3\"\n";
    for blocks in [
        [block(0, 1, 1), block(1, 2, 0), block(2, 3, 0)],
        [block(0, 1, 3), block(1, 2, 1), block(2, 3, 2)],
        [block(0, 1, 0), block(1, 1, 0), block(2, 3, 0)],
    ] {
        let text = format!("{count}{}", blocks.concat());
        assert!(Vmsd::parse(text.as_bytes(), LineEnd::Lf).is_err(), "{text}");
    }
}

#[test]
fn unknown_parent_makes_a_root() {
    let vmsd = vmsd(
        "snapshot.numSnapshots = \"1\"\nsnapshot0.uid = \"7\"\nsnapshot0.parent = \"3\"\n\
         snapshot.current = \"9\"\n",
    );
    assert_eq!(vmsd.snapshot(7).unwrap().parent, None);
    assert_eq!((vmsd.current(), vmsd.last_uid()), (None, 7));
}

#[test]
fn what_lies_beyond_the_count_is_stale_unless_it_is_a_snapshot() {
    let text = "snapshot.numSnapshots = \"1\"\nsnapshot0.uid = \"1\"\nsnapshot1.note = \"x\"\n";
    let mut vmsd = vmsd(&format!("{text}snapshot1.uid = \"\"\n"));
    assert_eq!(vmsd.snapshots().len(), 1);
    vmsd.add_snapshot(entry(2, Some(1))).unwrap();
    assert!(!vmsd.dict().contains("snapshot1.note"));
    same_when_read_again(&vmsd);
    for block in [1, 7] {
        let text = format!("{text}snapshot{block}.UID = \"9\"\n");
        let error = Vmsd::parse(text.as_bytes(), LineEnd::Lf).unwrap_err();
        let said = format!("counts 1, and \"snapshot{block}.uid\" tells of another");
        assert!(error.to_string().to_lowercase().contains(&said), "{error}");
    }
}

#[test]
fn misfits_are_not_added() {
    let mut vmsd = chain(1);
    let before = text(&vmsd);
    assert!(vmsd.add_snapshot(entry(1, None)).is_err());
    assert!(vmsd.add_snapshot(entry(0, None)).is_err());
    assert!(vmsd.add_snapshot(entry(5, Some(4))).is_err());
    assert_eq!(text(&vmsd), before);
}

#[test]
fn unknown_keys_are_kept_and_move_with_their_block() {
    let mut vmsd = vmsd(
        "snapshot.numSnapshots = \"2\"\nsnapshot0.uid = \"1\"\n\
         snapshot1.uid = \"2\"\nsnapshot1.vendor.thing = \"x\"\nother = \"y\"\n",
    );
    vmsd.remove_snapshot(1);
    assert_eq!(
        vmsd.dict().get("snapshot0.vendor.thing").as_deref(),
        Some("x")
    );
    assert_eq!(vmsd.dict().get("other").as_deref(), Some("y"));
}

#[test]
fn long_chains_are_taken_apart() {
    let mut vmsd = chain(60);
    for uid in 1..=59 {
        vmsd.remove_snapshot(uid);
    }
    assert_eq!(vmsd.snapshots().len(), 1);
    same_when_read_again(&vmsd);
}

/// A text that is made to be searched again and again is read at once.
#[test]
fn text_full_of_clones_is_read_once() {
    let lines: String = (0..64)
        .map(|n| format!("snapshot1.clone{n} = \"/c\"\n"))
        .collect();
    let block = format!("{lines}snapshot1.numClones = \"64\"\n");
    assert!(Bulk::find(block.as_bytes()).is_some());
    let again = block.repeat(10_000);
    assert!(Bulk::find(again.as_bytes()).is_none());
    let one_line = ".clone0 = \"".repeat(1_500_000);
    assert!(Bulk::find(one_line.as_bytes()).is_none());
}

#[test]
fn a_number_in_another_spelling_is_nobodys() {
    let text = text(&chain(2)) + "snapshot01.displayName = \"x\"\nsnapshot1.clone+0 = \"/x.vmx\"\n";
    let mut vmsd = vmsd(&text);
    let second = vmsd.snapshot(2).unwrap().clone();
    assert!(second.clones.is_empty());
    vmsd.remove_snapshot(1);
    same_when_read_again(&vmsd);
    assert_eq!(vmsd.snapshot(2).unwrap().display_name, second.display_name);
}
