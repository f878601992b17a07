//! `vmware-vdiskmanager`: VMware's tool for disks by themselves, on this engine.
//!
//! A call: `words` takes it apart -> the engine does it -> text on stdout and a status. Whatever goes
//! wrong is told with the word `Failed`, for which callers look, and status 1.

mod prepare;
mod words;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use replix::disk::{CheckReport, DiskAnswer, DiskCall, RepairReport};
use replix::host::Provider;
use replix::{Error, Host, Job, Progress, Started};

use crate::host::Connect;
use crate::interrupt::Interrupt;
use crate::watch::follow;
use words::{Operation, Typed};

const HELP: &str = "\
VMware Virtual Disk Manager
Usage: vmware-vdiskmanager OPTIONS <disk-name> | <mount-point>
  One operation:
     -c                   : create a disk; needs -s, -t, and takes -a
     -r <source-disk>     : convert that disk, with all that it stands on; needs -t
     -n <source-disk>     : rename that disk within its folder
     -x <new-capacity>    : expand the disk
     -d                   : defragment the disk
     -k                   : shrink the disk
     -p                   : prepare what is mounted there for shrinking: zeros over its free space
     -R                   : check the disk, and repair what it itself proves
     -e                   : check the disk and all that it stands on
     -D                   : mark the disk as one that may be deleted with its VM
     -U                   : delete the disk

  Other options:
     -q                   : do not log messages
     -a <adapter>         : ide, buslogic or lsilogic; others count as lsilogic
     -s <size>            : the capacity in sectors, KB, MB or GB
     -t <disk-type>       : the type of the disk:

       0                  : one file that grows
       1                  : files of at most 4GB that grow
       2                  : one file, all its space taken
       3                  : files of at most 2GB, all their space taken
       4                  : one file as ESX has it, all its space taken
       5                  : one compressed file for transport; with -r only
       6                  : one file as ESX has it, thin
";

/// The status of every failure.
const FAILED: u8 = 1;

/// Runs what was typed after the program's name; what it says goes to `out`. Returns the exit status.
pub fn run(
    words: impl IntoIterator<Item = OsString>,
    connect: &Connect,
    out: &mut dyn Write,
) -> u8 {
    let typed = match words::parse(words) {
        Ok(typed) => typed,
        Err(text) => {
            say(
                out,
                &format!("Failed to understand the command line: {text}.\n\n{HELP}"),
            );
            return FAILED;
        }
    };
    match execute(typed, connect, out) {
        Ok(()) => 0,
        Err(text) => {
            say(out, &text);
            FAILED
        }
    }
}

/// Nobody is left to be told where writing fails; the work goes on.
fn say(out: &mut dyn Write, text: &str) {
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn execute(typed: Typed, connect: &Connect, out: &mut dyn Write) -> Result<(), String> {
    let Typed {
        disk,
        operation,
        call,
    } = typed;
    let failed = |text: &dyn Display| {
        let doing = operation.verb();
        format!("Failed to {doing} '{}' : {text}.\n", disk.display())
    };
    let told = |error: Error| match error.advice() {
        Some(advice) => failed(&format!("{error}. {advice}")),
        None => failed(&error),
    };
    let path = absolute(&disk).map_err(told)?;
    let call = match call {
        None if operation == Operation::Prepare => {
            let started = Job::spawn(move |job| prepare::prepare(&path, job));
            watch(started, operation, out).map_err(told)?;
            tell_done(operation, out);
            return Ok(());
        }
        None => return check(path, connect, told, failed, out),
        Some(call) => call,
    };
    let (call, made) = with_absolute(call, &disk).map_err(told)?;
    let host = connect(&[]).map_err(told)?;
    if let Some(made) = made {
        say(out, &format!("Creating disk '{}'\n", made.display()));
    }
    let started = start(&host, move |host, job| host.disk(&path, &call, job));
    let answer = watch(started, operation, out).map_err(told)?;
    if let DiskAnswer::Repaired(report) = answer {
        return tell_of_repair(&report, &disk, failed, out);
    }
    tell_done(operation, out);
    Ok(())
}

fn tell_done(operation: Operation, out: &mut dyn Write) {
    if let Some(word) = operation.word() {
        say(out, &format!("  {word}: 100% done.\n"));
    }
    say(out, &format!("{}\n", operation.done()));
}

/// Makes the paths of a call absolute; returns with it the name of the disk that it will make.
fn with_absolute(call: DiskCall, disk: &Path) -> Result<(DiskCall, Option<PathBuf>), Error> {
    Ok(match call {
        DiskCall::Convert { to, format } => {
            let call = DiskCall::Convert {
                to: absolute(&to)?,
                format,
            };
            (call, Some(to))
        }
        DiskCall::Rename { to } => {
            let to = absolute(&to)?;
            (DiskCall::Rename { to }, None)
        }
        call @ DiskCall::Create { .. } => (call, Some(disk.to_path_buf())),
        call => (call, None),
    })
}

/// Runs a job to its end, showing its progress and what its user should know.
fn watch<T>(started: Started<T>, operation: Operation, out: &mut dyn Write) -> Result<T, Error> {
    let mut shown = None;
    let show = |progress: &Progress| {
        let percent = progress.percent();
        if let Some(word) = operation.word()
            && progress.total_bytes > 0
            && shown.replace(percent) != Some(percent)
        {
            say(out, &format!("  {word}: {percent}% done.\r"));
        }
    };
    let ended = follow(started, &Interrupt::listen(), show);
    if ended.result.is_ok() {
        for warning in ended.warnings {
            say(out, &format!("Warning: {warning}.\n"));
        }
    }
    ended.result
}

/// Checks a disk with all that it stands on.
fn check(
    path: PathBuf,
    connect: &Connect,
    told: impl Fn(Error) -> String,
    failed: impl Fn(&dyn Display) -> String,
    out: &mut dyn Write,
) -> Result<(), String> {
    let host = connect(&[]).map_err(&told)?;
    let started = start(&host, move |host, job| host.disk_check(&path, job));
    let report = watch(started, Operation::Check, out).map_err(told)?;
    if report.errors.is_empty() {
        say(out, &format!("{}\n", Operation::Check.done()));
        return Ok(());
    }
    Err(report.errors.iter().map(|error| failed(error)).collect())
}

fn tell_of_repair(
    report: &RepairReport,
    disk: &Path,
    failed: impl Fn(&dyn Display) -> String,
    out: &mut dyn Write,
) -> Result<(), String> {
    let name = disk.display();
    for step in &report.steps {
        say(out, &format!("Repaired: {step}.\n"));
    }
    let is_sound = |found: &CheckReport| found.errors.is_empty();
    if report.after.as_ref().is_some_and(is_sound) {
        say(
            out,
            &match is_sound(&report.found) {
                true => format!("No errors were found on the virtual disk, '{name}'.\n"),
                false => format!(
                    "The virtual disk, '{name}', was corrupted and has been successfully repaired.\n"
                ),
            },
        );
        return Ok(());
    }
    let errors = report.after.as_ref().unwrap_or(&report.found).errors.iter();
    let mut text = format!("The virtual disk, '{name}', is corrupted and cannot be repaired.\n");
    text.extend(errors.map(|error| failed(error)));
    text.extend(report.left.iter().map(|left| format!("Left: {left}.\n")));
    Err(text)
}

fn start<T: Send + 'static>(
    host: &Host,
    work: impl FnOnce(&dyn Provider, &Job) -> replix::Result<T> + Send + 'static,
) -> Started<T> {
    let host = host.clone();
    Job::spawn(move |job| work(host.provider(), job))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|cause| Error::io("find", path, cause))
}

