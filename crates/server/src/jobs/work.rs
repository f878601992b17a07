//! What an operation is for the engine.

use replix::clone::RelinkSpec;
use replix::disk::DiskCall;
use replix::host::Provider;
use replix::{Job, Result};
use replix_remote::wire::{Answer, Operation};

use super::entry::target;
use crate::request::check;

/// Checks the paths of an operation.
///
/// # Errors
/// `Argument`.
pub(crate) fn check_paths(operation: &Operation) -> Result<()> {
    check(target(operation))?;
    match operation {
        Operation::Clone { spec, .. } => check(&spec.destination),
        Operation::Relink {
            spec: RelinkSpec {
                parent: Some(parent),
            },
            ..
        } => check(parent),
        Operation::Disk {
            call:
                DiskCall::Convert { to, .. }
                | DiskCall::ToRaw { to }
                | DiskCall::FromRaw { to, .. }
                | DiskCall::Rename { to }
                | DiskCall::Compare { with: to },
            ..
        } => check(to),
        _ => Ok(()),
    }
}

/// Does an operation.
///
/// # Errors
/// What the engine says.
pub(crate) fn run(host: &dyn Provider, operation: &Operation, job: &Job) -> Result<Answer> {
    let done = |()| Answer::Done;
    match operation {
        Operation::Clone { vm, spec } => host.clone_vm(vm, spec, job).map(Answer::Clone),
        Operation::CreateSnapshot { vm, new } => {
            host.create_snapshot(vm, new, job).map(Answer::Snapshot)
        }
        Operation::Revert { vm, spec } => host.revert(vm, spec, job).map(done),
        Operation::RemoveSnapshot {
            vm,
            snapshot,
            children,
        } => host.remove_snapshot(vm, snapshot, *children, job).map(done),
        Operation::Consolidate { vm } => host.consolidate(vm, job).map(Answer::Consolidated),
        Operation::Promote { vm, spec } => host.promote(vm, *spec, job).map(Answer::Promoted),
        Operation::Relink { vm, spec } => host.relink(vm, spec, job).map(Answer::Relinked),
        Operation::Delete { vm, spec } => host.delete(vm, *spec, job).map(done),
        Operation::PowerOn { vm, spec } => host.power_on(vm, spec, job).map(done),
        Operation::PowerOff { vm, mode } => host.power_off(vm, *mode, job).map(done),
        Operation::Reset { vm, mode } => host.reset(vm, *mode, job).map(done),
        Operation::Pause { vm } => host.pause(vm, job).map(done),
        Operation::Unpause { vm } => host.unpause(vm, job).map(done),
        Operation::Suspend { vm, mode } => host.suspend(vm, *mode, job).map(done),
        Operation::UpgradeHardware { vm } => host.upgrade_hardware(vm, job).map(done),
        Operation::Device { vm, call } => host.device(vm, call, job).map(done),
        Operation::Guest { vm, login, call } => {
            host.guest(vm, login.as_ref(), call, job).map(Answer::Guest)
        }
        Operation::Disk { path, call } => host.disk(path, call, job).map(Answer::Disk),
        Operation::CheckDisk { path } => host.disk_check(path, job).map(Answer::Check),
    }
}
