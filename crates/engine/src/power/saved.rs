//! The memory of a guest in a file: written by QEMU when a VM is suspended or a snapshot is taken of
//! a running one, read by it when the VM goes on.
//!
//! The file is ours (`.replixstate`): a head that says what it fits, then QEMU's migration stream.
//! It goes over a socket and through our hands, so that QEMU needs no rights to the VM's folder, and
//! whatever release of it can be used that knows sockets. The VM's configuration says in VMware's
//! words, `checkpoint.vmState`, that it is suspended to this file.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use qapi::qmp::MigrationStatus as Status;
use serde::{Deserialize, Serialize};

use super::halted::Held;
use super::qmp::Control;
use super::runtime::Runtime;
use super::user;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::store::{Access, Bytes, folder_of, hidden_sibling};
use crate::vm::{Env, VmFolder, state};

/// What the head of a file begins with.
const MAGIC: &[u8] = b"replix memory 1\n";

/// The length of the head, filled up with zeros.
const HEAD: usize = 64 << 10;

/// QEMU says within this time that it has begun, or ended, or given up.
const ANSWER: Duration = Duration::from_secs(60);

/// How often QEMU is asked for progress, and the job whether it was cancelled.
const PULSE: Duration = Duration::from_millis(50);

/// What a saved memory fits: the text of the head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The release of QEMU that wrote it.
    pub(super) qemu: String,
    /// QEMU's name of the machine's type.
    pub(super) machine: String,
    /// `kvm` or `tcg`.
    pub(super) accelerator: String,
    /// Whether the VM was paused.
    pub(super) paused: bool,
    /// The disks, by slot and content id: a disk that was written to since does not fit.
    pub(super) disks: Vec<(String, u32)>,
}

/// A memory that a VM is to be resumed from.
pub(super) struct Saved {
    path: PathBuf,
    /// What it fits.
    pub(super) memory: Memory,
    /// Whether it is a snapshot's, which is gone back to more than once.
    kept: bool,
}

/// Returns the memory that a VM is suspended to; `None` where it is not suspended.
///
/// # Errors
/// `NotSupported` for a state of VMware's; `SnapshotBroken` where the file is missing or damaged.
pub(super) fn of(env: &Env, vm: &VmFolder) -> Result<Option<Saved>> {
    let Some(name) = vm.config.suspended_to() else {
        return Ok(None);
    };
    if !state::is_our_memory(&name) {
        let text = format!(
            "{} was suspended by VMware, whose memory format is its own",
            quoted(vm.vmx())
        );
        let hint = "resume it in VMware, or make a full clone, which starts from the disks";
        return Err(Error::new(Kind::NotSupported, text).at(vm.vmx()).hint(hint));
    }
    let missing = || {
        let text = format!(
            "the memory of {}, {}, is missing",
            quoted(vm.vmx()),
            quoted(&name)
        );
        let hint = "put it back; without it, the VM starts from its disks once checkpoint.vmState is \"\" in its configuration";
        Error::new(Kind::SnapshotBroken, text)
            .at(vm.vmx())
            .hint(hint)
    };
    let path = env.own_file(vm, &name)?.ok_or_else(missing)?;
    let memory = read(&*env.store.open(&path, Access::Read)?, &path)?;
    let snapshots = env.vmsd(vm)?;
    let kept = snapshots
        .snapshots()
        .iter()
        .any(|entry| state::memory_beside(&entry.file_name) == Path::new(&name));
    Ok(Some(Saved { path, memory, kept }))
}

fn read(file: &dyn Bytes, path: &Path) -> Result<Memory> {
    let mut head = vec![0; HEAD];
    let got = file.read_at(&mut head, 0)?;
    let text = head[..got]
        .strip_prefix(MAGIC)
        .filter(|_| got == HEAD)
        .and_then(|text| text.split(|byte| *byte == 0).next());
    let memory = text.and_then(|text| serde_json::from_slice(text).ok());
    memory.ok_or_else(|| {
        let text = format!("{} holds no memory of a VM", quoted(path));
        Error::new(Kind::SnapshotBroken, text).at(path)
    })
}

/// Returns the disks of a VM by slot and content id.
///
/// # Errors
/// What is wrong with a disk.
pub(super) fn identify(env: &Env, vm: &VmFolder) -> Result<Vec<(String, u32)>> {
    let disks = vm.config.disks().into_iter().map(|slot| {
        let chain = env.disk(vm, &slot.file_name)?;
        Ok((slot.node.to_string(), chain.top().cid()))
    });
    disks.collect()
}

