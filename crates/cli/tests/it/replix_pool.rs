//! `replix pool`: VMs kept ready, handed out once each, destroyed when nobody has them any more, and
//! nothing else touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use replix_testkit::tree_of;

use crate::guests::{PATIENCE, with_guest};
use crate::library::{Library, Program};
use crate::running::startable;
use crate::said::Said;

/// A library whose VM `base` has a snapshot, and a pool of clones of it; removed in the end.
struct Pool {
    library: Library,
}

impl Pool {
    /// A pool of `size` clones; their firmware runs once they are handed out, which is all that these
    /// tests need.
    fn create(size: &str, words: &[&str]) -> Option<Self> {
        let library = startable()?;
        library.shown(&["snapshot", "base", "golden"]);
        Some(Self::of(library, size, words))
    }

    fn of(library: Library, size: &str, words: &[&str]) -> Self {
        let pool = Self { library };
        let create = [
            "pool",
            "create",
            "pool",
            "--of",
            "base",
            "--snapshot",
            "golden",
            "--size",
            size,
        ];
        let said = pool.library.replix(&[&create, words].concat());
        assert_eq!(said.code, Some(0), "{said}");
        pool
    }

    /// Runs a command on the pool.
    fn pool(&self, command: &str, words: &[&str]) -> Said {
        let words = [&["pool", command, "pool"], words].concat();
        self.library.replix(&words)
    }

    /// Runs a command that must succeed.
    fn shown(&self, command: &str, words: &[&str]) -> String {
        let said = self.pool(command, words);
        assert_eq!((said.err.as_str(), said.code), ("", Some(0)), "{words:?}");
        said.out
    }

    /// Takes a VM and returns its path.
    fn take(&self, words: &[&str]) -> PathBuf {
        self.real(&self.shown("take", words))
    }

    /// The path that the program printed.
    fn real(&self, shown: &str) -> PathBuf {
        let path = shown.trim_end().strip_prefix("/vms/").unwrap();
        self.library.path(path)
    }

    /// The state of each VM, by its path.
    fn states(&self) -> Vec<(String, PathBuf)> {
        let (code, list) = self.library.json(&["pool", "list", "pool"]);
        assert_eq!(code, Some(0), "{list}");
        let text = |vm: &serde_json::Value, key: &str| vm[key].as_str().unwrap().to_string();
        let vms = list["vms"].as_array().unwrap().iter();
        vms.map(|vm| (text(vm, "state"), self.real(&text(vm, "vm"))))
            .collect()
    }

    /// The state of the VM at `vmx`; none where it is not in the pool any more.
    fn state_of(&self, vmx: &Path) -> Option<String> {
        let mut states = self.states().into_iter();
        states.find(|(_, path)| path == vmx).map(|(state, _)| state)
    }

    /// The VMs of the library that run.
    fn running(&self) -> Vec<PathBuf> {
        let (_, list) = self.library.json(&["list"]);
        let vms = list["vms"].as_array().unwrap().iter();
        // Other tests have theirs.
        vms.filter_map(|vm| vm["path"].as_str().unwrap().strip_prefix("/vms/"))
            .map(|path| self.library.path(path))
            .collect()
    }

