//! Commands about files and processes of the guest: each one call, its answer in VMware's words.

use replix::error::escaped;
use replix::guest::{GuestAnswer, GuestCall};
use replix::{Error, store};

use super::call::{Answer, Call, Lines, mismatched};
use super::failure::Failure;

/// Does what has nothing to tell; prints nothing.
fn silent(call: &Call, what: GuestCall) -> Answer {
    call.guest(what)?;
    Ok(Lines::default())
}

/// `fileExistsInGuest VMX PATH`.
pub(super) fn file_exists(call: &Call) -> Answer {
    exists(call, "file", GuestCall::FileExists { path: call.text(1) })
}

/// `directoryExistsInGuest VMX PATH`.
pub(super) fn directory_exists(call: &Call) -> Answer {
    exists(
        call,
        "directory",
        GuestCall::DirectoryExists { path: call.text(1) },
    )
}

fn exists(call: &Call, what: &str, asked: GuestCall) -> Answer {
    match call.guest(asked)? {
        GuestAnswer::Exists(true) => Ok(Lines::of(format!("The {what} exists."))),
        GuestAnswer::Exists(false) => Ok(Lines::of(format!("The {what} does not exist."))),
        other => Err(mismatched(&other)),
    }
}

/// `deleteFileInGuest VMX PATH`.
pub(super) fn delete_file(call: &Call) -> Answer {
    silent(call, GuestCall::DeleteFile { path: call.text(1) })
}

/// `createDirectoryInGuest VMX PATH`.
pub(super) fn create_directory(call: &Call) -> Answer {
    silent(call, GuestCall::CreateDirectory { path: call.text(1) })
}

/// `deleteDirectoryInGuest VMX PATH`.
pub(super) fn delete_directory(call: &Call) -> Answer {
    silent(call, GuestCall::DeleteDirectory { path: call.text(1) })
}

/// `renameFileInGuest VMX OLD NEW`.
pub(super) fn rename(call: &Call) -> Answer {
    let (from, to) = (call.text(1), call.text(2));
    silent(call, GuestCall::Rename { from, to })
}

/// `CreateTempfileInGuest VMX`.
pub(super) fn create_temp_file(call: &Call) -> Answer {
    match call.guest(GuestCall::CreateTempFile)? {
        GuestAnswer::Text(path) => Ok(Lines::of(escaped(&path))),
        other => Err(mismatched(&other)),
    }
}

/// `CopyFileFromHostToGuest VMX HOSTPATH GUESTPATH`.
pub(super) fn copy_in(call: &Call) -> Answer {
    let (from, to) = (call.path(1)?, call.text(2));
    silent(call, GuestCall::CopyToGuest { from, to })
}

/// `CopyFileFromGuestToHost VMX GUESTPATH HOSTPATH`.
pub(super) fn copy_out(call: &Call) -> Answer {
    let (from, to) = (call.text(1), call.path(2)?);
    silent(call, GuestCall::CopyFromGuest { from, to })
}

/// `listDirectoryInGuest VMX PATH`.
pub(super) fn list_directory(call: &Call) -> Answer {
    match call.guest(GuestCall::ListDirectory { path: call.text(1) })? {
        GuestAnswer::Directory(files) => {
            let mut lines = Lines::of(format!("Directory list: {}", files.len()));
            // Names are the guest's: one with a line end in it would be two.
            files
                .iter()
                .for_each(|file| lines.push(escaped(&file.name)));
            Ok(lines)
        }
        other => Err(mismatched(&other)),
    }
}

/// `listProcessesInGuest VMX`.
pub(super) fn list_processes(call: &Call) -> Answer {
    match call.guest(GuestCall::ListProcesses)? {
        GuestAnswer::Processes(processes) => {
            let mut lines = Lines::of(format!("Process list: {}", processes.len()));
            for process in processes {
                let (owner, command) = (escaped(&process.owner), escaped(&process.command));
                lines.push(format!("pid={}, owner={owner}, cmd={command}", process.pid));
            }
            Ok(lines)
        }
        other => Err(mismatched(&other)),
    }
}

/// `killProcessInGuest VMX PID`.
pub(super) fn kill_process(call: &Call) -> Answer {
    let word = call.text(1);
    let no_number = |_| Failure::said(format!("'{word}' is no number of a process"));
    let pid = word.parse().map_err(no_number)?;
    silent(call, GuestCall::KillProcess { pid })
}

/// `captureScreen VMX HOSTPATH`: writes a PNG.
pub(super) fn capture_screen(call: &Call) -> Answer {
    let path = call.path(1)?;
    match call.guest(GuestCall::CaptureScreen)? {
        GuestAnswer::Image(png) => {
            let written = store::replace(&store::Local, &path, &png);
            written.map_err(|error: Error| Failure::from(error))?;
            Ok(Lines::default())
        }
        other => Err(mismatched(&other)),
    }
}
