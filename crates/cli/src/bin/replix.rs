//! `replix`: clones VMware virtual machines, takes snapshots of them, runs them on QEMU.

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use replix_cli::host;
use replix_cli::replix::{Terminal, run};

fn main() -> ExitCode {
    let mut input = std::io::stdin().lock();
    let person = input.is_terminal();
    let terminal = Terminal {
        out: &mut std::io::stdout().lock(),
        err: &mut std::io::stderr(),
        input: person.then_some(&mut input as &mut dyn BufRead),
    };
    run(std::env::args_os().collect(), &host::local, terminal).into()
}
