//! Starting a VM.
//!
//! QEMU is the child of a shell that waits for it and then takes back what the VM held: the control
//! socket and VMware's lock. So nothing of ours has to stay behind, whoever started the VM, and what
//! is held goes with the machine, however it ends. The lock names QEMU's own process: killing the
//! shell leaves a VM that runs and is known to run. Who starts a VM and is killed before it runs leaves
//! nothing that waits: the shell sees a pipe break, and ends QEMU.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, PipeWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use command_fds::{CommandFdExt, FdMapping};

use super::StartSpec;
use super::accelerator::Choice;
use super::agent::Channel;
use super::console;
use super::feed::Feed;
use super::machine::{FIRST_TAP, Machine, Parts};
use super::media;
use super::qmp::Control;
use super::runtime::{Record, Runtime, forget, running, runs_on};
use super::saved::{self, Saved};
use super::shares::{self, Shares};
use super::stop::{HANGING_UP, POLL, await_end, cut};
use super::transfer::load;
use super::user::{self, Servant};
use crate::disk::Chain;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::network::{Attachment, tap};
use crate::store::{Access, LockMode, Store, Undo, hidden_sibling, machine, read_small, replace};
use crate::vm::{
    Claim, Env, Firmware, Nic, Node, PowerState, RemoteDisplay, VmFolder, firmware, identity,
    location, lock, state, state_dir,
};

/// QEMU's program for PCs.
const QEMU: &str = "qemu-system-x86_64";

/// The windows that QEMU may have, and how they are asked for.
const WINDOWS: [(&str, &str); 2] = [
    ("gtk", "gtk,window-close=off"),
    ("sdl", "sdl,window-close=off"),
];

/// UEFI firmware of 4 MiB and its blank variables, as Debian, Fedora and Arch have them.
const FIRMWARE: [(&str, &str); 3] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
];

/// A machine that has not answered by then will not.
const READY: Duration = Duration::from_secs(60);

/// What tells our lines of a log from QEMU's; VMware's look like this.
const OURS: &str = " In(05) vmx ";

/// How much of a log is read for the reason of a failure.
const LOG_LIMIT: u64 = 1 << 20;

