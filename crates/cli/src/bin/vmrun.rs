//! `vmrun`: VMware's command line on this engine.

use std::process::ExitCode;

use replix_cli::{host, vmrun};

fn main() -> ExitCode {
    let output = vmrun::run(std::env::args_os().skip(1), &host::local);
    ExitCode::from(output.print())
}
