//! Who does not know the secret, and who sends what nobody should: refused, and bounded.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Instant;

use replix::guest::{GuestCall, Login};
use replix_remote::wire::{Operation, ServiceFile};
use replix_testkit::skip;

use crate::client::{Client, raw};
use crate::machine::{LIMIT, Machine, eventually};

/// The answer to a request with these lines of its head, without the time of day.
fn answer(port: u16, lines: &str) -> String {
    let answer = raw(port, &format!("{lines}\r\nhost: a\r\n\r\n"));
    let lines = answer.lines().filter(|line| !line.starts_with("date: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn strangers_learn_nothing() {
    let machine = Machine::with_base();
    let service = machine.serve();
    let port = service.file.port;
    let refused = answer(port, "GET / HTTP/1.1");
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let vm = format!("GET /v1/vm?vm={} HTTP/1.1", machine.vmx("base").display());
    let half = &service.file.secret[..32];
    for request in [
        "GET /v1/jobs HTTP/1.1",
        "GET /v1/vm?vm=/none HTTP/1.1",
        vm.as_str(),
        "GET /v1/vm?vm=a HTTP/1.1",
        "PATCH /v1/vms HTTP/1.1",
        "PUT /v1/jobs/x HTTP/1.1\r\ncontent-length: 99999999999",
        "PUT /v1/jobs/x HTTP/1.1\r\ntransfer-encoding: chunked",
        "POST /v1/hello?nonce=a HTTP/1.1",
        "GET /v1/hello/../jobs HTTP/1.1",
        "GET /v1/hello/ HTTP/1.1",
        "GET //v1/hello HTTP/1.1",
        &format!("GET / HTTP/1.1\r\nauthorization: Bearer {}", "0".repeat(64)),
        &format!("GET / HTTP/1.1\r\nauthorization: Bearer {half}"),
        &format!(
            "GET / HTTP/1.1\r\nauthorization: Bearer {}0",
            service.file.secret
        ),
        &format!(
            "GET / HTTP/1.1\r\nauthorization: Basic {}",
            service.file.secret
        ),
        "GET / HTTP/1.1\r\nauthorization: Bearer ",
        &format!("GET /?secret={} HTTP/1.1", service.file.secret),
    ] {
        assert_eq!(answer(port, request), refused, "{request}");
    }
}

#[test]
fn other_users_find_no_secret() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return skip("only root can be another user");
    }
    let machine = Machine::new();
    let service = machine.serve();
    let file = machine.service_file();
    let as_nobody = |script: &str| {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "bash",
            "-c",
            script,
        ]);
        let output = command.current_dir("/").output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let folder = file.parent().unwrap();
    assert!(as_nobody(&format!("ls {}", folder.parent().unwrap().display())).0);
    for script in ["cat", "ls", "rm", "echo >>"] {
        let (done, said) = as_nobody(&format!("{script} {}", file.display()));
        assert!(
            !done && said.contains("Permission denied"),
            "{script}: {said}"
        );
    }
    let request = "GET /v1/jobs HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n";
    let port = service.file.port;
    let (_, said) = as_nobody(&format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} && printf '{request}' >&3 && cat <&3"
    ));
    assert!(said.starts_with("HTTP/1.1 401 "), "{said}");
}

#[test]
fn large_bodies_are_refused_unread() {
    let machine = Machine::new();
    let service = machine.serve();
    let id = "/v1/jobs/0123456789abcdef0123456789abcdef";
    let head = |framing: &str| {
        let bearer = format!("authorization: Bearer {}", service.file.secret);
        format!(
            "PUT {id} HTTP/1.1\r\nhost: a\r\n{bearer}\r\nconnection: close\r\n{framing}\r\n\r\n"
        )
    };
    for length in ["1048577", "9999999999999"] {
        let said = raw(
            service.file.port,
            &head(&format!("content-length: {length}")),
        );
        assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    }
    // The largest is still read, and then makes no sense.
    let client = service.client();
    assert_eq!(client.ask("PUT", id, &" ".repeat(1 << 20)).status, 400);
    // One whose length is not told ends when it is too long, whatever else its client sends.
    let before = service.usage().memory_kb;
    let mut stream = TcpStream::connect(("127.0.0.1", service.file.port)).unwrap();
    stream
        .write_all(head("transfer-encoding: chunked").as_bytes())
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(1 << 16));
    let sent = (0..1 << 14).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok());
    assert!(sent.count() < 1 << 14, "the service reads without end");
    let after = service.usage().memory_kb;
    assert!(after < before + (16 << 10), "{before} KB became {after} KB");
    assert_eq!(client.get("/v1/jobs").status, 200);
}

