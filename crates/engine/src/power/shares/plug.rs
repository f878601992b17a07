//! The devices of shared folders: one virtio-9p device for each.
//!
//! What a device serves, QEMU must be told when it starts, but it opens the folder only when the device
//! is plugged in. So each machine starts knowing two names for each slot, one to be read and one to be
//! written through, and we make the name a link to the folder right before that.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::mount::{mount_plugged, unmount_these};
use super::{SLOTS, Served, Shares};
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::power::halted::Held;
use crate::power::qmp::Control;
use crate::power::runtime::Runtime;
use crate::store::{Store, read_small, replace};
use crate::vm::{Env, VmFolder};

/// The record of a running VM's shared folders is no larger.
const LIMIT: u64 = 1 << 20;

/// A guest that lets go of a device has done so by then.
const LETTING_GO: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(20);

/// Makes what QEMU opens for `served`, and notes that they are plugged in.
///
/// # Errors
/// What the system says.
pub(in crate::power) fn present(store: &dyn Store, run: &Runtime, served: &[Served]) -> Result<()> {
    for one in served {
        run.present_share(one.slot, one.writable, &one.folder)?;
    }
    note(store, run, served)
}

/// Returns what was noted as plugged in to a VM that runs, which asks no machine.
pub(super) fn noted(store: &dyn Store, run: &Runtime) -> Vec<Served> {
    let bytes = read_small(store, &run.shares_record(), LIMIT).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn note(store: &dyn Store, run: &Runtime, served: &[Served]) -> Result<()> {
    if served.is_empty() && !store.exists(&run.shares_record()) {
        return Ok(());
    }
    let text = serde_json::to_vec(served)
        .map_err(|error| Error::new(Kind::Internal, format!("shared folders: {error}")))?;
    replace(store, &run.shares_record(), &text)
}

/// Returns what is plugged in to a machine.
///
/// # Errors
/// `VmNotRunning`; what QEMU says.
pub(in crate::power) fn plugged(held: &Held) -> Result<Vec<Served>> {
    let mut served = noted(held.store(), held.run());
    if !served.is_empty() {
        let devices = held.ask(Control::devices)?;
        served.retain(|one| devices.contains(&one.tag()));
    }
    Ok(served)
}

/// Brings the VM, which runs, to the shared folders that its configuration and its user say now, and
/// mounts them where an agent in the guest answers. The job is told what is not served or not mounted.
///
/// # Errors
/// `Busy` where the guest uses a folder that is to go, or does not let go of it: what was plugged in then
/// is as before; `Denied` where QEMU cannot open a folder; `VmNotRunning`.
pub(crate) fn sync_shares(env: &Env, vm: &VmFolder, job: &Job) -> Result<()> {
    let held = Held::take(env, vm, job)?;
    let shares = Shares::of(env, vm)?;
    let told = shares.left_out.iter().chain(&shares.remarks);
    told.for_each(|(_, text)| job.warn(text.clone()));
    let before = plugged(&held)?;
    let synced = exchange(&held, &before, &shares.served, job);
    if synced.is_err() {
        // As far as it can be taken back; the first error is the one that matters.
        let now = plugged(&held).unwrap_or_default();
        let _ = unplug(&held, &missing(&now, &before), &Job::new());
        let _ = plug(&held, &missing(&before, &now));
    }
    if let Err(error) = mount_plugged(&held, job) {
        job.warn(format!(
            "shared folders are not mounted in the guest: {error}"
        ));
    }
    synced
}

fn exchange(held: &Held, before: &[Served], wanted: &[Served], job: &Job) -> Result<()> {
    let stale = missing(before, wanted);
    unmount_these(held, &stale, true, job)?;
    unplug(held, &stale, job)?;
    let now = plugged(held)?;
    plug(held, &missing(wanted, &now))
}

/// Those of `some` that are not among `others`.
fn missing(some: &[Served], others: &[Served]) -> Vec<Served> {
    let some = some.iter().filter(|one| !others.contains(one));
    some.cloned().collect()
}

fn plug(held: &Held, served: &[Served]) -> Result<()> {
    let (store, run) = (held.store(), held.run());
    for one in served {
        run.present_share(one.slot, one.writable, &one.folder)?;
        held.ask(|control| control.add_device(device(one)))
            .map_err(|error| explain(held, one, error))?;
        let mut now = noted(store, run);
        now.retain(|other| other.slot != one.slot);
        now.push(one.clone());
        note(store, run, &now)?;
    }
    Ok(())
}

fn explain(held: &Held, served: &Served, error: Error) -> Error {
    if error.kind() == Kind::VmNotRunning {
        return error;
    }
    let text = format!(
        "{} cannot be shared with {}: {error}",
        quoted(&served.folder),
        quoted(held.vmx())
    );
    let hint = "whom QEMU runs as must be able to use the folder; a VM that was started before folders could be shared with it is to be started anew";
    Error::new(Kind::Denied, text).at(&served.folder).hint(hint)
}

fn unplug(held: &Held, served: &[Served], job: &Job) -> Result<()> {
    if served.is_empty() {
        return Ok(());
    }
    if !held.ask(Control::is_running)? {
        let text = format!(
            "{} is paused: its guest cannot let go of shared folders",
            quoted(held.vmx())
        );
        return Err(Error::new(Kind::Busy, text)
            .at(held.vmx())
            .hint("unpause it first"));
    }
    for one in served {
        held.ask(|control| control.remove_device(&one.tag()))?;
    }
    let deadline = Instant::now() + LETTING_GO;
    loop {
        let devices = held.ask(Control::devices)?;
        let left = served.iter().find(|one| devices.contains(&one.tag()));
        let Some(left) = left else { break };
        if Instant::now() >= deadline {
            let text = format!(
                "the guest of {} does not let go of the device of {}, \"{}\"",
                quoted(held.vmx()),
                left.device(),
                crate::error::escaped(&left.name)
            );
            let hint = "a guest that boots needs a moment; it goes when the VM is powered off";
            return Err(Error::new(Kind::Busy, text).at(held.vmx()).hint(hint));
        }
        job.check()?;
        std::thread::sleep(PAUSE);
    }
    let mut now = noted(held.store(), held.run());
    now.retain(|one| !served.contains(one));
    note(held.store(), held.run(), &now)
}

/// The device of a served folder, as QEMU is told it while it runs; [`arguments`] say the same.
fn device(served: &Served) -> serde_json::Value {
    json!({
        "driver": "virtio-9p-pci",
        "id": served.tag(),
        "fsdev": source(served.slot, served.writable),
        "mount_tag": served.tag(),
        "bus": "pci.0",
        "addr": address(served.slot),
    })
}

/// From the end of the bus: the other devices take its places from the beginning.
fn address(slot: u8) -> String {
    format!("{:#x}", 0x1f - slot)
}

fn source(slot: u8, writable: bool) -> String {
    let mode = if writable { 'w' } else { 'r' };
    format!("hgfs{slot}{mode}")
}

/// Returns QEMU's arguments, in pairs: the names that every machine knows, below `run`, and the devices of
/// `served`.
///
/// The guest's owners and modes are kept in extended attributes, and its links and devices as plain
/// files: nothing that it makes is more on the host than a file of whom QEMU runs as. QEMU follows no
/// link on the way to a file.
pub(in crate::power) fn arguments(
    links: &dyn Fn(u8, bool) -> PathBuf,
    served: &[Served],
) -> Vec<(&'static str, String)> {
    let mut arguments = Vec::new();
    for slot in 0..SLOTS {
        for writable in [false, true] {
            let path = escape(&links(slot, writable));
            let read_only = if writable { "off" } else { "on" };
            let source = source(slot, writable);
            arguments.push((
                "-fsdev",
                format!(
                    "local,id={source},path={path},security_model=mapped-xattr,multidevs=remap,readonly={read_only}"
                ),
            ));
        }
    }
    for one in served {
        let (tag, source) = (one.tag(), source(one.slot, one.writable));
        let address = address(one.slot);
        arguments.push((
            "-device",
            format!(
                "virtio-9p-pci,id={tag},fsdev={source},mount_tag={tag},bus=pci.0,addr={address}"
            ),
        ));
    }
    arguments
}

fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_is_the_same_at_the_start_and_later() {
        let served = Served {
            slot: 3,
            name: "a".into(),
            folder: "/srv/a".into(),
            writable: true,
        };
        let links = |slot: u8, writable| PathBuf::from(format!("/run/a,b/{slot}{writable}"));
        let arguments = arguments(&links, std::slice::from_ref(&served));
        let (option, text) = arguments.last().unwrap();
        assert_eq!(*option, "-device");
        let device = device(&served);
        let pairs = device.as_object().unwrap().iter();
        let mut words: Vec<String> = pairs
            .filter(|(key, _)| *key != "driver")
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap()))
            .collect();
        words.push(device["driver"].as_str().unwrap().into());
        words.sort();
        let mut said: Vec<String> = text.split(',').map(String::from).collect();
        said.sort();
        assert_eq!(said, words);
        assert_eq!(arguments.len(), 2 * usize::from(SLOTS) + 1);
        let written = arguments
            .iter()
            .filter(|(_, text)| text.contains("readonly=off"));
        assert_eq!(written.count(), usize::from(SLOTS));
        assert!(arguments[0].1.contains("path=/run/a,,b/0false,"));
    }
}
