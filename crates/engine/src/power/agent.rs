//! The channel to the agent in a guest: qemu-guest-agent at the other end of a serial port that every
//! machine has.
//!
//! Whatever comes from there is untrusted. Every question has a deadline and a limit of bytes, and
//! what an answer says is for the one who asked to check.
//!
//! Source: the QEMU Guest Agent Protocol Reference, `guest-sync-delimited` above all.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use qapi::{Command, ExecuteError, ExecuteResult, Qga, Stream, qga};

use super::qmp::Control;
use super::runtime::{Record, Runtime, require_running};
use super::stop::explain;
use crate::error::{Error, Kind, Result, escaped, quoted};
use crate::job::Job;
use crate::store::{LockMode, Store, hidden_sibling};
use crate::vm::{Env, VmLock};

/// The name of the socket's other end, by which QEMU tells whether the guest has it open.
pub(super) const CHARDEV: &str = "agent";

/// An agent that runs says so in this time, on a loaded machine as well.
const GREETING: Duration = Duration::from_secs(5);

/// An agent that was greeted answers by then, or never.
const ANSWER: Duration = Duration::from_secs(30);

/// A shutdown that the agent does not refuse by then has begun: it answers nothing else.
const REFUSAL: Duration = Duration::from_secs(2);

/// No answer is larger, but for [`LARGE`] ones.
const SMALL: u64 = 1 << 20;

/// The output of a program: the agent keeps 16 MiB of each kind, here in base64.
const LARGE: u64 = 48 << 20;

/// How often a wait looks whether it was cancelled.
const SLICE: Duration = Duration::from_millis(200);

/// How long one operation keeps the socket while others wait for it. Taking it anew costs a tenth of a
/// second: that long an agent sleeps that finds nobody there.
const TURN: Duration = Duration::from_secs(1);

/// In this time whoever waits for a turn has it.
const GIVE_WAY: Duration = Duration::from_millis(60);

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The way to the agent of a VM that runs.
pub(crate) struct Channel<'a> {
    store: &'a dyn Store,
    record: Record,
    runtime: Runtime,
    patience: Duration,
    job: &'a Job,
    /// The conversation of our present turn.
    line: RefCell<Option<Line>>,
}

impl<'a> Channel<'a> {
    /// Returns the way to the agent of the VM at `vmx`; whether there is one shows when it is asked.
    ///
    /// # Errors
    /// `VmNotRunning`.
    pub(crate) fn open(env: &'a Env, vmx: &Path, job: &'a Job) -> Result<Self> {
        let record = require_running(env, &env.open(vmx)?)?;
        Ok(Self::of(env, record, job))
    }

    /// Returns the way to the agent of a running machine.
    pub(super) fn of(env: &'a Env, record: Record, job: &'a Job) -> Self {
        Self {
            store: &*env.store,
            runtime: Runtime::of(&record.vmx),
            record,
            patience: env.settings.patience,
            job,
            line: RefCell::default(),
        }
    }

    /// The configuration of the VM.
    pub(crate) fn vmx(&self) -> &Path {
        &self.record.vmx
    }

