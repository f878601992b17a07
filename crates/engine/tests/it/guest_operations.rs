//! What is done in a guest in the name of one of its users, each once, and who may not.

use std::path::Path;

use replix::guest::{GuestAnswer, GuestCall, GuestFile, Login};
use replix::{Kind, Result, Vm};
use replix_testkit::{folder, tree_of};

use crate::agent::with_agent;
use crate::guests::skip;

pub fn login(user: &str, password: &str) -> Login {
    Login {
        user: user.into(),
        password: password.into(),
        interactive: false,
    }
}

/// Asks in the name of one of the test guest's users.
pub fn ask_as(vm: &Vm, user: &str, call: GuestCall) -> Result<GuestAnswer> {
    let login = login(user, &format!("{user}-secret"));
    vm.guest(Some(login), call).wait()
}

fn done(vm: &Vm, user: &str, call: GuestCall) {
    let what = format!("{user}: {call:?}");
    match ask_as(vm, user, call) {
        Ok(answer) => assert_eq!(answer, GuestAnswer::Done, "{what}"),
        Err(error) => panic!("{what}: {error}"),
    }
}

fn refused(vm: &Vm, user: &str, call: GuestCall) -> Kind {
    let what = format!("{user}: {call:?}");
    let error = ask_as(vm, user, call).expect_err(&what);
    println!("{what}: {error}");
    error.kind()
}

fn run(vm: &Vm, user: &str, program: &str, arguments: &str) -> i32 {
    let call = GuestCall::RunProgram {
        program: program.into(),
        arguments: arguments.into(),
        return_immediately: false,
        activate_window: false,
    };
    match ask_as(vm, user, call).unwrap() {
        GuestAnswer::Process { pid, exit_code, .. } if pid > 1 => exit_code,
        other => panic!("{other:?}"),
    }
}

fn exists(vm: &Vm, user: &str, path: &str) -> bool {
    let call = GuestCall::FileExists { path: path.into() };
    ask_as(vm, user, call).unwrap() == GuestAnswer::Exists(true)
}

fn is_folder(vm: &Vm, path: &str) -> bool {
    let call = GuestCall::DirectoryExists { path: path.into() };
    ask_as(vm, "alice", call).unwrap() == GuestAnswer::Exists(true)
}

fn delete(path: &str) -> GuestCall {
    GuestCall::DeleteFile { path: path.into() }
}

fn make_folder(path: &str) -> GuestCall {
    GuestCall::CreateDirectory { path: path.into() }
}

fn delete_folder(path: &str) -> GuestCall {
    GuestCall::DeleteDirectory { path: path.into() }
}

fn rename(from: &str, to: &str) -> GuestCall {
    GuestCall::Rename {
        from: from.into(),
        to: to.into(),
    }
}

fn send(from: &Path, to: &str) -> GuestCall {
    GuestCall::CopyToGuest {
        from: from.into(),
        to: to.into(),
    }
}

pub fn fetch(from: &str, to: &Path) -> GuestCall {
    GuestCall::CopyFromGuest {
        from: from.into(),
        to: to.into(),
    }
}

fn info(vm: &Vm, path: &str) -> GuestFile {
    match ask_as(vm, "alice", GuestCall::FileInfo { path: path.into() }).unwrap() {
        GuestAnswer::File(file) => file,
        other => panic!("{other:?}"),
    }
}

/// What a file of the guest holds, through the superuser.
fn read(vm: &Vm, path: &str) -> Vec<u8> {
    let library = folder();
    let file = library.path().join("file");
    done(vm, "root", fetch(path, &file));
    std::fs::read(file).unwrap()
}

