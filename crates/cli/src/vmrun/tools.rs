//! `vmrun upgradevm VMX`, `installTools VMX`, `checkToolsState VMX`.

use replix::Kind;
use replix::guest::GuestCall;
use replix::vm::PowerState;

use super::call::{Answer, Call, Lines};
use super::failure::Failure;

/// The exit status of a VM that cannot be asked; source: captured output (-2).
const CANNOT_BE_ASKED: u8 = 254;

/// Brings a VM to the newest hardware version; prints nothing.
pub(super) fn upgrade_vm(call: &Call) -> Answer {
    let vm = call.open()?;
    call.finish(|| vm.upgrade_hardware())?;
    Ok(Lines::default())
}

/// Puts the agent's installer into the guest's drive; prints nothing.
pub(super) fn install(call: &Call) -> Answer {
    call.guest(GuestCall::InstallTools {
        auto_upgrade: false,
        return_immediately: true,
        arguments: None,
    })?;
    Ok(Lines::default())
}

/// Prints whether the guest's agent runs: `running`; `installed` where it is known to be there and does not
/// answer, as in a guest that boots; or `unknown`.
pub(super) fn check(call: &Call) -> Answer {
    let vm = call.open()?;
    if matches!(vm.state()?, PowerState::Off | PowerState::Suspended) {
        return Err(Failure::Answer("unknown".into(), CANNOT_BE_ASKED));
    }
    let wait = GuestCall::WaitForTools { seconds: Some(1) };
    match call.guest_as(None, wait) {
        Ok(_) => Ok(Lines::of("running")),
        Err(Failure::Engine(error)) => match error.kind() {
            Kind::ToolsNotRunning | Kind::Timeout => {
                let known = call.host()?.provider().summary(vm.path())?.has_agent;
                Ok(Lines::of(if known { "installed" } else { "unknown" }))
            }
            _ => Err(Failure::Engine(error)),
        },
        Err(failure) => Err(failure),
    }
}
