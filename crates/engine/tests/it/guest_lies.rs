//! An agent that lies: a program of the test's at the port's other end, in the place of QEMU. Whatever
//! it says ends in an error, soon, and in no file outside of the named path.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::prelude::*;
use replix::guest::{GuestAnswer, GuestCall};
use replix::{Kind, Vm};
use replix_testkit::{folder, tree_of};
use serde_json::{Value, json};

use crate::agent::with_agent;
use crate::guest_operations::{ask_as, fetch};
use crate::guests::skip;

/// What the liar answers to a command.
enum Lie {
    /// This, as the value that is returned.
    Value(Value),
    /// These bytes, whatever they are.
    Bytes(Vec<u8>),
    /// One answer that does not end.
    Flood,
    /// Nothing at all.
    Silence,
}

type Liar = fn(&str, &Value) -> Lie;

/// The folder of a running VM: the one whose record names it.
pub fn runtime_of(vm: &Vm) -> PathBuf {
    let root = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if !nix::unistd::geteuid().is_root() => PathBuf::from(dir).join("replix"),
        _ => PathBuf::from("/run/replix"),
    };
    let name = vm.path().to_str().unwrap();
    let names =
        |dir: &Path| std::fs::read_to_string(dir.join("record")).is_ok_and(|r| r.contains(name));
    let dirs = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    dirs.into_iter().find(|dir| names(dir)).unwrap()
}

/// Puts a liar in the place of a VM's agent, for ever.
fn replace_agent(vm: &Vm, liar: Liar) {
    let port = runtime_of(vm).join("sockets/agent");
    std::fs::remove_file(&port).unwrap();
    let listener = UnixListener::bind(port).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // One that hangs up in the middle is what this is about.
            let _ = serve(&client, liar);
        }
    });
}

fn serve(mut client: &UnixStream, liar: Liar) -> std::io::Result<()> {
    let mut lines = BufReader::new(client);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let text = line.strip_prefix(b"\xff").unwrap_or(&line);
        let asked: Value = serde_json::from_slice(text).unwrap();
        let (command, arguments) = (asked["execute"].as_str().unwrap(), &asked["arguments"]);
        match liar(command, arguments) {
            Lie::Value(value) => {
                let mark: &[u8] = if command == "guest-sync-delimited" {
                    b"\xff"
                } else {
                    b""
                };
                client.write_all(
                    &[
                        mark,
                        json!({ "return": value }).to_string().as_bytes(),
                        b"\n",
                    ]
                    .concat(),
                )?;
            }
            Lie::Bytes(bytes) => client.write_all(&bytes)?,
            Lie::Flood => {
                client.write_all(b"{\"return\": {\"exited\": true, \"out-data\": \"")?;
                let part = [b'A'; 1 << 16];
                for _ in 0..(1 << 30) / part.len() {
                    client.write_all(&part)?;
                }
            }
            Lie::Silence => {
                let mut rest = Vec::new();
                lines.read_to_end(&mut rest)?;
            }
        }
        line.clear();
    }
    Ok(())
}

/// What an honest agent says up to the first program: the accounts of the test guest.
fn honest(command: &str, arguments: &Value) -> Lie {
    const PASSWD: &str = "bob:x:1001:1001::/home/bob:/bin/sh\n";
    const SHADOW: &str = "bob:$6$rounds=1000$bobsaltbobsalt$AAx0AirKWXBO8S6G6O/gilU1IMLvl1NdA7jbuyH9Fh2y2Nl.\
        BZiY1Sf0X4.fz449a8KV90rAwUzjlQE/MWHVX1:20000::::::\n";
    Lie::Value(match command {
        "guest-sync-delimited" => arguments["id"].clone(),
        "guest-file-open" => json!(if arguments["path"] == "/etc/shadow" {
            2
        } else {
            1
        }),
        "guest-file-read" => {
            let text = if arguments["handle"] == 2 {
                SHADOW
            } else {
                PASSWD
            };
            json!({ "count": text.len(), "buf-b64": BASE64_STANDARD.encode(text), "eof": true })
        }
        "guest-exec" => json!({ "pid": 7 }),
        _ => json!({}),
    })
}

/// Ends a program with this output.
fn printed(out: &[u8]) -> Lie {
    let out = BASE64_STANDARD.encode(out);
    Lie::Value(json!({ "exited": true, "exitcode": 0, "out-data": out }))
}

/// Claims that all that is asked for is a folder with `list` in it.
fn folder_with(list: &[u8], command: &str, arguments: &Value) -> Lie {
    const LISTING: u32 = 8;
    match command {
        "guest-exec" if arguments.to_string().contains("find .") => {
            Lie::Value(json!({ "pid": LISTING }))
        }
        "guest-exec-status" if arguments["pid"] == LISTING => printed(list),
        "guest-exec-status" => printed(b"41ed 5 7\n"),
        _ => honest(command, arguments),
    }
}

fn list(vm: &Vm) -> replix::Result<GuestAnswer> {
    ask_as(vm, "bob", GuestCall::ListDirectory { path: "/".into() })
}