fn bytes(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn files_of_a_guest_are_made_moved_and_removed() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let running = with_agent(library.path(), &image);
    let vm = &running.0;
    let home = "/home/alice";
    let odd = format!("{home}/a b'c\"$(touch x);\n*");

    done(vm, "alice", make_folder(&format!("{odd}/deep/er")));
    assert!(is_folder(vm, &format!("{odd}/deep")));
    assert_eq!(refused(vm, "alice", make_folder(&odd)), Kind::FileExists);
    let GuestAnswer::Text(temporary) = ask_as(vm, "alice", GuestCall::CreateTempFile).unwrap()
    else {
        panic!("no path");
    };
    assert!(temporary.starts_with("/tmp/") && exists(vm, "alice", &temporary));
    assert!(!is_folder(vm, &temporary));
    let file = format!("{odd}/-file");
    done(vm, "alice", rename(&temporary, &file));
    assert!(exists(vm, "alice", &file) && !exists(vm, "alice", &temporary));
    assert_eq!(refused(vm, "alice", rename(&file, &odd)), Kind::FileExists);
    assert_eq!(
        refused(vm, "alice", rename(&temporary, "/tmp/b")),
        Kind::FileNotFound
    );
    assert_eq!(
        run(vm, "alice", "/bin/ln", "-s /etc/passwd /home/alice/link"),
        0
    );

    let found = info(vm, &file);
    assert_eq!(
        (found.bytes, found.directory, found.symlink),
        (0, false, false)
    );
    assert!(found.modified_s > 1_600_000_000, "{found:?}");
    assert!(info(vm, &format!("{home}/link")).symlink);
    assert!(info(vm, home).directory);
    let list = GuestCall::ListDirectory { path: odd.clone() };
    let GuestAnswer::Directory(mut files) = ask_as(vm, "alice", list).unwrap() else {
        panic!("no list");
    };
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<_> = files
        .iter()
        .map(|file| (file.name.as_str(), file.directory))
        .collect();
    assert_eq!(names, [("-file", false), ("deep", true)]);
    let list = GuestCall::ListDirectory { path: home.into() };
    let GuestAnswer::Directory(files) = ask_as(vm, "alice", list).unwrap() else {
        panic!("no list");
    };
    assert!(
        files
            .iter()
            .any(|file| odd.ends_with(&format!("/{}", file.name))),
        "{files:?}"
    );
    assert!(
        !files.iter().any(|file| file.name == "x"),
        "a name was executed: {files:?}"
    );

    assert_eq!(refused(vm, "alice", delete(&odd)), Kind::NotAFile);
    assert_eq!(
        refused(vm, "alice", delete_folder(&file)),
        Kind::NotADirectory
    );
    done(vm, "alice", delete(&file));
    assert_eq!(refused(vm, "alice", delete(&file)), Kind::FileNotFound);
    done(vm, "alice", delete(&format!("{home}/link")));
    assert!(exists(vm, "alice", "/etc/passwd"));
    done(vm, "alice", delete_folder(&odd));
    assert_eq!(
        refused(vm, "alice", delete_folder(&odd)),
        Kind::FileNotFound
    );
    assert_eq!(refused(vm, "root", delete_folder("/.//")), Kind::Argument);
    assert_eq!(refused(vm, "alice", delete("relative")), Kind::Argument);
}

