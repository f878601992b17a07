//! `vmware`, `vmplayer`, `vmware-vmx`: they tell which product is here.

use std::io::Write;
use std::process::ExitCode;

use replix_cli::companion;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let said = companion::run(&name, &words.collect::<Vec<_>>());
    let told = std::io::stdout().write_all(said.out.as_bytes());
    let told = told.and_then(|()| std::io::stderr().write_all(said.err.as_bytes()));
    match told {
        Ok(()) => ExitCode::from(said.status),
        Err(_) => ExitCode::FAILURE,
    }
}