#[test]
fn lying_agent_is_refused_soon_and_writes_nothing() {
    let Some(image) = skip("guest.vmdk") else {
        return;
    };
    let library = folder();
    let running = with_agent(library.path(), &image);
    let vm = &running.0;
    let lies: [(&str, Kind, Liar); 12] = [
        (
            "flood before the greeting",
            Kind::ToolsNotRunning,
            |_, _| Lie::Flood,
        ),
        (
            "another number",
            Kind::ToolsNotRunning,
            |command, args| match command {
                "guest-sync-delimited" => Lie::Value(json!(7)),
                _ => honest(command, args),
            },
        ),
        ("no greeting", Kind::ToolsNotRunning, |_, _| Lie::Silence),
        (
            "flood for a number",
            Kind::Io,
            |command, args| match command {
                "guest-file-open" => Lie::Flood,
                _ => honest(command, args),
            },
        ),
        (
            "accounts without end",
            Kind::Io,
            |command, args| match command {
                "guest-file-read" => {
                    let part = BASE64_STANDARD.encode([b'a'; 1 << 18]);
                    Lie::Value(json!({ "count": 1, "buf-b64": part, "eof": false }))
                }
                _ => honest(command, args),
            },
        ),
        ("no JSON", Kind::Io, |command, args| match command {
            "guest-exec" => Lie::Bytes(b"{\"return\": [[[\n".to_vec()),
            _ => honest(command, args),
        }),
        (
            "nested without end",
            Kind::Io,
            |command, args| match command {
                "guest-exec" => Lie::Bytes([b"[".repeat(500_000), b"\n".to_vec()].concat()),
                _ => honest(command, args),
            },
        ),
        (
            "JSON of another form",
            Kind::Io,
            |command, args| match command {
                "guest-exec" => Lie::Value(json!({ "pid": "seven" })),
                _ => honest(command, args),
            },
        ),
        ("1 GiB of output", Kind::Io, |command, args| match command {
            "guest-exec-status" => Lie::Flood,
            _ => honest(command, args),
        }),
        ("no base64", Kind::Io, |command, args| match command {
            "guest-exec-status" => {
                Lie::Value(json!({ "exited": true, "exitcode": 0, "out-data": "%%%" }))
            }
            _ => honest(command, args),
        }),
        (
            "names that lead elsewhere",
            Kind::Io,
            |command, args| match command {
                "guest-exec-status" => printed(b"81a4 5 7 ./../../etc/passwd\n"),
                _ => honest(command, args),
            },
        ),
        (
            "refusal with a long text",
            Kind::Io,
            |command, args| match command {
                "guest-exec" => {
                    let text = "\u{1b}[2J".repeat(50_000);
                    let error = json!({ "error": { "class": "GenericError", "desc": text } });
                    Lie::Bytes(format!("{error}\n").into_bytes())
                }
                _ => honest(command, args),
            },
        ),
    ];
    for (what, kind, liar) in lies {
        replace_agent(vm, liar);
        let start = Instant::now();
        let error = list(vm).unwrap_err();
        println!("{what}: {error}");
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        let text = error.to_string();
        assert!(
            text.len() < 1000 && !text.contains('\u{1b}'),
            "{what}: {text}"
        );
    }
    paths_and_sizes(vm, library.path());
    silence_ends(vm);
}

/// Copies of what the guest only claims to have.
fn paths_and_sizes(vm: &Vm, library: &Path) {
    // The VM's own folder changes by itself: its guest goes on.
    let around = library.join("around");
    std::fs::create_dir_all(around.join("below")).unwrap();
    let to = around.join("below/to");
    let before = tree_of(&around);
    // Most answer all programs alike: first what stands there, then its bytes.
    let lies: [(&str, Kind, Liar); 7] = [
        (
            "a folder in itself, without end",
            Kind::Io,
            |command, args| folder_with(b"41ed 5 7 ./a\n", command, args),
        ),
        (
            "a tree that leaves its folder",
            Kind::Io,
            |command, args| folder_with(b"81a4 5 7 ./../../escaped\n", command, args),
        ),
        (
            "a file longer than it is",
            Kind::Io,
            |command, args| match command {
                "guest-exec-status" => printed(b"81a4 4000000 7\n"),
                _ => honest(command, args),
            },
        ),
        (
            "more than any disk has",
            Kind::NoSpace,
            |command, args| match command {
                "guest-exec-status" => printed(b"81a4 18446744073709551615 7\n"),
                _ => honest(command, args),
            },
        ),
        (
            "more bytes than asked for",
            Kind::Io,
            |command, args| match command {
                "guest-exec-status" => {
                    let stat = b"81a4 5 7".iter().chain([b' '; 2 << 20].iter());
                    printed(&stat.copied().collect::<Vec<u8>>())
                }
                _ => honest(command, args),
            },
        ),
        ("a device", Kind::NotAFile, |command, args| match command {
            "guest-exec-status" => printed(b"2190 0 7\n"),
            _ => honest(command, args),
        }),
        (
            "facts that are none",
            Kind::Io,
            |command, args| match command {
                "guest-exec-status" => printed(b"81a4 -1 7\n"),
                _ => honest(command, args),
            },
        ),
    ];
    for (what, kind, liar) in lies {
        replace_agent(vm, liar);
        let error = ask_as(vm, "bob", fetch("/x", &to)).unwrap_err();
        println!("{what}: {error}");
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert_eq!(tree_of(&around), before, "{what}");
    }
}

/// An agent that answers no more: the question ends by itself, and at once when it is cancelled.
fn silence_ends(vm: &Vm) {
    replace_agent(vm, |command, args| match command {
        "guest-exec-status" => Lie::Silence,
        _ => honest(command, args),
    });
    let error = list(vm).unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    let login = crate::guest_operations::login("bob", "bob-secret");
    let waiting = vm.guest(Some(login), GuestCall::ListProcesses);
    assert!(!waiting.wait_for(Duration::from_secs(2)));
    let start = Instant::now();
    waiting.job().cancel();
    assert_eq!(waiting.wait().unwrap_err().kind(), Kind::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(2));
}
