//! Guests of this machine, spoken to through the agent that they run.

use std::path::Path;

use super::{GuestAnswer, GuestCall, Login, tools};
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::power::Channel;
use crate::vm::Env;

/// Does something in the guest of the VM at `vmx`.
///
/// # Errors
/// `VmNotRunning`; else `NotSupported`.
pub(crate) fn call(
    env: &Env,
    vmx: &Path,
    login: Option<&Login>,
    call: &GuestCall,
    job: &Job,
) -> Result<GuestAnswer> {
    let agent = &Channel::open(env, vmx, job)?;
    match call {
        GuestCall::WaitForTools { seconds } => tools::wait(agent, *seconds)?,
        GuestCall::CheckTools => return Ok(GuestAnswer::Exists(agent.answers()?)),
        GuestCall::IpAddress => return Ok(GuestAnswer::Text(tools::address(agent)?)),
        _ => {
            let _ = login;
            let text = format!(
                "{}: {} is not supported yet",
                quoted(agent.vmx()),
                call.what()
            );
            return Err(Error::new(Kind::NotSupported, text).at(agent.vmx()));
        }
    }
    Ok(GuestAnswer::Done)
}