    /// The operation that this is done for.
    pub(crate) fn job(&self) -> &'a Job {
        self.job
    }

    /// Files of this machine.
    pub(crate) fn store(&self) -> &'a dyn Store {
        self.store
    }

    /// Fails once the operation is cancelled or the machine is off.
    ///
    /// # Errors
    /// `Cancelled`, `VmNotRunning`.
    pub(crate) fn check(&self) -> Result<()> {
        self.job.check()?;
        let gone = || Error::new(Kind::VmNotRunning, "");
        self.record
            .is_alive()
            .then_some(())
            .ok_or_else(|| self.record.explain(gone()))
    }

    /// Tells whether an agent answers.
    ///
    /// # Errors
    /// `Cancelled`, `VmNotRunning`.
    pub(crate) fn answers(&self) -> Result<bool> {
        self.hang_up();
        // One that is paused would be waited for in vain; of a machine that says nothing, more is known below.
        if self.is_paused().unwrap_or(false) {
            return Ok(false);
        }
        let greeted = self.greet();
        self.check()?;
        match greeted {
            Ok(line) => {
                self.line.replace(Some(line));
                Ok(true)
            }
            Err(error) if error.kind() == Kind::FileLocked => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Asks the agent something with a small answer.
    ///
    /// # Errors
    /// `ToolsNotRunning`; `Timeout`; `NotSupported` for what the agent does not know or may not do;
    /// `Io` for an answer that makes no sense, and for what the agent refuses, in its words.
    pub(crate) fn ask<C: Command>(&self, command: &C) -> Result<C::Ok> {
        self.ask_for(command, SMALL)
    }

    /// Asks the agent something with an answer of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Channel::ask`].
    pub(crate) fn ask_for<C: Command>(&self, command: &C, limit: u64) -> Result<C::Ok> {
        self.job.check()?;
        let mut line = self.take_line()?;
        line.allow(ANSWER, limit);
        let answer = line.qga.execute(command);
        // After a refusal the conversation goes on; after anything else nobody knows what comes.
        if !matches!(answer, Err(ExecuteError::Io(_))) {
            self.line.replace(Some(line));
        }
        answer.map_err(|error| self.failure(C::NAME, error))
    }

    /// Waits for the end of a program that the agent started.
    ///
    /// # Errors
    /// `Timeout` after `limit`; as [`Channel::ask`].
    pub(crate) fn await_exit(
        &self,
        pid: i64,
        limit: Option<Duration>,
    ) -> Result<qga::GuestExecStatus> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let status = self.ask_for(&qga::guest_exec_status { pid }, LARGE)?;
            if status.exited {
                return Ok(status);
            }
            if limit.is_some_and(|limit| start.elapsed() >= limit) {
                let text = format!(
                    "the guest of {} does not come to an end",
                    quoted(self.vmx())
                );
                return Err(Error::new(Kind::Timeout, text).at(self.vmx()));
            }
            if pause == LONGEST_PAUSE {
                self.hang_up();
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Lets others speak to the agent.
    pub(crate) fn hang_up(&self) {
        self.line.replace(None);
    }

    fn take_line(&self) -> Result<Line> {
        match self.line.take() {
            Some(line) if line.since.elapsed() < TURN => return Ok(line),
            Some(line) => {
                drop(line);
                std::thread::sleep(GIVE_WAY);
            }
            None => {}
        }
        self.greet()
    }

    /// Tells the agent to shut the guest down; returns once that has begun.
    ///
    /// # Errors
    /// As [`Channel::ask`].
    pub(super) fn shut_down(&self, mode: qga::GuestShutdownMode) -> Result<()> {
        let mut line = self.take_line()?;
        line.allow(REFUSAL, SMALL);
        let command = qga::guest_shutdown { mode: Some(mode) };
        match line.qga.execute(&command) {
            Err(ExecuteError::Qapi(refusal)) => {
                Err(self.failure("guest-shutdown", ExecuteError::Qapi(refusal)))
            }
            _ => self.job.check(),
        }
    }

    /// Takes our turn at the socket, which serves one client at a time, and finds the agent there.
    fn greet(&self) -> Result<Line> {
        self.require_open()?;
        let dir = self.runtime.turn();
        let turn = VmLock::acquire(
            self.store,
            &dir,
            LockMode::Exclusive,
            self.job,
            self.patience,
        );
        let turn = turn.map_err(|error| self.record.explain(error))?;
        let socket = self.runtime.agent_socket();
        let connected = Line::connect(&socket, self.job, turn);
        let failed = |error| self.record.explain(Error::io("speak to", &socket, error));
        let mut line = connected.map_err(failed)?;
        line.sync().map_err(|_| {
            self.job
                .check()
                .err()
                .unwrap_or_else(|| self.record.explain(self.silent()))
        })?;
        self.runtime.note_agent(self.store);
        Ok(line)
    }

    /// Demands that a program of the guest has the port open: none that is paused need execute for that.
    ///
    /// # Errors
    /// `ToolsNotRunning`, `VmNotRunning`.
    pub(super) fn require_open(&self) -> Result<()> {
        match self.is_open_in_guest()? {
            true => Ok(()),
            false => Err(self.absent()),
        }
    }

    /// Whether a program of the guest has the port open. QEMU knows, so nobody need wait to learn it.
    fn is_open_in_guest(&self) -> Result<bool> {
        let open = self.control()?.is_open_in_guest(CHARDEV);
        open.map_err(|error| explain(&self.record, error))
    }

    fn is_paused(&self) -> Result<bool> {
        let paused = self.control()?.is_paused();
        paused.map_err(|error| explain(&self.record, error))
    }

    /// The machine itself.
    pub(super) fn control(&self) -> Result<Control> {
        let control = Control::connect(&self.runtime.socket());
        control.map_err(|error| explain(&self.record, error))
    }

    /// A new name for a picture of the screen.
    pub(super) fn screen_file(&self) -> PathBuf {
        hidden_sibling(&self.runtime.sockets().join("screen.png"))
    }

    /// Why the agent says nothing to a greeting.
    fn silent(&self) -> Error {
        if !self.is_paused().unwrap_or(false) {
            return self.absent();
        }
        let text = format!(
            "the guest of {} is paused, and its agent with it",
            quoted(self.vmx())
        );
        let error = Error::new(Kind::ToolsNotRunning, text).at(self.vmx());
        error.hint("let it run again: vmrun unpause")
    }

    fn absent(&self) -> Error {
        let text = format!(
            "no agent answers in the guest of {}",
            quoted(&self.record.vmx)
        );
        let hint = "install the package qemu-guest-agent in the guest and have it started; \
            a guest that boots needs a moment";
        Error::new(Kind::ToolsNotRunning, text)
            .at(&self.record.vmx)
            .hint(hint)
    }

    /// What it means that `command` failed.
    fn failure(&self, command: &str, error: ExecuteError) -> Error {
        if let Err(cancelled) = self.job.check() {
            return cancelled;
        }
        let whose = quoted(&self.record.vmx);
        let error = match error {
            ExecuteError::Qapi(refusal) => refused(&whose, command, &refusal),
            ExecuteError::Io(error) if is_late(&error) => {
                let text = format!("the agent of {whose} does not answer {command}");
                Error::new(Kind::Timeout, text)
            }
            ExecuteError::Io(error) => {
                let cause = shown(&error.to_string());
                let text = format!("the agent of {whose} answers {command} with nonsense: {cause}");
                Error::new(Kind::Io, text)
            }
        };
        self.record.explain(error.at(&self.record.vmx))
    }
}

fn refused(whose: &str, command: &str, refusal: &qapi::Error) -> Error {
    let said = shown(&refusal.desc);
    if refusal.class == qapi::ErrorClass::CommandNotFound {
        let text = format!("the agent of {whose} does not do {command}: {said}");
        let hint =
            "allow it in the agent's configuration in the guest, where distributions forbid it";
        return Error::new(Kind::NotSupported, text).hint(hint);
    }
    Error::new(
        Kind::Io,
        format!("the agent of {whose} refuses {command}: {said}"),
    )
}

/// Words of the guest's as they may be shown.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 300;
    let short: String = text.trim().chars().take(MOST).collect();
    escaped(&short)
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// One conversation.
struct Line {
    qga: Qga<Stream<BufReader<Bounded>, BufWriter<Bounded>>>,
    since: Instant,
    _turn: VmLock,
}

impl Line {
    fn connect(socket: &Path, job: &Job, turn: VmLock) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        let bounded = |stream| Bounded {
            stream,
            job: job.clone(),
            deadline: Instant::now() + GREETING,
            left: SMALL,
        };
        let reader = BufReader::new(bounded(stream.try_clone()?));
        let writer = BufWriter::new(bounded(stream));
        Ok(Self {
            qga: Qga::new(Stream::new(reader, writer)),
            since: Instant::now(),
            _turn: turn,
        })
    }

    /// Sets the bounds of the next question.
    fn allow(&mut self, time: Duration, bytes: u64) {
        let deadline = Instant::now() + time;
        let stream = self.qga.inner_mut();
        stream.get_mut_write().get_mut().deadline = deadline;
        let reader = stream.get_mut_read().get_mut();
        (reader.deadline, reader.left) = (deadline, bytes);
    }

    /// Skips what an earlier conversation left, up to the answer to a number of our own.
    fn sync(&mut self) -> io::Result<()> {
        let id = i64::from(rand::random::<u32>());
        self.qga.inner_mut().write_all(&[0xff])?;
        let command = qga::guest_sync_delimited { id };
        self.qga.write_command(&command)?;
        loop {
            if self.qga.inner_mut().skip_until(0xff)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let answer: ExecuteResult<qga::guest_sync_delimited> =
                self.qga.read_response::<qga::guest_sync_delimited>();
            match answer {
                Ok(answer) if answer == id => return Ok(()),
                Err(ExecuteError::Io(error)) if is_late(&error) => return Err(error),
                _ => {}
            }
        }
    }
}

/// A socket with a deadline and a limit of what is read from it.
struct Bounded {
    stream: UnixStream,
    job: Job,
    deadline: Instant,
    left: u64,
}

impl Bounded {
    /// Does something to the socket again and again until it is done, late or cancelled.
    fn patiently(
        &mut self,
        mut once: impl FnMut(&mut UnixStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.job.check().is_err() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let slice = Some(left.min(SLICE));
            self.stream.set_read_timeout(slice)?;
            self.stream.set_write_timeout(slice)?;
            match once(&mut self.stream) {
                Err(error) if is_late(&error) => {}
                done => return done,
            }
        }
    }
}

impl Read for Bounded {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 && !buf.is_empty() {
            return Err(io::Error::other("it is longer than any such answer"));
        }
        let got = self.patiently(|stream| stream.read(&mut buf[..most]))?;
        self.left -= got as u64;
        Ok(got)
    }
}

impl Write for Bounded {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
