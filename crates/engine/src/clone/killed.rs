//! Operations whose process is killed at each of the changes that they make: the next one finds a whole
//! VM and works, and in the end nothing is left.

use std::path::Path;

use super::testing::{BASE, base_in_memory as vm, base_on, empty_disk, take};
use super::{
    CloneKind, CloneSpec, DeleteSpec, PromoteSpec, RelinkSpec, delete, promote, relink, run,
};
use crate::disk::create_child;
use crate::disk::testing::write_grain;
use crate::error::{Kind, Result};
use crate::format::vmdk::CreateType;
use crate::job::Job;
use crate::snapshot::{self, NewSnapshot, RevertSpec, SnapshotRef, SnapshotTree, consolidate};
use crate::store::{Access, Mem, Store, hidden_sibling, read_small, remove_tree, write_new};
use crate::vm::Env;

/// The VM on a disk of some type, in two extents where it is split.
fn vm_on(create_type: CreateType) -> (Mem, Env) {
    let mem = Mem::new();
    (mem.clone(), base_on(mem, create_type))
}

/// The VM with the snapshots `a`, `b` and `c`, and in the disks of `b` and `c` and the present one a
/// grain more each: what stands on `b` has less than `b` itself never.
fn with_written_snapshots() -> (Mem, Env) {
    let (mem, env) = vm();
    let disks = [
        "base.vmdk",
        "base-000001.vmdk",
        "base-000002.vmdk",
        "base-000003.vmdk",
    ];
    for (number, (name, disk)) in (1..).zip(["a", "b", "c", ""].iter().zip(disks)) {
        for grain in 0..number {
            write_grain(
                &mem,
                &Path::new("/vms/base").join(disk),
                grain,
                number as u8,
            );
        }
        if !name.is_empty() {
            take(&env, name).unwrap();
        }
    }
    (mem, env)
}

/// What the guest of the VM reads.
fn content(env: &Env) -> Vec<u8> {
    content_of(env, BASE)
}

fn content_of(env: &Env, vmx: &str) -> Vec<u8> {
    let vm = env.open(Path::new(vmx)).unwrap();
    let chain = env.disk(&vm, &vm.config.disks()[0].file_name).unwrap();
    let mut content = vec![0; chain.capacity_bytes() as usize];
    chain.read(&mut content, 0).unwrap();
    content
}

/// The same with the snapshots `a`, `b` and `c`, one on the other.
fn with_snapshots() -> (Mem, Env) {
    let (mem, env) = vm();
    for name in ["a", "b", "c"] {
        take(&env, name).unwrap();
    }
    (mem, env)
}

fn revert(env: &Env, name: &str) -> Result<()> {
    let spec = RevertSpec::from(SnapshotRef::Name(name.into()));
    snapshot::revert(env, Path::new(BASE), &spec, &Job::new())
}

fn remove(env: &Env, name: &str) -> Result<()> {
    let wanted = SnapshotRef::Name(name.into());
    snapshot::remove(env, Path::new(BASE), &wanted, false, &Job::new())
}

fn delete_whole(env: &Env) -> Result<()> {
    let whole = DeleteSpec {
        disks: true,
        force: false,
    };
    delete(env, Path::new(BASE), whole, &Job::new())
}

fn listed(env: &Env) -> Vec<String> {
    let SnapshotTree { snapshots, .. } = snapshot::list(env, Path::new(BASE)).unwrap();
    snapshots.into_iter().map(|one| one.name).collect()
}

