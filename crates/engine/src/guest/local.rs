//! Guests of this machine, spoken to through the agent that they run.

use std::path::Path;

use super::session::Session;
use super::{GuestAnswer, GuestCall, Login, copy, environment, files, process, tools};
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::power::{self, Channel};
use crate::vm::Env;

/// Does something in the guest of the VM at `vmx`.
///
/// # Errors
/// `VmNotRunning`; `ToolsNotRunning` without an agent; `GuestLogin` where the login lets nobody in;
/// what the guest's own system says.
pub(crate) fn call(
    env: &Env,
    vmx: &Path,
    login: Option<&Login>,
    call: &GuestCall,
    job: &Job,
) -> Result<GuestAnswer> {
    let agent = &Channel::open(env, vmx, job)?;
    match call {
        GuestCall::WaitForTools { seconds } => tools::wait(agent, *seconds).map(done),
        GuestCall::CheckTools => agent.answers().map(GuestAnswer::Exists),
        GuestCall::IpAddress => tools::address(agent).map(GuestAnswer::Text),
        GuestCall::CaptureScreen => power::capture_screen(agent).map(GuestAnswer::Image),
        // A login is checked with every call; there is nothing to forget.
        GuestCall::Logout => Ok(GuestAnswer::Done),
        GuestCall::EnableSharedFolders { .. }
        | GuestCall::CountSharedFolders
        | GuestCall::SharedFolder { .. }
        | GuestCall::SetSharedFolder { .. }
        | GuestCall::AddSharedFolder { .. }
        | GuestCall::RemoveSharedFolder { .. }
        | GuestCall::InstallTools { .. } => Err(unsupported(agent, call)),
        _ => as_user(&Session::open(agent, login)?, call),
    }
}

/// Does what is done in the name of a user.
fn as_user(session: &Session, call: &GuestCall) -> Result<GuestAnswer> {
    match call {
        GuestCall::Login => Ok(GuestAnswer::Done),
        GuestCall::RunProgram {
            program,
            arguments,
            return_immediately,
            activate_window: _,
        } => process::run(session, program, arguments, *return_immediately),
        GuestCall::RunScript {
            interpreter,
            text,
            return_immediately,
            activate_window: _,
        } => process::run_script(session, interpreter.as_deref(), text, *return_immediately),
        GuestCall::ListProcesses => process::list(session).map(GuestAnswer::Processes),
        GuestCall::KillProcess { pid } => process::kill(session, *pid).map(done),
        GuestCall::CopyToGuest { from, to } => copy::to_guest(session, from, to).map(done),
        GuestCall::CopyFromGuest { from, to } => copy::from_guest(session, from, to).map(done),
        GuestCall::DeleteFile { path } => files::delete(session, path).map(done),
        GuestCall::FileExists { path } => files::test(session, "-f", path).map(GuestAnswer::Exists),
        GuestCall::Rename { from, to } => files::rename(session, from, to).map(done),
        GuestCall::CreateTempFile => files::make_temporary(session).map(GuestAnswer::Text),
        GuestCall::FileInfo { path } => files::describe(session, path).map(GuestAnswer::File),
        GuestCall::ListDirectory { path } => files::list(session, path).map(GuestAnswer::Directory),
        GuestCall::CreateDirectory { path } => files::make_folder(session, path).map(done),
        GuestCall::DeleteDirectory { path } => files::delete_folder(session, path).map(done),
        GuestCall::DirectoryExists { path } => {
            files::test(session, "-d", path).map(GuestAnswer::Exists)
        }
        GuestCall::ReadEnvironment { name } => {
            environment::read(session, name).map(GuestAnswer::Text)
        }
        GuestCall::WriteEnvironment { name, value } => {
            environment::write(session, name, value).map(done)
        }
        _ => Err(unsupported(session.agent, call)),
    }
}

fn done((): ()) -> GuestAnswer {
    GuestAnswer::Done
}

fn unsupported(agent: &Channel, call: &GuestCall) -> Error {
    let text = format!(
        "{}: {} is not supported yet",
        quoted(agent.vmx()),
        call.what()
    );
    Error::new(Kind::NotSupported, text).at(agent.vmx())
}