impl Operation {
    /// What the progress is called, of which some operations have none.
    fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::Create => "Create",
            Self::Convert => "Convert",
            Self::Expand => "Grow",
            Self::Defragment => "Defragment",
            Self::Shrink => "Shrink",
            Self::Prepare => "Prepare",
            _ => return None,
        })
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Create => "create disk",
            Self::Convert => "convert disk",
            Self::Expand => "expand disk",
            Self::Defragment => "defragment disk",
            Self::Shrink => "shrink disk",
            Self::Rename => "rename disk",
            Self::Repair => "repair disk",
            Self::Check => "check disk chain of",
            Self::MakeDeletable => "make disk deletable",
            Self::Delete => "delete disk",
            Self::Prepare => "prepare",
        }
    }

    /// What is said in the end.
    fn done(self) -> &'static str {
        match self {
            Self::Create => "Virtual disk creation successful.",
            Self::Convert => "Virtual disk conversion successful.",
            Self::Expand => "Disk expansion completed successfully.",
            Self::Defragment => "Defragmentation completed successfully.",
            Self::Shrink => "Shrink completed successfully.",
            Self::Rename => "Renaming completed successfully.",
            Self::Check => "Disk chain is consistent.",
            Self::MakeDeletable => "The disk is deletable.",
            Self::Delete => "The disk is deleted.",
            Self::Prepare => "The free space is zeros now: shrink the disk once it is unmounted.",
            // It says more.
            Self::Repair => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use replix::Kind;

    use super::*;
    use crate::fake::Fake;

    fn said(fake: &Fake, line: &str) -> (String, u8) {
        let connect = fake.connect();
        let mut out = Vec::new();
        let status = run(line.split(' ').map(OsString::from), &connect, &mut out);
        (String::from_utf8(out).unwrap(), status)
    }

    #[test]
    fn success_is_told_in_vmwares_words() {
        let fake = Fake::default();
        let (text, status) = said(&fake, "-c -s 64MB -a ide -t 0 /d/a.vmdk");
        assert_eq!(status, 0);
        assert!(text.starts_with("Creating disk '/d/a.vmdk'\n"), "{text}");
        let end = "  Create: 100% done.\nVirtual disk creation successful.\n";
        assert!(text.ends_with(end), "{text}");
        let (text, _) = said(&fake, "-r /d/a.vmdk -t 1 /d/b.vmdk");
        assert!(text.contains("Creating disk '/d/b.vmdk'\n"), "{text}");
        assert!(
            text.ends_with("Virtual disk conversion successful.\n"),
            "{text}"
        );
    }

    #[test]
    fn failure_has_the_word_that_callers_look_for() {
        let (text, status) = said(&Fake::failing(Kind::DiskInvalid), "-d /d/a.vmdk");
        assert_eq!(status, 1);
        assert!(
            text.starts_with("Failed to defragment disk '/d/a.vmdk' : "),
            "{text}"
        );
        let (text, status) = said(&Fake::failing(Kind::DiskInvalid), "-e /d/a.vmdk");
        assert_eq!(status, 1);
        let wanted = "Failed to check disk chain of '/d/a.vmdk' : grain 7 lies outside the file.\n";
        assert!(text.ends_with(wanted), "{text}");
        let (text, status) = said(&Fake::default(), "-p /");
        assert_eq!(status, 1);
        let wanted = "Failed to prepare '/' : / is no mount point";
        assert!(text.starts_with(wanted), "{text}");
        let (text, status) = said(&Fake::default(), "-n /d/a.vmdk");
        assert_eq!(status, 1);
        assert!(
            text.starts_with("Failed to understand the command line: "),
            "{text}"
        );
    }
}