/// Says that a VM's memory cannot be saved.
pub(super) fn unsavable(vm: &VmFolder, reasons: &[String]) -> Error {
    let reasons: Vec<String> = reasons.iter().map(|reason| escaped(reason)).collect();
    let text = format!(
        "the memory of {} cannot be saved: {}",
        quoted(vm.vmx()),
        reasons.join("; ")
    );
    let hint = "a snapshot without memory can be taken, or the VM be stopped";
    Error::new(Kind::NotSupported, text).at(vm.vmx()).hint(hint)
}

/// Writes the memory of a machine to a new file at `path`, durable.
pub(super) fn save(
    env: &Env,
    held: &Held,
    run: &Runtime,
    path: &Path,
    memory: &Memory,
    job: &Job,
) -> Result<()> {
    let store = &*env.store;
    let unfinished = hidden_sibling(path);
    let saved = write(env, held, run, &unfinished, memory, job)
        .and_then(|()| store.rename(&unfinished, path))
        .and_then(|()| store.sync_dir(folder_of(path)));
    if saved.is_err() {
        let _ = store.remove_file(&unfinished);
        let _ = store.remove_file(path);
    }
    saved
}

fn write(
    env: &Env,
    held: &Held,
    run: &Runtime,
    path: &Path,
    memory: &Memory,
    job: &Job,
) -> Result<()> {
    job.phase("saving the memory");
    let mut head = MAGIC.to_vec();
    head.extend(serde_json::to_vec(memory).map_err(|e| internal(&e.to_string()))?);
    // A zero ends the text.
    if head.len() >= HEAD {
        return Err(internal("it has too many disks"));
    }
    head.resize(HEAD, 0);
    let file = env.store.create(path)?;
    file.write_at(&head, 0)?;
    let socket = run.stream();
    let _ = std::fs::remove_file(&socket);
    let failed = |error| Error::io("listen at", &socket, error);
    let listener = UnixListener::bind(&socket).map_err(failed)?;
    user::give(run, &socket)?;
    listener.set_nonblocking(true).map_err(failed)?;
    held.ask(|control| control.begin_saving(&socket))?;
    let copied = receive(held, &listener, &*file, job);
    // The machine can go on, whatever came of it, once QEMU has come to an end.
    let ended = await_transfer(held);
    copied.and(ended)?;
    file.sync()
}

/// Copies what QEMU sends until it ends. That has a thread of its own: at the end QEMU answers
/// nobody until it is rid of what it sends.
fn receive(held: &Held, listener: &UnixListener, file: &dyn Bytes, job: &Job) -> Result<()> {
    let stream = accept(held, listener, job)?;
    let (ended, end) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || ended.send(copy(stream, file)));
        let mut progress = Progress::default();
        let mut cancelled = Ok(());
        loop {
            match end.recv_timeout(PULSE) {
                Ok(copied) => return cancelled.and(copied),
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(internal("a panic")),
                Err(mpsc::RecvTimeoutError::Timeout) => progress.tell(held, job),
            }
            if cancelled.is_ok() && job.check().is_err() {
                cancelled = job.check();
                // It may have come to its end meanwhile.
                let _ = held.ask(Control::cancel_saving);
            }
        }
    })
}

fn copy(mut stream: UnixStream, file: &dyn Bytes) -> Result<()> {
    let broken = |error| Error::io("read from", Path::new("QEMU"), error);
    stream.set_nonblocking(false).map_err(broken)?;
    let mut buffer = vec![0; 1 << 20];
    let mut position = HEAD as u64;
    loop {
        let got = stream.read(&mut buffer).map_err(broken)?;
        if got == 0 {
            return Ok(());
        }
        file.write_at(&buffer[..got], position)?;
        position += got as u64;
    }
}

