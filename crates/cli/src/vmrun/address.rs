//! `vmrun getGuestIPAddress VMX [-wait]`.

use std::time::{Duration, Instant};

use replix::error::escaped;
use replix::vm::{Variable, VariableKind};
use replix::{Error, Kind};

use super::call::{Answer, Call, Lines};
use super::failure::Failure;
use crate::interrupt::Interrupt;

/// How often the address is asked for.
const PERIOD: Duration = Duration::from_millis(200);

/// How long `-wait` waits where `--timeout` does not say.
const PATIENCE: Duration = Duration::from_secs(600);

/// What callers look for in the failure.
const NO_ADDRESS: &str = "Unable to get the IP address";

/// Prints the guest's IPv4 address; on request waits until it has one.
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
    loop {
        let address = vm.read_variable(&variable)?;
        if !address.is_empty() {
            return Ok(Lines::of(escaped(&address)));
        }
        if !wait || Instant::now() >= end {
            return Err(Failure::said(NO_ADDRESS));
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