fn files(mem: &Mem) -> Vec<String> {
    let entries = mem.list(Path::new("/vms/base")).unwrap_or_default();
    let names = entries.into_iter().map(|entry| entry.name);
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// Asserts that the disks of the VM are whole.
fn assert_whole(env: &Env) {
    let vm = env.open(Path::new(BASE)).unwrap();
    for slot in vm.config.disks() {
        env.disk(&vm, &slot.file_name).unwrap();
    }
}

/// Kills `work` on a VM at each of its changes in turn; `check` gets what is left.
fn kill_at_each_change(
    vm: fn() -> (Mem, Env),
    work: fn(&Env) -> Result<()>,
    check: impl Fn(&Mem, &Env, usize),
) {
    let mut changes = 0;
    loop {
        let (mem, env) = vm();
        mem.limit_changes(Some(changes));
        let done = work(&env);
        mem.limit_changes(None);
        if done.is_ok() {
            break;
        }
        // It says that this process holds the VM, which it does no more.
        let _ = remove_tree(&mem, Path::new("/vms/base/base.vmx.lck"));
        check(&mem, &env, changes);
        changes += 1;
    }
    assert!(changes > 5, "{changes}");
}

#[test]
fn snapshot_may_be_killed_at_any_change() {
    kill_at_each_change(
        vm,
        |env| take(env, "s"),
        |mem, env, at| {
            assert_whole(env);
            let before = listed(env);
            take(env, "t").unwrap();
            assert_whole(env);
            let after = listed(env);
            assert_eq!(after, [before.clone(), vec!["t".into()]].concat());
            if before.is_empty() {
                let known = files(mem);
                let expected = ["base-000001.vmdk", "base-Snapshot1.vmsn", "base.vmdk"];
                assert_eq!(known[..3], expected, "{at}");
                assert_eq!(known[3..], ["base.vmsd", "base.vmx"], "{at}");
            }
            delete_whole(env).unwrap();
            assert_eq!(files(mem), [""; 0], "{at}");
        },
    );
}

#[test]
fn revert_may_be_killed_at_any_change() {
    kill_at_each_change(
        with_snapshots,
        |env| revert(env, "a"),
        |mem, env, at| {
            assert_whole(env);
            assert_eq!(listed(env), ["a", "b", "c"]);
            revert(env, "a").unwrap();
            assert_whole(env);
            take(env, "d").unwrap();
            revert(env, "c").unwrap();
            assert_whole(env);
            delete_whole(env).unwrap();
            assert_eq!(files(mem), [""; 0], "{at}");
        },
    );
}

#[test]
fn vm_may_be_deleted_after_a_killed_revert() {
    kill_at_each_change(
        with_snapshots,
        |env| revert(env, "a"),
        |mem, env, at| {
            delete_whole(env).unwrap();
            assert_eq!(files(mem), [""; 0], "{at}");
        },
    );
}

#[test]
fn removal_may_be_killed_at_any_change() {
    kill_at_each_change(
        with_snapshots,
        |env| remove(env, "b"),
        |mem, env, at| {
            assert_whole(env);
            if listed(env).contains(&"b".to_owned()) {
                remove(env, "b").unwrap();
            }
            assert_eq!(listed(env), ["a", "c"], "{at}");
            assert_whole(env);
            revert(env, "c").unwrap();
            remove(env, "c").unwrap();
            remove(env, "a").unwrap();
            take(env, "d").unwrap();
            assert_whole(env);
            delete_whole(env).unwrap();
            assert_eq!(files(mem), [""; 0], "{at}");
        },
    );
}

/// What the removal left says that it stands on a disk, which has taken in others since then.
#[test]
fn vm_may_be_deleted_long_after_a_killed_removal() {
    kill_at_each_change(
        with_written_snapshots,
        |env| {
            let mut names = ["c", "b", "a"].into_iter();
            names.try_for_each(|name| remove(env, name))
        },
        |mem, env, at| {
            for name in listed(env) {
                remove(env, &name).unwrap();
            }
            take(env, "late").unwrap();
            let vm = env.open(Path::new(BASE)).unwrap();
            let disk = &vm.config.disks()[0].file_name;
            write_grain(mem, &vm.dir().join(disk), 5, 50);
            remove(env, "late").unwrap();
            delete_whole(env).unwrap();
            assert_eq!(files(mem), [""; 0], "{at}");
        },
    );
}

/// A disk whose parent is missing may be all that is left of a VM that was in the same folder.
#[test]
fn what_is_left_of_another_vm_outlives_a_deletion() {
    let (mem, env) = with_written_snapshots();
    let [parent, child] = ["/vms/base/other.vmdk", "/vms/base/other-000001.vmdk"].map(Path::new);
    empty_disk(&mem, "/vms/base/other.vmdk");
    let opener = env.opener_in(Path::new("/vms/base"), Vec::new()).unwrap();
    let chain = opener.open(parent).unwrap();
    create_child(&mem, &chain, child, "other.vmdk").unwrap();
    mem.remove_file(parent).unwrap();
    delete_whole(&env).unwrap();
    assert_eq!(files(&mem), ["other-000001.vmdk"]);
}

/// A split disk is made and removed file by file: one that nobody names may lack any of them.
#[test]
fn what_is_left_of_a_split_disk_goes_with_its_vm_alone() {
    let dir = Path::new("/vms/base");
    for lost in 1..=2 {
        let (mem, env) = vm_on(CreateType::SplitSparse);
        let opener = env.opener_in(dir, Vec::new()).unwrap();
        let chain = opener.open(&dir.join("base.vmdk")).unwrap();
        for (child, hint) in [("base-000001", "base.vmdk"), ("other-000001", "other.vmdk")] {
            let child = dir.join(child).with_extension("vmdk");
            let made = create_child(&mem, &chain, &child, hint).unwrap();
            assert_eq!(made.len(), 3, "{made:?}");
            mem.remove_file(&made[lost]).unwrap();
            // More than tables: it was in use.
            let rest = mem.open(&made[3 - lost], Access::Write).unwrap();
            rest.write_at(&[1; 2 << 20], 1 << 20).unwrap();
        }
        let others = |mem: &Mem| -> Vec<String> {
            let names = files(mem).into_iter();
            names.filter(|name| name.starts_with("other")).collect()
        };
        let before = others(&mem);
        delete_whole(&env).unwrap();
        assert_eq!((before.len(), files(&mem)), (2, before), "extent {lost}");
    }
}

#[test]
fn removal_by_the_child_may_be_killed_at_any_change() {
    let (_, whole) = with_written_snapshots();
    let contents = ["c", "a"].map(|name| {
        revert(&whole, name).unwrap();
        content(&whole)
    });
    let before = content(&with_written_snapshots().1);
    kill_at_each_change(
        with_written_snapshots,
        |env| remove(env, "b"),
        |mem, env, at| {
            assert!(content(env) == before, "{at}");
            if listed(env).contains(&"b".to_owned()) {
                remove(env, "b").unwrap();
            }
            consolidate(env, Path::new(BASE), &Job::new()).unwrap();
            assert_eq!(listed(env), ["a", "c"], "{at}");
            assert!(content(env) == before, "{at}");
            for (name, wanted) in ["c", "a"].iter().zip(&contents) {
                revert(env, name).unwrap();
                assert!(content(env) == *wanted, "{at}: {name}");
            }
            delete_whole(env).unwrap();
            assert_eq!(files(mem), [""; 0], "{at}");
        },
    );
}

#[test]
fn consolidation_may_be_killed_at_any_change() {
    let before = content(&with_written_snapshots().1);
    kill_at_each_change(
        || {
            let (mem, env) = with_written_snapshots();
            // As a product leaves it that removes its snapshots, and merges nothing.
            mem.remove_file(Path::new("/vms/base/base.vmsd")).unwrap();
            (mem, env)
        },
        |env| consolidate(env, Path::new(BASE), &Job::new()).map(drop),
        |_, env, at| {
            assert!(content(env) == before, "{at}");
            consolidate(env, Path::new(BASE), &Job::new()).unwrap();
            assert!(content(env) == before, "{at}");
            let vm = env.open(Path::new(BASE)).unwrap();
            let chain = env.disk(&vm, &vm.config.disks()[0].file_name).unwrap();
            assert_eq!(chain.links().len(), 1, "{at}");
        },
    );
}

const CLONE: &str = "/vms/web/web.vmx";

/// A linked clone of it, with a snapshot of its own and something written before and after.
fn with_clone() -> (Mem, Env) {
    let (mem, env) = with_written_snapshots();
    let spec = CloneSpec::new(CloneKind::Linked, CLONE);
    run(&env, Path::new(BASE), &spec, &Job::new()).unwrap();
    write_grain(&mem, Path::new("/vms/web/base-cl1.vmdk"), 7, 21);
    let new = NewSnapshot {
        name: "own".into(),
        ..NewSnapshot::default()
    };
    snapshot::create(&env, Path::new(CLONE), &new, &Job::new()).unwrap();
    write_grain(&mem, Path::new("/vms/web/base-cl1-000001.vmdk"), 9, 23);
    (mem, env)
}

fn promote_clone(env: &Env) -> Result<()> {
    let spec = PromoteSpec::default();
    promote(env, Path::new(CLONE), spec, &Job::new()).map(drop)
}

/// All files of a folder but locks and bookkeeping, with their bytes.
fn bytes_of(mem: &Mem, dir: &str) -> Vec<(String, Vec<u8>)> {
    let entries = mem.list(Path::new(dir)).unwrap().into_iter();
    let names = entries.map(|entry| entry.name.to_string_lossy().into_owned());
    let kept = names.filter(|name| !name.ends_with(".lck") && !name.ends_with(".vmsd"));
    let read = |name: String| {
        let bytes = read_small(mem, &Path::new(dir).join(&name), 1 << 30).unwrap();
        (name, bytes)
    };
    kept.map(read).collect()
}

#[test]
fn promotion_may_be_killed_at_any_change() {
    let (_, env) = with_clone();
    let (parent, before) = (content(&env), content_of(&env, CLONE));
    let to_own = RevertSpec::from(SnapshotRef::Name("own".into()));
    snapshot::revert(&env, Path::new(CLONE), &to_own, &Job::new()).unwrap();
    let own = content_of(&env, CLONE);
    kill_at_each_change(with_clone, promote_clone, |mem, env, at| {
        let _ = remove_tree(mem, Path::new("/vms/web/web.vmx.lck"));
        assert!(content_of(env, CLONE) == before, "{at}");
        assert!(content(env) == parent, "{at}");
        let bytes = bytes_of(mem, "/vms/base");
        if at % 2 == 0 {
            promote_clone(env).unwrap();
            assert!(bytes_of(mem, "/vms/base") == bytes, "{at}");
            let vmsd = env.vmsd(&env.open(Path::new(BASE)).unwrap()).unwrap();
            assert!(
                vmsd.snapshots().iter().all(|one| one.clones.is_empty()),
                "{at}"
            );
            delete_whole(env).unwrap();
            assert!(content_of(env, CLONE) == before, "{at}");
            snapshot::revert(env, Path::new(CLONE), &to_own, &Job::new()).unwrap();
            assert!(content_of(env, CLONE) == own, "{at}");
        }
        let whole = DeleteSpec {
            disks: true,
            force: false,
        };
        delete(env, Path::new(CLONE), whole, &Job::new()).unwrap();
        let left = mem.list(Path::new("/vms/web")).unwrap_or_default();
        assert!(!mem.exists(Path::new("/vms/web")), "{at}: {left:?}");
        if at % 2 == 1 {
            assert!(bytes_of(mem, "/vms/base") == bytes, "{at}");
        }
    });
}

/// The same with the parent moved to where nothing leads.
fn with_moved_parent() -> (Mem, Env) {
    let (mem, env) = with_clone();
    let (from, to) = (Path::new("/vms/base"), Path::new("/vms/moved"));
    mem.rename_new(from, to).unwrap();
    (mem, env)
}

fn relink_clone(env: &Env) -> Result<()> {
    let spec = RelinkSpec::default();
    relink(env, Path::new(CLONE), &spec, &Job::new()).map(drop)
}

#[test]
fn relinking_may_be_killed_at_any_change() {
    let before = content_of(&with_clone().1, CLONE);
    kill_at_each_change(with_moved_parent, relink_clone, |mem, env, at| {
        let _ = remove_tree(mem, Path::new("/vms/web/web.vmx.lck"));
        relink_clone(env).unwrap();
        assert!(content_of(env, CLONE) == before, "{at}");
        let parent = env.open(Path::new("/vms/moved/base.vmx")).unwrap();
        let vmsd = env.vmsd(&parent).unwrap();
        let clones: Vec<&str> = vmsd
            .snapshots()
            .iter()
            .flat_map(|one| &one.clones)
            .collect();
        assert_eq!(clones, [CLONE], "{at}");
        promote_clone(env).unwrap();
        assert!(content_of(env, CLONE) == before, "{at}");
    });
}

#[test]
fn deletion_may_be_killed_at_any_change() {
    kill_at_each_change(with_snapshots, delete_whole, |mem, env, at| {
        match delete_whole(env) {
            Ok(()) => {}
            // All that was left is nothing.
            Err(error) => assert_eq!(error.kind(), Kind::VmNotFound, "{at}: {error}"),
        }
        assert_eq!(files(mem), [""; 0], "{at}");
    });
}

/// A promotion or the like may have been killed before, with the new text of a descriptor beside the old one.
#[test]
fn deletion_that_was_killed_forgets_no_text_that_was_to_replace_a_descriptor() {
    let (dir, vmx) = (Path::new("/vms/base"), Path::new("/vms/base/web.vmx"));
    let whole = DeleteSpec {
        disks: true,
        force: false,
    };
    for lost in [None, Some("base-s001.vmdk")] {
        for changes in 0.. {
            let (mem, env) = vm_on(CreateType::SplitSparse);
            // What is called as the VM is would be found by that.
            mem.rename_new(Path::new(BASE), vmx).unwrap();
            let text = hidden_sibling(&dir.join("base.vmdk"));
            write_new(&mem, &text, b"# Disk DescriptorFile\n").unwrap();
            if let Some(lost) = lost {
                mem.remove_file(&dir.join(lost)).unwrap();
            }
            mem.limit_changes(Some(changes));
            let done = delete(&env, vmx, whole, &Job::new());
            mem.limit_changes(None);
            let _ = remove_tree(&mem, Path::new("/vms/base/web.vmx.lck"));
            if mem.exists(vmx) {
                delete(&env, vmx, whole, &Job::new()).unwrap();
            }
            assert_eq!(files(&mem), [""; 0], "{lost:?}, {changes}");
            if done.is_ok() {
                assert!(changes > 5, "{changes}");
                break;
            }
        }
    }
}

/// A revert or a clone may have been killed while it wrote to descriptors.
#[test]
fn removed_snapshots_take_the_texts_with_them_that_were_to_replace_their_descriptors() {
    let (mem, env) = with_snapshots();
    let is_text = |name: &String| name.starts_with('.');
    for disk in ["base-000001.vmdk", "base-000002.vmdk", "base-000003.vmdk"] {
        let text = hidden_sibling(&Path::new("/vms/base").join(disk));
        write_new(&mem, &text, b"# Disk DescriptorFile\n").unwrap();
    }
    for name in ["c", "b", "a"] {
        remove(&env, name).unwrap();
    }
    let disks = files(&mem)
        .iter()
        .filter(|name| name.ends_with(".vmdk"))
        .count();
    let texts = files(&mem).into_iter().filter(is_text).count();
    assert_eq!((disks, texts), (1, 0), "{:?}", files(&mem));
}

/// A chain of split disks that only the lowest descriptors tell of, and one that a killed removal left.
fn with_unnamed_links() -> (Mem, Env) {
    let (mem, env) = vm_on(CreateType::SplitSparse);
    for name in ["a", "b", "c"] {
        take(&env, name).unwrap();
    }
    let dir = Path::new("/vms/base");
    let opener = env.opener_in(dir, Vec::new()).unwrap();
    let chain = opener.open(&dir.join("base-000001.vmdk")).unwrap();
    let left = dir.join("base-000009.vmdk");
    let made = create_child(&mem, &chain, &left, "base-000001.vmdk").unwrap();
    mem.remove_file(&made[1]).unwrap();
    let rest = mem.open(&made[2], Access::Write).unwrap();
    rest.write_at(&[1; 2 << 20], 1 << 20).unwrap();
    mem.remove_file(&dir.join("base.vmsd")).unwrap();
    (mem, env)
}

#[test]
fn killed_deletion_finds_again_what_nobody_names() {
    kill_at_each_change(with_unnamed_links, delete_whole, |mem, env, at| {
        if mem.exists(Path::new(BASE)) {
            delete_whole(env).unwrap();
        }
        let states = files(mem).into_iter();
        let left: Vec<_> = states.filter(|name| !name.ends_with(".vmsn")).collect();
        assert_eq!(left, [""; 0], "{at}");
    });
}
