//! `vmware-vdiskmanager`: VMware's tool for disks by themselves, on this engine.

use std::process::ExitCode;

use replix_cli::{host, vdiskmanager};

fn main() -> ExitCode {
    let words = std::env::args_os().skip(1);
    ExitCode::from(vdiskmanager::run(
        words,
        &host::local,
        &mut std::io::stdout(),
    ))
}
