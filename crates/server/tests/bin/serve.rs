//! The service in a process of its own, to be killed by tests: `serve-for-tests [UNUSED_MS [GRACE_MS]]`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use replix::Host;
use replix_server::{End, Options, serve};

fn main() -> ExitCode {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok());
    let mut options = Options {
        unused: numbers
            .next()
            .filter(|ms| *ms > 0)
            .map(Duration::from_millis),
        ..Options::default()
    };
    if let Some(grace) = numbers.next() {
        options.grace = Duration::from_millis(grace);
    }
    let mut tell = |line: &str| {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    match Host::local().and_then(|host| serve(host, &options, &mut tell)) {
        Ok(End::Served) => ExitCode::SUCCESS,
        Ok(End::Another) => ExitCode::from(3),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
