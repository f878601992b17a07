//! Shared folders mounted in a Linux guest by its agent, at `/mnt/hgfs/NAME` as VMware's are.
//!
//! QEMU knows which are mounted: a mounted one forbids to save the machine. So nothing that a guest says
//! is believed here, and nothing needs to be remembered over its reboots.

use std::time::Duration;

use qapi::qga;

use super::Served;
use super::plug::{noted, plugged};
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::power::agent::{Channel, shown};
use crate::power::halted::Held;
use crate::power::qmp::Control;
use crate::power::runtime::Runtime;
use crate::vm::Env;

/// A guest that mounts or unmounts at all has done so by then.
const LIMIT: Duration = Duration::from_secs(60);

/// What ends the reason why a machine with a mounted folder cannot be saved, before the name.
const MARK: &str = "mount_tag '";

/// Arguments, three for each folder: tag, name, `rw` or `ro`. A device that was just plugged in takes the
/// guest a moment. The agent's own folders are for nobody else.
const MOUNT: &str = r#"
umask 022
modprobe -q -a 9pnet_virtio 9p
grep -qw 9p /proc/filesystems || { echo "its kernel has no file system 9p" >&2; exit 1; }
status=0
while [ $# -ge 3 ]; do
    dir=/mnt/hgfs/$2
    tries=0
    until grep -q "^$1 " /proc/mounts; do
        said=$({ mkdir -p "$dir" && mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$3" "$1" "$dir"; } 2>&1) && break
        tries=$((tries + 1))
        case $said in *busy*) tries=50 ;; esac
        [ $tries -lt 50 ] || { echo "$said" >&2; status=1; break; }
        sleep 0.1
    done
    shift 3
done
exit $status
"#;

/// Arguments: `keep` or `remove` the folder that it was mounted at; then two for each: tag, name. One that
/// is bound to another place as well stays: it could not be mounted anew.
const UNMOUNT: &str = r#"
then=$1
shift
status=0
while [ $# -ge 2 ]; do
    places=$(grep -c "^$1 " /proc/mounts)
    if [ "$places" -gt 1 ]; then
        echo "it is mounted at another place as well" >&2
        exit 1
    elif [ "$places" = 1 ]; then
        umount "/mnt/hgfs/$2" || status=1
    fi
    [ $then = keep ] || rmdir "/mnt/hgfs/$2" 2>/dev/null
    shift 2
done
exit $status
"#;

/// Mounts the shared folders of the VM that `agent` belongs to, as far as they are not mounted. Where
/// another operation has the VM in hand, that is left to a later time.
///
/// # Errors
/// As [`Channel::ask`]; `Io` with what the guest says.
pub(crate) fn mount_shares(env: &Env, agent: &Channel) -> Result<()> {
    if noted(agent.store(), &Runtime::of(agent.vmx())).is_empty() {
        return Ok(());
    }
    let vm = env.open(agent.vmx())?;
    match Held::at_once(env, &vm)? {
        Some(held) => mount_with(&held, agent),
        None => Ok(()),
    }
}

/// Mounts the shared folders that are plugged in.
///
/// # Errors
/// As [`mount_shares`].
pub(super) fn mount_plugged(held: &Held, job: &Job) -> Result<()> {
    if noted(held.store(), held.run()).is_empty() {
        return Ok(());
    }
    mount_with(held, &held.agent(job))
}

fn mount_with(held: &Held, agent: &Channel) -> Result<()> {
    let there = plugged(held)?;
    let mounted = held.ask(mounted_tags)?;
    let is_missing = |one: &&Served| !one.name.is_empty() && !mounted.contains(&one.tag());
    let missing: Vec<&Served> = there.iter().filter(is_missing).collect();
    if missing.is_empty() || !held.ask(Control::is_running)? {
        return Ok(());
    }
    let mut words = Vec::new();
    for one in missing {
        let mode = if one.writable { "rw" } else { "ro" };
        words.extend([one.tag(), one.name.clone(), mode.into()]);
    }
    run(agent, MOUNT, words)
}

/// The devices that the guest has mounted, by their tags.
fn mounted_tags(control: &mut Control) -> Result<Vec<String>> {
    let reasons = control.transfer()?.blocked_reasons.unwrap_or_default();
    let tags = reasons.iter().filter_map(|reason| mounted_tag(reason));
    Ok(tags.map(String::from).collect())
}

/// Returns the tag of the mounted folder that is the reason why a machine cannot be saved.
pub(in crate::power) fn mounted_tag(reason: &str) -> Option<&str> {
    let (before, tag) = reason.rsplit_once(MARK)?;
    before
        .contains("VirtFS")
        .then(|| tag.trim_end_matches(['\'', '\n']))
}

/// Unmounts those of `served` that are mounted. With `remove`, the folders that they were mounted at go.
///
/// # Errors
/// `Busy` naming the one that the guest does not let go of.
pub(super) fn unmount_these(held: &Held, served: &[Served], remove: bool, job: &Job) -> Result<()> {
    let mounted = held.ask(mounted_tags)?;
    let is_mounted = |one: &&Served| mounted.contains(&one.tag());
    let Some(first) = served.iter().find(is_mounted) else {
        return Ok(());
    };
    if !held.ask(Control::is_running)? {
        return Err(in_use(
            held,
            first,
            "its guest is paused",
            "unpause it first",
        ));
    }
    let mut words = vec![String::from(if remove { "remove" } else { "keep" })];
    for one in served.iter().filter(is_mounted) {
        words.extend([one.tag(), one.name.clone()]);
    }
    let said = run(&held.agent(job), UNMOUNT, words);
    job.check()?;
    let mounted = held.ask(mounted_tags)?;
    match served.iter().find(|one| mounted.contains(&one.tag())) {
        Some(left) => {
            let why = said
                .err()
                .map_or("it is mounted at another place".into(), |error| {
                    error.to_string()
                });
            let hint = "end what uses it in the guest, or unmount it there";
            Err(in_use(held, left, &why, hint))
        }
        None => Ok(()),
    }
}

fn in_use(held: &Held, served: &Served, why: &str, hint: &str) -> Error {
    let text = format!(
        "the guest of {} has the shared folder \"{}\" ({}) mounted, and it cannot be unmounted: {why}",
        quoted(held.vmx()),
        escaped(&served.name),
        served.device(),
    );
    Error::new(Kind::Busy, text).at(held.vmx()).hint(hint)
}

/// Demands that no shared folder is mounted in the guest, which executes no more.
///
/// # Errors
/// `Busy` naming one.
pub(in crate::power) fn require_unmounted(held: &Held) -> Result<()> {
    let there = plugged(held)?;
    if there.is_empty() {
        return Ok(());
    }
    let mounted = held.ask(mounted_tags)?;
    match there.iter().find(|one| mounted.contains(&one.tag())) {
        Some(one) => Err(in_use(held, one, "its guest is halted", "unmount it first")),
        None => Ok(()),
    }
}

/// Shared folders that were unmounted for a moment.
pub(in crate::power) struct Unmounted(bool);

/// Unmounts all shared folders of a machine that is about to be saved, which mounted ones forbid.
///
/// # Errors
/// `Busy` naming the one that the guest does not let go of; all are as before then.
pub(in crate::power) fn unmount(held: &Held, job: &Job) -> Result<Unmounted> {
    let there = plugged(held)?;
    if there.is_empty() {
        return Ok(Unmounted(false));
    }
    if let Err(error) = unmount_these(held, &there, false, job) {
        mount_again(held, &Unmounted(true));
        return Err(error);
    }
    Ok(Unmounted(true))
}

/// Mounts again what was unmounted; what cannot be is mounted by who next asks the agent something.
pub(in crate::power) fn mount_again(held: &Held, unmounted: &Unmounted) {
    if unmounted.0 {
        let _ = mount_plugged(held, &Job::new());
    }
}

/// Runs a script of ours in the guest, in the name of the agent.
fn run(agent: &Channel, script: &str, words: Vec<String>) -> Result<()> {
    let before = ["-c", script, "sh"].map(String::from);
    let started = agent.ask(&qga::guest_exec {
        path: "/bin/sh".into(),
        arg: Some(before.into_iter().chain(words).collect()),
        env: Some(vec![
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin".into(),
            "LC_ALL=C".into(),
        ]),
        input_data: None,
        capture_output: Some(qga::GuestExecCaptureOutput::flag(true)),
    })?;
    let ended = agent.await_exit(started.pid, Some(LIMIT))?;
    agent.hang_up();
    if ended.exitcode == Some(0) {
        return Ok(());
    }
    let said = ended.err_data.unwrap_or_default();
    let text = format!(
        "the guest of {} says: {}",
        quoted(agent.vmx()),
        shown(&String::from_utf8_lossy(&said))
    );
    Err(Error::new(Kind::Io, text).at(agent.vmx()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounted_folder_is_known_by_what_qemu_says() {
        let reason = "Migration is disabled when VirtFS export path '/run/mount_tag 'hgfs9'/0w' \
                      is mounted in the guest using mount_tag 'hgfs0'";
        assert_eq!(mounted_tag(reason), Some("hgfs0"));
        assert_eq!(mounted_tag("The vmdk format used by node 'x' ..."), None);
    }
}