/// Arguments: the log, the folder of the running VM, the lock folder, the VM's configuration, a name
/// beside that under which it is written anew, QEMU's command line. Starts when it reads a line, after
/// printing the process that becomes QEMU. On descriptor 4 comes a line once the start is over; where it
/// ends without one, QEMU is ended, if the process of that number is still ours. From 5 on, the
/// descriptors are QEMU's alone: a tap goes with the last who has it. A shell closes those of one digit.
/// The log tells of an end that was no power off: above 128 it is a signal.
///
/// After any other end the configuration says so, and whether the guest's agent has answered. It is not
/// written while another process changes it: that is waited for once nothing is held any more, and the
/// VM may run again by then.
const KEEPER: &str = r#"
exec 3<&0 0</dev/null
ulimit -n "$(ulimit -H -n)"
log=$1 run=$2 lock=$3 vmx=$4 new=$5
shift 5
dir=${vmx%/*}
said='^[[:blank:]]*cleanShutdown[[:blank:]]*='
note='s/[^=]*=[^"]*"[^"]*"/replix.agent = "TRUE"/'
say_clean() (
    export LC_ALL=C
    flock -s "$@" 3 || exit
    [ "$1" = -n ] || [ ! -e "$lock" ] || exit 0
    grep -qi "$said.*FALSE" "$vmx" || exit 0
    [ -n "$answered" ] && ! grep -qi '^[[:blank:]]*replix\.agent[[:blank:]]*=' "$vmx" || note=d
    cp -p "$vmx" "$new" && sed "/$said/I { s/FALSE/TRUE/I; p; $note; }" "$vmx" >"$new" && sync "$new" &&
        mv -f "$new" "$vmx" && sync "$dir" || rm -f "$new"
) 3<"$dir"
( exec 4<&-; read -r go <&3 && exec "$@" 3<&- ) >>"$log" 2>&1 &
pid=$!
echo "$pid"
exec 3<&- 5<&- 6<&- 7<&- 8<&- 9<&- >/dev/null 2>&1
( read -r over <&4 || case $(cat "/proc/$pid/stat") in *") "?" $$ "*) kill "$pid" ;; esac ) &
exec 4<&-
trap '' HUP INT TERM
wait "$pid"
status=$?
answered=$(ls "$run/answered")
case $status in
    0) say_clean -n && status=said ;;
    *) echo "$(date +%s) In(05) vmx QEMU ended with status $status" >>"$log" ;;
esac
rm -rf "$run"
for member in "$lock"/M*.lck; do
    case $(tr -d '\0' <"$member") in *" $pid-"*) rm -f "$member" ;; esac
done
rmdir "$lock"
case $status in
    0) say_clean -w 60 ;;
esac
"#;

/// Powers the VM at `vmx` on; returns once it executes, or would where it is to be paused.
///
/// # Errors
/// `VmRunning`, `NoHypervisor`, `CannotStart`; what is wrong with a disk.
pub(crate) fn start(env: &Env, vmx: &Path, spec: &StartSpec, job: &Job) -> Result<()> {
    let mut claim = Claim::take(env, vmx, LockMode::Exclusive, job)?;
    let saved = require_startable(env, &claim)?;
    if claim.vm.config.is_template() {
        job.warn("this VM is a template: what it writes now is in every later clone of it");
    }
    let program = find_program(QEMU)?;
    let store = &*env.store;
    let vnc = screen(&claim.vm, spec)?;
    let resumed = saved.is_some();
    for stray in state::stray_memories(store, &claim.vm) {
        store.remove_file(&stray)?;
    }
    let chains = open_disks(env, &claim.vm)?;
    complete_identity(env, &mut claim.vm, resumed, job)?;
    claim.vm.config.begin_run();
    let feed = saved.as_ref().map(|saved| Feed::of(env, saved));
    let feed = feed.transpose()?;
    let run = Runtime::of(claim.vm.vmx());
    let servant = Servant::of(&env.settings)?;
    run.create(servant.is_some())?;
    let disks = present_disks(&run, &chains)?;
    if let Some(servant) = &servant {
        let own = servant.own(&run);
        own.and_then(|()| servant.own_disks(claim.vm.dir(), &chains))
            .inspect_err(|_| forget(store, claim.vm.vmx(), 0))?;
    }
    let shares = shared_folders(env, &claim.vm, &run, saved.as_ref())
        .inspect_err(|_| forget(store, claim.vm.vmx(), 0))?;
    let machine = build(
        env,
        &claim.vm,
        (spec, vnc.as_ref()),
        (disks, &shares),
        &run,
        saved.as_ref(),
        job,
    );
    let started = machine.and_then(|machine| {
        machine.remarks.iter().for_each(|remark| job.warn(remark));
        job.check()?;
        if let Some(servant) = &servant {
            let accelerator = Choice::of(&env.settings).accelerator;
            servant.require_access(&chains, &machine.written, &shares.served, accelerator)?;
        }
        let before = servant.as_ref().map(Servant::words).unwrap_or_default();
        launch(env, &mut claim, &run, (&before, &program), &machine, job)
    });
    let (record, starting) = started.inspect_err(|_| forget(store, claim.vm.vmx(), 0))?;
    let vm = &claim.vm;
    let mut undo = Undo::new(env.store.clone());
    // QEMU needs its time to begin: meanwhile this costs none. A VM that is resumed has it written with
    // its memory.
    if !resumed && let Err(error) = undo.replace(vm.vmx(), &vm.config.to_bytes()) {
        cut(store, &record)?;
        return Err(error);
    }
    await_ready(store, vm, &record, job, |control| {
        control.is_paused()?;
        let show = vnc.as_ref();
        show.map_or(Ok(()), |vnc| console::serve(vm, control, vnc))?;
        match saved.is_some() || spec.paused {
            true => Ok(()),
            false => control.resume(),
        }
    })?;
    undo.keep();
    if let Some(restored) = saved.as_ref().zip(feed) {
        resume(env, &mut claim.vm, restored, &record, starting, spec, job)?;
        // They were unmounted when the memory was saved. Without an agent, nobody mounts them.
        let _ = shares::mount_shares(env, &Channel::of(env, record, job));
        return Ok(());
    }
    starting.over();
    Ok(())
}

/// A start that is not over: QEMU ends if this goes before.
struct Starting(PipeWriter);

impl Starting {
    /// Tells the keeper that the VM is to go on by itself.
    fn over(mut self) {
        // Where the keeper is gone, nobody ends QEMU either.
        let _ = self.0.write_all(b"over\n");
    }
}

/// How the screen is served: as the caller wants, else as the configuration says.
fn screen(vm: &VmFolder, spec: &StartSpec) -> Result<Option<RemoteDisplay>> {
    if spec.vnc.is_some() {
        return Ok(spec.vnc.clone());
    }
    vm.config.remote_display().map_err(|why| {
        let text = format!("{}: {why}", quoted(vm.vmx()));
        Error::new(Kind::BadConfig, text).at(vm.vmx())
    })
}

/// Returns the memory that the VM goes on with, if it is suspended.
fn require_startable(env: &Env, claim: &Claim) -> Result<Option<Saved>> {
    let saved = match claim.state.state {
        PowerState::Suspended => saved::suspended_memory(env, &claim.vm)?,
        _ => None,
    };
    let Some(saved) = saved else {
        claim.require_off()?;
        require_no_orphan(env, &claim.vm)?;
        return Ok(None);
    };
    claim.require_plain()?;
    require_no_orphan(env, &claim.vm)?;
    saved.require_fit(env, &claim.vm, Choice::of(&env.settings).word())?;
    Ok(Some(saved))
}

/// Refuses to start a VM in whose place another one lay whose machine still runs: nobody would find that
/// one again.
fn require_no_orphan(env: &Env, vm: &VmFolder) -> Result<()> {
    let record = Runtime::of(vm.vmx()).record(&*env.store);
    record.map_or(Ok(()), |record| Err(runs_on(&record.vmx)))
}

/// Lets a machine that waits for its memory go on with it.
///
/// The configuration stops naming the memory before the guest executes, since from then on it is
/// outdated; the file goes after that.
fn resume(
    env: &Env,
    vm: &mut VmFolder,
    (saved, feed): (&Saved, Feed),
    record: &Record,
    starting: Starting,
    spec: &StartSpec,
    job: &Job,
) -> Result<()> {
    let store = &*env.store;
    let run = Runtime::of(vm.vmx());
    let mut undo = Undo::new(env.store.clone());
    let go_on = || {
        job.phase("restoring the memory");
        let mut control = Control::connect(&run.socket())?;
        load(feed, &run, &mut control, job)?;
        // From here on the memory is in the machine, which the configuration is about to say.
        starting.over();
        vm.config.forget_suspended();
        undo.replace(vm.vmx(), &vm.config.to_bytes())?;
        match spec.paused || saved.memory.paused {
            true => Ok(()),
            false => control.resume(),
        }
    };
    if let Err(error) = go_on() {
        let ended = await_end(record, HANGING_UP, &Job::new())?;
        cut(store, record)?;
        return Err(match ended {
            true => saved.explain(failure(store, vm), vm),
            false => error,
        });
    }
    undo.keep();
    saved.consume(env);
    Ok(())
}

/// Returns the path of a program.
///
/// # Errors
/// `NoHypervisor` names the package that has it.
pub(super) fn find_program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        let hint = "install the package qemu-system-x86 (on Fedora: qemu-system-x86-core)";
        Error::new(Kind::NoHypervisor, format!("{name} is not installed")).hint(hint)
    })
}

/// Gives a VM the uuid and the addresses that VMware would at its first start.
///
/// A VM that was copied becomes another one, but not while its guest is about to go on.
fn complete_identity(env: &Env, vm: &mut VmFolder, resumed: bool, job: &Job) -> Result<()> {
    if !resumed {
        let places = state_dir().map(|dir| dir.join("started"));
        let told = location::settle(env, vm, &running(env)?, places.as_deref());
        told.into_iter().for_each(|told| job.warn(told));
    }
    identity::complete(&mut vm.config);
    Ok(())
}

/// Opens and proves every chain: QEMU does not check content ids.
fn open_disks(env: &Env, vm: &VmFolder) -> Result<Vec<(Node, Chain)>> {
    env.require_each_once(vm, &vm.config)?;
    let mut disks = Vec::new();
    for slot in vm.config.disks() {
        let chain = env.disk(vm, &slot.file_name)?;
        chain.require_clean()?;
        chain.top().require_unused(&*env.store)?;
        disks.push((slot.node, chain));
    }
    Ok(disks)
}

/// Shows each link to QEMU in the folder of the running VM.
fn present_disks(run: &Runtime, chains: &[(Node, Chain)]) -> Result<Vec<(Node, Vec<PathBuf>)>> {
    let numbered = chains.iter().enumerate();
    let present = |(index, (node, chain)): (usize, &(Node, Chain))| {
        Ok((*node, run.present_chain(index, chain)?))
    };
    numbered.map(present).collect()
}

/// Decides which folders the machine serves, and has QEMU find them.
fn shared_folders(
    env: &Env,
    vm: &VmFolder,
    run: &Runtime,
    saved: Option<&Saved>,
) -> Result<Shares> {
    let mut shares = Shares::of(env, vm)?;
    if let Some(saved) = saved {
        shares = shares.for_slots(&saved.memory.shares, &run.nothing()?);
    }
    shares::present(&*env.store, run, &shares.served)?;
    Ok(shares)
}

fn build(
    env: &Env,
    vm: &VmFolder,
    (spec, vnc): (&StartSpec, Option<&RemoteDisplay>),
    (disks, shares): (Vec<(Node, Vec<PathBuf>)>, &Shares),
    run: &Runtime,
    saved: Option<&Saved>,
    job: &Job,
) -> Result<Machine> {
    let choice = Choice::of(&env.settings);
    let mut remarks = Vec::new();
    let name = vm.display_name();
    let parts = Parts {
        config: &vm.config,
        name: &name,
        accelerator: choice.word(),
        resumed: saved.map(|saved| saved.memory.machine.as_str()),
        display: display(spec, &mut remarks),
        vnc,
        disks,
        drives: media::drives(env, vm, &mut remarks),
        ports: media::ports(env, vm, &mut remarks)?,
        nics: attach(vm)?,
        shares,
        share_links: &|slot, writable| run.share_link(slot, writable),
        control: &run.socket(),
        agent: &run.agent_socket(),
        uefi: uefi(env, vm, run)?,
    };
    remarks.iter().for_each(|remark| job.warn(remark));
    Ok(Machine::of(&parts))
}

/// What each network adapter is connected to.
fn attach(vm: &VmFolder) -> Result<Vec<(Nic, Attachment)>> {
    let nics = vm.config.nics().into_iter();
    nics.map(|nic| Attachment::of(&nic).map(|to| (nic, to)))
        .collect()
}

/// A window needs a display and a QEMU that can draw on it. To close it is to look away: it does not
/// cut the power.
fn display(spec: &StartSpec, remarks: &mut Vec<String>) -> &'static str {
    if !spec.gui {
        return "none";
    }
    let has_display = ["WAYLAND_DISPLAY", "DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    let known = Command::new(QEMU).args(["-display", "help"]).output();
    let known = known.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let known = known.unwrap_or_default();
    let mut windows = WINDOWS.iter().filter(|_| has_display);
    let is_known = |(name, _): &&(&str, _)| known.lines().any(|line| line == *name);
    if let Some((_, window)) = windows.find(is_known) {
        return window;
    }
    remarks.push(match has_display {
        true => "no window: QEMU has none here (package qemu-system-gui)".into(),
        false => "no window: there is no display".into(),
    });
    "none"
}

/// For a VM with UEFI: the firmware, and this VM's own variables, made at its first start. VMware's
/// `.nvram` has another form and is left alone.
fn uefi(env: &Env, vm: &VmFolder, run: &Runtime) -> Result<Option<(PathBuf, PathBuf)>> {
    let store = &*env.store;
    if !matches!(vm.config.firmware(), Firmware::Efi { .. }) {
        return Ok(None);
    }
    let (code, blank) = find_firmware(store, vm)?;
    let variables = env.own_output(vm, &firmware::variables(vm))?;
    if !store.exists(&variables) {
        replace(
            store,
            &variables,
            &read_small(store, &blank, firmware::VARIABLES_LIMIT)?,
        )?;
        user::give(run, &variables)?;
    }
    Ok(Some((code, variables)))
}

/// Returns the UEFI firmware, and the variables that a new VM begins with.
///
/// # Errors
/// `NoHypervisor` names the package that has them.
pub(super) fn find_firmware(store: &dyn Store, vm: &VmFolder) -> Result<(PathBuf, PathBuf)> {
    let found = FIRMWARE
        .iter()
        .map(|(code, blank)| (PathBuf::from(code), PathBuf::from(blank)))
        .find(|(code, blank)| store.exists(code) && store.exists(blank));
    found.ok_or_else(|| {
        let text = format!(
            "{} needs UEFI firmware, which is not installed",
            quoted(vm.vmx())
        );
        let hint = "install the package ovmf (on Fedora and Arch: edk2-ovmf)";
        Error::new(Kind::NoHypervisor, text).hint(hint)
    })
}

/// Starts QEMU under its keeper, the VM locked and remembered before it runs.
fn launch(
    env: &Env,
    claim: &mut Claim,
    run: &Runtime,
    (before, program): (&[OsString], &Path),
    machine: &Machine,
    job: &Job,
) -> Result<(Record, Starting)> {
    let store = &*env.store;
    claim.hand_over();
    let vm = &claim.vm;
    let log = new_log(store, vm)?;
    let mut keeper = Command::new("setsid");
    keeper.args(["--fork", "sh", "-c", KEEPER, lock::RUNNER]);
    keeper
        .args([&log, &run.dir, &lock::lock_folder(vm.vmx())])
        .args([vm.vmx(), &hidden_sibling(vm.vmx())])
        .args(before)
        .arg(program)
        .args(&machine.args);
    keeper
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let failed = |error| Error::io("start", Path::new("setsid"), error);
    let (watched, starting) = std::io::pipe().map_err(failed)?;
    let mut descriptors = taps(&machine.taps)?;
    descriptors.push(FdMapping {
        parent_fd: watched.into(),
        child_fd: FIRST_TAP - 1,
    });
    keeper
        .fd_mappings(descriptors)
        .map_err(|_| Error::new(Kind::Internal, "two taps have one number"))?;
    let mut child = keeper.spawn().map_err(failed)?;
    // What it has open here is not to outlive it.
    drop(keeper);
    let (pid, mut go) = read_pid(&mut child)?;
    let cannot = |error: std::io::Error| Error::new(Kind::CannotStart, format!("QEMU: {error}"));
    child.wait().map_err(cannot)?;
    let process = machine::Process::find(pid)
        .ok_or_else(|| Error::new(Kind::CannotStart, "QEMU ended before it began"))?;
    let record = Record {
        vmx: vm.vmx().to_path_buf(),
        pid,
        start: process.start,
        accelerator: Choice::of(&env.settings).word().into(),
    };
    begin_log(store, &log, pid, &job.warnings())?;
    lock::lock_for_process(store, vm.vmx(), LockMode::Exclusive, pid, lock::RUNNER)?;
    run.remember(store, &record)?;
    go.write_all(b"go\n").map_err(cannot)?;
    Ok((record, Starting(starting)))
}

/// Makes a tap on each bridge, to be open in QEMU under the numbers that its arguments name.
fn taps(bridges: &[String]) -> Result<Vec<FdMapping>> {
    let numbered = bridges.iter().zip(FIRST_TAP..);
    let mapping = |(bridge, child_fd): (&String, i32)| {
        tap(bridge).map(|parent_fd| FdMapping {
            parent_fd,
            child_fd,
        })
    };
    numbered.map(mapping).collect()
}

/// Reads the number of the process that becomes QEMU when it gets a line.
fn read_pid(child: &mut Child) -> Result<(u32, ChildStdin)> {
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        // An error leaves the line empty, and that is answered below.
        let _ = BufReader::new(out).read_line(&mut line);
    }
    let pid = line.trim().parse().ok();
    pid.zip(child.stdin.take())
        .ok_or_else(|| Error::new(Kind::CannotStart, "the shell that keeps QEMU did not start"))
}

/// Makes an empty log and returns its path. Older ones move on, `vmware.log` to `vmware-0.log` and so
/// on, as VMware does.
fn new_log(store: &dyn Store, vm: &VmFolder) -> Result<PathBuf> {
    let name = |number: Option<u8>| match number {
        Some(number) => vm.dir().join(format!("vmware-{number}.log")),
        None => vm.dir().join("vmware.log"),
    };
    for (from, to) in [(Some(1), Some(2)), (Some(0), Some(1)), (None, Some(0))] {
        // A log that is not there need not be moved.
        let _ = store.rename(&name(from), &name(to));
    }
    store.create(&name(None))?;
    Ok(name(None))
}

/// Writes what the log begins with: who runs, then what the user should know. Callers look for
/// ` pid=N` in the first line.
fn begin_log(store: &dyn Store, log: &Path, pid: u32, remarks: &[String]) -> Result<()> {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let version = env!("CARGO_PKG_VERSION");
    let first = format!("Log for Replix pid={pid} version={version} option=Release");
    let remarks = remarks.iter().map(|remark| escaped(remark));
    let text: String = std::iter::once(first)
        .chain(remarks)
        .map(|line| format!("{seconds}{OURS}{line}\n"))
        .collect();
    let file = store.open(log, Access::Write)?;
    file.write_at(text.as_bytes(), file.len()?)
}

/// Waits until the machine answers, and has it `begin`, which may let the guest execute: from there on
/// it may power itself off at any time. A machine that does not begin is ended.
fn await_ready(
    store: &dyn Store,
    vm: &VmFolder,
    record: &Record,
    job: &Job,
    begin: impl Fn(&mut Control) -> Result<()>,
) -> Result<()> {
    let control = Runtime::of(vm.vmx()).socket();
    let deadline = Instant::now() + READY;
    loop {
        if let Ok(mut control) = Control::connect(&control) {
            let Err(error) = begin(&mut control) else {
                return Ok(());
            };
            // The socket serves one client at a time.
            drop(control);
            let ended = await_end(record, HANGING_UP, &Job::new())?;
            cut(store, record)?;
            return Err(match ended {
                true => failure(store, vm),
                false => error,
            });
        }
        if !record.is_alive() {
            return Err(failure(store, vm));
        }
        if job.check().is_err() || Instant::now() >= deadline {
            cut(store, record)?;
            job.check()?;
            return Err(failure(store, vm));
        }
        std::thread::sleep(POLL);
    }
}

/// Why QEMU ended: the last line of its log that says something.
fn failure(store: &dyn Store, vm: &VmFolder) -> Error {
    let log = vm.dir().join("vmware.log");
    let bytes = read_small(store, &log, LOG_LIMIT).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let is_qemus = |line: &&str| !line.trim().is_empty() && !line.contains(OURS);
    let said = text.lines().rfind(is_qemus);
    let reason = escaped(said.unwrap_or("it says nothing about why"));
    let text = format!("{} did not start: {reason}", quoted(vm.vmx()));
    Error::new(Kind::CannotStart, text)
        .at(vm.vmx())
        .hint(format!("see {}", quoted(&log)))
}