/// Waits until QEMU connects.
fn accept(held: &Held, listener: &UnixListener, job: &Job) -> Result<UnixStream> {
    let deadline = Instant::now() + ANSWER;
    loop {
        match listener.accept() {
            Ok((stream, _)) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(Error::io("read from", Path::new("QEMU"), error)),
        }
        job.check()?;
        let failed = held.ask(Control::transfer)?.status == Some(Status::failed);
        if failed || Instant::now() >= deadline {
            return Err(internal("QEMU sends nothing"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What the job was told of a transfer.
#[derive(Default)]
struct Progress {
    expected: bool,
    done: u64,
}

impl Progress {
    /// Tells the job how far QEMU says that it is.
    fn tell(&mut self, held: &Held, job: &Job) {
        let Ok(Some(memory)) = held.ask(Control::transfer).map(|transfer| transfer.ram) else {
            return;
        };
        let total = u64::try_from(memory.total).unwrap_or_default();
        let left = u64::try_from(memory.remaining).unwrap_or_default();
        if !self.expected {
            job.expect_bytes(total);
            self.expected = true;
        }
        let done = total.saturating_sub(left).max(self.done);
        job.advance(done - self.done);
        self.done = done;
    }
}

/// Waits until saving has come to its end.
///
/// # Errors
/// What QEMU says why it did not succeed.
fn await_transfer(held: &Held) -> Result<()> {
    let deadline = Instant::now() + ANSWER;
    loop {
        let transfer = held.ask(Control::transfer)?;
        match transfer.status {
            Some(Status::completed) => return Ok(()),
            Some(Status::failed | Status::cancelled | Status::none) | None => {
                let reason = transfer.error_desc.unwrap_or("it was broken off".into());
                return Err(internal(&reason));
            }
            _ if Instant::now() >= deadline => {
                return Err(internal("QEMU does not come to an end"));
            }
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn internal(reason: &str) -> Error {
    let text = format!("the memory could not be saved: {}", escaped(reason));
    Error::new(Kind::Internal, text)
}

impl Saved {
    /// Demands that this memory fits the VM and this machine.
    ///
    /// # Errors
    /// `DiskChanged` where a disk was written to since; `NotSupported` for another accelerator.
    pub(super) fn require_fit(&self, env: &Env, vm: &VmFolder, accelerator: &str) -> Result<()> {
        let memory = &self.memory;
        if memory.accelerator != accelerator {
            let text = format!(
                "the memory of {} was saved under {}, and would go on under {accelerator}",
                quoted(vm.vmx()),
                escaped(&memory.accelerator)
            );
            let hint = "power.accelerator in the settings says what runs guests";
            return Err(Error::new(Kind::NotSupported, text).at(vm.vmx()).hint(hint));
        }
        let now = identify(env, vm)?;
        let changed = now.iter().find(|disk| !memory.disks.contains(disk));
        let gone = memory.disks.len() != now.len();
        if changed.is_none() && !gone {
            return Ok(());
        }
        let node = changed.map_or("a disk that is gone", |(node, _)| node);
        let text = format!(
            "{} cannot be resumed: {node} was written to after its memory was saved",
            quoted(vm.vmx())
        );
        let hint = "go back to a snapshot, or make a full clone, which starts from the disks";
        Err(Error::new(Kind::DiskChanged, text).at(vm.vmx()).hint(hint))
    }

    /// Tells whether the VM is to be paused again: a snapshot brings back what was, while a VM that is
    /// suspended forgets that it was paused (VIX reference, `VixVM_Suspend`).
    pub(super) fn is_of_paused(&self) -> bool {
        self.kept && self.memory.paused
    }

    /// Gives a machine that waits for it this memory.
    ///
    /// # Errors
    /// What QEMU or the system says; the machine has ended then, or is to be ended.
    pub(super) fn load(
        &self,
        env: &Env,
        run: &Runtime,
        control: &mut Control,
        job: &Job,
    ) -> Result<()> {
        let socket = run.stream();
        let _ = std::fs::remove_file(&socket);
        let broken = |error| Error::io("write to", &socket, error);
        control.begin_loading(&socket)?;
        let mut stream = UnixStream::connect(&socket).map_err(broken)?;
        let file = env.store.open(&self.path, Access::Read)?;
        let mut buffer = vec![0; 1 << 20];
        let mut position = HEAD as u64;
        loop {
            let got = file.read_at(&mut buffer, position)?;
            if got == 0 {
                break;
            }
            stream.write_all(&buffer[..got]).map_err(broken)?;
            position += got as u64;
            job.check()?;
        }
        drop(stream);
        let deadline = Instant::now() + ANSWER;
        loop {
            match control.transfer()?.status {
                Some(Status::completed) => return Ok(()),
                Some(Status::failed) => return Err(internal("QEMU does not take it")),
                _ if Instant::now() >= deadline => return Err(internal("QEMU does not take it")),
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Removes the file, unless a snapshot needs it: the guest has gone on.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn consume(&self, env: &Env) -> Result<()> {
        if self.kept {
            return Ok(());
        }
        env.store.remove_file(&self.path)
    }
}
