//! Guests of this machine, spoken to through the agent that they run.

use std::path::Path;

use super::session::Session;
use super::{
    GuestAnswer, GuestCall, Login, copy, environment, files, process, shared_folders, tools,
};
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
    match call {
        GuestCall::EnableSharedFolders { .. }
        | GuestCall::CountSharedFolders
        | GuestCall::SharedFolder { .. }
        | GuestCall::SetSharedFolder { .. }
        | GuestCall::AddSharedFolder { .. }
        | GuestCall::RemoveSharedFolder { .. } => shared_folders::call(env, vmx, call, job),
        _ => ask(env, &Channel::open(env, vmx, job)?, login, call),
    }
}

/// Asks the agent. Where one answers, the shared folders are mounted first, if they are not.
fn ask(env: &Env, agent: &Channel, login: Option<&Login>, call: &GuestCall) -> Result<GuestAnswer> {
    match call {
        GuestCall::WaitForTools { seconds } => {
            tools::wait(agent, *seconds)?;
            mount_shares(env, agent);
            Ok(GuestAnswer::Done)
        }
        GuestCall::CheckTools => {
            let answers = agent.answers()?;
            if answers {
                mount_shares(env, agent);
            }
            Ok(GuestAnswer::Exists(answers))
        }
        GuestCall::IpAddress => {
            let address = tools::address(agent)?;
            mount_shares(env, agent);
            Ok(GuestAnswer::Text(address))
        }
        GuestCall::CaptureScreen => power::capture_screen(agent).map(GuestAnswer::Image),
        // A login is checked with every call; there is nothing to forget.
        GuestCall::Logout => Ok(GuestAnswer::Done),
        GuestCall::InstallTools { .. } => Err(unsupported(agent, call)),
        _ => {
            let session = Session::open(agent, login)?;
            mount_shares(env, agent);
            as_user(&session, call)
        }
    }
}

/// What was asked for is done also where they cannot be mounted.
fn mount_shares(env: &Env, agent: &Channel) {
    if let Err(error) = power::mount_shares(env, agent) {
        let text = format!("shared folders are not mounted in the guest: {error}");
        agent.job().warn(text);
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
