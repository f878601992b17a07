//! `replix serve`: begins, says where, ends when told to; there is one for a user.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;

use crate::library::{Library, Program};
use crate::paused::send;

/// `replix serve` of this library's user, where no other's service is.
fn serve(library: &Library, words: &[&str]) -> Command {
    let mut command = library.program(Program::Replix);
    command
        .arg("serve")
        .args(words)
        .env("REPLIX_SERVICE", file(library))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn file(library: &Library) -> std::path::PathBuf {
    library.path("../run/replix/service.json")
}

/// Starts it, and returns it with the line by which it tells where it is.
fn begin(library: &Library, words: &[&str]) -> (Child, String) {
    let mut child = serve(library, words).spawn().unwrap();
    let mut line = String::new();
    // The rest of what it says stays in the pipe.
    let mut byte = [0];
    while !line.ends_with('\n') && child.stdout.as_mut().unwrap().read(&mut byte).unwrap() == 1 {
        line.push(char::from(byte[0]));
    }
    (child, line)
}

#[test]
fn service_says_where_it_is() {
    let library = Library::new();
    let (child, line) = begin(&library, &[]);
    let text = std::fs::read_to_string(file(&library)).unwrap();
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line, format!("listens on 127.0.0.1:{}\n", told["port"]));
    assert_eq!(told["pid"], child.id());
    send(&child, Signal::SIGTERM);
    let said = library.ended(child);
    assert_eq!(
        (said.out.as_str(), said.err.as_str(), said.code),
        ("", "", Some(0))
    );
    assert!(!file(&library).exists());
}

#[test]
fn second_service_says_that_one_runs() {
    let library = Library::new();
    let (child, _) = begin(&library, &[]);
    let second = library.run(&mut serve(&library, &[]));
    assert_eq!(second.code, Some(1));
    assert_eq!(second.err, "error: a service of this user runs already\n");
    // Who wants one on demand has what it wants.
    let second = library.run(&mut serve(&library, &["--on-demand"]));
    assert_eq!(
        (second.out.as_str(), second.err.as_str(), second.code),
        ("", "", Some(0))
    );
    send(&child, Signal::SIGINT);
    assert_eq!(library.ended(child).code, Some(0));
}

#[test]
fn service_answers_in_json_at_its_end() {
    let library = Library::new();
    let mut child = serve(&library, &["--json"]).spawn().unwrap();
    while !file(&library).exists() {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    send(&child, Signal::SIGTERM);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while out.read_line(&mut text).unwrap() > 0 {}
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["served"], true);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