#[test]
fn programs_run_as_their_user() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let running = with_agent(library.path(), &image);
    let vm = &running.0;

    let shell = "-c 'id -u; id -g; id -G; pwd; env | sort' > /tmp/out";
    assert_eq!(run(vm, "alice", "/bin/sh", shell), 0);
    let out = String::from_utf8(read(vm, "/tmp/out")).unwrap();
    assert!(out.starts_with("1000\n1000\n1000 50\n"), "{out}");
    for entry in [
        "HOME=/home/alice",
        "USER=alice",
        "SHELL=/bin/sh",
        "LOGNAME=alice",
    ] {
        assert!(out.lines().any(|line| line == entry), "{entry}: {out}");
    }
    assert_eq!(run(vm, "bob", "/bin/sh", "-c 'exit 7'"), 7);
    assert_eq!(run(vm, "carol", "/bin/sh", "-c 'kill -9 $$'"), 137);
    assert_eq!(run(vm, "root", "/bin/sh", "-c '[ $(id -u) = 0 ]'"), 0);
    let program = |program: &str| GuestCall::RunProgram {
        program: program.into(),
        arguments: "1000".into(),
        return_immediately: true,
        activate_window: false,
    };
    assert_eq!(
        refused(vm, "alice", program("/bin/nothing")),
        Kind::FileNotFound
    );
    assert_eq!(refused(vm, "alice", program("/etc/passwd")), Kind::Denied);
    assert_eq!(refused(vm, "alice", program("/etc")), Kind::NotAFile);

    let script = GuestCall::RunScript {
        interpreter: None,
        text: "echo \"$USER 'and' $0\" > /tmp/said\nexit 3\n".into(),
        return_immediately: false,
        activate_window: false,
    };
    let answer = ask_as(vm, "dave", script).unwrap();
    assert!(
        matches!(answer, GuestAnswer::Process { exit_code: 3, .. }),
        "{answer:?}"
    );
    let said = String::from_utf8(read(vm, "/tmp/said")).unwrap();
    assert!(said.starts_with("dave 'and' /tmp/"), "{said}");
    assert!(!exists(vm, "root", said.trim().rsplit(' ').next().unwrap()));

    let GuestAnswer::Process {
        pid,
        seconds: 0,
        exit_code: 0,
    } = ask_as(vm, "alice", program("/bin/sleep")).unwrap()
    else {
        panic!("no process");
    };
    let list = || match ask_as(vm, "bob", GuestCall::ListProcesses).unwrap() {
        GuestAnswer::Processes(list) => list,
        other => panic!("{other:?}"),
    };
    let found = list()
        .into_iter()
        .find(|one| one.pid == pid)
        .expect("it is listed");
    assert_eq!(
        (found.name.as_str(), found.owner.as_str()),
        ("sleep", "alice")
    );
    assert_eq!(found.command, "/bin/sleep 1000");
    assert!(found.started_s > 1_600_000_000 && !found.debugged);
    assert!(list().iter().any(|one| one.pid == 1 && one.owner == "root"));
    let kill = GuestCall::KillProcess {
        pid: pid.cast_unsigned(),
    };
    assert_eq!(refused(vm, "bob", kill.clone()), Kind::Denied);
    done(vm, "alice", kill);
    assert!(!list().iter().any(|one| one.pid == pid));
    assert_eq!(
        refused(vm, "root", GuestCall::KillProcess { pid: 4_000_000 }),
        Kind::NoSuchProcess
    );

    let write = |value: &str| GuestCall::WriteEnvironment {
        name: "ROLE".into(),
        value: value.into(),
    };
    let role = GuestCall::ReadEnvironment {
        name: "ROLE".into(),
    };
    assert_eq!(
        ask_as(vm, "alice", role.clone()).unwrap(),
        GuestAnswer::Text(String::new())
    );
    assert_eq!(refused(vm, "alice", write("x")), Kind::GuestPermission);
    done(vm, "root", write("web"));
    done(vm, "root", write("db = 'one'\ntwo"));
    let value = GuestAnswer::Text("db = 'one'\ntwo".into());
    assert_eq!(ask_as(vm, "alice", role).unwrap(), value);
    assert_eq!(
        run(vm, "alice", "/bin/sh", "-c '[ \"${ROLE%% *}\" = db ]'"),
        0
    );
}

#[test]
fn files_and_trees_are_copied_both_ways() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let running = with_agent(library.path(), &image);
    let vm = &running.0;
    let here = library.path().join("here");
    std::fs::create_dir_all(here.join("sub/empty")).unwrap();
    std::fs::write(here.join("none"), b"").unwrap();
    std::fs::write(here.join("sub/part"), bytes(1 << 20)).unwrap();
    std::fs::write(here.join("sub/more\n'$(x)"), bytes((2 << 20) + 3)).unwrap();
    let tree = tree_of(&here);
    std::os::unix::fs::symlink("/etc/passwd", here.join("link")).unwrap();

    let there = library.path().join("there");
    let copy = vm.guest(
        Some(login("alice", "alice-secret")),
        send(&here, "/home/alice/tree"),
    );
    let job = copy.job().clone();
    assert_eq!(copy.wait().unwrap(), GuestAnswer::Done);
    assert_eq!(job.progress().percent(), 100);
    assert!(job.warnings()[0].contains("link"), "{:?}", job.warnings());
    assert_eq!(
        run(
            vm,
            "alice",
            "/bin/ln",
            "-s /etc/passwd /home/alice/tree/link"
        ),
        0
    );
    done(vm, "alice", fetch("/home/alice/tree", &there));
    assert_eq!(tree_of(&there), tree);
    // Again: files are replaced, folders merged.
    std::fs::write(here.join("none"), b"some").unwrap();
    done(vm, "alice", send(&here, "/home/alice/tree"));
    std::fs::write(there.join("other"), b"kept").unwrap();
    done(vm, "alice", fetch("/home/alice/tree", &there));
    assert_eq!(std::fs::read(there.join("none")).unwrap(), b"some");
    assert_eq!(std::fs::read(there.join("other")).unwrap(), b"kept");

    let file = library.path().join("file");
    done(vm, "alice", fetch("/proc/self/status", &file));
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains("\nUid:\t1000\t1000\t1000\t1000")
    );
    assert_eq!(
        refused(vm, "alice", fetch("/nothing", &file)),
        Kind::FileNotFound
    );
    assert_eq!(
        refused(vm, "alice", fetch("/dev/zero", &file)),
        Kind::NotAFile
    );
    assert_eq!(
        refused(vm, "alice", fetch("/etc/passwd", &there)),
        Kind::NotAFile
    );
    let missing = library.path().join("missing");
    assert_eq!(
        refused(vm, "alice", send(&missing, "/tmp/x")),
        Kind::FileNotFound
    );
    assert_eq!(refused(vm, "alice", send(&file, "/tmp")), Kind::NotAFile);
    assert_eq!(
        refused(vm, "alice", send(&file, "/no/where")),
        Kind::FileNotFound
    );

    // A link in the place of a folder is not followed out of the named path.
    let outside = library.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::remove_dir_all(there.join("sub")).unwrap();
    std::os::unix::fs::symlink(&outside, there.join("sub")).unwrap();
    assert_eq!(
        refused(vm, "alice", fetch("/home/alice/tree", &there)),
        Kind::FileExists
    );
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);

    std::fs::write(&file, bytes(16 << 20)).unwrap();
    let long = vm.guest(
        Some(login("alice", "alice-secret")),
        send(&file, "/tmp/long"),
    );
    while long.job().progress().done_bytes == 0 {
        assert!(!long.is_done());
        std::thread::yield_now();
    }
    long.job().cancel();
    assert_eq!(long.wait().unwrap_err().kind(), Kind::Cancelled);
}