#[test]
fn endless_head_is_refused() {
    let machine = Machine::new();
    let service = machine.serve();
    let mut stream = TcpStream::connect(("127.0.0.1", service.file.port)).unwrap();
    let line = format!("x: {}\r\n", "a".repeat(1 << 12));
    let _ = stream.write_all(b"GET / HTTP/1.1\r\n");
    let sent = (0..1 << 14).take_while(|_| stream.write_all(line.as_bytes()).is_ok());
    assert!(sent.count() < 1 << 14, "the service reads without end");
    assert_eq!(service.client().get("/v1/jobs").status, 200);
}

#[test]
fn thousand_connections_are_bounded() {
    let machine = Machine::new();
    let service = machine.serve();
    let before = service.usage();
    let began = Instant::now();
    let silent: Vec<TcpStream> = (0..1000)
        .map(|_| TcpStream::connect(("127.0.0.1", service.file.port)).unwrap())
        .collect();
    // Those that are too many are closed at once; the others when no request comes.
    let mut open = 0;
    for mut stream in &silent {
        stream.set_nonblocking(true).unwrap();
        open = open.max(service.usage().files - before.files);
        let mut byte = [0];
        if stream.read(&mut byte).is_ok_and(|read| read == 0) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
    // One more may have been accepted and not yet closed.
    assert!(open <= 512 + 1, "{open} connections are open");
    let file = &service.file;
    let works = || answers(file).then_some(());
    eventually(Instant::now() + LIMIT, works);
    let waited = began.elapsed();
    assert!(waited.as_secs() < 30, "a client waited for {waited:?}");
    eventually(Instant::now() + LIMIT, || {
        (service.usage().files <= before.files + 2).then_some(())
    });
    let after = service.usage();
    assert!(
        after.memory_kb < before.memory_kb + (16 << 10),
        "{before:?} became {after:?}"
    );
    drop(silent);
}

/// Whether a client that knows the secret is answered.
fn answers(file: &ServiceFile) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", file.port)) else {
        return false;
    };
    let bearer = format!("authorization: Bearer {}", file.secret);
    let request =
        format!("GET /v1/jobs HTTP/1.1\r\nhost: a\r\n{bearer}\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_string(&mut answer);
    answer.starts_with("HTTP/1.1 200 ")
}

#[test]
fn secrets_are_not_shown_around() {
    let machine = Machine::with_base();
    let service = machine.serve();
    let password = format!("{:032x}", rand::random::<u128>());
    let client = service.client();
    let guest = Operation::Guest {
        vm: machine.vmx("base"),
        login: Some(Login {
            user: "me".into(),
            password: password.clone(),
            interactive: false,
        }),
        call: GuestCall::WaitForTools { seconds: None },
    };
    let id = client.start(&guest);
    client.end(&id);
    let report = client.get(&format!("/v1/jobs/{id}")).body;
    let mut wrong = service.file.clone();
    wrong.secret = password.clone();
    assert_eq!(Client::new(&wrong).get("/v1/jobs").status, 401);
    let shown = command_lines();
    let secret = service.file.secret.clone();
    service.signal(nix::sys::signal::Signal::SIGTERM);
    let (_, said) = service.ended();
    for text in [shown, said, report] {
        assert!(
            !text.contains(&secret) && !text.contains(&password),
            "{text}"
        );
    }
}

/// The command lines and surroundings of all processes.
fn command_lines() -> String {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let others = processes.filter(|process| *process.file_name() != *own);
    let files =
        others.flat_map(|process| ["cmdline", "environ"].map(|name| process.path().join(name)));
    let texts = files.filter_map(|file| std::fs::read(file).ok());
    texts
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect()
}
