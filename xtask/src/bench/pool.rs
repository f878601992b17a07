//! Hand-out from a pool whose VMs are suspended after they booted.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{RUNS, millis, row};
use crate::guest;
use crate::run::{Doing, Result, Run, command, fail};

/// The guest's memory, which is read back when it is handed out.
const MEMORY_MIB: u32 = 256;

/// How long the agent in a guest that goes on may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Measures until the command returns, and until the guest's agent answers; `programs` is the folder
/// of ours, `folder` takes the VMs.
pub(super) fn hand_out(programs: &Path, folder: &Path, guests: &Path) -> Result {
    make_vm(folder, guests)?;
    let replix = programs.join("replix");
    let replix = |words: &[&str]| {
        let mut call = command(&replix, words);
        call.current_dir(folder);
        call
    };
    replix(&["snapshot", "golden", "golden"]).quiet()?;
    let size = RUNS.to_string();
    let created = Instant::now();
    let create = ["pool", "create", "pool", "--of", "golden", "--size", &size];
    let pool = Pool(&replix);
    replix(&create).quiet()?;
    let each = created.elapsed() / RUNS;
    let (mut returned, mut answered) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let begin = Instant::now();
        let vm = replix(&["pool", "take", "pool"]).text()?;
        returned.push(begin.elapsed());
        let vm = vm.trim_end();
        await_agent(programs, vm)?;
        answered.push(begin.elapsed());
        replix(&["pool", "give", "pool", vm]).quiet()?;
    }
    drop(pool);
    row(
        &format!("VM of {MEMORY_MIB} MiB cloned, booted, suspended"),
        each,
        "mean",
    );
    tell("hand-out from a pool of such VMs", &returned);
    tell("  until the guest's agent answers", &answered);
    Ok(())
}

/// The quickest and the slowest.
fn tell(what: &str, times: &[Duration]) {
    if let (Some(quickest), Some(slowest)) = (times.iter().min(), times.iter().max()) {
        let slowest = format!("slowest {:.1} ms", millis(*slowest));
        row(what, *quickest, &slowest);
    }
}

/// The pool, removed with all of its VMs however the measuring ends.
struct Pool<'a, F: Fn(&[&str]) -> std::process::Command>(&'a F);

impl<F: Fn(&[&str]) -> std::process::Command> Drop for Pool<'_, F> {
    fn drop(&mut self) {
        let _ = (self.0)(&["pool", "remove", "pool", "--force"]).output();
    }
}

fn await_agent(programs: &Path, vm: &str) -> Result {
    let begin = Instant::now();
    loop {
        let state = command(programs.join("vmrun"), ["checkToolsState", vm]).text()?;
        if state.trim_end() == "running" {
            return Ok(());
        }
        if begin.elapsed() >= LIMIT {
            return fail(format!("the agent in {vm} does not answer"));
        }
    }
}

/// Makes the VM `golden` on the test guest's disk.
fn make_vm(folder: &Path, guests: &Path) -> Result {
    let vm = folder.join("golden");
    fs::create_dir(&vm).doing(vm.display())?;
    guest::Copy {
        marker: "golden",
        out: &vm.join("golden.vmdk"),
        format: None,
        disk: guest::Disk::Guest,
    }
    .write(guests)?;
    let vmx = format!(
        ".encoding = \"UTF-8\"\nconfig.version = \"8\"\nvirtualHW.version = \"19\"\n\
         displayName = \"golden\"\nguestOS = \"debian12-64\"\nmemsize = \"{MEMORY_MIB}\"\n\
         scsi0.present = \"TRUE\"\nscsi0.virtualDev = \"pvscsi\"\nscsi0:0.present = \"TRUE\"\n\
         scsi0:0.fileName = \"golden.vmdk\"\n"
    );
    let path = vm.join("golden.vmx");
    fs::write(&path, vmx).doing(path.display())
}
