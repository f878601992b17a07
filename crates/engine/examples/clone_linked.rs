//! Makes a linked clone of a VM as it is now, and powers the clone on.
//!
//! ```sh
//! cargo run -p replix --example clone_linked -- /vms/ubuntu/ubuntu.vmx /vms/web/web.vmx
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use replix::clone::{CloneKind, CloneSpec};
use replix::power::StartSpec;
use replix::{Host, Started, Vm};

fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [source, destination] = paths.as_slice() else {
        eprintln!("usage: clone_linked SOURCE.vmx DESTINATION.vmx");
        return ExitCode::FAILURE;
    };
    match clone_and_start(source, destination) {
        Ok(clone) => {
            println!("{} runs", clone.path().display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            if let Some(advice) = error.advice() {
                eprintln!("{advice}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Clones the VM at `source` to `destination`, linked, and starts the clone.
///
/// No snapshot is given: one is made, for the clone to stand on.
pub fn clone_and_start(source: &Path, destination: &Path) -> replix::Result<Vm> {
    let host = Host::local()?;
    let vm = host.open(source)?;
    let spec = CloneSpec::new(CloneKind::Linked, destination);
    let clone = watch("cloning", vm.clone_to(spec))?;
    for warning in &clone.report.warnings {
        println!("note: {warning}");
    }
    watch("starting", clone.vm.power_on(StartSpec::default()))?;
    Ok(clone.vm)
}

/// Waits for a job, saying how far it is.
fn watch<T>(what: &str, started: Started<T>) -> replix::Result<T> {
    loop {
        let ended = started.wait_for(Duration::from_millis(200));
        let progress = started.job().progress();
        println!("{what}: {} % {}", progress.percent(), progress.phase);
        if ended {
            return started.wait();
        }
    }
}