#[test]
fn screen_is_taken_without_a_login() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let running = with_agent(library.path(), &image);
    let vm = &running.0;
    let GuestAnswer::Image(png) = vm.guest(None, GuestCall::CaptureScreen).wait().unwrap() else {
        panic!("no picture");
    };
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.len() > 100);
}

#[test]
fn login_lets_in_only_whom_the_guest_would() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let running = with_agent(library.path(), &image);
    let vm = &running.0;
    for user in ["root", "alice", "bob", "carol", "dave"] {
        done(vm, user, GuestCall::Login);
    }
    let ask = |login| vm.guest(login, GuestCall::Login).wait().unwrap_err();
    let wrong = ask(Some(login("alice", "bob-secret")));
    let refused = [
        ("alice", ""),
        ("alice", "alice-secret "),
        ("Alice", "alice-secret"),
        ("nobody-here", "x"),
        ("", ""),
        ("alice:x", "alice-secret"),
        ("1000", "alice-secret"),
        ("locked", "locked-secret"),
        ("star", "*"),
        ("empty", ""),
        ("expired", "locked-secret"),
        ("stale", "locked-secret"),
        ("aged", "locked-secret"),
        ("nologin", "locked-secret"),
        ("strange", "locked-secret"),
    ];
    for (user, password) in refused {
        let error = ask(Some(login(user, password)));
        assert_eq!(error.kind(), Kind::GuestLogin, "{user}: {error}");
        assert_eq!(error.to_string(), wrong.to_string(), "{user}");
        assert_eq!(error.advice(), wrong.advice(), "{user}");
    }
    assert_eq!(ask(None).kind(), Kind::GuestLogin);
    let run = GuestCall::CreateTempFile;
    let error = vm.guest(Some(login("locked", "locked-secret")), run).wait();
    assert_eq!(error.unwrap_err().kind(), Kind::GuestLogin);
    let mut at_console = login("alice", "alice-secret");
    at_console.interactive = true;
    assert_eq!(ask(Some(at_console)).kind(), Kind::GuestSession);
    assert_eq!(
        vm.guest(None, GuestCall::Logout).wait().unwrap(),
        GuestAnswer::Done
    );
}

#[test]
fn user_does_not_reach_the_files_of_another() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let running = with_agent(library.path(), &image);
    let vm = &running.0;
    let file = library.path().join("file");
    std::fs::write(&file, b"private").unwrap();
    let path = "/home/alice/private";
    done(vm, "alice", send(&file, path));
    let out = library.path().join("out");
    let reach = [
        fetch(path, &out),
        fetch("/home/alice", &out),
        fetch("/etc/shadow", &out),
        send(&file, path),
        send(&file, "/home/alice/new"),
        send(&file, "/etc/passwd"),
        delete(path),
        delete_folder("/home/alice"),
        make_folder("/home/alice/new"),
        rename(path, "/tmp/mine"),
        rename("/etc/passwd", "/tmp/mine"),
        GuestCall::FileInfo { path: path.into() },
        GuestCall::ListDirectory {
            path: "/home/alice".into(),
        },
    ];
    for call in reach {
        assert_eq!(refused(vm, "bob", call.clone()), Kind::Denied, "{call:?}");
    }
    assert!(!exists(vm, "bob", path) && exists(vm, "alice", path));
    assert!(!out.exists());
    assert_eq!(read(vm, path), b"private");
}
