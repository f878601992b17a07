//! The memory of a guest on its way from QEMU to files and back.
//!
//! It goes over a socket and through our hands, so that QEMU needs no rights to the VM's folder, and
//! whatever release of it can be used that knows sockets.

use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use qapi::qmp::MigrationStatus as Status;

use super::feed::Feed;
use super::halted::Held;
use super::pages;
use super::qmp::Control;
use super::runtime::Runtime;
use super::saved::{HEAD, Memory, internal};
use super::stop::POLL;
use super::user;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::store::{Bytes, folder_of, hidden_sibling};
use crate::vm::{Env, state};

/// QEMU says within this time that it has begun, or ended, or given up.
const ANSWER: Duration = Duration::from_secs(60);

/// How often QEMU is asked for progress, and the job whether it was cancelled.
const PULSE: Duration = Duration::from_millis(50);

/// Writes the memory of a machine to a new file at `path`, durable. Where it is to lie `apart`, the
/// pages of the guest's main memory go to another new file beside that one.
///
/// # Errors
/// `Cancelled`, `NoSpace`; what QEMU says. No file is left then.
pub(super) fn save(
    env: &Env,
    held: &Held,
    run: &Runtime,
    path: &Path,
    (memory, apart): (Memory, bool),
    job: &Job,
) -> Result<()> {
    let store = &*env.store;
    let ram = state::ram_beside(path);
    let unfinished = (hidden_sibling(path), apart.then(|| hidden_sibling(&ram)));
    let (new, new_ram) = (&*unfinished.0, unfinished.1.as_deref());
    let name = || {
        // This one first: by it alone is a file known as ours that nobody needs.
        store.rename_new(new, path)?;
        new_ram.map_or(Ok(()), |new_ram| store.rename_new(new_ram, &ram))?;
        store.sync_dir(folder_of(path))
    };
    let written = write(env, held, run, (new, new_ram), memory, job);
    let saved = written.and_then(|()| name().inspect_err(|_| state::remove_memory(store, path)));
    if saved.is_err() {
        [Some(new), new_ram].into_iter().flatten().for_each(|path| {
            let _ = store.remove_file(path);
        });
    }
    saved
}

fn write(
    env: &Env,
    held: &Held,
    run: &Runtime,
    (path, ram): (&Path, Option<&Path>),
    mut memory: Memory,
    job: &Job,
) -> Result<()> {
    job.phase("saving the memory");
    let file = env.store.create(path)?;
    let ram = ram.map(|path| env.store.create(path)).transpose()?;
    let socket = run.stream();
    let _ = std::fs::remove_file(&socket);
    let failed = |error| Error::io("listen at", &socket, error);
    let listener = UnixListener::bind(&socket).map_err(failed)?;
    user::give(run, &socket)?;
    listener.set_nonblocking(true).map_err(failed)?;
    held.ask(|control| control.begin_saving(&socket))?;
    let mut progress = Progress::default();
    let files = (&*file, ram.as_deref());
    let copied = receive(held, &listener, files, &mut progress, job);
    // The machine can go on, whatever came of it, once QEMU has come to an end.
    let ended = await_transfer(held);
    let size = copied.and_then(|size| ended.map(|()| size))?;
    progress.tell(held, job);
    if let Some(ram) = &ram {
        if size.is_none() {
            job.warn("the .vmem is not whole: this QEMU writes memory in a form unknown here");
        }
        memory.ram = Some(ram.len()?);
        ram.sync()?;
    }
    file.write_at(&memory.to_head()?, 0)?;
    file.sync()
}

/// Takes what QEMU sends until it ends; returns the bytes of the guest's memory where all of it lies
/// in the second file. That has a thread of its own: at the end QEMU answers nobody until it is rid
/// of what it sends.
fn receive(
    held: &Held,
    listener: &UnixListener,
    (file, ram): (&dyn Bytes, Option<&dyn Bytes>),
    progress: &mut Progress,
    job: &Job,
) -> Result<Option<u64>> {
    let stream = accept(held, listener, job).inspect_err(|_| {
        // It may be about to send: nobody takes it.
        let _ = held.ask(Control::cancel_saving);
    })?;
    stream
        .set_nonblocking(false)
        .map_err(|error| Error::io("read from", Path::new("QEMU"), error))?;
    let (ended, end) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            ended.send(match ram {
                Some(ram) => pages::split(stream, file, HEAD as u64, ram),
                None => pages::keep(stream, file, HEAD as u64).map(|()| None),
            })
        });
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

/// Gives a machine that waits for it its memory.
///
/// # Errors
/// What QEMU or the system says; the machine has ended then, or is to be ended.
pub(super) fn load(feed: Feed, run: &Runtime, control: &mut Control, job: &Job) -> Result<()> {
    let socket = run.stream();
    let _ = std::fs::remove_file(&socket);
    control.begin_loading(&socket)?;
    let mut stream =
        UnixStream::connect(&socket).map_err(|error| Error::io("connect to", &socket, error))?;
    feed.send(&mut stream, job)?;
    drop(stream);
    let deadline = Instant::now() + ANSWER;
    loop {
        match control.transfer()?.status {
            Some(Status::completed) => return Ok(()),
            Some(Status::failed) => return Err(internal("QEMU does not take it")),
            _ if Instant::now() >= deadline => return Err(internal("QEMU does not take it")),
            _ => std::thread::sleep(POLL),
        }
    }
}