    /// Starts a command on the pool.
    fn begin(&self, command: &str) -> Child {
        let mut call = self.library.program(Program::Replix);
        call.args(["pool", command, "pool"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        call.spawn().unwrap()
    }

    /// Asserts that the pool's folder holds what it says, and nothing else, and the parent knows of
    /// just these clones.
    fn assert_tidy(&self) {
        let vms: BTreeSet<String> = self
            .states()
            .into_iter()
            .map(|(_, path)| path.file_stem().unwrap().to_str().unwrap().to_string())
            .collect();
        let mut wanted: BTreeSet<String> = vms.iter().map(|vm| format!("{vm}.json")).collect();
        wanted.extend(vms.iter().cloned());
        wanted.insert("pool.json".into());
        let entries = fs::read_dir(self.library.path("pool")).unwrap();
        let found: BTreeSet<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(found, wanted);
        let (_, info) = self.library.json(&["info", "base"]);
        let clones = info["clones"].as_array().unwrap().iter();
        let clones: BTreeSet<String> = clones.map(|c| c.as_str().unwrap().to_string()).collect();
        let path = |vm: &String| format!("/vms/pool/{vm}/{vm}.vmx");
        assert_eq!(clones, vms.iter().map(path).collect());
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = self.pool("remove", &["--force"]);
    }
}

/// Waits until `look` finds it so.
fn await_true(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Names of VMs have a random end.
fn plain_names(text: &str) -> String {
    let mut parts = text.split("base-");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |out, part| {
        out + "base-*" + part.trim_start_matches(|c: char| c.is_ascii_hexdigit())
    })
}

#[test]
fn vm_is_taken_given_back_and_the_pool_filled_again() {
    let Some(pool) = Pool::create("2", &["--ready", "off"]) else {
        return;
    };
    let before = tree_of(&pool.library.path("base"));
    let mut all = plain_names(&pool.pool("list", &[]).to_string());
    let vmx = pool.take(&[]);
    assert_eq!(pool.running(), [vmx.as_path()]);
    let vm = vmx.to_str().unwrap();
    let name = vmx.file_stem().unwrap().to_str().unwrap();
    for (command, words) in [
        ("list", &[][..]),
        ("give", &[vm][..]),
        ("list", &[]),
        ("fill", &[]),
        ("fill", &[]),
        ("give", &[name]),
    ] {
        all += &format!("$ {command}\n");
        all += &plain_names(&pool.pool(command, words).to_string());
    }
    assert!(!vmx.parent().unwrap().exists());
    pool.assert_tidy();
    assert_eq!(tree_of(&pool.library.path("base")).len(), before.len());
    all += &pool.pool("remove", &[]).to_string();
    all += &pool.pool("fill", &[]).to_string();
    assert!(!pool.library.path("pool").exists());
    let (_, info) = pool.library.json(&["info", "base"]);
    assert_eq!(info["clones"].as_array().unwrap().len(), 0);
    insta::assert_snapshot!(all, @r#"
    ready  off  /vms/pool/base-*/base-*.vmx
    ready  off  /vms/pool/base-*/base-*.vmx
    --- exit 0
    $ list
    taken  running  /vms/pool/base-*/base-*.vmx
    ready  off      /vms/pool/base-*/base-*.vmx
    --- exit 0
    $ give
    "base-*" destroyed
    --- exit 0
    $ list
    ready  off  /vms/pool/base-*/base-*.vmx
    --- exit 0
    $ fill
    1 VM made, 2 ready
    --- exit 0
    $ fill
    0 VMs made, 2 ready
    --- exit 0
    $ give
    --- stderr
    error: "base-*" is no VM of the pool "/vms/pool"
    --- exit 1
    2 VMs destroyed, and the pool
    --- exit 0
    --- stderr
    error: there is no pool in "/vms/pool"
    --- exit 1
    "#);
}

#[test]
fn eight_processes_take_a_vm_each() {
    let Some(pool) = Pool::create("6", &["--ready", "off"]) else {
        return;
    };
    let takers: Vec<Child> = (0..8).map(|_| pool.begin("take")).collect();
    let mut taken = BTreeSet::new();
    let mut made = 0;
    for child in takers {
        let said = pool.library.ended(child);
        assert_eq!(said.code, Some(0), "{said}");
        made += usize::from(said.err.contains("is ready: one is made"));
        assert!(taken.insert(pool.real(&said.out)), "{said}");
    }
    assert_eq!((taken.len(), made), (8, 2));
    let states = pool.states();
    assert!(
        states.iter().all(|(state, _)| state == "taken"),
        "{states:?}"
    );
    assert_eq!(pool.running().len(), 8);
    let refused = pool.pool("remove", &[]);
    assert!(
        refused.err.contains("is handed out") && refused.code == Some(1),
        "{refused}"
    );
    let fillers: Vec<Child> = (0..3).map(|_| pool.begin("fill")).collect();
    for child in fillers {
        assert_eq!(pool.library.ended(child).code, Some(0));
    }
    let ready = |(state, _): &&(String, PathBuf)| state == "ready";
    assert_eq!(pool.states().iter().filter(ready).count(), 6);
    pool.shown("remove", &["--force"]);
    assert_eq!(pool.running(), [] as [PathBuf; 0]);
    assert_eq!(fs::read_dir(pool.library.dir()).unwrap().count(), 1);
}

#[test]
fn vm_goes_with_its_owner() {
    let Some(pool) = Pool::create("1", &["--ready", "off"]) else {
        return;
    };
    let mut owner = Command::new("sleep").arg("600").spawn().unwrap();
    let vmx = pool.take(&["--owner", &owner.id().to_string()]);
    assert_eq!(pool.shown("clean", &[]), "0 VMs destroyed\n");
    assert_eq!(pool.state_of(&vmx).as_deref(), Some("taken"));
    owner.kill().unwrap();
    // That nobody has taken notice of its end yet does not make it live.
    assert_eq!(pool.state_of(&vmx).as_deref(), Some("over"));
    owner.wait().unwrap();
    assert_eq!(pool.shown("fill", &[]), "1 VM made, 1 ready, 1 destroyed\n");
    assert_eq!(pool.state_of(&vmx), None);
    assert_eq!(pool.running(), [] as [PathBuf; 0]);
    pool.assert_tidy();
    let refused = pool.pool("take", &["--owner", "4194305"]).err;
    assert_eq!(refused, "error: there is no process 4194305\n");
}

#[test]
fn vm_goes_when_its_lease_is_over() {
    let Some(pool) = Pool::create("1", &["--ready", "started", "--wait-for", "0"]) else {
        return;
    };
    let long = pool.take(&["--lease", "600"]);
    let short = pool.pool("take", &["--lease", "1"]);
    assert!(short.err.contains("is ready: one is made"), "{short}");
    let short = pool.real(&short.out);
    await_true("the lease goes on", || {
        pool.state_of(&short).as_deref() == Some("over")
    });
    assert_eq!(pool.shown("clean", &[]), "1 VM destroyed\n");
    assert_eq!(pool.state_of(&short), None);
    assert_eq!(pool.state_of(&long).as_deref(), Some("taken"));
    pool.assert_tidy();
}

#[test]
fn started_vm_that_went_off_is_replaced() {
    let Some(pool) = Pool::create("1", &["--ready", "started", "--wait-for", "0"]) else {
        return;
    };
    let (_, vmx) = pool.states().remove(0);
    pool.library
        .shown(&["stop", vmx.to_str().unwrap(), "--hard"]);
    let other = pool.pool("take", &[]);
    assert_ne!(pool.real(&other.out), vmx);
    assert_eq!(pool.state_of(&vmx), None, "{other}");
    pool.assert_tidy();
}

#[test]
fn vm_that_its_user_deleted_is_forgotten() {
    let Some(pool) = Pool::create("1", &["--ready", "off"]) else {
        return;
    };
    let vmx = pool.take(&[]);
    let vm = vmx.to_str().unwrap();
    pool.library.silent(&["stop", vm, "hard"]);
    pool.library.silent(&["deleteVM", vm]);
    assert_eq!(pool.shown("fill", &[]), "1 VM made, 1 ready, 1 destroyed\n");
    pool.assert_tidy();
}

#[test]
fn folder_that_the_call_allows_counts_for_the_pool_itself() {
    let Some(pool) = Pool::create("1", &["--ready", "off"]) else {
        return;
    };
    let library = &pool.library;
    let vmsd = library.path("base/base.vmsd");
    fs::create_dir(library.path("notes")).unwrap();
    fs::rename(&vmsd, library.path("notes/base.vmsd")).unwrap();
    std::os::unix::fs::symlink("../notes/base.vmsd", &vmsd).unwrap();
    let (_, vmx) = pool.states().remove(0);
    fs::remove_dir_all(vmx.parent().unwrap()).unwrap();
    let left = pool.pool("clean", &[]);
    assert!(left.err.contains("lies outside"), "{left}");
    let clean = pool.shown("clean", &["--allow", "notes"]);
    assert_eq!(clean, "1 VM destroyed\n");
    assert_eq!(pool.states(), []);
    let (_, info) = library.json(&["info", "base"]);
    assert_eq!(info["clones"], serde_json::json!([]));
}

#[test]
fn vms_stay_where_none_can_be_started() {
    let Some(pool) = Pool::create("3", &["--ready", "off"]) else {
        return;
    };
    let mut take = pool.library.program(Program::Replix);
    take.args(["pool", "take", "pool"]).env("PATH", "/nowhere");
    let said = pool.library.run(&mut take);
    assert_eq!(said.code, Some(1), "{said}");
    let states = pool.states();
    assert_eq!(states.len(), 3, "{said}");
    assert!(
        states.iter().all(|(state, _)| state == "ready"),
        "{states:?}"
    );
    // What is wrong with a VM is found out when it is needed; the next one is taken instead.
    let (first, second) = (&states[0].1, &states[1].1);
    let text = fs::read_to_string(first).unwrap();
    fs::write(first, text.replace("base-cl1.vmdk", "missing.vmdk")).unwrap();
    let said = pool.pool("take", &[]);
    assert!(said.err.contains("was of no use"), "{said}");
    assert_eq!(&pool.real(&said.out), second);
    assert_eq!(pool.state_of(first), None);
    pool.assert_tidy();
}

#[test]
fn killed_fill_leaves_nothing_that_is_not_cleaned() {
    let Some(pool) = Pool::create("1", &["--ready", "started", "--wait-for", "0"]) else {
        return;
    };
    let mut interrupted = 0;
    for round in 0..10 {
        let vmx = pool.take(&[]);
        let given = pool.pool("give", &[vmx.to_str().unwrap()]);
        assert_eq!(given.code, Some(0), "{given}");
        let mut fill = pool.begin("fill");
        std::thread::sleep(Duration::from_millis(20 * round));
        fill.kill().unwrap();
        fill.wait().unwrap();
        let over = pool.states().iter().any(|(state, _)| state == "over");
        interrupted += usize::from(over);
        pool.shown("clean", &[]);
        pool.assert_tidy();
        let states = pool.states();
        assert!(
            states.iter().all(|(state, _)| state == "ready"),
            "{states:?}"
        );
        assert_eq!(pool.running().len(), states.len());
        pool.shown("fill", &[]);
    }
    assert!(interrupted > 0, "no fill was interrupted");
}

#[test]
fn interrupted_fill_takes_back_the_vm_that_it_makes() {
    let Some(library) = startable() else { return };
    library.shown(&["snapshot", "base", "golden"]);
    // Longer than a test, shorter than for ever.
    let words = ["--ready", "started", "--wait-for", "120"];
    let pool = Pool { library };
    let mut create = pool.library.program(Program::Replix);
    create
        .args(["pool", "create", "pool", "--of", "base", "--size", "3"])
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = create.spawn().unwrap();
    await_true("nothing is started", || !pool.running().is_empty());
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let said = pool.library.ended(child);
    assert_eq!(said.code, Some(130), "{said}");
    assert!(pool.states().is_empty());
    assert_eq!(pool.running(), [] as [PathBuf; 0]);
    pool.assert_tidy();
}

#[test]
fn only_the_pools_own_vms_are_touched() {
    let Some(pool) = Pool::create("1", &["--ready", "off"]) else {
        return;
    };
    let vmx = pool.take(&[]);
    let vm = vmx.to_str().unwrap();
    pool.library.shown(&["stop", vm, "--hard"]);
    // A VM beside the pool's, one in the pool's folder, and one in the place of the pool's own.
    pool.library.shown(&["clone", "base", "pool/mine"]);
    let (folder, away) = (vmx.parent().unwrap(), pool.library.path("away"));
    fs::rename(folder, &away).unwrap();
    pool.library.shown(&["clone", "base", vm]);
    let trees = || {
        let base = tree_of(&pool.library.path("base"));
        (
            base,
            tree_of(&pool.library.path("pool/mine")),
            tree_of(folder),
        )
    };
    let before = trees();
    let mut all = String::new();
    for (command, words) in [
        ("give", &["base"][..]),
        ("give", &["pool/mine"]),
        ("give", &["pool"]),
        ("give", &["../vms"]),
        ("give", &["nothing"]),
        ("give", &[vm]),
        ("clean", &[]),
        ("remove", &[]),
    ] {
        all += &plain_names(&pool.pool(command, words).to_string());
    }
    assert_eq!(trees(), before);
    insta::assert_snapshot!(all, @r#"
    --- stderr
    error: "base" is no VM of the pool "/vms/pool"
    --- exit 1
    --- stderr
    error: "pool/mine" is no VM of the pool "/vms/pool"
    --- exit 1
    --- stderr
    error: "pool" is no VM of the pool "/vms/pool"
    --- exit 1
    --- stderr
    error: "../vms" is no VM of the pool "/vms/pool"
    --- exit 1
    --- stderr
    error: "nothing" is no VM of the pool "/vms/pool"
    --- exit 1
    --- stderr
    error: "/vms/pool/base-*/base-*.vmx" is not what the pool made
    hint: move it elsewhere, and clean the pool again
    --- exit 1
    0 VMs destroyed
    --- stderr
    warning: "base-*" is left: "/vms/pool/base-*/base-*.vmx" is not what the pool made
    --- exit 0
    --- stderr
    warning: "base-*" is left: "/vms/pool/base-*/base-*.vmx" is not what the pool made
    error: the pool "/vms/pool" stays: "base-*" could not be destroyed
    --- exit 1
    "#);
    fs::remove_dir_all(folder).unwrap();
    fs::rename(&away, folder).unwrap();
    // A clone that stands on a VM of the pool keeps it.
    let golden = pool.library.replix(&["clone", "--linked", vm, "mine"]);
    assert_eq!(golden.code, Some(0), "{golden}");
    let kept = pool.pool("clean", &[]);
    assert!(
        kept.err.contains("is left: linked clones stand on"),
        "{kept}"
    );
    pool.library.shown(&["delete", "mine", "--yes"]);
    assert_eq!(pool.shown("clean", &[]), "1 VM destroyed\n");
    assert!(!folder.exists());
    assert!(pool.library.path("pool/mine/mine.vmx").exists());
}

#[test]
fn pool_is_refused_where_it_cannot_be() {
    let library = Library::with_base();
    let mut all = String::new();
    let create = |words: &[&str]| {
        let words = [&["pool", "create", "pool", "--of"], words].concat();
        library.replix(&words).to_string()
    };
    all += &create(&["base", "--size", "1"]);
    all += &create(&["base", "--size", "0"]);
    all += &create(&["nothing", "--size", "1"]);
    all += &create(&["base", "--size", "1", "--snapshot", "golden"]);
    all += &create(&["base", "--size", "1", "--wait-for", "ever"]);
    assert!(!library.path("pool").exists());
    library.shown(&["snapshot", "base", "golden"]);
    fs::create_dir(library.path("pool")).unwrap();
    fs::write(library.path("pool/mine"), "").unwrap();
    all += &create(&["base", "--size", "1"]);
    all += &library.replix(&["pool", "take", "pool"]).to_string();
    all += &library.replix(&["pool", "take", "base"]).to_string();
    insta::assert_snapshot!(all, @r#"
    --- stderr
    error: no snapshot is the present state of "/vms/base/base.vmx"
    hint: take one for the pool to stand on, or name one
    --- exit 1
    --- stderr
    error: a pool keeps 1 to 1000 VMs ready, not 0
    --- exit 1
    --- stderr
    error: "/vms/nothing": there is no virtual machine here
    --- exit 1
    --- stderr
    error: there is no snapshot "golden"
    hint: see what there is: replix snapshot list VMX
    --- exit 1
    --- stderr
    error: invalid value 'ever' for '--wait-for <WHAT>': it is agent, address, or a number of seconds

    For more information, try '--help'.
    --- exit 2
    --- stderr
    error: "/vms/pool" is not empty
    hint: a pool wants a folder of its own
    --- exit 1
    --- stderr
    error: there is no pool in "/vms/pool"
    --- exit 1
    --- stderr
    error: there is no pool in "/vms/base"
    --- exit 1
    "#);
}

#[test]
fn suspended_guest_is_handed_out_and_answers() {
    let Some(library) = with_guest("nat") else {
        return;
    };
    let begin = Instant::now();
    let pool = Pool::of(library, "2", &[]);
    println!("two guests booted and suspended: {:?}", begin.elapsed());
    let (_, list) = pool.library.json(&["pool", "list", "pool"]);
    for vm in list["vms"].as_array().unwrap() {
        assert_eq!(
            (&vm["state"], &vm["power"]),
            (&"ready".into(), &"suspended".into())
        );
    }
    let mut boots = BTreeSet::new();
    for _ in 0..2 {
        let begin = Instant::now();
        let vmx = pool.pool("take", &[]);
        let handed = begin.elapsed();
        assert!(!vmx.err.contains("is ready"), "{vmx}");
        let vmx = pool.real(&vmx.out);
        let vm = vmx.to_str().unwrap();
        let login = ["-gu", "alice", "-gp", "alice-secret"];
        let ids = pool.library.path("ids");
        let copy = "cat /proc/sys/kernel/random/boot_id > /tmp/id";
        let script = ["runScriptInGuest", vm, "/bin/sh", copy];
        pool.library.silent(&[&login[..], &script].concat());
        println!(
            "handed out in {handed:?}, answered after {:?}",
            begin.elapsed()
        );
        let fetch = [
            "copyFileFromGuestToHost",
            vm,
            "/tmp/id",
            ids.to_str().unwrap(),
        ];
        pool.library.silent(&[&login[..], &fetch].concat());
        // Each has booted by itself.
        assert!(boots.insert(fs::read_to_string(&ids).unwrap()));
        pool.shown("give", &[vm]);
    }
    pool.assert_tidy();
    assert!(pool.states().is_empty());
}
