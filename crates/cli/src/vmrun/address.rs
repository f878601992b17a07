//! `vmrun getGuestIPAddress VMX [-wait]`.

use std::time::{Duration, Instant};

use replix::error::escaped;
use replix::guest::{GuestAnswer, GuestCall};
use replix::vm::{Variable, VariableKind};
use replix::{Error, Kind, Vm};

use super::call::{Answer, Call, Lines};
use super::failure::Failure;
use crate::interrupt::Interrupt;

/// How often the address is asked for.
const PERIOD: Duration = Duration::from_millis(200);

/// How long `-wait` waits where `--timeout` does not say.
const PATIENCE: Duration = Duration::from_secs(600);

/// What callers look for in the failure.
const NO_ADDRESS: &str = "Unable to get the IP address";

/// What is printed of a guest that tells no address, with success.
const UNKNOWN: &str = "unknown";

/// Prints the guest's IPv4 address; on request waits until it has one, which one that is on no network
/// of this host never has.
pub(super) fn run(call: &Call) -> Answer {
    let vm = call.open()?;
    let wait = call.mode(1) == "-wait";
    let interrupt = Interrupt::listen();
    let end = Instant::now() + PATIENCE;
    let kind = VariableKind::Guest;
    let variable = Variable {
        kind,
        name: "ip".into(),
    };
    let mut looked = false;
    loop {
        let address = vm.read_variable(&variable)?;
        if !address.is_empty() {
            return Ok(Lines::of(escaped(&address)));
        }
        if !wait {
            return without_address(call);
        }
        if Instant::now() >= end {
            return Err(Failure::said(NO_ADDRESS));
        }
        if !looked {
            require_network(&vm)?;
            looked = true;
        }
        if call.is_late() {
            return Err(call.too_late());
        }
        if interrupt.requested() {
            return Err(Error::new(Kind::Cancelled, "interrupted").into());
        }
        std::thread::sleep(PERIOD);
    }
}

/// The answer where there is no address: whether Tools run makes the difference.
fn without_address(call: &Call) -> Answer {
    match call.guest_as(None, GuestCall::CheckTools)? {
        GuestAnswer::Exists(true) => Ok(Lines::of(UNKNOWN)),
        _ => Err(Failure::said(NO_ADDRESS)),
    }
}

/// Fails where no adapter of the VM is on a network of this host.
fn require_network(vm: &Vm) -> Result<(), Failure> {
    if vm.info()?.nics.iter().any(|nic| nic.reachable) {
        return Ok(());
    }
    let why = "it is on no network of this host (let root make one: replix network setup)";
    Err(Failure::said(format!("{NO_ADDRESS}: {why}")))
}
