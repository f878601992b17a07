//! What the agent tells to anybody: that it is there, and the guest's address.

use std::time::{Duration, Instant};

use qapi::qga;

use crate::error::{Error, Kind, Result, quoted};
use crate::power::{Channel, first_address};

/// Between two looks for an agent.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until the agent answers, for at most so many seconds.
///
/// # Errors
/// `Timeout`, `Cancelled`, `VmNotRunning`.
pub(super) fn wait(agent: &Channel, seconds: Option<u32>) -> Result<()> {
    let limit = seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let start = Instant::now();
    while !agent.answers()? {
        if limit.is_some_and(|limit| start.elapsed() >= limit) {
            let text = format!(
                "no agent answered in time in the guest of {}",
                quoted(agent.vmx())
            );
            let hint = "the guest needs the package qemu-guest-agent";
            return Err(Error::new(Kind::Timeout, text).at(agent.vmx()).hint(hint));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Returns the guest's first IPv4 address that others can reach; empty where it has none.
///
/// # Errors
/// As [`Channel::ask`].
pub(super) fn address(agent: &Channel) -> Result<String> {
    let interfaces = agent.ask(&qga::guest_network_get_interfaces {})?;
    Ok(first_address(&interfaces).map_or(String::new(), |ip| ip.to_string()))
}
