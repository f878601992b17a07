//! `vmware-vdiskmanager`: VMware's tool for disks by themselves, on this engine.
//!
//! A call: `words` takes it apart -> the engine does it -> text on stdout and a status. Whatever goes
//! wrong is told with the word `Failed`, for which callers look, and status 1.

mod words;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use replix::disk::{DiskAnswer, DiskCall};
use replix::{Error, Host, Progress, Started};

use crate::host::Connect;
use crate::interrupt::Interrupt;
use crate::watch::follow;
use words::{Operation, Typed};

const HELP: &str = "\
VMware Virtual Disk Manager
Usage: vmware-vdiskmanager OPTIONS <disk-name>
  One operation:
     -c                   : create a disk; needs -s, -t, and takes -a
     -r <source-disk>     : convert that disk, with all that it stands on; needs -t
     -x <new-capacity>    : expand the disk
     -d                   : defragment the disk
     -k                   : shrink the disk

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
    let failed = |error: Error| {
        let cure = error.advice().map(|advice| format!(" {advice}."));
        let doing = operation.verb();
        let name = disk.display();
        let cure = cure.unwrap_or_default();
        format!("Failed to {doing} '{name}' : {error}.{cure}\n")
    };
    let path = absolute(&disk).map_err(failed)?;
    let (call, made) = match call {
        DiskCall::Convert { to, format } => {
            let absolute = absolute(&to).map_err(failed)?;
            let call = DiskCall::Convert {
                to: absolute,
                format,
            };
            (call, Some(to))
        }
        call @ DiskCall::Create { .. } => (call, Some(disk.clone())),
        call => (call, None),
    };
    let host = connect(&[]).map_err(failed)?;
    if let Some(made) = made {
        say(out, &format!("Creating disk '{}'\n", made.display()));
    }
    let started = start(&host, path, call);
    let mut shown = None;
    let show = |progress: &Progress| {
        let percent = progress.percent();
        if progress.total_bytes > 0 && shown.replace(percent) != Some(percent) {
            say(out, &format!("  {}: {percent}% done.\r", operation.word()));
        }
    };
    let ended = follow(started, &Interrupt::listen(), show);
    ended.result.map_err(failed)?;
    let (word, done) = (operation.word(), operation.done());
    say(out, &format!("  {word}: 100% done.\n{done}\n"));
    Ok(())
}

fn start(host: &Host, path: PathBuf, call: DiskCall) -> Started<DiskAnswer> {
    let host = host.clone();
    replix::Job::spawn(move |job| host.provider().disk(&path, &call, job))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|cause| Error::io("find", path, cause))
}

impl Operation {
    /// What the progress is called.
    fn word(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Convert => "Convert",
            Self::Expand => "Grow",
            Self::Defragment => "Defragment",
            Self::Shrink => "Shrink",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Create => "create disk",
            Self::Convert => "convert disk",
            Self::Expand => "expand disk",
            Self::Defragment => "defragment disk",
            Self::Shrink => "shrink disk",
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
        let (text, status) = said(&Fake::default(), "-n /d/a.vmdk /d/b.vmdk");
        assert_eq!(status, 1);
        assert!(
            text.starts_with("Failed to understand the command line: "),
            "{text}"
        );
    }
}
